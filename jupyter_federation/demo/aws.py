"""An AWS on 127.0.0.1 that refuses what AWS refuses: for the demo, and for tests that must fail when the code is wrong.

Cognito Identity (GetId, GetCredentialsForIdentity, GetOpenIdToken, GetOpenIdTokenForDeveloperIdentity) and STS
(AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity) are answered here.  Everything else goes to moto, once its
signature has been verified.

Verified: web identity tokens (signature by the registered issuer's keys, issuer against logins key, audience, expiry
with AWS's five minutes of grace); of every signed request the key, the session token, its expiry, the time of signing
and the Signature Version 4 over method, path, query, headers and body; trust of a role in an issuer and its audiences,
session names and durations; session tags, by a claim or by an identity pool, and a role's trust in them; which identity
belongs to which login; of a role with a prefix of S3, that its keys read, write and list there and nowhere else.

Not verified: what else a key may do (there are no permissions but that prefix), session policies beyond their being
JSON, the tags of AssumeRole, the chunk signatures of aws-chunked bodies, SAML assertions (a table says which are good),
quotas.
Messages of Cognito Identity are AWS's own; the wording of some STS refusals is ours, their codes are AWS's.
moto keeps what it stores for the whole process: two servers in one process share buckets and tables, and lose them
when either stops.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

from tornado.httputil import HTTPServerRequest
from tornado.wsgi import WSGIContainer

from jupyter_federation.demo.account import Account, AwsError, IdentityPool, Key, Role
from jupyter_federation.demo.cognito_identity import COGNITO, CognitoIdentity
from jupyter_federation.demo.loopback import Call, Fault, LoopbackServer, Response, fields
from jupyter_federation.demo.sigv4 import Signature
from jupyter_federation.demo.sts import Sts
from jupyter_federation.demo.web_identity import OpaqueLogin, OpenIdProvider
from jupyter_federation.demo.wire import error_response, protocol_of, result_response, signature_error

__all__ = [
    "COGNITO",
    "AwsError",
    "EmbeddedAws",
    "Fault",
    "IdentityPool",
    "Key",
    "OpaqueLogin",
    "OpenIdProvider",
    "Response",
    "Role",
]

_TARGETED = {"cognito-identity", "dynamodb"}  # whose operation stands in the header X-Amz-Target
_UNSIGNED = {"GetId", "GetCredentialsForIdentity", "GetOpenIdToken", "AssumeRoleWithWebIdentity"}


class EmbeddedAws(LoopbackServer, Account):
    """An account behind a port.  Calls are named by operation (``GetId``, ``PutItem``), for S3 by method (``s3:PUT``).

    See `Account` for the durations.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = timedelta(hours=1),
        clock_grace: timedelta = timedelta(minutes=5),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        LoopbackServer.__init__(self, port=port, tls=tls)
        Account.__init__(self, lifetime=lifetime, clock_grace=clock_grace)
        self._moto: Any = None
        self._moto_lock = threading.Lock()
        self._open_services()

    def _open_services(self) -> None:
        self._operations = {**CognitoIdentity(self).operations, **Sts(self).operations}

    def fail(
        self,
        operation: str,
        code: str,
        message: str = "",
        *,
        status: int = 400,
        retry_after: int | None = None,
        times: int = 1,
    ) -> None:
        """The next ``times`` requests of ``operation`` get this error, in the form that its service's protocol has."""
        response = error_response(operation, AwsError(code, message, status))
        if retry_after is not None:
            response = replace(response, headers={**response.headers, "Retry-After": str(retry_after)})
        self.inject(operation, Fault(response=response), times=times)

    def throttle(self, operation: str, *, retry_after: int | None = None, times: int = 1) -> None:
        """The next ``times`` requests of ``operation`` are throttled, as the service does it."""
        codes = {"json": ("TooManyRequestsException", 400), "s3": ("SlowDown", 503), "query": ("Throttling", 400)}
        code, status = codes[protocol_of(operation)]
        self.fail(operation, code, "Rate exceeded", status=status, retry_after=retry_after, times=times)

    def reset(self) -> None:
        """As new: no calls, faults, providers, roles, pools, identities, keys, and nothing in moto."""
        super().reset()
        self.empty()
        self._open_services()
        if self._moto is not None:
            from moto.moto_api._internal.models import moto_api_backend

            moto_api_backend.reset()

    def stop(self) -> None:
        """Close the server and drop what moto holds."""
        super().stop()
        self.reset()

    def receive(self, request: HTTPServerRequest) -> Call:
        """The call; ``principal`` is whose key it claims to be signed with, before anything is verified."""
        try:
            signature = Signature.read(request)
        except ValueError:
            signature = None
        service = signature.service if signature else None
        target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        query = fields(request.query)
        form = request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        parameters: Mapping[str, Any]
        if target and service in {None, *_TARGETED}:
            operation, parameters = target, json.loads(request.body)
        else:
            parameters = query | (fields(request.body) if form else {})
            service = service or ("sts" if "Action" in parameters else "s3")
            operation = parameters.get("Action") or f"{service}:{request.method}"
        if service == "s3":
            operation, parameters = f"s3:{request.method}", {"Path": request.path, **query}
        key = self.keys.get(signature.access_key_id) if signature else None
        return Call(
            operation=operation,
            parameters=parameters,
            request=request,
            principal=key.principal if key else None,
            access_key_id=signature.access_key_id if signature else None,
        )

    def answer(self, call: Call) -> Response:
        """The operation's answer, or AWS's error in the form of the service's protocol."""
        try:
            if call.operation not in _UNSIGNED:
                self._authenticate(call)
            if call.operation not in self._operations:
                self._authorize(call)
                return self._ask_moto(call.request)
            return result_response(call.operation, self._operations[call.operation](call))
        except AwsError as error:
            call.error = error.code
            return error_response(call.operation, error)

    def _authenticate(self, call: Call) -> None:
        """Raise AWS's error where the signature, its key or its time is no good."""
        try:
            problem = self._signature_problem(call.request)
        except ValueError as error:
            raise AwsError("IncompleteSignature", str(error)) from None
        if problem is not None:
            raise signature_error(call.operation, problem)

    def _authorize(self, call: Call) -> None:
        """Raise AWS's error where the key has a prefix of S3, and something else is asked for.

        What moto would read otherwise than it is read here, is refused.
        """
        signature = Signature.read(call.request)
        in_s3 = signature is not None and signature.service == "s3"
        names = [name for name, _ in parse_qsl(call.request.query, keep_blank_values=True)]
        if in_s3 and len(names) > len(set(names)):
            raise AwsError("InvalidArgument", "A parameter of the query is repeated.")
        prefix = self.keys[call.access_key_id or ""].objects
        if prefix is None:
            return
        asked = unquote(call.request.path).removeprefix("/")
        if call.operation == "s3:GET" and "/" not in asked.rstrip("/"):  # a bucket: its listing
            asked = f"{asked.rstrip('/')}/{call.parameters.get('prefix', '')}"
        copied = unquote(call.request.headers.get("X-Amz-Copy-Source", asked)).removeprefix("/")
        in_body = call.operation == "s3:GET" and call.request.body
        if in_body or not (prefix and in_s3 and asked.startswith(prefix) and copied.startswith(prefix)):
            raise AwsError("AccessDenied", "Access Denied", 403)

    def _signature_problem(self, request: HTTPServerRequest) -> str | None:
        signature = Signature.read(request)
        if signature is None:
            return "missing"
        key = self.keys.get(signature.access_key_id)
        if key is None:
            return "unknown key"
        if signature.session_token != key.session_token:
            return "wrong token"
        if not signature.fits(request, key.secret_access_key):
            return "mismatch"
        return "expired" if key.expires_at <= self.now() else signature.problem_with_time(self.now())

    def _ask_moto(self, request: HTTPServerRequest) -> Response:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.wrappers import Response as WsgiResponse

        with self._moto_lock:
            if self._moto is None:
                self._moto = DomainDispatcherApplication(create_backend_app)
        environ = WSGIContainer(self._moto).environ(request)
        environ["RAW_URI"] = request.uri or "/"  # moto reads the key from it, where one holds a question mark
        environ["CONTENT_LENGTH"] = str(len(request.body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)  # tornado has put the chunks together
        answer = WsgiResponse.from_app(self._moto, environ, buffered=True)
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
        return Response(status=answer.status_code, body=answer.get_data(), headers=headers)
