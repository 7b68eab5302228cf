"""What runs in the background: the clock, the one scheduling thread, attempts that may be given up on, and forks.

A `Refresher` looks after sessions: one daemon thread sleeps until the next of them is due and calls its ``tick()``.
Work that may hang (a token source, a request) never runs on that thread: each attempt has a daemon thread to itself,
so that one that hangs for ever costs a thread and nothing else.  Subscribers are called on a third thread, in order,
so that a slow one delays no refresh.

Threads wake each other through `queue.SimpleQueue`, never through `threading.Event` or `Condition`: those take their
lock in Python code, and a KeyboardInterrupt that lands there on the main thread leaves it locked for every thread.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol

from jupyter_federation.errors import FederationError

log = logging.getLogger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds.  A laptop that wakes up is noticed at the latest after this time, whatever its timers did meanwhile."""


_WAITING_AT_MOST = 2
"""Threads; two, because who was waiting for an attempt may start the next before its thread waits again."""


class Clock(Protocol):
    """Two readings of time, together a parameter of everything that waits."""

    def now(self) -> datetime:
        """The wall clock, UTC: for what is shown and compared with other machines."""
        ...

    def elapsed(self) -> float:
        """Seconds since some fixed moment, never set back: for how long credentials live.  A laptop's sleep counts."""
        ...


# Read for each request that is signed, so without a Python frame of its own.
_elapsed: Callable[[], float]
if hasattr(time, "CLOCK_BOOTTIME"):  # Linux: counts sleep, and nobody can set it
    _elapsed = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)
elif hasattr(time, "CLOCK_MONOTONIC"):  # macOS: this one counts sleep there, time.monotonic() does not
    _elapsed = functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)
else:  # Windows has no clock of that kind that Python reaches; the wall clock at least sees sleep
    _elapsed = time.time


class SystemClock:
    """This machine's clocks."""

    elapsed = staticmethod(_elapsed)

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(timezone.utc)


