"""docs/doctor.md: each code has a section, each section a code."""

import re
from pathlib import Path

from jupyter_federation.doctor.finding import CAUSES

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]


def test_each_code_has_a_section_and_each_section_a_code():
    """In the order of causes, as reports have them."""
    assert list(CAUSES) == [section.partition("\n")[0] for section in SECTIONS]


def test_each_section_says_what_to_do():
    """What to set, or where to look."""
    told_elsewhere = {"setting-wrong", "unforeseen"}
    silent = [
        name for name, _, text in (each.partition("\n") for each in SECTIONS) if not re.search(r"Set:|See:", text)
    ]
    assert told_elsewhere == set(silent)
