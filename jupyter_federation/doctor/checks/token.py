"""The token that the source has by itself, what it says, and what AWS makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from jupyter_federation.assembly import exchange_of, source_of
from jupyter_federation.doctor.checks.aws import AWS
from jupyter_federation.doctor.checks.trust_policy import tagged
from jupyter_federation.doctor.finding import Finding, found, of_error
from jupyter_federation.doctor.patient import Asks, Patient
from jupyter_federation.errors import ExchangeError, FederationError, InvalidTokenError
from jupyter_federation.exchange.aws_clients import AwsClients
from jupyter_federation.exchange.providers import about_token, logins_key
from jupyter_federation.profile import SIGN_INS, Profile
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken

_OF_AN_UNKNOWN_ISSUER = ("provider-not-registered", "pool-lacks-provider", "provider-unknown")


def brought(patient: Patient) -> Iterator[Finding | Asks]:
    """Get the token, silently: of the sign-in that lives, or of a source that asks nobody."""
    profile, living = patient.profile, patient.living
    if profile is None:
        return
    if living is not None:
        status = living.status
        if status.sign_in == "needs_you":
            yield found(
                "sign-in-ended",
                f"The sign-in has ended: run {status.way_back} to sign in again. {status.last_error or ''}".strip(),
            )
            return
        if status.last_error is not None:
            yield found("renewal-failing", f"The last renewal failed: {status.last_error}")
        patient.token = living.token
        return
    if profile.source in (*SIGN_INS, "prompt"):
        patient.tell("token", "none: nobody is signed in here, and the doctor signs nobody in")
        return
    if profile.source == "var" and patient.notebook is None:
        patient.tell("token", "in a variable of the notebook, where %federate doctor sees it")
        return
    yield Asks(f"the token's source ({profile.source})")
    try:
        patient.token = source_of(profile, patient.notebook or {}, patient.policy).token()
    except FederationError as error:
        fallback = "token-malformed" if isinstance(error, InvalidTokenError) else "token-missing"
        yield of_error(error, fallback, where=f"`source` {profile.source}")


def claims(patient: Patient) -> Iterator[Finding | Asks]:
    """What the token says of itself, beside the profile and the clock."""
    token, profile = patient.token, patient.profile
    if token is None or profile is None:
        return
    _tell(patient, token)
    try:
        token.check_time(datetime.now(timezone.utc))
        key = logins_key(token, profile.provider)
    except FederationError as error:
        about: dict[str, Any] = about_token(token, None)
        yield of_error(error, "token-malformed", **about)
        return
    if key is not None:
        patient.tell("logins key", key)


def exchanged(patient: Patient) -> Iterator[Finding | Asks]:
    """One exchange, and what it shows of the pool; before it, what the role demands of the token by the file given."""
    token, profile = patient.token, patient.profile
    yield from tagged(patient)
    if token is None or profile is None or not patient.exchange:
        return
    where = f"{AWS}{'Cognito' if profile.identity_pool_id else 'STS'}"
    yield Asks(where)
    key = logins_key(token, profile.provider)
    known: dict[str, Any] = {**about_token(token, key), "role_arn": profile.role_arn}
    identity_id = None if patient.living is None else patient.living.status.identity_id
    try:
        credentials = exchange_of(profile).exchange(token, identity_id=identity_id)
    except FederationError as error:
        refused = isinstance(error, ExchangeError)
        if refused:
            patient.hear_date(where, error.facts.get("aws_date"))
        if token.claims.get("ver") == "1.0" and error.facts.get("finding") in _OF_AN_UNKNOWN_ISSUER:
            yield found(
                "entra-v1-token",
                f"The token is one of Entra's v1.0 tokens (its issuer is {token.issuer}), and AWS does not know that "
                "issuer: it probably has the v2.0 one. Have the application make v2.0 tokens.",
                **known,
            )
        host = urlsplit(str(error.facts.get("endpoint") or "")).netloc
        yield of_error(error, "aws-refuses", where=host or (where if refused else ""), **known)
        return
    patient.tell("exchange", f"works; credentials until {credentials.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    if credentials.identity_id is not None and profile.flow != "classic" and key is not None:
        yield Asks(where)
        yield from _classic_flow(profile, credentials.identity_id, {key: Secret(token.raw)})


def _classic_flow(profile: Profile, identity_id: str, logins: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the pool has it left on, though this profile does not use it."""
    pool, region = profile.identity_pool_id or "", profile.working_region or ""
    parameters = {"IdentityId": identity_id, "Logins": logins}
    try:
        AwsClients().call("cognito-identity", "GetOpenIdToken", parameters, region=region, about={})
    except FederationError:
        return
    yield found(
        "classic-flow-on",
        "The identity pool has the basic (classic) flow switched on, and this profile does not use it: whoever signs "
        "in may choose among all roles that trust the pool. Ask for it to be switched off.",
        where=f"identity pool {pool}",
        identity_pool_id=pool,
    )


def _tell(patient: Patient, token: IdToken) -> None:
    """Everything but who it is."""
    if not token.is_jwt:
        patient.tell("token", "no JWT: an opaque token, an assertion, or a guest's none")
        return
    patient.tell("token's issuer", token.issuer)
    patient.tell("token's audience", ", ".join(token.audience) or "none")
    if token.authorized_party is not None:
        patient.tell("token's azp", f"{token.authorized_party} (which AWS compares in the audience's place)")
    if "ver" in token.claims:
        patient.tell("token's version", f"Entra v{token.claims['ver']}")
    if token.expires_at is not None:
        patient.tell("token ends", f"{token.expires_at:%Y-%m-%d %H:%M:%S} UTC")
