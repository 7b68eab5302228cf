"""One authorization request and the checks on its answer (OpenID Connect Core 1.0, 3.1.2; RFC 7636; RFC 9207)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.openid.client import OpenIdClient, RefusedError, shown
from jupyter_federation.openid.discovery import Endpoints
from jupyter_federation.redaction import Secret


class Answer:
    """The answer that one request awaits in the browser's redirect; it is taken once.

    ``refusal(error, error_description)`` puts a provider's no into words.
    """

    def __init__(
        self,
        client: OpenIdClient,
        state: str,
        *,
        names_itself: bool,
        refusal: Callable[[str, str], RefusedError] = RefusedError,
    ) -> None:
        self._refusal = refusal
        self._client = client
        self._state = state
        self._names_itself = names_itself  # `iss` has to be there (RFC 9207)
        self._taken = False

    def code(self, answer: Mapping[str, str]) -> str:
        """The code in the query of the redirect.

        Raises LoginFailedError where it answers another request, answers this one again or comes from another
        provider, RefusedError where it is a refusal.
        """
        issuer = self._client.issuer
        same_state = hmac.compare_digest(answer.get("state", "").encode("utf-8", "replace"), self._state.encode())
        if self._taken or not same_state:
            raise LoginFailedError(
                "The answer from the browser does not belong to this sign-in: its state is another's, or was used.",
                fix="Close old sign-in windows, and finish the newest one.",
            )
        self._taken = True
        named = answer.get("iss")
        if (named is None and self._names_itself) or named not in (None, issuer):
            raise LoginFailedError(
                f"The answer from the browser comes from {shown(named or 'nobody')}, and the sign-in began at "
                f"{issuer} (RFC 9207).",
                fix="Nothing was sent there. If it stays, tell your administrator.",
            )
        if "error" in answer:
            raise self._refusal(answer["error"], answer.get("error_description", ""))
        if not answer.get("code"):
            raise LoginFailedError(
                "The answer from the browser holds no code.", fix="If it stays, tell your administrator."
            )
        return Secret(answer["code"])


class Authorization:
    """State, nonce and verifier of one request for ``scope``, which may carry further ``parameters``."""

    def __init__(
        self,
        client: OpenIdClient,
        endpoints: Endpoints,
        *,
        scope: str,
        redirect_uri: str,
        parameters: Mapping[str, str],
    ) -> None:
        self.redirect_uri = redirect_uri
        self.nonce = Secret(secrets.token_urlsafe(32))
        self.verifier = Secret(secrets.token_urlsafe(48))  # 64 characters; RFC 7636 wants 43 to 128
        state = Secret(secrets.token_urlsafe(32))
        self.answer = Answer(client, state, names_itself=endpoints.names_itself)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": client.client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": self.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            # OpenID Connect Core 1.0, section 11: without consent there is no offline access.
            **({"prompt": "consent"} if "offline_access" in scope.split() else {}),
            **parameters,
        }
        endpoint = endpoints.authorization
        self.address = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"  # where the browser begins
