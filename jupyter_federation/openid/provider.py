"""An OpenID provider's endpoints, asked as a public client.

Discovery (OpenID Connect Discovery 1.0), the token endpoint (RFC 6749), device code (RFC 8628), revocation (RFC 7009)
and logout (OpenID Connect RP-Initiated Logout 1.0).  The requests are Authlib's, which is imported with the first.

The keys of the provider are not fetched: see `jupyter_federation.tokens` for why no signature is verified here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from jupyter_federation.errors import ConfigurationError, FederationError, SourceUnavailableError
from jupyter_federation.redaction import Secret, without_tokens

T = TypeVar("T")

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

_TIMEOUT = (3.05, 5.0)  # seconds to connect, and between two bytes of the answer; a renewal has ten for everything
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")
# What only a person can change: RFC 6749 (5.2), RFC 8628 (3.5), OpenID Connect Core 1.0 (3.1.2.6).  Anything else, as
# temporarily_unavailable or a gateway's too_many_requests, may pass.
_REFUSALS = (
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "authorization_pending", "slow_down", "access_denied", "expired_token"),
    *("interaction_required", "login_required", "account_selection_required", "consent_required"),
)


class RefusedError(Exception):
    """The provider said no: ``code`` of RFC 6749, section 5.2, and what it adds, both fit to be shown."""

    def __init__(self, code: str, description: str | None = None) -> None:
        super().__init__(code)
        self.code = shown(code)
        self.description = shown(description or "")

    def __str__(self) -> str:
        """The code, with the description where there is one."""
        return f"{self.code} ({self.description})" if self.description else self.code


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderSettings:
    """Which provider, and as which client.

    ``scopes`` come on top of openid; None: what is asked for by default.  ``parameters`` are added to the
    authorization request.  ``ca_bundle`` is a file of certificates (PEM); without it, REQUESTS_CA_BUNDLE counts.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """What the discovery document says; None where the provider has no such endpoint."""

    authorization: str
    token: str
    device_authorization: str | None = None
    revocation: str | None = None
    end_session: str | None = None
    scopes: tuple[str, ...] | None = None
    names_itself: bool = False  # `iss` in the redirect (RFC 9207)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What the token endpoint gave; the access token is not kept, because nothing here needs it."""

    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


