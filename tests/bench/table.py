"""A row of the comparison, the table that is printed and the JSON that is kept."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_WIDTHS = {"#": 2, "what": 36, "ours": 26, "alternatives": 58, "bar": 24, "reached": 7}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison; ``figures`` are what the texts were made from, and ``how`` says n, pairing and scale."""

    number: int
    what: str
    ours: str
    alternatives: dict[str, str]
    bar: str
    reached: bool
    how: str
    figures: dict[str, object] = field(default_factory=dict)


def text(rows: Iterable[Row]) -> str:
    """The table, wrapped; under each row how it was measured."""
    rule = "-+-".join("-" * width for width in _WIDTHS.values())
    lines = [_line([[each] for each in _WIDTHS]), rule]
    for row in rows:
        reached = "yes" if row.reached else "MISSED"
        others = [
            line for name, said in row.alternatives.items() for line in _wrapped(f"{name}: {said}", "alternatives")
        ]
        cells = [
            [str(row.number)],
            _wrapped(row.what, "what"),
            _wrapped(row.ours, "ours"),
            others,
            _wrapped(row.bar, "bar"),
            [reached],
        ]
        height = max(map(len, cells))
        lines += [_line([[(cell + [""] * height)[at]] for cell in cells]) for at in range(height)]
        lines += textwrap.wrap(row.how, sum(_WIDTHS.values()), initial_indent="     ", subsequent_indent="     ")
        lines.append(rule)
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row], **about: object) -> None:
    """The rows and ``about`` as JSON."""
    path.write_text(json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n", encoding="utf-8")


def _wrapped(cell: str, column: str) -> list[str]:
    return textwrap.wrap(cell, _WIDTHS[column], subsequent_indent="  " if column == "alternatives" else "") or [""]


def _line(cells: Sequence[Sequence[str]]) -> str:
    widths = _WIDTHS.values()
    return " | ".join(cell[0].ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
