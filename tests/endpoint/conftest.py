"""An endpoint that serves, and the kernel that it belongs to."""

from __future__ import annotations

import os
import subprocess

import pytest
from container_client import Client, Holding
from faults.conftest import federation
from jupyter_client.manager import KernelManager
from secrecy.conftest import log, signing

from jupyter_federation.delivery.container_protocol import TOKEN_FILE, URI
from jupyter_federation.delivery.endpoint import LoopbackEndpoint

__all__ = ["federation", "log", "signing"]

SIGN_IN = """
%load_ext jupyter_federation
import jupyter_federation as jf
status = jf.federate(source="file", path={token!r}, role_arn={role!r}, region="eu-west-1")
"""
WHERE = f"import os; print(os.environ[{URI!r}], os.environ[{TOKEN_FILE!r}])"


@pytest.fixture
def holding():
    """The credentials; ``holding.reads`` counts how often they were read for an answer."""
    return Holding()


@pytest.fixture
def client(holding):
    """A client of an endpoint that serves ``holding``."""
    endpoint = LoopbackEndpoint(holding)
    yield Client(endpoint.start())
    endpoint.stop()


class Kernel:
    """A kernel with a TMPDIR of its own."""

    def __init__(self, environment):
        self.manager = KernelManager()
        self.manager.start_kernel(env=environment, stderr=subprocess.DEVNULL)
        self.client = None
        self.connect()

    def connect(self):
        if self.client is not None:
            self.client.stop_channels()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code):
        """What the cell prints; AssertionError with the traceback where it raises."""
        printed = []

        def take(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, timeout=60, output_hook=take, store_history=False)
        assert "ok" == reply["content"]["status"], "\n".join(reply["content"].get("traceback", []))
        return "".join(printed).strip()

    def where(self):
        """A client of the endpoint that its environment names."""
        uri, file = self.run(WHERE).split()
        return Client({URI: uri, TOKEN_FILE: file})

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=not self.manager.is_alive())
        self.manager.cleanup_resources()


@pytest.fixture
def sign_in(provider, role, tmp_path):
    """The cell that signs in."""
    token = tmp_path / "id-token"
    token.touch(0o600)
    token.write_text(provider.id_token("ada"))
    return SIGN_IN.format(token=str(token), role=role.arn)


@pytest.fixture
def temporary(tmp_path):
    """Where the kernel's temporary files go."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    return directory


@pytest.fixture
def kernel(aws_environment, temporary):
    started = Kernel({**os.environ, "TMPDIR": str(temporary)})
    yield started
    started.stop()
