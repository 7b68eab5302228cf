"""Provider names, and the logins keys that AWS knows them by.

A logins key is the name under which a token is sent to Cognito: the identity provider as it is registered with the
identity pool or in IAM (Amazon Cognito API reference, GetId, ``Logins``).  What is checked here catches the mistakes
that a glance at the token shows, before anything is sent.  Nothing is verified: AWS does that.
"""

from __future__ import annotations

import re

from jupyter_federation.errors import ConfigurationError, InvalidTokenError
from jupyter_federation.tokens import IdToken

AMAZON = "www.amazon.com"
FACEBOOK = "graph.facebook.com"
DEVELOPER = "cognito-identity.amazonaws.com"

PROVIDERS = (
    "amazon",
    "apple",
    "cognito-user-pool",
    "developer",
    "entra",
    "facebook",
    "google",
    "guest",
    "oidc",
    "saml",
)
"""The names that `provider` takes; anything else is a logins key or an issuer, verbatim."""

_FIXED_KEYS = {
    "amazon": AMAZON,
    "apple": "appleid.apple.com",
    "developer": DEVELOPER,
    "facebook": FACEBOOK,
    "google": "accounts.google.com",
}
_TAKE_ACCESS_TOKENS = (AMAZON, FACEBOOK)
_ISSUERS = {
    "cognito-user-pool": re.compile(r"cognito-idp\.[\w-]+\.amazonaws\.com(\.cn)?/[\w-]+"),
    "entra": re.compile(
        r"(login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn|[\w-]+\.(ciamlogin|b2clogin)\.com)/.+"
    ),
    "oidc": re.compile(r".+"),
}
_ENTRA_V1 = "sts.windows.net/"
_SAML = re.compile(r"arn:aws[\w-]*:iam::\d{12}:saml-provider/.+")
_BEFORE_THE_KEY = re.compile(r"https?://|arn:aws[\w-]*:iam::\d{12}:oidc-provider/")
_LONGEST_KEY = 128  # characters; Cognito's API reference, IdentityProviderName


def logins_key(token: IdToken, provider: str | None) -> str | None:
    """The logins key to send ``token`` under; None for a guest, who sends no token.

    ``provider`` is one of `PROVIDERS`, or a logins key, an issuer or the ARN of an IAM provider verbatim, or None:
    then the key follows from the token's issuer.  The key is spelled as AWS registers a provider: the issuer without
    its scheme, with a slash at the end where the issuer has one.

    Raises ConfigurationError where ``provider`` is unknown or says too little, InvalidTokenError where the token
    plainly is not one that this provider's key takes.
    """
    if provider == "guest":
        return None
    key = _key(token, provider)
    if len(key) > _LONGEST_KEY:
        raise ConfigurationError(
            f"The logins key {key} has {len(key)} characters, and AWS takes at most {_LONGEST_KEY}.",
            fix="Correct `provider`.",
            finding="provider-unknown",
            logins_key=key,
        )
    if key in _TAKE_ACCESS_TOKENS or _SAML.fullmatch(key):
        _refuse_jwt(token, key)
    elif token.is_jwt:
        _check_issuer(token, key)
        _check_is_id_token(token, key)
    elif key in _FIXED_KEYS.values():
        raise _no_jwt(provider or key)
    return key


def about_token(token: IdToken, key: str | None) -> dict[str, object]:
    """What an error may tell of a token: who issued it, for which client, and the logins key it was sent under."""
    known = {
        "issuer": token.issuer,
        "audience": token.authorized_party or ", ".join(token.audience),  # AWS compares azp, else aud
        "logins_key": key,
    }
    return {name: value for name, value in known.items() if value}


def is_saml_provider(logins_key: str | None) -> bool:
    """Whether the key names a SAML provider of IAM, whose assertions only Cognito's enhanced flow takes."""
    return logins_key is not None and _SAML.fullmatch(logins_key) is not None


