"""One notebook run through a real kernel, and everything that is left of it to look into."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import BlockingKernelClient
from jupyter_core.utils import ensure_event_loop
from nbclient import NotebookClient

from jupyter_federation.demo.aws import EmbeddedAws, OpenIdProvider, Role
from jupyter_federation.demo.identity_provider import IdentityProvider

# Log everything that anybody logs, arguments and exceptions included, into a file: run in the first cell.
LOG_EVERYTHING = """
import logging, os
logging.basicConfig(filename=os.environ["LOG_FILE"], level=0, force=True,
                    format="%(name)s %(levelname)s %(threadName)s %(message)s %(args)r")
for name in ("botocore", "boto3", "urllib3", "asyncio", "jupyter_federation", "traitlets", "IPKernelApp"):
    logging.getLogger(name).setLevel(0)
os.umask(0o022)
"""


@dataclass
class Servers:
    """The two embedded servers, acquainted, with a role; and a token file."""

    provider: IdentityProvider
    aws: EmbeddedAws
    role: Role
    token_file: Path

    @property
    def token(self) -> str:
        return self.token_file.read_text()


@contextlib.contextmanager
def servers(directory: Path):
    """Both servers, and the file with Ada's token, which only its owner reads."""
    with IdentityProvider() as provider, EmbeddedAws() as aws:
        name = provider.issuer.partition("://")[2]
        role = Role(name="Researcher", trusts={name: ("notebook",)})
        aws.add(OpenIdProvider(issuer=provider.issuer, client_ids=("notebook",)), role)
        token_file = directory / "token"
        token_file.touch(0o600)
        token_file.write_text(provider.id_token("ada"))
        yield Servers(provider, aws, role, token_file)


@dataclass
class Run:
    """What a run left behind."""

    notebook: Any
    directory: Path
    messages: list[dict[str, Any]] = field(default_factory=list)

    def outputs(self, tag: str | None = None) -> str:
        """The outputs of all cells, or of those with ``tag``, as they are saved; what a test prints has one."""
        cells = [each for each in self.notebook.cells if tag in (None, *each.metadata.get("tags", []))]
        return json.dumps([each.outputs for each in cells])

    def text(self, tag: str) -> str:
        """What the cell with ``tag`` printed to stdout."""
        (cell,) = (each for each in self.notebook.cells if tag in each.metadata.get("tags", []))
        return "".join(each["text"] for each in cell.outputs if each.get("name") == "stdout")

    def open_files(self) -> list[Path]:
        """Files under the home, the temporary and the working directory that others than their owner may read."""
        files = [each for each in self.directory.rglob("*") if each.is_file()]
        return [each for each in files if stat.S_IMODE(each.stat().st_mode) & 0o077]

    @property
    def history(self) -> Path:
        return self.directory / "home" / "history.sqlite"

    @property
    def logs(self) -> list[Path]:
        return [self.directory / "cwd" / "everything.log", self.directory / "cwd" / "kernel.log"]


def run(directory: Path, servers: Servers, cells: list[tuple[str, str]]) -> Run:
    """Run ``cells`` (tag, source) with a second client listening, and save the notebook as nbconvert would."""
    for each in ("home", "tmp", "cwd"):
        (directory / each).mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "JUPYTER", "JPY"))}
    environment |= {
        "HOME": str(directory / "home"),
        "IPYTHONDIR": str(directory / "home" / "ipython"),
        "TMPDIR": str(directory / "tmp"),
        "LOG_FILE": str(directory / "cwd" / "everything.log"),
        "AWS_ENDPOINT_URL": servers.aws.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "TOKEN_FILE": str(servers.token_file),
        "ROLE": servers.role.arn,
    }
    sources = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]}) for tag, source in cells]
    notebook = nbformat.v4.new_notebook(cells=sources)
    result = Run(notebook, directory)
    client = NotebookClient(
        notebook,
        timeout=60,
        allow_errors=True,
        store_widget_state=True,
        ipython_hist_file=str(result.history),
        extra_arguments=["--log-level=DEBUG"],
    )
    with (
        contextlib.closing(ensure_event_loop()),  # jupyter_client leaves it open
        result.logs[1].open("wb") as kernel_log,
        client.setup_kernel(env=environment, cwd=str(directory / "cwd"), stdout=kernel_log, stderr=kernel_log),
        _second_client(client.km.connection_file, result.messages),
    ):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        client.set_widgets_metadata()
    nbformat.write(notebook, directory / "cwd" / "saved.ipynb")
    return result


@contextlib.contextmanager
def _second_client(connection_file: str, messages: list[dict[str, Any]]):
    """Somebody else who listens to the same kernel."""
    listener = BlockingKernelClient(connection_file=connection_file)
    listener.load_connection_file()
    listener.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
    listener.wait_for_ready(timeout=30)
    stopping = threading.Event()

    def listen() -> None:
        with contextlib.closing(ensure_event_loop()):  # this thread's
            while True:
                try:
                    messages.append(listener.get_iopub_msg(timeout=0.2))
                except queue.Empty:
                    if stopping.is_set():
                        return

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        listener.stop_channels()
