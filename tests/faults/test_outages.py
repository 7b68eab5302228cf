"""Bad networks, real sockets: every caller has an answer in time, what is valid is served, and it recovers."""

import contextlib
import re
import socket
import ssl
import sys
import threading
import time
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import boto3
import pytest
import trustme
from doubles import FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher
from faults import fault_proxy
from faults.fault_proxy import FaultProxy, answers

from jupyter_federation.delivery.live import LiveCredentials
from jupyter_federation.demo.aws import EmbeddedAws, Fault
from jupyter_federation.errors import ExchangeError, FederationError, SourceUnavailableError
from jupyter_federation.federated_session import FederatedSession, RefreshPolicy
from jupyter_federation.refresher import SystemClock


@contextlib.contextmanager
def impatient(session, seconds=0.5):
    """A deadline so short that a test need not wait ten seconds for it."""
    session._policy = RefreshPolicy(deadline=seconds)
    yield
    session._policy = RefreshPolicy()


def seconds_of(work):
    started = time.monotonic()
    work()
    return time.monotonic() - started


class Shifted(SystemClock):
    """This machine's clocks after a sleep of ``ahead`` seconds that the wall clock has not seen."""

    ahead = 0.0

    def elapsed(self):
        return SystemClock.elapsed() + self.ahead


def attempt_threads():
    return sum(thread.name == "jupyter-federation-attempt" for thread in threading.enumerate())


def gone(there, seconds=5):
    """Whether what is ``there()`` goes in time."""
    deadline = time.monotonic() + seconds
    while there() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not there()


@pytest.fixture
def proxy(aws, aws_environment, monkeypatch):
    """What stands between botocore and the embedded AWS."""
    with FaultProxy(aws.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


FAULTS = {
    "hangs": (fault_proxy.hangs, "No answer within 0.5 seconds", "HTTPS_PROXY"),
    "drips": (fault_proxy.drips, "No answer within 0.5 seconds", "HTTPS_PROXY"),
    "late": (fault_proxy.late(2), "No answer within 0.5 seconds", "HTTPS_PROXY"),
    "resets": (fault_proxy.resets, "closed the connection without an answer|reset", "HTTPS_PROXY"),
    "half-closes": (fault_proxy.closes_half, "closed the connection without an answer", "Try again"),
    "cuts": (fault_proxy.cuts, "cannot be used|could not be sent", "HTTPS_PROXY"),
    "garbage": (fault_proxy.garbage, "closed the connection|could not be sent|cannot be read", "HTTPS_PROXY"),
    "500": (answers(500), "", ""),
    "502": (answers(502), "", ""),
    "503": (answers(503), "", ""),
    "504": (answers(504), "", ""),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", ["cognito", "sts"])
def test_a_caller_has_an_answer_by_the_deadline(over_http, proxy, kind, fault):
    """A typed, retryable error with a sentence, the credentials stay, and the next try succeeds at once."""
    misbehaves, problem, fix = fault
    signed_in = over_http(kind)
    session = signed_in.session
    before = session.credentials()
    proxy.script.append(misbehaves)

    def refused():
        with pytest.raises(ExchangeError) as caught:
            session.refresh()
        assert re.search(problem, caught.value.problem), caught.value.problem
        assert fix in caught.value.fix
        assert caught.value.retryable, caught.value

    with impatient(session):
        assert seconds_of(refused) < 1
    assert before is session.credentials()
    assert "valid" == signed_in.heard("refresh_failed").credentials
    session.refresh()
    assert before is not session.credentials()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault_proxy.hangs, fault_proxy.drips])
