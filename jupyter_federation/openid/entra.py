"""Microsoft Entra ID, by way of msal, which is imported with the first request.

What msal does here is to build the requests; docs/decisions/0010-entra.md says why, and why nothing of it is kept from
one request to the next: its application object caches tokens for good, failures for a minute, discovery for a day.
"""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jupyter_federation.errors import ConfigurationError, InvalidTokenError
from jupyter_federation.openid.client import AuthorizationRequest
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.openid.connection import Connection, json_object
from jupyter_federation.openid.discovery import Endpoints, document_of
from jupyter_federation.openid.refusal import shown
from jupyter_federation.redaction import Secret, masked
from jupyter_federation.sign_in.rung import OutOfReachError, Tokens

PUBLIC_CLOUD = "https://login.microsoftonline.com"

_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN_SCOPES = ("openid", "profile", "offline_access")  # msal asks for these itself, and takes nobody else's


@dataclass(frozen=True, kw_only=True, slots=True)
class EntraSettings:
    """Which tenant, and as which application.

    ``tenant`` is its id or one of its domains; ``authority`` is the cloud's address.  ``scopes`` come on top of openid,
    profile and offline_access.  With ``client_secret`` it is a confidential client.  ``ca_bundle`` as in
    `ProviderSettings`.
    """

    tenant: str
    client_id: str
    authority: str = PUBLIC_CLOUD
    client_secret: ClientSecret | None = None
    scopes: tuple[str, ...] = ()
    ca_bundle: str | None = None


