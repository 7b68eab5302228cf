"""A small OpenID provider: for the demo, and for tests of whole sign-ins.

Authorization code with PKCE (RFC 7636, S256 only) and ``iss`` in the redirect (RFC 9207), refresh tokens that rotate
and whose reuse ends the grant, device code (RFC 8628), revocation (RFC 7009), RP-initiated logout, discovery and
JWKS.  Clients are public unless they have a secret; a native client may use any loopback redirect URI (RFC 8252).

What it leaves out, because it is a demo: passwords (whoever sits in front of it picks a user), consent, userinfo, and
any memory beyond its process.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from tornado.httputil import HTTPServerRequest

from jupyter_federation.demo.loopback import Call, LoopbackServer, Response, fields
from jupyter_federation.demo.pages import login_page, page

DEMO_USERS: Mapping[str, Mapping[str, Any]] = {
    "ada": {"sub": "10f2c1d4-ada", "name": "Ada Lovelace", "email": "ada@example.org"},
    "grace": {"sub": "7b9de0a3-grace", "name": "Grace Hopper", "email": "grace@example.org"},
}
"""Demo users and the claims of their ID tokens."""

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[^\s#]*)?")
_ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
_CODE_LIFETIME = timedelta(minutes=1)
_DEVICE_CODE_LIFETIME = timedelta(minutes=10)
_KEY_ID = "demo-1"
_COOKIE = "demo_session"


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """A registered application; ``redirect_uris`` come on top of the loopback ones."""

    client_id: str
    redirect_uris: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)

    def allows(self, redirect_uri: str) -> bool:
        """Whether a code may be sent there."""
        return redirect_uri in self.redirect_uris or _LOOPBACK.fullmatch(redirect_uri) is not None


@dataclass(kw_only=True, eq=False)
class _Grant:
    """What one sign-in gave one client; revoking it ends its code and all of its refresh tokens."""

    client_id: str
    user: str
    scope: str
    signed_in_at: datetime
    nonce: str | None = None
    revoked: bool = False
    refresh_token: str | None = field(default=None, repr=False)  # the only one that is still good


@dataclass(kw_only=True, eq=False)
class _Code:
    grant: _Grant
    redirect_uri: str
    challenge: str
    expires_at: datetime
    used: bool = False


@dataclass(kw_only=True, eq=False)
class _Device:
    client_id: str
    scope: str
    user_code: str
    expires_at: datetime
    interval: int  # seconds
    polled_at: datetime | None = None
    user: str | None = None
    denied: bool = False


class _OAuthError(Exception):
    """An error answer of RFC 6749, section 5.2."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


