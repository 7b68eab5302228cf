"""An answer of AWS, checked whole, as credentials.

Whatever stands in AWS's place (a proxy's page, a stand-in, a bug), nothing half-right gets past here: an answer
either makes valid credentials or is an ExchangeError that says what was wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from jupyter_federation.credentials import LONGEST_LIFETIME, AwsCredentials
from jupyter_federation.errors import ExchangeError

SKEW_TOLERANCE = timedelta(seconds=60)
"""Up to here two clocks agree: the ``Date`` header counts whole seconds, and the answer was on its way."""

_SESSION_ARN = re.compile(r"arn:aws[\w-]*:sts::\d{12}:assumed-role/[\w+=,.@/-]+", re.ASCII)


def credentials_from(
    answer: Mapping[str, Any],
    *,
    operation: str,
    now: datetime,
    identity_id: str | None = None,
) -> AwsCredentials:
    """The credentials in ``answer``, as botocore parsed it, arrived at ``now`` by this machine's clock.

    AWS dates the expiry by its own clock, which its ``Date`` header shows.  Where this machine's clock is more than
    `SKEW_TOLERANCE` off, ``expires_at`` is shifted so that it is right by this machine's clock.

    Raises ExchangeError (retryable) for an answer that is not whole.  The text names the part, never its value.
    """
    if not isinstance(answer.get("Credentials"), Mapping):
        raise malformed(operation, "it holds no Credentials")
    parts: Any = answer["Credentials"]
    expiration = parts.get("Expiration")
    if not isinstance(expiration, datetime) or expiration.tzinfo is None:
        raise malformed(operation, "its Expiration is missing or has no time zone")
    skew = _clock_skew(answer, now)
    try:
        expires_at = expiration.astimezone(timezone.utc) + skew
    except OverflowError:
        raise malformed(operation, "its Expiration is out of range") from None
    if expires_at <= now:
        raise malformed(operation, "its Expiration has passed")
    if expires_at - now > LONGEST_LIFETIME:
        raise malformed(operation, f"its Expiration is more than {LONGEST_LIFETIME // timedelta(hours=1)} hours away")
    key_id = parts.get("AccessKeyId")
    role_arn = _assumed_role_arn(answer, operation)
    try:
        return AwsCredentials(
            access_key_id=str(key_id) if isinstance(key_id, str) else key_id,  # no secret: without the mask
            secret_access_key=parts.get("SecretKey", parts.get("SecretAccessKey")),  # Cognito's name, STS's name
            session_token=parts.get("SessionToken"),
            expires_at=expires_at,
            identity_id=identity_id,
            assumed_role_arn=role_arn,
            clock_skew=skew,
        )
    except ValueError as error:
        what = str(error)  # names the part, not its value
    raise malformed(operation, what)


def text_from(answer: Mapping[str, Any], member: str, *, operation: str) -> str:
    """The text that ``answer`` must hold under ``member``.  Raises ExchangeError (retryable) where it is not there."""
    value = answer.get(member)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise malformed(operation, f"it holds no {member}")
    return value


def malformed(operation: str, what: str) -> ExchangeError:
    """The error for an answer to ``operation`` that cannot be used; ``what`` is wrong with it, in a few words."""
    return ExchangeError(
        f"AWS's answer to {operation} cannot be used: {what}.",
        fix="Try again. If it stays so, something answers in AWS's place: check AWS_ENDPOINT_URL, HTTPS_PROXY and "
        "NO_PROXY.",
        retryable=True,
        operation=operation,
    )


def _clock_skew(answer: Mapping[str, Any], now: datetime) -> timedelta:
    """How far this machine's clock is ahead of AWS's; zero where they agree, or AWS does not say."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        aws_now = parsedate_to_datetime(headers["date"])
        skew = now - aws_now
    except (KeyError, TypeError, ValueError, OverflowError):  # absent, or no date, or one without a zone
        return timedelta(0)
    return skew if abs(skew) > SKEW_TOLERANCE else timedelta(0)


def _assumed_role_arn(answer: Mapping[str, Any], operation: str) -> str | None:
    """Who was assumed; STS says it, Cognito's enhanced flow does not."""
    user = answer.get("AssumedRoleUser")
    if user is None:
        return None
    arn = user.get("Arn") if isinstance(user, Mapping) else None
    if not isinstance(arn, str) or not _SESSION_ARN.fullmatch(arn):
        raise malformed(operation, "its AssumedRoleUser has no ARN")
    return str(arn)
