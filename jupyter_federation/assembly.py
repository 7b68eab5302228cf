"""From a profile to its parts: the token source and the exchange that it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_federation.config import Policy, Profile
from jupyter_federation.credentials import Exchange
from jupyter_federation.exchange import make_exchange
from jupyter_federation.exchange.cognito import CognitoSettings
from jupyter_federation.exchange.sts import StsSettings, sts_region
from jupyter_federation.redaction import Secret
from jupyter_federation.sources.environment_variable import EnvironmentVariableSource
from jupyter_federation.sources.file import FileSource
from jupyter_federation.sources.guest import GuestSource
from jupyter_federation.sources.prompt import PromptSource
from jupyter_federation.sources.variable import VariableSource
from jupyter_federation.tokens import TokenSource

if TYPE_CHECKING:
    from jupyter_federation.openid.client import OpenIdClient
    from jupyter_federation.openid.client_secret import ClientSecret

GOOGLE = "https://accounts.google.com"

_HOW_TO_RENEW = {  # where offline_access is no scope
    "google": "take the application's access away in your Google account, and give it again",
    "cognito-user-pool": "ask whoever runs the user pool for an app client that gives one",
}


def source_of(  # noqa: PLR0911 - one each
    profile: Profile, notebook: Mapping[str, Any], policy: Policy, way_back: str = "%federate"
) -> TokenSource:
    """The token source of ``profile`` under ``policy``.

    ``notebook`` holds the variables that it may name, ``way_back`` is what the person runs to sign in again.
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
        case "jupyterhub":
            from jupyter_federation.sources.jupyterhub import JupyterHubSource

            return JupyterHubSource(auth_state_key=profile.auth_state_key or "id_token", ca_bundle=profile.ca_bundle)
    return _openid_source(profile, policy, way_back)  # the others sign in themselves


def _openid_source(profile: Profile, policy: Policy, way_back: str) -> TokenSource:
    """A source that signs in itself; its rooms are loaded here, because a token that is brought needs none of them."""
    from jupyter_federation.sign_in.ladder import Ladder, Manner
    from jupyter_federation.sources.openid import OpenIdSource

    manner = Manner(
        no_browser=bool(profile.no_browser),
        use_device_code=bool(profile.use_device_code),
        token_prompt=bool(profile.token_prompt),
        redirect_ports=profile.redirect_port or (),
        allowed=policy.allowed_sign_in,
        allowed_by=policy.origins.get("allowed_sign_in", "the policy"),
    )
    hours = policy.max_session_hours
    longest = None if hours is None else timedelta(hours=hours)
    return OpenIdSource(client_of(profile), Ladder(manner, way_back=way_back), longest=longest, way_back=way_back)


def client_of(profile: Profile) -> OpenIdClient:
    """Who speaks to the provider; of the two libraries, the one that is not needed is not loaded."""
    ca_bundle = None if profile.ca_bundle is None else str(Path(profile.ca_bundle).expanduser())
    if profile.source == "entra":
        from jupyter_federation.openid.entra import PUBLIC_CLOUD, Entra, EntraSettings

        return Entra(
            EntraSettings(
                tenant=profile.tenant or "",
                client_id=profile.client_id or "",
                authority=profile.authority or PUBLIC_CLOUD,
                client_secret=_client_secret(profile),
                scopes=profile.scopes or (),
                ca_bundle=ca_bundle,
            )
        )
    from jupyter_federation.openid.provider import Provider, ProviderSettings

    google = profile.source == "google"  # it refuses offline_access, and takes these two instead
    return Provider(
        ProviderSettings(
            issuer=GOOGLE if google else profile.issuer or "",
            client_id=profile.client_id or "",
            client_secret=_client_secret(profile),
            scopes=("email",) if google and profile.scopes is None else profile.scopes,
            parameters={"access_type": "offline", "prompt": "consent"} if google else {},
            how_to_renew=_HOW_TO_RENEW.get(profile.source or ""),
            ca_bundle=ca_bundle,
        )
    )


def _client_secret(profile: Profile) -> ClientSecret | None:
    from jupyter_federation.openid.client_secret import ClientSecret

    value = None if profile.client_secret is None else Secret(profile.client_secret)
    secret = ClientSecret(variable=profile.client_secret_env, file=profile.client_secret_file, value=value)
    return None if secret == ClientSecret() else secret


def region_of(profile: Profile) -> str:
    """Where AWS is asked for it: the profile's own region, else botocore's.

    Raises ConfigurationError where there is neither.
    """
    if profile.working_region is not None:
        return profile.working_region
    from jupyter_federation.exchange.aws_clients import AwsClients  # botocore

    return sts_region(None, AwsClients())


def exchange_of(profile: Profile) -> Exchange:
    """The exchange of ``profile``: a Cognito identity pool or STS, and the further role where it names one."""
    further = None
    if profile.assume_role_arn is not None:
        from jupyter_federation.exchange.further_role import FurtherRoleSettings

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
        role=_sts(profile) if profile.flow == "classic" else None,
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
