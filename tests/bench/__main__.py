"""``python -m tests.bench [ROW ...]``: measure, print the table, write bench.json; exit status 1 where a bar is missed.

A number after it measures that row alone, and bench.json stays as it was.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tests.bench import table
from tests.bench.servers import REGION, Servers

RESULT = Path(__file__).parents[2] / "bench.json"


def main(wanted: set[int]) -> int:
    """Every row, or those that were asked for; only a whole run replaces bench.json."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as home, Servers() as servers:
        _isolate(home, servers)
        rows = list(_rows(servers, wanted))
    minutes = (time.monotonic() - started) / 60
    versions = {name: version(name) for name in ("boto3", "botocore", "boto3-refresh-session", "ipython", "ipykernel")}
    processors = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    about = f"Python {platform.python_version()}, {processors} processors, " + ", ".join(
        f"{name} {number}" for name, number in versions.items()
    )
    _say(table.text(rows))
    _say(f"{about}; load {load:.1f}, {minutes:.1f} minutes")
    if not wanted:
        table.write(
            RESULT, rows, python=platform.python_version(), versions=versions, load=load, minutes=round(minutes, 1)
        )
        _say(f"written to {RESULT.name}")
    missed = [row for row in rows if not row.reached]
    for row in missed:
        _say(f"missed: {row.number}. {row.what}: {row.ours}, the bar is {row.bar}")
    if missed and load > processors:
        _say("the machine was busier than it has processors: times in milliseconds say little, measure again")
    return 1 if missed else 0


def _rows(servers: Servers, wanted: set[int]) -> Iterator[table.Row]:
    # Imported here: boto3 reads the environment that _isolate has set.
    from tests.bench import endpoint, hanging, lifetime, outage, reading, starting, waits

    measurements = (
        waits.signing_while_a_renewal_is_slow,
        waits.first_call_after_idling,
        lifetime.exchanges_in_a_lifetime,
        outage.ten_seconds_without_aws,
        hanging.callers_of_a_hanging_exchange,
        reading.nanoseconds_of_a_read,
        starting.loading_the_extension,
        starting.signing_in,
        endpoint.requests_for_credentials,
    )
    for number, measure in enumerate(measurements, 1):
        if not wanted or number in wanted:
            _say(f"{number}/{len(measurements)} {measure.__name__.replace('_', ' ')} ...")
            yield measure(servers)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what a bench does


def _isolate(home: str, servers: Servers) -> None:
    """No setting of this machine's user counts: an empty home, and of AWS only the embedded one."""
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "JUPYTER", "JPY_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    for name in ("HOME", "USERPROFILE", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        os.environ[name] = home
    os.environ |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": servers.at.aws_url,
        "AWS_DEFAULT_REGION": REGION,
    }


if __name__ == "__main__":
    sys.exit(main({int(each) for each in sys.argv[1:]}))
