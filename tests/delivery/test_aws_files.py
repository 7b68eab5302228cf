"""Where a person's AWS files outrank the sign-in, and for whom; tests/tools measures that it is so."""

import os

import pytest

from jupyter_federation.delivery.aws_files import outranking, sentence

ALWAYS = {"aiobotocore", "s3fs", "pandas", "the aws command", "rclone", "AWS's JavaScript SDK"}
CREDENTIALS, CONFIG = "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"


@pytest.mark.parametrize(
    ("variable", "text", "others"),
    [
        (CREDENTIALS, "[default]\naws_access_key_id = x\n", {"pyarrow", "DuckDB"}),
        (CONFIG, "[profile default]\naws_access_key_id = x\n", {"pyarrow"}),
        (CREDENTIALS, "[default]\ncredential_process = x\n", {"pyarrow"}),
        (CONFIG, "[default]\ncredential_process = x\n", {"pyarrow", "DuckDB"}),
        (CONFIG, "[default]\nrole_arn = x\nsource_profile = y\n", set()),
    ],
)
def test_a_default_profile_with_credentials_outranks_some(variable, text, others, tmp_path):
    """The file, the variable that would name another, and those that were seen to heed it."""
    (tmp_path / "file").write_text(text)
    (found,) = outranking({variable: str(tmp_path / "file")})
    assert (variable, str(tmp_path / "file"), ALWAYS | others) == (found.variable, found.file, set(found.tools))


@pytest.mark.parametrize("text", ["[default]\nregion = eu-west-1\n", "[work]\naws_access_key_id = x\n", "[", ""])
def test_what_gives_no_credentials_by_default_outranks_nobody(text, tmp_path):
    """A region, another profile, and what cannot be read."""
    (tmp_path / "file").write_text(text)
    assert () == outranking({CONFIG: str(tmp_path / "file")})


def test_the_sentence_names_files_tools_and_what_mends_it(tmp_path):
    """For both files at once: each tool once."""
    (tmp_path / "a").write_text("[default]\naws_access_key_id = x\n")
    (tmp_path / "b").write_text("[default]\nrole_arn = x\n")
    said = sentence(outranking({CREDENTIALS: str(tmp_path / "a"), CONFIG: str(tmp_path / "b")}))
    assert (
        "outrank this sign-in for aiobotocore, s3fs, pandas, pyarrow, DuckDB, the aws command, rclone and AWS's "
        f"JavaScript SDK: they act with the credentials under [default] in {tmp_path / 'a'} and {tmp_path / 'b'}. To "
        f"have them act as you signed in, run %env {CREDENTIALS}={os.devnull} and %env {CONFIG}={os.devnull} before"
    ) in said
