"""What signs people in at one provider as one application, whatever library speaks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_federation.sign_in.rung import Tokens

if TYPE_CHECKING:
    from jupyter_federation.openid.discovery import Endpoints


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
