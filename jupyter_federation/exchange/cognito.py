"""A token exchanged with a Cognito identity pool.

The enhanced flow (the default) is GetId and GetCredentialsForIdentity: the pool decides the role, and the credentials
last an hour.  The classic flow is GetId, GetOpenIdToken and AssumeRoleWithWebIdentity: the caller decides role, policy
and duration, and the pool must allow it.  Amazon Cognito developer guide, "Identity pools authentication flow".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.errors import ConfigurationError, InvalidTokenError
from jupyter_federation.exchange.answers import credentials_from, malformed, text_from
from jupyter_federation.exchange.providers import DEVELOPER, about_token, is_saml_provider, logins_key
from jupyter_federation.exchange.sts import StsSettings, assume_role_with_token, session_name
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, utc_now

if TYPE_CHECKING:
    from jupyter_federation.exchange.aws_clients import AwsClients

_ID = re.compile(r"(?=.{1,55}$)[\w-]+:[0-9a-f-]+", re.ASCII)  # Cognito's API reference; of pools and of identities


@dataclass(frozen=True, kw_only=True, slots=True)
class CognitoSettings:
    """How to get credentials from an identity pool; the names are AWS's.

    ``provider`` as for `logins_key`.  ``region`` None is the one at the start of ``identity_pool_id``.
    ``identity_id`` is the identity to begin with (Amplify's ``developerProvidedIdentityId``): GetId is not asked.
    ``custom_role_arn`` picks a role among those of a user pool's token, in the enhanced flow.  With ``role``, whose
    region is the pool's, the flow is the classic one.
    """

    identity_pool_id: str
    provider: str | None = None
    region: str | None = None
    identity_id: str | None = None
    custom_role_arn: str | None = None
    role: StsSettings | None = None

    @property
    def pool_region(self) -> str:
        """The region of the pool, and of STS in the classic flow."""
        return self.region or self.identity_pool_id.partition(":")[0]


class CognitoExchange:
    """The calls to one identity pool."""

    def __init__(self, settings: CognitoSettings, clients: AwsClients) -> None:
        self._settings = settings
        self._clients = clients

    def exchange(self, token: IdToken, *, identity_id: str | None = None) -> AwsCredentials:
        """Credentials from the pool for ``token``; see `Exchange`.

        The identity is the one handed in, else the one of the settings; without either, GetId finds it.  A developer's
        token names its own.
        """
        settings = self._settings
        key = logins_key(token, settings.provider)
        if settings.role is not None and is_saml_provider(key):
            raise ConfigurationError(
                "Cognito takes SAML assertions in the enhanced flow only.", fix="Leave `flow` out.", logins_key=key
            )
        logins = {} if key is None else {key: Secret(token.raw)}
        about = {
            **about_token(token, key),
            "identity_pool_id": settings.identity_pool_id,
            "region": settings.pool_region,
        }
        identity = _identity_in(token, settings) if key == DEVELOPER else identity_id or settings.identity_id
        if identity is None:
            answer = self._call("GetId", {"IdentityPoolId": settings.identity_pool_id}, logins, about)
            identity = _identity_from(answer, "GetId")
        if settings.role is not None:
            return self._classic(identity, logins, about, settings.role, session_name(token))
        return self._enhanced(identity, logins, about)

    def warm(self) -> None:
        """Make the clients now, so that the exchange need not wait for them.  Raises nothing."""
        self._clients.warm("cognito-identity", self._settings.pool_region)
        if self._settings.role is not None:
            self._clients.warm("sts", self._settings.pool_region)

    def _enhanced(self, identity_id: str, logins: Mapping[str, str], about: Mapping[str, Any]) -> AwsCredentials:
        parameters = {"IdentityId": identity_id}
        if self._settings.custom_role_arn is not None:
            parameters["CustomRoleArn"] = self._settings.custom_role_arn
        answer = self._call("GetCredentialsForIdentity", parameters, logins, about)
        return credentials_from(
            answer,
            operation="GetCredentialsForIdentity",
            now=utc_now(),
            identity_id=_identity_from(answer, "GetCredentialsForIdentity"),
        )

    def _classic(
        self, identity_id: str, logins: Mapping[str, str], about: Mapping[str, Any], role: StsSettings, name: str
    ) -> AwsCredentials:
        answer = self._call("GetOpenIdToken", {"IdentityId": identity_id}, logins, about)
        return assume_role_with_token(
            text_from(answer, "Token", operation="GetOpenIdToken"),
            role,
            self._clients,
            region=self._settings.pool_region,
            session_name=role.role_session_name or name,
            identity_id=_identity_from(answer, "GetOpenIdToken"),
            about={**about, "issuer": f"https://{DEVELOPER}", "audience": self._settings.identity_pool_id},
        )

    def _call(
        self, operation: str, parameters: Mapping[str, str], logins: Mapping[str, str], about: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        with_logins = {**parameters, "Logins": logins} if logins else parameters
        return self._clients.call(
            "cognito-identity", operation, with_logins, region=self._settings.pool_region, about=about
        )


def _identity_in(token: IdToken, settings: CognitoSettings) -> str:
    """The identity of a developer's token (GetOpenIdTokenForDeveloperIdentity), which GetId would refuse."""
    if token.subject is None or not _ID.fullmatch(token.subject):
        raise InvalidTokenError(
            "The developer's token names no Cognito identity (sub).",
            fix="Use the token that GetOpenIdTokenForDeveloperIdentity gave the backend.",
        )
    if settings.identity_id not in (None, token.subject):
        raise InvalidTokenError(
            "The developer's token belongs to another Cognito identity than `identity_id` names.",
            fix="Leave `identity_id` out: the token carries it.",
        )
    return token.subject


def _identity_from(answer: Mapping[str, Any], operation: str) -> str:
    """The identity that AWS answers for: not always the one asked for, where logins were merged."""
    identity_id = str(text_from(answer, "IdentityId", operation=operation))
    if not _ID.fullmatch(identity_id):
        raise malformed(operation, "its IdentityId is none")
    return identity_id
