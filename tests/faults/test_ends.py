"""However a kernel ends, nothing of it works on, nothing hangs and nothing is written to stderr."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from container_client import Client
from faults.test_interrupts import kernel, said_by

from jupyter_federation.delivery.container_protocol import TOKEN_FILE, URI

__all__ = ["kernel"]


def files_below(*directories):
    return {path for each in directories for path in Path(each).rglob("*") if path.is_file()}


def listening(process):
    """The addresses on which ``process`` listens, in the kernel's writing."""
    fds = []
    for fd in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            fds.append(str(fd.readlink()))
    inodes = {fd.removeprefix("socket:[").rstrip("]") for fd in fds if fd.startswith("socket:")}
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[9] in inodes and row[3] == "0A"]


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="no /proc to look into")
def test_a_killed_kernel_leaves_nothing_that_opens_anything(kernel, isolated_home, tmp_path):
    """kill -9: of what it wrote, the endpoint's token alone is left, which nobody takes: nothing listens."""
    process = kernel("wait_to_be_killed")
    try:
        assert "signed in\n" == process.stdout.readline()
        fds = [fd.readlink() for fd in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert [] == [fd for fd in fds if fd.is_file() and os.access(fd, os.W_OK) and "/dev/" not in str(fd)]
        [address] = listening(process.pid)
        assert "0100007F" == address.partition(":")[0], "it listens elsewhere than on 127.0.0.1"
        [token_file] = files_below(isolated_home, tmp_path / "tmp")
        client = Client({URI: f"http://127.0.0.1:{int(address.partition(':')[2], 16)}/", TOKEN_FILE: str(token_file)})
        assert 200 == client.ask().status
    finally:
        process.kill()
        process.communicate()
    assert -signal.SIGKILL == process.returncode
    assert {token_file} == files_below(isolated_home, tmp_path / "tmp")
    with pytest.raises(ConnectionRefusedError):
        client.ask()


@pytest.mark.parametrize(("then", "code"), [("end", 0), ("exit in a cell", 3)])
def test_the_interpreter_ends_with_a_renewal_in_flight(kernel, then, code):
    """No hang and no word on stderr, while a token callable sleeps and a subscriber does."""
    started = time.monotonic()
    process = kernel("end_in_flight", THEN=then)
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
    assert (code, "", "") == (process.returncode, out, err)
    assert time.monotonic() - started < 10


def test_at_the_limit_of_threads_nothing_is_lost(kernel):
    """A sign-in says so in an error of ours and leaves nothing; who is signed in goes on being renewed."""
    problem, credentials, unchanged = said_by(kernel("limited"), 30)
    assert "No thread could be started" in problem
    assert ("none", False) == (credentials, unchanged)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="no /proc to look into")
def test_what_listens_is_found():
    """A control for the above."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"0100007F:{server.getsockname()[1]:04X}" in listening(os.getpid())
