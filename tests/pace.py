"""The pace of the machine: on a slow one, or one that others use too, a token of a test must live longer."""

from __future__ import annotations

import math
import subprocess
import sys
import time

USUAL = 0.45  # seconds that the work below takes where the tests' seconds were chosen, beside another test
WORK = [sys.executable, "-I", "-c", "import asyncio, json, ssl, http.client"]


def pace():
    """How often that work's usual time fits into what it takes now; 1.0 for anything near it."""
    begin = time.perf_counter()
    for _ in range(3):
        subprocess.run(WORK, check=True)
    measured = (time.perf_counter() - begin) / USUAL
    return measured if measured > 1.3 else 1.0


def stretched(seconds, by=None):
    """``seconds`` at the machine's pace, in whole ones; ``by`` is a pace that was measured before."""
    return math.ceil(seconds * (pace() if by is None else by))
