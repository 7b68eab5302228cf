"""The source of a sign-in, and what the libraries beneath it leave: nothing shows a token, nothing is kept of it."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import traceback
import types

import pytest
from openid_clients import both, client_of
from people import Person
from secrecy.scanner import Scanner
from secrecy.test_values import parts, shown

from jupyter_federation.demo.identity_provider import Client, IdentityProvider
from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import FederationError
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.openid.sign_in import OpenIdSignIn
from jupyter_federation.sign_in.ladder import Ladder, Manner
from jupyter_federation.sources.openid import OpenIdSource

pytestmark = pytest.mark.slow  # a scan of everything that an object leads to takes about a second

CLIENT_SECRET = "c0nfidential-planted-8f2e"
_NOT_OURS = (types.ModuleType, types.FunctionType, type, types.BuiltinFunctionType, types.FrameType, logging.Logger)


@pytest.fixture
def server(provider, private_ca):
    """As ``provider``, for a client with a secret."""
    clients = [Client(client_id="notebook", secret=CLIENT_SECRET)]
    tls = private_ca.server if provider.path else None
    with IdentityProvider(path=provider.path, clients=clients, tls=tls) as server:
        yield server


@pytest.fixture
def source(server, private_ca, browser, monkeypatch):
    """Signed in, and renewed once."""
    monkeypatch.setenv("PLANTED_SECRET", CLIENT_SECRET)
    client = client_of(server, private_ca, client_secret=ClientSecret(variable="PLANTED_SECRET"))
    person = Person(browser)
    made = OpenIdSource(client, Ladder(Manner(), browser_is_here=lambda: True, open_browser=person.open))
    made.login(person)
    made._renew(made._grant)
    return made


def scanner_of(server, source):
    """What went over the wire and is a secret."""
    names = ("code", "code_verifier", "refresh_token", "state", "nonce", "client_secret")
    planted = {
        f"{name} {number}": call.parameters[name]
        for number, call in enumerate(server.calls)
        for name in names
        if name in call.parameters
    }
    held = source._grant.held
    planted |= {"refresh token": str.__str__(held.refresh_token), "ID token": str.__str__(held.token.raw)}
    assert {"code", "code_verifier", "refresh_token", "client_secret"} <= {name.split()[0] for name in planted}
    return Scanner(planted)


def reachable_texts(start):
    """Every string that can be reached from ``start``, as it is behind its mask."""
    seen, waiting = {}, [start]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _NOT_OURS):
            continue
        seen[id(value)] = value
        if isinstance(value, str | bytes):
            yield str.__str__(value) if isinstance(value, str) else bytes.__repr__(value)
        waiting += gc.get_referents(value)


@both
def test_the_source_shows_nothing(server, source):
    """In no repr of it or of anything within, however deep."""
    scanner = scanner_of(server, source)
    for value in (
        source,
        source._grant,
        source._grant.held,
        source._client,
        source._client.settings,
        OpenIdSignIn(source._client),
    ):
        assert set() == scanner.found(shown(value), parts(value))


@both
def test_the_source_does_not_travel(source):
    """Pickle and deepcopy refuse."""
    for carry in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            carry(source)


@both
def test_forgetting_leaves_nothing_behind(server, source):
    """Neither source nor client leads to a token or a secret afterwards; before, the search finds them."""
    scanner = scanner_of(server, source)
    source._ladder = Ladder(Manner())  # the other one's person remembers addresses
    assert {"refresh token", "ID token"} <= scanner.found(list(reachable_texts(source)))
    source.forget()
    assert set() == scanner.found(list(reachable_texts(source)))


FAILURES = {
    "refused": Fault(response=Response(status=400, body=b'{"error": "invalid_grant"}')),
    "down": Fault(response=Response(status=503)),
    "dropped": Fault(drop=True),
    "no JSON": Fault(response=Response(body=b'{"access_token": "cut')),
    "nonsense": Fault(response=Response(body=b'{"access_token": "x", "id_token": "a.b.c"}')),
}


@both
@pytest.mark.parametrize("failure", FAILURES)
def test_a_renewal_that_fails_shows_nothing(server, source, log, failure):
    """Neither in its error with all local variables of all frames, nor in a log at DEBUG."""
    scanner = scanner_of(server, source)
    server.inject("token", FAILURES[failure])
    with pytest.raises(FederationError) as caught:
        source._renew(source._grant)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert set() == scanner.found("".join(frames.format()), caught.value.diagnostics(), log())


@both
def test_a_whole_sign_in_is_logged_without_a_secret(server, source, browser, log):
    """By nobody, msal and urllib3 included, at DEBUG."""
    logging.getLogger("msal").setLevel(logging.DEBUG)
    try:
        source._ladder._open_browser = Person(browser).open
        source.login(Person(browser))
        source._renew(source._grant)
        scanner = scanner_of(server, source)
        source.sign_out()
    finally:
        logging.getLogger("msal").setLevel(logging.NOTSET)
    assert "urllib3.connectionpool" in log()
    assert not server.path or "msal" in log()
    assert set() == scanner.found(log())
    assert "ada@example.org" not in log()