def test_the_deadline_is_ten_seconds(over_http, proxy, fault):
    """With the policy as it is, eight callers after the expiry have their answer within it, of one attempt."""
    clock = Shifted()
    session = over_http("cognito", clock=clock).session
    proxy.always = fault
    clock.ahead = 3601
    seen, taken = proxy.requests, []

    def read():
        with pytest.raises(ExchangeError, match=r"expired .* could not be renewed"):
            session.credentials()

    callers = [threading.Thread(target=lambda: taken.append(seconds_of(read))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert 8 == len(taken)
    assert max(taken) < 10.5
    assert seen + 1 == proxy.requests


def test_a_hanging_token_callable_is_given_up(over_http, provider):
    """The deadline holds for token and exchange together; the next one that answers is taken."""
    answers_again = threading.Event()
    answers_again.set()

    def token():
        answers_again.wait(5)
        return provider.id_token("ada")

    session = over_http("cognito", token=token).session
    before = session.credentials()
    answers_again.clear()

    def refused():
        with pytest.raises(ExchangeError, match=r"No answer within 0\.5 seconds") as caught:
            session.refresh()
        assert "token source" in caught.value.fix

    with impatient(session):
        assert seconds_of(refused) < 1
    assert before is session.credentials()
    answers_again.set()
    assert gone(lambda: session._state.hanging[0].is_running)
    assert before is session.credentials(), "a late answer was taken"
    session.refresh()
    assert before is not session.credentials()


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_token_callable_that_ends_its_thread_is_a_failure(over_http, provider, ending):
    """sys.exit() in a callable is told, is not a success, and does not look as if it were under way."""
    endings = []

    def token():
        for each in endings:
            raise each
        return provider.id_token("ada")

    session = over_http("cognito", token=token).session
    endings.append(ending)
    with pytest.raises(FederationError, match=f"{ending.__name__} in token"):
        session.refresh()
    assert False is session.status().refreshing
    endings.clear()
    session.refresh()


def test_a_token_callable_that_refreshes_is_told_at_once(over_http, provider):
    """It would wait for itself until the deadline."""
    caught = []

    def token():
        if sessions:
            try:
                sessions[0].refresh()
            except SourceUnavailableError as error:
                caught.append(error.problem)
        return provider.id_token("ada")

    sessions = []
    session = over_http("cognito", token=token).session
    sessions.append(session)
    assert seconds_of(session.refresh) < 2
    assert ["The token source waits for the very renewal that it was asked for."] == caught


@pytest.mark.parametrize(("kind", "code"), [("cognito", "TooManyRequestsException"), ("sts", "Throttling")])
@pytest.mark.parametrize("retry_after", [None, 40])
def test_throttling_is_retried_when_aws_says(over_http, aws, kind, code, retry_after):
    """Retry-After counts; without it the usual delay; one request for each attempt, because nothing below retries."""
    signed_in = over_http(kind)
    session = signed_in.session
    before, calls = session.credentials(), aws.count(signed_in.operation)
    aws.throttle(signed_in.operation, retry_after=retry_after)
    with pytest.raises(ExchangeError) as caught:
        session.refresh()
    assert (code, True) == (caught.value.aws_code, caught.value.retryable)
    assert calls + 1 == aws.count(signed_in.operation)
    wait = session._state.due_at - session._clock.elapsed()
    shortest, longest = (2, 5) if retry_after is None else (39, 43)
    assert shortest <= wait <= longest
    assert before is session.credentials()


def test_a_refused_connection(over_http, aws, monkeypatch):
    """The sentence names the endpoint and what to check."""
    with socket.socket() as taken:  # bound and not listening: refused, and nobody else gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        session = over_http("sts", login=False).session
        with pytest.raises(ExchangeError, match="refused the connection") as caught:
            session.login(Nobody())
    assert "AWS_ENDPOINT_URL" in caught.value.fix
    assert caught.value.retryable


def test_a_name_that_does_not_resolve(over_http, monkeypatch):
    """DNS has a sentence of its own."""

    def unknown(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    session = over_http("sts", login=False).session
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ExchangeError, match=r"sts\.eu-west-1\.amazonaws\.com.* cannot be resolved \(DNS\)") as caught:
        session.login(Nobody())
    assert "region" in caught.value.fix


def test_a_certificate_of_an_unknown_authority(over_http, provider, role, monkeypatch, tmp_path):
    """TLS that a company opens: the sentence names AWS_CA_BUNDLE, and with the bundle it works."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with EmbeddedAws(tls=context) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        session = over_http("sts", login=False).session
        with pytest.raises(ExchangeError, match="is not trusted on this machine") as caught:
            session.login(Nobody())
        assert "AWS_CA_BUNDLE" in caught.value.fix
        bundle = tmp_path / "company.pem"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        with pytest.raises(ExchangeError, match="OpenID provider"):  # reached: this one knows no provider
            session.login(Nobody())


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses(over_http, proxy, monkeypatch, status):
    """The sentence names the proxy, and HTTPS_PROXY to change."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxy.always = answers(status)
    session = over_http("sts", login=False).session
    with pytest.raises(ExchangeError, match="does not let the request for AWS through") as caught:
        session.login(Nobody())
    assert proxy.url in caught.value.problem
    assert "HTTPS_PROXY" in caught.value.fix


@pytest.mark.slow
def test_ten_seconds_of_outage(over_http, aws):
    """At most three attempts, no error for whoever signs, and recovery within 15 seconds of its end."""
    signed_in = over_http("cognito")
    session = signed_in.session
    known, calls = session.credentials().access_key_id, aws.count(signed_in.operation)
    aws.fail(signed_in.operation, "InternalErrorException", status=500, times=10_000)
    with pytest.raises(ExchangeError):
        session.refresh()
    started = time.monotonic()
    while time.monotonic() - started < 10:
        assert known == session.credentials().access_key_id
        time.sleep(0.01)
    assert aws.count(signed_in.operation) - calls <= 3
    aws._faults.clear()
    ended = time.monotonic()
    while known == session.credentials().access_key_id:
        assert time.monotonic() - ended < 15, "not recovered"
        time.sleep(0.01)
    assert None is session.status().last_error


@pytest.mark.slow
def test_what_is_valid_is_served_to_its_true_expiry(over_http, aws, monkeypatch):
    """In an outage AWS takes what is signed until the last moment, and from then on nothing is signed at all."""
    monkeypatch.setattr(aws, "lifetime", timedelta(seconds=6))
    signed_in = over_http("cognito")
    live = LiveCredentials()
    live.follow(signed_in.session)
    expires_at = signed_in.session.credentials().expires_at
    aws.fail(signed_in.operation, "InternalErrorException", status=500, times=10_000)
    core = boto3.Session(region_name="eu-west-1")
    core._session._credentials = live
    client = core.client("sts")
    served, waits = [], []

    def sign_on():
        while True:
            waits.append(seconds_of(live.get_frozen_credentials))
            if expires_at - aws.now() > timedelta(seconds=0.25):  # what is signed later may arrive too late
                client.get_caller_identity()
                served.append(aws.now())
            time.sleep(0.02)

    with pytest.raises(ExchangeError, match=r"expired at .* could not be renewed"):
        sign_on()
    with pytest.raises(ExchangeError, match=r"expired at .* could not be renewed"):
        client.get_caller_identity()
    assert expires_at - max(served) < timedelta(seconds=0.5)
    assert max(waits) < 0.25
    asked = [call.status for call in aws.calls if call.operation == "GetCallerIdentity"]
    assert {200} == set(asked), "something was signed with expired keys"


def test_two_hundred_refreshes_on_a_bad_network_leave_no_thread(over_http, proxy):
    """Every fault that ends by itself, in turn: no attempt is left, and none of their sockets."""
    before = attempt_threads()
    session = over_http("sts").session
    faults = cycle([fault_proxy.passed_on, fault_proxy.resets, fault_proxy.garbage, answers(503), fault_proxy.cuts])
    proxy.script.extend(next(faults) for _ in range(200))
    failures = 0
    for _ in range(200):
        try:
            session.refresh()
        except ExchangeError:
            failures += 1
    assert 160 == failures
    session.close()
    assert gone(lambda: attempt_threads() > before)


@pytest.mark.slow
def test_given_up_attempts_end_when_their_socket_does(over_http, aws):
    """Two hundred that answer too late: few at a time, and none in the end."""
    before = attempt_threads()
    signed_in = over_http("sts")
    aws.inject(signed_in.operation, Fault(delay=0.3), times=200)
    most = 0
    with impatient(signed_in.session, 0.03):
        for _ in range(200):
            with pytest.raises(ExchangeError):
                signed_in.session.refresh()
            most = max(most, attempt_threads() - before)
    assert most <= 20
    assert gone(lambda: attempt_threads() > before + 2), "two wait for the next attempt"
    signed_in.session.close()
    assert gone(lambda: attempt_threads() > before)


def test_the_more_attempts_hang_the_rarer_the_tries():
    """A callable that hangs for ever, overnight: dozens of threads and not thousands."""
    clock = FakeClock()
    background = StepRefresher(clock)
    exchange = ScriptedExchange(clock)
    session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=background)
    session.login(Nobody())
    background.hanging = True
    still_there = threading.Event()
    thread = threading.Thread(target=still_there.wait, args=(30,))
    thread.start()
    for _ in range(8 * 3600):
        clock.advance(1)
        session.tick()
        for attempt, _ in background.pending:
            attempt.thread = thread
    still_there.set()
    thread.join()
    assert 20 < len(background.pending) < 80
    background.pending.clear()
    background.hanging = False
    clock.advance(11)
    session.refresh()
    assert None is session.status().last_error


@pytest.mark.skipif(sys.platform != "linux", reason="counts file descriptors in /proc")
def test_two_hundred_refreshes_open_no_more_files(over_http, proxy):
    """Connections are used again or closed."""
    session = over_http("cognito").session

    session.refresh()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(100):
        if number % 10 == 0:
            proxy.script.append(fault_proxy.resets)
        with contextlib.suppress(ExchangeError):
            session.refresh()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4