class Entra:
    """One tenant's application (an `OpenIdClient`); the discovery document is read once, with the first request."""

    def __init__(self, settings: EntraSettings) -> None:
        self.settings = settings
        self.client_id = settings.client_id
        self.how_to_renew = f"have offline_access allowed for {self.client_id}"
        self.tenant = settings.tenant.lower()  # neither an id nor a domain has capitals that count
        self.authority = f"{settings.authority.rstrip('/')}/{self.tenant}"
        self.scopes = [scope for scope in settings.scopes or () if scope not in _OWN_SCOPES]
        self._connection = Connection(provider=f"{self.authority}/v2.0", ca_bundle=settings.ca_bundle)
        self._discovered: tuple[Endpoints, Any] | None = None  # and the answer in which they came

    @property
    def issuer(self) -> str:
        """By the tenant's id once Entra has been asked; until then by what the profile calls it."""
        return self._connection.provider if self._discovered is None else self._discovered[0].issuer

    def settle_issuer(self) -> None:
        """Discovery alone knows the id, and with it the issuer, of a domain's tenant."""
        if not re.fullmatch(_GUID, self.tenant):
            self.endpoints()

    def loopback(self, port: int) -> str:
        """Registered as http://localhost, any port goes; 127.0.0.1 cannot be typed in."""
        return f"http://localhost:{port}"

    def authorization_request(self, redirect_uri: str) -> AuthorizationRequest:
        """See `OpenIdClient.authorization_request`; nonce and verifier are msal's."""
        flow = self._asked(lambda application: _flow(application, self.scopes, redirect_uri))
        address = str.__str__(flow["auth_uri"])

        def redeem(code: str) -> Tokens:
            given = {"code": code, "state": flow["state"]}
            return self._tokens(lambda application: application.acquire_token_by_auth_code_flow(dict(flow), given))

        return AuthorizationRequest(
            address=address,
            state=flow["state"],
            nonce=Secret(parse_qs(urlsplit(address).query)["nonce"][0]),  # the flow's own is what this is the hash of
            redeem=redeem,
        )

    def device_authorization(self) -> Mapping[str, Any] | None:
        """See `OpenIdClient.device_authorization`."""
        if self.endpoints().device_authorization is None:
            return None
        if self.settings.client_secret is not None:
            raise OutOfReachError("Entra gives a client with a secret no device code.", fix="Choose another way.")
        answer = self._asked(lambda application: application.initiate_device_flow(self.scopes))
        if "error" in answer:
            raise self._connection.refusal(answer["error"], answer.get("error_description"))
        return answer

    def redeem_device_code(self, code: str) -> Tokens:
        """See `OpenIdClient.redeem_device_code`."""
        # msal asks once where the flow has expired; with an interval of 0, which a provider may give, it never stops.
        flow = {"device_code": code, "expires_at": 0, "interval": 1}
        return self._tokens(lambda application: application.acquire_token_by_device_flow(flow))

    def refresh(self, refresh_token: str) -> Tokens:
        """See `OpenIdClient.refresh`."""
        return self._tokens(lambda application: application.acquire_token_by_refresh_token(refresh_token, self.scopes))

    def revoke(self, refresh_token: str) -> bool:  # noqa: ARG002 - the protocol's
        """False: Entra has no revocation endpoint."""
        return False

    def endpoints(self) -> Endpoints:
        """The discovery document.  Raises ConfigurationError where its issuer is not this tenant's."""
        if self._discovered is None:
            address = f"{self.authority}/v2.0/.well-known/openid-configuration"
            self._discovered = self._over_the_wire(lambda wire: self._checked(wire.fetch(address)))
        return self._discovered[0]

    def _tokens(self, request: Callable[[Any], Mapping[str, Any]]) -> Tokens:
        """What ``request(application)`` gives of the token endpoint."""
        return self._connection.tokens(self._asked(request))

    def _asked(self, request: Callable[[Any], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What ``request(application)`` gives, of an msal application that lives as long as the request."""
        self.endpoints()
        answer: Mapping[str, Any] = self._over_the_wire(lambda wire: masked(request(self._application(wire))))
        return answer

    def _application(self, wire: _Wire) -> Any:
        """A new one; its constructor asks for the discovery document, and is given the one that was checked."""
        import msal

        secret = self.settings.client_secret
        how: dict[str, Any] = {
            "authority": self.authority,
            "http_client": wire,
            "token_cache": _no_token_cache(),
            "instance_discovery": False,  # it would ask Microsoft about hosts that are not Microsoft's
        }
        if secret is None:
            return msal.PublicClientApplication(self.client_id, **how)
        return msal.ConfidentialClientApplication(self.client_id, client_credential=secret.read(), **how)

    def _over_the_wire(self, request: Callable[[_Wire], Any]) -> Any:
        """What ``request(wire)`` gives."""
        import requests

        def meaning(error: Exception) -> Exception | None:
            if not isinstance(error, RuntimeError) or isinstance(error, RecursionError):
                return None
            return InvalidTokenError(  # msal's own check of the nonce
                f"The ID token that {self.issuer} gave was made for another sign-in (nonce); it was not used.",
                fix="Sign in again; if it stays, tell your administrator.",
            )

        def send(session: requests.Session) -> Any:
            return request(_Wire(session, self._connection.options, self._discovered))

        return self._connection.ask(requests.Session, send, meaning)

    def _checked(self, answer: Any) -> tuple[Endpoints, Any]:
        """What discovery says, if the issuer is on the authority's host and names one tenant: this one."""
        settings = "`tenant` and, outside the public cloud, `authority`"
        document = document_of(answer, self._connection, settings=settings)
        issuer = str(document["issuer"])
        if "{tenantid}" in issuer:
            raise ConfigurationError(
                f"`tenant` is {self.settings.tenant}, which stands for many, and AWS trusts one issuer at a time.",
                fix="Name the company's own tenant: its id, or one of its domains.",
                finding="tenant-unknown",
            )
        here, there = urlsplit(self.settings.authority), urlsplit(issuer)
        tenant = re.fullmatch(rf"/({_GUID})/v2\.0", there.path)
        same_host = (here.scheme, here.netloc.lower()) == (there.scheme, there.netloc.lower())
        if not same_host or tenant is None or (re.fullmatch(_GUID, self.tenant) and tenant[1] != self.tenant):
            raise ConfigurationError(
                f"The tenant {self.settings.tenant} at {self.settings.authority} calls itself {shown(issuer)}, "
                "which is not how Entra names it there.",
                fix="Check `tenant` and `authority`; Entra External ID and B2C go by `source: oidc` with an `issuer`.",
                issuer=self._connection.provider,
                finding="tenant-unknown",
            )
        return Endpoints.read(document, self._connection), answer


class _Wire:
    """What msal sends its requests by: each with its own time limit and trust, and none of them redirected."""

    def __init__(self, session: Any, options: Mapping[str, Any], discovered: tuple[Endpoints, Any] | None) -> None:
        self._session = session
        self._options = options
        self._discovered = discovered

    def fetch(self, url: str) -> Any:
        """The answer to a request of our own."""
        return self._session.get(url, **self._options)

    def get(self, url: str, **_: Any) -> Any:
        """The discovery document, which is all that msal gets here, as it was checked."""
        if self._discovered is None:
            raise ValueError(url)
        return self._discovered[1]

    def post(self, url: str, *, data: Any = None, headers: Any = None, **_: Any) -> Any:
        """The answer, if it is one of OAuth's: of any other, msal would log the text or remember the failure."""
        answer = self._session.post(url, data=data, headers=headers, **self._options)
        if answer.status_code >= 500:  # noqa: PLR2004 - HTTP's
            answer.raise_for_status()
        json_object(answer)
        return answer

    def close(self) -> None:
        """The session is its owner's."""


def _flow(application: Any, scopes: list[str], redirect_uri: str) -> Mapping[str, Any]:
    """Msal's flow: its address, state, nonce and verifier."""
    with warnings.catch_warnings():
        # It is for form_post, which a Jupyter server refuses (Origin: null) and a pasted address cannot hold.
        warnings.simplefilter("ignore")
        flow: Mapping[str, Any] = application.initiate_auth_code_flow(
            scopes, redirect_uri=redirect_uri, response_mode="query", state=secrets.token_urlsafe(32)
        )
    return flow


def _no_token_cache() -> Any:
    """A cache that keeps nothing: the refresh token has one owner, and msal's would log each person's claims."""
    import msal

    class NoTokenCache(msal.TokenCache):  # type: ignore[misc]
        def add(self, event: Any, now: Any = None) -> None:
            """Nothing."""

    return NoTokenCache()
