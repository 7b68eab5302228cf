"""Any OpenID provider, asked as a public client, or as one with a secret that is none.

Discovery (OpenID Connect Discovery 1.0), the token endpoint (RFC 6749), device code (RFC 8628), revocation (RFC 7009)
and logout (OpenID Connect RP-Initiated Logout 1.0).  The requests are Authlib's, which is imported with the first.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.openid.client import AuthorizationRequest
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.openid.connection import Connection, json_object
from jupyter_federation.openid.discovery import Endpoints, document_of
from jupyter_federation.openid.refusal import shown
from jupyter_federation.redaction import Secret, masked
from jupyter_federation.sign_in.rung import Tokens

T = TypeVar("T")

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderSettings:
    """Which provider, and as which client.

    ``scopes`` come on top of openid; None: what is asked for by default.  ``parameters`` are added to the
    authorization request.  ``ca_bundle`` is a file of certificates (PEM); without it, REQUESTS_CA_BUNDLE counts.
    ``how_to_renew`` as in `OpenIdClient`, where it is not by offline_access.
    """

    issuer: str
    client_id: str
    client_secret: ClientSecret | None = None
    scopes: tuple[str, ...] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None
    how_to_renew: str | None = None


class Provider:
    """One provider as one client (an `OpenIdClient`); the discovery document is read once, with the first request."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self._connection = Connection(provider=settings.issuer, ca_bundle=settings.ca_bundle)
        self._endpoints: Endpoints | None = None
        self.issuer = settings.issuer
        self.client_id = settings.client_id
        by_scope = f"have offline_access allowed for {self.client_id} and asked for (`scopes`)"
        self.how_to_renew = settings.how_to_renew or by_scope

    def settle_issuer(self) -> None:
        """Nothing: it is configured."""

    def loopback(self, port: int) -> str:
        """See `SignIn.loopback`."""
        return f"http://127.0.0.1:{port}/"

    def endpoints(self) -> Endpoints:
        """The discovery document; its issuer is compared exactly (OpenID Connect Discovery 1.0, section 4.3)."""
        if self._endpoints is None:
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

            def get(client: Any, how: dict[str, Any]) -> Mapping[str, Any]:
                answer = client.get(address, withhold_token=True, **how)
                return document_of(answer, self._connection, settings="`issuer`")

            document = self._ask(get, as_the_client=False)
            if document["issuer"] != self.issuer:
                raise ConfigurationError(
                    f"`issuer` is {self.issuer}, and the provider calls itself {shown(document['issuer'])}.",
                    fix="Write the provider's own spelling into `issuer`, to the last slash, if you trust it.",
                    issuer=self.issuer,
                    finding="issuer-spelled-differently",
                )
            self._endpoints = Endpoints.read(document, self._connection)
        return self._endpoints

    def scope(self) -> str:
        """The scopes to ask for; by default offline_access is among them, where the provider does not rule it out."""
        scopes = self.settings.scopes
        if scopes is None:
            known = self.endpoints().scopes
            scopes = ("profile", "email", "offline_access")
            scopes = scopes if known is None else tuple(each for each in scopes if each in known)
        return " ".join(dict.fromkeys(("openid", *scopes)))

    def authorization_request(self, redirect_uri: str) -> AuthorizationRequest:
        """See `OpenIdClient.authorization_request`."""
        state, nonce = Secret(secrets.token_urlsafe(32)), Secret(secrets.token_urlsafe(32))
        verifier = Secret(secrets.token_urlsafe(48))  # 64 characters; RFC 7636 wants 43 to 128
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        endpoint, scope = self.endpoints().authorization, self.scope()
        query = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            # OpenID Connect Core 1.0, section 11: without consent there is no offline access.
            **({"prompt": "consent"} if "offline_access" in scope.split() else {}),
            **self.settings.parameters,
        }
        return AuthorizationRequest(
            address=f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}",
            state=state,
            nonce=nonce,
            redeem=lambda code: self._tokens(
                "authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier
            ),
        )

    def redeem_device_code(self, code: str) -> Tokens:
        """See `OpenIdClient.redeem_device_code`."""
        return self._tokens(DEVICE_CODE, device_code=code)

    def refresh(self, refresh_token: str) -> Tokens:
        """See `OpenIdClient.refresh`."""
        return self._tokens("refresh_token", refresh_token=refresh_token)

    def device_authorization(self) -> Mapping[str, Any] | None:
        """See `OpenIdClient.device_authorization`."""
        address = self.endpoints().device_authorization
        if address is None:
            return None
        form = {"scope": self.scope()}

        def post(client: Any, how: dict[str, Any]) -> Mapping[str, Any]:
            auth = client.client_auth(client.token_endpoint_auth_method)
            return json_object(client.post(address, data=form, auth=auth, withhold_token=True, **how))

        answer = self._ask(post)
        if "error" in answer:
            raise self._connection.refusal(answer["error"], answer.get("error_description"))
        return answer

    def revoke(self, refresh_token: str) -> bool:
        """See `OpenIdClient.revoke`."""
        address = self.endpoints().revocation
        if address is None:
            return False
        answer = self._ask(
            lambda client, how: client.revoke_token(
                address, token=refresh_token, token_type_hint="refresh_token", **how
            )
        )
        return bool(answer.status_code == 200)  # noqa: PLR2004 - RFC 7009, section 2.2

    def _tokens(self, grant_type: str, **form: str) -> Tokens:
        address = self.endpoints().token
        answer = self._ask(
            lambda client, how: masked(client.fetch_token(address, grant_type=grant_type, **form, **how))
        )
        return self._connection.tokens(answer)

    def _ask(self, request: Callable[[Any, dict[str, Any]], T], *, as_the_client: bool = True) -> T:
        """What ``request(client, options)`` gives; without the client's secret unless it is asked ``as_the_client``."""
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.requests_client import OAuth2Session

        place = self.settings.client_secret if as_the_client else None
        method: str | Callable[..., Any] = "none"
        if place is not None:
            method = "client_secret_post" if self.endpoints().secret_in_body else _basic

        def session() -> Any:
            return OAuth2Session(  # type: ignore[no-untyped-call]
                self.client_id,
                None if place is None else place.read(),
                token_endpoint_auth_method=method,
                revocation_endpoint_auth_method=method,
            )

        def meaning(error: Exception) -> Exception | None:
            return self._connection.refusal(error.error, error.description) if isinstance(error, OAuthError) else None

        return self._connection.ask(session, lambda client: request(client, self._connection.options), meaning)


def _basic(client: Any, method: str, uri: str, headers: Any, body: str) -> tuple[str, Any, str]:  # noqa: ARG001 - Authlib's
    """HTTP Basic (RFC 6749, section 2.3.1); Authlib's own leaves out the encoding of the two."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body
