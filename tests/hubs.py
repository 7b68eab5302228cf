"""A real JupyterHub behind a real proxy, which logs its users in at a certified provider."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import requests
import yaml
from certified_provider import through_the_forms
from servers import PACKAGE, JupyterServer, enable, within

from jupyter_federation.demo.aws import Role

PROXY = Path(__file__).parent / "hub" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
CLIENT_ID, CLIENT_SECRET = "hub", "the-hub-s-own-secret"
BUCKET = "laboratory"

# Cells: what one ends with (what is printed are signs of life), a sign-in, and what a refresh says.
SAY = 'get_ipython().display_pub.publish({{"text/plain": str({})}})'
SIGN_IN = f"status = %federate\n{SAY.format('status.sign_in')}"
FIRST = f"%load_ext jupyter_federation\n{SIGN_IN}"
REFRESH = f"""
import jupyter_federation as jf
try:
    said = jf.refresh().sign_in
except Exception as error:
    said = f"{{type(error).__name__}}: {{error}}"
{SAY.format("said")}
"""

# A user's server ends when its standard input does: the hub's, which the tests hold.
SERVER = """
import os, signal, threading
def watch():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
from jupyterhub.singleuser import main
main()
"""
# So do the hub and the proxy; what the tests leave behind when they are killed would otherwise run on for ever.
HUB = SERVER.replace("singleuser", "app")
PROXY_END = "process.stdin.resume(); process.stdin.on('end', () => process.exit())"


class Hub:
    """One hub in ``folder``; ``extra`` is Python that ends its configuration.

    ``url`` (name and port) is where browsers find a hub whose people have sub-domains of it.
    The proxy is a process of its own, as on Kubernetes, so that the hub can be restarted under its users' servers.
    """

    def __init__(self, folder, provider, ca, environment, *, extra, refresh_age=None, url=None):
        self.folder = folder
        self.provider = provider
        self.service_token = secrets.token_hex(16)
        self.log = folder / "hub.log"
        self._ca = ca
        self._ports = [urllib.parse.urlsplit(url or "").port or free_port(), free_port(), free_port()]
        self._subdomains = url is not None
        self._here = f"http://127.0.0.1:{self._ports[0]}"
        self.url = url or self._here
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not (name.startswith(("AWS_", "JUPYTER", "JPY_")) or name.lower().endswith("_proxy"))
        }
        self._environment |= {
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
            "PYTHONPATH": str(PACKAGE.parent),
        }
        self._configuration(environment, extra, refresh_age)

    def _configuration(self, environment, extra, refresh_age):
        """A file as Zero to JupyterHub's: its roles come first, then what the administrator adds."""
        etc = self.folder / "etc"
        enable(etc)
        issuer = self.provider.issuer
        oauth = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "oauth_callback_url": f"{self.url}/hub/oauth_callback",
            "authorize_url": f"{issuer}/auth",
            "token_url": f"{issuer}/token",
            "userdata_url": f"{issuer}/me",
            "username_claim": "sub",
            "scope": ["openid", "email", "offline_access"],
            "extra_authorize_params": {"prompt": "consent"},
            "allow_all": True,
            "http_request_kwargs": {"ca_certs": str(self._ca)},
        }
        environment = environment | {"JUPYTER_CONFIG_PATH": str(etc), "PYTHONPATH": str(PACKAGE.parent)}
        environment |= {"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}
        port, hub_port, api_port = self._ports
        (self.folder / "jupyterhub_config.py").write_text(f"""
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
{f"c.JupyterHub.subdomain_host = {self.url!r}" if self._subdomains else ""}
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.log_level = "DEBUG"
c.JupyterHub.authenticator_class = "generic-oauth"
c.Authenticator.enable_auth_state = True
{f"c.Authenticator.auth_refresh_age = {refresh_age}" if refresh_age is not None else ""}
c.GenericOAuthenticator.update({oauth!r})
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {str(self.folder / "home")!r} + "/{{username}}"
c.Spawner.environment = {environment!r}
c.Spawner.cmd = {[sys.executable, "-c", SERVER]!r}
c.Spawner.args = ["--allow-root"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 300
c.JupyterHub.services = [{{"name": "tests", "api_token": {self.service_token!r}}}]
c.JupyterHub.load_roles = []
c.JupyterHub.load_roles.append({{
    "name": "jupyterhub-idle-culler",
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    "services": ["tests"],
}})
c.JupyterHub.load_roles.append({{
    "name": "tests",
    "scopes": ["admin:servers", "access:servers", "tokens", "read:roles", "read:users"],
    "services": ["tests"],
}})
{extra}
""")

    def __enter__(self):
        node = shutil.which("node")
        assert node, "the tests need Node 20 or later: `make certified` says how to install it"
        assert PROXY.is_file(), "configurable-http-proxy is not installed: run `make certified`"
        port, _, api_port = self._ports
        hub = f"http://127.0.0.1:{self._ports[1]}"
        (self.folder / "end.js").write_text(PROXY_END)
        self._proxy_log = (self.folder / "proxy.log").open("wb")
        self._life, self._our_end = os.pipe()
        self._proxy = subprocess.Popen(
            [
                *(
                    node,
                    "--require",
                    self.folder / "end.js",
                    PROXY,
                    "--ip",
                    "127.0.0.1",
                    "--port",
                    str(port),
                    "--api-ip",
                    "127.0.0.1",
                ),
                *("--api-port", str(api_port), "--default-target", hub, "--error-target", f"{hub}/hub/error"),
                *(["--host-routing"] if self._subdomains else []),
            ],
            env=self._environment,
            stdin=subprocess.PIPE,  # of its own: Node makes it one that does not block
            stdout=self._proxy_log,
            stderr=subprocess.STDOUT,
        )
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_details):
        with contextlib.suppress(Exception):
            for user in self.api("GET", "users").json():
                self.stop_server(user["name"])  # named ones end with their standard input
        self.stop()
        self._proxy.terminate()
        self._proxy.wait(60)
        self._proxy.stdin.close()
        self._proxy_log.close()
        os.close(self._our_end)
        os.close(self._life)

    def start(self):
        """The hub, until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", HUB, "-f", "jupyterhub_config.py"],
                cwd=self.folder,
                env=self._environment,
                stdin=self._life,
                stdout=log,
                stderr=log,
            )
        within(300, self._answers, self.said)

    def stop(self):
        """As a deployment does it; the users' servers live on."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(120)
        finally:
            self._process.kill()
            self._process.wait()

    def _answers(self):
        assert self._process.poll() is None, self.said()
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self._here}/hub/api/", headers={"Host": self._host()}, timeout=20).ok
        return False

    def said(self):
        return self.log.read_text(errors="replace")

    def api(self, method, path, token=None, **more):
        """The answer of the hub's API, asked by the tests' service or with ``token``."""
        headers = {"Authorization": f"token {token or self.service_token}", "Host": self._host()}
        return requests.request(method, f"{self._here}/hub/api/{path}", headers=headers, timeout=240, **more)

    def _host(self, user=None):
        """What a request names as its host, to the hub or to the user's servers."""
        host = urllib.parse.urlsplit(self.url).netloc
        return f"{user}.{host}" if user and self._subdomains else host

    def log_in(self, user):
        """A person in a browser; the session, with the hub's cookies."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self._ca)
        page = through_the_forms(session, f"{self.url}/hub/oauth_login?next=/hub/home", user, back=self.url)
        assert page.ok, page.text + self.said()
        return session

    def start_server(self, user, name=""):
        """The user's server, once it is ready."""
        self.home(user)
        started = self.api("POST", f"users/{user}/servers/{name}" if name else f"users/{user}/server")
        assert started.status_code in (201, 202), started.text + self.said()
        within(300, lambda: self.api("GET", f"users/{user}").json()["servers"].get(name, {}).get("ready"), self.said)
        return self.server(user, name)

    def home(self, user):
        """The directory in which the user's server starts."""
        (self.folder / "home" / user).mkdir(parents=True, exist_ok=True)

    def server(self, user, name=""):
        """The user's server, which runs."""
        url = f"{self._here}/user/{user}/{name}{'/' * bool(name)}"
        return UserServer(url, self.service_token, self._host(user))

    def stop_server(self, user):
        if self.api("DELETE", f"users/{user}/server").status_code == 202:
            within(240, lambda: "" not in self.api("GET", f"users/{user}").json()["servers"], self.said)

    def token_of(self, user, *scopes):
        """An API token of ``user`` with what a server's has, and ``scopes``."""
        wanted = ["users:activity!user", "admin:auth_state!user", *scopes]
        return self.api("POST", f"users/{user}/tokens", json={"scopes": wanted}).json()["token"]


