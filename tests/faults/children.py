"""Forked children whose answer is read over a pipe, and which are killed with a stack trace if they hang."""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import sys
import traceback
from dataclasses import dataclass

HANGS_AFTER = 20.0
"""Seconds."""


@dataclass(frozen=True)
class Child:
    pid: int
    pipe: int

    def answer(self):
        """What the child's work returned; AssertionError where it raised, died or hung."""
        try:
            ready, _, _ = select.select([self.pipe], [], [], HANGS_AFTER + 5)
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
            with os.fdopen(self.pipe, "rb") as pipe:
                said = pipe.read()
        finally:
            os.waitpid(self.pid, 0)
        assert said, "the child hung or died without a word"
        result, problem = pickle.loads(said)
        assert problem is None, problem
        return result


def fork(work):
    """A child that does ``work()`` and is gone."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return Child(pid, read)
    try:
        os.close(read)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # not faulthandler's own timer: its lock does not outlive a fork
        faulthandler.register(signal.SIGALRM, file=sys.__stderr__, chain=True)
        signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER)
        try:
            said = pickle.dumps((work(), None))
        except BaseException:  # noqa: BLE001 - the parent shows it
            faulthandler.dump_traceback(sys.__stderr__)  # where the other threads are
            said = pickle.dumps((None, traceback.format_exc()))
        with os.fdopen(write, "wb") as pipe:
            pipe.write(said)
    finally:
        os._exit(0)
