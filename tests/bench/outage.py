"""What happens while AWS is away for 10 s and the credentials are still good."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from datetime import timedelta

from botocore.credentials import RefreshableCredentials

from tests.bench.contestants import (
    BOTOCORE,
    OURS,
    REFRESH_SESSION,
    Contestant,
    botocore_refreshable,
    ours,
    refresh_session,
)
from tests.bench.servers import Servers
from tests.bench.table import Row

OUTAGE = 10.0
RECOVERY = 15.0
LIFETIME = 60.0  # ours is renewed between 34 and 40 s of it
OUTAGE_AT = 33.8  # so that the outage begins before any of ours is due, and recovery ends before any has expired
THREADS = 4
THINK = 0.02


def ten_seconds_without_aws(servers: Servers, *, samples: int = 8) -> Row:
    """HTTP attempts that reach AWS in a 10 s outage, errors that signing threads see, seconds until new keys are there.

    During the outage the connection of each renewal dies without an answer.  Four threads sign with each contestant
    (20 ms of think time) from before the outage until 15 s after it; everybody goes through the same outage.  Ours has
    keys of 60 s and its default policy, eight sessions for eight draws of the jitter.  Fair to the alternatives: their
    windows are absolute, so instead of short keys they have what is inside the advisory window throughout (890 s left),
    where botocore means to be gentle, and once what is inside the mandatory one (300 s left); their next keys live an
    hour.
    """
    with ExitStack() as close:
        servers.lifetime(LIFETIME)
        begun = time.monotonic()
        crowd = [_Load(ours(servers, close), OURS) for _ in range(samples)]
        servers.lifetime(3600)
        for make, name in ((botocore_refreshable, BOTOCORE), (refresh_session, REFRESH_SESSION)):
            crowd += [_Load(make(servers), name), _Load(make(servers), f"{name}, 300 s left")]
        late = time.monotonic() - begun - OUTAGE_AT
        if late > 0:
            raise RuntimeError(f"signing in took so long that the outage would begin {late:.1f} s late")
        time.sleep(-late)
        servers.drop()
        before = servers.renewals()
        for load in crowd:
            if load.name != OURS:
                load.age(300 if load.name.endswith("left") else 890)
            load.start()
        time.sleep(OUTAGE)
        during = servers.renewals() - before
        servers.mend()
        ended = time.monotonic()
        for load in crowd:
            load.stop_at(ended + RECOVERY)
        for load in crowd:
            load.join()
    figures = [
        {
            "name": load.name,
            "attempts": during[load.contestant.identity_id],
            "errors": load.errors,
            "recovered_after_s": None if load.renewed_at is None else max(0.0, load.renewed_at - ended),
            "longest_call_s": load.longest,
        }
        for load in crowd
    ]
    mine = [each for each in figures if each["name"] == OURS]
    attempts = [each["attempts"] for each in mine]
    errors = sum(each["errors"] for each in mine)
    recovered = [each["recovered_after_s"] for each in mine]
    never = None in recovered
    return Row(
        number=4,
        what="AWS away for 10 s, credentials valid: attempts, errors, recovery",
        ours=f"{max(attempts)} attempts, {errors} errors, " + ("not recovered" if never else f"{max(recovered):.1f} s"),
        alternatives={each["name"]: _said(each) for each in figures if each["name"] != OURS},
        bar="<= 3 attempts, 0 errors, new keys <= 15 s after",
        reached=min(attempts) >= 1 and max(attempts) <= 3 and errors == 0 and not never and max(recovered) <= RECOVERY,
        how=f"ours: the worst of {samples} sessions (attempts {', '.join(map(str, sorted(attempts)))}); keys of "
        f"{LIFETIME:g} s, real clock; {THREADS} threads on each. The alternatives make the same request through a "
        "boto3 client with its default retries, one sample each.",
        figures={"samples": figures},
    )


def _said(figures: dict) -> str:
    after = figures["recovered_after_s"]
    recovery = "not recovered" if after is None else f"{after:.1f} s"
    return (
        f"{figures['attempts']} attempts, {figures['errors']} errors, {recovery}; "
        f"longest call {figures['longest_call_s']:.1f} s"
    )


class _Load:
    """Threads that sign with one contestant, and what they saw."""

    def __init__(self, contestant: Contestant, name: str) -> None:
        self.contestant = contestant
        self.name = name
        self.errors = 0
        self.longest = 0.0  # seconds
        self.renewed_at: float | None = None
        self._first = contestant.sign()
        self._ends_at = float("inf")
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]
        self._lock = threading.Lock()

    def age(self, remaining: float) -> None:
        """Let the alternative's present keys claim to expire in ``remaining`` seconds."""
        credentials = self.contestant.credentials
        assert isinstance(credentials, RefreshableCredentials)
        credentials._expiry_time = credentials._time_fetcher() + timedelta(seconds=remaining)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop_at(self, moment: float) -> None:
        self._ends_at = moment

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while time.monotonic() < self._ends_at:
            started = time.monotonic()
            try:
                key = self.contestant.sign()
            except Exception:  # noqa: BLE001 - whatever the user would see
                key = None
            now = time.monotonic()
            with self._lock:
                self.errors += key is None
                self.longest = max(self.longest, now - started)
                if key not in {None, self._first} and self.renewed_at is None:
                    self.renewed_at = now
            time.sleep(THINK)
