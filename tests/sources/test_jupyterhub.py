"""The hub's auth state as a source, against a hub that says what each test wants; tests/hub has a real one."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import pickle
import socket
import ssl
import threading
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from jupyter_federation.assembly import source_of
from jupyter_federation.config import Configuration, Policy
from jupyter_federation.demo.loopback import Call, Fault, LoopbackServer, Response
from jupyter_federation.errors import (
    ConfigurationError,
    FederationError,
    InvalidTokenError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.sources.jupyterhub import NOTE, JupyterHubSource

NOW = datetime(2026, 5, 4, 12, tzinfo=timezone.utc)
ROLE = "arn:aws:iam::123456789012:role/Researcher"


class Hub(LoopbackServer):
    """Answers ``GET /hub/api/users/NAME`` with ``user`` and ``status``."""

    user: object = None
    status = 200

    def receive(self, request):
        return Call(operation=request.path, parameters={}, request=request)

    def answer(self, call):
        body = self.user if isinstance(self.user, bytes) else json.dumps(self.user).encode()
        return Response(status=self.status, body=body)

    def keeps(self, **auth_state):
        self.user = {"name": "ada", "auth_state": auth_state}


@pytest.fixture
def hub():
    with Hub() as server:
        yield server


@pytest.fixture
def environment(hub):
    """What JupyterHub gives a server."""
    return {
        "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
        "JUPYTERHUB_API_TOKEN": "the-server-s-own",
        "JUPYTERHUB_USER": "ada",
    }


class Clock:
    """``now()`` is what the test says; ``sleep`` moves it."""

    def __init__(self):
        self.time = NOW

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source(environment, clock):
    return JupyterHubSource(environment=environment, now=clock.now, sleep=clock.sleep)


class Prompt:
    """Counts the signs of life; anything else would be a question."""

    def __init__(self):
        self.waits = []

    def waiting(self, what, seconds):
        self.waits.append((what, seconds))


def id_token(*, until=NOW + timedelta(minutes=10), since=NOW, **claims):
    """A JWT with these claims, and no real signature."""
    claims = {"iss": "https://login.example.org", "sub": "ada", "aud": "hub", **claims}
    claims |= {"iat": int(since.timestamp()), "exp": int(until.timestamp())}
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2ln"])


def test_the_token_is_asked_for_with_the_servers_own(hub, source):
    """One GET of the user, with the server's API token; the ID token of the auth state comes back, silently."""
    hub.keeps(id_token=id_token(), access_token="opaque")
    assert "ada" == source.token().subject
    (call,) = hub.calls
    assert ("GET", "/hub/api/users/ada") == (call.request.method, call.operation)
    assert "token the-server-s-own" == call.request.headers["Authorization"]
    assert source.renewable


def test_a_name_is_quoted(hub, environment):
    """A user may be called by an e-mail address, or worse."""
    hub.keeps(id_token=id_token())
    JupyterHubSource(environment=environment | {"JUPYTERHUB_USER": "a/d?a@x.org"}, now=lambda: NOW).token()
    assert "/hub/api/users/a%2Fd%3Fa@x.org" == hub.calls[0].operation


def test_another_token_can_be_named(hub, environment):
    """`auth_state_key`; an opaque one has no end that is known, and is asked for when the credentials need it."""
    hub.keeps(access_token="opaque")
    source = JupyterHubSource(auth_state_key="access_token", environment=environment)
    assert ("opaque", None) == (source.token().raw, source.renew_at)


