"""The one list of what can be set, with AWS's names.

A profile's key (``identity_pool_id``), a magic's option (``--identity-pool-id``) and a Python argument are the same
thing: a field of `Profile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.exchange.providers import PROVIDERS
from jupyter_federation.options import Option, option, options_of, with_settings

USER_POOL = "cognito-user-pool"
SIGN_INS = ("entra", "oidc", "google", USER_POOL)  # the sources that run an OpenID sign-in themselves
UNATTENDED = ("jupyterhub", "file", "env")  # those that never ask a person
_SOURCES = (*SIGN_INS, "jupyterhub", "file", "env", "var", "prompt")
_CLIENT_SECRETS = ("client_secret", "client_secret_env", "client_secret_file")
_WORD: dict[str, Any] = {"expects": "text without white space", "pattern": r"\S+"}
_PATH: dict[str, Any] = {"expects": "a path", "pattern": r"[^\0]+"}
_URL: dict[str, Any] = {
    "expects": "an https URL",
    "pattern": r"https://[^\s@]+|http://(?:localhost|127\.0\.0\.1)(?:[:/][^\s@]*)?",
}
_COGNITO_ID: dict[str, Any] = {  # an identity pool's or an identity's, as in Cognito's API reference
    "expects": "a Cognito id (REGION:UUID)",
    "pattern": r"(?a:(?=.{1,55}$)[\w-]+:[0-9a-f-]+)",
}
_ROLE: dict[str, Any] = {
    "expects": "an IAM role's ARN (arn:aws:iam::123456789012:role/NAME)",
    "pattern": r"(?a:arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What one sign-in needs to know: a federation profile, with what the command said laid over it.

    ``name`` is None where the command said everything.  ``origins`` tells for each option that is set which file it
    came from, or that it came with the command.  ``locked_by`` is the file that locks the profile.
    """

    name: str | None = None

    source: str | None = option("Where the token comes from.", choices=_SOURCES)
    path: str | None = option("The file that holds the token.", **_PATH, sources=("file",), required=True)
    variable: str | None = option(
        "The environment variable, or the notebook's Python variable, that holds the token.",
        expects="a variable's name",
        pattern=r"[^\W\d]\w*",
        sources=("env", "var"),
        required=True,
    )
    tenant: str | None = option(
        "Entra's tenant: its id or domain.",
        expects="one tenant's id or domain",
        pattern=r"(?!(?i:common|organizations|consumers)$)[\w.-]+",  # AWS trusts one issuer at a time
        sources=("entra",),
        required=True,
    )
    authority: str | None = option(
        "Entra's address, if not the public cloud's.",
        expects="an https URL",
        pattern=r"https://[^\s@]+",
        sources=("entra",),
    )
    issuer: str | None = option("The OpenID provider's issuer.", **_URL, sources=("oidc", USER_POOL), required=True)
    client_id: str | None = option(
        "The application's id, as it is registered with the provider.", **_WORD, sources=SIGN_INS, required=True
    )
    client_secret: str | None = option(
        "A Google desktop client's, which Google documents as not confidential.",
        **_WORD,
        sources=("google",),
        secret=True,
    )
    client_secret_env: str | None = option(
        "The environment variable that holds a confidential client's secret.",
        expects="a variable's name",
        pattern=r"[^\W\d]\w*",
        sources=SIGN_INS,
    )
    client_secret_file: str | None = option(
        "The file, readable by you alone, that holds a confidential client's secret.", **_PATH, sources=SIGN_INS
    )
    scopes: tuple[str, ...] | None = option(
        "What to ask the provider for, beside openid.",
        "list",
        expects="a list of scopes",
        pattern=r"\S+",
        sources=SIGN_INS,
    )
    redirect_port: tuple[int, ...] | None = option(
        "The loopback port that the provider redirects to; of several, the first that is free.",
        "integers",
        expects="a port from 1 to 65535, or a list of them",
        bounds=(1, 65_535),
        sources=SIGN_INS,
    )
    no_browser: bool | None = option("Show the sign-in's address and open no browser.", "flag", sources=SIGN_INS)
    use_device_code: bool | None = option("Sign in by a code typed on another device.", "flag", sources=SIGN_INS)
    token_prompt: bool | None = option("Ask for an ID token of the provider's, hidden.", "flag", sources=SIGN_INS)
    auth_state_key: str | None = option(
        "Which token of the hub's login to use, by its key in the auth state; without it, id_token.",
        expects="a key of the auth state",
        pattern=r"[\w-]+",
        sources=("jupyterhub",),
    )
    ca_bundle: str | None = option(
        "The certificates to trust for the provider (PEM).", **_PATH, sources=(*SIGN_INS, "jupyterhub")
    )

    provider: str | None = option(
        "Whose token it is; without it, the token's issuer tells.",
        expects=f"one of {', '.join(PROVIDERS)}, or a logins key or issuer as it stands",
        pattern="|".join((*PROVIDERS, r"\S*[.:]\S*")),
        choices=PROVIDERS,
    )
    identity_pool_id: str | None = option("The Cognito identity pool that takes the token.", **_COGNITO_ID)
    identity_id: str | None = option(
        "The Cognito identity to use, where it is known already.", **_COGNITO_ID, beside=("identity_pool_id",)
    )
    custom_role_arn: str | None = option(
        "One of several roles that the identity pool's rules allow.", **_ROLE, beside=("identity_pool_id",)
    )
    flow: str | None = option(
        "Cognito's flow; classic takes the role that you name, by STS.",
        choices=("enhanced", "classic"),
        beside=("identity_pool_id",),
    )
    role_arn: str | None = option("The role to take with the token by STS.", **_ROLE)
    role_session_name: str | None = option(
        "The session's name in CloudTrail.",
        expects="2 to 64 letters, digits or any of _+=,.@-",
        pattern=r"(?a:[\w+=,.@-]{2,64})",
        beside=("role_arn", "assume_role_arn"),
    )
    duration_seconds: int | None = option(
        "How long the role's credentials live.",
        "integer",
        expects="seconds from 900 to 43200",
        bounds=(900, 43_200),
        beside=("role_arn",),
    )
    policy: str | None = option(
        "A session policy that narrows the role further.", "json", expects="a JSON object", beside=("role_arn",)
    )
    policy_arns: tuple[str, ...] | None = option(
        "Managed policies that narrow the role further.",
        "list",
        expects="a list of IAM policies' ARNs",
        pattern=r"arn:[\w-]+:iam::(?:\d{12}|aws):policy/\S+",
        beside=("role_arn",),
    )
    assume_role_arn: str | None = option("One further role to take from there; AWS gives it one hour at most.", **_ROLE)
    region: str | None = option(
        "Where to sign in to AWS, and where to work.",
        expects="an AWS region (eu-west-1)",
        pattern=r"[a-z]+(?:-[a-z]+)+-\d+",
    )

    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    locked_by: Path | None = field(default=None, compare=False)

    @property
    def working_region(self) -> str | None:
        """Where it works: its region, else that of its identity pool, whose id begins with it."""
        pool = self.identity_pool_id
        return self.region or (None if pool is None else pool.partition(":")[0])

    @property
    def way_back(self) -> str:
        """What the person runs to sign in with it again."""
        return f"%federate {self.name}" if self.name else "your %federate line"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the way that its credentials come, once, when they sign in."""
        if self.assume_role_arn is not None:
            return ("AWS gives a role that is assumed by another role one hour at a time.",)
        unnamed = (
            "AWS's log (CloudTrail) will show this session without your name: an identity pool calls all of them "
            "CognitoIdentityCredentials."
        )
        return () if self.identity_pool_id is None or self.flow == "classic" else (unnamed,)


OPTIONS = options_of(Profile)


def overlay(profile: Profile, settings: Mapping[str, Any], origin: str) -> Profile:
    """``profile`` with ``settings`` laid over it.

    Where they change the source, what only the earlier source could use goes with it: a profile that signs in with
    Entra takes a token from a file for once without its tenant being in the way.
    """
    source = settings.get("source", profile.source)
    outdated: dict[str, None] = {}
    if profile.source not in (None, source):
        outdated = {key: None for key, known in OPTIONS.items() if known.sources and source not in known.sources}
    return with_settings(profile, {**outdated, **settings}, origin)


def signs_in(profile: Profile) -> bool:
    """Whether a person has signed in at a provider for it, as far as is known here: of a file's token nothing is."""
    by_call = profile.source == "var" and profile.variable is None  # `federate_to_identity_pool`: as with Amplify
    return by_call or profile.source in (*SIGN_INS, "jupyterhub")


