"""Where nobody can answer, nobody is asked: a typed error within a second that names the fix."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

CODE = """
import time
%load_ext jupyter_federation
start = time.monotonic()
try:
    get_ipython().run_line_magic("federate", "--token-prompt --identity-pool-id eu-west-1:0")
except Exception as error:
    print(type(error).__name__, "--token-file" in str(error), time.monotonic() - start < 1)
"""
SAID = "LoginRequiredError True True"


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "alone.ipynb"
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(content, path)
    return path


def printed(path_or_content):
    content = path_or_content if isinstance(path_or_content, dict) else nbformat.read(path_or_content, as_version=4)
    return "".join(output.get("text", "") for cell in content.cells for output in cell.outputs).strip()


def test_nbclient(notebook):
    """nbconvert --execute and the demo's own way."""
    content = nbformat.read(notebook, as_version=4)
    NotebookClient(content, timeout=60).execute()
    assert SAID == printed(content)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:papermill")
def test_papermill(notebook, tmp_path):
    """A scheduled notebook."""
    papermill = pytest.importorskip("papermill")
    papermill.execute_notebook(str(notebook), str(tmp_path / "out.ipynb"), progress_bar=False)
    assert SAID == printed(tmp_path / "out.ipynb")


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_ipython_from_a_script(stdin, tmp_path):
    """`ipython script.ipy` without a terminal: no input, or a pipe that nobody writes to."""
    script = tmp_path / "script.ipy"
    script.write_text(CODE)
    ipython = Path(sys.executable).with_name("ipython")
    with subprocess.Popen(
        [ipython, "--colors=NoColor", script], stdin=stdin, stdout=subprocess.PIPE, text=True
    ) as process:
        said = process.stdout.read()
        assert process.wait(timeout=60) == 0
    assert SAID == said.strip()


def test_ipython_c():
    """`ipython -c "%federate …"` ends with the sentence, and is not waiting."""
    command = "%load_ext jupyter_federation\n%federate --token-prompt --identity-pool-id eu-west-1:0"
    ipython = Path(sys.executable).with_name("ipython")
    answer = subprocess.run(
        [ipython, "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 1
    assert "LoginRequiredError: The sign-in needs a person" in answer.stdout + answer.stderr
