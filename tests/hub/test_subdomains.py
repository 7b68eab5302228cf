"""A hub whose people have sub-domains: the hub's own login, and a sign-in from a notebook on a named server."""

from __future__ import annotations

import re
import urllib.parse

import pytest
from chromium import launched, patient
from hubs import free_port, log_in_with_chromium, role_of, run, ship_profile, sign_in_with_chromium, trust

from jupyter_federation.demo.aws import Role
from jupyter_federation.hub import CALLBACK

pytestmark = pytest.mark.slow

REDIRECT = f"hub/user-redirect/{CALLBACK}"
SIGN_IN = """
get_ipython().extension_manager.load_extension("jupyter_federation")
status = get_ipython().run_line_magic("federate", "PROFILE")
from IPython.display import display
display({"text/plain": f"{status.sign_in} {status.subject}"}, raw=True)
"""


@pytest.fixture(scope="module")
def hub(hub_of, provider_of, hub_aws, kit):
    """With the administrator's kit, and a second profile that signs in from the notebook, at another provider."""
    url = f"http://hub.test:{free_port()}"
    provider = provider_of(redirect_uris=(f"{url}/hub/oauth_callback",))
    extra = f"c.JupyterHub.allow_named_servers = True\n{kit}"
    hub = hub_of(provider, extra=extra, environment=hub_aws.environment, url=url)
    other = provider_of(client_id="notebook", client_secret=None, redirect_uris=(f"{url}/{REDIRECT}",))
    profile = {
        "source": "oidc",
        "issuer": other.issuer,
        "client_id": "notebook",
        "ca_bundle": str(other.certificates.ca),
        "role_arn": trust(hub_aws, other, Role(name="Notebook")).arn,
    }
    ship_profile(hub, trust(hub_aws, provider, role_of("sts.yaml")), notebook=profile)
    return hub


def test_both_sign_ins_on_a_named_server(hub):
    """In real Chromium, at a name of ada's own: by the hub's login, and from the notebook through the hub's address."""
    hub.home("ada")
    home = hub.url.replace("hub.test", "ada.hub.test")
    with launched("*.test") as browser:
        page = patient(browser.new_page(ignore_https_errors=True))
        log_in_with_chromium(page, hub, "ada")
        assert page.url.startswith(f"{home}/user/ada/")
        with hub.start_server("ada", "gpu").kernel() as kernel:
            assert "ok ada" == run(kernel, SIGN_IN.replace("PROFILE", "research"))
            kernel.start(SIGN_IN.replace("PROFILE", "notebook"), allow_stdin=True)
            address = re.search(r"https://\S+redirect_uri=\S+", kernel.shown())[0]
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
            assert f"{hub.url}/{REDIRECT}" == query["redirect_uri"]
            hub.stop_server("ada")  # of several that run, the default one would be asked
            page.goto(address)
            sign_in_with_chromium(page, "ada")
            page.get_by_text("You can close this page").wait_for()
            assert page.url.startswith(f"{home}/user/ada/gpu/{CALLBACK}?")
            assert "ok ada" == kernel.shown()
