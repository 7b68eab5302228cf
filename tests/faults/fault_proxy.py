"""An HTTP server on 127.0.0.1 that passes requests on to another, or does to them what bad networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque

_FOR_EVER = 86_400.0


async def passed_on(request, writer, upstream):
    """The answer, untouched."""
    writer.write(await upstream(request))


async def hangs(request, writer, upstream):
    """The connection is taken, and nothing comes."""
    await asyncio.sleep(_FOR_EVER)


async def drips(request, writer, upstream):
    """A good answer at a byte a second: no read ever takes long."""
    for byte in await upstream(request):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def resets(request, writer, upstream):
    """RST in the place of an answer."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closes_half(request, writer, upstream):
    """No answer will come, and the connection stays open for more requests."""
    writer.write_eof()
    await asyncio.sleep(_FOR_EVER)


async def cuts(request, writer, upstream):
    """Half of a good answer, then the end."""
    answer = await upstream(request)
    writer.write(answer[: len(answer) * 2 // 3])
    await writer.drain()
    writer.close()


async def garbage(request, writer, upstream):
    """What is no HTTP at all."""
    writer.write(bytes(range(256)) * 4 + b"\r\n\r\n")
    await writer.drain()
    writer.close()


def late(seconds):
    """The answer, some time later."""

    async def fault(request, writer, upstream):
        await asyncio.sleep(seconds)
        await passed_on(request, writer, upstream)

    return fault


def answers(status, **headers):
    """A status of somebody between, with an HTML page."""
    lines = [f"HTTP/1.1 {status} Fault", "Content-Length: 15", *(f"{name}: {value}" for name, value in headers.items())]

    async def fault(request, writer, upstream):
        writer.write(("\r\n".join(lines) + "\r\n\r\n<html>no</html>").encode())

    return fault


class FaultProxy:
    """Does to each request what stands next in ``script``, and ``always`` once that is empty; counts them."""

    def __init__(self, upstream_port):
        self.upstream_port = upstream_port
        self.script = deque()
        self.always = passed_on
        self.requests = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)), name="fault-proxy", daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _run(self, started):
        self._loop, self._stopping, self._tasks = asyncio.get_running_loop(), asyncio.Event(), set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    request = await _message(reader)
                    self.requests += 1
                    fault = self.script.popleft() if self.script else self.always
                    await fault(request, writer, self._upstream)
                    await writer.drain()
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def _upstream(self, request):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        writer.write(request)
        answer = await _message(reader)
        writer.close()
        return answer


async def _message(reader):
    """A request or an answer, whole; none here is chunked."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    return head + await reader.readexactly(length)
