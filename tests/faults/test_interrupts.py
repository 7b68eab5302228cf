"""SIGINT at any moment: afterwards somebody is signed in whole, or nobody is and everything is given back."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from doubles import FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher

from jupyter_federation.errors import ExchangeError, FederationError
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.interrupts import awaited
from jupyter_federation.refresher import Latch, Refresher

KERNEL = Path(__file__).with_name("kernel.py")


@pytest.fixture
def kernel(aws_environment, pool, role, provider, tmp_path, monkeypatch):  # noqa: PLR0917
    """``kernel(task, **environment)`` starts ``kernel.py`` against the embedded AWS, with a TMPDIR of its own."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for name, value in {
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(KERNEL.parents[1]),
        "POOL": pool.id,
        "ROLE": role.arn,
        "TOKEN_A": provider.id_token("ada"),
        "TOKEN_B": provider.id_token("grace"),
        "PYTHONFAULTHANDLER": "1",
    }.items():
        monkeypatch.setenv(name, value)

    def start(task, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        return subprocess.Popen(
            [sys.executable, str(KERNEL), task], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def said_by(process, seconds):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
    assert (0, "") == (process.returncode, err), err
    return json.loads(out)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_sigint_at_random_points_leaves_a_whole_state(kernel):
    """Hundreds of interrupts during federate, refresh, clear, switch, status and signing; the next call works."""
    said = said_by(kernel("interrupts", ROUNDS=50, SEED=1), 280)
    assert sum(said["landed"].values()) > 200, said
    assert {"federate", "refresh", "clear", "switch", "status", "sign"} == set(said["landed"])
    assert len(said["threads"]) <= 2, said


@pytest.mark.soak
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", range(3))
def test_sigint_many_times_more(kernel, seed):
    """The same with other seeds, 400 times each."""
    said = said_by(kernel("interrupts", ROUNDS=400, SEED=100 + seed), 1400)
    assert sum(said["landed"].values()) > 1600, said


class Interrupting(StepRefresher):
    """A background in which an interrupt lands in one of its calls, as a rule once that has done its work."""

    interrupted = None

    def _then_interrupt(self, name):
        if self.interrupted == name:
            self.interrupted = None
            raise KeyboardInterrupt

    def start(self, attempt, work):
        self._then_interrupt("before start")
        super().start(attempt, work)
        self._then_interrupt("start")

    def add(self, scheduled):
        super().add(scheduled)
        self._then_interrupt("add")

    def wake(self):
        self._then_interrupt("wake")

    def notify(self, notice):
        self._then_interrupt("notify")


@pytest.mark.parametrize("where", ["add", "before start", "start", "wake", "notify"])
def test_an_interrupt_between_two_steps_of_a_refresh(where):
    """Wherever it lands, the next refresh starts at once: nothing is left that looks as if it were under way."""
    clock = FakeClock()
    background = Interrupting(clock)
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.subscribe(lambda event, status: None)
    session.login(Nobody())
    background.interrupted = where
    with pytest.raises(KeyboardInterrupt):
        session.refresh()
    background.run()
    before = clock.elapsed()
    known = session.credentials().access_key_id
    session.refresh()
    assert before == clock.elapsed()
    assert known != session.credentials().access_key_id


def test_an_interrupt_while_an_attempt_is_given_up_leaves_nobody_waiting(monkeypatch):
    """The main thread takes the attempt's place and is interrupted before it says so: the others end all the same."""
    clock = FakeClock()
    background = StepRefresher(clock)
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.login(Nobody())
    background.hanging = True
    attempt = session._begin()

    def interrupted():
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Latch, "set", lambda latch: interrupted())
    with pytest.raises(KeyboardInterrupt):
        session._wait(attempt, None)
    assert False is session.status().refreshing
    with pytest.raises(ExchangeError, match="No answer within 10 seconds"):
        session._complete(attempt, None)


def test_a_latch_lets_everybody_go_on_and_times_out():
    """Set once: those who wait and those who come later; unset, a wait ends after its time."""
    latch = Latch()
    assert False is latch.wait(0.01)
    assert False is latch.wait(-1)
    went_on = []
    waiting = [threading.Thread(target=lambda: went_on.append(latch.wait(10))) for _ in range(20)]
    for thread in waiting:
        thread.start()
    latch.set()
    for thread in waiting:
        thread.join(5)
    assert [True] * 20 == went_on
    assert latch.wait(0)


def test_no_lock_that_python_code_takes_is_shared_between_threads():
    """An Event or a Condition in the background would be left locked by an interrupt on the main thread."""
    held = [vars(Refresher()), {name: getattr(Latch(), name) for name in Latch.__slots__}]
    kinds = {type(value) for each in held for value in each.values()}
    assert set() == kinds & {threading.Event, threading.Condition, threading.Semaphore, threading.Barrier}


def test_an_unforeseen_fault_of_a_question_is_told_at_once(capfd):
    """By its kind alone; it is not awaited in vain, and stderr shows nothing."""

    def ask():
        raise ZeroDivisionError("secret")

    with pytest.raises(FederationError, match=r"in an unforeseen way: ZeroDivisionError\. "):
        awaited(ask, Nobody())
    assert ("", "") == capfd.readouterr()
