"""npm's oidc-provider, which the OpenID Foundation has certified, over HTTPS with a certificate of a test's CA."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from jupyter_federation.demo.aws import OpenIdProvider

SCRIPT = Path(__file__).parent / "certified" / "provider.js"
ELSEWHERE = "login.example.test"  # reached through a proxy alone


class CertifiedProvider:
    """One process with one issuer, whose public native client is notebook; anybody may sign in with any password.

    ``path`` is the issuer's.  With ``tenant`` it is dressed as Entra: the path is the tenant's, and the ID tokens hold
    ``tid``, ``oid`` and ``preferred_username``.  With ``client_secret`` the client is a web server's: its refresh
    tokens rotate too, and its ID tokens hold AWS's session tags, ``person`` being who signed in.  ``requests`` hold
    all secrets.
    """

    def __init__(
        self,
        certificates,
        *,
        host="127.0.0.1",
        path="",
        tenant=None,
        id_token_seconds=3600,
        access_token_seconds=3600,
        redirect_uris=("http://127.0.0.1/", "http://localhost"),
        client_id="notebook",
        client_secret=None,
    ):
        self.certificates = certificates
        self.path = path if tenant is None else f"/{tenant}/v2.0"
        self.id_token_seconds = id_token_seconds
        self._record = certificates.key.with_name(f"requests-{secrets.token_hex(4)}.jsonl")
        self._down = self._record.with_suffix(".down")
        self._seen = 0
        self._settings = {
            "host": host,
            "port": 0,
            "path": self.path,
            "tenant": tenant,
            "client_id": client_id,
            "client_secret": client_secret,
            "redirect_uris": redirect_uris,
            "id_token_seconds": id_token_seconds,
            "access_token_seconds": access_token_seconds,
            "record": str(self._record),
            "down": str(self._down),
            "key": str(certificates.key),
            "certificate": str(certificates.chain),
        }
        self._jwks = None

    def __enter__(self):
        node = shutil.which("node")
        assert node, "the sign-in tests need Node 20 or later: `make certified` says how to install it"
        assert (SCRIPT.parent / "node_modules").is_dir(), "oidc-provider is not installed: run `make certified`"
        self._record.touch(0o600)
        self._log = self._record.with_suffix(".log").open("wb")
        self._process = subprocess.Popen(
            [node, SCRIPT, json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.issuer = self._process.stdout.readline().strip()
        if not self.issuer:
            self.__exit__()
            raise AssertionError(self._record.with_suffix(".log").read_text())
        return self

    def __exit__(self, *_details):
        self._process.stdin.close()  # it ends with it
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._log.close()

    @property
    def requests(self):
        """Those that were answered since ``forget()``: route, parameters, status, location, answer."""
        lines = self._record.read_text().splitlines()[self._seen :]
        return [SimpleNamespace(**json.loads(line)) for line in lines]

    @contextlib.contextmanager
    def away(self):
        """Answer everything with 503 meanwhile."""
        self._down.touch()
        try:
            yield
        finally:
            self._down.unlink()

    def forget(self):
        """Count anew."""
        self._seen += len(self.requests)

    @property
    def name(self):
        """The issuer without its scheme."""
        return self.issuer.partition("://")[2]

    @property
    def url(self):
        """Scheme, host and port."""
        return self.issuer.removesuffix(self.path)

    @property
    def port(self):
        return urllib.parse.urlsplit(self.issuer).port

    @property
    def registration(self):
        """What an administrator registers at AWS."""
        return OpenIdProvider(issuer=self.issuer, client_ids=(self._settings["client_id"],), keys=self.keys)

    def keys(self):
        """Its JSON Web Key Set, as AWS fetches it: by the port, whatever the host is called."""
        if self._jwks is None:
            context = ssl.create_default_context(cafile=self.certificates.ca)
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(f"https://127.0.0.1:{self.port}{self.path}/jwks", timeout=60) as answer:
                self._jwks = json.load(answer)
        return self._jwks

    def answered(self, route, status=200, **parameters):
        """The requests of ``route`` that were answered with ``status`` and held these parameters."""
        return [
            each
            for each in self.requests
            if (each.route, each.status) == (route, status) and parameters.items() <= each.parameters.items()
        ]

    def secrets(self):
        """Every code, verifier, state, nonce and token that went in or out by now, by a name."""
        found = {}
        for number, each in enumerate(self.requests):
            redirect = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(each.location or "").query))
            for values in (each.parameters, redirect, each.answer or {}):
                for name in _SECRETS & values.keys():
                    found[f"{name} {number}"] = values[name]
        return found


_SECRETS = {
    *("code", "code_verifier", "state", "nonce", "device_code"),
    *("token", "id_token", "access_token", "refresh_token"),
}


def _filled_in(here, text, user):
    """Where the provider's form at ``here`` is sent, and what by ``user``."""
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
    if 'name="login"' in text:
        fields |= {"login": user, "password": "any"}
    return urllib.parse.urljoin(here, unescape(re.search(r'<form[^>]+action="([^"]+)"', text)[1])), fields


