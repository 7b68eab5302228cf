"""A process that serves and forks in every way: run as ``python forking.py HOW``, see `test_forks.py`."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path

from container_client import Client, Holding

from jupyter_federation.delivery.endpoint import LoopbackEndpoint

ENDPOINT = LoopbackEndpoint(Holding())
CLIENT = Client(ENDPOINT.start())


def ask(_number):
    """In a child of a pool: its parent's endpoint answers."""
    return CLIENT.ask().status


def pool():
    with multiprocessing.get_context("fork").Pool(3) as children:
        assert [200] * 12 == children.map(ask, range(12), chunksize=1)


def end_by(leave):
    child = os.fork()
    if child == 0:
        assert 200 == CLIENT.ask().status
        ENDPOINT.stop()
        ENDPOINT.keep_file()
        leave(0)
    assert 0 == os.waitpid(child, 0)[1]


def own():
    """A child that starts an endpoint has one of its own, and takes it along when it ends."""
    child = os.fork()
    if child == 0:
        mine = Client(ENDPOINT.start())
        assert (mine.port, mine.token_file) != (CLIENT.port, CLIENT.token_file)
        assert (200, 200) == (mine.ask().status, CLIENT.ask().status)
        sys.exit(0)
    assert 0 == os.waitpid(child, 0)[1]


def stay():
    """A child that lives on; the parent waits to be killed."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    sys.stdout.write(f"{child} {CLIENT.port}\n")
    sys.stdout.flush()
    time.sleep(60)


HOW = {
    "a pool": pool,
    "sys.exit": lambda: end_by(sys.exit),
    "os._exit": lambda: end_by(os._exit),
    "an endpoint of its own": own,
    "a child that stays": stay,
}

if __name__ == "__main__":
    HOW[sys.argv[1]]()
    assert 200 == CLIENT.ask().status
    assert CLIENT.token == CLIENT.read_token()
    assert 1 == len(list(Path(CLIENT.token_file).parents[1].iterdir()))
