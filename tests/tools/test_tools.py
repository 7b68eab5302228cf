"""Each tool that speaks AWS, beside one sign-in: it works, goes on, stops or is named, and acts as who signed in."""

import os
import re
from datetime import timedelta

import pytest
from tool_matrix import COMPETING, FILES, MENDED, ROOT, TOOLS, Fared, World, head, missing, refreshing, running, table

from jupyter_federation.demo.servers import DemoServers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DOCUMENTATION = ROOT / "docs" / "tools.md"
MARKS = "<!-- measured by tests/tools, rewritten by make tools-table -->", "<!-- end of what is measured -->"


@pytest.fixture(params=TOOLS)
def tool(request):
    absent = missing().get(request.param)
    if absent is not None:
        pytest.skip(absent)
    return request.param


def of(scenario, phase, tool, who):
    """What ``phase`` should have given: ``tool`` read, and AWS knew it as ``who`` alone."""
    return Fared(error=None, who=frozenset({getattr(scenario["kernel"], who)})), scenario[phase][tool]


def test_it_works_after_the_sign_in(measured, tool):
    """Without another line, or with those that the documentation names; AWS's strict account says as whom."""
    expected, actual = of(running(tool, measured), "first", tool, "ada")
    assert expected == actual


def test_it_works_with_both_variables(measured, tool):
    """Where the token stands in the environment as well."""
    expected, actual = of(measured["clearing"], "first", tool, "ada")
    assert expected == actual


def test_it_goes_on_past_the_sixth_expiry(measured, tool):
    """Every time that it reads, while the credentials are replaced under it."""
    run = running(tool, measured)
    expected = Fared(error=None, who=frozenset({run["kernel"].ada}))
    assert [expected] * len(run["rounds"]) == [each[tool] for each in run["rounds"]]
    assert run["late"].count(tool) <= 1  # by accident, and not at each expiry


def test_after_clear_it_stops_or_is_named(measured, tool):
    """With credentials of an hour, which tools hold on to: whatever goes on is named, and nothing is that stops."""
    cleared = measured["clearing"]["cleared"]
    named = named_in(measured["clearing"]["told at clear"])
    assert cleared[tool].read == (TOOLS[tool].copies in named)


def test_what_is_named_goes_on(measured):
    """The names are those of tools that were seen to go on, and no more."""
    named = named_in(measured["clearing"]["told at clear"])
    going_on = {TOOLS[tool].copies for tool, fared in measured["clearing"]["cleared"].items() if fared.read}
    assert going_on | {"another tool or process"} == named


def test_after_clear_it_stops_when_the_credentials_expire(measured, tool):
    """At the moment that the clear has named, whatever it held."""
    assert not running(tool, measured)["later"][tool].read


def test_a_new_sign_in_revives_it(measured, tool):
    """What a person has held all the time reads again, after a clear and the expiry."""
    expected, actual = of(running(tool, measured), "revived", tool, "ada")
    assert expected == actual


def test_after_a_switch_it_acts_as_the_new_one_or_is_named(measured, tool):
    """Nobody is told that all have followed while one has not."""
    run = measured["clearing"]
    named = named_in(run["told at switch"]) | {"another tool or process"}
    expected, actual = of(run, "switched", tool, "ada" if TOOLS[tool].copies in named else "grace")
    assert expected == actual


def test_after_a_switch_polars_acts_as_the_new_one_where_it_has_not_read(measured):
    """What it holds in Python is let go; what it has built for a bucket nobody can reach."""
    run = measured["clearing"]
    assert Fared(error=None, who=frozenset({run["kernel"].grace})) == run["elsewhere"]


def test_after_a_clear_and_a_sign_in_it_acts_as_the_new_one_or_is_named(measured, tool):
    """What has outlived the clear is named again: it goes on as somebody who was signed in before."""
    run = measured["clearing"]
    named = named_in(run["told again"]) | {"another tool or process"}
    expected, actual = of(run, "revived", tool, "ada")
    assert expected == actual or TOOLS[tool].copies in named