class Latch:
    """Set once, awaited by many; whole whatever a signal interrupts."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[queue.SimpleQueue[None]] = []

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._is_set

    def set(self) -> None:
        """Let everybody who waits, or will wait, go on."""
        self._is_set = True
        for each in self._waiting:
            each.put(None)

    def wait(self, seconds: float) -> bool:
        """Whether it is set, at the latest ``seconds`` from now."""
        mine: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._waiting.append(mine)  # before the question: either it is seen to be set, or `set` sees this
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                mine.get(timeout=max(0.0, seconds))
        return self._is_set


class Attempt:
    """One run of a piece of work, which somebody may wait for and anybody may stop waiting for."""

    __slots__ = ("deadline", "done", "error", "thread")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline  # on the clock's elapsed(), seconds
        self.done = Latch()
        self.error: FederationError | None = None  # what it failed with, set before done
        self.thread: threading.Thread | None = None  # where it runs, while it does

    @property
    def is_running(self) -> bool:
        """Whether another thread is still busy with it, however long ago it was given up."""
        return self.thread is not None and self.thread is not threading.current_thread()


_Job = tuple[Attempt, Callable[[], None]]


class Scheduled(Protocol):
    """What a refresher looks after."""

    def tick(self) -> float:
        """Do what is due, without blocking; the seconds until it wants to be called again."""
        ...

    def forked(self) -> None:
        """Called in a forked child, before anything else runs: locks and attempts of the parent are dead here."""
        ...


class Refresher:
    """The background of a process.  Its threads start when there is something to do."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._scheduled: weakref.WeakSet[Scheduled] = weakref.WeakSet()
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._idle: list[queue.SimpleQueue[_Job | None]] = []  # the inbox of a thread that waits for an attempt
        self._notifier: threading.Thread | None = None
        self._notices: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def add(self, scheduled: Scheduled) -> None:
        """Look after ``scheduled`` until it is removed or nobody else holds it.

        Where no thread can be started now, the next `add` tries again.
        """
        with self._lock:
            self._scheduled.add(scheduled)
            if self._thread is None or not self._thread.is_alive():  # an interrupt may have kept it from its start
                self._thread = _daemon("refresher", self._run)
                with contextlib.suppress(RuntimeError):
                    self._thread.start()
        self.wake()

    def remove(self, scheduled: Scheduled) -> None:
        """Look after ``scheduled`` no longer."""
        with self._lock:
            self._scheduled.discard(scheduled)
        self.wake()  # where nothing is left to look after, its threads end

    def wake(self) -> None:
        """Ask everything that is scheduled again when it is due: something changed."""
        self._wakes.put(None)

    def start(self, attempt: Attempt, work: Callable[[], None]) -> None:
        """Run ``work`` on a thread that nothing else uses; ``attempt.done`` is set when it ends, however it ends.

        Raises RuntimeError where no thread can be started: at the system's limit, or while the interpreter ends.
        """
        try:
            self._idle.pop().put((attempt, work))
        except IndexError:
            inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
            inbox.put((attempt, work))
            _daemon("attempt", lambda: self._run_attempts(inbox)).start()

    def wait(self, attempt: Attempt, seconds: float) -> bool:
        """Whether ``attempt`` ended within ``seconds``."""
        return attempt.done.wait(seconds)

    def notify(self, notice: Callable[[], None]) -> None:
        """Call ``notice`` soon, after all earlier ones; what it raises is logged by its type."""
        self._notices.put(notice)
        with self._lock, contextlib.suppress(RuntimeError):  # without a thread it waits for the next notice
            if self._notifier is None or not self._notifier.is_alive():
                self._notifier = _daemon("notifier", self._run_notices)
                self._notifier.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._thread is not threading.current_thread():  # an interrupt in add() made it start a second one
                    self.wake()
                    return
                scheduled = list(self._scheduled)
                if not scheduled:
                    self._thread = None  # ends here; the next add() starts another
                    while self._idle:
                        self._idle.pop().put(None)
                    return
            pause = min(_ticked(each) for each in scheduled)
            del scheduled  # a session that nobody else holds can go while this thread sleeps
            with contextlib.suppress(queue.Empty):
                self._wakes.get(timeout=max(0.0, min(pause, LONGEST_SLEEP)))
                while True:  # one round answers all; what comes during it is found by the next
                    self._wakes.get_nowait()

    def _run_attempts(self, inbox: queue.SimpleQueue[_Job | None]) -> None:
        """One attempt after the other; ends where enough threads wait for the next already.

        A thread that has spoken TLS holds a lock of OpenSSL's for a moment when it ends, and in a child that is
        forked in that moment nobody can speak TLS again.  So no thread ends with each attempt.
        """
        while (job := inbox.get()) is not None:
            attempt, work = job
            attempt.thread = threading.current_thread()
            try:
                work()
            finally:
                attempt.thread = None
                attempt.done.set()
            del attempt, work, job  # or the thread would hold on to the session while it waits
            if len(self._idle) >= _WAITING_AT_MOST:
                return
            self._idle.append(inbox)

    def _run_notices(self) -> None:
        while True:
            try:
                self._notices.get()()
            except BaseException as error:  # noqa: BLE001 - a subscriber's fault stays its own, sys.exit() too
                log.warning("a subscriber raised %s", type(error).__name__)

    def _forked(self) -> None:
        """Fresh locks and threads: those of the parent do not exist in the child."""
        scheduled = list(self._scheduled)
        self._reset()
        for each in scheduled:
            each.forked()
            self.add(each)


def _ticked(scheduled: Scheduled) -> float:
    try:
        return scheduled.tick()
    except Exception as error:  # noqa: BLE001 - the one thread must outlive a fault in one session
        log.warning("a session's tick raised %s", type(error).__name__)
        return LONGEST_SLEEP


def _daemon(name: str, target: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=target, name=f"jupyter-federation-{name}", daemon=True)


shared = Refresher()
"""The refresher of this process."""
