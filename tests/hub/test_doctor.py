"""The doctor on a real hub: what its administrator has left out, and the login that cannot be used, by their codes."""

from __future__ import annotations

import json
import time

import pytest

from jupyter_federation.doctor.examination import examine

pytestmark = pytest.mark.slow

WITHOUT_AUTH_STATE = "c.Authenticator.enable_auth_state = False"
THEIR_ROLES = """
c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "admin:auth_state!user"]})
c.JupyterHub.load_roles.append({"name": "server", "scopes": ["users:activity!user", "admin:auth_state!user"]})
"""


@pytest.fixture(scope="module")
def provider(provider_of):
    return provider_of()


@pytest.fixture(scope="module")
def hub(hub_of, provider, kit):
    """With the administrator's kit; ada has logged in."""
    hub = hub_of(provider, extra=kit)
    hub.log_in("ada")
    return hub


@pytest.fixture
def codes(isolated_home, aws_environment, monkeypatch):
    """What the doctor finds in ada's server of a hub, by a federation profile for hubs: ``codes(hub, **instead)``."""
    keys = {"source": "jupyterhub", "role_arn": "arn:aws:iam::123456789012:role/R", "region": "eu-west-1"}
    content = {"Federation": {"default_profile": "hub", "profiles": {"hub": keys}}}
    file = isolated_home / "jupyter_config_dir" / "jupyter_federation_config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(content))

    def found(hub, **instead):
        token = instead.pop("JUPYTERHUB_API_TOKEN", None) or hub.token_of("ada")
        given = {"JUPYTERHUB_API_URL": f"{hub.url}/hub/api", "JUPYTERHUB_API_TOKEN": token, "JUPYTERHUB_USER": "ada"}
        for name, value in (given | instead).items():
            monkeypatch.setenv(name, value)
        found.report = examine(exchange=False)
        return [each.code for each in found.report.findings]

    return found


def test_a_hub_with_the_kit_is_healthy(hub, provider, codes):
    """Nothing is found, and the token's issuer and audience are told."""
    assert [] == codes(hub)
    facts = {each.name: each.value for each in codes.report.facts}
    assert (provider.issuer, "hub") == (facts["token's issuer"], facts["token's audience"])


def test_a_server_without_the_scope(hub, codes):
    """As on a hub without the kit; the administrator's line names it."""
    token = hub.api("POST", "users/ada/tokens", json={"scopes": ["read:users!user"]}).json()["token"]
    assert ["hub-scope-missing"] == codes(hub, JUPYTERHUB_API_TOKEN=token)
    assert "jupyter_federation.hub.configure(c)" in codes.report.findings[0].administrator


def test_a_server_that_may_read_nothing(hub, codes):
    """A role that was replaced lost all of its scopes: the hub does not even say whom it speaks of."""
    token = hub.api("POST", "users/ada/tokens", json={"scopes": ["users:activity!user"]}).json()["token"]
    assert codes(hub, JUPYTERHUB_API_TOKEN=token) in (["hub-scope-missing"], ["hub-user-unknown"])


def test_a_server_that_the_hub_does_not_know(hub, codes):
    """Its API token is not good."""
    assert ["hub-refuses-the-server"] == codes(hub, JUPYTERHUB_API_TOKEN="0" * 32)


def test_a_hub_that_is_gone(hub, codes):
    """Nobody is at its address."""
    assert ["hub-unreachable"] == codes(hub, JUPYTERHUB_API_URL="http://127.0.0.1:9/hub/api")


def test_a_user_whom_the_hub_does_not_know(hub, codes):
    """Renamed there, or deleted; the server's token may read its own user alone, and the hub tells no more."""
    assert ["hub-user-unknown"] == codes(hub, JUPYTERHUB_USER="nobody")


def test_no_hub_at_all(hub, codes, monkeypatch):
    """The profile is for hubs, and this machine is none."""
    assert [] == codes(hub)
    monkeypatch.delenv("JUPYTERHUB_USER")
    assert ["not-on-a-hub"] == [each.code for each in examine(exchange=False).findings]


def test_a_hub_that_keeps_nothing_of_the_login(hub_of, provider, codes):
    """No auth state."""
    hub = hub_of(provider, extra=THEIR_ROLES + WITHOUT_AUTH_STATE)
    hub.log_in("ada")
    assert ["hub-auth-state-missing"] == codes(hub)


def test_a_token_that_nobody_renews(hub_of, provider_of, codes):
    """OAuthenticator by itself hands out an ID token that has ended."""
    hub = hub_of(provider_of(id_token_seconds=2, access_token_seconds=3600), extra=THEIR_ROLES)
    hub.log_in("ada")
    time.sleep(3)
    assert ["hub-token-stale"] == codes(hub)
