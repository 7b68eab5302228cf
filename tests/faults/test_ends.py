"""However a kernel ends, nothing of it works on, nothing hangs and nothing is written to stderr."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from faults.test_interrupts import kernel, said_by

__all__ = ["kernel"]


def files_below(*directories):
    return {path for each in directories for path in Path(each).rglob("*") if path.is_file()}


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="no /proc to look into")
def test_a_killed_kernel_leaves_neither_file_nor_port(kernel, isolated_home, tmp_path, monkeypatch):
    """kill -9: no file was written, and nothing listens or ever did."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = kernel("wait_to_be_killed")
    assert "signed in\n" == process.stdout.readline()
    fds = [fd.readlink() for fd in Path(f"/proc/{process.pid}/fd").iterdir()]
    inodes = {str(fd).removeprefix("socket:[").rstrip("]") for fd in fds if str(fd).startswith("socket:")}
    rows = [line.split() for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]]
    assert [] == [row[1] for row in rows if row[9] in inodes and row[3] == "0A"], "something listens"
    assert [] == [fd for fd in fds if fd.is_file() and os.access(fd, os.W_OK) and "/dev/" not in str(fd)]
    process.kill()
    process.communicate()
    assert -signal.SIGKILL == process.returncode
    assert set() == files_below(isolated_home, temporary)


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


def test_loopback_is_free_of_ours():
    """A control for the above: the way in which it looks for listening sockets finds one."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        inode = str(os.fstat(listening.fileno()).st_ino)
        if Path("/proc/self/net/tcp").exists():
            rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
            assert 1 == sum(row[9] == inode and row[3] == "0A" for row in rows)
