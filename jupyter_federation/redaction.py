"""What keeps a secret from being shown: the masked string, the log filter, the pattern of a token.

A secret is a `Secret` from the moment it enters until it leaves in a request.  Its repr is masked, so it stays
hidden in other people's tracebacks, logs and ``vars()``; it cannot be pickled or deep-copied.  It is still a
``str``, because libraries must be able to send it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

MASK = "***"


class Secret(str):
    """A string that does not show itself and does not travel by pickle or copy."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Masked: a repr ends up in tracebacks, logs and notebooks."""
        return f"'{MASK}'"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse: a pickle is a file or a message in clear."""
        raise TypeError("a secret cannot be pickled or copied")


# A JWT, an AWS key id, Google's opaque access token, or any long run of base64: what a person pastes by mistake.
_TOKEN = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bya29\.[\w.-]{16,}"
    r"|(?<![\w/+=.~:-])[A-Za-z0-9_-][A-Za-z0-9+/=_-]{63,}"
)


def holds_a_token(text: str) -> bool:
    """Whether something in ``text`` looks like a token or a key (a path, an ARN and a UUID do not)."""
    return _TOKEN.search(text) is not None


def without_tokens(text: str) -> str:
    """``text`` with everything that looks like a token or a key masked."""
    return _TOKEN.sub(MASK, text)


class _WireFilter(logging.Filter):
    """Keeps what botocore logs at DEBUG from showing a token or a key.

    While a thread exchanges a token (`quiet_wire`), botocore's records below WARNING are dropped: they print request
    and response whole.  At any other time the canonical request that botocore.auth logs loses its session token.
    """

    _header = re.compile(r"(?im)^(x-amz-security-token:).+$")

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING and getattr(self.thread, "quiet", False):
            return False
        if record.name == "botocore.auth":
            record.msg, record.args = self._header.sub(rf"\1{MASK}", record.getMessage()), None
        return True


_wire_filter = _WireFilter()
# A filter works on the very logger that a record is made on, not on its children: hence the names.
_WIRE_LOGGERS = ("auth", "awsrequest", "client", "endpoint", "handlers", "hooks", "httpsession", "parsers", "retries")


def guard_logs() -> None:
    """Attach the filter to botocore's loggers; safe to call again."""
    for name in _WIRE_LOGGERS:
        logging.getLogger(f"botocore.{name}").addFilter(_wire_filter)


@contextlib.contextmanager
def quiet_wire() -> Iterator[None]:
    """While this thread is inside, botocore logs nothing below WARNING: its records hold the token and the keys."""
    guard_logs()
    _wire_filter.thread.quiet = True
    try:
        yield
    finally:
        _wire_filter.thread.quiet = False
