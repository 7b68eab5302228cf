"""Cognito Identity (API version 2014-06-30): which login is which identity, and what it gets.

One identity never has two ids: pool, logins key and subject lead to the same one each time.  Where a guest signs in as
somebody who has an identity already, the answer names that one, as AWS does when it merges two.
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from jupyter_federation.demo.account import Account, AwsError, IdentityPool, constrain
from jupyter_federation.demo.loopback import Call
from jupyter_federation.demo.web_identity import OpenIdProvider, TokenRefusedError, unverified_claims

COGNITO = "cognito-identity.amazonaws.com"

_SAYS = {
    "malformed": "Not a valid OpenId Connect identity token.",
    "incomplete": "Missing a required claim: {claim}",
    "signature": "Couldn't verify signed token.",
    "unreachable": "Couldn't verify signed token.",
    "expired": "Token expired: {now} >= {exp}",
    "audience": "Incorrect token audience.",
}
_OTHER_LOGINS = "Logins don't match. Please include at least one valid login for this identity or identity pool."
_NO_GUESTS = "Unauthenticated access is not supported for this identity pool."
_KEY_ID = "eu-west-11"

Claims = Mapping[str, Mapping[str, Any]]  # logins key → claims


@dataclass(kw_only=True, eq=False)
class _Identity:
    pool: IdentityPool
    id: str
    logins: set[tuple[str, str]] = field(default_factory=set)  # (logins key, subject); a guest has none


class CognitoIdentity:
    """The service; ``operations`` are its calls by name, each from a call to the members of its answer."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.operations: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "GetId": self._get_id,
            "GetCredentialsForIdentity": self._get_credentials_for_identity,
            "GetOpenIdToken": self._get_open_id_token,
            "GetOpenIdTokenForDeveloperIdentity": self._get_open_id_token_for_developer_identity,
        }
        self._identities: dict[str, _Identity] = {}
        self._by_login: dict[tuple[str, str, str], _Identity] = {}  # (pool id, logins key, subject)
        self._lock = threading.Lock()
        account.add(OpenIdProvider(issuer=f"https://{COGNITO}", client_ids=None, keys=_jwks))

    def _get_id(self, call: Call) -> Mapping[str, Any]:
        pool = self._pool(call.parameters.get("IdentityPoolId", ""))
        logins = call.parameters.get("Logins") or {}
        if COGNITO in logins:
            raise _not_authorized("Invalid login token. Can't pass in a Cognito token.")
        if not logins and pool.unauthenticated_role is None:
            raise _not_authorized(_NO_GUESTS)
        return {"IdentityId": self._identity_of(pool, self._verify_logins(pool, logins)).id}

    def _get_credentials_for_identity(self, call: Call) -> Mapping[str, Any]:
        identity, claims = self._authenticate(call.parameters)
        pool = identity.pool
        role = pool.authenticated_role if identity.logins else pool.unauthenticated_role
        if wanted := call.parameters.get("CustomRoleArn"):
            if not any(wanted in given.get("cognito:roles", ()) for given in claims.values()):
                raise _not_authorized(f"Access to Role '{wanted}' is forbidden.")
            role = self.account.roles.get(wanted)
        known = {name: value for given in claims.values() for name, value in given.items()}
        tags = {tag: str(known[claim]) for tag, claim in pool.principal_tags.items() if claim in known}
        if role is None or not role.trusts_tags(tags):
            message = "Invalid identity pool configuration. Check assigned IAM roles for this pool."
            raise AwsError("InvalidIdentityPoolConfigurationException", message)
        key = self.account.mint(
            role.session_arn("CognitoIdentityCredentials"), identity_id=identity.id, objects=role.objects_of(tags)
        )
        return {
            "IdentityId": identity.id,
            "Credentials": {
                "AccessKeyId": key.access_key_id,
                "SecretKey": key.secret_access_key,
                "SessionToken": key.session_token,
                "Expiration": key.expires_at.timestamp(),
            },
        }

    def _get_open_id_token(self, call: Call) -> Mapping[str, Any]:
        identity, claims = self._authenticate(call.parameters)
        if not identity.pool.classic_flow:
            message = "Basic (classic) flow is not enabled, please use enhanced flow."
            raise AwsError("InvalidParameterException", message)
        amr = ["authenticated", *claims] if identity.logins else ["unauthenticated"]
        return {"IdentityId": identity.id, "Token": self._open_id_token(identity, amr, timedelta(minutes=10))}

    def _get_open_id_token_for_developer_identity(self, call: Call) -> Mapping[str, Any]:
        pool = self._pool(call.parameters.get("IdentityPoolId", ""))
        logins = call.parameters.get("Logins") or {}
        seconds = int(call.parameters.get("TokenDuration", 900))
        constrain("tokenDuration", seconds, at_least=1, at_most=86_400, code="ValidationException")
        if pool.developer_provider is None or set(logins) != {pool.developer_provider}:
            raise AwsError("InvalidParameterException", "Please provide a valid developer provider")
        claims = {key: {"sub": subject} for key, subject in logins.items()}
        identity = self._identity_of(pool, claims, call.parameters.get("IdentityId"))
        token = self._open_id_token(identity, ["authenticated", *logins], timedelta(seconds=seconds))
        return {"IdentityId": identity.id, "Token": token}

    def _pool(self, pool_id: str) -> IdentityPool:
        constrain("identityPoolId", pool_id, r"[\w-]+:[0-9a-f-]+", at_least=1, at_most=55, code="ValidationException")
        if pool_id not in self.account.pools:
            raise AwsError("ResourceNotFoundException", f"IdentityPool '{pool_id}' not found.")
        return self.account.pools[pool_id]

    def _identity_of(self, pool: IdentityPool, claims: Claims, offered_id: str | None = None) -> _Identity:
        """The identity that has one of these logins; else the offered one, or a new one, has them from now on."""
        logins = {(key, given["sub"]) for key, given in claims.items()}
        with self._lock:
            known = (self._by_login.get((pool.id, *login)) for login in sorted(logins))
            identity = next(filter(None, known), None) or self._identities.get(offered_id or "")
            if identity is None:
                identity = _Identity(id=f"{pool.id.partition(':')[0]}:{uuid.uuid4()}", pool=pool)
                self._identities[identity.id] = identity
            identity.logins |= logins
            self._by_login.update({(pool.id, *login): identity for login in logins})
        return identity

    def _authenticate(self, given: Mapping[str, Any]) -> tuple[_Identity, Claims]:
        """The identity that is asked for, and the claims of the logins that prove it (none for a guest)."""
        identity_id, logins = given.get("IdentityId", ""), given.get("Logins") or {}
        constrain("identityId", identity_id, r"[\w-]+:[0-9a-f-]+", at_least=1, at_most=55, code="ValidationException")
        identity = self._identities.get(identity_id)
        if identity is None:
            raise AwsError("ResourceNotFoundException", f"Identity '{identity_id}' not found.")
        if not logins:
            if identity.logins:
                raise _not_authorized(f"Access to Identity '{identity_id}' is forbidden.")
            return identity, {}
        claims = self._verify_logins(identity.pool, logins)
        if COGNITO in claims:
            if claims[COGNITO]["sub"] != identity_id:
                raise _not_authorized(_OTHER_LOGINS)
            return identity, claims
        if identity.logins and not identity.logins & {(key, of["sub"]) for key, of in claims.items()}:
            raise _not_authorized(_OTHER_LOGINS)
        return self._identity_of(identity.pool, claims, identity_id), claims

    def _verify_logins(self, pool: IdentityPool, logins: Mapping[str, str]) -> Claims:
        constrain("logins", len(logins), at_most=10, code="ValidationException")
        return {key: self._verify_login(pool, key, token) for key, token in logins.items()}

    def _verify_login(self, pool: IdentityPool, key: str, token: str) -> Mapping[str, Any]:
        constrain("logins", token, at_least=1, at_most=50_000, code="ValidationException")
        if key not in pool.providers and key != COGNITO:
            raise _not_authorized("Token is not from a supported provider of this identity pool.")
        if key not in self.account.providers:
            return {"sub": self._look_up(key, token)}
        provider = self.account.providers[key]
        try:
            if unverified_claims(token).get("iss") != provider.issuer:
                raise _not_authorized("Invalid login token. Issuer doesn't match providerName")
            return provider.verify(token, now=self.account.now(), grace=self.account.clock_grace)
        except TokenRefusedError as refused:
            if refused.reason == "audience" and key.startswith("cognito-idp."):
                raise _not_authorized("Token is not from a supported provider of this identity pool.") from None
            said = _SAYS[refused.reason].format(**refused.facts)
            raise _not_authorized(f"Invalid login token. {said}") from None

    def _look_up(self, key: str, token: str) -> str:
        """The subject of a token without claims."""
        login = self.account.opaque_logins.get((key, token))
        if login is None:
            raise _not_authorized("Invalid login token.")
        if login.expires_at is not None and login.expires_at <= self.account.now():
            raise _not_authorized("Invalid login token. Token is expired.")
        return login.subject

    def _open_id_token(self, identity: _Identity, amr: list[str], lifetime: timedelta) -> str:
        now = self.account.now()
        claims = {
            "iss": f"https://{COGNITO}",
            "sub": identity.id,
            "aud": identity.pool.id,
            "amr": amr,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        return jwt.encode(claims, _signing_key(), algorithm="RS512", headers={"kid": _KEY_ID})


def _not_authorized(message: str) -> AwsError:
    return AwsError("NotAuthorizedException", message)


@functools.cache
def _signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _jwks() -> Mapping[str, Any]:
    key = jwt.algorithms.RSAAlgorithm.to_jwk(_signing_key().public_key(), as_dict=True)
    return {"keys": [{**key, "kid": _KEY_ID, "alg": "RS512"}]}
