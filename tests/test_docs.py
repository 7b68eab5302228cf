"""The documentation says what the code does."""

import json
import re
from pathlib import Path

import pytest

import jupyter_federation
from jupyter_federation import config, federation
from jupyter_federation.delivery.environment import OUTRANKING
from jupyter_federation.profile import OPTIONS

ROOT = Path(jupyter_federation.__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def table_rows(page):
    """The first two cells of each row of a page's tables."""
    rows = (line.strip("| ").split(" | ") for line in (ROOT / page).read_text().splitlines() if line.startswith("| `"))
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def test_the_table_of_options_is_the_one_list():
    """Each option stands in it, with its own help and what it should be; no row is made up."""
    told = {key: cells[:2] for key, cells in table_rows("docs/profiles.md").items()}
    assert {key: [option.help, option.expects] for key, option in OPTIONS.items()} == told


@pytest.mark.parametrize("page", ["README.md", "docs/profiles.md"])
def test_every_profile_that_is_shown_can_be_loaded(page, tmp_path):
    """What a reader copies works."""
    for number, example in enumerate(re.findall(r"```json\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "jupyter_federation_config.json").write_text(example)
        configuration = config.load([directory])
        for name in json.loads(example)["Federation"]["profiles"]:
            assert name == configuration.profile(name).name


def test_every_link_to_a_file_leads_somewhere():
    """No page points at what is not there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_public_call_has_a_docstring():
    """help(jf.federate) is documentation too."""
    for name in jupyter_federation.__all__:
        if name != "__version__":
            assert getattr(jupyter_federation, name).__doc__


def test_the_variables_named_in_the_documentation_are_set_aside():
    """The examples are real ones."""
    assert {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} <= set(OUTRANKING)


def test_the_readme_s_magic_line_asks_sts(monkeypatch, tmp_path, isolated_home):
    """The five lines for one's own account: read as a sign-in through STS with a token file."""
    line = re.search(r"%federate (--token-file.*)", (ROOT / "README.md").read_text())[1]
    assert line.split()[::2] == ["--token-file", "--role-arn", "--region"]
    values = dict(zip(["path", "role_arn", "region"], line.split()[1::2], strict=True))
    profile = config.load([]).profile(source="file", **values)
    assert federation.exchange_of(profile)
