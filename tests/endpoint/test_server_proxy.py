"""The real jupyter-server-proxy reaches the endpoint, and gets nothing, even with the token in hand."""

from __future__ import annotations

import pytest
from container_client import KEYS
from servers import JupyterServer, enable, homely

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    """A Jupyter server with the proxy and without a login: one that would come along would be refused for itself."""
    home = tmp_path_factory.mktemp("open")
    enable(home / "jupyter_config_dir", proxy=True)
    server = JupyterServer(home, "open", token="", **homely(home))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


FORMS = [
    *("proxy/{port}/credentials", "proxy/127.0.0.1:{port}/credentials", "proxy/localhost:{port}/credentials"),
    *("proxy/absolute/{port}/credentials", "proxy/absolute/127.0.0.1:{port}/credentials"),
    *("proxy/absolute/localhost:{port}/credentials", "proxy/absolute/127.0.0.1:{port}/../../../../credentials"),
    *("proxy/absolute/{port}//credentials", "proxy/absolute/127.0.0.1:{port}/%2e%2e/%2e%2e/credentials"),
]


@pytest.mark.parametrize("headers", [{}, {"Host": "127.0.0.1:{port}"}, {"Host": "localhost:{port}"}], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_through_the_proxy_there_is_nothing(open_server, client, holding, form, headers):
    """In both of its forms, also where the sender names the endpoint as the Host."""
    path = form.format(port=client.port)
    sent = {name: value.format(port=client.port) for name, value in headers.items()} | {"Authorization": client.token}
    answer = open_server.request("GET", path, login=False, **sent)
    assert answer.status in {403, 404}, answer.text
    assert 0 == holding.reads
    assert not [value for value in KEYS.values() if value in answer.text]
    assert 200 == client.ask().status


def test_the_proxy_does_reach_it(open_server, client):
    """A control: the refusal is the endpoint's own, in either form."""
    for form in ("proxy/{port}/credentials", "proxy/absolute/127.0.0.1:{port}/credentials"):
        answer = open_server.request(
            "GET", form.format(port=client.port), login=False, Authorization=client.token, Host=client.authority
        )
        assert "no-store" == answer.getheader("Cache-Control"), answer.text
        assert '"code"' in answer.text
