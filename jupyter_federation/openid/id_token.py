"""Whether an ID token is ours (OpenID Connect Core 1.0, 3.1.3.7), whoever fetched it.

The signature is left to AWS, and the provider's keys are not fetched: see `jupyter_federation.tokens` for why.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from jupyter_federation.errors import InvalidTokenError
from jupyter_federation.openid.client import OpenIdClient
from jupyter_federation.openid.refusal import shown
from jupyter_federation.sign_in.rung import Tokens
from jupyter_federation.tokens import IdToken


def checked(tokens: Tokens, client: OpenIdClient, now: datetime) -> IdToken:
    """The ID token among ``tokens``, if ``client.issuer`` made it for ``client``, just now, and for this sign-in.

    Raises InvalidTokenError otherwise.
    """
    if tokens.id_token is None:
        raise InvalidTokenError(
            f"{client.issuer} gave no ID token.", fix="Leave `openid` among the client's allowed scopes."
        )
    token = IdToken.parse(tokens.id_token)
    problem = None
    if not token.is_jwt or token.expires_at is None or token.issued_at is None or token.subject is None:
        problem = "lacks one of iss, sub, aud, exp and iat"
    elif token.issuer != client.issuer:
        problem = f"names the issuer {shown(token.issuer or 'nobody')}"
    elif client.client_id not in token.audience:
        problem = f"is for the client {shown(', '.join(token.audience) or 'of nobody')}, not for {client.client_id}"
    elif token.authorized_party not in (None, client.client_id) or (
        token.authorized_party is None and len(token.audience) > 1
    ):
        problem = f"was given to {shown(token.authorized_party or 'one of several clients')} (azp)"
    elif tokens.nonce is not None and not _same(token.claims.get("nonce"), tokens.nonce):
        problem = "was made for another sign-in (nonce)"
    if problem is not None and tokens.brought:
        raise InvalidTokenError(
            f"The token that was pasted {problem}; it was not used.",
            fix=f"Paste the ID token (id_token) that {client.issuer} makes for the application {client.client_id}.",
        )
    if problem is not None:
        raise InvalidTokenError(
            f"The ID token that {client.issuer} gave {problem}; it was not used.",
            fix=f"Check `issuer` and `client_id`; if they are right, tell whoever runs {client.issuer}.",
            finding="issuer-mismatch" if token.issuer != client.issuer else "audience-mismatch",
        )
    token.check_time(now)
    return token


def _same(claim: object, nonce: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode("utf-8", "replace"), nonce.encode())
