"""How one request is kept within bounds: its answer has a largest size, and who waits no longer cuts it off."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import socket
import zlib
from typing import Any
from urllib.parse import parse_qsl, quote

from requests import PreparedRequest, Response, exceptions
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from jupyter_federation.redaction import MASK

LARGEST = 1_000_000  # bytes of an answer, unpacked
_AT_ONCE = 16_384  # bytes
_SECRETS = {"code", "code_verifier", "client_secret", "client_assertion", "device_code", "refresh_token", "token"}


class Bounded(HTTPAdapter):
    """Carries the requests of one session, for as long as somebody waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def cut(self) -> None:
        """End what is under way on another thread, wherever in the answer it is."""
        self._is_cut = True  # before the look at the sockets: one that is new sees this
        for each in list(self._sockets):
            with contextlib.suppress(OSError, ValueError):
                each.shutdown(socket.SHUT_RDWR)

    def opened(self, new: socket.socket) -> None:
        """A connection has been made."""
        self._sockets.append(new)
        if self._is_cut:
            self.cut()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """See requests; the pool's connections tell of their sockets."""
        pool = super().get_connection_with_tls_context(*args, **options)
        opened, kind = self.opened, pool.ConnectionCls

        class Connection(kind):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                opened(self.sock)

        pool.ConnectionCls = Connection
        return pool

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """The answer, read whole; one that is too long is a ValueError, and is not read to its end."""
        request.headers["Accept-Encoding"] = "gzip"  # what can be unpacked bit by bit here
        answer = super().send(request, *args, **options)
        try:
            content = _unpacked(_read(answer.raw), answer.headers.get("Content-Encoding", ""))
            content = _without(_sent(request), content)
        except ReadTimeoutError:
            raise exceptions.ReadTimeout(request=request) from None
        except HTTPError:
            raise exceptions.ConnectionError(request=request) from None
        finally:
            answer.close()
        answer.raw = io.BytesIO(content)
        return answer


def _read(raw: Any) -> bytes:
    content = bytearray()
    while part := raw.read(_AT_ONCE, decode_content=False):
        content += part
        if len(content) > LARGEST:
            raise ValueError("too long")
    return bytes(content)


def _sent(request: PreparedRequest) -> set[str]:
    """What a request holds that must not be shown (RFC 6749, RFC 7009, RFC 7636, RFC 8628), as it may be repeated."""
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
    values = {value for name, value in parse_qsl(body) if name in _SECRETS}
    kind, _, given = str(request.headers.get("Authorization", "")).partition(" ")
    if kind == "Basic":
        values.update(base64.b64decode(given).decode().split(":")[1:])
    return {form for value in values if value for form in (value, quote(value, safe=""))}


def _without(sent: set[str], content: bytes) -> bytes:
    """An answer; of an error, the members without what was sent: some providers repeat what they refuse."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if not isinstance(answer, dict) or "error" not in answer:
        return content
    for name, said in answer.items():
        for value in sent if isinstance(said, str) else ():
            answer[name] = answer[name].replace(value, MASK)
    return json.dumps(answer).encode()


def _unpacked(content: bytes, encoding: str) -> bytes:
    if encoding.lower() in {"", "identity"}:
        return content
    if encoding.lower() != "gzip":
        raise ValueError("an encoding that was not asked for")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip's
    unpacked = unpacking.decompress(content, LARGEST + 1)
    if len(unpacked) > LARGEST or not unpacking.eof:
        raise ValueError("too long, or cut")
    return unpacked
