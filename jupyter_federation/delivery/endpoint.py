"""AWS's container credentials protocol on 127.0.0.1, for what speaks AWS and is not boto3 in this process.

A tool that finds ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` and ``AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`` in its
environment asks here for credentials, and again before they expire (AWS SDKs and Tools Reference Guide, "Container
credential provider").  What it gets comes from memory: nothing is renewed while somebody waits for a request, and where
nothing can be handed out that is an answer too, soon.

Everybody on this machine can reach the port, and so can a page in a browser and a proxy that runs here.  So a request
is answered only if it brings the token, and is in every other respect what an AWS SDK sends: see `refusal`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.delivery.container_protocol import PATH, TOKEN, TOKEN_FILE, URI, handed_out, refusal, refused
from jupyter_federation.delivery.token_file import TokenFile, new_directory, sweep
from jupyter_federation.errors import DeliveryError, FederationError
from jupyter_federation.redaction import Secret

HOST = "127.0.0.1"  # the protocol allows plain http to a loopback address, and never a name, which may lead elsewhere

_THREAD = "jupyter-federation-endpoint"
_LARGEST_HEAD = 8 * 1024  # bytes; SDKs send less than 500
_SILENCE = 5.0  # seconds for which a connection may take to say what it wants
_AWAITED = 1.4  # seconds for credentials that are on their way: botocore gives an answer 2
_LINGERS = 1.0  # seconds for which the rest of a refused request is taken: a reset would destroy the answer
_MOST_CONNECTIONS = 256  # at a time; a request lasts a millisecond
_BACKLOG = 1024  # connections that are not taken yet
_PAUSE = 0.05  # seconds, where the process has no file descriptor left
_STOPS_WITHIN = 2.0  # seconds

_END = re.compile(rb"\r?\n\r?\n")  # without the carriage returns it is an end too, of what is refused


class Readable(Protocol):
    """Where the credentials come from."""

    def at_once(self) -> AwsCredentials | None:
        """Those that are valid now, None where there are none; waits for nothing."""
        ...

    def credentials(self) -> AwsCredentials:
        """The same, but waits for some that are on their way; raises FederationError or NoCredentialsError."""
        ...


class LoopbackEndpoint:
    """Serves the credentials of ``readable`` from `start` until `stop`, on a thread of its own.

    A forked child has the parent's: its environment names it, and its port and files are not the child's to end.
    """

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._serving: _Serving | None = None
        self._ended: _Serving | None = None  # the last that was refused, and stays so: several may wait for it
        self._place: tuple[int, Path | None] = 0, None  # the port and the token's directory of the last start

    def start(self) -> Mapping[str, str]:
        """Listen, unless it does; the variables by which tools find it.  Raises DeliveryError where it cannot.

        Where it listened before, if that is still free: a tool keeps the address that it has once read.
        """
        try:
            if not self.keep_file():
                self.stop()
                serving = _Serving(self._readable)
                self._place = serving.begin(*self._place)
                self._serving = serving
        except (OSError, RuntimeError) as error:
            raise DeliveryError(
                f"Tools other than boto3 get no credentials, because nothing could listen for them: {error}.",
                fix='Free what is missing (TMPDIR names the directory), or turn it off: policy "endpoint": false.',
            ) from None
        assert self._serving is not None  # noqa: S101 - for the types
        return self._serving.variables

    def refuse(self) -> None:
        """Hand out nothing any more, at once; `settle` follows."""
        if self._serving is not None:
            self._serving.end()
            self._ended, self._serving = self._serving, None

    def stop(self) -> None:
        """Listen no longer; what was left on disk is gone.  Stopping again does nothing."""
        self.refuse()
        self.settle()

    def settle(self) -> None:
        """After `refuse`: until its port is closed.  What has been started since goes on."""
        ended = self._ended
        if ended is not None:
            ended.wait()

    def keep_file(self) -> bool:
        """See that the token's file is there and looks new: those who tidy temporary directories go by its age.

        Whether the endpoint listens, and tools can find it.
        """
        serving = self._serving
        try:
            return serving is not None and serving.keep_file()
        except OSError:
            return False


class _Serving:
    """One port with its token, from beginning to end."""

    def __init__(self, readable: Readable) -> None:
        self.readable = readable
        self.authority = ""
        self.token = Secret("")  # none: nobody gets anything
        self.connections: dict[_Connection, None] = {}  # in the order in which they came
        self._waiting: list[_Connection] = []  # for credentials
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._looks = False  # whether somebody waits for credentials that are on their way
        self._reason = ""  # why none came
        self._opened = contextlib.ExitStack()
        self._file: TokenFile | None = None
        _all.add(self)

    def begin(self, port: int, directory: Path | None) -> tuple[int, Path]:
        """Listen, on ``port`` and with the token's file in ``directory`` if they are free; where it does."""
        try:
            self._listener = self._opened.enter_context(_listening(port))
            self._wakes, self._woken = (self._opened.enter_context(each) for each in socket.socketpair())
            self.selector = self._opened.enter_context(selectors.DefaultSelector())
            for each, react in ((self._listener, self._accept), (self._woken, self._tell)):
                each.settimeout(0)
                self.selector.register(each, selectors.EVENT_READ, react)
            self.authority = "{}:{}".format(*self._listener.getsockname())
            self.token = Secret(secrets.token_urlsafe(32))
            sweep()
            self._file = TokenFile(self.token, new_directory(directory))
            self._file.keep()
            thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)
            thread.start()
            self._thread = thread
        except BaseException:
            self.end()
            self.wait()
            raise
        return self._listener.getsockname()[1], self._file.path.parent

    @property
    def variables(self) -> Mapping[str, str]:
        """By which tools find it."""
        file = "" if self._file is None else str(self._file.path)
        return {URI: f"http://{self.authority}{PATH}", TOKEN_FILE: file, TOKEN: self.token}

    def keep_file(self) -> bool:
        """Whether it is served, and by this process; `TokenFile.keep` then."""
        if not self.token or self._process != os.getpid() or self._file is None:
            return False
        if self._thread is None or not self._thread.is_alive():
            return False
        self._file.keep()
        return True

    def end(self) -> None:
        """Refuse, and take the file away; the port and every connection are closed by the thread, soon."""
        if self._process != os.getpid():
            return
        self.token = Secret("")
        if self._file is not None:
            self._file.remove()
        if self._thread is None:
            self.close()
        else:
            self._wake()

    def wait(self) -> None:
        """Until all is closed."""
        if self._thread is not None and self._process == os.getpid():
            self._thread.join(_STOPS_WITHIN)
        _all.discard(self)

    def close(self) -> None:
        """Close every socket here; in a forked child the parent's copies stay as they are."""
        for each in list(self.connections):
            each.socket.close()
        self._opened.close()

    def leave(self) -> None:
        """In a forked child: close what it has of the parent's, which goes on."""
        self.close()
        if self._file is not None:
            self._file.let_go()

    def _run(self) -> None:
        try:
            while self.token:
                until = min((each.until for each in self.connections), default=None)
                for key, _ in self.selector.select(None if until is None else max(0.0, until - time.monotonic())):
                    key.data()
                now = time.monotonic()
                for late in [each for each in self.connections if each.until <= now]:
                    late.take_no_longer()
        finally:
            self.close()

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # whoever it was has gone, or this process has no descriptor left for it
            time.sleep(_PAUSE)
            return
        accepted.settimeout(0)
        connection = _Connection(accepted, self)
        self.connections[connection] = None
        self.selector.register(accepted, selectors.EVENT_READ, connection.read)
        if len(self.connections) > _most_connections():
            min(self.connections, key=lambda each: each.waits).close()  # of several that compare equal, the first

    def look_for(self, connection: _Connection) -> None:
        """Answer ``connection`` when it is known whether there are credentials for it."""
        self._waiting.append(connection)
        if not self._looks:
            with contextlib.suppress(RuntimeError):  # no thread: in its time it is told that they are on their way
                threading.Thread(target=self._look, name=f"{_THREAD}-waits", daemon=True).start()
                self._looks = True

    def _look(self) -> None:
        """On a thread of its own, one for all who ask meanwhile."""
        reason = ""
        try:
            self.readable.credentials()
        except FederationError as failure:
            reason = str(failure)
        except Exception as failure:  # noqa: BLE001 - whoever asks has to hear of it
            reason = f"There are no AWS credentials: {type(failure).__name__}."
        self._reason = reason
        self._wake()

    def _tell(self) -> None:
        with contextlib.suppress(OSError):
            self._woken.recv(64)
        self._looks = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.hand_out(otherwise=self._reason)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self._wakes.send(b"\0")


