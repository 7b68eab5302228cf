"""How AWS checks a token of somebody else's: against the OpenID providers that an account has registered."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt

_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384"]
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class TokenRefusedError(Exception):
    """A token is no good; ``reason`` is one of the six words below, and each service has its own sentence for it.

    ``malformed``, ``incomplete`` (facts: claim), ``signature``, ``expired`` (facts: now and exp, in seconds since the
    epoch), ``audience``, ``unreachable`` (the issuer's keys).
    """

    def __init__(self, reason: str, **facts: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts


@dataclass(frozen=True, kw_only=True, slots=True)
class OpaqueLogin:
    """Who a token without claims stands for (Facebook, Login with Amazon, a SAML assertion), and until when."""

    subject: str
    expires_at: datetime | None = None


@dataclass(kw_only=True, eq=False)
class OpenIdProvider:
    """A registered issuer.

    ``client_ids`` are the audiences it may name; None takes any.  ``keys`` gives its JSON Web Key Set; without it, the
    set is fetched through the issuer's discovery document, again for each key id that is not known yet.
    """

    issuer: str
    client_ids: tuple[str, ...] | None
    keys: Callable[[], Mapping[str, Any]] | None = None
    _known: dict[str, jwt.PyJWK] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The issuer without its scheme: the name of the provider in IAM, and the logins key."""
        return self.issuer.partition("://")[2]

    def verify(self, token: str, *, now: datetime, grace: timedelta) -> dict[str, Any]:
        """The claims of ``token``; TokenRefusedError where AWS would not take it.  The caller has compared ``iss``."""
        claims = unverified_claims(token)
        for claim in ("aud", "sub", "exp"):
            if claim not in claims:
                raise TokenRefusedError("incomplete", claim=claim)
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid", ""))
            jwt.decode(token, key, algorithms=_ALGORITHMS, options={"verify_aud": False, "verify_exp": False})
        except jwt.PyJWTError:
            raise TokenRefusedError("signature") from None
        exp, at = int(claims["exp"]), int(now.timestamp())
        if exp + grace.total_seconds() <= at:
            raise TokenRefusedError("expired", now=at, exp=exp)
        audience = claims.get("azp") or claims["aud"]
        named = [audience] if isinstance(audience, str) else audience
        if self.client_ids is not None and not set(named) & set(self.client_ids):
            raise TokenRefusedError("audience")
        return claims

    def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._known:
            try:
                keys = self.keys() if self.keys else _fetch(_fetch(_discovery(self.issuer))["jwks_uri"])
            except (OSError, ValueError, KeyError):
                raise TokenRefusedError("unreachable") from None
            self._known.update((key.key_id or "", key) for key in jwt.PyJWKSet.from_dict(dict(keys)).keys)
        if key_id not in self._known:
            raise TokenRefusedError("signature")
        return self._known[key_id]


def unverified_claims(token: str) -> dict[str, Any]:
    """The claims as they stand there; TokenRefusedError (``malformed``) for what is no JWT."""
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise TokenRefusedError("malformed") from None


def _discovery(issuer: str) -> str:
    return f"{issuer}/.well-known/openid-configuration"


def _fetch(url: str) -> dict[str, Any]:
    with _NO_PROXY.open(url, timeout=5) as answer:
        document: dict[str, Any] = json.load(answer)
    return document
