"""What AWS asks of a role's session, whatever call opens it (AWS STS API reference, AssumeRole*)."""

from __future__ import annotations

import re
import unicodedata

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.tokens import IdToken

SHORTEST_SESSION = 900
"""Seconds; of AssumeRole*."""
LONGEST_SESSION = 43_200
"""Seconds; of AssumeRole*, where the role allows as much."""
LONGEST_CHAINED_SESSION = 3600
"""Seconds; where one role assumes another, whatever the role allows."""

_ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_NAMELESS = "jupyter-federation"


def session_name(token: IdToken) -> str:
    """What CloudTrail will call the person: their e-mail or user name, in the characters that AWS allows."""
    ascii_name = unicodedata.normalize("NFKD", token.name or "").encode("ascii", "ignore").decode()
    name = re.sub(r"[^\w+=,.@-]+", "-", ascii_name, flags=re.ASCII).strip("-")[:64]
    return name if _SESSION_NAME.fullmatch(name) else _NAMELESS


def check_role_arn(arn: str, setting: str) -> None:
    """Raise ConfigurationError, naming ``setting``, where ``arn`` is no role's."""
    if not _ROLE_ARN.fullmatch(arn):
        raise ConfigurationError(
            f"`{setting}` is {arn!r}, and that is not the ARN of a role.",
            fix=f"Set `{setting}` as IAM shows it: arn:aws:iam::ACCOUNT:role/NAME.",
        )


def check_session(name: str | None, duration_seconds: int | None, *, longest: int) -> None:
    """Raise ConfigurationError where AWS could not take the session's name or duration."""
    if name is not None and not _SESSION_NAME.fullmatch(name):
        raise ConfigurationError(
            f"`role_session_name` is {name!r}, and AWS takes 2 to 64 letters, digits and _+=,.@- only.",
            fix="Correct `role_session_name`, or leave it out: the session is then named after the user.",
        )
    if duration_seconds is not None and not SHORTEST_SESSION <= duration_seconds <= longest:
        raise ConfigurationError(
            f"`duration_seconds` is {duration_seconds}, and AWS takes {SHORTEST_SESSION} to {longest} here.",
            fix="Correct `duration_seconds`, or leave it out for AWS's default, an hour.",
        )
