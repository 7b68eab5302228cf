"""How AWS says yes and no: in JSON (Cognito, DynamoDB), in the query protocol's XML (STS), in S3's XML."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from jupyter_federation.demo.account import AwsError
from jupyter_federation.demo.loopback import Response

_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_MISMATCH = "The request signature we calculated does not match the signature you provided."
_SKEWED = "Signature not yet current or expired: the request's time is more than 15 minutes off."
# protocol → what is wrong with a signature → code, message, HTTP status
_SIGNATURE_ERRORS: Mapping[str, Mapping[str, tuple[str, str, int]]] = {
    "s3": {
        "missing": ("AccessDenied", "Access Denied", 403),
        "unknown key": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
        "wrong token": ("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
        "mismatch": ("SignatureDoesNotMatch", f"{_MISMATCH} Check your key and signing method.", 403),
        "expired": ("ExpiredToken", "The provided token has expired.", 400),
        "skewed": ("RequestTimeTooSkewed", "The difference between request time and current time is too large.", 403),
        "lapsed": ("AccessDenied", "Request has expired", 403),
    },
    "query": {
        "missing": ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
        "unknown key": ("InvalidClientTokenId", _INVALID, 403),
        "wrong token": ("InvalidClientTokenId", _INVALID, 403),
        "mismatch": ("SignatureDoesNotMatch", _MISMATCH, 403),
        "expired": ("ExpiredToken", _EXPIRED, 403),
        "skewed": ("SignatureDoesNotMatch", _SKEWED, 403),
        "lapsed": ("SignatureDoesNotMatch", "Signature expired", 403),
    },
    "json": {
        "missing": ("MissingAuthenticationTokenException", "Missing Authentication Token", 400),
        "unknown key": ("UnrecognizedClientException", _INVALID, 400),
        "wrong token": ("UnrecognizedClientException", _INVALID, 400),
        "mismatch": ("InvalidSignatureException", _MISMATCH, 400),
        "expired": ("ExpiredTokenException", _EXPIRED, 400),
        "skewed": ("InvalidSignatureException", _SKEWED, 400),
        "lapsed": ("InvalidSignatureException", "Signature expired", 400),
    },
}


def protocol_of(operation: str) -> str:
    """``s3``, ``query`` or ``json``: what the operation's service speaks, as far as errors go."""
    if operation.startswith("s3:"):
        return "s3"
    return "query" if operation.startswith("AssumeRole") or operation == "GetCallerIdentity" else "json"


def signature_error(operation: str, problem: str) -> AwsError:
    """What the operation's service answers to a signature with this problem."""
    return AwsError(*_SIGNATURE_ERRORS[protocol_of(operation)][problem])


def result_response(operation: str, result: Mapping[str, Any]) -> Response:
    """A success of Cognito Identity or STS."""
    if protocol_of(operation) == "json":
        return _json(result)
    return _sts(f"{operation}Response", {f"{operation}Result": result}, "ResponseMetadata")


def error_response(operation: str, error: AwsError) -> Response:
    """A failure, in the form in which the operation's service fails."""
    fault = {"Code": error.code, "Message": error.message}
    protocol = protocol_of(operation)
    if protocol == "query":
        return _sts("ErrorResponse", {"Error": {"Type": "Sender", **fault}}, None, error.status)
    if protocol == "s3":
        body = b"" if operation == "s3:HEAD" else _xml({"Error": fault}).encode()
        return Response(status=error.status, body=body, headers={"Content-Type": "application/xml"})
    return _json({"__type": error.code, "message": error.message}, error.status)


def _json(members: Mapping[str, Any], status: int = 200) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(status=status, body=json.dumps(members).encode(), headers=headers)


def _sts(root: str, content: Mapping[str, Any], metadata: str | None, status: int = 200) -> Response:
    request_id = {"RequestId": str(uuid.uuid4())}
    inside = _xml({**content, **({metadata: request_id} if metadata else request_id)})
    body = f'<{root} xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{inside}</{root}>'
    return Response(status=status, body=body.encode(), headers={"Content-Type": "text/xml"})


def _xml(members: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml(inner) if isinstance(inner, Mapping) else escape(str(inner))}</{name}>"
        for name, inner in members.items()
    )