def through_the_forms(session, address, user, *, back):
    """The way of requests' ``session`` from ``address`` through the provider's forms: the first page under ``back``."""
    page = session.get(address, timeout=60)
    for _ in range(8):
        if page.url.startswith(back):
            return page
        url, fields = _filled_in(page.url, page.text, user)
        page = session.post(url, data=fields, timeout=60)
    raise AssertionError("the sign-in has no end")


class FormBrowser:
    """A person's browser without a screen: ``browser(url, user="ada")`` signs in, and gives the last redirect.

    It trusts ``ca`` and fills in the provider's forms; ``proxy`` is a URL.
    """

    def __init__(self, ca, *, proxy=None):
        context = ssl.create_default_context(cafile=ca)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({} if proxy is None else {"https": proxy}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            _OnlyHttps(),
        )

    def __call__(self, url, user="ada"):
        """Sign in as ``user``; "" cancels."""
        data = None
        for _ in range(8):
            with self._opener.open(urllib.request.Request(url, data=data), timeout=60) as page:
                if (redirect := page.headers.get("Location")) is not None:
                    return redirect
                here, text = page.url, page.read().decode()
            if not user:
                url, data = urllib.parse.urljoin(here, unescape(re.search(r'href="([^"]+/abort)"', text)[1])), None
                continue
            url, fields = _filled_in(here, text, user)
            data = urllib.parse.urlencode(fields).encode()
        raise AssertionError("the sign-in has no end")


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirects inside the provider; one to http is the answer."""

    def http_error_302(self, request, answer, code, message, headers):
        if headers.get("Location", "").startswith("http:"):
            return answer
        return super().http_error_302(request, answer, code, message, headers)

    http_error_303 = http_error_302


class Proxy:
    """An HTTP proxy on 127.0.0.1 that tunnels (CONNECT), any host's port to the same one here.

    ``asked`` holds the hosts and ports that were asked for.
    """

    def __enter__(self):
        self.asked = []
        self._connections = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._run(self._accept)
        return self

    def __exit__(self, *_details):
        for each in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _run(self, target, *arguments):
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connections.append(client)
                self._run(self._tunnel, client)

    def _tunnel(self, client):
        with contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(4096)
            target = request.split()[1].decode()
            self.asked.append(target)
            server = socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2])))
            self._connections.append(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._run(_pass_on, server, client)
            _pass_on(client, server)


def _pass_on(source, destination):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    with contextlib.suppress(OSError):
        destination.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory, private_ca):
    """A certificate of ``private_ca``: ``chain`` and ``key``; ``ca``, and ``stranger``, another CA.  All are paths."""
    folder = tmp_path_factory.mktemp("certificates")
    made = SimpleNamespace(
        **{name: folder / f"{name}.pem" for name in ("chain", "key", "stranger")}, ca=private_ca.path
    )
    trustme.CA(organization_name="Another CA").cert_pem.write_to_path(made.stranger)
    certificate = private_ca.issue_cert("127.0.0.1", "localhost", ELSEWHERE)
    certificate.private_key_pem.write_to_path(made.key)
    made.chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    return made
