"""A confidential client's secret: known here by its place alone, and read when a request needs it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.redaction import Secret, SecretBytes

_LARGEST = 4096  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientSecret:
    """Where the secret stands: in ``variable`` of the environment, in ``file``, or, where it is none, in ``value``."""

    variable: str | None = None
    file: str | None = None
    value: str | None = field(default=None, repr=False)

    def read(self) -> str:
        """The secret, as it is at this moment.  Raises ConfigurationError where it cannot be had."""
        if self.value is not None:
            return Secret(self.value)
        if self.file is not None:
            return _of_file(self.file)
        secret = Secret(os.environ.get(self.variable or "", "")).strip()
        if not secret:
            raise ConfigurationError(
                f"The environment variable {self.variable} (`client_secret_env`) is not set here, or is empty.",
                fix="Set it where the kernel is started, and restart the kernel.",
            )
        return secret


def _of_file(file: str) -> str:
    """The content of a file that nobody else may read."""
    problem, fix = "", "Check `client_secret_file`: it is the path of a file that holds the bare secret."
    secret = Secret("")
    try:
        path = Path(file).expanduser()
        if not path.is_file():
            problem = "is not a regular file" if path.exists() else "does not exist"
        else:
            with path.open("rb") as opened:
                mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
                if os.name == "posix" and mode & 0o077:
                    problem, fix = (
                        f"can be read by others (its mode is {mode:o})",
                        f"Make it yours alone: chmod 600 {path}",
                    )
                else:
                    content = SecretBytes(opened.read(_LARGEST + 1))
                    secret = Secret(content, "utf-8-sig").strip()
                    problem = "" if secret else "is empty"
                    if len(content) > _LARGEST:
                        problem = f"holds more than {_LARGEST} bytes, which no secret does"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no home for ~; ValueError: a NUL inside
        reason = error.strerror if isinstance(error, OSError) else None
        problem = f"cannot be read: {reason or type(error).__name__}"
    if problem:
        raise ConfigurationError(f"The client secret's file {file} {problem}.", fix=fix)
    return secret
