"""Signature Version 4, from the side that checks it (IAM User Guide, "Create a signed AWS API request").

Written anew and not with botocore's signer, so that a mistake of the one is seen by the other.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, quote, unquote

from tornado.httputil import HTTPServerRequest

from jupyter_federation.demo.loopback import fields

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"
_SKEW = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What a request says of its signature, in a header or (``presigned_for`` is set) in its query."""

    access_key_id: str
    scope: tuple[str, str, str]  # date, region, service
    signed_headers: tuple[str, ...]
    digest: str = field(repr=False)
    signed_at: datetime
    session_token: str | None = field(repr=False)
    presigned_for: timedelta | None

    @property
    def service(self) -> str:
        """The service that the request was signed for (``s3``)."""
        return self.scope[2]

    @classmethod
    def read(cls, request: HTTPServerRequest) -> Signature | None:
        """The signature of ``request``; None where there is none, ValueError where it cannot be read."""
        query = fields(request.query)
        authorization = request.headers.get("Authorization", "")
        given: Mapping[str, str]
        if authorization.startswith(_ALGORITHM):
            parts = (part.strip().partition("=") for part in authorization.removeprefix(_ALGORITHM).split(","))
            given = {name: value for name, _, value in parts}
            date, token = request.headers.get("X-Amz-Date", ""), request.headers.get("X-Amz-Security-Token")
            presigned_for = None
        elif query.get("X-Amz-Algorithm") == _ALGORITHM:
            given = {name.removeprefix("X-Amz-"): value for name, value in query.items()}
            date, token = query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token")
            presigned_for = timedelta(seconds=int(query["X-Amz-Expires"]))
        else:
            return None
        try:
            access_key_id, day, region, service, _terminator = given["Credential"].split("/")
            return cls(
                access_key_id=access_key_id,
                scope=(day, region, service),
                signed_headers=tuple(given["SignedHeaders"].lower().split(";")),
                digest=given["Signature"],
                signed_at=datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc),
                session_token=token,
                presigned_for=presigned_for,
            )
        except KeyError as missing:
            raise ValueError(f"the signature has no {missing}") from None

    def fits(self, request: HTTPServerRequest, secret_access_key: str) -> bool:
        """Whether ``secret_access_key`` signed this very request: method, path, query, signed headers and body.

        ``Host`` and every ``x-amz-`` header must be among the signed ones.  Where the body was left out of the
        signature (UNSIGNED-PAYLOAD, and the aws-chunked STREAMING forms) it is not checked here either.
        """
        demanded = {"host"} | {name.lower() for name in request.headers if name.lower().startswith("x-amz-")}
        body_digest = request.headers.get("X-Amz-Content-SHA256") or self._default_body_digest(request)
        if not demanded <= set(self.signed_headers):
            return False
        if not body_digest.startswith(("UNSIGNED-", "STREAMING-")) and body_digest != _sha256(request.body):
            return False
        canonical = "\n".join(
            [
                request.method or "",
                self._canonical_path(request),
                _canonical_query(request.query),
                *(f"{name}:{_canonical_value(request, name)}" for name in self.signed_headers),
                "",
                ";".join(self.signed_headers),
                body_digest,
            ]
        )
        scope = "/".join([*self.scope, "aws4_request"])
        to_sign = "\n".join([_ALGORITHM, f"{self.signed_at:%Y%m%dT%H%M%SZ}", scope, _sha256(canonical.encode())])
        key = f"AWS4{secret_access_key}".encode()
        for part in (*self.scope, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), self.digest)

    def problem_with_time(self, now: datetime) -> str | None:
        """``lapsed`` for a presigned URL past its time, ``skewed`` for a clock 15 minutes off, else None."""
        if self.presigned_for is None:
            return "skewed" if abs(self.signed_at - now) > _SKEW else None
        return "lapsed" if self.signed_at + self.presigned_for <= now else None

    def _default_body_digest(self, request: HTTPServerRequest) -> str:
        if self.presigned_for is not None and self.service == "s3":
            return "UNSIGNED-PAYLOAD"
        return _sha256(request.body)

    def _canonical_path(self, request: HTTPServerRequest) -> str:
        """S3 signs the path as it is, encoded once; every other service normalises it and encodes it again."""
        path = request.path or "/"
        if self.service == "s3":
            return quote(unquote(path), safe="/" + _UNRESERVED)
        normal = posixpath.normpath(path).replace("//", "/")
        return quote(normal + ("/" if path.endswith("/") and normal != "/" else ""), safe="/" + _UNRESERVED)


def _canonical_query(query: str) -> str:
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)  # a plus is a plus here, not a space
    encoded = [(quote(n, safe=_UNRESERVED), quote(v, safe=_UNRESERVED)) for n, v in pairs if n != "X-Amz-Signature"]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _canonical_value(request: HTTPServerRequest, name: str) -> str:
    return ",".join(" ".join(value.split()) for value in request.headers.get_list(name))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