class Provider:
    """One provider as one client; the discovery document is read once, with the first request.

    Every call raises SourceUnavailableError where the provider cannot be reached or answers nonsense, and
    ConfigurationError where ``issuer`` or ``ca_bundle`` is wrong; those that bring something to the provider raise
    RefusedError where it does not take it.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self._endpoints: Endpoints | None = None

    @property
    def issuer(self) -> str:
        """The issuer as it is configured, which every token must name exactly."""
        return self.settings.issuer

    @property
    def client_id(self) -> str:
        """The application's id."""
        return self.settings.client_id

    def endpoints(self) -> Endpoints:
        """The discovery document, taken apart."""
        if self._endpoints is None:
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            self._endpoints = self._read(self._ask(lambda client, how: _json(client.get(address, **how))))
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
        """New tokens (RFC 6749, section 6); without a new refresh token the one before goes on."""
        return self._tokens("refresh_token", refresh_token=refresh_token)

    def device_authorization(self) -> Mapping[str, Any] | None:
        """The answer of RFC 8628, section 3.2; None where the provider has no such endpoint."""
        address = self.endpoints().device_authorization
        if address is None:
            return None
        form = {"client_id": self.client_id, "scope": self.scope()}
        answer = self._ask(lambda client, how: _json(client.post(address, data=form, **how)))
        if "error" in answer:
            raise RefusedError(str(answer["error"]), str(answer.get("error_description") or ""))
        return answer

    def revoke(self, refresh_token: str) -> bool:
        """End the refresh token at the provider; False where it has no endpoint for that."""
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
        """Where a browser ends its session at the provider.

        It names the client and not the ID token (``id_token_hint``), because it is shown.
        """
        address = self.endpoints().end_session
        if address is None:
            return None
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'client_id': self.client_id})}"

    def _tokens(self, grant_type: str, **form: str) -> Tokens:
        address = self.endpoints().token
        answer = self._ask(
            lambda client, how: client.fetch_token(address, grant_type=grant_type, **form, **_request(how))
        )
        if "access_token" not in answer:  # which every answer holds; Authlib lets a gateway's JSON pass
            raise self._unavailable("answers with something that is not OpenID's")
        id_token, refresh_token = (answer.get(name) for name in ("id_token", "refresh_token"))
        return Tokens(
            id_token=Secret(id_token) if isinstance(id_token, str) and id_token else None,
            refresh_token=Secret(refresh_token) if isinstance(refresh_token, str) and refresh_token else None,
        )

    def _ask(self, request: Callable[[Any, dict[str, Any]], T]) -> T:
        """What ``request(client, options)`` gives.

        Errors are raised when the handler is left: what was caught holds frames with what was sent.
        """
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.requests_client import OAuth2Session

        secret = self.settings.client_secret
        how: dict[str, Any] = {
            "timeout": _TIMEOUT,
            "allow_redirects": False,  # a code or a token goes where discovery says, and nowhere else
            "withhold_token": True,
        }
        if self.settings.ca_bundle is not None:
            how["verify"] = self.settings.ca_bundle  # on each request: requests#3829
        try:
            with OAuth2Session(  # type: ignore[no-untyped-call]
                self.client_id, secret, token_endpoint_auth_method="client_secret_post" if secret else "none"
            ) as client:
                # Proxies come from the environment, but none leads to this machine.
                client.trust_env = not _LOOPBACK.fullmatch(urlsplit(self.issuer).hostname or "")
                return request(client, how)
        except OAuthError as error:
            refused = RefusedError(str(error.error), str(error.description or ""))
            failure = refused if refused.code in _REFUSALS else self._unavailable(f"does not serve now: {refused}")
        except (OSError, ValueError) as error:  # OSError is what requests' own errors are
            failure = self._failure(error)
        raise failure

    def _failure(self, error: OSError | ValueError) -> FederationError:
        """A request that did not come to an answer, in words."""
        from requests import exceptions

        if isinstance(error, exceptions.HTTPError) and error.response is not None:
            return self._unavailable(f"answers with HTTP {error.response.status_code}")
        for kind, problem, fix in (
            (exceptions.SSLError, "shows a certificate that is not trusted here", "Name what to trust: `ca_bundle`."),
            (exceptions.ProxyError, "cannot be reached through the proxy", "Check HTTPS_PROXY and NO_PROXY."),
            (exceptions.Timeout, "does not answer in time", ""),
            (exceptions.ConnectionError, "cannot be reached", ""),
            ((exceptions.RequestException, ValueError), "answers with something that is not OpenID's", ""),
        ):
            if isinstance(error, kind):
                return self._unavailable(problem, fix=fix)
        return ConfigurationError(  # requests' for a bundle that is not there
            f"`ca_bundle` is {self.settings.ca_bundle}, and no certificates can be read from there.",
            fix="Give the path of a PEM file.",
        )

    def _unavailable(self, problem: str, *, fix: str = "") -> FederationError:
        return SourceUnavailableError(
            f"The provider {self.issuer} {problem}.",
            fix=fix or "Check the network, the proxy (HTTPS_PROXY, NO_PROXY) and the provider's own status page.",
            issuer=self.issuer,
        )

    def _read(self, document: Mapping[str, Any]) -> Endpoints:
        """The discovery document.  Its issuer is compared exactly (OpenID Connect Discovery 1.0, section 4.3)."""
        if document.get("issuer") != self.issuer:
            raise ConfigurationError(
                f"`issuer` is {self.issuer}, and the provider calls itself {shown(str(document.get('issuer')))}.",
                fix="Write the provider's own spelling into `issuer`, to the last slash, if you trust it.",
                issuer=self.issuer,
            )
        authorization, token = (self._endpoint(document, f"{name}_endpoint") for name in ("authorization", "token"))
        if authorization is None or token is None:
            raise self._unavailable("has no authorization or token endpoint in its discovery document")
        scopes = document.get("scopes_supported")
        return Endpoints(
            authorization=authorization,
            token=token,
            device_authorization=self._endpoint(document, "device_authorization_endpoint"),
            revocation=self._endpoint(document, "revocation_endpoint"),
            end_session=self._endpoint(document, "end_session_endpoint"),
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else None,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _endpoint(self, document: Mapping[str, Any], name: str) -> str | None:
        address = document.get(name)
        if address is None:
            return None
        if not is_safe(address):
            raise self._unavailable(f"names an address that is not https as its {name}")
        return str(address)


def is_safe(address: object) -> bool:
    """Whether it is an https address, or an http one of this machine, without anything that a shell would mind."""
    if not isinstance(address, str) or not re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", address):  # RFC 3986's characters
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and bool(_LOOPBACK.fullmatch(host))))


def shown(text: str) -> str:
    """What a provider says, fit to be shown: one line, not long, without anything like a token."""
    return without_tokens(" ".join(text.split()))[:200]


def _request(how: Mapping[str, Any]) -> dict[str, Any]:
    """The options that Authlib's own calls take: they bring their own authorization."""
    return {name: value for name, value in how.items() if name != "withhold_token"}


def _json(response: Any) -> Mapping[str, Any]:
    """A JSON object, an OAuth error too.  Raises requests' HTTPError, or ValueError."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or (not response.ok and "error" not in answer):
        response.raise_for_status()
        raise ValueError("not a JSON object")
    return answer
