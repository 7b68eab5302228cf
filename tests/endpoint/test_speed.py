"""How fast the endpoint of a real kernel answers: idle, beside a cell that computes, while a renewal hangs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from container_client import Client

from jupyter_federation.errors import FederationError

pytestmark = pytest.mark.slow

ROUNDS = 12
FLOOR = """
import socket
listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listening.getsockname()[1], flush=True)
while True:
    connection, _ = listening.accept()
    with connection:
        connection.recv(8192)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + b"x" * 900)
"""
COMPUTES = """
import time
end = time.monotonic() + 8
while time.monotonic() < end:
    pass
"""


def asked(client, seconds, *, port=None):
    """What a process says that asks on and on."""
    script = Path(__file__).parents[1] / "asking.py"
    command = [sys.executable, str(script), str(port or client.port), client.token, str(seconds)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.fixture
def floor():
    """The port of a process that takes a request, looks at nothing and says as much."""
    with subprocess.Popen([sys.executable, "-c", FLOOR], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def test_a_thousand_requests_a_second_of_an_idle_kernel(kernel, sign_in, floor):
    """Sustained for two seconds, with p99 under 5 ms more than of a server that does nothing, in one of a few rounds.

    That one is asked in turn: on a quiet machine its p99 is a fraction of a millisecond, and on a busy one it is what
    anybody waits.
    """
    kernel.run(sign_in)
    client = kernel.where()
    rounds = []
    for _ in range(ROUNDS):
        least, said = asked(client, 1, port=floor), asked(client, 2)
        rounds.append((least, said))
        assert 0 == said["refused"]
        if said["a second"] >= 1000 and said["p99"] - least["p99"] < 5:
            return
        time.sleep(len(rounds) / 2)  # whatever else is going on may come to its end
    raise AssertionError(rounds)


def test_beside_a_cell_that_computes(kernel, sign_in):
    """Pure Python holds the interpreter for 5 ms at a time: far from the 2 s that SDKs give, and no request is lost."""
    kernel.run(sign_in)
    client = kernel.where()
    kernel.client.execute(COMPUTES)
    time.sleep(1)
    said = asked(client, 3)
    assert 0 == said["refused"]
    assert said["p99"] < 500, said


def test_while_a_renewal_hangs(signing, aws):
    """Valid credentials come from memory in under 50 ms; expired ones are refused within 1.6 s, with the reason."""
    hanging, over = threading.Event(), threading.Event()

    def token():
        if hanging.is_set():
            over.wait(60)
        return signing.token

    def refresh():
        with contextlib.suppress(FederationError):  # it may come to its end when the test does
            signing.jf.refresh()

    aws.lifetime = timedelta(seconds=6)
    renewing = threading.Thread(target=refresh)
    try:
        signing.jf.federate_to_identity_pool(token, identity_pool_id=signing.pool.id)
        expired = time.monotonic() + 6
        client = Client.of_the_environment()
        hanging.set()
        renewing.start()
        took = []
        while time.monotonic() < expired - 2:
            took.append(client.milliseconds())
            time.sleep(0.01)
        assert sorted(took)[len(took) * 9 // 10] < 50
        time.sleep(max(0.0, expired - time.monotonic()) + 0.2)
        assert signing.jf.status().refreshing, "a control: it hangs still"
        waits = []
        for _ in range(2):  # one of them on a machine that does not do something else for a tenth of a second
            started = time.monotonic()
            assert 503 == client.ask().status
            waits.append(time.monotonic() - started)
        assert min(waits) < 1.6, waits
    finally:
        over.set()
        aws.lifetime = timedelta(hours=1)
        if renewing.ident:
            renewing.join(20)
