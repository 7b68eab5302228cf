"""The quickstart notebook in a world of its own: in JupyterLab, or headless."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_federation.errors import ConfigurationError, FederationError

if TYPE_CHECKING:
    from jupyter_federation.demo.servers import DemoServers

_NEEDS = ("flask", "flask_cors", "jupyterlab", "jwt", "moto", "nbclient", "nbformat", "pandas", "tornado")
_LAB_TIMEOUT = 90  # seconds until JupyterLab answers, on a slow machine
_CELL_TIMEOUT = 120  # seconds
_NAME = "quickstart.ipynb"
_BESIDE = "data-stack.ipynb"


def open_lab(*, browser: bool) -> int:
    """JupyterLab on a copy of the quickstart, until Ctrl-C ends it and everything with it; the exit status."""
    with _world() as (servers, notebook), _lab(servers, notebook.parent) as (lab, server):
        address = f"{server['url']}lab/tree/{_NAME}?token={server['token']}"
        _say(f"\n    {address}\n\nJupyterLab is ready, with {_NAME} open: run its cells from top to bottom.")
        _say(f"{_BESIDE}, beside it, is for pandas, polars, DuckDB and pyarrow; its first cell says what to install.")
        _say("Ctrl-C ends JupyterLab, the servers and these copies of the notebooks.")
        if browser:
            # Not the address itself: it would stand in the browser's argv, which everybody on the host can read.
            webbrowser.open((servers.directory / "runtime" / f"jpserver-{lab.pid}-open.html").as_uri())
        with contextlib.suppress(KeyboardInterrupt):
            return lab.wait()
    return 0


def execute() -> int:
    """Run the quickstart from top to bottom without a browser and print what happens; 1 if a cell fails."""
    with _world() as (servers, notebook):
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
        from traitlets.config import Config

        client = NotebookClient(
            nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4),
            timeout=_CELL_TIMEOUT,
            config=Config(KernelManager=_encrypted()),
            on_cell_start=_say_source,
            on_cell_executed=_say_outputs,
        )
        try:
            client.execute(env=_environment(servers))
        except CellExecutionError:
            _say("\nThe quickstart failed in the cell above.")
            return 1
        except (KeyboardInterrupt, AssertionError):  # nbclient's clean-up turns the first into the second
            return 130
        _say("\nThe quickstart ran from top to bottom.")
        return 0


@contextlib.contextmanager
def _world() -> Iterator[tuple[DemoServers, Path]]:
    """Both servers, and a copy of the notebooks in a directory of its own."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The demo needs packages that are not installed: {', '.join(missing)}.",
            fix="Run: pip install 'jupyter-aws-federation[demo]'",
        )
    from jupyter_federation.demo.servers import DemoServers

    for name in ("SIGTERM", "SIGHUP"):  # a closed terminal: what follows is undone then too
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _frame: sys.exit(128 + number))
    _say("Starting an identity provider and an AWS on this machine ...")
    with DemoServers() as servers:
        notebook = servers.directory / "notebooks" / _NAME
        notebook.parent.mkdir()
        shutil.copyfile(_quickstart(), notebook)
        shutil.copyfile(_shipped(_BESIDE), notebook.with_name(_BESIDE))
        yield servers, notebook


def _quickstart() -> Path:
    return _shipped(_NAME)


def _shipped(name: str) -> Path:
    """A notebook: beside this file in an installed package, in notebooks/ in a checkout."""
    here = Path(__file__).parent
    installed = here / name
    return installed if installed.exists() else here.parent.parent / "notebooks" / name


def _encrypted() -> dict[str, str]:
    """Kernels that are spoken to in secret where they can be; ipykernel 7.4 warns of others."""
    import zmq
    from jupyter_client.manager import KernelManager

    return (
        {"transport_encryption": "auto"}
        if "transport_encryption" in KernelManager.class_traits() and zmq.has("curve")
        else {}
    )


def _environment(servers: DemoServers) -> dict[str, str]:
    return {**os.environ, **servers.environment()}


@contextlib.contextmanager
def _lab(servers: DemoServers, root: Path) -> Iterator[tuple[subprocess.Popen[bytes], Mapping[str, Any]]]:
    """JupyterLab over ``root``, and what it wrote about itself once it answers."""
    _say("Starting JupyterLab ...")
    # All of JupyterLab's own files go with the demo; the user's workspaces and settings are left alone.
    runtime, workspaces, settings = (servers.directory / name for name in ("runtime", "workspaces", "settings"))
    news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")  # nor does it ask for any
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--log-level=WARN"]
    command += [f"--ServerApp.root_dir={root}", "--ServerApp.ip=127.0.0.1", "--ServerApp.allow_root=True"]
    command += [f"--LabApp.default_url=/lab/tree/{_NAME}"]
    command += [f"--LabApp.workspaces_dir={workspaces}", f"--LabApp.user_settings_dir={settings}"]
    command += [f"--KernelManager.{name}={value}" for name, value in _encrypted().items()]
    # No pings on one machine: of Jupyter's own interval, which is in milliseconds, Tornado warns.
    command += ["--ServerApp.tornado_settings={'ws_ping_interval': 0}"]
    lab = subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        cwd=root,  # `-m` looks there first: not where the person happens to stand
        env={**_environment(servers), "JUPYTER_RUNTIME_DIR": str(runtime)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches us alone, and JupyterLab asks no question about it
    )
    try:
        yield lab, _server_info(lab, runtime / f"jpserver-{lab.pid}.json")
    finally:
        lab.terminate()
        try:
            lab.wait(timeout=10)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()


def _server_info(lab: subprocess.Popen[bytes], file: Path) -> Mapping[str, Any]:
    """What JupyterLab has written when it listens: ``url``, ``token``."""
    end = time.monotonic() + _LAB_TIMEOUT
    while time.monotonic() < end and lab.poll() is None:
        # Not there yet, half written, or written a moment before it listens.
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, ConnectionRefusedError):
            info: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            socket.create_connection(("127.0.0.1", info["port"])).close()
            return info
        time.sleep(0.1)
    raise FederationError("JupyterLab did not start.", fix="See what it printed above.")


def _say_source(cell: Mapping[str, Any], cell_index: int) -> None:  # noqa: ARG001 - nbclient's names
    if cell["cell_type"] == "code":
        _say("\n" + "\n".join(f"> {line}" for line in cell["source"].splitlines()))


def _say_outputs(cell: Mapping[str, Any], cell_index: int, execute_reply: object) -> None:  # noqa: ARG001
    said: list[str] = []
    before = None
    for output in cell.get("outputs", ()):
        stream = output.get("name")  # None: no stream
        if stream is not None and stream == before:
            said[-1] += _text(output)
        else:
            said.append(_text(output))
        before = stream
    for text in said:
        _say("\n".join(map(_overwritten, text.removesuffix("\n").split("\n"))))


def _overwritten(line: str) -> str:
    """What shows of ``line``: behind a carriage return it is written over from its beginning."""
    shown = ""
    for part in line.split("\r"):
        shown = part + shown[len(part) :]
    return shown


def _text(output: Mapping[str, Any]) -> str:
    match output["output_type"]:
        case "stream":
            return str(output["text"])
        case "error":
            return "\n".join(output["traceback"])
        case _:
            return str(output["data"].get("text/plain", ""))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
