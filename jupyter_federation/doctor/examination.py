"""Runs the checks side by side, and ends in time whatever hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from jupyter_federation.doctor.checks import (
    aws,
    clock,
    endpoint,
    installation,
    outranking,
    profile,
    provider,
    token,
    trust_policy,
)
from jupyter_federation.doctor.finding import Finding, found, of_error
from jupyter_federation.doctor.patient import Asks, Check, Patient
from jupyter_federation.doctor.report import Report
from jupyter_federation.doctor.request import request_to_the_administrator
from jupyter_federation.errors import FederationError
from jupyter_federation.signed_in import LivingSignIn

DEADLINE = 9.0
"""Seconds for all checks together; what has not answered by then is a finding itself."""

# Each lane has a thread of its own, and ends with the first check that finds an error: what follows builds on it.
LANES: Mapping[str, tuple[Check, ...]] = {
    "package": (installation.package,),
    "dependencies": (installation.dependencies,),
    "server": (installation.server,),
    "labextension": (installation.labextension,),
    "outranking": (outranking.outranked,),
    "endpoint": (endpoint.handed_out,),
    "trust policy": (trust_policy.trusted,),
    "aws": (aws.reached,),
    "provider": (provider.known,),
    "token": (token.brought, token.claims, token.exchanged),
}


class _Lane(threading.Thread):
    """One lane under way, and what it has said by now; its patient's facts are its own."""

    def __init__(self, lane: str, patient: Patient) -> None:
        super().__init__(name=f"jupyter-federation-doctor-{lane}", daemon=True)
        self.lane = lane
        self.patient = replace(patient, facts=[])
        self.findings: list[Finding] = []
        self.asking = lane

    def begins(self) -> bool:
        """Start; whether that was possible."""
        try:
            self.start()
        except RuntimeError:  # Python's, where the system gives no further thread
            return False
        return True

    def run(self) -> None:
        """One check after the other, until one finds an error."""
        try:
            for check in LANES[self.lane]:
                for step in check(self.patient):
                    if isinstance(step, Asks):
                        self.asking = step.where
                    else:
                        self.findings.append(step)
                if any(each.severity == "error" for each in self.findings):
                    return
        except FederationError as error:
            self.findings.append(of_error(error, "setting-wrong"))
        except Exception as fault:  # noqa: BLE001 - one check that fails must not hide what the others have found
            failed = f"The doctor's own check {self.lane!r} failed ({type(fault).__name__})"
            self.findings.append(found("unforeseen", f"{failed}, so that nothing is known of that.", where=self.lane))


def examine(
    name: str | None = None,
    *,
    exchange: bool = True,
    trust_policy: str | Path | None = None,
    signed_in: LivingSignIn | None = None,
    notebook: Mapping[str, object] | None = None,
    seconds: float = DEADLINE,
) -> Report:
    """Look at the federation profile ``name`` (None: the living sign-in's, or else the default) in every respect.

    Nobody is asked anything, and nobody is signed in.  With ``exchange``, a token that comes silently is exchanged once
    at AWS, and what that gives is dropped.  ``trust_policy`` is a file to lint, and all that is looked
    at where no profile is named and there is no default.  ``notebook`` holds the variables that a profile may name.  It
    ends within ``seconds`` and a little.
    """
    patient = Patient(
        signed_in=signed_in,
        notebook=notebook,
        exchange=exchange,
        trust_policy=None if trust_policy is None else Path(trust_policy),
    )
    why_none = profile.choose(patient, name)
    alone = patient.profile is None and why_none is None  # the trust policy
    names = [lane for lane in LANES if lane == "trust policy"] if alone else list(LANES)
    lanes = [_Lane(name, patient) for name in names]
    end = time.monotonic() + seconds
    begun = [lane for lane in lanes if lane.begins()]
    for lane in begun:
        lane.join(max(0.0, end - time.monotonic()))
    findings = [] if why_none is None else [why_none]
    for lane in begun:
        silent = [_silent(lane.asking, seconds)] if lane.is_alive() else []  # first: what it says from here on is late
        findings += [*lane.findings, *silent]
        patient.facts += list(lane.patient.facts)
    no_thread = [lane.lane for lane in lanes if lane not in begun]
    if no_thread:
        findings.append(
            found(
                "unforeseen",
                f"Nothing is known of {', '.join(no_thread)}: this process can begin no further thread. Restart the "
                "kernel, or have its limit of processes raised (ulimit -u).",
                administrator="raise the limit of processes or threads (ulimit -u, the container's pids limit)",
            )
        )
    findings = [*clock.clocks(patient), *findings]  # measured, and so before a token's word for it
    missing = why_none is not None and why_none.code == "profile-missing"
    return Report(
        profile=None if patient.profile is None else patient.profile.name,
        at=datetime.now(timezone.utc),
        findings=_in_order(findings),
        facts=tuple(patient.facts),
        request=request_to_the_administrator(patient) if missing else None,
    )


def _silent(where: str, seconds: float) -> Finding:
    return found(
        "no-answer",
        f"No answer within {seconds:.0f} seconds from {where}. Check the network, the proxy (HTTPS_PROXY, NO_PROXY), "
        "and whether it is up.",
        where=where,
    )


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each once, the causes first; the one that names no place is the same as one that does."""
    once = dict.fromkeys(findings)
    placed = {each.code for each in once if each.where}
    kept = [each for each in once if each.where or each.code not in placed]
    nameless = [each for each in kept if each.code == "dns-unresolved"]
    if len({each.where for each in nameless}) > 1:
        hosts = list(dict.fromkeys(each.where for each in nameless))
        one = found(
            "dns-unresolved",
            f"No name can be resolved here (DNS): neither {' nor '.join(hosts)}. Check the network, or set "
            "HTTPS_PROXY if a proxy resolves names.",
            where=" and ".join(hosts),
        )
        kept = [one, *(each for each in kept if each not in nameless)]
    return tuple(sorted(kept, key=lambda each: each.rank))