def test_after_a_switch_all_act_as_the_new_one_when_the_old_credentials_have_expired(measured, tool):
    """Nobody stays behind."""
    expected, actual = of(running(tool, measured), "switched", tool, "grace")
    assert expected == actual


@pytest.mark.parametrize("variables", COMPETING)
def test_it_acts_as_who_signed_in_whatever_was_set(measured, tool, variables):
    """Variables that would outrank the sign-in have no effect while it lasts."""
    expected, actual = of(measured[variables], "signed in", tool, "ada")
    assert expected == actual


@pytest.mark.parametrize("variables", COMPETING)
def test_what_was_set_is_named_and_comes_back(measured, variables):
    """The environment is as it was, and what it named counts again."""
    run = measured[variables]
    assert set(COMPETING[variables][0]) == set(run["set aside"])
    assert run["before"] == run["after"]
    has_keys = variables in {"static keys", "AWS_PROFILE"}
    assert ({run["kernel"].intruder} if has_keys else set()) == set(run["returned"].who)


@pytest.mark.parametrize("files", FILES)
def test_what_a_persons_files_outrank_is_named(measured, files):
    """The sign-in names the tools that were seen to act as somebody else, and no more."""
    run = measured[files]
    expected = {
        TOOLS[tool].files
        for tool, fared in run["signed in"].items()
        if fared != Fared(error=None, who=frozenset({run["kernel"].ada}))
    }
    (named,) = re.findall(r"outrank this sign-in for (.*?): they act", run["told"])
    assert expected == set(re.split(r", | and ", named))


@pytest.mark.parametrize("files", MENDED)
def test_one_line_mends_what_a_persons_files_outrank(measured, tool, files):
    """The line that the sign-in gives, run before a tool is used."""
    expected, actual = of(measured[f"{files}, mended"], "signed in", tool, "ada")
    assert expected == actual


def test_a_proxy_is_not_asked_for_the_endpoint(measured, tool):
    """Where all goes through a proxy the endpoint's token does not, and the tool works."""
    expected, actual = of(measured["proxied"], "signed in", tool, "ada")
    assert expected == actual
    assert [] == [address for address in measured["proxied"]["asked"] if "/credentials" in address]


def test_the_documentation_has_what_was_measured(measured):
    """Row by row; with TOOLS_TABLE=write it is rewritten.  A tool of another version than the row's is passed over."""
    before, _, rest = DOCUMENTATION.read_text().partition(MARKS[0])
    written, _, after = rest.partition(MARKS[1])
    rows = table(measured)
    if os.environ.get("TOOLS_TABLE") == "write":
        written = "\n".join(["", *head(), *rows.values(), ""])
        DOCUMENTATION.write_text(f"{before}{MARKS[0]}\n{written}\n{MARKS[1]}{after}")
    of_this_version = [row for row in rows.values() if row.split(" | ")[0] in written]
    assert of_this_version
    assert of_this_version == [row for row in written.splitlines() if row in of_this_version]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_long_lives(tools_environment, tmp_path):
    """As the short form, with credentials of a minute and a half."""
    with DemoServers(lifetime=timedelta(seconds=90)) as servers:
        run = refreshing(World(servers, tmp_path), lifetime=90, token_variable=True)
    expected = Fared(error=None, who=frozenset({run["kernel"].ada}))
    assert {} == {
        tool: fared for each in [run["first"], *run["rounds"]] for tool, fared in each.items() if fared != expected
    }
    assert [] == [tool for tool, fared in run["later"].items() if fared.read]


def named_in(text):
    """The tools that a status names as going on with what they have."""
    found = re.findall(
        r"Loaded in this notebook, (.*?) may still hold credentials|^(.*?) may go on as before until",
        text,
        re.MULTILINE,
    )
    names = {name for each in found for name in re.split(", | and ", "".join(each))}
    return names | ({"another tool or process"} if "another tool or process has copied" in text else set())
