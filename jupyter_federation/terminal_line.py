"""The line that gives a terminal on this machine the notebook's identity, for as long as the notebook has it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TerminalLine:
    """One line for a shell: ``sets`` variables, ``reads`` others from files, and ``drops`` those that outrank them.

    It names the endpoint and the file of its token, and holds neither the token nor a key.
    """

    sets: Mapping[str, str]
    reads: Mapping[str, str]
    drops: tuple[str, ...]

    def __str__(self) -> str:
        """The line, for PowerShell on Windows and for a POSIX shell elsewhere."""
        return self.for_powershell() if os.name == "nt" else self.for_posix_shell()

    def for_posix_shell(self) -> str:
        """For sh, bash, zsh and what else is of their kind."""
        pairs = [f"{name}={shlex.quote(value)}" for name, value in self.sets.items()]
        pairs += [f'{name}="$(cat {shlex.quote(path)})"' for name, path in self.reads.items()]
        return f"unset {' '.join(self.drops)}; export {' '.join(pairs)}"

    def for_powershell(self) -> str:
        """For PowerShell."""
        dropped = [f"Remove-Item Env:{name} -ErrorAction Ignore" for name in self.drops]
        pairs = [f"$Env:{name} = {_quoted(value)}" for name, value in self.sets.items()]
        pairs += [f"$Env:{name} = Get-Content -Raw -LiteralPath {_quoted(path)}" for name, path in self.reads.items()]
        return "; ".join([*dropped, *pairs])

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's signature
        printer.text(  # type: ignore[attr-defined]
            "In a terminal on this machine, this line gives it the notebook's AWS identity, until %federate clear:\n\n"
            f"{self}"
        )


def _quoted(text: str) -> str:
    """PowerShell takes each of these quotation marks for the end of a string, and two of them for one."""
    return "'" + re.sub("(['\u2018-\u201b])", r"\1\1", text) + "'"
