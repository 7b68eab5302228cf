"""An endpoint that serves, and the kernel that it belongs to."""

from __future__ import annotations

import pytest
from container_client import Client, Holding
from faults.conftest import federation

from jupyter_federation.delivery.endpoint import LoopbackEndpoint

__all__ = ["federation"]


@pytest.fixture
def holding():
    """The credentials; ``holding.reads`` counts how often they were read for an answer."""
    return Holding()


@pytest.fixture
def client(holding):
    """A client of an endpoint that serves ``holding``."""
    endpoint = LoopbackEndpoint(holding)
    yield Client(endpoint.start())
    endpoint.stop()
