"""A whole kernel while ID tokens of seconds come and go: boto3 works, and the counts are what they must be.

Each proof has a short form, with tokens of a few seconds, and a long one, with tokens of up to a minute, for `make
soak`.  AWS and the provider give expiries in whole seconds, so what lives L seconds lives between L - 1 and L.
Where the machine is slow, all of them live longer.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from datetime import datetime, timedelta, timezone

import boto3
import pytest
from botocore.config import Config
from pace import pace, stretched

from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import LoginRequiredError

pytestmark = pytest.mark.slow

ONCE = Config(retries={"total_max_attempts": 1})  # a failure is one, and not the first of five tries


def short(*values, provider="any"):
    return pytest.param(provider, *values, id=named("short", [provider, *values]))


def long(*values):
    """By way of each client's library."""
    marks = [pytest.mark.soak, pytest.mark.timeout(900)]
    return [
        pytest.param(provider, *values, id=named("long", [provider, *values]), marks=marks)
        for provider in ("any", "Entra")
    ]


def proofs(names, *forms):
    """A proof in its ``forms``, short and long; ``names`` follow the provider."""
    params = [each for form in forms for each in (form if isinstance(form, list) else [form])]
    return pytest.mark.parametrize(("provider", *names), params, indirect=["provider"])


def named(form, values):
    return "-".join([form, *(getattr(value, "__name__", str(value)) for value in values)])


class Work:
    """Somebody who asks AWS five times a second, through three services; ``failures`` is what came of it."""

    def __init__(self, pace):
        self._pace = pace
        session = boto3.DEFAULT_SESSION
        self.asks = (
            boto3.client("sts", config=ONCE).get_caller_identity,
            boto3.client("s3", config=ONCE).list_buckets,
            session.client("dynamodb", config=ONCE).list_tables,
        )
        self.done = 0
        self.failures = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)

    def _run(self):
        while not self._ending.wait(0.2):
            try:
                self.asks[self.done % len(self.asks)]()
            except Exception as error:  # noqa: BLE001 - whatever a notebook would see
                self.failures.append(error)
            self.done += 1

    def __enter__(self):
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind, error, traceback):
        self._ending.set()
        self._thread.join()
        if kind is None:
            assert [] == self.failures
            assert self.done > (time.monotonic() - self._began) / self._pace  # and was not held up


def until(condition, seconds):
    """Whether ``condition`` came true within ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Scene:
    """A kernel, the person before it, the provider and AWS; ``late``: seconds by which a busy machine may be late."""

    def __init__(self, kernel, person, provider, aws):
        self.kernel, self.person, self.provider, self.aws = kernel, person, provider, aws
        self._pace = self.late = pace()

    def stretched(self, *seconds):
        """Each at the machine's pace."""
        return [stretched(each, self._pace) for each in seconds]

    def between(self, seconds, shortest, longest):
        """How often something happens in ``seconds`` that happens every ``shortest`` to ``longest`` seconds."""
        return range(math.floor(seconds / (longest + self.late / 2)), math.ceil(seconds / shortest) + 1)

    def work(self):
        """Somebody at work meanwhile."""
        return Work(self._pace)

    def federate(self, *, tokens, keys=3600):
        """Sign in where ID tokens live ``tokens`` seconds and AWS's keys ``keys``."""
        self.provider.id_token_lifetime = timedelta(seconds=tokens)
        self.aws.lifetime = timedelta(seconds=keys)
        return self.again()

    def again(self):
        """One more %federate."""
        return self.kernel.federate(prompt=self.person)

    def asked(self, grant_type, status=200):
        """How many requests of that kind the provider answered so."""
        return sum(
            call.parameters.get("grant_type") == grant_type and call.status == status for call in self.provider.calls
        )

    @property
    def exchanges(self):
        """The requests for keys."""
        return [call for call in self.aws.calls if call.operation == "AssumeRoleWithWebIdentity"]


@pytest.fixture
def scene(kernel, person, provider, aws):
    """Nobody has signed in yet."""
    before = provider.id_token_lifetime
    yield Scene(kernel, person, provider, aws)
    provider.id_token_lifetime = before


@proofs(["tokens"], short(4), long(60))
def test_over_five_lifetimes_nothing_fails_and_nobody_is_asked(scene, tokens):
    """One prompt and one exchange, because keys live an hour; a renewal at each half life, because tokens do not."""
    (tokens,) = scene.stretched(tokens)
    scene.federate(tokens=tokens)
    with scene.work():
        time.sleep(5 * tokens)
    assert 1 == scene.asked("authorization_code") == len(scene.person.shown) == len(scene.person.addresses)
    assert scene.asked("refresh_token") in scene.between(5 * tokens, (tokens - 1) / 2, tokens / 2)
    assert 1 == len(scene.exchanges)
    status = scene.kernel.status()
    assert ("valid", "ok", None) == (status.credentials, status.sign_in, status.last_error)


