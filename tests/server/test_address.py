"""Which address a server announces, and how it is enabled."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import jupyter_federation
from jupyter_federation.server.extension import callback_address

PACKAGE = Path(jupyter_federation.__file__).parent
HUB = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JUPYTERHUB_BASE_URL": "/"}
FOR_ALL = "https://hub.example.org/hub/user-redirect/jupyter-federation/callback"


@pytest.mark.parametrize(
    ("public_url", "base_url", "address"),
    [
        ("http://localhost:8888/lab?token=x", "/", "http://localhost:8888/jupyter-federation/callback"),
        ("https://[::1]:8888/x/lab", "/x/", "https://[::1]:8888/x/jupyter-federation/callback"),
        ("http+unix://%2Ftmp%2Fsocket/lab", "/", None),
    ],
)
def test_a_server_of_its_own(public_url, base_url, address):
    """Its public URL, without the token; none where it listens on a Unix socket."""
    assert address == callback_address(SimpleNamespace(public_url=public_url, base_url=base_url), {})


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/"}, FOR_ALL),
        ({"JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example.org/hub/"}, FOR_ALL),
        ({"JUPYTERHUB_HOST": "https://hub.example.org"}, FOR_ALL),
        (
            {"JUPYTERHUB_HOST": "https://hub.example.org", "JUPYTERHUB_BASE_URL": "/jupyter/"},
            FOR_ALL.replace("/hub/", "/jupyter/hub/"),
        ),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/gpu/", "JUPYTERHUB_HOST": "https://hub.example.org"}, FOR_ALL),
        ({"JUPYTERHUB_PUBLIC_HUB_URL": "", "JUPYTERHUB_HOST": ""}, None),
    ],
)
def test_on_a_hub(variables, address):
    """One address for all users and their servers; none where the hub does not know its own."""
    server = SimpleNamespace(public_url="http://10.0.0.7:8888/user/ada/lab", base_url="/user/ada/")
    assert address == callback_address(server, HUB | variables)


def test_the_shipped_configuration_names_the_extension():
    """What an installation enables can be loaded."""
    enabled = json.loads((PACKAGE / "server" / "jupyter_server_config.json").read_text())
    (module,) = enabled["ServerApp"]["jpserver_extensions"]
    (point,) = importlib.import_module(module)._jupyter_server_extension_points()
    assert "SignInCallback" == point["app"].__name__


def test_the_configuration_is_installed_where_jupyter_looks():
    """The wheel puts it into etc/jupyter."""
    source, target = "jupyter_federation/server/jupyter_server_config.json", "etc/jupyter/jupyter_server_config.d"
    assert f'"{source}" = "{target}/jupyter_federation.json"' in (PACKAGE.parent / "pyproject.toml").read_text()
