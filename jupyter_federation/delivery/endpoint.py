"""AWS's container credentials protocol on 127.0.0.1, for what speaks AWS and is not boto3 in this process.

A tool that finds ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` and ``AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`` in its
environment asks here for credentials, and again before they expire (AWS SDKs and Tools Reference Guide, "Container
credential provider").  What it gets comes from memory: nothing is renewed while somebody waits for a request, and where
nothing can be handed out that is an answer too, at once.

Everybody on this machine can reach the port, and so can a page in a browser and a proxy that runs here.  So a request
is answered only if it brings the token, and is in every other respect what an AWS SDK sends: see `_refusal`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import hmac
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.errors import DeliveryError, FederationError
from jupyter_federation.redaction import Secret

URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"

HOST = "127.0.0.1"  # the protocol allows plain http to a loopback address, and never a name, which may lead elsewhere

_THREAD = "jupyter-federation-endpoint"
_PATH = "/credentials"
_LARGEST_HEAD = 8 * 1024  # bytes; SDKs send less than 500
_SILENCE = 5.0  # seconds for which a connection may take to say what it wants
_MOST_CONNECTIONS = 256  # at a time; one more ends the oldest, and a request lasts a millisecond
_BACKLOG = 1024  # connections that are not taken yet
_AWAITED = 1.5  # seconds for credentials that are on their way: botocore gives an answer 2
_STOPS_WITHIN = 2.0  # seconds

_REQUEST_LINE = re.compile(rb"([A-Z]+) ([\x21-\x7e]+) HTTP/1\.[01]")
_HEADER = re.compile(rb"([A-Za-z0-9-]+):[ \t]*([\x20-\x7e\t]*?)[ \t]*")
# What browsers and proxies add, and no AWS SDK does.
_FOREIGN = re.compile(r"origin|referer|cookie|sec-.*|forwarded|x-forwarded-.*|x-real-ip|via|transfer-encoding|upgrade")


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
        self._place: tuple[int, str] | None = None  # the port and the directory of the last start

    @property
    def handed_out_until(self) -> datetime | None:
        """When the last of what was handed out since the start expires; None where nobody has asked."""
        return None if self._serving is None else self._serving.handed_out_until

    def start(self) -> Mapping[str, str]:
        """Listen, unless it does; the variables by which tools find it.  Raises DeliveryError where it cannot.

        Where it listened before, if that is still free: a tool keeps the address that it has once read.
        """
        serving = self._serving
        if serving is None or not serving.is_ours:
            try:
                serving = _Serving(self._readable)
                self._place = serving.begin(self._place)
            except (OSError, RuntimeError) as error:
                reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
                raise DeliveryError(
                    f"Nothing could listen on {HOST} for tools other than boto3: {reason}.",
                    fix='Free some ports, threads or disk space, or turn it off: policy "endpoint": false.',
                ) from None
            self._serving = serving
        self.keep_file()
        return {URI: serving.uri, TOKEN_FILE: str(serving.token_file), TOKEN: serving.token}

    def stop(self) -> None:
        """Listen no longer; what was left on disk is gone.  Stopping again does nothing."""
        serving, self._serving = self._serving, None
        if serving is not None and serving.is_ours:
            serving.end()

    def keep_file(self) -> None:
        """See that the token's file is there: those who tidy temporary directories go by its age."""
        if self._serving is not None and self._serving.is_ours:
            with contextlib.suppress(OSError):
                self._serving.keep_file()