def _key(token: IdToken, provider: str | None) -> str:
    if provider is None:
        return _key_of_issuer(token)
    if provider in _FIXED_KEYS:
        return _FIXED_KEYS[provider]
    if provider in _ISSUERS:
        return _key_of_issuer(token, provider)
    if provider == "saml":
        raise ConfigurationError(
            "For SAML, AWS must know which SAML provider of IAM issued the assertion.",
            fix="Set `provider` to its ARN: arn:aws:iam::ACCOUNT:saml-provider/NAME.",
            administrator="set `provider` to the ARN of the SAML provider in IAM",
            finding="provider-unknown",
        )
    if not re.search(r"[.:]", provider):
        import difflib

        near = difflib.get_close_matches(provider, PROVIDERS, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise ConfigurationError(
            f"There is no provider named {provider!r}.",
            fix=f"{meant}Set `provider` to one of {', '.join(PROVIDERS)}, or to the issuer or logins key itself.",
            finding="provider-unknown",
        )
    return _BEFORE_THE_KEY.sub("", provider, count=1)


def _key_of_issuer(token: IdToken, provider: str | None = None) -> str:
    if not token.is_jwt:
        if provider is not None:
            raise _no_jwt(provider)
        raise ConfigurationError(
            "The token is no JWT, so it does not say which provider issued it.",
            fix="Set `provider` (--provider NAME). If it should be a JWT: use the provider's ID token (id_token).",
            finding="token-is-no-jwt",
        )
    if token.issuer is None:
        raise InvalidTokenError(
            "The token names no issuer (iss), so AWS cannot accept it.",
            fix="Use the provider's ID token (id_token).",
            finding="token-is-access-token",
        )
    key = _without_scheme(token.issuer)
    if provider == "entra" and key.startswith(_ENTRA_V1):
        raise InvalidTokenError(
            f"The token is one of Entra's v1.0 tokens: its issuer is {token.issuer}, and the logins key of `entra` is "
            "login.microsoftonline.com/TENANT/v2.0.",
            fix="Get the token from Entra's v2.0 endpoint (requestedAccessTokenVersion 2 in the app's manifest); or, "
            f"where AWS has the v1.0 issuer registered, set `provider` to {key}.",
            issuer=token.issuer,
            finding="entra-v1-token",
        )
    if provider is not None and not _ISSUERS[provider].fullmatch(key):
        raise InvalidTokenError(
            f"The provider is {provider}, and the token's issuer is {token.issuer}.",
            fix=f"Use a token from {provider}, or leave `provider` out: the logins key then becomes {key}.",
            issuer=token.issuer,
            finding="issuer-mismatch",
            logins_key=key,
        )
    return key


def _no_jwt(provider: str) -> InvalidTokenError:
    return InvalidTokenError(
        f"The provider {provider} takes an ID token, and the token given is no JWT.",
        fix="Use the provider's ID token (id_token), not its access token.",
        finding="token-is-no-jwt",
    )


def _refuse_jwt(token: IdToken, key: str) -> None:
    if token.is_jwt:
        takes = "an access token" if key in _TAKE_ACCESS_TOKENS else "a SAML assertion"
        raise InvalidTokenError(
            f"Under the logins key {key} AWS takes {takes}, and the token given is a JWT from {token.issuer}.",
            fix=f"Use {takes} of that provider, or set `provider` to the token's issuer.",
            issuer=token.issuer,
            finding="issuer-mismatch",
            logins_key=key,
        )


def _check_issuer(token: IdToken, key: str) -> None:
    """Cognito compares the two as well, and says only that they differ."""
    issuer = token.issuer or ""
    if _without_scheme(issuer).rstrip("/") != key.rstrip("/"):
        raise InvalidTokenError(
            f"The token's issuer is {issuer or 'missing'}, and `provider` names the logins key {key}.",
            fix=f"Use a token from {key}, or leave `provider` out: the logins key then follows from the issuer.",
            issuer=token.issuer,
            finding="issuer-mismatch",
            logins_key=key,
        )


def _check_is_id_token(token: IdToken, key: str) -> None:
    if not token.audience or token.claims.get("token_use") == "access":
        raise InvalidTokenError(
            f"The token from {token.issuer} is an access token"
            + ("" if token.audience else ": it has no audience (aud)")
            + ". AWS takes the ID token.",
            fix="Use the provider's ID token (id_token).",
            issuer=token.issuer,
            finding="token-is-access-token",
            logins_key=key,
        )


def _without_scheme(issuer: str) -> str:
    return _BEFORE_THE_KEY.sub("", issuer, count=1)
