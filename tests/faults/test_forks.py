"""A child forked at any moment signs, renews by itself and never waits for a lock of its parent."""

import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta

import pytest
from doubles import FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher
from faults.children import fork

from jupyter_federation.demo.aws import Fault
from jupyter_federation.errors import FederationError
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.refresher import Refresher

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # Python 3.12 and later say what is tested here
]

FROM_THE_PARENT = {}
"""What a pool's children find: they inherit it, nothing of it is pickled."""


def renewed(session):
    """What a child does: read, renew, read; the key ids before and after."""
    before = session.credentials().access_key_id
    session.refresh()
    return before, session.credentials().access_key_id


def fork_during_refreshes(over_http, aws, times, seed):
    signed_in = over_http("cognito", refresher=Refresher())
    session, moments = signed_in.session, random.Random(seed)
    caught_in_flight = 0
    for _ in range(times):
        aws.inject(signed_in.operation, Fault(delay=0.03))
        known = session.credentials().access_key_id
        renewal = threading.Thread(target=session.refresh)
        renewal.start()
        time.sleep(moments.uniform(0, 0.05))
        caught_in_flight += session.status().refreshing
        child = fork(lambda: (session.status().refreshing, *renewed(session)))
        refreshing, before, after = child.answer()
        renewal.join()
        now = session.credentials().access_key_id
        assert refreshing is False, "the parent's attempt goes on in the child"
        assert before in {known, now}
        assert after not in {known, now}
        assert known != now
    return caught_in_flight


@pytest.mark.slow
def test_a_hundred_forks_during_a_refresh(over_http, aws):
    """Each child reads whole credentials and renews them by itself; the parent's renewal goes on in the parent."""
    assert fork_during_refreshes(over_http, aws, 100, seed=1) > 30


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_thousand_forks_during_a_refresh(over_http, aws):
    """The same, 1000 times."""
    assert fork_during_refreshes(over_http, aws, 1000, seed=2) > 300


def test_a_child_does_not_use_its_parents_connections(over_http, aws):
    """Two processes on one socket would read each other's answers."""
    signed_in = over_http("cognito")
    signed_in.session.refresh()
    ports = {call.request.connection.context.address[1] for call in aws.calls}
    seen = len(aws.calls)
    fork(lambda: renewed(signed_in.session)).answer()
    of_the_child = {call.request.connection.context.address[1] for call in aws.calls[seen:]}
    assert set() == ports & of_the_child
    assert of_the_child
    seen = len(aws.calls)
    signed_in.session.refresh()
    assert {call.request.connection.context.address[1] for call in aws.calls[seen:]} <= ports


@pytest.mark.slow
def test_a_child_renews_without_being_asked(over_http, aws):
    """Its own refresher goes on, and the child's subscribers hear of it; the parent's do not hear the child."""
    aws.lifetime = timedelta(seconds=8)
    try:
        signed_in = over_http("cognito")
    finally:
        aws.lifetime = timedelta(hours=1)
    session = signed_in.session

    def work():
        heard = threading.Event()
        parents = len(signed_in.events)
        session.subscribe(lambda event, status: heard.set())
        before = session.credentials().access_key_id
        assert heard.wait(10)
        return before, session.credentials().access_key_id, len(signed_in.events) - parents

    before, after, heard_by_the_parents = fork(work).answer()
    assert before != after
    assert 0 == heard_by_the_parents


def held_elsewhere(hold):
    """Another thread inside ``hold()`` until the result is called."""
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with hold():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait(5)

    def release():
        leave.set()
        thread.join()

    return release


@contextlib.contextmanager
def full_of_notices(refresher):
    """The notifier is busy with a notice, and more wait."""
    leave = threading.Event()
    for _ in range(3):
        refresher.notify(lambda: leave.wait(30))
    yield
    leave.set()


LOCKS = {
    "the session's lock": lambda session, refresher: session._lock,
    "the refresher's lock": lambda session, refresher: refresher._lock,
    "the notifier": lambda session, refresher: full_of_notices(refresher),
}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_fork_while_another_thread_holds(over_http, aws, lock):
    """What the parent's threads hold, nobody holds in the child: all that can be called there ends."""
    refresher = Refresher()
    session = over_http("cognito", refresher=refresher).session
    release = held_elsewhere(lambda: lock(session, refresher))

    def work():
        heard = threading.Event()
        session.subscribe(lambda event, status: heard.set())
        keys = renewed(session)
        assert heard.wait(5)
        session.close()
        return keys, session.status().credentials

    child = fork(work)
    (before, after), last = child.answer()
    release()
    assert before != after
    assert "none" == last
    assert before == session.credentials().access_key_id
    session.refresh()


