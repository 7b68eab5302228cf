"""The user's AWS files: read, never changed; where they outrank the sign-in for a tool, the person hears of it."""

import os

import pytest

from jupyter_federation.delivery import aws_files

KEYS = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = example\n"


@pytest.fixture
def write(isolated_home):
    """``write(name, text)``: a file in ~/.aws."""

    def write(name, text):
        path = isolated_home / ".aws" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "text", "variable"),
    [
        ("credentials", f"[default]\n{KEYS}", "AWS_SHARED_CREDENTIALS_FILE"),
        ("credentials", "[default]\ncredential_process = /bin/false\n", "AWS_SHARED_CREDENTIALS_FILE"),
        ("config", f"[default]\n{KEYS}", "AWS_CONFIG_FILE"),
        ("config", "[profile default]\nsso_session = work\nsso_account_id = 123456789012\n", "AWS_CONFIG_FILE"),
        ("config", "[default]\nrole_arn = arn:aws:iam::123456789012:role/R\n", "AWS_CONFIG_FILE"),
    ],
)
def test_a_default_profile_with_credentials_is_named_with_what_mends_it(write, name, text, variable):
    """By the name that the person knows, and by the one line that makes tools pass over it."""
    write(name, text)
    found = aws_files.outranking({})
    assert [(variable, f"~/.aws/{name}")] == [(each.variable, each.file) for each in found]
    said = aws_files.sentence(found)
    assert f"[default] in ~/.aws/{name}" in said
    assert said.endswith(f"run %env {variable}={os.devnull} before you use them; %federate looks again.")
    assert aws_files.outranking({variable: os.devnull}) == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config", "[default]\nregion = eu-west-1\noutput = json\n"),
        ("credentials", f"[prod]\n{KEYS}"),
        ("credentials", ""),
        ("credentials", "no section\n"),
    ],
)
def test_what_gives_no_credentials_is_no_news(write, name, text):
    """A region, other profiles, an empty file, and one that no tool can read."""
    write(name, text)
    assert aws_files.outranking({}) == ()


def test_both_files_are_one_sentence(write):
    """Each is named, and each has its line."""
    write("credentials", f"[default]\n{KEYS}")
    write("config", "[default]\ncredential_process = /bin/false\n")
    said = aws_files.sentence(aws_files.outranking({}))
    assert "~/.aws/credentials and ~/.aws/config" in said
    assert 2 == said.count(f"={os.devnull}")


def test_files_that_a_variable_names_are_read_in_their_place(write, tmp_path):
    """As the SDKs do."""
    write("credentials", f"[default]\n{KEYS}")
    elsewhere = tmp_path / "keys"
    elsewhere.write_text(f"[default]\n{KEYS}")
    found = aws_files.outranking({"AWS_SHARED_CREDENTIALS_FILE": str(elsewhere)})
    assert [str(elsewhere)] == [each.file for each in found]


@pytest.mark.parametrize(
    ("name", "text", "others"),
    [
        ("credentials", f"[default]\n{KEYS}", {"pyarrow", "DuckDB"}),
        ("config", f"[profile default]\n{KEYS}", {"pyarrow"}),
        ("credentials", "[default]\ncredential_process = x\n", {"pyarrow"}),
        ("config", "[default]\ncredential_process = x\n", {"pyarrow", "DuckDB"}),
        ("config", "[default]\nrole_arn = x\nsource_profile = y\n", set()),
    ],
)
def test_those_are_named_that_were_seen_to_heed_the_file(write, name, text, others):
    """As tests/tools measures it: AWS's C++ SDK takes no role from there, and DuckDB looks for each in one file."""
    write(name, text)
    (found,) = aws_files.outranking({})
    always = {"aiobotocore", "s3fs", "pandas", "the aws command", "rclone", "AWS's JavaScript SDK"}
    assert always | others == set(found.tools)
    assert set(found.tools) == {tool for tool in found.tools if tool in aws_files.sentence([found])}