class IdentityProvider(LoopbackServer):
    """The provider; its calls are named by endpoint: ``discovery``, ``jwks``, ``authorize``, ``token`` and so on.

    ``path`` follows the host in the issuer ("" or "/tenant/v2.0").  Without ``refresh_gives_id_token`` it is one of
    those whose refresh answers hold none.  ``device_interval`` is in seconds.  ``aliases`` are further paths under
    which the discovery document is found, as a tenant of Entra's is under its domains.
    """

    def __init__(
        self,
        *,
        path: str = "",
        clients: Iterable[Client] = (Client(client_id="notebook"),),
        users: Mapping[str, Mapping[str, Any]] = DEMO_USERS,
        id_token_lifetime: timedelta = timedelta(hours=1),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(port=port, tls=tls)
        self.path = path
        self.clients = {client.client_id: client for client in clients}
        self.users = dict(users)
        self.id_token_lifetime = id_token_lifetime
        self.refresh_gives_id_token = True
        self.device_interval = 5
        self.aliases: tuple[str, ...] = ()
        self._endpoints: Mapping[str, tuple[str, Callable[[Call], Response]]] = {  # name → path, answer
            "discovery": ("/.well-known/openid-configuration", self._discovery),
            "jwks": ("/jwks", lambda _call: _json(self.jwks())),
            "authorize": ("/authorize", self._authorize),
            "token": ("/token", self._token),
            "device_authorization": ("/device_authorization", self._device_authorization),
            "device": ("/device", self._device),
            "revoke": ("/revoke", self._revoke),
            "end_session": ("/end_session", self._end_session),
        }
        self._lock = threading.Lock()
        self._forget_everyone()

    def _forget_everyone(self) -> None:
        self._codes: dict[str, _Code] = {}
        self._grants: dict[str, _Grant] = {}  # by each refresh token that was ever issued
        self._devices: dict[str, _Device] = {}  # by device code
        self._browsers: dict[str, str] = {}  # cookie → user

    def reset(self) -> None:
        """Forget calls, faults, codes, grants and browser sessions, and set the clock right."""
        super().reset()
        self._forget_everyone()

    # What tests and the demo call directly.

    @property
    def issuer(self) -> str:
        """The ``iss`` of every token; known once the server has started."""
        return self.url + self.path

    def jwks(self) -> dict[str, Any]:
        """The public key, as a JSON Web Key Set (RFC 7517)."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(_key("ours").public_key(), as_dict=True)
        return {"keys": [{**key, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}

    def id_token(
        self, user: str, *, client_id: str = "notebook", lifetime: timedelta | None = None, **claims: Any
    ) -> str:
        """An ID token for ``user`` without a sign-in; ``claims`` replace or add, None removes one."""
        return self._sign(self._id_claims(user, client_id, lifetime) | claims)

    def forged_id_token(self, user: str, **claims: Any) -> str:
        """The same for the client notebook, signed by a key that is not this provider's, under its key id."""
        return self._sign(self._id_claims(user, "notebook", None) | claims, whose="a forger's")

    def access_token(self, user: str, *, client_id: str = "notebook") -> str:
        """An access token: a JWT with ``client_id`` and without ``aud``, as a Cognito user pool's is."""
        own = {
            "sub": self.users[user]["sub"],
            "client_id": client_id,
            "jti": secrets.token_hex(8),
            "token_use": "access",
        }
        return self._sign(self._times(_ACCESS_TOKEN_LIFETIME) | own)

    def revoke_all(self) -> None:
        """End every grant and browser session, as an administrator does."""
        for grant in self._grants.values():
            grant.revoked = True
        self._browsers.clear()

    def _times(self, lifetime: timedelta) -> dict[str, Any]:
        now = self.now()
        return {"iss": self.issuer, "iat": int(now.timestamp()), "exp": int((now + lifetime).timestamp())}

    def _id_claims(self, user: str, client_id: str, lifetime: timedelta | None) -> dict[str, Any]:
        return {
            **self._times(lifetime or self.id_token_lifetime),
            **self.users[user],
            "aud": client_id,
            "preferred_username": user,
        }

    def _sign(self, claims: Mapping[str, Any], *, whose: str = "ours") -> str:
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, _key(whose), algorithm="RS256", headers={"kid": _KEY_ID})

    # The endpoints.

    def receive(self, request: HTTPServerRequest) -> Call:
        """A call named after its endpoint, with query and form as parameters."""
        names = {self.path + path: name for name, (path, _answer) in self._endpoints.items()}
        path, _answer = self._endpoints["discovery"]
        names |= {alias + path: "discovery" for alias in self.aliases}
        name = names.get(request.path, "unknown")
        return Call(operation=name, parameters=fields(request.query) | fields(request.body), request=request)

    def answer(self, call: Call) -> Response:
        """The endpoint's answer; an OAuth error becomes its JSON (RFC 6749, section 5.2)."""
        if call.operation not in self._endpoints:
            return page("Not found", "<p>There is nothing at this address.</p>", status=404)
        _path, answer = self._endpoints[call.operation]
        try:
            with self._lock:  # codes and refresh tokens are single-use
                return answer(call)
        except _OAuthError as error:
            call.error = error.code
            return _json({"error": error.code, "error_description": error.description}, status=400)

    def _discovery(self, _call: Call) -> Response:
        endpoint = {name: self.issuer + path for name, (path, _answer) in self._endpoints.items()}
        return _json(
            {
                "issuer": self.issuer,
                "authorization_endpoint": endpoint["authorize"],
                "token_endpoint": endpoint["token"],
                "jwks_uri": endpoint["jwks"],
                "device_authorization_endpoint": endpoint["device_authorization"],
                "revocation_endpoint": endpoint["revoke"],
                "end_session_endpoint": endpoint["end_session"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_CODE],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "authorization_response_iss_parameter_supported": True,
                "prompt_values_supported": ["none", "login", "select_account", "consent"],
            }
        )

    def _authorize(self, call: Call) -> Response:
        """OpenID Connect Core 1.0, section 3.1.2; the login form posts back to the same URL."""
        given = call.parameters
        client = self.clients.get(given.get("client_id", ""))
        redirect_uri = given.get("redirect_uri", "")
        if client is None or not client.allows(redirect_uri):  # never send anybody to an address that is not known
            return page("This sign-in cannot work", "<p>Unknown client_id or redirect_uri.</p>", status=400)
        back = {**_state(given), "iss": self.issuer}
        if problem := _unfit(given):
            return _redirect(redirect_uri, back | {"error": "invalid_request", "error_description": problem})
        prompts = set(given.get("prompt", "").split())
        headers = {}
        if call.request.method == "POST":
            user = given.get("user", "")
            if user not in self.users:
                return _redirect(redirect_uri, back | {"error": "access_denied"})
            browser = secrets.token_urlsafe(16)
            self._browsers[browser] = user
            headers["Set-Cookie"] = f"{_COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax"
        else:
            user = self._browsers.get(_cookie(call.request), "")
            if not user and "none" in prompts:
                return _redirect(redirect_uri, back | {"error": "login_required"})
            if not user or prompts & {"login", "select_account"}:
                return login_page(self.users, f"Sign in to {client.client_id}")
        grant = _Grant(
            client_id=client.client_id,
            user=user,
            scope=given["scope"],
            signed_in_at=self.now(),
            nonce=given.get("nonce"),
        )
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(
            grant=grant,
            redirect_uri=redirect_uri,
            challenge=given["code_challenge"],
            expires_at=self.now() + _CODE_LIFETIME,
        )
        return _redirect(redirect_uri, {"code": code, **back}, headers)

    def _token(self, call: Call) -> Response:
        """RFC 6749, section 3.2."""
        given = call.parameters
        client = self._client(given)
        grant_type = given.get("grant_type")
        if grant_type == "authorization_code":
            grant = self._redeem_code(client, given)
        elif grant_type == "refresh_token":
            grant = self._redeem_refresh_token(client, given)
        elif grant_type == DEVICE_CODE:
            grant = self._redeem_device_code(client, given)
        else:
            raise _OAuthError("unsupported_grant_type", "authorization_code, refresh_token or device_code")
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": self.access_token(grant.user, client_id=client.client_id),
            "expires_in": int(_ACCESS_TOKEN_LIFETIME.total_seconds()),
            "scope": grant.scope,
        }
        if grant_type != "refresh_token" or self.refresh_gives_id_token:
            nonce = grant.nonce if grant_type == "authorization_code" else None  # OpenID Connect Core 1.0, 12.2
            auth_time = int(grant.signed_in_at.timestamp())
            answer["id_token"] = self.id_token(grant.user, client_id=client.client_id, nonce=nonce, auth_time=auth_time)
        if "offline_access" in grant.scope.split():
            answer["refresh_token"] = grant.refresh_token = secrets.token_urlsafe(32)
            self._grants[grant.refresh_token] = grant
        return _json(answer)

    def _redeem_code(self, client: Client, given: Mapping[str, str]) -> _Grant:
        code = self._codes.get(given.get("code", ""))
        if code is None or code.grant.client_id != client.client_id:
            raise _OAuthError("invalid_grant", "unknown code")
        if code.used:
            code.grant.revoked = True
            raise _OAuthError("invalid_grant", "the code was used before; what it gave is revoked")
        code.used = True
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not secrets.compare_digest(challenge, code.challenge):
            raise _OAuthError("invalid_grant", "code_verifier does not fit code_challenge")
        if given.get("redirect_uri") != code.redirect_uri:
            raise _OAuthError("invalid_grant", "redirect_uri is not the one of the authorization request")
        if code.expires_at <= self.now():
            raise _OAuthError("invalid_grant", "the code has expired")
        return code.grant

    def _redeem_refresh_token(self, client: Client, given: Mapping[str, str]) -> _Grant:
        token = given.get("refresh_token", "")
        grant = self._grants.get(token)
        if grant is None or grant.client_id != client.client_id or grant.revoked:
            raise _OAuthError("invalid_grant", "unknown or revoked refresh token")
        if token != grant.refresh_token:
            grant.revoked = True
            raise _OAuthError("invalid_grant", "the refresh token was used before; its grant is revoked")
        return grant

    def _redeem_device_code(self, client: Client, given: Mapping[str, str]) -> _Grant:
        """RFC 8628, section 3.5."""
        device = self._devices.get(given.get("device_code", ""))
        if device is None or device.client_id != client.client_id:
            raise _OAuthError("invalid_grant", "unknown device code")
        now = self.now()
        polled_at, device.polled_at = device.polled_at, now
        if device.expires_at <= now:
            raise _OAuthError("expired_token", "the device code has expired")
        if device.denied:
            raise _OAuthError("access_denied", "the user said no")
        if polled_at is not None and now - polled_at < timedelta(seconds=device.interval):
            device.interval += 5
            raise _OAuthError("slow_down", f"poll every {device.interval} seconds")
        if device.user is None:
            raise _OAuthError("authorization_pending", "the user has not answered yet")
        del self._devices[given["device_code"]]
        return _Grant(client_id=client.client_id, user=device.user, scope=device.scope, signed_in_at=now)

    def _device_authorization(self, call: Call) -> Response:
        """RFC 8628, section 3.1."""
        client = self._client(call.parameters)
        letters = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(8))
        device_code = secrets.token_urlsafe(32)
        device = self._devices[device_code] = _Device(
            client_id=client.client_id,
            scope=call.parameters.get("scope", "openid"),
            user_code=f"{letters[:4]}-{letters[4:]}",
            expires_at=self.now() + _DEVICE_CODE_LIFETIME,
            interval=self.device_interval,
        )
        page = f"{self.issuer}/device"
        return _json(
            {
                "device_code": device_code,
                "user_code": device.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={device.user_code}",
                "expires_in": int(_DEVICE_CODE_LIFETIME.total_seconds()),
                "interval": device.interval,
            }
        )

    def _device(self, call: Call) -> Response:
        """The page on which a person types the device's code and picks a user."""
        typed = call.parameters.get("user_code", "")
        if call.request.method == "POST":
            for device in self._devices.values():
                if device.user_code == typed.upper() and device.user is None:
                    device.user = call.parameters.get("user") if call.parameters.get("user") in self.users else None
                    device.denied = device.user is None
                    said = "You are signed in. Go back to the notebook." if device.user else "Refused, as you wished."
                    return page("Done", f"<p>{said}</p>")
            return page("No such code", "<p>The code is unknown, used, or too old.</p>", status=400)
        return login_page(self.users, "Sign in to the device that shows this code", user_code=typed)

    def _revoke(self, call: Call) -> Response:
        """RFC 7009: an unknown token is no error."""
        self._client(call.parameters)
        if grant := self._grants.get(call.parameters.get("token", "")):
            grant.revoked = True
        return Response()

    def _end_session(self, call: Call) -> Response:
        """OpenID Connect RP-Initiated Logout 1.0; ends the browser's session, not the grants."""
        self._browsers.pop(_cookie(call.request), None)
        after = call.parameters.get("post_logout_redirect_uri", "")
        if any(client.allows(after) for client in self.clients.values()):
            return _redirect(after, _state(call.parameters))
        return page("Signed out", "<p>The identity provider has forgotten this browser.</p>")

    def _client(self, given: Mapping[str, str]) -> Client:
        client = self.clients.get(given.get("client_id", ""))
        if client is None or (client.secret is not None and given.get("client_secret") != client.secret):
            raise _OAuthError("invalid_client", "unknown client_id, or wrong client_secret")
        return client


@functools.cache
def _key(_whose: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _unfit(given: Mapping[str, str]) -> str | None:
    """What is wrong with an authorization request, or None."""
    if given.get("response_type") != "code":
        return "response_type must be code"
    if given.get("response_mode", "query") != "query":
        return "response_mode must be query"
    if "openid" not in given.get("scope", "").split():
        return "scope must hold openid"
    if not given.get("code_challenge") or given.get("code_challenge_method") != "S256":
        return "PKCE is required: code_challenge with code_challenge_method S256"
    return None


def _state(given: Mapping[str, str]) -> dict[str, str]:
    """``state``, which goes back as it came, where it came."""
    return {"state": given["state"]} if "state" in given else {}


def _cookie(request: HTTPServerRequest) -> str:
    morsel = request.cookies.get(_COOKIE)
    return morsel.value if morsel else ""


def _json(value: Any, *, status: int = 200) -> Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Response(status=status, body=json.dumps(value).encode(), headers=headers)


def _redirect(uri: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Response:
    separator = "&" if "?" in uri else "?"
    target = f"{uri}{separator}{urlencode(query)}" if query else uri
    return Response(status=302, headers={"Location": target, "Cache-Control": "no-store", **(headers or {})})