def test_a_fork_from_a_thread(over_http):
    """A thread that forks becomes the child's main thread; nothing changes for the session."""
    session = over_http("sts").session
    answers = []
    thread = threading.Thread(target=lambda: answers.append(fork(lambda: renewed(session)).answer()))
    thread.start()
    thread.join()
    [(before, after)] = answers
    assert before == session.credentials().access_key_id != after


def test_a_fork_of_a_fork(over_http):
    """A grandchild is as good as a child."""
    session = over_http("cognito").session

    def child():
        before, after = renewed(session)
        return before, after, *fork(lambda: renewed(session)).answer()

    before, after, inherited, own = fork(child).answer()
    assert before == session.credentials().access_key_id
    assert after == inherited
    assert 3 == len({before, after, own})


def test_a_fork_while_the_token_callable_runs(over_http, provider):
    """A callable may start processes; what it does in the child renews nothing in the parent, and the reverse."""
    children = []

    def token():
        if ready:
            children.append(fork(lambda: session.credentials().access_key_id))
        return provider.id_token("ada")

    ready = []
    session = over_http("cognito", token=token).session
    before = session.credentials().access_key_id
    ready.append(True)
    session.refresh()
    assert [before] == [child.answer() for child in children]
    assert before != session.credentials().access_key_id


def from_a_pool(_number):
    session = FROM_THE_PARENT["session"]
    return os.getpid(), *renewed(session)


@pytest.mark.parametrize("kind", ["multiprocessing.Pool", "ProcessPoolExecutor"])
def test_a_pool_of_forked_processes(over_http, kind):
    """Each worker signs with what it inherited and renews by itself, whatever the parent does meanwhile."""
    session = FROM_THE_PARENT["session"] = over_http("cognito").session
    context = multiprocessing.get_context("fork")
    inherited = session.credentials().access_key_id
    stop = threading.Event()

    def renew_on():
        while not stop.is_set():
            session.refresh()

    thread = threading.Thread(target=renew_on)
    thread.start()
    try:
        if kind == "multiprocessing.Pool":
            with context.Pool(4) as pool:
                answers = pool.map(from_a_pool, range(16), chunksize=1)
        else:
            with ProcessPoolExecutor(4, mp_context=context) as executor:
                answers = list(executor.map(from_a_pool, range(16)))
    finally:
        stop.set()
        thread.join()
        FROM_THE_PARENT.clear()
    assert 16 == len({after for _, _, after in answers})
    assert all(before != after for _, before, after in answers)
    assert inherited != session.credentials().access_key_id


def test_subprocesses_with_a_preexec_function(over_http, aws):
    """The fork before an exec starts no renewal and says nothing."""
    session = over_http("cognito").session
    calls = len(aws.calls)
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", "print(1)"], preexec_fn=os.getpid, capture_output=True, check=True)
        assert (b"1", b"") == (done.stdout.strip(), done.stderr)
    assert calls == len(aws.calls)
    assert "valid" == session.status().credentials


def test_children_do_not_renew_at_the_moment_of_their_parent():
    """A pool of forked workers would otherwise be a herd; and none renews at once, even where it is due."""
    draws = iter([0.0, *[number / 100 for number in range(100)] * 2])
    clock = FakeClock()
    session = FederatedSession(
        ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=StepRefresher(clock), draw=lambda: next(draws)
    )
    session.login(Nobody())
    moments = []
    for _ in range(50):
        session.forked()
        moments.append(session._state.due_at - clock.elapsed())
    assert max(moments) - min(moments) > 3600 / 10 * 0.9
    clock.advance(2400)
    session.forked()
    assert session._state.due_at - clock.elapsed() >= 2.5


def test_a_child_of_a_cleared_parent_gets_a_typed_error(over_http):
    """Nothing comes back to life in a child."""
    session = over_http("cognito").session
    session.close()

    def work():
        try:
            session.credentials()
        except FederationError as error:
            return type(error).__name__

    assert "SessionClosedError" == fork(work).answer()


def test_a_fork_while_another_thread_signs_in(federation):
    """The kernel's own lock is nobody's in the child: it can sign, change its identity and clear."""
    federation.federate("a", prompt=Nobody())
    release = held_elsewhere(lambda: federation._lock)

    def work():
        first = federation.whoami(prompt=Nobody()).arn
        federation.federate("b", prompt=Nobody())
        second = federation.whoami(prompt=Nobody()).arn
        return first, second, federation.clear().is_federated

    first, second, is_federated = fork(work).answer()
    release()
    assert ("PoolUser" in first, "Researcher" in second, is_federated) == (True, True, False)
    assert "PoolUser" in federation.whoami(prompt=Nobody()).arn
