"""A token file, as it is and as it can be wrong."""

from __future__ import annotations

import os

import pytest

from jupyter_federation.errors import InvalidTokenError, SourceUnavailableError
from jupyter_federation.sources.file import FileSource


def test_the_file_is_read_again_for_each_token(tmp_path):
    """What a Kubernetes kubelet writes anew is taken without anybody's help."""
    path = tmp_path / "token"
    source = FileSource(path)
    path.write_text("first\n")
    before = source.token().raw
    path.write_text("second\n")
    assert ("first", "second") == (before, source.token().raw)
    assert source.renewable


def test_nothing_is_read_before_a_token_is_asked_for(tmp_path):
    """Constructing a source does no I/O, so a missing file is no error yet."""
    FileSource(tmp_path / "missing").forget()


def test_a_tilde_is_the_users_home(isolated_home):
    """~ is expanded when the token is read."""
    (isolated_home / "token").write_text("opaque")
    assert FileSource("~/token").token().raw == "opaque"


def test_a_byte_order_mark_is_dropped(tmp_path):
    """PowerShell writes one before UTF-8."""
    (tmp_path / "token").write_text("opaque", encoding="utf-8-sig")
    assert FileSource(tmp_path / "token").token().raw == "opaque"


def test_a_symbolic_link_is_followed(tmp_path):
    """Kubernetes projects tokens as links."""
    (tmp_path / "real").write_text("opaque")
    (tmp_path / "token").symlink_to("real")
    assert FileSource(tmp_path / "token").token().raw == "opaque"


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "nul", "nobodys home"])
def test_what_cannot_be_read_is_unavailable(tmp_path, kind):
    """The error names the path; a named pipe is refused and not waited for."""
    path = tmp_path / "token"
    if kind == "directory":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    name = {"nul": "to\0ken", "nobodys home": "~nobody-of-that-name/token"}.get(kind, str(path))
    with pytest.raises(SourceUnavailableError) as caught:
        FileSource(name).token()
    assert name.replace("\0", "�") in str(caught.value)
    assert "--token-file" in caught.value.fix


def test_a_file_without_permission_is_unavailable(tmp_path, monkeypatch):
    """The error says what the system said."""
    path = tmp_path / "token"
    path.write_text("opaque")

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refused)
    with pytest.raises(SourceUnavailableError, match=rf"{path} cannot be read: Permission denied\."):
        FileSource(path).token()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe\x00t", "not UTF-8"),
        (b"x" * 65_537, "larger than"),
        (b"x" * 60_000, "60,000 characters"),
        (b"eyJhbGciOiJub25lIn0.not-json.sig", "cannot be read"),
        (b"two words", "white space"),
    ],
)
def test_what_is_no_token_is_invalid_and_not_quoted(tmp_path, content, problem):
    """The error names the path and what is wrong, and shows nothing of the content."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(InvalidTokenError, match=problem) as caught:
        FileSource(path).token()
    assert str(path) in caught.value.problem
    assert "not-json" not in caught.value.diagnostics()


def test_login_asks_nobody(tmp_path):
    """A file is a token source without a person."""
    (tmp_path / "token").write_text("opaque")
    assert FileSource(tmp_path / "token").login(prompt=None).raw == "opaque"
