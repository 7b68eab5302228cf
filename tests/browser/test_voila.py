"""Voila, which has no extension of ours and takes no input: the plain widgets in a real Chromium."""

import os
import socket
import subprocess
import sys
from datetime import timedelta

import nbformat
import pytest
from chromium import patient
from servers import homely, within

from jupyter_federation.demo.servers import DemoServers

# No part of the test extra: it puts a button of its own into every JupyterLab beside it, on the README's picture too.
pytest.importorskip("voila", reason="needs voila: .venv/bin/python -m pip install voila")
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def address(tmp_path):
    """Where Voila shows the panel of a kernel that reaches the demo's servers."""
    cells = ["%load_ext jupyter_federation", "%federate panel"]
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(content, tmp_path / "panel.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "voila", "panel.ipynb", "--no-browser", f"--port={port}"]
    log = tmp_path / "voila.log"
    with DemoServers(lifetime=timedelta(minutes=42)) as demo, log.open("wb") as said:
        variables = os.environ | homely(tmp_path) | demo.environment()
        with subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=said, stderr=said) as process:
            try:
                within(240, lambda: b"Voil" in log.read_bytes() and _listens(port), log.read_text)
                yield f"http://127.0.0.1:{port}/"
            finally:
                process.terminate()


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_panel_in_voila(address, chromium):
    """Its buttons sign in, refresh and clear, and it says so; what it cannot ask for it says as well."""
    context = patient(chromium.new_context(viewport={"width": 1000, "height": 500}))
    tab = context.new_page()
    tab.goto(address)
    panel = tab.locator(".jf-panel")
    sign_in = panel.get_by_role("button", name="Sign in", exact=True)
    panel.get_by_text("Not signed in to AWS").wait_for()
    panel.locator("select").select_option("demo")
    sign_in.click()
    panel.get_by_text("Signed in to AWS").wait_for()
    panel.get_by_text("%federate whoami tells").wait_for()
    until = panel.locator("time").first
    before = until.inner_text()
    tab.wait_for_timeout(1100)  # or the new end would read like the old one
    panel.get_by_role("button", name="Refresh").click()
    until.filter(has_not_text=before).wait_for()
    panel.get_by_role("button", name="Clear AWS session").click()
    panel.get_by_text("The AWS session is cleared").wait_for()
    panel.locator("select").select_option("demo-browser")
    sign_in.click()
    panel.get_by_text("the panel has no field that is not saved. Run %federate --no-browser in a cell").wait_for()
    context.close()
