"""Where the Jupyter server leaves the answer to a sign-in, for a kernel that may be busy in a blocking cell.

One directory of the user, 0700, that server and kernels share; every entry is a JSON object in a 0600 file:

- ``<sha256 of the state>.pending``: a kernel waits for the answer to this ``state`` (`Mailbox.expect`);
- ``<sha256 of the state>.answer``: the parameters of the redirect (RFC 6749, 4.1.2), until the kernel takes them;
- ``<any name>.server``: a running server whose callback page delivers here (`Mailbox.announce`).

A delivery needs its ``.pending`` entry and uses it up, so nothing that nobody asked for is ever written, and nothing
twice.  A link in the directory's place is refused, and what is no plain file in it is no entry.  Whoever knows the
256 random bits of a ``state`` may deliver; the PKCE verifier never leaves the kernel.

Server and kernel may run different versions of this package.  Entries of all versions have ``protocol`` and
``expires_at`` (seconds since the epoch); the rest is read only where ``protocol`` is this one's.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from jupyter_federation.errors import ConfigurationError, SourceUnavailableError
from jupyter_federation.redaction import Secret, masked

PROTOCOL = 1
SERVER_VARIABLE = "JUPYTER_FEDERATION_SERVER"
"""In a kernel's environment: the path of its server's ``.server`` entry."""

PARAMETERS = ("code", "state", "iss", "error", "error_description", "error_uri")
"""What is passed on of a redirect: RFC 6749, 4.1.2 and 4.1.2.1, and RFC 9207."""

LONGEST = 8_192
"""The longest value of a parameter, in characters."""

_LITTER_AGE = 3600.0  # seconds after which a file that is no entry, such as a half-written one, is swept away
_LARGEST = 1_000_000  # bytes; an entry with six parameters of `LONGEST`, each character escaped, has a third of that
_LAST = 2.0**40  # seconds since the epoch: no entry's end, and still a time
_SUFFIXES = (".pending", ".answer", ".server", ".new")


class Mailbox:
    """The directory, for both sides; it is created when the first entry is written.

    Every method raises SourceUnavailableError where the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def default(cls) -> Mailbox:
        """This process's: where the server that started it has its entry, else in Jupyter's runtime directory.

        The variable comes first because server and kernel may have different versions of jupyter_core, which do not
        agree on the runtime directory.
        """
        from jupyter_core.paths import jupyter_runtime_dir

        announced = os.environ.get(SERVER_VARIABLE)
        if announced and os.path.isdir(Path(announced).parent):  # noqa: PTH112 - False, too, where one may not look
            return cls(Path(announced).parent)
        return cls(Path(jupyter_runtime_dir()) / "jupyter-federation")

    # The kernel's side.

    def redirect_uri(self) -> str | None:
        """Where a provider shall send the browser so that the answer comes here, or None where no server is running.

        It is this kernel's own server's.  Failing that (a kernel that outlived its server, or was started by none),
        it is the server's that was started last: all servers of a user deliver to the same directory.
        Raises ConfigurationError where there are servers, and all of them speak another protocol.
        """
        own = os.environ.get(SERVER_VARIABLE)
        running: list[tuple[bool, float, str]] = []
        foreign: ConfigurationError | None = None
        with _usable(self.directory):
            announced = list(self.directory.glob("*.server"))
        for path in announced:
            try:
                entry = _read(path, "The Jupyter server", "this kernel")
            except ConfigurationError as error:
                foreign = error
                continue
            since, redirect_uri = (None, None) if entry is None else (entry.get("since"), entry.get("redirect_uri"))
            if isinstance(since, (int, float)) and isinstance(redirect_uri, str):
                running.append((str(path) == own, since, str(redirect_uri)))
        if not running and foreign is not None:
            raise foreign
        return max(running)[2] if running else None

    @contextlib.contextmanager
    def expect(self, state: str, *, lifetime: timedelta) -> Iterator[Expectation]:
        """Let the answer to ``state``, random and of this sign-in only, come in for ``lifetime``, inside ``with``.

        What has come and was not collected is removed at the end.
        """
        self._sweep()
        expectation = Expectation(self.directory, state)
        try:
            self._write(expectation.pending, lifetime)  # in here: an interrupt may land right behind it
            yield expectation
        finally:
            _removed(expectation.pending)
            _removed(expectation.answer)

    # The server's side.

    def deliver(self, parameters: Mapping[str, str]) -> bool:
        """Leave a redirect's parameters for the kernel that waits; whether there was one.

        Of the parameters, only `PARAMETERS` are kept.  False, and nothing is written, also for what is no answer: no
        ``state``, neither ``code`` nor ``error``, or a value above `LONGEST`.  Of deliveries of one ``state``, at
        the same time or later, one succeeds.  Raises ConfigurationError where the kernel speaks another protocol.
        """
        known = {name: Secret(parameters[name]) for name in PARAMETERS if parameters.get(name)}
        if "state" not in known or not known.keys() & {"code", "error"} or max(map(len, known.values())) > LONGEST:
            return False
        expectation = Expectation(self.directory, known["state"])
        pending = _read(expectation.pending, "The kernel that waits", "this Jupyter server")
        if pending is None:
            return False
        lifetime = timedelta(seconds=_expires_at(pending, default=0) - time.time())
        return self._write(expectation.answer, lifetime, uses_up=expectation.pending, parameters=known)

    def announce(self, name: str, redirect_uri: str, *, since: float, lifetime: timedelta) -> Path:
        """Say for ``lifetime`` that the server ``name``, started at ``since``, delivers here; again to go on."""
        self._sweep()
        path = self.directory / f"{name}.server"
        self._write(path, lifetime, redirect_uri=redirect_uri, since=since)
        return path

    # Files.

    def _write(self, path: Path, lifetime: timedelta, *, uses_up: Path | None = None, **content: object) -> bool:
        """Write an entry, whole or not at all; False where another writer has used up ``uses_up``."""
        entry = {"protocol": PROTOCOL, "expires_at": time.time() + lifetime.total_seconds(), **content}
        with _usable(self.directory):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(self.directory)
            descriptor, written = tempfile.mkstemp(suffix=".new", dir=self.directory)  # 0600
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(entry, file)
                if uses_up is not None and not _removed(uses_up):
                    return False
                Path(written).replace(path)
                return True
            finally:
                _removed(Path(written))

    def _sweep(self) -> None:
        """Remove what has expired: of a kernel that was killed, of a server that was."""
        with _usable(self.directory):
            for path in [path for path in self.directory.glob("*") if path.suffix in _SUFFIXES]:
                with contextlib.suppress(FileNotFoundError, PermissionError):  # a neighbour swept, or has it open
                    entry = _parsed(path)
                    if _expires_at(entry, default=path.lstat().st_mtime + _LITTER_AGE) <= time.time():
                        path.unlink()


