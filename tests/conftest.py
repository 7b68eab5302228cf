"""What every test has: a home of its own, no AWS settings, no way out of this machine, and two servers to talk to."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import urllib.parse
import urllib.request
from datetime import timedelta

import pytest
import trustme
from openid_clients import DOMAIN, TENANT, is_entra

from jupyter_federation.demo.aws import COGNITO, EmbeddedAws, IdentityPool, Role
from jupyter_federation.demo.identity_provider import Client, IdentityProvider
from jupyter_federation.demo.web_identity import OpenIdProvider

pytest_plugins = ["servers", "certified_provider", "front_ends"]

# A shell's `make test &` has it ignored, here and in whatever the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0", "::ffff:127.")


@pytest.fixture(autouse=True)
def isolated_home(tmp_path, monkeypatch):
    """An empty HOME, Jupyter and IPython directories in it, and no AWS_* or proxy variable.

    AWS_EC2_METADATA_DISABLED is set, or botocore would ask 169.254.169.254 for credentials.
    """
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "JUPYTER", "JPY_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(home / name.lower()))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(home / "jupyter_config_path"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home


@pytest.fixture
def no_collection():
    """For JSON that is deeper than the stack: other tests' garbage is not finalized where there is no room for it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def no_outside_network(monkeypatch):
    """Fail the test if it connects to anything but this machine, even where the code swallows the refusal."""
    attempts = []

    def guarded(connect):
        def connect_to_loopback_only(self, address):
            internet = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
            if internet and not str(address[0]).startswith(_LOOPBACK):
                attempts.append(address)
                raise ConnectionRefusedError(f"tests do not connect to {address}")
            return connect(self, address)

        return connect_to_loopback_only

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
    yield attempts
    assert not attempts, f"the test tried to reach {attempts}"


@pytest.fixture(scope="session")
def _provider():
    with IdentityProvider(clients=[Client(client_id="notebook"), Client(client_id="other")]) as server:
        yield server


@pytest.fixture(scope="session")
def private_ca(tmp_path_factory):
    """Issues certificates: ``path`` is the file to trust, ``server`` and ``client`` are TLS contexts for 127.0.0.1."""
    authority = trustme.CA()
    authority.path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(authority.path)
    authority.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(authority.server)
    authority.client = ssl.create_default_context(cafile=authority.path)
    return authority


@pytest.fixture(scope="session")
def _entra(private_ca):
    clients = [Client(client_id="notebook"), Client(client_id="other")]
    with IdentityProvider(path=f"/{TENANT}/v2.0", clients=clients, tls=private_ca.server) as server:
        server.aliases = (f"/{DOMAIN}/v2.0",)
        yield server


@pytest.fixture(scope="session")
def _aws():
    with EmbeddedAws() as server:
        yield server


@pytest.fixture
def provider(request):
    """The identity provider, fresh: issuer ``provider.issuer``, clients notebook and other, users ada and grace.

    Parametrized (indirectly) with "Entra" it is one that is asked by way of msal: over TLS, under a tenant's path.
    """
    server = request.getfixturevalue("_entra" if getattr(request, "param", "") == "Entra" else "_provider")
    server.reset()
    return server


@pytest.fixture
def token_file(provider, tmp_path):
    """Holds an ID token of ada's."""
    path = tmp_path / "token"
    path.write_text(provider.id_token("ada"))
    return path


@pytest.fixture
def aws(_aws, provider):
    """The embedded AWS, fresh, with ``provider`` registered for the audience notebook; see ``pool`` and ``role``."""
    _aws.reset()
    keys = provider.jwks if is_entra(provider) else None  # AWS knows no private CA
    _aws.add(OpenIdProvider(issuer=provider.issuer, client_ids=("notebook",), keys=keys))
    return _aws


@pytest.fixture
def role(aws, provider):
    """A role that trusts ``provider`` (audience notebook), for 12 hours at most."""
    role = Role(
        name="Researcher",
        trusts={logins_key(provider.issuer): ("notebook",)},
        longest_session=timedelta(hours=12),
    )
    aws.add(role)
    return role


@pytest.fixture
def pool(aws, provider):
    """An identity pool for ``provider``'s logins; no guests, no classic flow."""
    pool = IdentityPool(providers=(logins_key(provider.issuer),), authenticated_role=Role(name="PoolUser"))
    pool.authenticated_role.trusts = {COGNITO: (pool.id,)}
    aws.add(pool)
    return pool


@pytest.fixture
def aws_environment(aws, monkeypatch):
    """The variables with which botocore reaches ``aws`` and nothing else."""
    variables = {"AWS_ENDPOINT_URL": aws.url, "AWS_DEFAULT_REGION": "eu-west-1", "NO_PROXY": "127.0.0.1,localhost"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def browser(private_ca):
    """A person with a browser: ``browser(url, user="ada")`` signs in and returns where the provider sends them."""
    return Browser(private_ca.client)


class Browser:
    """Keeps cookies and follows no redirect."""

    def __init__(self, tls=None):
        self.cookie = ""
        self.tls = tls

    def __call__(self, url, user="ada"):
        """Sign in as ``user`` ("" cancels) at an authorization URL; the URL of the redirect."""
        return self.open(url, user=user).headers["Location"]

    def open(self, url, **form):
        """The answer to a GET, or to a POST where a form is given."""
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(url, data=data, headers={"Cookie": self.cookie})
        opener = urllib.request.OpenerDirector()  # without the handlers for redirects, errors and proxies
        opener.add_handler(urllib.request.HTTPHandler())
        opener.add_handler(urllib.request.HTTPSHandler(context=self.tls))
        answer = opener.open(request, timeout=5)
        with answer:
            answer.text = answer.read().decode()
        self.cookie = answer.headers.get("Set-Cookie", self.cookie).partition(";")[0]
        return answer


def logins_key(issuer):
    """The issuer without its scheme."""
    return issuer.partition("://")[2]