class _Connection:
    """One request and its answer."""

    def __init__(self, connected: socket.socket, serving: _Serving) -> None:
        self.socket = connected
        self.until = time.monotonic() + _SILENCE
        self._serving = serving
        self._received = b""
        self._stage: Literal["asks", "waits", "answered"] = "asks"

    @property
    def waits(self) -> bool:
        """Whether it has brought the token, and waits for credentials."""
        return self._stage == "waits"

    def read(self) -> None:
        """Take what has arrived."""
        try:
            data = self.socket.recv(_LARGEST_HEAD)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data if self._stage == "asks" else b""
        if self._stage == "asks" and self._received:
            self._take(is_all=not data)
        if not data:
            self.close()

    def take_no_longer(self) -> None:
        """Its time has passed."""
        if self.waits:
            self.hand_out(otherwise="The AWS credentials are on their way: ask again.")
        elif self._stage == "asks" and self._received:
            self._say(refused(408, "The rest of the request did not come."))
        else:
            self.close()

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self in self._serving.connections:
            del self._serving.connections[self]
            self._serving.selector.unregister(self.socket)
            self.socket.close()

    def hand_out(self, *, otherwise: str = "") -> None:
        """Answer with the credentials if some are valid, and with the reason ``otherwise``; without one, wait on."""
        credentials = self._serving.readable.at_once()
        if credentials is not None:
            self._say(handed_out(credentials))
        elif otherwise:
            self._say(refused(503, otherwise))

    def _take(self, *, is_all: bool) -> None:
        end = _END.search(self._received)
        head = self._received if end is None else self._received[: end.start()] + end[0].removesuffix(b"\r\n\r\n")
        if len(head) > _LARGEST_HEAD:
            self._say(refused(431, "The request is too long."))
        elif end is not None:
            self._answer(head)
        elif is_all:
            self._say(refused(400, "The request is not whole."))

    def _answer(self, head: bytes) -> None:
        said = refusal(head, self._serving.authority, self._serving.token)
        if said is not None:
            self._say(said)
            return
        self._stage, self.until = "waits", time.monotonic() + _AWAITED
        self.hand_out()
        if self.waits:
            self._serving.look_for(self)

    def _say(self, answer: bytes) -> None:
        if self._stage != "answered":
            self._stage, self.until = "answered", time.monotonic() + _LINGERS
            with contextlib.suppress(OSError):  # nobody is there any longer
                self.socket.sendall(answer)  # at once: its buffer is empty, and larger
                self.socket.shutdown(socket.SHUT_WR)


@functools.cache
def _most_connections() -> int:
    """At a time; one more ends the oldest without the token.

    What others hold open here must not be all that this process may open.
    """
    try:
        from resource import RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return _MOST_CONNECTIONS
    allowed, _ = getrlimit(RLIMIT_NOFILE)
    return min(_MOST_CONNECTIONS, max(8, allowed // 8)) if allowed > 0 else _MOST_CONNECTIONS


def _listening(port: int) -> socket.socket:
    """A socket that listens on ``port``, or on any free one where somebody else does."""
    if port:
        with contextlib.suppress(OSError):
            return socket.create_server((HOST, port), backlog=_BACKLOG)
    return socket.create_server((HOST, 0), backlog=_BACKLOG)


_all: set[_Serving] = set()  # in a forked child the parent's too, which is not the child's to finalize


def _forked() -> None:
    """In a child: the port would stay open, with nobody behind it, when the parent has ended."""
    for each in _all:
        each.leave()


def _exiting() -> None:
    for each in list(_all):
        each.end()
        each.wait()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