def test_no_proxy_stands_between(hub, source, monkeypatch):
    """The hub is inside; a proxy of the user's would learn the server's token."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    hub.keeps(id_token=id_token())
    source.token()


def test_it_is_asked_again_at_half_of_what_is_left(hub, source, clock):
    """By then the hub has renewed it; and never sooner than in five seconds, even where the hub does not."""
    hub.keeps(id_token=id_token(until=NOW + timedelta(seconds=40)))
    assert source.renew_at is None
    source.token()
    assert source.renew_at == NOW + timedelta(seconds=20)
    clock.time += timedelta(seconds=36)
    source.token()
    assert source.renew_at == clock.time + timedelta(seconds=5)


def test_a_laptop_is_told_so(clock):
    """Without the hub's variables nothing is sent, and nothing is waited for."""
    source = JupyterHubSource(environment={}, now=clock.now, sleep=clock.sleep)
    with pytest.raises(ConfigurationError, match="does not run on a JupyterHub: JUPYTERHUB_USER is not set"):
        source.token()
    assert clock.time == NOW


def sign_in(source):
    """What a session does: silently, then as somebody who can wait."""
    try:
        return source.token()
    except LoginRequiredError:
        return source.login(Prompt())


NO_PROBLEM = {"id_token": id_token(until=NOW - timedelta(minutes=1), since=NOW - timedelta(hours=1))}
CASES = {
    "no scope": (ConfigurationError, "does not let your server read the login", {"name": "ada"}, 200),
    "no scope at all": (
        ConfigurationError,
        "does not let your server read anything",
        {"status": 403, "message": "Action is not authorized with current scopes; requires any of [read:users]"},
        403,
    ),
    "no auth state": (LoginRequiredError, "keeps nothing of your login", {"auth_state": None}, 200),
    "GitHub": (
        ConfigurationError,
        "carries no `id_token`; it carries access_token",
        {"auth_state": {"access_token": "o", "refresh_token": None}},
        200,
    ),
    "mod_shib": (ConfigurationError, "it carries no token", {"auth_state": {"eppn": "ada"}}, 200),
    "provider down": (
        SourceUnavailableError,
        "provider https://login.example.org does not answer the hub; your token ended at 11:59:00 UTC",
        {"auth_state": NO_PROBLEM | {NOTE: {"problem": "provider-unreachable"}}},
        200,
    ),
    "hub refused": (
        SourceUnavailableError,
        "hub could not renew your login at https://login.example.org; your token ended at 11:59:00 UTC",
        {"auth_state": NO_PROBLEM | {NOTE: {"problem": "not-renewed"}}},
        200,
    ),
    "somebody else's": (
        SourceUnavailableError,
        "renewed your login with an ID token that is not yours",
        {"auth_state": NO_PROBLEM | {NOTE: {"problem": "other-id-token"}}},
        200,
    ),
    "no refresh token": (
        LoginRequiredError,
        "nothing to renew it with",
        {"auth_state": NO_PROBLEM | {NOTE: {"problem": "no-refresh-token"}}},
        200,
    ),
    "no ID token in a renewal": (
        LoginRequiredError,
        "renews it without an ID token",
        {"auth_state": NO_PROBLEM | {NOTE: {"problem": "no-id-token"}}},
        200,
    ),
    "login ended": (
        LoginRequiredError,
        "Your login to the hub has ended",
        {"auth_state": {"id_token": id_token(), NOTE: {"problem": "login-ended"}}},
        200,
    ),
    "a hub without our hook": (SourceUnavailableError, "ended at 11:59:00", {"auth_state": NO_PROBLEM}, 200),
    "strict": (
        SourceUnavailableError,
        "login there has ended, its identity provider is down",
        {"status": 403, "message": "Missing or invalid credentials."},
        403,
    ),
    "a stranger": (LoginRequiredError, "no user of your name", {"status": 404, "message": "Not Found"}, 404),
    "restarting": (SourceUnavailableError, "HTTP 503", b"<html>", 503),
    "no hub": (SourceUnavailableError, "is no hub", b"<html>", 200),
    "no token": (InvalidTokenError, "hub's `id_token`: ", {"auth_state": {"id_token": "Bearer x"}}, 200),
    "another clock": (
        InvalidTokenError,
        "in this machine's future",
        {"auth_state": {"id_token": id_token(since=NOW + timedelta(hours=1), until=NOW + timedelta(hours=2))}},
        200,
    ),
}
FOR_ADMINISTRATORS = set(CASES) - {"login ended", "a stranger", "restarting", "no hub", "no token"}
FOR_ADMINISTRATORS -= {"another clock"}


