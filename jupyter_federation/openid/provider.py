"""Any OpenID provider, asked as a public client, or as one with a secret that is none.

Discovery (OpenID Connect Discovery 1.0), the token endpoint (RFC 6749), device code (RFC 8628), revocation (RFC 7009)
and logout (OpenID Connect RP-Initiated Logout 1.0).  The requests are Authlib's, which is imported with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from jupyter_federation.errors import ConfigurationError, LoginFailedError
from jupyter_federation.openid.authorization import Authorization
from jupyter_federation.openid.client import REFUSALS, RefusedError, Tokens, refused, shown
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.openid.connection import Connection, json_object, masked
from jupyter_federation.openid.device import SLOW_DOWN, device_code
from jupyter_federation.openid.discovery import Endpoints
from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.rung import DeviceCode, OutOfReachError, SignIn

T = TypeVar("T")

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderSettings:
    """Which provider, and as which client.

    ``scopes`` come on top of openid; None: what is asked for by default.  ``parameters`` are added to the
    authorization request.  ``ca_bundle`` is a file of certificates (PEM); without it, REQUESTS_CA_BUNDLE counts.
    """

    issuer: str
    client_id: str
    client_secret: ClientSecret | None = None
    scopes: tuple[str, ...] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None


class Provider:
    """One provider as one client (an `OpenIdClient`); the discovery document is read once, with the first request."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self._connection = Connection(provider=settings.issuer, ca_bundle=settings.ca_bundle)
        self._endpoints: Endpoints | None = None

    @property
    def issuer(self) -> str:
        """The issuer as it is configured."""
        return self.settings.issuer

    @property
    def client_id(self) -> str:
        """See `OpenIdClient.client_id`."""
        return self.settings.client_id

    def begin(self) -> SignIn[Tokens]:
        """See `OpenIdClient.begin`."""
        return _SignIn(self)

    def endpoints(self) -> Endpoints:
        """The discovery document; its issuer is compared exactly (OpenID Connect Discovery 1.0, section 4.3)."""
        if self._endpoints is None:
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            document = self._ask(lambda client, how: json_object(client.get(address, **how)))
            if document.get("issuer") != self.issuer:
                raise ConfigurationError(
                    f"`issuer` is {self.issuer}, and the provider calls itself {shown(str(document.get('issuer')))}.",
                    fix="Write the provider's own spelling into `issuer`, to the last slash, if you trust it.",
                    issuer=self.issuer,
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

    def redeem_code(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        """The tokens for an authorization code (RFC 7636, section 4.5)."""
        given = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        return self._tokens("authorization_code", **given)

    def redeem_device_code(self, code: str) -> Tokens:
        """The tokens for a device code (RFC 8628, section 3.4)."""
        return self._tokens(DEVICE_CODE, device_code=code)

    def refresh(self, refresh_token: str) -> Tokens:
        """See `OpenIdClient.refresh`."""
        return self._tokens("refresh_token", refresh_token=refresh_token)

    def device_authorization(self) -> Mapping[str, Any] | None:
        """The answer of RFC 8628, section 3.2; None where the provider has no such endpoint."""
        address = self.endpoints().device_authorization
        if address is None:
            return None
        form = {"client_id": self.client_id, "scope": self.scope()}
        answer = self._ask(lambda client, how: json_object(client.post(address, data=form, **how)))
        if "error" in answer:
            raise RefusedError(str(answer["error"]), str(answer.get("error_description") or ""))
        return answer

    def revoke(self, refresh_token: str) -> bool:
        """See `OpenIdClient.revoke`."""
        address = self.endpoints().revocation
        if address is None:
            return False
        answer = self._ask(
            lambda client, how: client.revoke_token(
                address, token=refresh_token, token_type_hint="refresh_token", **_request(how)
            )
        )
        return bool(answer.ok)

    def end_session_url(self) -> str | None:
        """See `OpenIdClient.end_session_url`."""
        return self.endpoints().end_session_url(self.client_id)

    def _tokens(self, grant_type: str, **form: str) -> Tokens:
        address = self.endpoints().token
        answer = self._ask(
            lambda client, how: masked(client.fetch_token(address, grant_type=grant_type, **form, **_request(how)))
        )
        if "access_token" not in answer:  # which every answer holds; Authlib lets a gateway's JSON pass
            raise self._connection.unavailable("answers with something that is not OpenID's")
        return Tokens.of(answer)

    def _ask(self, request: Callable[[Any, dict[str, Any]], T]) -> T:
        """What ``request(client, options)`` gives."""
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.requests_client import OAuth2Session

        def session() -> Any:
            secret = None if self.settings.client_secret is None else self.settings.client_secret.read()
            how = "client_secret_post" if secret else "none"
            return OAuth2Session(self.client_id, secret, token_endpoint_auth_method=how)  # type: ignore[no-untyped-call]

        def refusal(error: Exception) -> Exception | None:
            if not isinstance(error, OAuthError):
                return None
            refusal = RefusedError(str(error.error), str(error.description or ""))
            if refusal.code in REFUSALS:
                return refusal
            return self._connection.unavailable(f"does not serve now: {refusal}")

        how = {**self._connection.options, "withhold_token": True}
        return self._connection.ask(session, lambda client: request(client, how), refusal)


class _SignIn:
    """One sign-in as the ladder's rungs drive it."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._authorization: Authorization | None = None

    @property
    def issuer(self) -> str:
        return self._provider.issuer

    @property
    def client_id(self) -> str:
        return self._provider.client_id

    def loopback(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/"

    def address(self, redirect_uri: str) -> str:
        provider = self._provider
        self._authorization = Authorization(
            provider,
            provider.endpoints(),
            scope=provider.scope(),
            redirect_uri=redirect_uri,
            parameters=provider.settings.parameters,
        )
        return self._authorization.address

    def redeem(self, answer: Mapping[str, str]) -> Tokens:
        request = self._authorization
        if request is None:
            raise LoginFailedError("No sign-in is under way.", fix="Run %federate to begin one.")
        try:
            code = request.answer.code(answer)
            tokens = self._provider.redeem_code(code, redirect_uri=request.redirect_uri, verifier=request.verifier)
        except RefusedError as error:
            failure = refused(self._provider, error)
        else:
            return replace(tokens, nonce=request.nonce)
        raise failure

    def bring(self, token: str) -> Tokens:
        return Tokens(id_token=Secret(token), brought=True)

    def device_code(self) -> DeviceCode:
        try:
            answer = self._provider.device_authorization()
        except RefusedError as error:
            raise OutOfReachError(
                f"{self.issuer} refuses to sign in by a device code: {error}.", fix="Have it allowed for the client."
            ) from None
        if answer is None:
            raise OutOfReachError(f"{self.issuer} does not sign in by a device code.", fix="Choose another way.")
        return device_code(answer, self.issuer)

    def poll(self, device_code: DeviceCode) -> Tokens | timedelta:
        try:
            return self._provider.redeem_device_code(device_code.code)
        except RefusedError as error:
            if error.code == "authorization_pending":
                return timedelta(0)
            if error.code == "slow_down":
                return SLOW_DOWN
            failure = refused(self._provider, error)
        raise failure


def _request(how: Mapping[str, Any]) -> dict[str, Any]:
    """The options that Authlib's own calls take: they bring their own authorization."""
    return {name: value for name, value in how.items() if name != "withhold_token"}
