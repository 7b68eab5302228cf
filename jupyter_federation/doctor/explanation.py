"""What one code means: its section of docs/doctor.md."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from jupyter_federation import documentation
from jupyter_federation.doctor.finding import CAUSES, Severity, found
from jupyter_federation.doctor.report import with_code, wrapped


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """A code, the paragraph about it, and what an administrator does; what is not known stands there in capitals."""

    code: str
    severity: Severity
    section: str
    administrator: str

    def text(self) -> str:
        """The lines for a terminal."""
        paragraphs = (self.section, f"Administrator: {self.administrator}")
        lines = [line for each in paragraphs for line in wrapped(each, "  ")]
        return "\n".join([f"{self.severity.upper()}  {self.code}", *lines])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's signature
        printer.text(self.text())

    def _repr_html_(self) -> str:
        section, administrator = (
            with_code(html.escape(each, quote=False)) for each in (self.section, self.administrator)
        )
        return (
            f'<div class="jf-doctor" style="padding: 4px 12px; max-width: 60rem"><code>{self.code}</code>'
            f"<div>{section}</div><div>Administrator: {administrator}</div></div>"
        )


def explain(code: str | None) -> Explanation | None:
    """What ``code`` means, None where it is none."""
    if code is None or code not in CAUSES:
        return None
    cause = found(code, "")
    sections = re.split(r"^##+ (.*)$", documentation.page("doctor"), flags=re.MULTILINE)
    section = dict(zip(sections[1::2], sections[2::2], strict=True))[code]
    return Explanation(
        code=code,
        severity=cause.severity,
        section=" ".join(section.split()),
        administrator=cause.administrator,
    )