class _Serving:
    """One port with its token, from beginning to end."""

    def __init__(self, readable: Readable) -> None:
        self.readable = readable
        self.handed_out_until: datetime | None = None
        self.token = Secret("")  # none: nobody gets anything
        self._process = os.getpid()
        self._loop = asyncio.SelectorEventLoop()  # this one, whatever policy or patch the notebook has put in place
        self._thread: threading.Thread | None = None
        self._connections: dict[_Connection, None] = {}  # in the order in which they came
        self._awaited: asyncio.Future[str] | None = None
        self._ended = asyncio.Event()
        self._listener: socket.socket | None = None
        self._directory: str | None = None
        _all.add(self)

    def begin(self, place: tuple[int, str] | None) -> tuple[int, str]:
        """Listen, at ``place`` if it is free: a port and the directory of the token's file.  Where it does."""
        port, directory = place or (0, "")
        try:
            self._directory = _own_directory(directory)
            self._listener = _listening(port)
            self.authority = "{}:{}".format(*self._listener.getsockname())
            self.token = Secret(secrets.token_urlsafe(32))
            self.keep_file()
            thread = threading.Thread(target=self._run, args=(self._listener,), name=_THREAD, daemon=True)
            thread.start()
            self._thread = thread
        except BaseException:
            self.end()
            raise
        return self._listener.getsockname()[1], self._directory

    @property
    def uri(self) -> str:
        """Where tools ask."""
        return f"http://{self.authority}{_PATH}"

    @property
    def token_file(self) -> Path:
        """The file that they send the content of."""
        return Path(self._directory or "", "token")

    @property
    def is_ours(self) -> bool:
        """Whether it is served by this process, and not by the one that it was forked from."""
        return self._process == os.getpid() and self._thread is not None and self._thread.is_alive()

    def keep_file(self) -> None:
        """Write the token's file where it is missing, and make it look new."""
        try:
            os.utime(self.token_file)
            os.utime(self.token_file.parent)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                self.token_file.parent.mkdir(mode=0o700)
            if hasattr(os, "getuid") and self.token_file.parent.lstat().st_uid != os.getuid():
                raise PermissionError(errno.EPERM, "the directory of its file is somebody else's") from None
            descriptor = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(self.token)  # the whole value of Authorization, and no line break behind it

    def end(self) -> None:
        """Refuse, close the port and every connection, and take the files away."""
        if self._process != os.getpid():
            return
        self.token = Secret("")
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._thread is None:
            self._loop.close()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(_STOPS_WITHIN)
        if self._listener is not None:
            self._listener.close()

    def forked(self) -> None:
        """In a child: close the port, or it would stay open, with nobody behind it, when the parent has ended."""
        if self._listener is not None:
            self._listener.close()  # the loop still has it, and must not be told: its epoll is the parent's

    def _run(self, listener: socket.socket) -> None:
        try:
            self._loop.run_until_complete(self._serve(listener))
        finally:
            self._loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        server = await self._loop.create_server(lambda: _Connection(self), sock=listener)
        await self._ended.wait()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # in which they are told

    def opened(self, connection: _Connection) -> None:
        """Remember ``connection``; where there are too many, the oldest has had its time."""
        self._connections[connection] = None
        if len(self._connections) > _MOST_CONNECTIONS:
            next(iter(self._connections)).abort()

    def closed(self, connection: _Connection) -> None:
        """Forget it."""
        self._connections.pop(connection, None)

    def handed_out(self, credentials: AwsCredentials) -> bytes:
        """The answer that holds ``credentials``; without the account, which would move DynamoDB to another host."""
        self.handed_out_until = credentials.expires_at
        return _answer(
            200,
            {
                "AccessKeyId": credentials.access_key_id,
                "SecretAccessKey": credentials.secret_access_key,
                "Token": credentials.session_token,
                "Expiration": f"{credentials.expires_at:%Y-%m-%dT%H:%M:%SZ}",  # Z: JavaScript takes no +00:00
            },
        )

    async def awaited(self) -> bytes:
        """The answer where nothing is valid now: what is on its way, if it comes soon, else why there is nothing."""
        if self._awaited is None or self._awaited.done():
            self._awaited = self._loop.create_future()
            waiting = threading.Thread(target=self._wait, args=(self._awaited,), name=f"{_THREAD}-waits", daemon=True)
            waiting.start()
        error = "The AWS credentials are on their way: ask again."
        with contextlib.suppress(asyncio.TimeoutError):
            error = await asyncio.wait_for(asyncio.shield(self._awaited), _AWAITED)
        credentials = self.readable.at_once()
        return _refused(503, error) if credentials is None else self.handed_out(credentials)

    def _wait(self, future: asyncio.Future[str]) -> None:
        """On a thread of its own, one for all who ask meanwhile: the result is why there are no credentials."""
        error = ""
        try:
            self.readable.credentials()
        except FederationError as failure:
            error = str(failure)
        except Exception as failure:  # noqa: BLE001 - whoever asks has to hear of it
            error = f"There are no AWS credentials: {type(failure).__name__}."
        with contextlib.suppress(RuntimeError):  # ended meanwhile
            self._loop.call_soon_threadsafe(future.set_result, error)


