"""docs/doctor.md: each code has a section, each section a code."""

import re
from pathlib import Path

import pytest

from jupyter_federation import app, documentation
from jupyter_federation.doctor.explanation import explain
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


def test_a_link_is_not_named_twice():
    """In a parenthesis of its own stands the command alone."""
    assert "or write a profile (`jupyter federation docs profiles`);" in explain("profile-missing").section
    assert [] == [code for code in CAUSES if re.search(r"\([^()]*\(`", explain(code).section)]


@pytest.mark.parametrize("code", CAUSES)
def test_each_code_is_explained(code):
    """By its section, without markup of links, in a terminal's width; no other word is one."""
    explanation = explain(code)
    section = next(each.partition("\n")[2].partition("\n#")[0] for each in SECTIONS if each.startswith(f"{code}\n"))
    assert explanation.section.startswith(section.split()[0])
    assert "](" not in explanation.section
    assert "#" not in explanation.section
    named = re.findall("jupyter federation docs ([^`]+)`", explanation.section)
    assert re.findall(r"\]\(([\w-]+)\.md", section) == [name for name in named if documentation.page(name)]
    assert explanation.administrator in " ".join(explanation.text().split())
    assert all(len(line) <= 80 or len(line.split()) <= 2 for line in explanation.text().splitlines())


@pytest.mark.parametrize("code", CAUSES)
def test_an_explanation_points_at_nothing_below_it(code):
    """Nothing is printed there."""
    assert not re.search(r"\bbelow\b", explain(code).administrator)


def test_what_is_typed_stands_as_code_in_a_notebook():
    """And not between backquotes."""
    shown = explain("clock-wrong")._repr_html_()
    assert "See: <code>date -u</code>." in shown
    assert "`" not in shown


def test_no_other_word_is_a_code():
    """A profile is looked at."""
    assert explain("research") is None


def test_a_code_is_explained_where_it_is_typed(capsys, by_file):
    """In a terminal; with an option it is a profile's name."""
    assert 0 == app.main(["doctor", "dns-unresolved"])
    assert capsys.readouterr().out.startswith("ERROR  dns-unresolved\n  The host's name has no address here.")
    by_file()
    assert 1 == app.main(["doctor", "dns-unresolved", "--no-exchange"])
    assert "profile-unknown" in capsys.readouterr().out
