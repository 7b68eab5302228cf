"""The front end of a test: a client of a real kernel that runs cells, hears everything, and asks by control."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time

import pytest
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

PROTOCOL = 1


class FrontEnd:
    """``heard`` holds every message that came; ``comms`` the target or model of each comm that was opened."""

    def __init__(self, manager, log):
        self.log = log
        self.manager = manager
        self.client = manager.blocking_client()
        self.client.start_channels(shell=True, iopub=True, stdin=True, hb=False, control=True)
        self.client.wait_for_ready(timeout=60)
        self.heard = []
        self.replies = {}  # by the request's id
        self.channel = None  # the comm's id
        self._stopping = threading.Event()
        self._listeners = [
            threading.Thread(target=self._listen, args=(get,))
            for get in (self.client.get_iopub_msg, self.client.get_shell_msg, self.client.get_control_msg)
        ]
        for each in self._listeners:
            each.start()

    def _listen(self, get):
        with contextlib.closing(ensure_event_loop()):  # this thread's
            while True:
                try:
                    message = get(timeout=0.1)
                except queue.Empty:
                    if self._stopping.is_set():
                        return
                    continue
                message["heard_at"] = time.monotonic()
                self.heard.append(message)
                if message["msg_type"] == "comm_open" and message["content"]["target_name"] == "jupyter_federation":
                    self.channel = message["content"]["comm_id"]
                if message["msg_type"].endswith("_reply"):
                    self.replies[message["parent_header"].get("msg_id")] = message

    def close(self):
        """The kernel is gone when it returns."""
        self._stopping.set()
        for each in self._listeners:
            each.join()
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    # Cells

    def start(self, code, *, allow_stdin=True):
        """Begin to run a cell; its id."""
        return self.client.execute(code, allow_stdin=allow_stdin)

    def run(self, code, *, seconds=60, allow_stdin=True):
        """Run a cell to its end; what it printed, or its error as an AssertionError."""
        cell = self.start(code, allow_stdin=allow_stdin)
        return self.end(cell, seconds=seconds)

    def end(self, cell, *, seconds=60):
        """Wait for a cell; what it printed."""
        within(seconds, lambda: cell in self.replies and self._is_idle(cell), self.said)
        content = self.replies[cell]["content"]
        assert content["status"] == "ok", "\n".join(content.get("traceback", [])) or content
        return self.printed(cell)

    def printed(self, cell):
        """What a cell has printed by now."""
        return "".join(each["content"]["text"] for each in self.of(cell, "stream"))

    def displayed(self, cell):
        """The bundles that a cell has shown."""
        return [each["content"]["data"] for each in self.of(cell, "execute_result", "display_data")]

    def of(self, cell, *kinds):
        """The messages of these kinds that came of a cell."""
        return [
            each for each in list(self.heard) if each["msg_type"] in kinds and each["parent_header"]["msg_id"] == cell
        ]

    def _is_idle(self, cell):
        return any(each["content"]["execution_state"] == "idle" for each in self.of(cell, "status"))

    # The channel

    def post(self, content):
        """Send a request; its id."""
        packed = json.dumps(content).encode()  # any JSON, which the client's own packing would refuse
        message = self.client.session.msg("federation_request", packed)
        self.client.control_channel.send(message)
        return message["header"]["msg_id"]

    def ask(self, action=None, *, seconds=10, content=None, **said):
        """The reply to a request."""
        sent = self.post({"protocol": PROTOCOL, "action": action, **said} if content is None else content)
        within(seconds, lambda: sent in self.replies, self.said)
        return self.replies[sent]["content"]

    @property
    def states(self):
        """What the channel has told, from the first."""
        kinds = {"comm_open", "comm_msg"}
        messages = [each["content"] for each in list(self.heard) if each["msg_type"] in kinds]
        return [each["data"] for each in messages if each["comm_id"] == self.channel]

    def until(self, condition, *, seconds=15):
        """The first state for which ``condition`` holds, waited for."""
        within(seconds, lambda: any(map(condition, self.states)), lambda: json.dumps(self.states[-3:], indent=1))
        return next(each for each in self.states if condition(each))

    def forget(self):
        """What was heard until now."""
        self.heard.clear()

    def said(self):
        """The kernel's log, without what ipykernel says of TCP at its start."""
        return "".join(
            line
            for line in self.log.read_text(errors="replace").splitlines(keepends=True)
            if "over TCP without" not in line
        )


def within(seconds, condition, otherwise):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.01)


@pytest.fixture
def profiles(isolated_home):
    """Write profiles into the user's file: ``profiles(research={...})``; the first is the default one."""

    def write(**named):
        directory = isolated_home / "jupyter_config_dir"
        directory.mkdir(exist_ok=True)
        (directory / "jupyter_federation_config.json").write_text(
            json.dumps({"Federation": {"default_profile": next(iter(named)), "profiles": named}})
        )

    return write


@pytest.fixture
def start_kernel(isolated_home, monkeypatch):
    """``start_kernel(*options)``: a kernel, and the front end of it, which goes with the test."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with contextlib.ExitStack() as stack, contextlib.closing(ensure_event_loop()):

        def start(*options):
            log = isolated_home / "kernel.log"
            errors = stack.enter_context(log.open("wb"))
            manager = KernelManager(kernel_name="python3")
            manager.start_kernel(extra_arguments=[*options], stdout=errors, stderr=errors, cwd=str(isolated_home))
            front_end = FrontEnd(manager, log)
            stack.callback(front_end.close)
            return front_end

        yield start


@pytest.fixture
def front_end(start_kernel):
    """A kernel in which the extension is loaded."""
    made = start_kernel()
    made.run("%load_ext jupyter_federation")
    return made
