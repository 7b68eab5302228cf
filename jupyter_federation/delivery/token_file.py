"""The file with the endpoint's token: in a directory that only this user can enter, and gone with the endpoint."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import threading
from pathlib import Path

from jupyter_federation.redaction import Secret


class TokenFile:
    """Holds ``token``, which is the whole value of a request's Authorization, and no line break behind it."""

    def __init__(self, token: Secret, directory: Path) -> None:
        self._token = token
        self._directory = directory
        self._is_kept = True
        self._lock = threading.Lock()  # of the files: a renewal keeps them while somebody clears

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._directory / "token"

    def keep(self) -> None:
        """Write it where it is missing, and make it look new: those who tidy temporary directories go by its age.

        Raises OSError where that cannot be, or the directory has become somebody else's.
        """
        with self._lock:
            if not self._is_kept:
                return
            with contextlib.suppress(FileExistsError):
                self._directory.mkdir(mode=0o700)
            if not _is_own(self._directory):
                raise PermissionError(f"{self._directory} has become somebody else's")
            try:
                os.utime(self.path)
            except FileNotFoundError:
                _write(self.path, self._token)
            os.utime(self._directory)

    def remove(self) -> None:
        """Take it away, with its directory, and keep it no longer."""
        with self._lock:
            self._is_kept = False
            if _is_own(self._directory):
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)
                    self._directory.rmdir()


def new_directory(path: Path | None) -> Path:
    """A directory that only this user can enter: at ``path`` if that is free, or where nobody has been."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.mkdir(mode=0o700)
            return path
    return Path(tempfile.mkdtemp(prefix="jupyter-federation-"))


def _is_own(directory: Path) -> bool:
    """Whether it is a directory, and nobody but this user can enter it; Windows keeps temporary ones so by itself."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    is_ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return stat.S_ISDIR(found.st_mode) and is_ours


def _write(file: Path, token: str) -> None:
    """A new file that this user alone can read; not left half written."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(token)
    except OSError:  # no space
        file.unlink()
        raise