@pytest.mark.parametrize("note", [None, {"sealed_refresh_token": "x"}])
def test_a_hub_that_is_kept_refuses_whose_login_has_ended(hub, source, note):
    """Up to JupyterHub 6.0 it cannot say why; the administrator's hook is never the reason, so it is the login."""
    hub.keeps(id_token=id_token(), **{NOTE: note})
    token = source.token()
    hub.user, hub.status = {"status": 403, "message": "Missing or invalid credentials."}, 403
    with pytest.raises(LoginRequiredError, match="Your login to the hub has ended, or the hub has forgotten") as caught:
        source.token()
    assert "Log in to the hub again" in caught.value.fix
    assert "hub-refuses-the-server" == caught.value.facts["finding"]
    assert (token, None) == (source.last_token(), source.renew_at)
    hub.status = 503  # meanwhile it restarts: what has ended has ended
    with pytest.raises(SourceUnavailableError):
        source.token()
    assert token == source.last_token()


@pytest.mark.parametrize("name", CASES)
def test_each_reason_has_a_sentence_of_its_own(hub, source, name):
    """For the person, what to do; for the administrator, a line where they are the one who can."""
    kind, sentence, hub.user, hub.status = CASES[name]
    with pytest.raises(kind) as caught:
        sign_in(source)
    assert kind is type(caught.value)
    assert sentence in caught.value.problem
    assert (name in FOR_ADMINISTRATORS) == ("\nadministrator: " in caught.value.diagnostics())
    assert "eyJ" not in caught.value.diagnostics()


def test_no_two_reasons_sound_alike(hub, environment, clock):
    """Whoever reads the sentence aloud on the phone has said which it is."""
    problems = []
    for _, _, hub.user, hub.status in CASES.values():
        with pytest.raises(FederationError) as caught:
            sign_in(JupyterHubSource(environment=environment, now=clock.now, sleep=clock.sleep))
        problems.append(caught.value.problem)
    assert len(CASES) == len(set(problems))


def test_a_hub_that_is_gone(hub, source):
    """Its address is named; the server's token is not."""
    hub.stop()
    with pytest.raises(SourceUnavailableError, match=r"cannot be reached \(http://127.0.0.1:\d+/hub/api\)") as caught:
        sign_in(source)
    assert "the-server" not in caught.value.diagnostics()
    assert caught.value.__cause__ is None


NO_HUB = {
    "a list": b"[]",
    "without an end to its depth": b"[" * 100_000,
    "of 5 MB": b'{"name": "' + b"x" * 5_000_000 + b'"}',
    "of bytes": b"\xff\xfe\x00",
}


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("name", NO_HUB)
def test_an_answer_that_no_hub_gives(hub, source, name):
    """It is read to a measure, and an outage."""
    hub.user = NO_HUB[name]
    with pytest.raises(SourceUnavailableError, match="is no hub") as caught:
        source.login(Prompt())
    assert caught.value.__context__ is None


def test_an_answer_that_drips(environment, monkeypatch):
    """A byte every now and then is no end: the request as a whole has one."""
    monkeypatch.setattr("jupyter_federation.openid.connection._DEADLINE", 0.5)
    stopped = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stopped.wait(0.05):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        environment |= {"JUPYTERHUB_API_URL": f"http://127.0.0.1:{listener.getsockname()[1]}/hub/api"}
        began = time.monotonic()
        with pytest.raises(LoginRequiredError, match="does not answer in time"):
            JupyterHubSource(environment=environment).token()
        stopped.set()
    assert time.monotonic() - began < 3


