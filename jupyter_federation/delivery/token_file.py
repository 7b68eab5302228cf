"""The file with the endpoint's token: in a directory that only this user can enter, and gone with the endpoint.

Where its process is killed it stays, and opens nothing, until a later sign-in on the same host takes it away.  By a
lock the directory tells whether anybody is still behind it.  Where there is no such lock (Windows, some file systems)
it stays until somebody tidies temporary directories.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path

from jupyter_federation.redaction import Secret

_PREFIX = "jupyter-federation-endpoint-"  # the demo has directories of another name
_SETTLED = 10.0  # seconds after which a directory that nobody holds is nobody's, and not about to be held


class TokenFile:
    """Holds ``token``, which is the whole value of a request's Authorization, and no line break behind it."""

    def __init__(self, token: Secret, directory: Path) -> None:
        self._token = token
        self._directory = directory
        self._is_kept = True
        self._held: int | None = None  # a descriptor of the directory
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
            if self._held is None or not _is_at(self._directory, self._held):
                self.let_go()
                self._held = _hold(self._directory)
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
                _remove(self._directory)
            self.let_go()

    def let_go(self) -> None:
        """Hold the directory no longer.  For who has the lock, and for a forked child, which has the parent's hold too.

        In the child a thread that is not there may have the lock.
        """
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def sweep() -> None:
    """Take away what this user's processes on this host have left that ended without a word: by a signal, for one."""
    for each in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        with contextlib.suppress(OSError):
            if _is_own(each) and time.time() - each.lstat().st_mtime > _SETTLED:
                held = _hold(each)
                if held is not None:
                    _remove(each)
                    os.close(held)


def new_directory(path: Path | None) -> Path:
    """A directory that only this user can enter: at ``path`` if that is free, or where nobody has been."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.mkdir(mode=0o700)
            return path
    return Path(tempfile.mkdtemp(prefix=_prefix()))


def _prefix() -> str:
    """With a digest of the host's name: where hosts share a file system, a lock may be seen on its own host alone.

    Not the name, because a saved notebook keeps the path that `%federate export` shows.
    """
    host = hashlib.sha256(socket.gethostname().encode(errors="surrogateescape")).hexdigest()
    return f"{_PREFIX}{host[:8]}-"


def _is_own(directory: Path) -> bool:
    """Whether it is a directory, and nobody but this user can enter it; Windows keeps temporary ones so by itself."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    is_ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return stat.S_ISDIR(found.st_mode) and is_ours


def _hold(directory: Path) -> int | None:
    """A descriptor that locks ``directory`` until it is closed, which the end of the process does too, however it ends.

    None where somebody holds it, and where there is no such lock.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows
        return None
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _is_at(directory: Path, descriptor: int) -> bool:
    return os.path.samestat(directory.lstat(), os.fstat(descriptor))


def _remove(directory: Path) -> None:
    with contextlib.suppress(OSError):
        (directory / "token").unlink(missing_ok=True)
        directory.rmdir()


def _write(file: Path, token: str) -> None:
    """A new file that this user alone can read; not left half written."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(token)
    except OSError:  # no space
        file.unlink()
        raise
