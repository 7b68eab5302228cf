"""A process that asks the container endpoint on and on: ``python asking.py PORT TOKEN SECONDS``; JSON on stdout.

Each request is one as SDKs send it, on a connection of its own.  The milliseconds are from before the connection to
after the last byte.
"""

from __future__ import annotations

import json
import socket
import sys
import time


def main(port: int, token: str, seconds: float) -> None:
    head = f"GET /credentials HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {token}\r\nAccept: */*\r\n\r\n"
    request, took, refused = head.encode(), [], 0
    started = now = time.perf_counter()
    while now - started < seconds:
        answer = b""
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            while data := connection.recv(65536):
                answer += data
        refused += b" 200 OK\r\n" not in answer
        before, now = now, time.perf_counter()
        took.append((now - before) * 1e3)
    took.sort()
    said = {
        "requests": len(took),
        "refused": refused,
        "a second": len(took) / (now - started),
        "p50": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
