"""A real kernel: however it ends in good order, nothing of the endpoint is left; what breaks around it is said."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from endpoint.conftest import WHERE

pytestmark = pytest.mark.slow


def ours(directory):
    return [each.name for each in directory.glob("jupyter-federation-*")]


def is_free(port):
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) != 0


def test_a_restart_leaves_neither_files_nor_a_port(kernel, sign_in, temporary):
    """Without a clear, as people do it; signed in again, it is whole again."""
    kernel.run(sign_in)
    client = kernel.where()
    assert 200 == client.ask().status
    kernel.manager.restart_kernel()
    kernel.connect()
    assert [] == ours(temporary)
    assert is_free(client.port)
    kernel.run(sign_in)
    assert 200 == kernel.where().ask().status


def test_a_shutdown_leaves_neither_files_nor_a_port(kernel, sign_in, temporary):
    """Kernel > Shut Down."""
    kernel.run(sign_in)
    client = kernel.where()
    kernel.manager.shutdown_kernel()
    assert [] == ours(temporary)
    assert is_free(client.port)


def test_unloading_the_extension_ends_it(kernel, sign_in, temporary):
    """Port, thread, files and variables."""
    kernel.run(sign_in)
    client = kernel.where()
    kernel.run("%unload_ext jupyter_federation")
    assert "[] []" == kernel.run(
        "import os, threading; print([each for each in os.environ if each.startswith('AWS_CONTAINER')],"
        " [each.name for each in threading.enumerate() if 'endpoint' in each.name])"
    )
    assert [] == ours(temporary)
    assert is_free(client.port)


def test_signed_in_twice_and_again_after_clear_it_is_at_one_place(kernel, sign_in):
    """What a long-lived process has read once stays true."""
    kernel.run(sign_in)
    first = kernel.run(WHERE)
    kernel.run(sign_in)
    assert first == kernel.run(WHERE)
    kernel.run("jf.clear()")
    kernel.run(sign_in)
    assert first == kernel.run(WHERE)
    assert 200 == kernel.where().ask().status


def test_tidied_away_it_is_there_again_with_the_next_renewal(kernel, sign_in, temporary):
    """/tmp is cleaned while somebody is signed in."""
    kernel.run(sign_in)
    client = kernel.where()
    Path(client.token_file).unlink()
    Path(client.token_file).parent.rmdir()
    kernel.run("status = jf.refresh()")
    end = time.monotonic() + 5
    while not Path(client.token_file).exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert client.token == client.read_token()
    assert 200 == kernel.where().ask().status


NO_THREAD = """
start = threading.Thread.start
def limited(thread):
    if "endpoint" in thread.name:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = limited
"""
BROKEN = {
    "a full disk": ("resource.setrlimit(resource.RLIMIT_FSIZE, (0, -1))", "No usable temporary directory"),
    "no thread left": (NO_THREAD, "can't start new thread"),
    "no temporary directory": ("import tempfile; tempfile.tempdir = '/proc/nowhere'", "/proc/nowhere"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_where_it_cannot_be_the_sign_in_works_and_says_what_is_missing(aws_environment, sign_in, temporary, case):
    """boto3 has its credentials; the sentence names what to free, and no variable leads nowhere."""
    breaks, said = BROKEN[case]
    code = sign_in.replace("%load_ext jupyter_federation\n", "").replace(
        "status =", f"import resource, threading\n{breaks}\nstatus ="
    )
    code += (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "import boto3, os\n"
        "print(status)\nprint(boto3.client('sts').get_caller_identity()['Arn'])\n"
        "print([each for each in os.environ if each.startswith('AWS_CONTAINER')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert said in done.stdout
    assert "Tools other than boto3 get no credentials" in done.stdout
    assert "assumed-role/Researcher" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
    assert [] == ours(temporary)
