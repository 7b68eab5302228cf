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
from typing import Any, NoReturn, SupportsIndex

MASK = "***"


class SecretBytes(bytes):
    """What a `Secret` is on its way out: botocore encodes a request's headers, and its reprs would show them."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Masked."""
        return f"b'{MASK}'"

    __str__ = __repr__  # str() of bytes is a repr, and logging and f-strings call it

    def __add__(self, other: Any) -> SecretBytes:
        """Still a secret with something behind it."""
        return SecretBytes(bytes.__add__(self, other))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse, as `Secret` does."""
        raise TypeError("a secret cannot be pickled or copied")


class Secret(str):
    """A string that does not show itself and does not travel by pickle or copy.

    So are its parts: debuggers and loggers cut a string before they show it.  What is made of it by formatting or
    joining is a plain string.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Masked: a repr ends up in tracebacks, logs and notebooks."""
        return f"'{MASK}'"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse: a pickle is a file or a message in clear."""
        raise TypeError("a secret cannot be pickled or copied")

    def __getitem__(self, key: Any) -> Secret:
        """A part, still a secret."""
        return Secret(str.__getitem__(self, key))

    def __add__(self, other: str) -> Secret:
        """Still a secret with something behind it."""
        return Secret(str.__add__(self, other))

    def strip(self, chars: str | None = None) -> Secret:
        """As of any string, still a secret."""
        return Secret(str.strip(self, chars))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """As of any string, the parts still secrets."""
        return [Secret(part) for part in str.split(self, sep, maxsplit)]

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """As of any string, still a secret."""
        return SecretBytes(str.encode(self, encoding, errors))


def masked(value: Any) -> Any:
    """JSON of somebody else's, all its strings as secrets: which of them are is not for sure before it is checked."""
    if isinstance(value, dict):
        return {name: masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return Secret(value) if isinstance(value, str) else value


# What a person pastes by mistake.  A path, an ARN, a UUID and a policy do not look like any of these.
_TOKEN = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}(?:[ \t]*\\?\r?\n[\w.-]{20,}(?=[\s\\\"']|$))*"  # a JWT, also wrapped over lines
    r"|\b[01]\.A[\w-]{20,}(?:\.[\w-]+)*"  # Entra's refresh tokens and codes
    r"|\b(?:gh[opsur]_|glpat-|v1\.)[\w-]{20,}"  # GitHub's, GitLab's, Auth0's
    r"|\bya29\.[\w.-]{16,}"  # Google's access token
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # an AWS key id; then a secret access key: 40 characters, of all kinds
    r"|(?<![\w/+.~:-])(?=[A-Z0-9/+]{0,39}[a-z])(?=[a-z0-9/+]{0,39}[A-Z])(?=[A-Za-z/+]{0,39}[0-9])"
    r"[A-Za-z0-9/+]{40}(?![\w/+=.-])"
    r"|(?<![\w/+=.~:-])[A-Za-z0-9_-][A-Za-z0-9+/=_-]{63,}"  # any long run of base64
    # An address's password, escaped or not, or a token; "//host:PORT/" and a placeholder have none.
    r"|(?<=(?<![\w.~}/)\]-])//)(?!USER:PASSWORD@)(?:[^\s/?#:\"]*:(?!\d{0,5}[/?#])[^\s\"]{1,256}|[^\s/?#\"]{16,})(?=@)"
)


def holds_a_token(text: str) -> bool:
    """Whether something in ``text`` looks like a token or a key (a path, an ARN and a UUID do not)."""
    return _TOKEN.search(text) is not None


def without_tokens(text: str) -> str:
    """``text`` with everything that looks like a token or a key masked."""
    return _TOKEN.sub(MASK, text)


def without_user(address: str) -> str:
    """``address`` with all before its host masked, but the scheme: a user and a password, or a token, however written.

    A password that is not escaped may hold "/", "#" and blanks, and the scheme may be missing.
    """
    before, at, host = address.rpartition("@")
    scheme = re.match(r"(?:[a-z][a-z0-9]{0,9}://)?", before)
    return f"{scheme[0] if scheme else ''}{MASK}@{host}" if at else address


def printable(text: str) -> str:
    """``text`` of somebody else's on one line, without what moves a terminal's cursor or turns what is read."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


class _WireFilter(logging.Filter):
    """Keeps what botocore logs at DEBUG from showing a token or a key.

    While a thread exchanges a token (`quiet_wire`), botocore's records below WARNING are dropped: they print request
    and response whole.  At any other time they lose the session token: it stands in the canonical request that is
    signed, in the query of a presigned one, and in what S3 answers when it refuses a token or a signature.
    """

    _session_token = re.compile(
        r"""(?ix) ((?: x-amz-(?:security|s3session)-token | \btoken-\d+ | \bcanonicalrequestbytes ) ["']?
                  (?: \s*[:=]\s* | > ) b?["']?) [^\s"'\\<>&,][^"'\\<>&,\n]*"""
    )

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING and getattr(self.thread, "quiet", False):
            return False
        said = record.getMessage()
        masked = self._session_token.sub(rf"\1{MASK}", said)
        if masked != said:
            record.msg, record.args = masked, None
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
