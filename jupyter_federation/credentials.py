"""Temporary AWS credentials as a value, and the protocol of what makes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Protocol

from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken

# The longest session that AssumeRole* gives, and a little for the way; Cognito's enhanced flow gives an hour.
LONGEST_LIFETIME = timedelta(hours=12, minutes=5)

_PART = re.compile(r"[\x21-\x7e]+")  # goes into an HTTP header: visible ASCII, no space, no line break


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsCredentials:
    """One whole set of temporary credentials.

    Built only from a whole answer: a missing, empty or unprintable part and an expiry that is naive are ValueErrors,
    so nothing half-right can replace something good.  ``expires_at`` is UTC by this machine's clock; where AWS's
    clock disagrees, the exchange has corrected for it and ``clock_skew`` says by how much this machine is ahead.
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    identity_id: str | None = field(default=None, repr=False)
    assumed_role_arn: str | None = field(default=None, repr=False)
    clock_skew: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        for name in ("access_key_id", "secret_access_key", "session_token"):
            part = getattr(self, name)
            if not isinstance(part, str) or not _PART.fullmatch(part):
                raise ValueError(f"{name} is missing, empty or not printable ASCII")
        for name in ("secret_access_key", "session_token"):
            object.__setattr__(self, name, Secret(getattr(self, name)))
        if not isinstance(self.expires_at, datetime) or self.expires_at.tzinfo is None:
            raise ValueError("expires_at is not a time with a time zone")
        object.__setattr__(self, "expires_at", self.expires_at.astimezone(timezone.utc))


class Exchange(Protocol):
    """Turns a token into credentials; keeps no state between calls."""

    def exchange(self, token: IdToken, *, identity_id: str | None = None) -> AwsCredentials:
        """Credentials for ``token``.

        ``identity_id`` is the Cognito identity of the previous exchange, where there was one; it spares GetId.
        Raises ExchangeError where AWS refuses or cannot be reached, ConfigurationError where a setting is missing,
        InvalidTokenError where the token cannot be used for this exchange.
        """
        ...
