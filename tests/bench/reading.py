"""What a client pays for each read of its credentials."""

from __future__ import annotations

import statistics
import timeit
from contextlib import ExitStack

from tests.bench.contestants import ALTERNATIVES, OURS, STATIC, ours, static
from tests.bench.servers import Servers
from tests.bench.table import Row


def nanoseconds_of_a_read(servers: Servers, *, repeats: int = 31, calls: int = 5_000) -> Row:
    """Nanoseconds of ``get_frozen_credentials()``, and the ratio to static `Credentials`.

    Timed in turn, 5,000 calls at a time, so that each ratio compares neighbours in time; the median of the ratios
    counts.  All hold real keys that live an hour: nobody is inside a renewal window, which is the common case for all.
    """
    with ExitStack() as close:
        servers.lifetime(3600)
        entrants = [static(), ours(servers, close), *(make(servers) for make in ALTERNATIVES)]
        timers = {each.name: timeit.Timer(each.credentials.get_frozen_credentials) for each in entrants}
        took: dict[str, list[float]] = {name: [] for name in timers}
        for _ in range(repeats + 1):
            for name, timer in timers.items():
                took[name].append(timer.timeit(calls) / calls * 1e9)
    for each in took.values():
        del each[0]  # the first round warms up
    ratio = {
        name: statistics.median(one / floor for one, floor in zip(each, took[STATIC], strict=True))
        for name, each in took.items()
    }
    said = {name: f"{statistics.median(each):,.0f} ns, ratio {ratio[name]:.2f}" for name, each in took.items()}
    return Row(
        number=6,
        what="get_frozen_credentials(), a call",
        ours=said.pop(OURS),
        alternatives=said,
        bar="ratio to static <= 1.0",
        reached=ratio[OURS] <= 1.0,
        how=f"median of {repeats} interleaved ratios over {calls:,} calls each.",
        figures={"ns": {name: statistics.median(each) for name, each in took.items()}, "ratio": ratio},
    )
