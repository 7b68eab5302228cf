"""The front end of a test: a client of a real kernel that runs cells, hears everything, and asks by control."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time

import pytest
import zmq
from jupyter_client.manager import KernelManager

PROTOCOL = 1


class FrontEnd:
    """``heard`` holds every message that came, ``replies`` the replies among them by their request's id."""

    def __init__(self, manager, log):
        self.log = log
        self.manager = manager
        self.client = manager.blocking_client()
        self.heard = []
        self.replies = {}
        self.channel = None  # the comm's id
        self._outbox = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)  # the only one that touches the sockets once it runs

    def begin(self):
        """Connect, and listen from then on."""
        self.client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=True)
        self.client.wait_for_ready(timeout=240)
        self._thread.start()

    def _run(self):
        channels = [self.client.iopub_channel, self.client.shell_channel, self.client.control_channel]
        poller = zmq.Poller()
        for each in channels:
            poller.register(each.socket, zmq.POLLIN)
        with _event_loop():
            while not self._stopping.is_set():
                with contextlib.suppress(queue.Empty):
                    while True:
                        channel, message = self._outbox.get_nowait()
                        getattr(self.client, f"{channel}_channel").send(message)
                ready = dict(poller.poll(2))
                for each in channels:
                    if each.socket in ready:
                        self._hear(each.get_msg(timeout=1))

    def _hear(self, message):
        self.heard.append(message)
        if message["msg_type"] == "comm_open" and message["content"]["target_name"] == "jupyter_federation":
            self.channel = message["content"]["comm_id"]
        if message["msg_type"].endswith("_reply"):
            self.replies[message["parent_header"].get("msg_id")] = message

    def send(self, channel, kind, content):
        """Send a message of any kind; its id."""
        message = self.client.session.msg(kind, content)
        self._outbox.put((channel, message))
        return message["header"]["msg_id"]

    def close(self):
        """Nothing listens any longer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.client.stop_channels()

    # Cells

    def start(self, code, *, allow_stdin=True):
        """Begin to run a cell; its id."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        return self.send("shell", "execute_request", content | {"allow_stdin": allow_stdin, "stop_on_error": True})

    def run(self, code, *, seconds=240, allow_stdin=True):
        """Run a cell to its end; what it printed, or its error as an AssertionError."""
        cell = self.start(code, allow_stdin=allow_stdin)
        return self.end(cell, seconds=seconds)

    def end(self, cell, *, seconds=240):
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
        return self.send("control", "federation_request", packed)

    def ask(self, action=None, *, seconds=120, content=None, **said):
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

    def until(self, condition, *, seconds=120):
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


def _event_loop():
    """This thread's, which jupyter_client leaves open."""
    try:
        from jupyter_core.utils import ensure_event_loop
    except ImportError:  # jupyter_core 5.3, the floor
        return contextlib.nullcontext()
    return contextlib.closing(ensure_event_loop())


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
def research(profiles, provider, role, aws_environment, token_file):
    """The profiles research, whose token is in a file, and openid, which signs in at ``provider``."""
    common = {"role_arn": role.arn, "region": "eu-west-1"}
    profiles(
        research={"source": "file", "path": str(token_file), **common},
        openid={"source": "oidc", "issuer": provider.issuer, "client_id": "notebook", **common},
    )


@pytest.fixture
def device_code(profiles, provider, role, aws_environment):
    """The profile device, which signs in at ``provider`` by a code, and no other."""
    profiles(
        device={
            "source": "oidc",
            "issuer": provider.issuer,
            "client_id": "notebook",
            "role_arn": role.arn,
            "region": "eu-west-1",
            "use_device_code": True,
        }
    )


@pytest.fixture
def start_kernel(isolated_home, monkeypatch):
    """``start_kernel(*options)``: a kernel, and the front end of it, which goes with the test and leaves no token."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # or older debuggers warn in the kernel's log
    temporary = isolated_home / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with contextlib.ExitStack() as stack, _event_loop():

        def start(*options):
            log = isolated_home / "kernel.log"
            errors = stack.enter_context(log.open("wb"))
            manager = KernelManager(kernel_name="python3")
            stack.callback(manager.cleanup_resources)
            manager.start_kernel(extra_arguments=[*options], stdout=errors, stderr=errors, cwd=str(isolated_home))
            stack.callback(manager.shutdown_kernel)
            front_end = FrontEnd(manager, log)
            stack.callback(front_end.close)
            front_end.begin()
            return front_end

        yield start
    assert [] == [*temporary.iterdir()]


@pytest.fixture
def front_end(start_kernel):
    """A kernel in which the extension is loaded."""
    made = start_kernel()
    made.run("%load_ext jupyter_federation")
    return made
