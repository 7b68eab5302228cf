"""Waiting that a person can interrupt, and steps that an interrupt must not cut in two."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from jupyter_federation.errors import ExchangeError, FederationError
from jupyter_federation.tokens import Prompt

T = TypeVar("T")

_DEADLINE = 10  # seconds for a question outside of a session


def awaited(ask: Callable[[], T], prompt: Prompt) -> T:
    """What ``ask`` gives or raises; ``prompt`` shows each second that it is still awaited."""
    answers: queue.SimpleQueue[T | FederationError] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(ask())
        except FederationError as error:
            answers.put(error.with_traceback(None))
        except BaseException as fault:  # noqa: BLE001 - or it would be awaited in vain, and stderr would show it
            problem = f"Asking AWS failed in an unforeseen way: {type(fault).__name__}."
            answers.put(FederationError(problem, fix="Try again; if it stays, please report this sentence."))

    threading.Thread(target=answer, name="jupyter-federation-question", daemon=True).start()
    for seconds in range(1, _DEADLINE + 1):
        with contextlib.suppress(queue.Empty):
            got = answers.get(timeout=1)
            if isinstance(got, FederationError):
                raise got
            return got
        prompt.waiting("Asking AWS", seconds)
    raise ExchangeError(
        f"AWS did not answer within {_DEADLINE} seconds.",
        fix="Check the network and the proxy (HTTPS_PROXY, NO_PROXY), then try again.",
        retryable=True,
    )


def uninterrupted(step: Callable[[], T]) -> T:
    """Do ``step`` whole: an interrupt that comes meanwhile is raised when it is done.

    Only the main thread is interrupted, and only through its SIGINT handler.  (Waiting for another thread would not
    do: `concurrent.futures` takes its locks in Python code, and an interrupt in there breaks them.)
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        return step()
    interrupts: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        result = step()
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        raise KeyboardInterrupt
    return result
