"""One authorization request and the checks on its answer (OpenID Connect Core 1.0, 3.1.2; RFC 7636; RFC 9207)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.openid.provider import Provider, shown
from jupyter_federation.redaction import Secret


class Authorization:
    """State, nonce and verifier of one request; its answer is taken once."""

    def __init__(self, provider: Provider, redirect_uri: str) -> None:
        self._provider = provider
        self._state = Secret(secrets.token_urlsafe(32))
        self._answered = False
        self.redirect_uri = redirect_uri
        self.nonce = Secret(secrets.token_urlsafe(32))
        self.verifier = Secret(secrets.token_urlsafe(48))  # 64 characters; RFC 7636 wants 43 to 128

    def address(self) -> str:
        """Where the browser begins."""
        provider = self._provider
        endpoint, scope = provider.endpoints().authorization, provider.scope()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": provider.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": self._state,
            "nonce": self.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            # OpenID Connect Core 1.0, section 11: without consent there is no offline access.
            **({"prompt": "consent"} if "offline_access" in scope.split() else {}),
            **provider.settings.parameters,
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def code(self, answer: Mapping[str, str]) -> str:
        """The code in the query of the redirect.

        Raises LoginFailedError where it answers another request, answers this one again, comes from another provider
        or is a refusal.
        """
        provider = self._provider
        same_state = hmac.compare_digest(answer.get("state", "").encode(), self._state.encode())
        if self._answered or not same_state:
            raise LoginFailedError(
                "The answer from the browser does not belong to this sign-in: its state is another's, or was used.",
                fix="Close old sign-in windows, run %federate again and finish the newest one.",
            )
        self._answered = True
        issuer = answer.get("iss")
        if (issuer is None and provider.endpoints().names_itself) or issuer not in (None, provider.issuer):
            raise LoginFailedError(
                f"The answer from the browser comes from {shown(issuer or 'nobody')}, and the sign-in began at "
                f"{provider.issuer} (RFC 9207).",
                fix="Nothing was sent there. Run %federate again; if it stays, tell your administrator.",
            )
        if "error" in answer:
            raise refused(provider, shown(answer["error"]), shown(answer.get("error_description", "")))
        if not answer.get("code"):
            raise LoginFailedError("The answer from the browser holds no code.", fix="Run %federate again.")
        return Secret(answer["code"])


def refused(provider: Provider, code: str, description: str = "") -> LoginFailedError:
    """The provider's no, in its own words."""
    if code == "access_denied":
        why = f": {description}" if description else ""
        return LoginFailedError(
            f"The sign-in at {provider.issuer} was cancelled or denied (access_denied){why}.",
            fix="Run %federate again to try once more.",
        )
    return LoginFailedError(
        f"{provider.issuer} refused the sign-in: {code}{description and f' ({description})'}.",
        fix=f"Check `client_id`, `scopes` and the redirect URIs that are registered for {provider.client_id}.",
    )
