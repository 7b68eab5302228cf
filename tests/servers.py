"""A real `jupyter server` with the extension as it is shipped, and its kernels."""

import contextlib
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

import jupyter_federation

PACKAGE = Path(jupyter_federation.__file__).parent


class JupyterServer:
    """One process; ``url`` is its base URL, ``log`` the file with all that it says at DEBUG.

    ``module`` may be jupyterlab; with the ``token`` "" it lets everybody in.
    """

    host = None  # that requests name, where it is not the address's

    def __init__(self, home, name, *, module="jupyter_server", token=None, **environment):
        self.home = home
        self.token = secrets.token_hex(16) if token is None else token
        self.log = home / f"{name}.log"
        self.runtime = home / "jupyter_runtime_dir"
        self.errors = self.log.open("wb")
        self.before = self.entries()
        options = {"ip": "127.0.0.1", "port": 0, "open_browser": False, "base_url": "/lab-of-ada/", "allow_root": True}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", module, "--debug", f"--IdentityProvider.token={self.token}"),
                *(f"--ServerApp.{option}={value}" for option, value in options.items()),
            ],
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)} | environment,
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
        )

    def wait(self):
        """Until it listens and has announced its callback."""
        info = self.runtime / f"jpserver-{self.process.pid}.json"
        within(120, lambda: info.exists() and info.read_text().endswith("}"), self.said)
        self.url = json.loads(info.read_text())["url"]
        within(60, lambda: self.entries() - self.before, self.said)
        within(60, self.listens, self.said)  # jupyter_server writes its file a moment earlier

    def listens(self):
        """Whether it takes connections."""
        address = urllib.parse.urlsplit(self.url)
        with socket.socket() as client:
            return client.connect_ex((address.hostname, address.port)) == 0

    def entries(self):
        """What servers have announced."""
        return set((self.runtime / "jupyter-federation").glob("*.server"))

    def said(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        """As a person does; the process is gone when it returns."""
        self.process.terminate()
        try:
            self.process.wait(120)
        finally:
            self.process.kill()
            self.process.wait()
            self.errors.close()

    def request(self, method, path, *, login=True, body=None, **headers):
        """The answer to one request, with ``text``; no redirect is followed."""
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=240)
        if login:
            headers["Authorization"] = f"token {self.token}"
        if self.host:
            headers["Host"] = self.host
        with contextlib.closing(connection):
            connection.request(method, f"{address.path}{path}", body=body, headers=headers)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
        return answer

    def callback(self, method="GET", *, login=True, body=None, headers=(), **parameters):
        """A provider's redirect to the callback page."""
        path = f"jupyter-federation/callback?{urllib.parse.urlencode(parameters)}"
        return self.request(method, path, login=login, body=body, **dict(headers))

    @contextlib.contextmanager
    def kernel(self):
        """A kernel that this server started."""
        import websocket  # not there where the oldest versions are tested

        answer = self.request("POST", "api/kernels", body="{}")
        assert 201 == answer.status, (answer.status, answer.headers.items(), answer.text)
        started = json.loads(answer.text)["id"]
        header = {"Authorization": f"token {self.token}"}  # a hub's servers take none from the address
        address = self.url.replace("http", "ws", 1) + f"api/kernels/{started}/channels"
        try:
            with contextlib.closing(
                websocket.create_connection(address, timeout=240, header=header, host=self.host)
            ) as channel:
                yield Kernel(channel, lambda: self.request("POST", f"api/kernels/{started}/interrupt", body="{}"))
        finally:
            self.request("DELETE", f"api/kernels/{started}")


class Kernel:
    """Runs cells; ``interrupt()`` is the button of that name."""

    def __init__(self, channel, interrupt):
        self.channel = channel
        self.interrupt = interrupt

    def start(self, code, *, allow_stdin=False):
        """Begin to run a cell; ``allow_stdin`` where a person is there."""
        self.cell = secrets.token_hex(8)
        header = {"msg_id": self.cell, "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": allow_stdin}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.channel.send(json.dumps(message))

    def printed(self):
        """The next that the cell prints, or the traceback in its place."""
        return self._next("stream")["text"].strip()

    def shown(self):
        """The next that the cell displays, as text, or the traceback in its place."""
        return self._next("display_data")["data"]["text/plain"]

    def _next(self, kind):
        while True:
            message = json.loads(self.channel.recv())
            if message["parent_header"].get("msg_id") == self.cell:
                if message["msg_type"] == kind:
                    return message["content"]
                if message["msg_type"] == "error":
                    raise AssertionError("\n".join(message["content"]["traceback"]))


def within(seconds, condition, otherwise):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)


@pytest.fixture(scope="session")
def _shared_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("ada")
    enable(home / "jupyter_config_dir")
    return home


def enable(config, *, lab=False, proxy=False):
    """Put the shipped file where an installation has it; others only take time, but for ``lab`` and ``proxy``.

    No client is hung up on for not answering pings: a test listens when it has something to hear.
    """
    shipped = (PACKAGE / "server" / "jupyter_server_config.json").read_text()
    others = dict.fromkeys(("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim"), False)
    others |= {"jupyterlab": lab, "jupyter_server_proxy": proxy}
    folder = config / "jupyter_server_config.d"
    folder.mkdir(parents=True)
    (folder / "jupyter_federation.json").write_text(shipped)
    (folder / "others.json").write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": others, "tornado_settings": {"ws_ping_interval": 0}}})
    )


def homely(home):
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    return {"HOME": str(home), "USERPROFILE": str(home)} | {name: str(home / name.lower()) for name in names}


@pytest.fixture(scope="session")
def _server(_shared_home):
    server = JupyterServer(_shared_home, "shared", **homely(_shared_home))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(_server, monkeypatch):
    """A running server, whose mailbox is this process's too."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(_server.runtime))
    return _server


@pytest.fixture
def start_server(isolated_home):
    """Start a server of this test's own; ``start_server(name)`` again for one more of the same user."""
    enable(isolated_home / "jupyter_config_dir")
    with contextlib.ExitStack() as stack:

        def start(name, **environment):
            server = JupyterServer(isolated_home, name, **environment)
            stack.callback(server.stop)
            server.wait()
            return server

        yield start
