"""Who is signed in, as values: for Amplify's calls, for ``whoami`` and for the doctor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.profile import Profile
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.tokens import IdToken


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthSession:
    """What Amplify's ``fetchAuthSession`` gives: signed out, everything but ``is_federated`` is None."""

    is_federated: bool
    identity_id: str | None = field(default=None, repr=False)
    credentials: AwsCredentials | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CurrentUser:
    """The user-pool user who is signed in."""

    user_id: str
    username: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallerIdentity:
    """Who AWS says you are (STS GetCallerIdentity)."""

    account: str
    arn: str
    user_id: str
    subject: str | None = None

    def __str__(self) -> str:
        lines = [self.subject, self.arn, f"account {self.account}"]  # one each: an ARN fills a line of its own
        return "\n".join(line for line in lines if line is not None)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's signature
        printer.text(str(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class LivingSignIn:
    """The sign-in that lives in the kernel; ``lent`` are the variables by which tools find region and endpoint."""

    profile: Profile
    token: IdToken | None = field(repr=False)
    status: SessionStatus
    lent: Mapping[str, str] = field(default_factory=dict, repr=False)