def check_complete(profile: Profile) -> None:
    """Raise ConfigurationError where something is missing for a sign-in, or does not go together."""
    guest = profile.provider == "guest"
    if guest and profile.source is not None:
        raise _wrong(profile, "source", "and a guest has no token", "Leave `source` out, or name another provider.")
    if not guest and profile.source is None:
        raise ConfigurationError(
            f"{_title(profile)}: there is no `source`, so nothing says where the token comes from.",
            fix="Add --token-file PATH, --token-env NAME, --token-var NAME or --token-prompt, or `source` in Python.",
            finding="profile-incomplete",
        )
    if profile.identity_pool_id is None and profile.role_arn is None:
        raise ConfigurationError(
            f"{_title(profile)}: there is neither `identity_pool_id` nor `role_arn`, so nothing takes the token.",
            fix="Add `identity_pool_id` (Cognito), or `role_arn` with `region` (STS).",
            finding="profile-incomplete",
        )
    for key, known in OPTIONS.items():
        _check_company(profile, key, known)
    secrets = [key for key in _CLIENT_SECRETS if getattr(profile, key) is not None]
    if len(secrets) > 1:
        raise _wrong(profile, secrets[1], f"and `{secrets[0]}` as well", "Leave one of them out.")
    if profile.flow == "classic":
        if profile.role_arn is None:
            raise _wrong(profile, "flow", "which needs `role_arn` too", "Add it, or leave `flow` out.")
        if profile.custom_role_arn is not None:
            raise _wrong(profile, "custom_role_arn", "and the classic flow takes `role_arn`", "Leave one of them out.")
    elif profile.identity_pool_id is not None and profile.role_arn is not None:
        both = f"and `identity_pool_id` ({profile.origins['identity_pool_id']}) as well"
        raise _wrong(profile, "role_arn", both, 'Leave one of them out, or add `"flow": "classic"` (--flow classic).')


def _check_company(profile: Profile, key: str, known: Option) -> None:
    """Whether ``key`` is there if the source requires it, and only in the company that it belongs to."""
    if getattr(profile, key) is None:
        if known.required and profile.source in known.sources:
            raise _wrong(profile, "source", f"which needs `{key}` too", f"Add it. What `{key}` is: {known.help}")
        return
    if known.sources and profile.source not in known.sources:
        raise _wrong(
            profile, key, f"and it is for {' and '.join(known.sources)} alone, not {profile.source}", "Leave it out."
        )
    if known.beside and all(getattr(profile, other) is None for other in known.beside):
        raise _wrong(profile, key, f"and it goes with `{'` or `'.join(known.beside)}` only", "Leave it out.")


def _title(profile: Profile) -> str:
    return "The sign-in" if profile.name is None else f"The federation profile {profile.name!r}"


def _wrong(profile: Profile, key: str, why: str, fix: str) -> ConfigurationError:
    """What is wrong with ``key``, and where it was said."""
    origin = profile.origins[key]
    said = f"The command says `{key}`" if origin == "the command" else f"{_title(profile)} says `{key}` ({origin})"
    return ConfigurationError(f"{said}, {why}.", fix=fix, finding="profile-incomplete")
