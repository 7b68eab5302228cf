"""The profiles as a table."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_federation.config import Configuration, Policy
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.profile import Profile, overlay
from jupyter_federation.profile_table import ProfileTable

ROLE = "arn:aws:iam::123456789012:role/research/Reader"
POOL = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def table(isolated_home):
    """Two profiles: one in the user's file and the default, one locked by the administrator."""
    own, system = f"{isolated_home}/config.json", "/etc/jupyter/config.json"
    research = overlay(Profile(name="research"), {"source": "file", "path": "t", "identity_pool_id": POOL}, own)
    keys = {"source": "entra", "tenant": "contoso.com", "client_id": "a", "role_arn": ROLE, "region": "eu-west-1"}
    prod = overlay(Profile(name="<prod>"), keys, system)
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
    shown = table._repr_html_()
    cells = re.sub(r" style=\"text-align: left; white-space: nowrap\"", "", shown)
    assert "<td>&lt;prod&gt;</td><td>entra</td><td>role Reader</td><td>eu-west-1</td>" in cells
    assert not re.search("<t[hd]>", shown)  # each is aligned, and none is broken, but for the file's
    assert shown.count('<td style="text-align: left; min-width: 16em; overflow-wrap: anywhere">') == 2
    assert "<prod>" not in shown


def test_a_broken_profile_is_listed_with_what_is_wrong():
    """After the others, in both forms, escaped."""
    wrong = ConfigurationError("File, federation profile '<old>': wrong.", fix="Mend it.")
    research = overlay(Profile(name="research"), {"source": "file", "path": "t", "identity_pool_id": POOL}, "f")
    table = ProfileTable(Configuration(profiles={"research": research}, broken={"<old>": wrong}))
    lines = repr(table).splitlines()
    assert [re.split(r" {2,}", line)[:2] for line in lines[1:3]] == [["research", "file"], ["<old>", "broken"]]
    assert lines[3] == str(wrong)
    assert table._repr_html_().endswith("<p>File, federation profile &#x27;&lt;old&gt;&#x27;: wrong. Mend it.</p>")


INCOMPLETE = {
    "the source's key": ({"source": "file", "identity_pool_id": POOL}, "which needs `path` too."),
    "what takes the token": ({"source": "file", "path": "t"}, "there is neither `identity_pool_id` nor `role_arn`"),
    "one target": (
        {"source": "file", "path": "t", "identity_pool_id": POOL, "role_arn": ROLE, "region": "eu-west-1"},
        'Leave one of them out, or add `"flow": "classic"`',
    ),
    "a region": (
        {"source": "file", "path": "t", "role_arn": ROLE},
        "research: No AWS region is set, and AWS STS is asked in a region.",
    ),
    "what the policy allows": (
        {"source": "file", "path": "t", "role_arn": ROLE, "region": "eu-west-1", "duration_seconds": 43_200},
        "research: `duration_seconds` is 43200, and `max_session_hours` allows 1 hours (/etc/p.json).",
    ),
}


@pytest.mark.parametrize("what", INCOMPLETE)
def test_a_profile_that_cannot_be_used_is_marked(isolated_home, monkeypatch, what):
    """With what lacks, beneath the table; it is named there, and no account is."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    keys, said = INCOMPLETE[what]
    good = {"source": "file", "path": "t", "identity_pool_id": POOL}
    profiles = {
        name: overlay(Profile(name=name), settings, f"{isolated_home}/config.json")
        for name, settings in (("research", keys), ("prod", good))
    }
    policy = Policy(max_session_hours=1, origins={"max_session_hours": "/etc/p.json"})
    table = ProfileTable(Configuration(profiles=profiles, default_profile="research", policy=policy))
    lines = repr(table).splitlines()
    assert (4, ["research (default)", "file"]) == (len(lines), re.split(r" {2,}", lines[1])[:2])
    assert ["~/config.json (not usable as it is, see below)", "~/config.json"] == [
        re.split(r" {2,}", line)[-1] for line in lines[1:3]
    ]
    assert said in lines[3]
    assert "research" in lines[3]
    assert "123456789012" not in repr(table) + table._repr_html_()
    assert table._repr_html_().endswith(f"</table><p>{html.escape(lines[3])}</p>")
    assert "<td" in table._repr_html_()
    assert table._repr_html_().count("~/config.json (not usable as it is, see below)</td>") == 1


def test_a_region_of_the_environment_s_is_enough(monkeypatch):
    """As for a sign-in."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    research = overlay(Profile(name="research"), {"source": "file", "path": "t", "role_arn": ROLE}, "f")
    assert "incomplete" not in repr(ProfileTable(Configuration(profiles={"research": research})))


def test_a_broken_default_is_still_the_default():
    """By the same mark as one that can be used."""
    wrong = ConfigurationError("File, federation profile 'old': wrong.", fix="Mend it.")
    table = ProfileTable(Configuration(broken={"old": wrong, "other": wrong}, default_profile="old"))
    assert [re.split(r" {2,}", line)[0] for line in repr(table).splitlines()[1:3]] == ["old (default)", "other"]
    assert "old (default)</td>" in table._repr_html_()


@pytest.mark.parametrize(
    ("default", "said"),
    [
        ("reserch", "The default 'reserch' (~/d.json) does not exist. Did you mean `research`?"),
        ("<x>", "The default '<x>' (~/d.json) does not exist."),
    ],
)
def test_a_default_that_there_is_not_is_said(isolated_home, default, said):
    """With the file that says so, and the nearest; where there is no profile at all, too."""
    research = overlay(Profile(name="research"), {"source": "file", "path": "t", "identity_pool_id": POOL}, "f")
    own = {"default_profile": default, "default_profile_from": isolated_home / "d.json"}
    table = ProfileTable(Configuration(profiles={"research": research}, **own))
    assert repr(table).splitlines()[2:] == [said]
    assert table._repr_html_().endswith(f"</table><p>{html.escape(said)}</p>")
    empty = ProfileTable(Configuration(**own))
    assert repr(empty).splitlines()[1:] == [said.partition(" Did")[0]]
    assert empty._repr_html_().endswith(f"<p>{html.escape(said.partition(' Did')[0])}</p>")


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
