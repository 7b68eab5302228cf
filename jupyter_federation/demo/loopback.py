"""An HTTP server on 127.0.0.1 in a thread of its own: it records what it is asked, and can be told to misbehave.

Nothing is logged: requests here carry tokens, and a URL may hold one too.
"""

from __future__ import annotations

import asyncio
import http
import logging
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from socket import socket
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.netutil import bind_sockets

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An answer, whole; ``Date`` and ``Content-Length`` are added where they are not given."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens to one answer.

    It comes ``delay`` seconds late; ``response``, where given, stands in its place and the request has no effect;
    ``drop`` closes the connection instead of answering.
    """

    delay: float = 0.0
    response: Response | None = None
    drop: bool = False

    @classmethod
    def hang(cls) -> Fault:
        """No answer before the server stops."""
        return cls(delay=86_400.0)


@dataclass(kw_only=True, eq=False)
class Call:
    """One request as it arrived, nothing hidden.

    ``principal`` is the ARN of whose key signed it (None: unsigned, or nobody's key); ``status`` is the HTTP status
    of the answer, None while there is none; ``error`` is the error's code, None where all went well.
    """

    operation: str
    parameters: Mapping[str, Any]
    request: HTTPServerRequest = field(repr=False)
    principal: str | None = None
    access_key_id: str | None = None
    status: int | None = None
    error: str | None = None


class LoopbackServer:
    """What the two embedded servers have in common; a subclass says what a request is, and answers it.

    ``calls`` holds every request in the order of arrival.  ``clock_offset`` moves the server's clock, with it the
    ``Date`` of its answers and all times it issues.  ``tls`` makes it ``https``.
    """

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.calls: list[Call] = []
        self.clock_offset = timedelta(0)
        self._tls = tls
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._thread: threading.Thread | None = None

    def receive(self, request: HTTPServerRequest) -> Call:
        """The request, named and taken apart; called on the event loop, so it must not block."""
        raise NotImplementedError

    def answer(self, call: Call) -> Response:
        """What the server says; called on a worker thread."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end; known once the server has started."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def now(self) -> datetime:
        """The time by the server's clock, in UTC."""
        return datetime.now(timezone.utc) + self.clock_offset

    def count(self, operation: str) -> int:
        """How many requests of this name have arrived."""
        return sum(call.operation == operation for call in self.calls)

    def inject(self, operation: str, fault: Fault, *, times: int = 1) -> None:
        """The next ``times`` requests of ``operation`` suffer ``fault``, after the faults injected before."""
        self._faults[operation].extend([fault] * times)

    def recover(self) -> None:
        """Drop the faults that have not happened yet."""
        self._faults.clear()

    def reset(self) -> None:
        """Forget the calls and the faults, and set the clock right."""
        self.calls.clear()
        self.recover()
        self.clock_offset = timedelta(0)

    def start(self) -> None:
        """Listen on 127.0.0.1 (on a free port where none was given); returns when requests are answered."""
        sockets = bind_sockets(self.port, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(sockets, started)), name=type(self).__name__, daemon=True
        )
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        """Close port, connections and thread; answers that are under way are abandoned."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()

    async def _serve(self, sockets: list[socket], started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly

        def on_request(request: HTTPServerRequest) -> None:
            task = self._loop.create_task(self._respond(request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = HTTPServer(on_request, ssl_options=self._tls)
        server.add_sockets(sockets)
        started.set()
        await self._stopping.wait()
        server.stop()
        await server.close_all_connections()

    async def _respond(self, request: HTTPServerRequest) -> None:
        connection = cast("HTTP1Connection", request.connection)
        try:
            call = self.receive(request)
            self.calls.append(call)
            faults = self._faults[call.operation]
            fault = faults.popleft() if faults else Fault()
            await asyncio.sleep(fault.delay)
            if fault.drop:
                connection.close()
                return
            response = fault.response
            if response is None:
                response = await asyncio.to_thread(self.answer, call)
            call.status = response.status
        except Exception:  # noqa: BLE001 - a fault of the server is an answer too, not a request without one
            _log.exception("%s could not answer", type(self).__name__)
            response = Response(status=500)
        headers = HTTPHeaders({"Date": format_datetime(self.now(), usegmt=True)})
        headers["Content-Length"] = str(len(response.body))
        headers.update(response.headers)
        start = ResponseStartLine("HTTP/1.1", response.status, _reason(response.status))
        # In one go: headers and body apart cost 40 ms a request (Nagle's algorithm and the delayed acknowledgement).
        connection.write_headers(start, headers, response.body)
        connection.finish()


def fields(text: str | bytes) -> dict[str, str]:
    """A query string or a form; of a repeated name the last value."""
    return dict(parse_qsl(text.decode() if isinstance(text, bytes) else text, keep_blank_values=True))


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
