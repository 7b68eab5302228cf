"""A web server for one answer: the provider sends the browser to it when the person has signed in (RFC 8252, 7.3)."""

from __future__ import annotations

import contextlib
import hmac
import os
import queue
import socket
import socketserver
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.rung import OutOfReachError, query_of

if TYPE_CHECKING:
    from typing_extensions import Self

HOST = "127.0.0.1"  # never a name, which may lead elsewhere, nor every interface (RFC 8252, 8.3)

_HTTP = 80  # the port that browsers leave out
_PATIENCE = 5.0  # seconds for which a connection may stay silent
_MOST_CONNECTIONS = 64  # at a time, each with a thread; one more ends the oldest
_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Back to the notebook</title>
<body style="font: 16px/1.5 system-ui, sans-serif; margin: 12vh auto; max-width: 26rem; padding: 0 1rem">
<h1 style="font-size: 1.4rem">You can close this window</h1><p>The notebook goes on, and says how the sign-in went.</p>
<script>history.replaceState(null, "", "/")</script></body></html>"""


class Receiver:
    """Listens on 127.0.0.1 from its construction until it is closed, and takes the answer that it was told to expect.

    Anybody on this machine, and every page in its browsers, can send it something: what does not bring the right state
    is not found, and the wait goes on.

    Tries ``ports`` in order, or takes any free port where there are none.  Raises OutOfReachError where all are taken.
    Each connection has a thread and a time limit, so a silent one keeps nobody waiting; many of them are no more than a
    few threads.
    """

    def __init__(self, ports: Sequence[int] = ()) -> None:
        self._server = _listen(ports)
        self.port: int = self._server.server_address[1]
        self._closing = False
        _open.add(self._server)
        self._thread = threading.Thread(target=self._serve, name="jupyter-federation-receiver", daemon=True)

    def expect(self, state: str) -> None:
        """Take the answer to ``state`` from now on, and no other."""
        self._server.state = Secret(state)

    def wait(self, seconds: float, waiting: Callable[[float], None]) -> dict[str, str] | None:
        """The query of the redirect, masked; None where none came in time.  ``waiting(passed)`` is called each second.

        An interrupt ends it at once.
        """
        passed = 0
        while passed < seconds:
            with contextlib.suppress(queue.Empty):
                return self._server.answers.get(timeout=1.0)
            passed += 1
            waiting(passed)
        return None

    def _serve(self) -> None:
        # Not serve_forever(): its shutdown() waits for ever where an interrupt has kept the thread from its start.
        while not self._closing:
            self._server.handle_request()

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:  # an interrupt, which may have come when the thread was running already
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._closing = True  # the thread ends by itself, whatever interrupts the next line
        try:
            if self._thread.is_alive():
                self._thread.join()
        finally:
            self._server.server_close()


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """Threads that end with the process, and no lookup of the host's name."""

    timeout = 0.05  # seconds, of handle_request()
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # of connections that are not taken yet: with the five by default, a few idle ones fill it
    allow_reuse_address = sys.platform != "win32"  # there it would let another process listen beside us

    def __init__(self, port: int) -> None:
        self.answers: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self.state: str | None = None
        self._connections: dict[socket.socket, None] = {}  # in the order in which they came
        super().__init__((HOST, port), _Handler)

    def awaits(self, answer: Mapping[str, str]) -> bool:
        """Whether it brings a code or an error, with the state that is expected."""
        if self.state is None or "state" not in answer or not ("code" in answer or "error" in answer):
            return False
        return hmac.compare_digest(answer["state"].encode("utf-8", "replace"), self.state.encode())

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks DNS for the name of 127.0.0.1
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections[request] = None
        super().process_request(request, client_address)
        for each in list(self._connections)[:-_MOST_CONNECTIONS]:
            _end(each)

    def shutdown_request(self, request: Any) -> None:
        self._connections.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the port, and whatever connection is still half open."""
        super().server_close()
        for each in list(self._connections):
            _end(each)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a connection that broke is no news, and its traceback would show the request."""


def _end(connection: socket.socket) -> None:
    """Its thread, which is reading, ends and closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    """Takes a browser's ``GET /?state=…`` with a code or an error; everything else is not found."""

    server: _Server
    timeout = _PATIENCE

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        answer = query_of(self.path)
        names, port = (HOST, "localhost"), self.server.server_port
        here = {f"{name}:{port}" for name in names} | (set(names) if port == _HTTP else set())
        is_window = (
            self.headers.get("Sec-Fetch-Dest", "document") == "document"
        )  # no image, frame or script of a page's
        is_ours = self.headers.get("Host") in here  # another: a page that rebinds a name to us
        if not (address.path == "/" and is_window and is_ours and self.server.awaits(answer)):
            self.send_error(404, explain="No sign-in waits for this: close the window, and finish the newest one.")
            return
        self.server.answers.put(answer)  # before the page: a browser that is gone has answered all the same
        self.send_response(200)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(_PAGE))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: the request line holds the code."""


_open: weakref.WeakSet[_Server] = weakref.WeakSet()


def _forked() -> None:
    """In a child: the port is the parent's, and free when the parent has done with it."""
    for each in _open:
        each.socket.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _listen(ports: Sequence[int]) -> _Server:
    for port in ports or (0,):
        with contextlib.suppress(OSError):
            return _Server(port)
    raise taken(ports)


def taken(ports: Sequence[int]) -> OutOfReachError:
    """What is said where none of ``ports`` is free for the browser's answer."""
    if not ports:
        return OutOfReachError(
            f"Nothing can listen on {HOST} for the browser's answer.",
            fix="Close what holds many ports, or sign in another way.",
        )
    several = len(ports) > 1
    return OutOfReachError(
        f"The browser's answer cannot come to port {' or '.join(map(str, ports))} of {HOST}: "
        f"{'they are' if several else 'it is'} taken, often by another notebook that waits for a sign-in, or out of "
        "bounds.",
        fix="End what listens there, or register and name another port: `redirect_port` (--redirect-port PORT).",
    )
