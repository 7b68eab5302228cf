"""A token that the person pastes when asked, for when the provider has no other way in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jupyter_federation.errors import LoginFailedError, LoginRequiredError
from jupyter_federation.tokens import IdToken, Prompt, TokenSource, utc_now


class PromptSource(TokenSource):
    """Asks the person for a token and keeps it in memory until it expires."""

    renewable = False

    def __init__(self, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._token: IdToken | None = None

    def token(self) -> IdToken:
        """The token that was pasted.  Raises LoginRequiredError where there is none, or it has expired."""
        token = self._token
        if token is not None and token.expires_at is not None and token.expires_at <= self._now():
            token = self._token = None
        if token is None:
            raise LoginRequiredError(
                "A token has to be pasted: there is none yet, or it has expired.",
                fix="Run the %federate line again, and paste a token when it asks.",
            )
        return token

    def login(self, prompt: Prompt) -> IdToken:
        """Ask for a token and keep it.

        Raises LoginFailedError where nothing was typed, InvalidTokenError where it is no token or an expired one.
        """
        text = prompt.ask_secret("Paste the token (it is neither shown nor saved): ")
        if not text.strip():
            raise LoginFailedError("No token was pasted.", fix="Run %federate again and paste the provider's token.")
        token = IdToken.parse(text)
        token.check_time(self._now())
        self._token = token
        return token

    def forget(self) -> None:
        """Drop the token."""
        self._token = None
