"""The login to the hub ends: by the person, or by the provider; and what the kernels say then."""

from __future__ import annotations

import time

import pytest
import requests
from hubs import CLIENT_ID, CLIENT_SECRET, FIRST, REFRESH, SAY, SIGN_IN, role_of, run, ship_profile, trust
from pace import stretched
from servers import within

pytestmark = pytest.mark.slow

# Up to JupyterHub 6.0 it is always strict: whose login cannot be refreshed is a stranger to the hub's API too.
STRICT = """
c.Authenticator.auth_refresh_strict = True
c.JupyterHub.shutdown_on_logout = True
"""
STATUS = f"import jupyter_federation as jf\n{SAY.format('jf.status().sign_in')}"
OWN_TOKEN = f"from os import environ as e\n{SAY.format('e.get(`JUPYTERHUB_API_TOKEN`)')}".replace("`", "'")


@pytest.fixture(scope="module")
def provider(provider_of):
    return provider_of(id_token_seconds=stretched(8))


@pytest.fixture(scope="module")
def make_hub(hub_of, provider, hub_aws, kit):
    """``make_hub(extra)``: with the administrator's kit, and ada's server runs."""

    def make(extra):
        hub = hub_of(provider, extra=f"{extra}\n{kit}", environment=hub_aws.environment)
        ship_profile(hub, trust(hub_aws, provider, role_of("sts.yaml")))
        hub.log_in("ada")
        hub.start_server("ada")
        return hub

    return make


@pytest.fixture(scope="module")
def usual(make_hub):
    """As JupyterHub has it."""
    return make_hub("")


@pytest.fixture(scope="module")
def strict(make_hub):
    """It stops the servers of whoever logs out."""
    return make_hub(STRICT)


@pytest.mark.parametrize("name", ["usual", "strict"])
def test_what_the_provider_has_ended(request, name, provider):
    """The kernel says so, and needs the person; whoever has logged in to the hub again goes on."""
    hub = request.getfixturevalue(name)
    with hub.server("ada").kernel() as kernel:
        assert "ok" == run(kernel, FIRST)
        revoke(provider)
        said = []

        def has_ended():
            said.append(run(kernel, REFRESH))
            return said[-1].startswith("LoginRequiredError")

        within(2 * provider.id_token_seconds, has_ended, lambda: str(said))
        assert said[-1].startswith("LoginRequiredError: Your login to the hub has ended")
        assert "Log in to the hub again" in said[-1]
        assert "needs_you" == run(kernel, STATUS)
        hub.log_in("ada")
        assert "ok" == run(kernel, SIGN_IN)


def test_whoever_logs_out_works_on(usual, provider):
    """JupyterHub leaves servers running, and their tokens good: the sign-in is renewed as before."""
    browser = usual.log_in("ada")
    with usual.server("ada").kernel() as kernel:
        assert "ok" == run(kernel, FIRST)
        assert browser.get(f"{usual.url}/hub/logout").ok
        assert browser.get(f"{usual.url}/hub/home").url.startswith(f"{usual.url}/hub/login")
        time.sleep(provider.id_token_seconds)
        assert "ok" == run(kernel, REFRESH)


def test_whoever_logs_out_of_a_hub_that_stops_servers(strict):
    """Server and kernels are gone, and the server's token with them; the next login signs in a new kernel."""
    browser = strict.log_in("ada")
    with strict.server("ada").kernel() as kernel:
        assert "ok" == run(kernel, FIRST)
        token = run(kernel, OWN_TOKEN)
        assert "id_token" in strict.api("GET", "users/ada", token).json()["auth_state"]
        assert browser.get(f"{strict.url}/hub/logout").ok
    within(240, lambda: {} == strict.api("GET", "users/ada").json()["servers"], strict.said)
    assert 403 == strict.api("GET", "users/ada", token).status_code
    strict.log_in("ada")
    with strict.start_server("ada").kernel() as kernel:
        assert "ok" == run(kernel, FIRST)


def revoke(provider):
    """Every refresh token that there is."""
    for answered in provider.answered("token"):
        form = {"token": answered.answer["refresh_token"], "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        url = f"{provider.issuer}/token/revocation"
        assert requests.post(url, data=form, verify=str(provider.certificates.ca), timeout=10).ok