class UserServer(JupyterServer):
    """A user's server behind the hub's proxy."""

    def __init__(self, url, token, host):
        self.url = url
        self.token = token
        self.host = host


def run(kernel, code):
    """What a cell of ``code`` displays."""
    kernel.start(code)
    return kernel.shown()


def log_in_with_chromium(page, hub, person):
    """As somebody does it: the hub's login page, the provider's, and on to their server."""
    page.goto(hub.url)
    page.get_by_role("button", name="Sign in with").click()
    sign_in_with_chromium(page, person)
    page.wait_for_url(f"**/user/{person}/**", timeout=300_000)


def sign_in_with_chromium(page, person):
    """At the certified provider."""
    page.locator("[name=login]").fill(person)
    page.locator("[name=password]").fill("any")
    page.locator("[type=submit]").click()
    page.locator("[type=submit]").click()  # consent


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Template(yaml.SafeLoader):
    """CloudFormation's short forms, each as its argument."""


Template.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def resources(name):
    """Those of a template of the administrator's kit: their properties, by name."""
    template = yaml.load((PACKAGE.parent / "docs" / "deploy" / name).read_text(), Template)
    return {key: resource.get("Properties", {}) for key, resource in template["Resources"].items()}


def trust_statement(role):
    """The one of a template's role."""
    document = role["AssumeRolePolicyDocument"]
    (statement,) = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    return statement