class Expectation:
    """What a kernel holds while it waits for the answer to one ``state``."""

    def __init__(self, directory: Path, state: str) -> None:
        self._state = Secret(state)
        name = _digest(self._state)
        self.pending = directory / f"{name}.pending"
        self.answer = directory / f"{name}.answer"

    def collect(self) -> Mapping[str, str] | None:
        """The redirect's parameters, once; None as long as they are not there.  Their reprs are masked.

        Raises ConfigurationError where the server that left them speaks another protocol.
        """
        entry = _read(self.answer, "The Jupyter server", "this kernel")
        if entry is None or not _removed(self.answer):
            return None
        parameters = entry.get("parameters")
        if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
            return None
        # The name alone could be forged by whoever can list the directory.
        return parameters if hmac.compare_digest(_digest(parameters.get("state", "")), _digest(self._state)) else None


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


@contextlib.contextmanager
def _usable(directory: Path) -> Iterator[None]:
    try:
        if directory.is_symlink():  # it may lead into a directory that another user has prepared
            raise NotADirectoryError(errno.ENOTDIR, "it is a link")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            _check_owner(directory.stat())
        yield
    except OSError as error:
        raise SourceUnavailableError(
            f"The directory through which a sign-in comes from the Jupyter server cannot be used: {error.strerror}.",
            fix=f"Make {directory} yours and writable, or set JUPYTER_RUNTIME_DIR for server and kernel.",
            directory=directory,
            finding="runtime-directory-unusable",
        ) from None


def _check_owner(status: os.stat_result) -> None:
    """Raise PermissionError where it is somebody else's: root could use that too, and would hand its codes over."""
    if os.name == "posix" and status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it is another user's")


def _make_private(directory: Path) -> None:
    """Give it the mode 0700; never what a link leads to, nor what is somebody else's."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check_owner(os.fstat(descriptor))
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes:
    """Of a plain file of the user's; nothing of a link, and of a FIFO, which would keep its reader waiting."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return b""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        own = os.name != "posix" or status.st_uid == os.geteuid()
        return file.read(_LARGEST) if own and stat.S_ISREG(status.st_mode) else b""


def _removed(path: Path) -> bool:
    """Remove a file; False where another did, is just reading it in order to (on Windows), or where none can be."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _parsed(path: Path) -> dict[str, Any]:
    """A file as an entry, its strings masked; empty where it is none."""
    try:
        entry = masked(json.loads(_content(path)))
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _expires_at(entry: Mapping[str, Any], *, default: float) -> float:
    value = entry.get("expires_at")
    return float(value) if isinstance(value, (int, float)) and 0 < value < _LAST else default


def _read(path: Path, writer: str, reader: str) -> dict[str, Any] | None:
    """An entry, or None where it is not there, has expired or is none.  Both names are for the sentence."""
    with _usable(path.parent):
        try:
            entry = _parsed(path)
        except FileNotFoundError:
            return None
    if not isinstance(entry.get("protocol"), int) or _expires_at(entry, default=0) <= time.time():
        return None
    if entry.get("protocol") != PROTOCOL:
        raise ConfigurationError(
            f"{writer} has a version of jupyter-aws-federation that hands over sign-ins in another way than that of "
            f"{reader}.",
            fix="Install the same version in the server's and the kernel's environments, and restart both.",
            protocol=PROTOCOL,
            its_protocol=entry["protocol"],
        )
    return entry
