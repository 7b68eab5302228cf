"""notebooks/data-stack.ipynb runs as it stands."""

import json
import os

import nbformat
import pytest
from nbclient import NotebookClient
from tool_matrix import ROOT

from jupyter_federation.demo.servers import DemoServers

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "notebooks" / "data-stack.ipynb"


@pytest.fixture
def kernel_of_the_tools(tools_environment, tmp_path, monkeypatch):
    """The environment of the tools is the kernel python3, and its commands come first."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [str(tools_environment), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "tools", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tools_environment.parent}{os.pathsep}{os.environ['PATH']}")


def test_it_runs_from_top_to_bottom(kernel_of_the_tools):
    """Four libraries, a command and a terminal's line read one bucket with one sign-in, and end with it."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with DemoServers() as servers:
        NotebookClient(notebook, timeout=120).execute(env={**os.environ, **servers.environment()})
    said = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert ["spring.csv", "snow bunting", "may still hold credentials"] == [
        text for text in ("spring.csv", "snow bunting", "may still hold credentials") if text in said
    ]


def test_it_is_committed_without_outputs():
    """What a run has printed is nobody's business."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert [] == [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
