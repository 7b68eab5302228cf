"""What an installation brings: the JupyterLab extension, once, built, and with the version of the package."""

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

import jupyter_federation
from jupyter_federation import documentation

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "jupyter_federation" / "labextension"
NAME = "jupyter-aws-federation"
SHARED = f"jupyter_aws_federation-{jupyter_federation.__version__}.data/data"

built = pytest.mark.skipif(
    not (BUILT / "package.json").exists(), reason="the JupyterLab extension is not built: `make setup` does, with npm"
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The checkout as git sees it, and the built extension beside it."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    folder = tmp_path_factory.mktemp("sources")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), listed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(BUILT, folder / "jupyter_federation" / "labextension")
    (folder / "js" / "node_modules" / "left-pad").mkdir(parents=True)  # what must not be packed
    (folder / "js" / "node_modules" / "left-pad" / "index.js").write_text("")
    return folder


@pytest.fixture(scope="module")
def sdist(sources, tmp_path_factory):
    return build("sdist", sources, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """As pip builds it from the sdist, where no npm is to be found."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"), PATH="/nowhere")


def build(kind, sources, target, **environment):
    """What hatchling builds; the sdist's own build of the extension is left out, it is in ``sources``."""
    hook = {"HATCH_BUILD_NO_HOOKS": "1"} if kind == "sdist" else {}
    code = f"import hatchling.build, sys; print(hatchling.build.build_{kind}(sys.argv[1]))"
    command = [sys.executable, "-c", code, target]
    subprocess.run(command, cwd=sources, check=True, capture_output=True, env=environment | hook)
    (made,) = target.iterdir()
    return made


def test_the_version_stands_in_one_place():
    """package.json, which npm and JupyterLab read, has the version of the Python package."""
    assert jupyter_federation.__version__ == json.loads((ROOT / "js" / "package.json").read_text())["version"]


def test_the_lock_file_names_no_place_to_download_from():
    """Each installation asks the registry that it is configured with."""
    assert '"resolved"' not in (ROOT / "js" / "package-lock.json").read_text()


@built
def test_the_extension_is_small():
    """Everything that a browser loads of it is at most 15 kB, gzipped."""
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in BUILT.rglob("*.js")) <= 15_000


@built
def test_the_extension_knows_nothing_of_the_machine_that_built_it():
    """No source map, and no path of this checkout, in what is shipped."""
    for path in filter(Path.is_file, BUILT.rglob("*")):
        assert path.suffix != ".map"
        assert str(ROOT) not in path.read_text()


@built
@pytest.mark.slow
def test_a_wheel_is_built_without_npm_and_holds_each_file_once(wheel):
    """From an sdist: the extension where JupyterLab looks and nowhere else, and the server extension's file."""
    names = zipfile.ZipFile(wheel).namelist()
    assert [] == [name for name, times in Counter(names).items() if times > 1]
    extension = f"{SHARED}/share/jupyter/labextensions/{NAME}/"
    shipped = {name.removeprefix(extension) for name in names if name.startswith(extension)}
    made = {path.relative_to(BUILT).as_posix() for path in BUILT.rglob("*") if path.is_file()}
    assert made | {"install.json"} == shipped
    assert f"{SHARED}/etc/jupyter/jupyter_server_config.d/jupyter_federation.json" in names
    assert {f"jupyter_federation/demo/{each}.ipynb" for each in ("quickstart", "data-stack")} <= set(names)
    docs = {file.relative_to(ROOT).as_posix() for kind in ("*.md", "deploy/*") for file in (ROOT / "docs").glob(kind)}
    assert {f"jupyter_federation/{each}" for each in docs} == {name for name in names if "/docs/" in name}
    assert [] == [name for name in names if name.startswith("jupyter_federation/labextension")]
    assert [] == [name for name in names if "node_modules" in name or name.endswith((".ts", ".map"))]


@built
@pytest.mark.slow
def test_an_installation_prints_what_a_checkout_does(wheel, tmp_path):
    """The same pages and files, hub.py among them, without anything beside the package."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = """
import json
from jupyter_federation import documentation
print(json.dumps([documentation.__file__, {name: documentation.page(name) for name in documentation.pages()}]))
"""
    environment = {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, env=environment)
    path, printed = json.loads(answer.stdout)
    assert Path(path).is_relative_to(tmp_path)
    assert "deploy/hub.py" in printed
    assert {name: documentation.page(name) for name in documentation.pages()} == printed


@built
@pytest.mark.slow
def test_an_sdist_holds_the_sources_and_what_was_built_of_them(sdist):
    """js/ without node_modules and lib, and the extension as built."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert [] == [name for name, times in Counter(names).items() if times > 1]
    assert {"js/src/index.ts", "js/package-lock.json", "js/schema/settings.json"} < set(names)
    assert "jupyter_federation/labextension/package.json" in names
    assert [] == [name for name in names if name.startswith(("js/node_modules", "js/lib"))]


@built
@pytest.mark.slow
def test_jupyterlab_lists_the_installed_extension_as_enabled(wheel, tmp_path):
    """What the wheel brings, in an otherwise empty place, is `enabled OK` for `jupyter labextension list`."""
    prefix = tmp_path / "prefix"
    for name in (archive := zipfile.ZipFile(wheel)).namelist():
        if name.startswith(f"{SHARED}/"):
            target = prefix / name.removeprefix(f"{SHARED}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    result = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PATH": str(Path(sys.executable).parent),
            "HOME": str(tmp_path),
            "JUPYTER_PATH": f"{prefix}/share/jupyter",
        },
    )
    (line,) = [line for line in (result.stdout + result.stderr).splitlines() if NAME in line]
    assert f"v{jupyter_federation.__version__}" in line
    assert "enabled" in line
    assert "OK" in line
