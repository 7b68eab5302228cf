"""What a tool that is not boto3 waits for its credentials, and how many can ask."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_federation.delivery.container_protocol import TOKEN, URI
from jupyter_federation.delivery.endpoint import LoopbackEndpoint
from tests.bench.contestants import OURS, ours
from tests.bench.servers import Servers
from tests.bench.table import Row

ASKING = Path(__file__).parents[1] / "asking.py"
ROUNDS, SECONDS, STARTS = 7, 1.5, 11
PLAIN, PROCESS = "Python's http.server", "credential_process"


def requests_for_credentials(servers: Servers) -> Row:
    """Requests a second and their p99 in milliseconds: from another process, a connection each, of an idle kernel.

    In turn with a ``ThreadingHTTPServer`` that compares the token and gives a constant answer of the same size, in the
    same process.  A ``credential_process`` is a process for each request: the start of a bare Python is its floor.
    """
    with ExitStack() as close:
        servers.lifetime(3600)
        endpoint = LoopbackEndpoint(ours(servers, close).credentials)
        close.callback(endpoint.stop)
        variables = endpoint.start()
        port, token = urlsplit(variables[URI]).port or 0, variables[TOKEN]
        places = {OURS: port, PLAIN: close.enter_context(_Plain(token)).server_port}
        said: dict[str, list[dict[str, float]]] = {name: [] for name in places}
        for _ in range(ROUNDS):
            for name, each in places.items():
                said[name].append(_asked(each, token))
    if any(each["refused"] for many in said.values() for each in many):
        raise RuntimeError("a request was refused")
    median = {
        name: {figure: statistics.median(each[figure] for each in many) for figure in ("a second", "p50", "p99")}
        for name, many in said.items()
    }
    starts = [_start() for _ in range(STARTS)]
    text = {name: f"{each['a second']:,.0f} a second, p99 {each['p99']:.1f} ms" for name, each in median.items()}
    return Row(
        number=9,
        what="a tool asks the loopback endpoint of an idle kernel",
        ours=text[OURS],
        alternatives={PLAIN: text[PLAIN], PROCESS: f"{statistics.median(starts):.0f} ms for a bare Python to start"},
        bar=">= 1,000 a second, p99 < 5 ms",
        reached=median[OURS]["a second"] >= 1000 and median[OURS]["p99"] < 5,
        how=f"medians of {ROUNDS} rounds of {SECONDS} s each, interleaved; the client is one process and one thread.",
        figures={"rounds": said, "process_ms": starts},
    )


class _Plain(ThreadingHTTPServer):
    """What one writes in ten lines."""

    daemon_threads = True

    def __init__(self, token: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"AccessKeyId": "A" * 20, "SecretAccessKey": "s" * 40, "Token": "t" * 700}).encode()
                self.send_response(200 if self.headers["Authorization"] == token else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self._serving = threading.Thread(target=self.serve_forever, daemon=True)
        self._serving.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def _asked(port: int, token: str) -> dict[str, float]:
    command = [sys.executable, str(ASKING), str(port), token, str(SECONDS)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def _start() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "print('{}')"], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1e3
