"""What the doctor says: as text for a terminal of 80 columns, as HTML for a notebook, as JSON for a program."""

from __future__ import annotations

import html
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from jupyter_federation.doctor.finding import Finding
from jupyter_federation.doctor.patient import Fact
from jupyter_federation.session_status import without_persons

WIDTH = 80
_MAIL = re.compile(
    r"[^\s@<>\"']{1,64}(?<!//USER:PASSWORD)@[^\s@<>\"']{1,255}\w"
)  # a mailbox's lengths (RFC 5321, 4.5.3.1)
_QUOTED = re.compile(r"`([^`]{1,200})`")
_PAGE = "docs/doctor.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The findings, the first being the one to mend first, and the facts that were looked at.

    Displayed in a notebook, which saves it, it names no person, account or role; as text in a terminal and as JSON it
    names what has to be set, and no secret and no e-mail address ever.
    """

    profile: str | None
    at: datetime
    findings: tuple[Finding, ...]
    facts: tuple[Fact, ...]
    request: str | None = None

    @property
    def exit_status(self) -> int:
        """1 where something is wrong, 0 where nothing is but what may be."""
        return int(any(each.severity == "error" for each in self.findings))

    def to_json(self, *, saved: bool = False) -> str:
        """A JSON object; its ``findings`` have ``code``, ``severity``, ``sentence``, ``administrator``, ``where``.

        ``saved`` is for what a notebook saves: it names no person, account or role.
        """
        document = {
            "doctor": 1,
            "profile": self.profile,
            "at": f"{self.at:%Y-%m-%dT%H:%M:%SZ}",
            "exit_status": self.exit_status,
            "findings": [{**asdict(each), "page": f"{_PAGE}#{each.code}"} for each in self.findings],
            "facts": [each._asdict() for each in self.facts],
            "request": self.request,
        }
        return json.dumps(_in_each(document, _nameless if saved else _without_mail), indent=2)

    def text(self) -> str:
        """The lines for a terminal."""
        lines = [self._title(), "", *textwrap.wrap(self._summary(), WIDTH)]
        for each in self.findings:
            where = f"  ({each.where})" if each.where else ""
            lines += ["", *wrapped(f"{each.severity.upper()}  {each.code}{where}", "", "  ")]
            lines += [*wrapped(each.sentence, "  "), *wrapped(f"Administrator: {each.administrator}", "  ", "    ")]
        if self.findings:
            command = f"`jupyter federation doctor {self.findings[0].code}`"
            lines += ["", *textwrap.wrap(f"{command} explains {self._explained()}.", WIDTH)]
        if self.request is not None:
            lines += ["", "The request to send:", "", self.request.rstrip()]
        lines += ["", "Looked at"]
        for name, value, origin in self._told():
            lines += wrapped(f"{name}: {value}{f'  ({origin})' if origin else ''}", "  ", "      ")
        return _without_mail("\n".join(lines))

    def __str__(self) -> str:
        """The text without persons, because a notebook saves it."""
        return without_persons(self.text())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - IPython's signature
        printer.text(str(self))

    def _repr_html_(self) -> str:
        colour = "success" if not self.findings else "error" if self.exit_status else "warn"
        facts = "".join(
            f'<div style="padding-left: {2 if name.startswith(" ") else 1}em; overflow-wrap: anywhere">'
            f'{_shown(name.strip())}: {_shown(value)} <span style="opacity: 0.8">{_shown(origin)}</span></div>'
            for name, value, origin in self._told()
        )
        explains = (
            f"<div><code>%federate doctor {self.findings[0].code}</code> explains {self._explained()}.</div>"
            if self.findings
            else ""
        )
        request = "" if self.request is None else f"<p>The request to send:</p><pre>{_shown(self.request)}</pre>"
        return (
            f'<div class="jf-doctor" style="border-left: 4px solid var(--jp-{colour}-color1, currentColor); '
            f'padding: 4px 12px; max-width: 60rem"><strong>{_shown(self._title())}</strong>'
            f"<div>{_shown(self._summary())}</div>{''.join(map(_finding, self.findings))}{explains}{request}"
            f"<details><summary>Looked at</summary>{facts}</details></div>"
        )

    def _explained(self) -> str:
        """Which of the findings the command with the first one's code explains."""
        return "it" if len(self.findings) == 1 else "the first, and so on"

    def _told(self) -> Iterator[Fact]:
        """The facts; a file is named with the first that it says."""
        before = ""
        for each in self.facts:
            yield each if each.origin != before else each._replace(origin="")
            before = each.origin

    def _title(self) -> str:
        of = f"the federation profile {self.profile!r}" if self.profile else "no federation profile that could be used"
        return f"Doctor, {of}, {self.at:%Y-%m-%d %H:%M:%S} UTC"

    def _summary(self) -> str:
        if not self.findings:
            exchanged = any(each.name == "exchange" for each in self.facts)
            return "Nothing is wrong" + (
                ": AWS took the token." if exchanged else ", as far as can be seen without exchanging a token."
            )
        errors = sum(each.severity == "error" for each in self.findings)
        counts = [
            f"{count} {word}{'s' * (count > 1)}"
            for count, word in ((errors, "error"), (len(self.findings) - errors, "warning"))
            if count
        ]
        first = ": mend the first one first, it may bring about the others" if len(self.findings) > 1 else ""
        return f"{' and '.join(counts)}{first}."


def _finding(each: Finding) -> str:
    colour = "error" if each.severity == "error" else "warn"
    where = f' <span style="opacity: 0.8">({_shown(each.where)})</span>' if each.where else ""
    return (
        f'<div style="margin: 8px 0"><span style="color: var(--jp-{colour}-color1, currentColor)">'
        f"<strong>{each.severity}</strong></span> <code>{_shown(each.code)}</code>{where}"
        f"<div>{with_code(_shown(each.sentence))}</div>"
        f'<div style="opacity: 0.8">Administrator: {with_code(_shown(each.administrator))}</div></div>'
    )


def _shown(text: str) -> str:
    return html.escape(_nameless(text), quote=False)


def _nameless(text: str) -> str:
    return without_persons(_without_mail(text))


def _in_each(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with each string in it changed, whatever lists and objects it stands in."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _in_each(each, change) for name, each in value.items()}
    return [_in_each(each, change) for each in value] if isinstance(value, list) else value


def _without_mail(text: str) -> str:
    return _MAIL.sub("…", text)


def with_code(markup: str) -> str:
    """``markup`` with what stands between backquotes as code."""
    return _QUOTED.sub(r"<code>\1</code>", markup)


def wrapped(text: str, indent: str, further: str | None = None) -> list[str]:
    """The lines of ``text`` in a terminal."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    )
