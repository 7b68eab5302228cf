"""Nobody: an identity pool's guests come without a token."""

from __future__ import annotations

from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, TokenSource


class GuestSource(TokenSource):
    """Gives the empty token, which the exchange turns into a guest's credentials.

    Used only where the provider `guest` is asked for by name: nobody becomes a guest silently.
    """

    renewable = True

    def token(self) -> IdToken:
        """The empty token."""
        return IdToken(raw=Secret(""))
