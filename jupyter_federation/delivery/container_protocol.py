"""AWS's container credentials protocol, as far as it is text: which request gets an answer, and which answer.

AWS SDKs and Tools Reference Guide, "Container credential provider".
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping

from jupyter_federation.credentials import AwsCredentials

URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
PATH = "/credentials"

_REQUEST_LINE = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.[01]")
_HEADER = re.compile(rb"([A-Za-z0-9-]+):([\x20-\x7e\t]*)")  # read before anybody is known, so in one pass
# What browsers and proxies add, and no AWS SDK does.
_FOREIGN = re.compile(
    r"origin|referer|cookie|sec-.*|access-control-.*|upgrade|transfer-encoding"
    r"|forwarded|x-forwarded-.*|x-real-ip|x-proxy.*|proxy-.*|via"
)


def refusal(head: bytes, authority: str, token: str) -> bytes | None:
    """Why the request with this ``head`` gets nothing; None for one as AWS's SDKs send it.

    The right Host shuts out a page that has rebound its name to this machine; a browser's and a proxy's own headers
    shut out both, whatever else they bring; the token shuts out everybody who cannot read its file.
    """
    request, *lines = head.split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(request)
    fields = [field for line in lines if (field := _HEADER.fullmatch(line))]
    if asked is None or len(fields) != len(lines):
        return refused(400, "This is not a request of HTTP/1.")
    headers: dict[str, list[str]] = {}
    for field in fields:
        headers.setdefault(field[1].decode().lower(), []).append(field[2].decode().strip(" \t"))
    authorization = headers.get("authorization", [])
    for is_wrong, status, message in (
        (headers.get("host") != [authority], 403, "The Host is not this endpoint's."),
        (any(map(_FOREIGN.fullmatch, headers)), 403, "Browsers and proxies get nothing here."),
        (asked[2] != PATH.encode(), 404, "There is nothing here."),
        (asked[1] != b"GET" or headers.get("content-length", ["0"]) != ["0"], 405, "This endpoint takes GET alone."),
        (
            not authorization,
            401,
            f"No Authorization came; tools that know no {TOKEN_FILE} need the policy endpoint_token_variable.",
        ),
        (
            len(authorization) != 1
            or not token  # it has ended
            or not hmac.compare_digest(authorization[0].encode(), token.encode()),
            401,
            f"Authorization is not what stands in the file that {TOKEN_FILE} names.",
        ),
    ):
        if is_wrong:
            return refused(status, message)
    return None


def handed_out(credentials: AwsCredentials) -> bytes:
    """The answer that holds ``credentials``; without the account, which would move DynamoDB to another host."""
    return _answer(
        200,
        {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expiration": f"{credentials.expires_at:%Y-%m-%dT%H:%M:%SZ}",  # Z: JavaScript takes no +00:00
        },
    )


def refused(status: int, message: str) -> bytes:
    """An answer that SDKs show to the person."""
    return _answer(status, {"code": _REASONS[status].replace(" ", ""), "message": message})


_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def _answer(status: int, content: Mapping[str, str]) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Allow: GET"] if status == 405 else []),  # noqa: PLR2004 - the status code's own number
    )
    return "\r\n".join([*head, "", ""]).encode() + body