@proofs(
    ["tokens", "keys", "seconds"],
    short(16, 7, 14),
    long(60, 25, 150),
    long(25, 60, 150),
    long(30, 31, 150),
)
def test_two_clocks_run_side_by_side(scene, tokens, keys, seconds):
    """Keys are renewed by theirs and ID tokens by theirs, whichever is shorter: neither costs a renewal of the other.

    Keys are due between 1/3 + 1/10 and 1/3 of their life before they expire, ID tokens at half of it; no client ever
    waits for either.
    """
    tokens, keys, seconds = scene.stretched(tokens, keys, seconds)
    events = []
    scene.kernel.subscribe(lambda event, status: events.append(event))
    scene.federate(tokens=tokens, keys=keys)
    with scene.work():
        time.sleep(seconds)
    assert scene.asked("refresh_token") in scene.between(seconds, (tokens - 1) / 2, tokens / 2)
    assert len(scene.exchanges) - 1 in scene.between(seconds, (keys - 1) * (2 / 3 - 1 / 10), keys * 2 / 3)
    assert {"federated", "refreshed"} == set(events)
    assert (1, 1) == (scene.asked("authorization_code"), len(scene.person.shown))
    assert ("valid", "ok") == (scene.kernel.status().credentials, scene.kernel.status().sign_in)


@proofs(
    ["tokens", "keys", "seed"],
    short(8, 20, 7, provider="Entra"),
    *(long(20, 50, seed) for seed in range(1, 7)),
)
def test_a_refresh_token_that_is_revoked_at_any_moment(scene, tokens, keys, seed):
    """It shows within half of the ID token's life and buys one last set of keys; then one sign-in mends everything."""
    tokens, keys = scene.stretched(tokens, keys)
    heard = []
    scene.kernel.subscribe(lambda event, status: heard.append((event, time.monotonic(), status)))
    scene.federate(tokens=tokens, keys=keys)
    with scene.work() as work:
        time.sleep(random.Random(seed).uniform(0, 0.9 * tokens))  # before the keys are due by their own clock
        scene.provider.revoke_all()
        revoked = time.monotonic()
        assert until(lambda: "needs_you" in [event for event, _, _ in heard], tokens), heard
        _, noticed, status = next(each for each in heard if each[0] == "needs_you")
        assert noticed - revoked < tokens / 2 + 2 * scene.late, heard
        assert status.sign_in_expires_at > datetime.now(timezone.utc)
        last = scene.exchanges
        assert 2 == len(last)
        assert last[-1].parameters["WebIdentityToken"] == str.__str__(scene.kernel.sources[0]._grant.held.token.raw)
        left = status.credentials_expire_at - datetime.now(timezone.utc)
        assert left > timedelta(seconds=keys - 2 - scene.late)  # whole ones, and not the rest of those before
        time.sleep(left.total_seconds() - 0.5)
    time.sleep(1)
    for ask in work.asks:
        with pytest.raises(
            LoginRequiredError, match=r"expired .*invalid_grant.*Run %federate research.*clients.*go on"
        ):
            ask()
    assert (1, 2) == (scene.asked("refresh_token", 400), len(scene.exchanges))
    assert ("expired", "needs_you") == (scene.kernel.status().credentials, scene.kernel.status().sign_in)
    assert 1 == len(scene.person.shown)
    assert ("valid", "ok") == (scene.again().credentials, scene.kernel.status().sign_in)
    for ask in work.asks:
        ask()
    assert (2, 3) == (len(scene.person.addresses), len(scene.exchanges))


@contextlib.contextmanager
def answering_503(provider):
    provider.inject("token", Fault(response=Response(status=503)), times=1000)
    yield
    provider.recover()


@contextlib.contextmanager
def refusing_connections(provider):
    provider.stop()
    try:
        yield
    finally:
        provider.start()


@contextlib.contextmanager
def hanging(provider):
    provider.inject("token", Fault.hang(), times=1000)
    yield
    provider.recover()


@proofs(
    ["down", "tokens", "seconds"],
    short(answering_503, 4, 4, provider="Entra"),
    short(refusing_connections, 4, 4),
    long(answering_503, 60, 90),
    long(refusing_connections, 60, 90),
    long(hanging, 60, 90),
)
def test_a_provider_that_was_down_is_back_within_15_seconds(scene, down, tokens, seconds):
    """Nobody is asked, nothing fails meanwhile, there is no further exchange; and a tired provider is left in peace.

    The tries begin 2.5 to 5 s after the first, 5 to 10 s after the second and 7.5 to 15 s after each further one.
    """
    tokens, seconds = scene.stretched(tokens, seconds)
    failures = []
    scene.kernel.subscribe(lambda event, status: failures.append(status) if event == "refresh_failed" else None)
    scene.federate(tokens=tokens)
    with scene.work():
        with down(scene.provider):
            assert until(lambda: failures, tokens / 2 + 5 + scene.late)
            time.sleep(seconds)
            tries = len(failures)
        assert "ok" == scene.kernel.status().sign_in
        assert until(lambda: scene.kernel.status().last_error is None, 15 + scene.late)
        assert scene.kernel.status().sign_in_expires_at > datetime.now(timezone.utc)
    assert tries in range(1 + seconds // 25, 3 + seconds // 5)
    assert ("ok", 1, 1) == (scene.kernel.status().sign_in, len(scene.person.shown), len(scene.exchanges))
