"""What is measured once for all tests in this directory."""

from datetime import timedelta

import pytest
from pace import stretched
from tool_matrix import LIFETIME, PYTHON, World, everything

from jupyter_federation.demo.servers import DemoServers


@pytest.fixture(scope="session")
def tools_environment():
    """The Python of the environment that holds the tools."""
    if not PYTHON.with_name("aws").exists():
        pytest.skip("The tools are not here: make .venv-tools/.installed")
    return PYTHON


@pytest.fixture(scope="session")
def measured(tools_environment, tmp_path_factory):
    """How every tool fared in every situation, measured side by side; see tool_matrix."""
    lifetime = stretched(LIFETIME)
    with DemoServers(lifetime=timedelta(seconds=lifetime)) as servers:
        return everything(World(servers, tmp_path_factory.mktemp("kernels")), lifetime)
