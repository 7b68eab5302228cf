"""The fixtures that every test has."""

import os
import socket
from pathlib import Path

import pytest


def test_no_test_reaches_beyond_this_machine(no_outside_network):
    """A connection that leaves is refused, and remembered so that the test fails even if the refusal is swallowed."""
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
        outside.connect(("192.0.2.1", 80))
    assert [("192.0.2.1", 80)] == no_outside_network
    no_outside_network.clear()


def test_no_test_sees_the_machines_own_settings(isolated_home):
    """HOME is empty and new, and of AWS's variables only the one that keeps botocore from asking IMDS is set."""
    assert (isolated_home, []) == (Path.home(), list(isolated_home.iterdir()))
    assert ["AWS_EC2_METADATA_DISABLED"] == [name for name in os.environ if name.startswith("AWS_")]


def test_the_servers_are_fresh(aws, provider, pool):
    """Whatever a test before this one did, nothing of it is there."""
    assert ([], [], [pool.id]) == (aws.calls, provider.calls, list(aws.pools))
