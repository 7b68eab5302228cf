"""``--live``: the whole way with a real account, once, and a report that can be pasted into a page of documentation."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from jupyter_federation.config import Profile, load
from jupyter_federation.doctor.checks.installation import OURS, version
from jupyter_federation.doctor.finding import Finding, found, of_error
from jupyter_federation.errors import FederationError
from jupyter_federation.federation import Federation
from jupyter_federation.session_status import without_persons
from jupyter_federation.tokens import Prompt

_STEPS = ("sign in and exchange", "whoami", "list buckets", "refresh", "clear")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step: what came of it, in how many seconds; ``finding`` is why it failed, None where it did not."""

    name: str
    result: str
    seconds: float
    finding: Finding | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveReport:
    """What was done, step by step; it names no person, account or role."""

    profile: Profile
    at: datetime
    steps: tuple[Step, ...]

    @property
    def exit_status(self) -> int:
        """1 where a step failed or was not reached, else 0."""
        went_well = len(self.steps) == len(_STEPS) and all(each.finding is None for each in self.steps)
        return int(not went_well)

    def text(self) -> str:
        """Markdown."""
        verified = "Not verified" if self.exit_status else "Verified"
        way = "identity pool" if self.profile.identity_pool_id else "STS"
        if self.profile.flow == "classic":
            way += ", classic flow"
        if self.profile.assume_role_arn:
            way += ", and a further role"
        versions = ", ".join(f"{name} {version(name)}" for name in (OURS, "boto3", "msal", "Authlib"))
        lines = [
            f"**{verified} live on {self.at:%Y-%m-%d}**: `source` {self.profile.source}, {way}, {versions}.",
            "",
            "| step | result | seconds |",
            "| --- | --- | --- |",
            *(f"| {each.name} | {_in_markdown(each.result)} | {each.seconds:.1f} |" for each in self.steps),
            *(f"| {name} | not reached | - |" for name in _STEPS[len(self.steps) :]),
        ]
        for finding in (each.finding for each in self.steps if each.finding is not None):
            sentence, administrator = map(_in_markdown, (finding.sentence, finding.administrator))
            lines += ["", f"{finding.code}: {sentence}", f"Administrator: {administrator}"]
        return without_persons("\n".join(lines))

    def to_json(self) -> str:
        """The same as a JSON object."""
        steps = [
            {
                "name": each.name,
                "result": without_persons(each.result),
                "seconds": round(each.seconds, 3),
                "finding": None if each.finding is None else each.finding.code,
            }
            for each in self.steps
        ]
        return json.dumps({"live": 1, "at": f"{self.at:%Y-%m-%dT%H:%M:%SZ}", "steps": steps}, indent=2)


def _in_markdown(text: str) -> str:
    """What a provider or AWS says is no markup of the page that it is pasted into."""
    return re.sub(r"([\\|<>\[\]`*_!])", r"\\\1", text)


def verify(name: str | None = None, *, prompt: Prompt) -> LiveReport:
    """Sign in with the federation profile ``name``, asking the person; exchange, whoami, list, refresh, and clear.

    Raises ConfigurationError where there is no such profile.  It ends signed out, whatever happens.
    """
    profile = load().profile(name)
    kernel, steps = Federation(), list[Step]()
    actions: tuple[Callable[[], str], ...] = (
        lambda: _signed_in(kernel, name, prompt),
        lambda: _who(kernel, profile, prompt),
        _buckets,
        lambda: _refreshed(kernel, prompt),
        lambda: _cleared(kernel),
    )
    try:
        for step, action in zip(_STEPS, actions, strict=True):
            since = time.monotonic()
            try:
                result, finding = action(), None
            except FederationError as error:
                result, finding = "failed", of_error(error, "setting-wrong")
            except _UnexpectedError as error:
                result, finding = "failed", found("unforeseen", str(error))
            steps.append(Step(name=step, result=result, seconds=time.monotonic() - since, finding=finding))
            if finding is not None:
                break
    finally:
        kernel.clear()
    return LiveReport(profile=profile, at=datetime.now(timezone.utc), steps=tuple(steps))


class _UnexpectedError(Exception):
    """A step ended otherwise than it should have."""


def _signed_in(federation: Federation, name: str | None, prompt: Prompt) -> str:
    status = federation.federate(name, prompt=prompt)
    return f"credentials until {status.credentials_expire_at:%H:%M:%S} UTC; {'; '.join(status.remarks) or 'no remark'}"


def _who(federation: Federation, profile: Profile, prompt: Prompt) -> str:
    caller = federation.whoami(prompt=prompt)
    wanted = profile.assume_role_arn or profile.role_arn
    if wanted is not None and f"/{wanted.rpartition('/')[2]}/" not in caller.arn:
        raise _UnexpectedError("AWS names another role than the profile does.")
    return "the profile's role" if wanted is not None else "a role of the pool's"


def _buckets() -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        buckets = boto3.client("s3").list_buckets()["Buckets"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in {"AccessDenied", "AllAccessDisabled"}:
            raise _UnexpectedError(f"S3 refused to list buckets: {code}.") from None
        return "S3 answers; the role may not list buckets"
    except BotoCoreError as error:
        raise _UnexpectedError(f"S3 was not reached: {type(error).__name__}.") from None
    return f"{len(buckets)} listed"


def _refreshed(federation: Federation, prompt: Prompt) -> str:
    status = federation.refresh(prompt=prompt)
    return f"credentials until {status.credentials_expire_at:%H:%M:%S} UTC"


def _cleared(federation: Federation) -> str:
    federation.clear()
    if federation.status().is_federated:
        raise _UnexpectedError("Somebody is signed in after clear.")
    return "nobody is signed in"