def role_of(name):
    """The role that a template of the kit makes, for the bucket of the tests; who it trusts is not in it."""
    role = resources(name)["Researcher"]
    statement = trust_statement(role)
    condition = statement["Condition"]
    ((tag, _),) = condition["StringLike"].items()
    objects = role["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"]
    return Role(
        name=name.removesuffix(".yaml"),
        tags_sessions="sts:TagSession" in statement["Action"],
        needs_tag=tag.removeprefix("aws:RequestTag/"),
        without_slash=condition.get("StringNotLike") == {tag: "*/*"},
        only_tags=condition.get("ForAllValues:StringEquals", {}).get("aws:TagKeys"),
        objects=objects.replace("${BucketName}", BUCKET).replace("${!", "${").partition(":s3:::")[2].removesuffix("*"),
    )


def trust(aws, provider, role):
    """What docs/deploy sets up at AWS: the hub's client is the audience.  The role."""
    aws.add(provider.registration)
    role.trusts = {provider.name: provider.registration.client_ids}
    aws.add(role)
    return role


def ship_profile(hub, role, **others):
    """The one file of the administrator's kit: %federate alone is enough.  ``others`` are further profiles."""
    usual = {"source": "jupyterhub", "region": "eu-west-1"}
    profiles = {name: usual | profile for name, profile in ({"research": {"role_arn": role.arn}} | others).items()}
    section = {"Federation": {"default_profile": "research", "profiles": profiles}}
    (hub.folder / "etc" / "jupyter_federation_config.json").write_text(json.dumps(section))
