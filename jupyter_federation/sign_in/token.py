"""The last rung: the person brings an ID token that they got elsewhere; for when nothing else is allowed."""

from __future__ import annotations

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.rung import SignIn, Tokens
from jupyter_federation.tokens import Prompt


class TokenRung:
    """Asks for the token; no refresh token comes with it, so nothing renews it."""

    name = "token"
    option = "--token-prompt"

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """See `Rung.climb`."""
        offer = Offer(
            issuer=sign_in.issuer,
            client_id=sign_in.client_id,
            steps=(
                "Get an ID token (id_token) that the provider has made for this application, and paste it below.",
                "Nothing renews it: when it ends, bring another.",
            ),
        )
        prompt.show(offer)
        pasted = prompt.ask_secret("Paste the token (it is neither shown nor saved): ")
        if not pasted.strip():
            raise LoginFailedError("No token was pasted.", fix="Paste the provider's ID token (id_token).")
        return sign_in.bring(pasted)
