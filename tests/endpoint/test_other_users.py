"""Another user of the same machine: reaches the port, and can do nothing there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from container_client import Client, Holding
from faults.children import fork

from jupyter_federation.delivery.container_protocol import TOKEN_FILE
from jupyter_federation.delivery.endpoint import LoopbackEndpoint

NOBODY = 65534

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.fixture
def everybody(monkeypatch):
    """A directory for temporary files that everybody may use, as /tmp is."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o1777)
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    yield directory
    shutil.rmtree(directory)


def as_nobody(work):
    """What ``work()`` gives as another user."""

    def become():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        return work()

    return fork(become).answer()


def outcome(work):
    """The name of what it raises, else what it gives."""
    try:
        return work()
    except OSError as error:
        return type(error).__name__


def test_another_user_gets_neither_the_token_nor_an_answer(everybody):
    """They see that there is a directory, and no more; they can neither read, list, replace nor remove anything."""
    endpoint = LoopbackEndpoint(Holding())
    client = Client(endpoint.start())
    file = Path(client.token_file)
    try:

        def attack():
            tries = {
                "read": file.read_text,
                "list": lambda: os.listdir(file.parent),  # noqa: PTH208 - the call itself is the point
                "look at": lambda: file.stat().st_size,
                "enter": lambda: os.chdir(file.parent),
                "put beside": lambda: (file.parent / "other").write_text("x"),
                "replace": lambda: file.write_text("x"),
                "remove": file.unlink,
                "move away": lambda: file.parent.rename(everybody / "elsewhere"),
                "remove the directory": lambda: shutil.rmtree(file.parent),
                "read the environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
            }
            answers = [client.send(client.head(authorization=each)).status for each in ("", "Authorization: guess")]
            return {name: outcome(each) for name, each in tries.items()}, answers, os.listdir(everybody)  # noqa: PTH208

        denied, answers, seen = as_nobody(attack)
        assert {"PermissionError"} == set(denied.values()), denied
        assert [401, 401] == answers
        assert [file.parent.name] == seen, "a control: elsewhere they can look"
        assert 200 == client.ask().status
    finally:
        endpoint.stop()


def test_a_directory_that_another_user_has_taken_over_is_refused(everybody):
    """/tmp was tidied, and somebody else has made a directory of that name, with a token of their own in it."""
    endpoint = LoopbackEndpoint(Holding())
    client = Client(endpoint.start())
    file = Path(client.token_file)
    try:
        shutil.rmtree(file.parent)

        def take_over():
            file.parent.mkdir(0o755)
            file.write_text("theirs")
            file.chmod(0o666)

        as_nobody(take_over)
        assert not endpoint.keep_file()
        assert "theirs" == file.read_text()
        anew = endpoint.start()
        assert anew[TOKEN_FILE] != str(file)
        assert 200 == Client(anew).ask().status
        endpoint.stop()
        assert "theirs" == file.read_text(), "what is somebody else's is not removed"
    finally:
        endpoint.stop()
