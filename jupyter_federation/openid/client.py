"""What signs people in at one provider as one application, whatever library speaks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_federation.redaction import printable, without_tokens
from jupyter_federation.sign_in.rung import Tokens

if TYPE_CHECKING:
    from jupyter_federation.openid.discovery import Endpoints

# What only a person can change: RFC 6749 (5.2), RFC 8628 (3.5), OpenID Connect Core 1.0 (3.1.2.6).  Anything else, as
# temporarily_unavailable or a gateway's too_many_requests, may pass.  The last line is what Entra says besides.
REFUSALS = (
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "authorization_pending", "slow_down", "access_denied", "expired_token"),
    *("interaction_required", "login_required", "account_selection_required", "consent_required"),
    *("authorization_declined", "bad_verification_code", "invalid_resource", "invalid_tenant"),
)


class RefusedError(Exception):
    """The provider said no: ``code`` of RFC 6749, section 5.2, and what it adds, both fit to be shown.

    ``fix`` says what to do, where that is known better than for any refusal; ``finding`` is the doctor's code for it.
    """

    def __init__(
        self, code: str, description: str | None = None, *, fix: str | None = None, finding: str | None = None
    ) -> None:
        super().__init__(code)
        self.code = shown(code)
        self.description = shown(description or "")
        self.fix = fix
        self.finding = finding

    def __str__(self) -> str:
        """The code, with the description where there is one."""
        return f"{self.code} ({self.description})" if self.description else self.code


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorizationRequest:
    """One request for a sign-in in the browser, which begins at ``address``.

    Its answer brings ``state`` back, and the ID token ``nonce``; ``redeem(code)`` gives the tokens for the code that
    comes with it.
    """

    address: str = field(repr=False)
    state: str
    nonce: str
    redeem: Callable[[str], Tokens] = field(repr=False)


class OpenIdClient(Protocol):
    """One application at one provider.  Its constructor asks nobody.

    Every call raises SourceUnavailableError where the provider cannot be reached or answers nonsense, and
    ConfigurationError where what is set is wrong; those that bring something to the provider raise RefusedError where
    it does not take it.
    """

    @property
    def issuer(self) -> str:
        """Whom the person signs in at; once the provider has been asked, what every token must name exactly."""
        ...

    @property
    def client_id(self) -> str:
        """The application's id."""
        ...

    @property
    def how_to_renew(self) -> str:
        """What brings a refresh token where none came: the rest of a sentence, from its verb on."""
        ...

    def settle_issuer(self) -> None:
        """See to it that ``issuer`` is what tokens name; asks nobody where it is known."""
        ...

    def endpoints(self) -> Endpoints:
        """What the discovery document says, which is read once."""
        ...

    def loopback(self, port: int) -> str:
        """See `SignIn.loopback`."""
        ...

    def authorization_request(self, redirect_uri: str) -> AuthorizationRequest:
        """A new request, with a state, a nonce and a verifier of its own (RFC 7636)."""
        ...

    def device_authorization(self) -> Mapping[str, Any] | None:
        """The answer of RFC 8628, section 3.2; None where the provider has no such endpoint."""
        ...

    def redeem_device_code(self, code: str) -> Tokens:
        """The tokens for a device code (RFC 8628, section 3.4)."""
        ...

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens (RFC 6749, section 6); without a new refresh token the one before goes on."""
        ...

    def revoke(self, refresh_token: str) -> bool:
        """End the refresh token at the provider; False where it has no way for that."""
        ...


def shown(text: str) -> str:
    """What a provider says, fit to be shown: one line, not long, without anything like a token."""
    return without_tokens(printable(text))[:200]
