"""A token exchanged with AWS STS itself, for a role that trusts its issuer (AssumeRoleWithWebIdentity).

The session is named after the user, so that CloudTrail names them too, and it may last as long as the role allows,
12 hours at most.  AWS STS API reference, AssumeRoleWithWebIdentity.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.exchange.answers import credentials_from
from jupyter_federation.exchange.providers import AMAZON, FACEBOOK, about_token, is_saml_provider, logins_key
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, utc_now

if TYPE_CHECKING:
    from jupyter_federation.exchange.aws_clients import AwsClients


@dataclass(frozen=True, kw_only=True, slots=True)
class StsSettings:
    """How to assume a role with a token; the names are AWS's.

    ``provider`` as for `logins_key`.  ``region`` is where STS is asked; None takes botocore's own.
    ``role_session_name`` None names the session after the user.  ``duration_seconds`` None is AWS's default, an hour.
    ``policy`` (JSON) and ``policy_arns`` narrow what the role allows.
    """

    role_arn: str
    provider: str | None = None
    region: str | None = None
    role_session_name: str | None = None
    duration_seconds: int | None = None
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()


class StsExchange:
    """AssumeRoleWithWebIdentity, one call."""

    def __init__(self, settings: StsSettings, clients: AwsClients) -> None:
        self._settings = settings
        self._clients = clients

    def exchange(self, token: IdToken, *, identity_id: str | None = None) -> AwsCredentials:  # noqa: ARG002 - Cognito's
        """Credentials of the role for ``token``; see `Exchange`.  ``identity_id`` means nothing to STS."""
        key = logins_key(token, self._settings.provider)
        if key is None or is_saml_provider(key):
            raise ConfigurationError(
                "With `role_arn` alone, AWS takes OpenID tokens only.",
                fix="For a guest or a SAML provider, use an identity pool (`identity_pool_id`) in place of `role_arn`.",
                logins_key=key,
            )
        return assume_role_with_token(
            token.raw,
            self._settings,
            self._clients,
            region=sts_region(self._settings.region, self._clients),
            session_name=self._settings.role_session_name or session_name(token),
            provider_id=key if key in (AMAZON, FACEBOOK) else None,
            about=about_token(token, key),
        )

    def warm(self) -> None:
        """Make the client now, so that the exchange need not wait for it.  Raises nothing."""
        self._clients.warm("sts", self._settings.region)


def assume_role_with_token(
    token: str,
    settings: StsSettings,
    clients: AwsClients,
    *,
    region: str,
    session_name: str,
    provider_id: str | None = None,
    identity_id: str | None = None,
    about: Mapping[str, Any],
) -> AwsCredentials:
    """Credentials of ``settings.role_arn`` for ``token``; Cognito's classic flow ends here too.

    ``provider_id`` names the provider of an access token (Login with Amazon, Facebook), and only of those.
    """
    parameters: dict[str, Any] = {
        "RoleArn": settings.role_arn,
        "RoleSessionName": session_name,
        "WebIdentityToken": Secret(token),
        "ProviderId": provider_id,
        "DurationSeconds": settings.duration_seconds,
        "Policy": settings.policy,
        "PolicyArns": [{"arn": arn} for arn in settings.policy_arns] or None,
    }
    answer = clients.call(
        "sts",
        "AssumeRoleWithWebIdentity",
        {name: value for name, value in parameters.items() if value is not None},
        region=region,
        about={**about, "role_arn": settings.role_arn, "region": region},
    )
    return credentials_from(answer, operation="AssumeRoleWithWebIdentity", now=utc_now(), identity_id=identity_id)


def sts_region(setting: str | None, clients: AwsClients) -> str:
    """The region of STS: the setting, else botocore's.  Raises ConfigurationError where there is none."""
    region = setting or clients.region()
    if region is None:
        raise ConfigurationError(
            "No AWS region is set, and AWS STS is asked in a region.",
            fix="Set `region` (--region REGION), or AWS_REGION.",
            finding="region-missing",
        )
    return region


def session_name(token: IdToken) -> str:
    """What CloudTrail will call the person: their e-mail or user name, in the characters that AWS allows."""
    ascii_name = unicodedata.normalize("NFKD", token.name or "").encode("ascii", "ignore").decode()
    name = re.sub(r"[^\w+=,.@-]+", "-", ascii_name, flags=re.ASCII).strip("-")[:64]
    return name if len(name) > 1 else "jupyter-federation"
