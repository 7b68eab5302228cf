"""The environments: ours overwritten, too old, or of another version than the server's and the browser's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from datetime import timedelta
from pathlib import Path

import pytest

import jupyter_federation
from jupyter_federation.doctor.checks import installation
from jupyter_federation.doctor.examination import examine
from jupyter_federation.doctor.patient import Patient
from jupyter_federation.front_end import protocol
from jupyter_federation.mailbox import SERVER_VARIABLE, Mailbox
from jupyter_federation.profile import Profile

PACKAGE = Path(jupyter_federation.__file__).parent
COMMAND = "import sys; from jupyter_federation.app import main; sys.exit(main())"  # as the console script has it


@pytest.fixture
def overwritten(tmp_path):
    """A folder to import from, in which the stub's ``__init__`` stands in ours' place, and its metadata beside it."""
    package = tmp_path / "site" / "jupyter_federation"
    package.mkdir(parents=True)
    for each in PACKAGE.iterdir():
        if each.name not in {"__init__.py", "__pycache__"}:
            (package / each.name).symlink_to(each)
    (package / "__init__.py").write_text("")
    metadata = tmp_path / "site" / "jupyter_federation-0.0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jupyter-federation\nVersion: 0.0.1\n")
    return package.parent


def run(folder, code, *arguments):
    """Python without the checkout, which is on its path by a ``.pth`` file: the package is that of ``folder``."""
    return subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), sysconfig.get_path("purelib")])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_stub_that_overwrote_us_is_found_by_the_command_that_lives_on(overwritten):
    """%load_ext fails then, and the doctor does not: it names the stub first, and both commands that mend it."""
    shell = "from IPython.core.interactiveshell import InteractiveShell as S; S.instance().run_line_magic"
    assert "not an IPython extension" in run(overwritten, f"{shell}('load_ext', 'jupyter_federation')").stdout
    answer = run(overwritten, COMMAND, "doctor", "--json")
    assert 1 == answer.returncode, answer.stderr
    first = json.loads(answer.stdout)["findings"][0]
    assert "stub-overwrites-us" == first["code"]
    assert "(0.0.1)" in first["sentence"]
    assert "pip uninstall -y jupyter-federation" in first["administrator"]


def test_a_stub_that_was_uninstalled_left_a_hole(overwritten):
    """Its ``__init__`` is gone with it, and ours is not back."""
    (overwritten / "jupyter_federation" / "__init__.py").unlink()
    shutil.rmtree(overwritten / "jupyter_federation-0.0.1.dist-info")
    answer = run(overwritten, COMMAND, "doctor", "--json")
    assert 1 == answer.returncode, answer.stderr
    first = json.loads(answer.stdout)["findings"][0]
    assert ("stub-overwrites-us", True) == (first["code"], first["sentence"].startswith("Another package"))


def test_a_stub_beside_us_is_found_before_it_overwrites(monkeypatch):
    """It was installed first."""
    monkeypatch.setattr(installation, "version", lambda name: "0.0.1" if name == installation.STUB else "1")
    (finding,) = installation.package(Patient())
    assert "stub-overwrites-us" == finding.code


@pytest.mark.parametrize("installed", [None, "1.33.9"])
def test_a_library_that_will_not_do(monkeypatch, installed):
    """Missing, or older than what is declared."""
    known = installation.version
    monkeypatch.setattr(installation, "version", lambda name: installed if name == "boto3" else known(name))
    (finding,) = installation.dependencies(Patient())
    assert "dependency-missing" == finding.code
    assert "boto3" in finding.sentence


def test_what_is_installed_here_will_do():
    """The floors themselves are met in the environment of the tests."""
    assert [] == list(installation.dependencies(Patient()))


def test_a_server_of_another_protocol(isolated_home, monkeypatch):
    """Its entry says so."""
    directory = isolated_home / "jupyter_runtime_dir" / "jupyter-federation"
    entry = Mailbox(directory).announce("s", "https://x/callback", since=1.0, lifetime=timedelta(minutes=1))
    monkeypatch.setenv(SERVER_VARIABLE, str(entry))
    content = json.loads(entry.read_text())
    entry.write_text(json.dumps(content | {"protocol": 99}))
    (finding,) = installation.server(Patient())
    assert "server-protocol-differs" == finding.code


@pytest.mark.parametrize("variable", ["JUPYTER_RUNTIME_DIR", SERVER_VARIABLE])
def test_a_runtime_directory_that_cannot_be_looked_at(monkeypatch, variable):
    """It is what is wrong, and not the server; where the server's own cannot be looked at, Jupyter's is."""
    monkeypatch.setenv(variable, "/" + 300 * "x" + "/y")
    codes = [finding.code for finding in installation.server(Patient())]
    assert codes == (["runtime-directory-unusable"] if variable == "JUPYTER_RUNTIME_DIR" else [])
    assert "http://localhost" in examine(exchange=False).request


def test_a_server_without_the_extension():
    """It started the kernel, and left no entry; that counts for who signs in in a browser."""
    environment = {"JPY_SESSION_NAME": "/home/ada/a.ipynb"}
    by_browser = Profile(source="oidc", issuer="https://login.example.org", client_id="a")
    (finding,) = installation.server(Patient(profile=by_browser, environment=environment))
    assert "server-extension-missing" == finding.code
    assert [] == list(installation.server(Patient(profile=Profile(source="file"), environment=environment)))


@pytest.fixture
def labextensions(tmp_path, monkeypatch):
    """The one place in which extensions are looked for."""
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_parts: [str(tmp_path / "labextensions")])
    return tmp_path / "labextensions" / installation.OURS


def test_no_labextension(labextensions):
    """JupyterLab is here, and it is not."""
    (finding,) = installation.labextension(Patient())
    assert "labextension-missing" == finding.code


def test_a_labextension_of_another_protocol(labextensions):
    """What its package.json says."""
    labextensions.mkdir(parents=True)
    file = labextensions / "package.json"
    file.write_text(json.dumps({"version": "9.0.0", "jupyterFederation": {"protocol": 99}}))
    (finding,) = installation.labextension(Patient())
    assert "labextension-differs" == finding.code


@pytest.mark.parametrize("disabled", [{"jupyter-aws-federation": True}, ["jupyter-aws-federation:status"]])
def test_a_labextension_that_is_switched_off(isolated_home, disabled):
    """In JupyterLab's page_config.json, by name or in part."""
    folder = isolated_home / "jupyter_config_dir" / "labconfig"
    folder.mkdir(parents=True)
    (folder / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
    (finding,) = installation.labextension(Patient())
    assert "labextension-disabled" == finding.code


def test_the_extension_says_its_protocol():
    """js/package.json, which the build copies, has the kernel's number."""
    description = json.loads((PACKAGE.parent / "js" / "package.json").read_text())
    assert protocol.PROTOCOL == description["jupyterFederation"]["protocol"]
