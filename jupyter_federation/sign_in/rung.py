"""What a rung of the ladder is, and what it drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from jupyter_federation.errors import TokenError
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import Prompt

PATIENCE = timedelta(minutes=5)
"""How long a person may take."""


class OutOfReachError(TokenError):
    """A rung cannot even begin here; the next one may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceCode:
    """What a provider gives to a device that has no browser (RFC 8628, section 3.2).

    ``address`` is the page and ``user_code`` what the person types there; ``complete_address`` holds both, where the
    provider knows such a page.
    """

    code: str = field(repr=False)
    user_code: str
    address: str
    complete_address: str | None = None
    expires_at: datetime
    interval: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What the token endpoint gave; the access token is not kept, because nothing here needs it.

    ``nonce`` is what the ID token has to repeat, None where nothing was asked of it.  ``brought`` tells that the ID
    token came from the person, and not from the provider.
    """

    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    brought: bool = False


class SignIn(Protocol):
    """One sign-in at one provider, which succeeds at most once.

    `address` begins it anew: its state, nonce and verifier are those of the last call.
    """

    @property
    def issuer(self) -> str:
        """Whom the person signs in at."""
        ...

    @property
    def client_id(self) -> str:
        """The application that they sign in to."""
        ...

    def loopback(self, port: int) -> str:
        """The redirect URI that leads to ``port`` of this machine, as this provider wants it registered."""
        ...

    def address(self, redirect_uri: str) -> str:
        """Where the person's browser begins; in the end the provider sends it to ``redirect_uri``."""
        ...

    def redeem(self, answer: Mapping[str, str]) -> Tokens:
        """The tokens for the query of the redirect; the ID token is not checked yet.

        Raises LoginFailedError where the answer is not to this sign-in or is a refusal, InvalidTokenError where what
        came is not ours, SourceUnavailableError where the provider is down.
        """
        ...

    def bring(self, token: str) -> Tokens:
        """The same for an ID token that the person brings.  Asks nobody, as far as that is possible."""
        ...

    def device_code(self) -> DeviceCode:
        """Begin the sign-in by a code.  Raises OutOfReachError where the provider has no such way."""
        ...

    def poll(self, device_code: DeviceCode) -> Tokens | timedelta:
        """The tokens, or how much longer than before to wait between two polls (zero: no longer).

        Raises LoginFailedError where the person said no or the code has expired, SourceUnavailableError where the
        provider did not answer this time.
        """
        ...


class Rung(Protocol):
    """One way of signing in."""

    @property
    def name(self) -> str:
        """Its word in the policy's ``allowed_sign_in``."""
        ...

    @property
    def option(self) -> str | None:
        """What chooses it on the line (``--no-browser``); None: nothing has to be said, and nothing can be."""
        ...

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """Take the person through it.

        Raises OutOfReachError where it cannot begin, and what the `SignIn` raises.  However it ends, nothing listens
        or waits any longer.
        """
        ...


def query_of(address: str) -> dict[str, str]:
    """What is there once (RFC 6749, 3.1) in an address's query, masked: one of them is the code.

    Raises ValueError for what is no address.
    """
    pairs = parse_qsl(urlsplit(Secret(address)).query)
    names = [name for name, _ in pairs]
    return {name: Secret(value) for name, value in pairs if names.count(name) == 1}
