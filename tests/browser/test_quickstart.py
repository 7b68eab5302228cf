"""The demo as a person meets it: JupyterLab in a real Chromium, the quickstart run from top to bottom."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from chromium import patient

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def demo(tmp_path):
    """`jupyter federation demo`, by the URL that it prints; it warns neither of its kernels nor of its pings."""
    command = [Path(sys.executable).with_name("jupyter-federation"), "demo", "--no-browser"]
    stderr_file = tmp_path / "stderr"
    with (
        stderr_file.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=os.environ) as process,
    ):
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\S+", line)))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
    assert process.returncode == 0
    said = stderr_file.read_text()
    assert [] == [warning for warning in ("without encryption", "websocket_ping_timeout") if warning in said]


@pytest.fixture
def page(chromium):
    """An empty tab."""
    tab = patient(chromium.new_page(viewport={"width": 1200, "height": 900}))
    yield tab
    tab.close()


def saved_cells(url):
    """The code cells as JupyterLab saved them."""
    with urllib.request.urlopen(url.replace("/lab/tree/", "/api/contents/"), timeout=60) as answer:
        return [cell for cell in json.load(answer)["content"]["cells"] if cell["cell_type"] == "code"]


def test_the_quickstart_runs_from_top_to_bottom_in_jupyterlab(demo, page):
    """Every cell has run without an error, and what was saved shows the status and no key."""
    page.goto(demo)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # before that, Run asks for a kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    end = time.monotonic() + 300
    while not (cells := saved_cells(demo))[-1]["outputs"] and time.monotonic() < end:
        page.keyboard.press("Control+s")
        time.sleep(1)
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert [] == [output["ename"] for output in outputs if output["output_type"] == "error"]
    assert list(range(1, len(cells) + 1)) == [cell["execution_count"] for cell in cells]
    assert "The AWS session was cleared." in json.dumps(cells[-1]["outputs"])
    assert "jf-status" in cells[1]["outputs"][0]["data"]["text/html"]
    assert not re.search(r"\bASIA[A-Z0-9]{16}\b|\beyJ", json.dumps(cells))
