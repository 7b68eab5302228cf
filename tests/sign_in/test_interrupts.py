"""Ctrl-C in a real kernel, in each rung: the sign-in is cancelled, nothing of it is left, and what was before stays."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from urllib.parse import parse_qsl, urlsplit

import pytest

from jupyter_federation.mailbox import Mailbox

pytestmark = pytest.mark.slow

SETUP = """
import os, threading, boto3
import jupyter_federation as jf
jf.federate(source="env", variable="TOKEN", role_arn={role!r}, region="eu-west-1")
client, key = boto3.client("sts"), jf.status().access_key_suffix
print("done", flush=True)
"""
CHECK = """
client.get_caller_identity()
status, names = jf.status(), {each.name for each in threading.enumerate()}
print("done", status.credentials, status.access_key_suffix == key, "jupyter-federation-receiver" in names, flush=True)
"""
AS_BEFORE = "done valid True False"
WAYS = {
    "browser": ({"BROWSER": "true"}, {}),
    "callback": ({}, {}),
    "paste": ({}, {"no_browser": True}),
    "device code": ({}, {"use_device_code": True}),
    "token": ({}, {"token_prompt": True}),
}


class Cells:
    """Runs cells in a real kernel; ``messages`` are those of the last one."""

    def __init__(self, kernel, sign_in):
        self.kernel = kernel
        self._sign_in = sign_in
        self.messages = []

    def begin(self, way):
        """A cell that signs in that way."""
        environment, manner = WAYS[way]
        browser = environment.get("BROWSER", "")
        options = ", ".join(f"{name}={value!r}" for name, value in {**self._sign_in, **manner}.items())
        self._start(f'os.environ["BROWSER"] = {browser!r}\nprint("began", flush=True)\njf.federate({options})')

    def run(self, code):
        """What a whole cell prints."""
        self._start(code)
        self.until(lambda kind, content: content.get("execution_state") == "idle")
        return self.printed()

    def printed(self):
        return "".join(content["text"] for kind, content in self.messages if kind == "stream").strip()

    def _start(self, code):
        self.messages = []
        self.kernel.start(code, allow_stdin=True)

    def until(self, condition):
        """Take in the cell's messages until one fits."""
        while True:
            message = json.loads(self.kernel.channel.recv())
            if message["parent_header"].get("msg_id") == self.kernel.cell:
                content = message["content"] | {"transient": message["content"].get("transient") or {}}
                self.messages.append((message["msg_type"], content))
                if condition(*self.messages[-1]):
                    return

    def interrupt(self):
        """The button of that name; then until the cell is over."""
        self.kernel.interrupt()
        self.until(lambda kind, content: content.get("execution_state") == "idle")

    @property
    def displays(self):
        """What each display shows in the end, by its id."""
        return {
            content["transient"].get("display_id"): content["data"]["text/plain"]
            for kind, content in self.messages
            if kind in {"display_data", "update_display_data"}
        }

    @property
    def offer(self):
        """What was offered first."""
        return next((content["data"]["text/plain"] for kind, content in self.messages if kind == "display_data"), "")


@pytest.fixture
def cells(aws_environment, role, provider, start_server):
    """A kernel of a real server, in which ada is signed in by a token already."""
    without = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"), "")
    server = start_server("interrupted", **aws_environment, **without, TOKEN=provider.id_token("ada"))
    sign_in = {"source": "oidc", "issuer": provider.issuer, "client_id": "notebook", "role_arn": role.arn}
    with server.kernel() as kernel:
        made = Cells(kernel, {**sign_in, "region": "eu-west-1"})
        assert made.run(SETUP.format(role=role.arn)) == "done"
        yield made


def listens(port):
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def left():
    return sorted(path.suffix for path in Mailbox.default().directory.iterdir() if path.suffix != ".new")


def redirect_of(offer):
    address = next((line for line in offer.splitlines() if line.startswith("http")), "")
    return urlsplit(dict(parse_qsl(urlsplit(address).query)).get("redirect_uri", ""))


def test_an_interrupt_cancels_each_rung_and_leaves_what_was_before(cells, provider):
    """Nothing listens, no marker is left, nothing stays displayed, and the clients of before go on."""
    for way in WAYS:
        cells.begin(way)
        asks = way in {"paste", "token"}
        cells.until(lambda kind, content, asks=asks: kind == ("input_request" if asks else "display_data"))
        if way == "browser":
            assert listens(redirect_of(cells.offer).port)
        assert left() == ([".pending", ".server"] if way == "callback" else [".server"]), way
        began = time.monotonic()
        cells.interrupt()
        assert time.monotonic() - began < 2, way
        errors = [content["ename"] for kind, content in cells.messages if kind == "error"]
        assert errors == ["KeyboardInterrupt"], way
        shown = [content["traceback"] for kind, content in cells.messages if kind == "error"]
        assert shown == [["Sign-in cancelled; you are still signed in. Run the line again to sign in."]], way
        assert provider.issuer in cells.offer
        assert set(cells.displays.values()) == {""}, way
        assert left() == [".server"], way
        assert way != "browser" or not listens(redirect_of(cells.offer).port)
        assert cells.run(CHECK) == AS_BEFORE, way
    assert provider.count("token") == 0


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_at_any_moment_leaves_what_was_before(cells, way):
    """Sixty of them at random, from before the first request to long after the offer."""
    draw = random.Random(way)
    for _ in range(60):
        cells.begin(way)
        cells.until(lambda kind, content: kind == "stream")
        time.sleep(draw.uniform(0, 0.15) if draw.random() < 0.8 else draw.uniform(0, 1.5))
        cells.interrupt()
        assert {""} >= set(cells.displays.values())
        assert left() == [".server"]
        port = redirect_of(cells.offer).port
        assert way not in {"browser", "paste"} or port is None or not listens(port)
        assert cells.run(CHECK) == AS_BEFORE
