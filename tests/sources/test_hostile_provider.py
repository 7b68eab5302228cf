"""A provider that was taken over, or a network that plays it: what it says keeps nobody waiting and shows nothing."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import signal
import socket
import threading
import time
import traceback
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from openid_clients import both, client_of
from people import Person

from jupyter_federation.demo.identity_provider import Client, IdentityProvider
from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import FederationError, InvalidTokenError, LoginFailedError, SourceUnavailableError
from jupyter_federation.openid import connection
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.sign_in.ladder import Ladder, Manner
from jupyter_federation.sources.openid import OpenIdSource
from jupyter_federation.tokens import IdToken

CLIENT_SECRET = "c0nfidential-planted-8f2e"
SENT = ("code", "code_verifier", "refresh_token", "client_secret", "device_code")


@pytest.fixture
def person(browser):
    return Person(browser)


@pytest.fixture
def server(provider, private_ca):
    """As ``provider``, for a client with a secret."""
    clients = [Client(client_id="notebook", secret=CLIENT_SECRET)]
    with IdentityProvider(
        path=provider.path, clients=clients, tls=private_ca.server if provider.path else None
    ) as server:
        yield server


@pytest.fixture
def source(server, private_ca, person, monkeypatch):
    """Nobody has signed in yet."""
    monkeypatch.setenv("PLANTED_SECRET", CLIENT_SECRET)
    client = client_of(server, private_ca, client_secret=ClientSecret(variable="PLANTED_SECRET"))
    return OpenIdSource(client, Ladder(Manner(), browser_is_here=lambda: True, open_browser=person.open))


def sent(server):
    """What has gone to the token endpoint and is nobody's business."""
    values = {call.parameters[name] for call in server.calls for name in SENT if name in call.parameters}
    assert CLIENT_SECRET in values
    assert len(values) >= 3
    return values


def frames(error):
    """An error as `%xmode Verbose` shows it, all local variables of all frames."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


@contextlib.contextmanager
def token_endpoint(server, head, parts):
    """Until the end, the token endpoint that discovery names says ``head``, and of ``parts`` one at a time.

    Gives an event that is set when who asked is gone.
    """
    gone = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            connected, _ = listening.accept()
            if server._tls is not None:
                connected = server._tls.wrap_socket(connected, server_side=True)
            with connected:
                try:
                    connected.recv(65_536)
                    connected.sendall(head)
                    for part in parts:
                        connected.sendall(part)
                except OSError:
                    gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        document = json.loads(server._discovery(None).body)
        scheme = server.url.partition(":")[0]
        document["token_endpoint"] = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/token"
        server.inject("discovery", Fault(response=Response(body=json.dumps(document).encode())))
        yield gone


def drip(part, pause):
    for _ in itertools.count():
        time.sleep(pause)
        yield part


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDLESS = {
    "a body": (HEAD + b"Content-Length: 100000\r\n\r\n", b" ", 0.05),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.05),
    "headers": (HEAD + b"X-A: ", b"a", 0.05),
    "much": (HEAD + b"\r\n", b" " * 65_536, 0.0),
}


@both
@pytest.mark.parametrize("endless", ENDLESS)
@pytest.mark.slow
def test_an_answer_without_end_ends_within_the_time_limit_and_is_read_no_further(
    server, source, person, monkeypatch, endless
):
    """However it drips; the limit between two bytes alone would never be met."""
    monkeypatch.setattr(connection, "_DEADLINE", 1.0)
    head, part, pause = ENDLESS[endless]
    with token_endpoint(server, head, drip(part, pause)) as gone:
        began = time.monotonic()
        with pytest.raises(SourceUnavailableError, match=r"does not answer in time|not OpenID's"):
            source.login(person)
        assert time.monotonic() - began < 3
        assert gone.wait(2)


@both
def test_a_renewal_that_never_ends_lets_the_next_one_begin(server, source, person, monkeypatch):
    """The lock over renewals is free when the time limit is over."""
    source.login(person)
    server.inject("token", Fault.hang())
    monkeypatch.setattr(connection, "_DEADLINE", 0.3)
    held = source._grant.held
    source._grant.held = replace(held, received_at=held.received_at - timedelta(hours=2))
    with pytest.raises(SourceUnavailableError, match="does not answer in time"):
        source.token()
    assert not source._grant.renewing.locked()
    monkeypatch.undo()
    monkeypatch.setenv("PLANTED_SECRET", CLIENT_SECRET)
    assert source.token().subject


@both
@pytest.mark.parametrize("operation", ["discovery", "token"])
def test_a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked(server, source, person, operation):
    """Of 64 MB in 64 kB, a few are ever in memory."""
    packed = gzip.compress(b" " * 64_000_000)
    server.inject(operation, Fault(response=Response(body=packed, headers={"Content-Encoding": "gzip"})))
    tracemalloc.start()
    try:
        with pytest.raises(SourceUnavailableError, match="not OpenID's"):
            source.login(person)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


@both
def test_an_answer_that_is_packed_and_small_is_taken(server, source, person):
    """Some gateways pack everything."""
    body = gzip.compress(server._discovery(None).body)
    server.inject("discovery", Fault(response=Response(body=body, headers={"Content-Encoding": "gzip"})))
    assert source.login(person).subject


@both
def test_an_interrupt_of_a_request_shows_nothing_of_what_was_sent(server, source, person):
    """It lands where the main thread waits, and the libraries' frames with their plain strings are elsewhere."""
    server.inject("token", Fault.hang())

    def interrupt():
        while not server.count("token"):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught:
        source.login(person)
    thread.join()
    assert time.monotonic() - began < 3
    shown = frames(caught.value)
    assert not [value for value in sent(server) if value in shown]


