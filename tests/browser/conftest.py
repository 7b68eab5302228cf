"""A real Chromium, and the JupyterLab that it drives."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

import nbformat
import pytest
from chromium import launched, patient
from servers import PACKAGE, JupyterServer, enable, homely

PLAIN_HOST = "lab.example.org"  # this machine, for the browser
EXTENSION = PACKAGE / "labextension"  # as `make setup` has built it
QUIET = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # asks whether to show news


@pytest.fixture(scope="module")  # Playwright's event loop would be in the way of other modules' own
def chromium():
    """The browser."""
    with launched(PLAIN_HOST) as browser:
        yield browser


@pytest.fixture(scope="session")
def lab(tmp_path_factory, _aws):
    """JupyterLab with the extension as it is shipped; its kernels reach ``_aws``, have no screen, and log at DEBUG."""
    home = tmp_path_factory.mktemp("lab-of-ada")
    config = home / "jupyter_config_dir"
    enable(config, lab=True)
    (config / "labconfig").mkdir()
    (config / "labconfig" / "page_config.json").write_text(json.dumps(QUIET))
    (config / "jupyter_lab_config.json").write_text(
        json.dumps(
            {"LabApp": {"expose_app_in_browser": True}, "ServerApp": {"local_hostnames": ["localhost", PLAIN_HOST]}}
        )
    )
    extensions = home / "jupyter_data_dir" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "jupyter-aws-federation").symlink_to(EXTENSION)
    profile = home / "ipythondir" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 10\n")
    variables = {"AWS_ENDPOINT_URL": _aws.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost"}
    without = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"), "")
    variables["JUPYTER_PREFER_ENV_PATH"] = "0"  # or the virtual environment's own extension would come first
    server = JupyterServer(home, "lab", module="jupyterlab", **homely(home), **variables, **without)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def plain_url(lab):
    """The lab's address under a name that no browser trusts without https."""
    return lab.url.replace("127.0.0.1", PLAIN_HOST)


class Notebook:
    """A notebook that is open in a tab; ``directory`` is for what the test keeps of it."""

    def __init__(self, tab, path, directory):
        self.tab = tab
        self.path = path
        self.directory = directory

    def run(self):
        """Run > Run All Cells."""
        self.tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # before that, it asks for one
        self.tab.get_by_role("menuitem", name="Run", exact=True).click()
        self.tab.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def picture(self, name, tab=None):
        """What the person sees, kept in JF_ARTEFACTS where that names a directory."""
        folder = Path(os.environ.get("JF_ARTEFACTS") or self.directory)
        folder.mkdir(parents=True, exist_ok=True)
        (tab or self.tab).screenshot(path=folder / f"{self.directory.name}-{name}.png", animations="disabled")

    def outputs(self, number):
        """What stands under cell ``number`` (from 0; the source does not count)."""
        return self.tab.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output")

    def saved(self):
        """File > Save once all cells have run; the text of the file."""
        end = time.monotonic() + 120
        while True:
            self.tab.keyboard.press("Control+s")
            text = self.path.read_text()
            with contextlib.suppress(json.JSONDecodeError):  # it is being written
                if all(cell.get("execution_count") for cell in json.loads(text)["cells"]):
                    return text
            assert time.monotonic() < end, text
            time.sleep(0.2)


@pytest.fixture(scope="module")
def context(chromium):
    """A person's browser, which keeps JupyterLab's scripts, compiled, from one test to the next."""
    context = patient(chromium.new_context(viewport={"width": 1200, "height": 800}, ignore_https_errors=True))
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def open_notebook(lab, context, tmp_path):
    """``open_notebook(*cells)``: a notebook of this test's own, in a workspace of its own, open in JupyterLab.

    ``kernel`` names its kernelspec; ``before`` gets the tab before anything is loaded; ``url`` is another of the lab's.
    """
    name = f"{tmp_path.name}.ipynb"

    def make(*cells, kernel="python3", before=lambda tab: None, url=None):
        content = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        )
        nbformat.write(content, lab.home / name)
        tab = context.new_page()
        before(tab)
        tab.goto(f"{url or lab.url}lab/workspaces/{tmp_path.name}/tree/{name}?token={lab.token}")
        return Notebook(tab, lab.home / name, tmp_path)

    yield make
    for tab in context.pages:
        tab.close()
    context.clear_cookies()  # nobody is signed in anywhere
    for session in json.loads(lab.request("GET", "api/sessions").text):
        lab.request("DELETE", f"api/sessions/{session['id']}")
