"""Several kernels ask the hub at the moment of expiry, and the provider rotates refresh tokens."""

from __future__ import annotations

import threading
import time

import pytest

from jupyter_federation.errors import FederationError
from jupyter_federation.sources.jupyterhub import JupyterHubSource

pytestmark = pytest.mark.slow

SECONDS = 4
OURS = "from jupyter_federation.hub import configure\nconfigure(c)"
THEIRS = """
c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "admin:auth_state!user"]})
c.JupyterHub.load_roles.append({"name": "server", "scopes": ["users:activity!user", "admin:auth_state!user"]})
"""


@pytest.mark.parametrize(
    ("extra", "keeps"),
    [
        # What test_hub proves at each expiry; here beside its control.
        pytest.param(OURS, True, id="with the hook", marks=pytest.mark.soak),
        pytest.param(THEIRS, False, id="without it"),
    ],
)
def test_six_at_once(hub_of, provider_of, extra, keeps):
    """With the hook there is one renewal, and the grant lives; the control, OAuthenticator by itself, loses it."""
    provider = provider_of(id_token_seconds=SECONDS, access_token_seconds=SECONDS)
    hub = hub_of(provider, extra=extra, refresh_age=1)
    hub.log_in("ada")
    environment = {
        "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
        "JUPYTERHUB_API_TOKEN": hub.token_of("ada"),
        "JUPYTERHUB_USER": "ada",
    }
    sources = [JupyterHubSource(environment=environment) for _ in range(6)]
    rounds, refused = 0, []
    while not refused and rounds < (2 if keeps else 8):
        rounds += 1
        time.sleep(SECONDS + 1)
        at_once(source.token for source in sources)
        refused = provider.answered("token", 400, grant_type="refresh_token")
    if keeps:
        assert [] == refused
        assert rounds == len(provider.answered("token", grant_type="refresh_token"))
        assert [] == at_once(source.token for source in sources)
    else:
        assert {"invalid_grant"} == {each.answer["error"] for each in refused}
        time.sleep(SECONDS + 1)
        assert 6 == len(at_once(source.token for source in sources))


def at_once(asked):
    """Call all at the same moment: what they raised."""
    asked = list(asked)
    barrier, errors = threading.Barrier(len(asked)), []

    def ask(ask):
        barrier.wait()
        try:
            ask()
        except FederationError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=[each]) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
