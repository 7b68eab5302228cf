"""Whether what is installed here is ours and whole, and speaks as the server and the browser do."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from jupyter_core import paths

from jupyter_federation.doctor.finding import Finding, found, of_error
from jupyter_federation.doctor.patient import Asks, Patient
from jupyter_federation.errors import FederationError
from jupyter_federation.front_end.protocol import PROTOCOL
from jupyter_federation.mailbox import SERVER_VARIABLE, Mailbox
from jupyter_federation.profile import SIGN_INS

OURS = "jupyter-aws-federation"
STUB = "jupyter-federation"


def package(patient: Patient) -> Iterator[Finding | Asks]:
    """Whether the package's ``__init__`` is ours: the stub of the shorter name brings one of its own."""
    patient.tell("kernel", f"{OURS} {version(OURS) or 'without metadata'}, Python {sys.version.split()[0]}", sys.prefix)
    ours = hasattr(sys.modules["jupyter_federation"], "load_ipython_extension")
    stub = version(STUB)
    if ours and stub is None:
        return
    if ours:
        problem = "is installed beside it, and its next installation overwrites this package's __init__.py"
    else:
        problem = "has overwritten this package's __init__.py, so that %load_ext jupyter_federation cannot work"
    who = f"The package {STUB} ({stub}), somebody else's empty stub," if stub else "Another package"
    yield found(
        "stub-overwrites-us",
        f"{who} {problem}. Uninstall {STUB}, then install {OURS} again (pip install --force-reinstall --no-deps).",
        where=sys.prefix,
    )


def dependencies(_patient: Patient) -> Iterator[Finding | Asks]:
    """Whether what the package needs is there, in a version that will do."""
    try:
        needed = metadata.requires(OURS) or []
    except metadata.PackageNotFoundError:  # run from its source, or installed by other means
        return
    for line in needed:
        wanted = re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+)", line)  # those of extras have a marker behind
        if wanted is None:
            continue
        name, least = wanted[1], wanted[2]
        installed = version(name)
        if installed is None or _numbers(installed) < _numbers(least):
            yield found(
                "dependency-missing",
                f"{name} {installed or 'is missing'} here, and {OURS} needs {least} or later. Install {OURS} again in "
                "this kernel's environment, then restart the kernel.",
                where=sys.prefix,
            )


def server(patient: Patient) -> Iterator[Finding | Asks]:
    """Whether the Jupyter server that started this kernel has the callback page, in a version that this one knows."""
    try:
        callback = Mailbox.default().redirect_uri()
    except FederationError as error:
        yield of_error(error, "server-protocol-differs", where="the Jupyter server")
        return
    if callback is not None:
        patient.tell("server's callback", callback)
    elif (
        patient.profile is not None
        and patient.profile.source in SIGN_INS
        and "JPY_SESSION_NAME" in patient.environment
        and SERVER_VARIABLE not in patient.environment
    ):
        yield found(
            "server-extension-missing",
            "The Jupyter server that started this kernel does not have this package's callback page, so a sign-in "
            "cannot come back through it. Sign in with --no-browser and paste the last address, or have it installed.",
            where="the Jupyter server",
        )


def labextension(patient: Patient) -> Iterator[Finding | Asks]:
    """Whether JupyterLab, where it is installed here, has the extension, switched on and of the same protocol."""
    if version("jupyterlab") is None and version("notebook") is None:
        return  # the server's environment is another one, and nothing can be seen of it from here
    places = [Path(each) / OURS / "package.json" for each in paths.jupyter_path("labextensions")]
    installed = next((place for place in places if place.is_file()), None)
    if installed is None:
        yield found(
            "labextension-missing",
            "JupyterLab is installed here, and this package's extension is not: there is no status item, and the panel "
            "is plain. Install the package again from where it came.",
            where=str(paths.jupyter_path("labextensions")[0]),
        )
        return
    description = _json(installed)
    patient.tell("labextension", description.get("version", "of unknown version"), str(installed.parent))
    protocol = description.get("jupyterFederation", {}).get("protocol", 1)
    if protocol != PROTOCOL:
        yield found(
            "labextension-differs",
            f"The JupyterLab extension speaks protocol {protocol}, and this kernel {PROTOCOL}: the status item and the "
            "panel may stay empty. Install the same version in both environments.",
            where=str(installed.parent),
        )
    for directory in paths.jupyter_config_path():
        file = Path(directory) / "labconfig" / "page_config.json"
        disabled = _json(file).get("disabledExtensions", {})
        names = disabled if isinstance(disabled, list) else [name for name, off in disabled.items() if off]
        if any(name.partition(":")[0] == OURS for name in names):
            yield found(
                "labextension-disabled",
                "The JupyterLab extension is switched off: there is no status item, and the panel is plain. Run "
                f"`jupyter labextension enable {OURS}`.",
                where=str(file),
            )


def version(name: str) -> str | None:
    """The installed version of the distribution ``name``."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    found_ = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, found_[0].split("."))) if found_ else ()


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
