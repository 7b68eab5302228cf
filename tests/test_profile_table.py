"""The profiles as a table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_federation.config import Configuration
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.profile import Profile, overlay
from jupyter_federation.profile_table import ProfileTable

ROLE = "arn:aws:iam::123456789012:role/research/Reader"
POOL = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def table(isolated_home):
    """Two profiles: one in the user's file and the default, one locked by the administrator."""
    own, system = f"{isolated_home}/config.json", "/etc/jupyter/config.json"
    research = overlay(Profile(name="research"), {"source": "file", "identity_pool_id": POOL}, own)
    prod = overlay(Profile(name="<prod>"), {"source": "entra", "role_arn": ROLE, "region": "eu-west-1"}, system)
    prod = replace(prod, locked_by=Path(system))
    return ProfileTable(Configuration(profiles={"research": research, "<prod>": prod}, default_profile="research"))


def test_a_terminal_gets_aligned_columns(table):
    """Name, source, where it signs in to, region and file."""
    lines = repr(table).splitlines()
    assert [re.split(r" {2,}", line) for line in lines] == [
        ["federation profile", "source", "signs in to", "region", "file"],
        ["research (default)", "file", f"identity pool {POOL}", "~/config.json"],
        ["<prod>", "entra", "role Reader", "eu-west-1", "/etc/jupyter/config.json (locked)"],
    ]
    assert len({lines[0].rindex("file"), lines[1].index("~"), lines[2].index("/etc")}) == 1


def test_a_notebook_gets_a_table_with_everything_escaped(table):
    """A profile's name is data."""
    html = table._repr_html_()
    cells = re.sub(r" style=\"text-align: left; white-space: nowrap\"", "", html)
    assert "<td>&lt;prod&gt;</td><td>entra</td><td>role Reader</td><td>eu-west-1</td>" in cells
    assert not re.search("<t[hd]>", html)  # each is aligned, and none is broken, but for the file's
    assert html.count('<td style="text-align: left; min-width: 16em; overflow-wrap: anywhere">') == 2
    assert "<prod>" not in html


def test_a_broken_profile_is_listed_with_what_is_wrong():
    """After the others, in both forms, escaped."""
    wrong = ConfigurationError("File, federation profile '<old>': wrong.", fix="Mend it.")
    table = ProfileTable(Configuration(profiles={"research": Profile(source="file")}, broken={"<old>": wrong}))
    lines = repr(table).splitlines()
    assert [re.split(r" {2,}", line)[:2] for line in lines[1:3]] == [["research", "file"], ["<old>", "broken"]]
    assert lines[3] == str(wrong)
    assert table._repr_html_().endswith("<p>File, federation profile &#x27;&lt;old&gt;&#x27;: wrong. Mend it.</p>")


def test_no_account_is_shown(table):
    """What is displayed is saved with the notebook."""
    assert "123456789012" not in repr(table) + table._repr_html_()


def test_without_a_profile_it_says_where_one_was_looked_for_and_where_one_would_stand(monkeypatch):
    """In both forms."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", "/etc/own")
    table = ProfileTable(Configuration(directories=(Path("/etc/jupyter"), Path("/a<b"))))
    said = "No federation profile in /etc/jupyter, /a<b. One would stand in /etc/own/jupyter_federation_config.json; "
    assert repr(table).startswith(said)
    assert "jupyter federation doctor" in repr(table)
    assert table._repr_html_() == f"<p>{repr(table).replace('<', '&lt;')}</p>"