class _Connection(asyncio.Protocol):
    """One request and its answer."""

    def __init__(self, serving: _Serving) -> None:
        self._serving = serving
        self._received = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the types
        self._transport = transport
        self._timeout = self._serving._loop.call_later(_SILENCE, self.abort)  # noqa: SLF001 - one room
        self._serving.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        self._timeout.cancel()
        self._serving.closed(self)

    def abort(self) -> None:
        """End it, whatever it is doing."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing() or self._task is not None:
            return
        self._received += data
        head, end, _body = self._received.partition(b"\r\n\r\n")
        if len(head) > _LARGEST_HEAD:
            self._say(_refused(431, "The request is too long."))
        elif end:
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        refusal = _refusal(head, self._serving.authority, self._serving.token)
        credentials = None if refusal else self._serving.readable.at_once()
        if refusal is not None:
            self._say(refusal)
        elif credentials is not None:
            self._say(self._serving.handed_out(credentials))
        else:
            self._task = asyncio.get_running_loop().create_task(self._await())

    async def _await(self) -> None:
        self._say(await self._serving.awaited())

    def _say(self, answer: bytes) -> None:
        self._transport.write(answer)
        self._transport.close()  # when it is written


def _refusal(head: bytes, authority: str, token: str) -> bytes | None:
    """Why the request with this ``head`` gets nothing; None for one as AWS's SDKs send it.

    The right Host shuts out a page that has rebound its name to this machine; a browser's and a proxy's own headers
    shut out both, whatever else they bring; the token shuts out everybody who cannot read its file.
    """
    request, *lines = head.split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(request)
    fields = [field for line in lines if (field := _HEADER.fullmatch(line))]
    if asked is None or len(fields) != len(lines):
        return _refused(400, "This is not a request of HTTP/1.")
    names = [field[1].decode().lower() for field in fields]
    headers = dict(zip(names, (field[2].decode() for field in fields), strict=True))
    for is_wrong, status, message in (
        (names.count("host") != 1 or headers["host"] != authority, 403, "The Host is not this endpoint's."),
        (any(map(_FOREIGN.fullmatch, names)), 403, "Browsers and proxies get nothing here."),
        (asked[2] != _PATH.encode(), 404, "There is nothing here."),
        (asked[1] != b"GET" or headers.get("content-length", "0") != "0", 405, "This endpoint takes GET alone."),
        (
            names.count("authorization") != 1
            or not hmac.compare_digest(headers["authorization"].encode(), token.encode())
            or not token,  # it has ended
            401,
            f"Authorization is not what stands in the file that {TOKEN_FILE} names.",
        ),
    ):
        if is_wrong:
            return _refused(status, message)
    return None


def _refused(status: int, message: str) -> bytes:
    """An answer that SDKs show to the person."""
    return _answer(status, {"code": _REASONS[status].replace(" ", ""), "message": message})


_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def _answer(status: int, content: Mapping[str, str]) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Allow: GET"] if status == 405 else []),  # noqa: PLR2004 - the status code's own number
    )
    return "\r\n".join([*head, "", ""]).encode() + body


def _listening(port: int) -> socket.socket:
    """A socket that listens on ``port``, or on any free one where somebody else does."""
    if port:
        with contextlib.suppress(OSError):
            return socket.create_server((HOST, port), backlog=_BACKLOG)
    return socket.create_server((HOST, 0), backlog=_BACKLOG)


def _own_directory(path: str) -> str:
    """A new directory that only this user can enter: at ``path``, or where nobody has been."""
    if path:
        with contextlib.suppress(OSError):
            Path(path).mkdir(mode=0o700)
            return path
    return tempfile.mkdtemp(prefix="jupyter-federation-")


_all: weakref.WeakSet[_Serving] = weakref.WeakSet()


def _forked() -> None:
    for each in list(_all):
        each.forked()


def _exiting() -> None:
    for each in list(_all):
        each.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
