"""The layers of the design: imports point downward, and rooms on one line do not know each other."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_federation

ROOT = Path(jupyter_federation.__file__).parent

# From top to bottom; a room may import what stands below its own line, and itself.
LAYERS = (
    ("__main__",),
    ("magic", "app", "at_start"),
    ("calls", "profile_table"),
    ("front_end.panel", "front_end.channel"),
    ("front_end.controls",),
    ("front_end.prompt", "front_end.request"),
    ("front_end.protocol",),
    ("federation",),
    ("assembly", "kernel_delivery", "interrupts", "identity"),
    ("config", "signed_in"),
    ("profile",),
    ("options",),
    (
        *("delivery.live", "delivery.boto3", "delivery.environment", "delivery.endpoint", "delivery.aws_files"),
        "delivery.tool_caches",
        *("sources", "notebook_prompt"),
    ),
    ("delivery.container_protocol", "delivery.token_file", "federated_session"),
    ("subscribers",),
    ("refresher", "session_status", "terminal_line"),
    ("exchange",),
    ("credentials",),
    ("openid",),
    ("sign_in",),
    ("tokens", "mailbox"),
    ("offer",),
    ("redaction", "markup", "addresses", "documentation"),
    ("errors",),
)
# Imports that point up on purpose, each lazy, with the reason.
LAZY_UPWARD = {
    ("errors", "delivery.live"): "SessionClearedError is a botocore error too, and lives where botocore is known",
}
LEAVES = ("demo", "doctor", "hub", "server")  # import what they like of the rest; only app imports them
STARTS = {"app": LEAVES, "magic": ("doctor",)}  # who may start which leaf
ENTRANCE = "__init__"  # the package itself, which loads the rest lazily


def room_of(module):
    """The room that a dotted module name (without the package) belongs to."""
    for line in LAYERS:
        for room in line:
            if module == room or module.startswith(f"{room}."):
                return room
    return module.split(".")[0]


def all_imports(path):
    """Names that a file imports, wherever in the file that stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from names


def imports(path):
    """Those of this package, without its name."""
    for name in all_imports(path):
        if name.startswith("jupyter_federation."):
            yield name.removeprefix("jupyter_federation.")


FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path):
    """One line imports only what stands below it."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    own = room_of(module)
    if own in LEAVES or module in {"delivery", "front_end"}:  # the rooms in it have a line each
        return
    depth = {room: number for number, line in enumerate(LAYERS) for room in line}
    assert own in depth, f"{module} has no place in the layers"
    for name in imports(path):
        other = room_of(name)
        if other == own or (own, other) in LAZY_UPWARD:
            continue
        assert other in depth or other in STARTS.get(own, ()), f"{module} imports {name}, which has no place"
        assert other in LEAVES or depth[other] > depth[own], f"{module} imports {name}, which is not below it"


def test_sources_know_only_tokens_and_how_to_get_them():
    """A source needs neither AWS nor the session."""
    for path in (ROOT / "sources").glob("*.py"):
        rooms = {room_of(name) for name in imports(path)}
        assert rooms <= {"tokens", "errors", "redaction", "sources", "openid", "sign_in"}, path.name


def test_the_server_extension_knows_only_the_mailbox():
    """It runs in the server's environment, and knows nothing of tokens or AWS."""
    for path in (ROOT / "server").glob("*.py"):
        rooms = {room_of(name) for name in imports(path)}
        assert rooms <= {"mailbox", "errors", "redaction", "server"}, path.name


def test_the_hub_s_file_is_whole_in_itself():
    """It is copied to hubs that do not have this package."""
    imported = {name.partition(".")[0] for name in all_imports(ROOT / "hub.py")} - {"__future__"}
    assert imported <= {*sys.stdlib_module_names, "jupyterhub", "oauthenticator"}


def test_only_the_server_extension_imports_jupyter_server():
    """A kernel's environment need not have it."""
    for path in FILES:
        if "server" not in path.relative_to(ROOT).parts:
            assert "jupyter_server" not in {name.partition(".")[0] for name in all_imports(path)}, path.name


def test_no_public_name_is_also_a_module():
    """A module named like a public call would shadow it once it is imported."""
    modules = {module.name for module in pkgutil.iter_modules([str(ROOT)])}
    assert set() == modules & set(jupyter_federation.__all__)


def test_every_public_name_is_there():
    """What __all__ promises can be had."""
    for name in jupyter_federation.__all__:
        assert getattr(jupyter_federation, name) is not None


def test_importing_the_package_and_loading_the_extension_load_nothing_heavy():
    """boto3, msal, ipywidgets and the federation itself come with the first sign-in."""
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell; "
        "shell = InteractiveShell.instance(); shell.run_line_magic('load_ext', 'jupyter_federation'); "
        "heavy = {'boto3', 'botocore', 'msal', 'ipywidgets', 'urllib3', 'jwt', 'authlib', 'requests'}; "
        "heavy |= {'jupyter_federation.federation'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "[]" == answer.stdout.strip()