ODD = {
    "deep JSON": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "expires_in of a list": b'{"access_token": "x", "expires_in": [1]}',
    "expires_in beyond all numbers": b'{"access_token": "x", "expires_in": 1e400}',
    "expires_at of an object": b'{"access_token": "x", "expires_at": {}}',
    "half an ID token": b'{"access_token": "x", "id_token": "abc"}',
    "numbers for strings": b'{"access_token": 1, "id_token": 2, "refresh_token": 3, "scope": 4}',
    "half a character": b'{"access_token": "\\ud800", "id_token": "\\ud800", "error_description": "\\ud800"}',
    "a long code": b'{"error": "invalid_grant", "error_description": "AADSTS' + b"9" * 5000 + b'"}',
}


@both
@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_is_an_error_of_ours_that_shows_nothing(server, source, person, odd):
    """Whatever a library makes of it, its frames are left behind."""
    server.inject("token", Fault(response=Response(body=ODD[odd], headers={"Content-Type": "application/json"})))
    with pytest.raises(FederationError) as caught:
        source.login(person)
    shown = frames(caught.value)
    assert not [value for value in sent(server) if value in shown]


@both
@pytest.mark.parametrize("paste", ["state=\ud800&code=x", "state=%ED%A0%80&code=x"])
def test_half_a_character_in_what_is_pasted_is_another_state(server, source, person, paste):
    """And no error of Python's, whose text would quote it."""
    person.paste = lambda redirect: f"{redirect.partition('?')[0]}?{paste}"
    source._ladder = Ladder(Manner(no_browser=True))
    with pytest.raises(LoginFailedError, match="does not belong to this sign-in"):
        source.login(person)


ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202eevil\u2066 \ud800\x00\u200b"


@both
def test_what_a_provider_repeats_of_what_it_refuses_is_not_shown(server, source, person, monkeypatch):
    """Some quote code and secret in their error_description, also encoded once more."""
    genuine = server.answer

    def answer(call):
        if call.operation != "token":
            return genuine(call)
        said = " ".join([*sent(server), *(quote(value, safe="") for value in sent(server))])
        body = json.dumps({"error": "invalid_grant", "error_description": f"No: {said}"}).encode()
        return Response(status=400, body=body)

    monkeypatch.setattr(server, "answer", answer)
    with pytest.raises(LoginFailedError, match="invalid_grant") as caught:
        source.login(person)
    shown = caught.value.diagnostics()
    assert "No: ***" in shown
    assert not [value for value in sent(server) if value in shown or quote(value, safe="") in shown]


@both
def test_what_a_provider_says_moves_no_cursor_and_turns_no_text(server, source, person):
    """Terminals obey escape sequences, and readers what is written from right to left."""
    said = {"error": f"invalid_grant{ESCAPES}", "error_description": f"line{ESCAPES}\nline"}
    server.inject("token", Fault(response=Response(status=400, body=json.dumps(said).encode())))
    with pytest.raises(FederationError) as caught:
        source.login(person)
    assert str(caught.value).isprintable()
    assert "owned" in str(caught.value)


def test_a_name_in_a_token_moves_no_cursor(provider):
    """It is shown as who is signed in; the claim itself is left as it is, because it is compared."""
    claims = dict.fromkeys(("email", "name", "sub"), f"ada{ESCAPES}")
    token = IdToken.parse(provider.id_token("ada", **claims))
    assert "ada]0;owned[2Jevil" == token.name.strip()
    assert f"ada{ESCAPES}" == token.subject
    with pytest.raises(InvalidTokenError, match=r"issuer \(iss\)"):
        IdToken.parse(provider.id_token("ada", iss=f"https://idp.example/{ESCAPES}"))
