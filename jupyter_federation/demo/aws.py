"""An AWS on 127.0.0.1 that refuses what AWS refuses: for the demo, and for tests that must fail when the code is wrong.

Cognito Identity (GetId, GetCredentialsForIdentity, GetOpenIdToken, GetOpenIdTokenForDeveloperIdentity) and STS
(AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity) are answered here.  Everything else goes to moto, once its
signature has been verified.

Verified: web identity tokens (signature by the registered issuer's keys, issuer against logins key, audience, expiry
with AWS's five minutes of grace); of every signed request the key, the session token, its expiry, the time of signing
and the Signature Version 4 over method, path, query, headers and body; trust of a role in an issuer and its audiences,
session names and durations; which identity belongs to which login.

Not verified: what a key may do (there are no permissions: each living key may do everything), session policies beyond
their being JSON, the chunk signatures of aws-chunked bodies, SAML assertions (a table says which are good), quotas.
Messages of Cognito Identity are AWS's own; the wording of some STS refusals is ours, their codes are AWS's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import ssl
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from tornado.httputil import HTTPServerRequest
from tornado.wsgi import WSGIContainer

from jupyter_federation.demo.loopback import Call, Fault, LoopbackServer, Response, fields
from jupyter_federation.demo.sigv4 import Signature
from jupyter_federation.demo.web_identity import OpaqueLogin, OpenIdProvider, TokenRefusedError, unverified_claims

ACCOUNT = "123456789012"
COGNITO = "cognito-identity.amazonaws.com"

_COGNITO_SAYS = {
    "malformed": "Not a valid OpenId Connect identity token.",
    "no audience": "Missing a required claim: aud",
    "signature": "Couldn't verify signed token.",
    "unreachable": "Couldn't verify signed token.",
    "expired": "Token expired: {now} >= {exp}",
    "audience": "Incorrect token audience.",
}
_STS_SAYS = {
    "malformed": (
        "InvalidIdentityToken",
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ),
    "no audience": ("InvalidIdentityToken", "Missing a required claim: aud"),
    "signature": ("InvalidIdentityToken", "Couldn't verify signed token."),
    "unreachable": ("IDPCommunicationError", "Couldn't retrieve verification key from your identity provider."),
    "expired": (
        "ExpiredTokenException",
        "Token expired: current date/time {now} must be before the expiration date/time {exp}",
    ),
    "audience": ("InvalidIdentityToken", "Incorrect token audience"),
}
_UNSIGNED = {"GetId", "GetCredentialsForIdentity", "GetOpenIdToken", "AssumeRoleWithWebIdentity"}
_INVALID = "The security token included in the request is invalid."
_MISMATCH = "The request signature we calculated does not match the signature you provided."
# What is wrong with a signature → protocol → AWS's code, message and HTTP status ("rest" stands for the others).
_SIGNATURE_ERRORS: Mapping[str, Mapping[str, tuple[str, str, int]]] = {
    "missing": {
        "s3": ("AccessDenied", "Access Denied", 403),
        "query": ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
        "json": ("MissingAuthenticationTokenException", "Missing Authentication Token", 400),
    },
    "unknown key": {
        "s3": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
        "query": ("InvalidClientTokenId", _INVALID, 403),
        "json": ("UnrecognizedClientException", _INVALID, 400),
    },
    "wrong token": {
        "s3": ("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
        "query": ("InvalidClientTokenId", _INVALID, 403),
        "json": ("UnrecognizedClientException", _INVALID, 400),
    },
    "mismatch": {
        "s3": ("SignatureDoesNotMatch", f"{_MISMATCH} Check your key and signing method.", 403),
        "query": ("SignatureDoesNotMatch", f"{_MISMATCH} Check your AWS Secret Access Key and signing method.", 403),
        "json": ("InvalidSignatureException", f"{_MISMATCH} Check your AWS Secret Access Key.", 400),
    },
    "expired": {
        "s3": ("ExpiredToken", "The provided token has expired.", 400),
        "query": ("ExpiredToken", "The security token included in the request is expired", 403),
        "json": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    },
    "skewed": {
        "s3": (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            403,
        ),
        "query": ("SignatureDoesNotMatch", "Signature expired: it is more than 15 minutes off our time.", 403),
        "json": ("InvalidSignatureException", "Signature expired: it is more than 15 minutes off our time.", 400),
    },
    "lapsed": {
        "s3": ("AccessDenied", "Request has expired", 403),
        "query": ("SignatureDoesNotMatch", "Signature expired", 403),
        "json": ("InvalidSignatureException", "Signature expired", 400),
    },
}
_OTHER_LOGINS = "Logins don't match. Please include at least one valid login for this identity or identity pool."


class AwsError(Exception):
    """An error answer: AWS's code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(kw_only=True, eq=False)
