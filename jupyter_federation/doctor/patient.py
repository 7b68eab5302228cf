"""What the checks know, and what they leave for each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

from jupyter_federation.config import Policy, Profile
from jupyter_federation.doctor.finding import Finding, fit
from jupyter_federation.signed_in import LivingSignIn
from jupyter_federation.tokens import IdToken


class Fact(NamedTuple):
    """Something that is so, and not wrong; ``origin`` is the file that says it, where one does."""

    name: str
    value: str
    origin: str = ""


class Asks(NamedTuple):
    """A check says whom it is going to wait for."""

    where: str


@dataclass(kw_only=True, slots=True)
class Patient:
    """One federation profile here and now; ``profile`` is None where there is none that could be used.

    ``notebook`` holds the notebook's variables, None outside of one.  ``exchange`` tells whether a token may be
    exchanged at AWS, ``trust_policy`` is a file to read.  ``token`` is filled in by the check that gets it, ``skews``
    by whoever hears a ``Date``: how far this machine's clock is ahead of whose.
    """

    profile: Profile | None = None
    policy: Policy = field(default_factory=Policy)
    signed_in: LivingSignIn | None = None
    notebook: Mapping[str, object] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    exchange: bool = True
    trust_policy: Path | None = None
    token: IdToken | None = field(default=None, repr=False)
    facts: list[Fact] = field(default_factory=list)
    skews: MutableMapping[str, timedelta] = field(default_factory=dict)

    @property
    def living(self) -> LivingSignIn | None:
        """The living sign-in, where it is the one that is examined: of another one nothing may be taken."""
        signed_in = self.signed_in
        return signed_in if signed_in is not None and signed_in.profile is self.profile else None

    def tell(self, name: str, value: object, origin: str = "") -> None:
        """Note a fact."""
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        self.facts.append(Fact(name, fit(text), fit(origin)))

    def hear_date(self, where: str, date: object) -> None:
        """Compare this machine's clock with the ``Date`` header (RFC 9110, 6.6.1) of an answer that has just come."""
        try:
            told = parsedate_to_datetime(str(date))
        except (TypeError, ValueError):
            return
        if told.tzinfo is not None:
            self.skews[where] = datetime.now(timezone.utc) - told


Check = Callable[[Patient], Iterator[Finding | Asks]]
"""Looks at one thing, and yields what is wrong with it."""
