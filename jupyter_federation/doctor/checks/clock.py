"""This machine's clock beside those that have been heard: AWS's and the provider's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from jupyter_federation.doctor.checks.aws import AWS
from jupyter_federation.doctor.finding import Finding, found
from jupyter_federation.doctor.patient import Patient
from jupyter_federation.tokens import CLOCK_TOLERANCE

_CLOSE = timedelta(seconds=3)  # a Date has whole seconds, and an answer takes a while


def clocks(patient: Patient) -> Iterator[Finding]:
    """Whose clock is wrong: this machine's where AWS says so, or nobody else can be asked."""
    skews = dict(patient.skews)
    aws = {where: skew for where, skew in skews.items() if where.startswith(AWS)}
    for where, skew in skews.items():
        patient.tell(f"clock against {where}", "right" if abs(skew) < _CLOSE else _seconds(skew))
    judges = aws or skews
    where, skew = max(judges.items(), key=lambda each: abs(each[1]), default=("", timedelta(0)))
    if abs(skew) > CLOCK_TOLERANCE:
        yield found(
            "clock-wrong",
            f"This machine's clock is {_seconds(skew)} by {where}. Tokens look expired or not yet issued, and beyond "
            "5 minutes AWS refuses every request: set the clock (date -u shows it).",
            where=where,
        )
        return
    for where, skew in skews.items():
        if where not in aws and abs(skew) > CLOCK_TOLERANCE:
            yield found(
                "provider-clock-wrong",
                f"The clock of {where} is off: this machine's is {_seconds(skew)} by it, and right by AWS's. Tokens "
                "from there seem to end too early or to begin too late. Tell whoever runs it.",
                where=where,
            )


def _seconds(skew: timedelta) -> str:
    seconds = round(skew.total_seconds())
    size = f"{abs(seconds)} s" if abs(seconds) < 120 else f"{round(abs(seconds) / 60)} min"  # noqa: PLR2004 - two minutes
    return f"{size} {'fast' if seconds > 0 else 'slow'}"