class Role:
    """An IAM role.

    ``trusts`` is its trust policy for web identities: name of the provider → audiences, an empty tuple meaning a
    policy without a condition on ``aud``.  ``principals`` are ARNs of the roles that may assume it, ``*`` is any.
    """

    name: str
    trusts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    principals: tuple[str, ...] = ()
    longest_session: timedelta = timedelta(hours=1)

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}"

    def session_arn(self, session_name: str) -> str:
        """The ARN of whoever has assumed it."""
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.name}/{session_name}"


@dataclass(kw_only=True, eq=False)
class IdentityPool:
    """A Cognito identity pool; it takes guests where ``unauthenticated_role`` is set.

    ``providers`` are logins keys: names of registered OpenID providers, ``graph.facebook.com``, ``www.amazon.com``,
    ARNs of SAML providers.  The roles need no trust in the pool for the enhanced flow; for the classic one they do.
    """

    providers: tuple[str, ...] = ()
    authenticated_role: Role | None = None
    unauthenticated_role: Role | None = None
    classic_flow: bool = False
    developer_provider: str | None = None
    id: str = field(default_factory=lambda: f"eu-west-1:{uuid.uuid4()}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """Temporary credentials, and whose they are."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    principal: str
    expires_at: datetime
    identity_id: str | None = None

    @property
    def for_boto3(self) -> dict[str, str]:
        """As keyword arguments of ``boto3.client`` and ``boto3.Session``."""
        return {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }


@dataclass(kw_only=True, eq=False)
class _Identity:
    id: str
    pool: IdentityPool
    logins: set[tuple[str, str]] = field(default_factory=set)  # (logins key, subject)


class EmbeddedAws(LoopbackServer):
    """The server.  A call is named by its operation (``GetId``, ``PutItem``), for S3 by its method (``s3:PUT``).

    ``lifetime`` is that of Cognito's keys, and of a role's where the caller names none.  ``shortest_session`` is 15
    minutes in AWS.  ``clock_grace`` is how long past its expiry a web identity token is still taken.  ``opaque_logins``
    holds the tokens that are looked up instead of verified, by logins key and token.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = timedelta(hours=1),
        shortest_session: timedelta = timedelta(minutes=15),
        clock_grace: timedelta = timedelta(minutes=5),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(port=port, tls=tls)
        self.lifetime = lifetime
        self.shortest_session = shortest_session
        self.clock_grace = clock_grace
        self._lock = threading.Lock()
        self._moto: Any = None
        self._signing_key: rsa.RSAPrivateKey | None = None
        self._own_operations: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetId": self._get_id,
            "GetCredentialsForIdentity": self._get_credentials_for_identity,
            "GetOpenIdToken": self._get_open_id_token,
            "GetOpenIdTokenForDeveloperIdentity": self._get_open_id_token_for_developer_identity,
            "AssumeRoleWithWebIdentity": self._assume_role_with_web_identity,
            "AssumeRole": self._assume_role,
            "GetCallerIdentity": self._get_caller_identity,
        }
        self._forget_everything()

    def _forget_everything(self) -> None:
        self.roles: dict[str, Role] = {}
        self.pools: dict[str, IdentityPool] = {}
        self.providers: dict[str, OpenIdProvider] = {}
        self.keys: dict[str, Key] = {}
        self.opaque_logins: dict[tuple[str, str], OpaqueLogin] = {}
        self._identities: dict[str, _Identity] = {}
        self._by_login: dict[tuple[str, str, str], _Identity] = {}  # (pool id, logins key, subject)
        self.add(OpenIdProvider(issuer=f"https://{COGNITO}", client_ids=None, keys=self._own_keys))

    # What tests and the demo call directly.

    def add(self, *things: OpenIdProvider | Role | IdentityPool) -> None:
        """Register providers, roles and pools; a pool's roles come with it."""
        for thing in things:
            if isinstance(thing, OpenIdProvider):
                self.providers[thing.name] = thing
            elif isinstance(thing, Role):
                self.roles[thing.arn] = thing
            else:
                self.pools[thing.id] = thing
                self.add(*(role for role in (thing.authenticated_role, thing.unauthenticated_role) if role))

    def mint(
        self,
        principal: str = f"arn:aws:iam::{ACCOUNT}:user/administrator",
        *,
        lifetime: timedelta | None = None,
        identity_id: str | None = None,
    ) -> Key:
        """Keys of ``principal``, without asking anybody."""
        key = Key(
            access_key_id="ASIA" + base64.b32encode(secrets.token_bytes(10)).decode(),
            secret_access_key=base64.b64encode(secrets.token_bytes(30)).decode(),
            session_token="IQoJb3JpZ2luX2Vj" + base64.b64encode(secrets.token_bytes(240)).decode(),
            principal=principal,
            expires_at=(self.now() + (lifetime or self.lifetime)).replace(microsecond=0),
            identity_id=identity_id,
        )
        self.keys[key.access_key_id] = key
        return key

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
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        response = _error_response(AwsError(code, message, status), _protocol_of(operation), headers)
        self.inject(operation, Fault(response=response), times=times)

    def throttle(self, operation: str, *, retry_after: int | None = None, times: int = 1) -> None:
        """The next ``times`` requests of ``operation`` are throttled, as the service does it."""
        code, status = {"json": ("TooManyRequestsException", 400), "s3": ("SlowDown", 503)}.get(
            _protocol_of(operation), ("Throttling", 400)
        )
        self.fail(operation, code, "Rate exceeded", status=status, retry_after=retry_after, times=times)

    def reset(self) -> None:
        """As new: no calls, faults, providers, roles, pools, identities, keys, and nothing in moto."""
        super().reset()
        self._forget_everything()
        if self._moto is not None:
            from moto.moto_api._internal.models import moto_api_backend

            moto_api_backend.reset()

    def stop(self) -> None:
        """Close the server and drop what moto holds."""
        super().stop()
        self.reset()

    # A request's way.

    def receive(self, request: HTTPServerRequest) -> Call:
        """The call; ``principal`` is whose key it claims to be signed with, before anything is verified."""
        try:
            signature = Signature.read(request)
        except ValueError:
            signature = None
        service, _, operation = request.headers.get("X-Amz-Target", "").rpartition(".")
        parameters: Mapping[str, Any] = {}
        if service:
            parameters = json.loads(request.body or b"{}")
        else:
            form = request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
            parameters = fields(request.query) | (fields(request.body) if form else {})
            service = signature.service if signature else "sts" if "Action" in parameters else "s3"
            operation = parameters.get("Action") or f"{service}:{request.method}"
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
        protocol = _protocol_of(call.operation)
        try:
            if call.operation not in _UNSIGNED:
                self._authenticate(call.request, protocol)
            if call.operation not in self._own_operations:
                return self._ask_moto(call.request)
            result = self._own_operations[call.operation](call)
        except AwsError as error:
            call.error = error.code
            return _error_response(error, protocol, {}, head=call.request.method == "HEAD")
        if protocol == "query":
            return _xml_response(f"<{call.operation}Result>{_xml(result)}</{call.operation}Result>", call.operation)
        return _json_response(result)

    def _authenticate(self, request: HTTPServerRequest, protocol: str) -> None:
        """Raise AWS's error where the signature, its key or its time is no good."""
        try:
            problem = self._signature_problem(request)
        except ValueError as error:
            raise AwsError("IncompleteSignature", str(error)) from None
        if problem is not None:
            errors = _SIGNATURE_ERRORS[problem]
            raise AwsError(*errors.get(protocol, errors["json"]))

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

        with self._lock:
            if self._moto is None:
                self._moto = DomainDispatcherApplication(create_backend_app)
        environ = WSGIContainer(self._moto).environ(request)
        environ["CONTENT_LENGTH"] = str(len(request.body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)  # tornado has put the chunks together
        answer = WsgiResponse.from_app(self._moto, environ, buffered=True)
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "date"}
        return Response(status=answer.status_code, body=answer.get_data(), headers=headers)

    # Cognito Identity.

    def _get_id(self, call: Call) -> Mapping[str, Any]:
        pool = self._pool(call.parameters.get("IdentityPoolId", ""))
        logins = call.parameters.get("Logins") or {}
        if COGNITO in logins:
            raise _not_authorized("Invalid login token. Can't pass in a Cognito token.")
        if not logins:
            return {"IdentityId": self._guest(pool).id}
        return {"IdentityId": self._identity_of(pool, self._verify_logins(pool, logins)).id}

    def _get_credentials_for_identity(self, call: Call) -> Mapping[str, Any]:
        identity, claims = self._authenticated_identity(call.parameters)
        pool = identity.pool
        role = pool.authenticated_role if identity.logins else pool.unauthenticated_role
        if wanted := call.parameters.get("CustomRoleArn"):
            if not any(wanted in given.get("cognito:roles", ()) for given in claims.values()):
                raise _not_authorized(f"Access to Role '{wanted}' is forbidden.")
            role = self.roles.get(wanted)
        if role is None:
            raise AwsError(
                "InvalidIdentityPoolConfigurationException",
                "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
            )
        key = self.mint(role.session_arn("CognitoIdentityCredentials"), identity_id=identity.id)
        return {
            "IdentityId": identity.id,
            "Credentials": {
                "AccessKeyId": key.access_key_id,
                "SecretKey": key.secret_access_key,
                "SessionToken": key.session_token,
                "Expiration": key.expires_at.timestamp(),
            },
        }

    def _get_open_id_token(self, call: Call) -> Mapping[str, Any]:
        identity, claims = self._authenticated_identity(call.parameters)
        if not identity.pool.classic_flow:
            raise AwsError(
                "InvalidParameterException", "Basic (classic) flow is not enabled, please use enhanced flow."
            )
        amr = ["authenticated", *claims] if identity.logins else ["unauthenticated"]
        return {"IdentityId": identity.id, "Token": self._open_id_token(identity, amr, timedelta(minutes=10))}

    def _get_open_id_token_for_developer_identity(self, call: Call) -> Mapping[str, Any]:
        pool = self._pool(call.parameters.get("IdentityPoolId", ""))
        logins = call.parameters.get("Logins") or {}
        seconds = int(call.parameters.get("TokenDuration", 900))
        if pool.developer_provider is None or set(logins) != {pool.developer_provider}:
            raise AwsError("InvalidParameterException", "Please provide a valid developer provider")
        _constrain("tokenDuration", seconds, at_least=1, at_most=86_400, code="ValidationException")
        subject = {pool.developer_provider: {"sub": logins[pool.developer_provider]}}
        identity = self._identity_of(pool, subject, call.parameters.get("IdentityId"))
        token = self._open_id_token(identity, ["authenticated", *logins], timedelta(seconds=seconds))
        return {"IdentityId": identity.id, "Token": token}

    def _pool(self, pool_id: str) -> IdentityPool:
        _constrain("identityPoolId", pool_id, r"[\w-]+:[0-9a-f-]+", at_most=55, code="ValidationException")
        if pool_id not in self.pools:
            raise AwsError("ResourceNotFoundException", f"IdentityPool '{pool_id}' not found.")
        return self.pools[pool_id]

    def _guest(self, pool: IdentityPool) -> _Identity:
        if pool.unauthenticated_role is None:
            raise _not_authorized("Unauthenticated access is not supported for this identity pool.")
        identity = _Identity(id=f"{pool.id.partition(':')[0]}:{uuid.uuid4()}", pool=pool)
        self._identities[identity.id] = identity
        return identity

    def _identity_of(
        self, pool: IdentityPool, claims: Mapping[str, Mapping[str, Any]], guest_id: str | None = None
    ) -> _Identity:
        """The identity that has one of these logins; else ``guest_id``'s, or a new one, has them from now on."""
        logins = {(key, given["sub"]) for key, given in claims.items()}
        with self._lock:
            known = (self._by_login.get((pool.id, *login)) for login in sorted(logins))
            identity = next(filter(None, known), None) or self._identities.get(guest_id or "")
            if identity is None:
                identity = _Identity(id=f"{pool.id.partition(':')[0]}:{uuid.uuid4()}", pool=pool)
                self._identities[identity.id] = identity
            identity.logins |= logins
            self._by_login.update({(pool.id, *login): identity for login in logins})
        return identity

    def _authenticated_identity(self, given: Mapping[str, Any]) -> tuple[_Identity, Mapping[str, Mapping[str, Any]]]:
        """Whose keys or token is asked for, and the claims of the logins that prove it (none for a guest)."""
        identity_id, logins = given.get("IdentityId", ""), given.get("Logins") or {}
        _constrain("identityId", identity_id, r"[\w-]+:[0-9a-f-]+", at_most=55, code="ValidationException")
        identity = self._identities.get(identity_id)
        if identity is None:
            raise AwsError("ResourceNotFoundException", f"Identity '{identity_id}' not found.")
        if not logins:
            if identity.logins:
                raise _not_authorized(f"Access to Identity '{identity_id}' is forbidden.")
            if identity.pool.unauthenticated_role is None:
                raise _not_authorized("Unauthenticated access is not supported for this identity pool.")
            return identity, {}
        claims = self._verify_logins(identity.pool, logins)
        if COGNITO in claims:
            if claims[COGNITO]["sub"] != identity_id:
                raise _not_authorized(_OTHER_LOGINS)
            return identity, claims
        if identity.logins and not identity.logins & {(key, of["sub"]) for key, of in claims.items()}:
            raise _not_authorized(_OTHER_LOGINS)
        return self._identity_of(identity.pool, claims, identity_id), claims

    def _verify_logins(self, pool: IdentityPool, logins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """The claims of each login, by logins key."""
        _constrain("logins", len(logins), at_most=10, code="ValidationException")
        return {key: self._verify_login(pool, key, token) for key, token in logins.items()}

    def _verify_login(self, pool: IdentityPool, key: str, token: str) -> dict[str, Any]:
        _constrain("logins", token, at_least=1, at_most=50_000, code="ValidationException")
        if key not in pool.providers and key != COGNITO:
            raise _not_authorized("Token is not from a supported provider of this identity pool.")
        if key not in self.providers:
            login = self.opaque_logins.get((key, token))
            if login is None:
                raise _not_authorized("Invalid login token.")
            if login.expires_at is not None and login.expires_at <= self.now():
                raise _not_authorized("Invalid login token. Token is expired.")
            return {"sub": login.subject}
        provider = self.providers[key]
        try:
            if unverified_claims(token).get("iss") != provider.issuer:
                raise _not_authorized("Invalid login token. Issuer doesn't match providerName")
            return provider.verify(token, now=self.now(), grace=self.clock_grace)
        except TokenRefusedError as refused:
            if refused.reason == "audience" and key.startswith("cognito-idp."):
                raise _not_authorized("Token is not from a supported provider of this identity pool.") from None
            said = _COGNITO_SAYS[refused.reason].format(**refused.times)
            raise _not_authorized(f"Invalid login token. {said}") from None

    def _open_id_token(self, identity: _Identity, amr: list[str], lifetime: timedelta) -> str:
        now = self.now()
        claims = {
            "iss": f"https://{COGNITO}",
            "sub": identity.id,
            "aud": identity.pool.id,
            "amr": amr,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        return jwt.encode(claims, self._own_key(), algorithm="RS512", headers={"kid": "eu-west-11"})

    def _own_key(self) -> rsa.RSAPrivateKey:
        with self._lock:
            self._signing_key = self._signing_key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._signing_key

    def _own_keys(self) -> Mapping[str, Any]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._own_key().public_key(), as_dict=True)
        return {"keys": [{**key, "kid": "eu-west-11"}]}

    # STS.

    def _assume_role_with_web_identity(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        token = given.get("WebIdentityToken", "")
        _constrain("webIdentityToken", token, at_least=4, at_most=20_000)
        if provider_id := given.get("ProviderId"):
            login = self.opaque_logins.get((provider_id, token))
            if login is None or (login.expires_at is not None and login.expires_at <= self.now()):
                raise AwsError("InvalidIdentityToken", "Invalid token")
            name, subject, audience = provider_id, login.subject, ""
        else:
            name, claims = self._verify_web_identity(token)
            audience = claims.get("azp") or claims["aud"]
            subject = claims["sub"]
        role = self.roles.get(given.get("RoleArn", ""))
        trusted = role.trusts.get(name) if role else None
        if role is None or trusted is None or (trusted and audience not in trusted):
            raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        return {
            **self._assumed(role, given, role.longest_session),
            "SubjectFromWebIdentityToken": subject,
            "Audience": audience,
            "Provider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}",
        }

    def _verify_web_identity(self, token: str) -> tuple[str, dict[str, Any]]:
        """Name of the token's provider, and its claims."""
        try:
            issuer = str(unverified_claims(token).get("iss"))
            provider = self.providers.get(issuer.partition("://")[2])
            if provider is None or provider.issuer != issuer:
                raise AwsError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}")
            return provider.name, provider.verify(token, now=self.now(), grace=self.clock_grace)
        except TokenRefusedError as refused:
            code, message = _STS_SAYS[refused.reason]
            raise AwsError(code, message.format(**refused.times)) from None

    def _assume_role(self, call: Call) -> Mapping[str, Any]:
        caller = call.principal or ""
        chained = ":assumed-role/" in caller
        role = self.roles.get(call.parameters.get("RoleArn", ""))
        if role is None or not {"*", caller, _role_arn(caller)} & set(role.principals):
            message = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: "
            raise AwsError("AccessDenied", message + call.parameters.get("RoleArn", ""), 403)
        return self._assumed(
            role, call.parameters, timedelta(hours=1) if chained else role.longest_session, chained=chained
        )

    def _get_caller_identity(self, call: Call) -> Mapping[str, Any]:
        principal = call.principal or ""
        session = f":{principal.rpartition('/')[2]}" if ":assumed-role/" in principal else ""
        return {"Arn": principal, "UserId": _role_id(principal) + session, "Account": ACCOUNT}

    def _assumed(
        self, role: Role, given: Mapping[str, Any], longest: timedelta, *, chained: bool = False
    ) -> dict[str, Any]:
        """Keys for ``role``, once session name, duration and policies are in order."""
        name = given.get("RoleSessionName", "")
        _constrain("roleSessionName", name, r"[\w+=,.@-]*", at_least=2, at_most=64)
        lifetime = min(self.lifetime, longest)
        if "DurationSeconds" in given:
            seconds = int(given["DurationSeconds"])
            shortest = int(self.shortest_session.total_seconds())
            _constrain("durationSeconds", seconds, at_least=shortest, at_most=43_200)
            lifetime = timedelta(seconds=seconds)
        if lifetime > longest:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
                if chained
                else "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        try:
            json.loads(given.get("Policy", "{}"))
        except ValueError:
            raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from None
        key = self.mint(role.session_arn(name), lifetime=lifetime)
        return {
            "Credentials": {
                "AccessKeyId": key.access_key_id,
                "SecretAccessKey": key.secret_access_key,
                "SessionToken": key.session_token,
                "Expiration": f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            },
            "AssumedRoleUser": {"Arn": key.principal, "AssumedRoleId": f"{_role_id(key.principal)}:{name}"},
            "PackedPolicySize": len(given.get("Policy", "")) * 100 // 2048,
        }


def _not_authorized(message: str) -> AwsError:
    return AwsError("NotAuthorizedException", message)


def _constrain(
    name: str,
    value: str | int,
    pattern: str | None = None,
    *,
    at_least: int = 0,
    at_most: int,
    code: str = "ValidationError",
) -> None:
    """AWS's validation of one parameter: the length of a text and its pattern, or the size of a number."""
    size, what = (value, "value") if isinstance(value, int) else (len(value), "length")
    problem = None
    if size < at_least:
        problem = f"Member must have {what} greater than or equal to {at_least}"
    elif size > at_most:
        problem = f"Member must have {what} less than or equal to {at_most}"
    elif pattern is not None and not re.fullmatch(pattern, str(value)):
        problem = f"Member must satisfy regular expression pattern: {pattern}"
    if problem is not None:
        shown = "Value " if "oken" in name or name == "logins" else f"Value '{value}' "  # a token is not repeated
        raise AwsError(code, f"1 validation error detected: {shown}at '{name}' failed to satisfy constraint: {problem}")


def _role_arn(session_arn: str) -> str:
    """The ARN of the role that ``session_arn`` is a session of."""
    return session_arn.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]


def _role_id(principal: str) -> str:
    """An id that is the same for each session of a role, as ``AROA…`` is."""
    digest = hashlib.sha256((_role_arn(principal) or principal).encode()).digest()
    return ("AROA" if ":assumed-role/" in principal else "AIDA") + base64.b32encode(digest).decode()[:17]


def _protocol_of(operation: str) -> str:
    """How the operation's service speaks: ``s3`` and other REST services by their call's name, ``query``, ``json``."""
    if ":" in operation:
        return operation.partition(":")[0]
    return "query" if operation.startswith("Assume") or operation == "GetCallerIdentity" else "json"


def _error_response(error: AwsError, protocol: str, headers: Mapping[str, str], *, head: bool = False) -> Response:
    code, message = escape(error.code), escape(error.message)
    if protocol == "query":
        body = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return _xml_response(body, "Error", status=error.status, headers=headers)
    if protocol == "s3":
        xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
        body_bytes = b"" if head else xml.encode()
        return Response(status=error.status, body=body_bytes, headers={"Content-Type": "application/xml", **headers})
    answer = _json_response({"__type": error.code, "message": error.message}, status=error.status)
    return Response(
        status=answer.status, body=answer.body, headers={**answer.headers, "x-amzn-ErrorType": error.code, **headers}
    )


def _json_response(result: Mapping[str, Any], *, status: int = 200) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(status=status, body=json.dumps(result).encode(), headers=headers)


def _xml_response(
    content: str, operation: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    request_id = str(uuid.uuid4())
    tail = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    if operation == "Error":
        tail = f"<RequestId>{request_id}</RequestId>"
    root = f"{operation}Response"
    body = f'<{root} xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{content}{tail}</{root}>'
    given = {"Content-Type": "text/xml", "x-amzn-RequestId": request_id, **(headers or {})}
    return Response(status=status, body=body.encode(), headers=given)


def _xml(value: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml(inner) if isinstance(inner, Mapping) else escape(str(inner))}</{name}>"
        for name, inner in value.items()
    )
