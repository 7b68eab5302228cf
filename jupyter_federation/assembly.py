"""From a profile to its parts: the token source and the exchange that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_federation.config import Profile
from jupyter_federation.credentials import Exchange
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.exchange import make_exchange
from jupyter_federation.exchange.cognito import CognitoSettings
from jupyter_federation.exchange.further_role import FurtherRoleSettings
from jupyter_federation.exchange.sts import StsSettings
from jupyter_federation.sources.environment_variable import EnvironmentVariableSource
from jupyter_federation.sources.file import FileSource
from jupyter_federation.sources.guest import GuestSource
from jupyter_federation.sources.prompt import PromptSource
from jupyter_federation.sources.variable import VariableSource
from jupyter_federation.tokens import TokenSource


def source_of(profile: Profile, notebook: Mapping[str, Any]) -> TokenSource:
    """The token source of ``profile``; ``notebook`` holds the variables that it may name.

    Raises ConfigurationError for a source that this version cannot sign in with.
    """
    match profile.source:
        case None:
            return GuestSource()  # a complete profile lacks a source only for a guest
        case "file":
            return FileSource(profile.path or "")
        case "env":
            return EnvironmentVariableSource(profile.variable or "")
        case "var":
            return VariableSource(profile.variable or "", notebook)
        case "prompt":
            return PromptSource()
    raise ConfigurationError(
        f"This version of jupyter_federation does not sign in with `source: {profile.source}` yet.",
        fix="Bring a token: --token-file PATH, --token-env NAME, --token-var NAME or --token-prompt.",
    )


def exchange_of(profile: Profile) -> Exchange:
    """The exchange of ``profile``: a Cognito identity pool or STS, and the further role where it names one."""
    further = None
    if profile.assume_role_arn is not None:
        further = FurtherRoleSettings(
            assume_role_arn=profile.assume_role_arn,
            region=profile.region,
            role_session_name=profile.role_session_name,
        )
    return make_exchange(_cognito(profile) if profile.identity_pool_id is not None else _sts(profile), further)


def _cognito(profile: Profile) -> CognitoSettings:
    return CognitoSettings(
        identity_pool_id=profile.identity_pool_id or "",
        region=profile.region,
        provider=profile.provider,
        identity_id=profile.identity_id,
        custom_role_arn=profile.custom_role_arn,
        flow="classic" if profile.flow == "classic" else "enhanced",
        role_arn=profile.role_arn,
        role_session_name=profile.role_session_name if profile.flow == "classic" else None,
        duration_seconds=profile.duration_seconds,
        policy=profile.policy,
        policy_arns=profile.policy_arns or (),
    )


def _sts(profile: Profile) -> StsSettings:
    return StsSettings(
        role_arn=profile.role_arn or "",
        provider=profile.provider,
        region=profile.region,
        role_session_name=profile.role_session_name,
        duration_seconds=profile.duration_seconds,
        policy=profile.policy,
        policy_arns=profile.policy_arns or (),
    )