ADDRESSES = (
    "http://grace:hunter2@127.0.0.1:1/hub/api",
    "file:///etc/passwd",
    "http://[::1",
    "http:///hub/api",
    "http://127.0.0.1:1/hub/api?",
    "http://127.0.0.1:1/hub/api#",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none(environment, address):
    """A password in it would be shown, and sent in the token's place."""
    source = JupyterHubSource(environment=environment | {"JUPYTERHUB_API_URL": address})
    with pytest.raises(ConfigurationError, match="JUPYTERHUB_API_URL is not the plain address") as caught:
        source.token()
    assert "hunter2" not in caught.value.diagnostics() + str(vars(caught.value))
    assert "hub-unreachable" == caught.value.facts["finding"]


@pytest.mark.parametrize("user", [".", ".."])
def test_a_name_that_leads_elsewhere(hub, environment, user):
    """requests takes such a part of a path away, with the one before it."""
    with pytest.raises(ConfigurationError, match="JUPYTERHUB_USER is nobody's name") as caught:
        JupyterHubSource(environment=environment | {"JUPYTERHUB_USER": user}).token()
    assert "hub-user-unknown" == caught.value.facts["finding"]
    assert [] == hub.calls


@pytest.mark.parametrize("other", [{"sub": "grace"}, {"iss": "https://other.example.org"}])
def test_somebody_else_s_token_is_not_taken(hub, source, other):
    """A live session does not change hands: by clear, and a sign-in, alone."""
    hub.keeps(id_token=id_token())
    token = source.token()
    hub.keeps(id_token=id_token(**other))
    for ask in (source.token, lambda: source.login(Prompt())):
        with pytest.raises(InvalidTokenError, match="somebody else's token than before") as caught:
            ask()
    assert "%federate clear" in caught.value.fix
    hub.keeps(id_token=id_token(email="ada@example.org"))
    assert token.subject == source.token().subject
    source.forget()
    hub.keeps(id_token=id_token(**other))
    assert other.items() <= source.token().claims.items()


@pytest.mark.parametrize("problem", ["no-refresh-token", "no-id-token"])
def test_a_login_that_nothing_renews(hub, source, problem):
    """It is said from the first, with what to do; the hub is asked on, for the person may have logged in again."""
    hub.keeps(id_token=id_token(), **{NOTE: {"problem": problem}})
    token = source.token()
    assert not source.renewable
    assert source.renew_at < token.expires_at
    (remark,) = source.remarks
    assert "log in to the hub again" in remark
    hub.keeps(id_token=id_token(), **{NOTE: None})
    source.token()
    assert (True, ()) == (source.renewable, source.remarks)


def test_a_hub_that_does_not_answer_takes_less_than_an_attempt(hub, source, monkeypatch):
    """A renewal has ten seconds; what hangs is given up before."""
    monkeypatch.setattr("jupyter_federation.sources.jupyterhub._TIMEOUT", (0.2, 0.2))
    hub.keeps(id_token=id_token())
    source.token()
    hub.inject("/hub/api/users/ada", Fault.hang())
    with pytest.raises(SourceUnavailableError, match="does not answer in time"):
        source.token()


def test_a_sign_in_waits_for_what_may_pass(hub, source, clock):
    """A hub that restarts is awaited with a sign of life each second, and the token is taken when it is back."""
    hub.keeps(id_token=id_token())
    gone = Fault(response=Response(status=503))
    hub.inject("/hub/api/users/ada", gone, times=3)
    with pytest.raises(LoginRequiredError, match="HTTP 503"):
        source.token()
    prompt = Prompt()
    assert "ada" == source.login(prompt).subject
    assert [("The hub answers with HTTP 503; trying again", second) for second in range(1, 7)] == prompt.waits


def test_a_sign_in_does_not_wait_for_ever(hub, source, clock):
    """A minute; then the reason."""
    hub.status = 503
    with pytest.raises(SourceUnavailableError, match="HTTP 503"):
        source.login(Prompt())
    assert timedelta(seconds=60) == clock.time - NOW


def test_a_sign_in_at_a_hub_that_hangs_takes_a_minute(environment, hub, clock, monkeypatch):
    """The time for which each question hangs counts too."""
    hub.status, waits = 503, []
    source = JupyterHubSource(environment=environment, now=clock.now, sleep=clock.sleep)
    ask = source._ask

    def hanging():
        clock.time += timedelta(seconds=8)
        return ask()

    monkeypatch.setattr(source, "_ask", hanging)
    with pytest.raises(SourceUnavailableError, match="HTTP 503"):
        source.login(SimpleNamespace(waiting=lambda _, seconds: waits.append(seconds)))
    assert timedelta(seconds=60) <= clock.time - NOW <= timedelta(seconds=75)
    assert sorted(waits) == waits


def test_a_renewal_does_not_wait(hub, source, clock):
    """It is asked again by the session, which holds valid credentials meanwhile."""
    hub.keeps(id_token=id_token())
    source.token()
    hub.status = 503
    with pytest.raises(SourceUnavailableError):
        source.token()
    assert clock.time == NOW


def test_the_last_token_of_a_login_that_ended(hub, source, clock):
    """It buys one last set of keys while it lives, and the hub's next login is taken like the first."""
    hub.keeps(id_token=id_token())
    token = source.token()
    assert source.last_token() is None
    hub.keeps(id_token=id_token(), **{NOTE: {"problem": "login-ended"}})
    with pytest.raises(LoginRequiredError, match="Log in to the hub again"):
        source.token()
    assert (token, None) == (source.last_token(), source.renew_at)
    clock.time += timedelta(minutes=10)
    assert source.last_token() is None
    hub.keeps(id_token=id_token(since=clock.time, until=clock.time + timedelta(minutes=10)))
    assert source.token().expires_at > clock.time
    assert source.renew_at is not None


def test_forgotten_is_forgotten(hub, source):
    """And there is nothing to sign out of: the login is the hub's."""
    hub.keeps(id_token=id_token())
    source.token()
    assert source.sign_out() is None
    assert source.renew_at is None


def test_nothing_shows_the_token(hub, source):
    """Neither repr, nor pickle, nor copy."""
    hub.keeps(id_token=id_token())
    token = source.token()
    assert "eyJ" not in repr(token) + repr(vars(source)) + repr(source)
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            take(source)


def test_a_hub_over_tls(certificates, environment, hub):
    """By `ca_bundle`, or by JupyterHub's own files (`internal_ssl`), which show the hub a certificate too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    context.load_cert_chain(certificates.chain, certificates.key)
    with Hub(tls=context) as secure:
        secure.keeps(id_token=id_token())
        environment |= {"JUPYTERHUB_API_URL": f"{secure.url}/hub/api"}
        with pytest.raises(ConfigurationError, match="not trusted here"):
            JupyterHubSource(environment=environment).token()
        JupyterHubSource(environment=environment, ca_bundle=str(certificates.ca), now=lambda: NOW).token()
        with pytest.raises(ConfigurationError, match="cannot be read"):
            JupyterHubSource(environment=environment, ca_bundle="/nowhere.pem").token()
        context.verify_mode = ssl.CERT_REQUIRED
        files = {"KEYFILE": certificates.key, "CERTFILE": certificates.chain, "CLIENT_CA": certificates.ca}
        environment |= {f"JUPYTERHUB_SSL_{name}": str(path) for name, path in files.items()}
        JupyterHubSource(environment=environment, now=lambda: NOW).token()


def test_a_profile_names_it(hub, environment, monkeypatch):
    """`source` jupyterhub, with `auth_state_key`."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hub.keeps(token="opaque")
    profile = Configuration().profile(source="jupyterhub", auth_state_key="token", role_arn=ROLE, region="eu-west-1")
    assert "opaque" == source_of(profile, {}, Policy()).token().raw
