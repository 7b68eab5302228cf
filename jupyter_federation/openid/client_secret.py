"""A confidential client's secret: known here by its place alone, and read when a request needs it."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.redaction import Secret, SecretBytes, holds_a_token

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
            name = self.variable or ""
            if holds_a_token(name) or not re.fullmatch(r"[A-Za-z_]\w{0,63}", name):  # perhaps the secret: not repeated
                raise ConfigurationError(
                    "`client_secret_env` is not the name of an environment variable.",
                    fix="Write the variable's name there, and the secret into the variable; if it was the secret that "
                    "stood there, make a new one.",
                )
            raise ConfigurationError(
                f"The environment variable {name} (`client_secret_env`) is not set here, or is empty.",
                fix="Set it where the kernel is started, and restart the kernel.",
            )
        return secret


def _without_waiting(path: str, flags: int) -> int:
    """Open ``path``; of a FIFO, the opening alone would wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _of_file(file: str) -> str:
    """The content of a file that nobody else may read."""
    problem, fix = "", "Check `client_secret_file`: it is the path of a file that holds the bare secret."
    secret = Secret("")
    try:
        path = Path(file).expanduser()
        with open(path, "rb", opener=_without_waiting) as opened:
            found = os.fstat(opened.fileno())
            mode = stat.S_IMODE(found.st_mode)
            content = SecretBytes(opened.read(_LARGEST + 1)) if stat.S_ISREG(found.st_mode) else None
        if content is None:
            problem = "is not a regular file"
        elif os.name == "posix" and found.st_uid not in {0, os.geteuid()}:
            problem, fix = "belongs to another user", "Copy it to a file of your own, and name that."
        elif os.name == "posix" and mode & 0o077:
            problem, fix = f"can be read by others (its mode is {mode:o})", f"Make it yours alone: chmod 600 {path}"
        elif len(content) > _LARGEST:
            problem = f"holds more than {_LARGEST} bytes, which no secret does"
        else:
            secret = Secret(content, "utf-8-sig").strip()
            problem = "" if secret else "is empty"
    except FileNotFoundError:
        problem = "does not exist"
    except IsADirectoryError:
        problem = "is not a regular file"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no home for ~; ValueError: a NUL inside
        reason = error.strerror if isinstance(error, OSError) else None
        problem = f"cannot be read: {reason or type(error).__name__}"
    if problem:
        raise ConfigurationError(f"The client secret's file {file} {problem}.", fix=fix)
    return secret
