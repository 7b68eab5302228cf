"""A forked child uses its parent's endpoint, and neither keeps nor ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from container_client import Client
from doubles import Nobody
from faults.children import fork

from jupyter_federation.delivery.container_protocol import URI

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.fixture
def forking(tmp_path):
    """``forking(how)`` starts ``forking.py`` with every warning an error but those of a fork."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    script = Path(__file__).with_name("forking.py")
    variables = {"TMPDIR": str(temporary), "PYTHONPATH": str(script.parents[1])}
    warnings = ["-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning"]

    def start(how):
        return subprocess.Popen(
            [sys.executable, *warnings, str(script), how],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    start.temporary = temporary
    return start


@pytest.mark.parametrize("how", ["a pool", "sys.exit", "os._exit", "an endpoint of its own"])
def test_however_a_child_ends_the_parent_s_endpoint_goes_on(forking, how):
    """Its port answers and its file is there; nobody says a word on stderr, no socket is left to the collector."""
    process = forking(how)
    said = process.communicate(timeout=60)
    assert (0, ("", "")) == (process.returncode, said)
    assert [] == list(forking.temporary.iterdir())


def test_a_child_does_not_keep_the_port_of_a_parent_that_is_killed(forking):
    """kill -9 of the kernel ends the endpoint although a worker lives on."""
    process = forking("a child that stays")
    child, port = (int(each) for each in process.stdout.readline().split())
    try:
        time.sleep(0.2)
        process.kill()
        process.wait()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        os.kill(child, 0)  # it lives
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_a_child_s_tools_use_the_parent_s_endpoint_and_its_clear_is_its_own(federation):
    """The environment of the child names it; after the child's clear nothing has changed for the parent."""
    federation.federate("a", prompt=Nobody())
    before = dict(os.environ)

    def work():
        tool = Client.of_the_environment()
        first = tool.ask().content["AccessKeyId"]
        federation.clear()
        left = URI in os.environ
        federation.federate("b", prompt=Nobody())
        own = Client.of_the_environment()
        second = own.ask().content["AccessKeyId"]
        federation.clear()
        return first, left, own.port != tool.port, second

    first, left, elsewhere, second = fork(work).answer()
    assert (False, True) == (left, elsewhere)
    assert before == dict(os.environ)
    assert first == Client.of_the_environment().ask().content["AccessKeyId"] != second


def test_children_forked_in_the_midst_of_requests(client):
    """Every request is answered and ends, although children that live on hold copies of its connection."""
    over, answers = threading.Event(), []

    def ask():
        while not over.is_set():
            answers.append(client.ask().status)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for each in asking:
        each.start()
    children = []
    for _ in range(40):
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        children.append(child)
        time.sleep(0.01)
    over.set()
    for each in asking:
        each.join(10)
    alive = [each for each in asking if each.is_alive()]
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert [] == alive
    assert {200} == set(answers)
    assert len(answers) > 40
