"""Stand-ins for what a session depends on: a clock that is set, a background that is stepped, scripted ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.errors import ExchangeError, FederationError, LoginRequiredError
from jupyter_federation.offer import Offer
from jupyter_federation.redaction import Secret
from jupyter_federation.refresher import Attempt
from jupyter_federation.tokens import IdToken

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class FakeClock:
    """Moves only when told; `jump` sets the wall clock alone, as a person or NTP does."""

    def __init__(self) -> None:
        self._elapsed = 1000.0
        self._wall = START

    def now(self) -> datetime:
        return self._wall

    def elapsed(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds
        self._wall += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)


class StepRefresher:
    """The background, run by the test: attempts wait in `pending` until something waits for them or `run` is called."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.pending: list[tuple[Attempt, Callable[[], None]]] = []
        self.hanging = False
        self.scheduled: set[object] = set()

    def add(self, scheduled: object) -> None:
        self.scheduled.add(scheduled)

    def remove(self, scheduled: object) -> None:
        self.scheduled.discard(scheduled)

    def wake(self) -> None:
        pass

    def start(self, attempt: Attempt, work: Callable[[], None]) -> None:
        self.pending.append((attempt, work))

    def wait(self, attempt: Attempt, seconds: float) -> bool:
        if not self.hanging:
            self.run()
        if not attempt.done.is_set() and seconds > 0:
            self.clock.advance(seconds)
        return attempt.done.is_set()

    def notify(self, notice: Callable[[], None]) -> None:
        with contextlib.suppress(ZeroDivisionError):  # as the real one outlives what a subscriber raises
            notice()

    def run(self) -> None:
        """Let every attempt end, also those that were given up."""
        while self.pending:
            attempt, work = self.pending.pop(0)
            work()
            attempt.done.set()


class ScriptedSource:
    """Gives the token of `person`, or raises what stands in `error`; counts."""

    def __init__(self, *, renewable: bool = True) -> None:
        self.renewable = renewable
        self.person = "ada"
        self.error: FederationError | None = None
        self.expires_at: datetime | None = None
        self.asked = 0
        self.logins = 0
        self.forgotten = 0
        self.renew_at: datetime | None = None
        self.last: IdToken | None = None
        self.remarks: tuple[str, ...] = ()

    def token(self) -> IdToken:
        self.asked += 1
        if self.error is not None:
            raise self.error.restated()
        return IdToken(
            raw=Secret("token"), issuer="https://issuer.example", subject=self.person, expires_at=self.expires_at
        )

    def login(self, prompt: object) -> IdToken:
        self.logins += 1
        self.error = None
        return self.token()

    def last_token(self) -> IdToken | None:
        return self.last

    def forget(self) -> None:
        self.forgotten += 1

    def sign_out(self) -> None:
        self.forget()


class ScriptedExchange:
    """Mints numbered key triples that live `lifetime` seconds, or raises what stands in `error`; counts."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lifetime = 3600.0
        self.error: Exception | None = None
        self.asked: list[str | None] = []
        self.expiries: dict[int, float] = {}

    def exchange(self, token: IdToken, *, identity_id: str | None = None) -> AwsCredentials:
        self.asked.append(identity_id)
        if self.error is not None:
            raise self.error
        number = len(self.asked)
        self.expiries[number] = self.clock.elapsed() + self.lifetime
        return AwsCredentials(
            access_key_id=f"key-{number}",
            secret_access_key=f"secret-{number}",
            session_token=f"session-{number}",
            expires_at=self.clock.now() + timedelta(seconds=self.lifetime),
            identity_id=f"eu-west-1:{token.subject}",
        )


class Nobody:
    """A prompt with no person behind it, which remembers what it was told to show."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.shown: list[str] = []

    reaches_somebody = False

    def show(self, offer: Offer) -> None:
        self.shown.append(offer.text())

    def ask_secret(self, question: str) -> str:
        raise LoginRequiredError("Nobody is here to answer.", fix="Use --token-file.")

    def waiting(self, what: str, seconds: float) -> None:
        self.waits.append(seconds)


def outage() -> ExchangeError:
    return ExchangeError("AWS cannot be reached.", fix="Check the network.", retryable=True)
