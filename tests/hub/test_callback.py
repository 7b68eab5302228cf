"""A hub whose login carries no token: sign-ins that begin in a notebook come back through the hub's one address."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import urllib.parse
from html import unescape
from types import SimpleNamespace

import pytest
import requests
from certified_provider import through_the_forms
from hubs import trust

from jupyter_federation.demo.aws import Role
from jupyter_federation.hub import CALLBACK

pytestmark = pytest.mark.slow

REDIRECT = f"hub/user-redirect/{CALLBACK}"
# As PAM: a password, and no token of any provider.  The hub is told its public address.
DUMMY = """
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.JupyterHub.public_url = c.JupyterHub.bind_url
from jupyter_federation.hub import route_sign_ins
route_sign_ins(c)
"""
SIGN_IN = """
get_ipython().extension_manager.load_extension("jupyter_federation")
get_ipython().run_line_magic("federate", "clear")
status = get_ipython().run_line_magic("federate", "")
from IPython.display import display
display({"text/plain": f"{status.sign_in} {status.subject}"}, raw=True)
"""


@pytest.fixture(scope="module")
def provider(provider_of):
    return provider_of(
        client_id="notebook", client_secret=None, redirect_uris=("http://127.0.0.1/", f"http://127.0.0.1/{REDIRECT}")
    )


@pytest.fixture(scope="module")
def hub(hub_of, provider, hub_aws):
    """With a profile that signs in at the provider."""
    hub = hub_of(provider, extra=DUMMY, environment=hub_aws.environment)
    role = trust(hub_aws, provider, Role(name="Researcher"))
    profile = {
        "source": "oidc",
        "issuer": provider.issuer,
        "client_id": "notebook",
        "ca_bundle": str(provider.certificates.ca),
        "role_arn": role.arn,
        "region": "eu-west-1",
    }
    section = {"Federation": {"default_profile": "research", "profiles": {"research": profile}}}
    (hub.folder / "etc" / "jupyter_federation_config.json").write_text(json.dumps(section))
    return hub


class Browser(requests.Session):
    """A person's, who has logged in to the hub; ``seen`` are the addresses that it was at."""

    def __init__(self, hub, provider, user):
        super().__init__()
        self.trust_env, self.verify, self.user = False, str(provider.certificates.ca), user
        self.hub, self.seen = hub, []
        self.hooks["response"].append(lambda answer, **_: self.seen.append(answer.url))

    def log_in(self):
        """To the hub."""
        page = self.get(f"{self.hub.url}/hub/login?next=/hub/home", timeout=20)
        assert self.fill_in(page).url == f"{self.hub.url}/hub/home"

    def fill_in(self, page):
        """The hub's login form."""
        form = dict(re.findall(r'name="(_xsrf)"\s+value="([^"]*)"', page.text)) | {
            "username": self.user,
            "password": "any",
        }
        action = unescape(re.search(r'<form[^>]*action="([^"]+)"', page.text)[1])
        return self.post(urllib.parse.urljoin(page.url, action), data=form, timeout=20)

    def sign_in(self, address):
        """At the provider; the page at which it ends."""
        return through_the_forms(self, address, self.user, back=self.hub.url)


@pytest.fixture(scope="module")
def people(hub, provider):
    """Ada has a named server alone, Grace the default one and a named one; each has a kernel that waits."""
    with contextlib.ExitStack() as stack:
        there = {}
        for user, servers in (("ada", ["gpu"]), ("grace", ["", "gpu"])):
            browser = Browser(hub, provider, user)
            browser.log_in()
            started = [hub.start_server(user, name) for name in servers]
            kernel = stack.enter_context(started[-1].kernel())
            there[user] = SimpleNamespace(browser=browser, kernel=kernel, servers=servers)
        yield there


def offered(kernel):
    """The address that a cell which signs in shows."""
    kernel.start(SIGN_IN, allow_stdin=True)
    return re.search(r"https://\S+redirect_uri=\S+", kernel.shown())[0]


def test_each_sign_in_reaches_its_own_kernel(hub, people, provider):
    """Two people at once, on named servers, with one registered address; and nothing of it stands in a log."""
    addresses = {user: offered(each.kernel) for user, each in people.items()}
    for address in addresses.values():
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert f"{hub.url}/{REDIRECT}" == query["redirect_uri"]
    for user in ("grace", "ada"):  # the other way round
        page = people[user].browser.sign_in(addresses[user])
        assert (200, True) == (page.status_code, "You can close this page" in page.text), page.text
        assert page.url.startswith(f"{hub.url}/user/{user}/{'gpu/' if user == 'ada' else ''}{CALLBACK}?")
    for user, each in people.items():
        assert f"ok {user}" == each.kernel.shown()
    secrets = {name: value for name, value in provider.secrets().items() if name.split()[0] in {"code", "state"}}
    assert len([name for name in secrets if name.startswith("code ")]) >= 2
    logs = hub.said() + (hub.folder / "proxy.log").read_text(errors="replace")
    assert CALLBACK in logs
    assert [] == [name for name, value in secrets.items() if value in shown_by(logs)]


def shown_by(logs):
    """All that somebody can read in logs: quoted and coded too."""
    plain = urllib.parse.unquote(urllib.parse.unquote(logs))
    decoded = []
    for word in set(re.findall(r"[\w-]{40,}", plain)):
        with contextlib.suppress(ValueError):
            decoded.append(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode(errors="replace"))
    return " ".join([logs, plain, *decoded])


def test_whose_login_to_the_hub_is_missing(hub, people, provider):
    """They log in to the hub first, and the answer still arrives: by the hub's `next`, which its log shows."""
    address = offered(people["ada"].kernel)
    browser = Browser(hub, provider, "ada")
    page = browser.sign_in(address)
    assert page.url.startswith(f"{hub.url}/hub/login?next=")
    page = browser.fill_in(page)
    assert "You can close this page" in page.text, page.text
    assert "ok ada" == people["ada"].kernel.shown()
