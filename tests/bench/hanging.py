"""Whether callers get an answer when their credentials have expired and the renewal hangs."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from datetime import datetime, timezone

from jupyter_federation.federated_session import RefreshPolicy
from tests.bench.contestants import ALTERNATIVES, Contestant, ours
from tests.bench.servers import Servers
from tests.bench.table import Row

CALLERS = 50
LIFETIME = 4.0
DEADLINE = 10.0
WAKING = 0.25  # seconds: fifty threads that are woken at the deadline are not all back in the same instant
OBSERVED = 12.0


def callers_of_a_hanging_exchange(servers: Servers) -> Row:
    """Seconds until the last of 50 callers has an answer (an error, here), each with expired credentials.

    Everybody signs in with keys of 4 s, and 50 threads of each sign once in the moment in which these expire.  AWS
    takes the request for new ones and stays silent until the observation has ended; then it answers, so that nothing is
    left behind.
    Ours is measured twice: with a silent AWS, and with a token source that hangs.  Its policy is the default but for
    the renewal ahead of the expiry, which is off: it then begins when the callers come, which is their worst moment.
    Fair: the alternatives begin at the same moment, with the read timeout that boto3 has by default.
    """
    hangs = threading.Event()
    held = threading.Event()
    at_expiry = RefreshPolicy(ahead_fraction=0, jitter_fraction=0)
    token = servers.token()

    def hanging_source() -> str:
        if hangs.is_set():
            held.wait()
        return token

    with ExitStack() as close:
        close.callback(held.set)
        servers.lifetime(LIFETIME)
        began = time.monotonic()
        crowds = {
            "AWS silent": _Crowd(ours(servers, close, policy=at_expiry)),
            "token source silent": _Crowd(ours(servers, close, policy=at_expiry, token=hanging_source)),
        }
        others = [make(servers) for make in ALTERNATIVES]
        crowds |= {other.name: _Crowd(other) for other in others}
        hangs.set()
        servers.delay(LIFETIME + OBSERVED + 1)
        servers.lifetime(3600)
        for crowd in crowds.values():
            crowd.start()
        if time.monotonic() - began >= LIFETIME:
            raise RuntimeError("signing in took so long that the first keys expired before the exchange began to hang")
        time.sleep(LIFETIME + OBSERVED)
        seen = {name: crowd.answers() for name, crowd in crowds.items()}
        servers.mend()
        for crowd in crowds.values():
            crowd.join()
    mine = {name: seen.pop(name) for name in ("AWS silent", "token source silent")}
    in_time = all(len(each) == CALLERS and max(each) <= DEADLINE + WAKING for each in mine.values())
    return Row(
        number=5,
        what=f"an exchange that hangs, credentials expired: the last of {CALLERS} callers has an answer",
        ours="; ".join(f"{name}: {_last(each)}" for name, each in mine.items()),
        alternatives={name: _last(each) for name, each in seen.items()},
        bar=f"all within {DEADLINE:g} s (+ {WAKING:g} s to wake up)",
        reached=in_time,
        how=f"real clock, observed for {OBSERVED:g} s, {CALLERS} threads on each at once; one sample.",
        figures={"answered_after_s": {**mine, **seen}, "observed_s": OBSERVED},
    )


def _last(answers: list[float]) -> str:
    blocked = CALLERS - len(answers)
    return f"{blocked} of {CALLERS} still blocked after {OBSERVED:g} s" if blocked else f"{max(answers):.2f} s"


class _Crowd:
    """Threads that each sign once with one contestant, as soon as its keys have expired."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._took: list[float] = []  # append is atomic
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def answers(self) -> list[float]:
        """Seconds, of those that have one so far."""
        return sorted(self._took)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        left = self._contestant.credentials._expiry_time - datetime.now(timezone.utc)
        time.sleep(left.total_seconds() + 0.01)
        started = time.monotonic()
        with suppress(Exception):  # an error is an answer
            self._contestant.sign()
        self._took.append(time.monotonic() - started)
