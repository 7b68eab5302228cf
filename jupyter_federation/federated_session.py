"""One identity's session: it holds credentials, decides when to renew them, and reports.

A state machine without a thread of its own.  Its whole state is one immutable value that is replaced in one step, so
a reader, a fork or an interrupt at any moment sees either the old state or the new one.  The refresher calls `tick`;
everything that may block runs in an `Attempt`, of which there is at most one at a time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import SystemRandom

from jupyter_federation import refresher as background
from jupyter_federation.credentials import AwsCredentials, Exchange
from jupyter_federation.errors import (
    ConfigurationError,
    ExchangeError,
    FederationError,
    InvalidStateError,
    InvalidTokenError,
    LoginRequiredError,
    SourceUnavailableError,
    TokenError,
)
from jupyter_federation.refresher import Attempt, Clock, Refresher, SystemClock
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.subscribers import Subscriber, Subscribers
from jupyter_federation.tokens import IdToken, Prompt, SignedOut, TokenSource


@dataclass(frozen=True, kw_only=True, slots=True)
class RefreshPolicy:
    """When credentials are renewed, and how a failure is retried.  Times in seconds.

    Renewal starts ahead of the expiry by ``min(lifetime * ahead_fraction, ahead_at_most)``, and earlier by a random
    part of ``lifetime * jitter_fraction``, so that many kernels do not ask at once.  After a failure that may pass,
    the next try begins when a delay drawn from [d/2, d] has passed since the failed one began, d running through
    ``retry_delays``, and never sooner than half of the first of them after its end; AWS's Retry-After counts up to
    ``retry_after_at_most``.  After a refusal, which passes only when somebody changes something, d is
    ``refused_delay``.  An attempt that takes longer than ``deadline`` in all is given up; its thread lives as long as
    what it hangs in, so each one that still hangs makes d longer.

    A token that wants to be renewed on its own is, at the earliest ``token_pause`` after the one before.
    """

    ahead_fraction: float = 1 / 3
    ahead_at_most: float = 20 * 60
    jitter_fraction: float = 0.1
    retry_delays: tuple[float, ...] = (5, 10, 15)
    retry_after_at_most: float = 60
    refused_delay: float = 300
    deadline: float = 10
    token_pause: float = 1


class SessionClosedError(InvalidStateError):
    """The session was closed, and hands out nothing any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """Credentials with the newest token of who they are for; their end and their renewal on the clock's ``elapsed()``.

    ``refusal`` is there where the token was the last: the source needs a person for the next.
    """

    credentials: AwsCredentials
    token: IdToken
    deadline: float
    renewal_at: float
    refusal: LoginRequiredError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    held: _Held | None = None
    attempt: Attempt | None = None
    due_at: float | None = None  # elapsed(): when the next attempt starts by itself; None: not before somebody asks
    failures: int = 0  # in a row
    error: FederationError | None = None  # of the last attempt, if it failed
    expiry_reported: bool = False
    hanging: tuple[Attempt, ...] = ()  # given up, and running still
    closed: bool = False


class FederatedSession:
    """The live session of one identity.

    ``cognito_identity`` is what an earlier session of the same pool and provider held: its token tells whether the same
    person comes back, and then the identity id is kept (no GetId).  ``way_back`` is what the person runs to
    sign in again; errors and status name it.
    """

    def __init__(
        self,
        source: TokenSource,
        exchange: Exchange,
        *,
        policy: RefreshPolicy | None = None,
        clock: Clock | None = None,
        refresher: Refresher | None = None,
        draw: Callable[[], float] | None = None,
        cognito_identity: tuple[IdToken, str] | None = None,
        way_back: str = "%federate",
    ) -> None:
        self._source = source
        self._exchange = exchange
        self._policy = policy or RefreshPolicy()
        self._clock = clock or SystemClock()
        self._refresher = refresher or background.shared
        self._draw = draw or SystemRandom().random  # not random's, which is the notebook's: seeded, and shared by forks
        self._earlier = cognito_identity
        self._way_back = way_back
        self._subscribers = Subscribers(self._refresher)
        self._lock = threading.Lock()
        self._state = _State()

    # What callers use

    def credentials(self) -> AwsCredentials:
        """The current credentials; the one read path.  Never prompts.

        Answers from memory while they are valid.  Once they have expired it joins or starts one renewal and waits
        for it; where the last one failed and the next is not due yet, it raises that failure at once.
        """
        held = self._state.held
        if held is not None and self._clock.elapsed() < held.deadline:
            return held.credentials
        return self._credentials_after_expiry()

    @property
    def valid_credentials(self) -> AwsCredentials | None:
        """The current credentials as long as they are valid, else None; waits for nothing and starts nothing."""
        held = self._state.held
        return held.credentials if held is not None and self._clock.elapsed() < held.deadline else None

    def login(self, prompt: Prompt) -> SessionStatus:
        """Sign in: a token silently where the source has one, else by asking through ``prompt``; then the exchange.

        Raises TokenError or ExchangeError; what was held before stays.
        """
        try:
            self._complete(self._begin(), prompt)
        except LoginRequiredError:
            self._source.login(prompt)
            self._complete(self._begin(), prompt)
        return self.status()

    def refresh(self, prompt: Prompt | None = None) -> SessionStatus:
        """Renew now, or wait for the renewal that is under way.

        The token source is asked once.  Raises TokenError or ExchangeError; credentials that are still valid stay.
        """
        _, before = self._open()
        self._complete(self._begin(), prompt)
        after = self._state.held
        if after is not None and after.credentials is before.credentials:  # it was under way for the token alone
            self._complete(self._begin(), prompt)
        return self.status()

    def status(self) -> SessionStatus:
        """What is known without asking anybody."""
        return self._status_of(self._state)

    @property
    def cognito_identity(self) -> tuple[IdToken, str] | None:
        """The token and the Cognito identity id held now, for a session that follows this one."""
        held = self._state.held
        if held is None or held.credentials.identity_id is None:
            return None
        return held.token, held.credentials.identity_id

    def has_another_token(self) -> bool:
        """Whether a source that cannot renew its token has been given another one meanwhile, or lost it."""
        held = self._state.held
        if held is None or self._source.renewable:
            return False
        try:
            return self._source.token().raw != held.token.raw
        except FederationError:
            return True

    @property
    def token(self) -> IdToken | None:
        """The token behind the current credentials."""
        held = self._state.held
        return None if held is None else held.token

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber(event, status)`` at each event, from a background thread; call the result to stop."""
        return self._subscribers.add(subscriber)

    def close(self, *, sign_out: bool = False) -> Callable[[], SignedOut] | None:
        """Drop credentials and tokens; from here on nothing is handed out.  Closing again does nothing.

        With ``sign_out``, what it returns ends the sign-in at the provider too when it is called: see
        `TokenSource.sign_out`.
        """
        with self._lock:
            before = self._state
            if before.closed:
                return None
            self._state = _State(closed=True)  # an attempt that is under way finds its place taken
            if before.attempt is not None:
                _end(before.attempt, _cleared())
        self._refresher.remove(self)
        self._earlier = None
        if before.held is not None:
            self._report("cleared", _State(closed=True))
        if sign_out:
            return self._source.sign_out()
        self._source.forget()
        return None

    # What the refresher calls

    def tick(self) -> float:
        """Start what is due, give up what hangs, report an expiry; the seconds until the next is due."""
        now = self._clock.elapsed()
        state = self._state
        if state.attempt is not None and now >= state.attempt.deadline:
            self._finish(state.attempt, self._too_late())
        elif state.attempt is None and state.due_at is not None and now >= state.due_at:
            with contextlib.suppress(SessionClosedError):  # closed since the line above
                self._begin(state, whole=_needs_exchange(state, now))
        self._report_expiry(now)
        state = self._state
        moments = [state.attempt.deadline if state.attempt is not None else state.due_at]
        if state.held is not None and not state.expiry_reported:
            moments.append(state.held.deadline)
        return min((moment - now for moment in moments if moment is not None), default=background.LONGEST_SLEEP)

    def forked(self) -> None:
        """Begin anew in a forked child: its parent's lock may be held for ever, and its attempt has no thread.

        The renewal is drawn anew: a pool of children would otherwise ask at the same moment as their parent.  And it
        is never at once, because many a child lives only until its exec().  Who subscribed did so in the parent, where
        the screens are.
        """
        self._lock = threading.Lock()
        self._subscribers.forked()
        state, due_at = self._state, self._state.due_at
        held = state.held
        if held is not None and due_at is not None:
            held = replace(held, renewal_at=self._renewal_at(held.deadline))
            renewal = None if state.failures else self._due_at(held)
            due_at = max(
                due_at if renewal is None else renewal,
                self._clock.elapsed() + self._drawn(self._policy.retry_delays[0]),
            )
        self._state = replace(state, held=held, attempt=None, due_at=due_at, hanging=())

    # How an attempt runs

    def _begin(self, seen: _State | None = None, *, whole: bool = True) -> Attempt:
        """The attempt under way, or a new one; an ended one, if another has ended since the caller saw ``seen``.

        One that is not ``whole`` renews the token alone.
        """
        if self._state.closed:
            raise _cleared()
        self._refresher.add(self)  # first, so that a fork finds the lock below; and somebody must notice if it hangs
        now = self._clock.elapsed()
        attempt = Attempt(now + self._policy.deadline)
        failed = None
        with self._lock:
            if self._state.closed:
                self._refresher.remove(self)
                raise _cleared()
            before = self._state.attempt
            if before is not None and now < before.deadline:
                return before
            if seen is not None and (self._state.held is not seen.held or self._state.failures != seen.failures):
                attempt.done.set()
                return attempt
            try:
                # Started, then entered: an interrupt between the two leaves an attempt whose answer is dropped.  The
                # other way round it would leave one that never ends.
                self._refresher.start(attempt, lambda: self._finish(attempt, self._outcome(whole=whole)))
            except RuntimeError:
                failed = _no_thread()
            if before is not None:  # overdue, and nobody has noticed yet: the machine slept
                _end(before, self._too_late())
            self._state = replace(self._state, attempt=attempt)
        if failed is not None:
            self._finish(attempt, failed)
        return attempt

    def _outcome(self, *, whole: bool) -> _Held | FederationError:
        """A token, checked and exchanged; a failure is a value here, so that no traceback holds on to a secret."""
        held = self._state.held
        try:
            token, refusal = self._token(whole=whole)
            token.check_time(self._clock.now())
            if held is not None and refusal is None and not whole:
                return replace(held, token=token)
            credentials = self._exchange.exchange(token, identity_id=self._identity_of(token))
        except FederationError as error:
            return error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001 - a silent thread is the worst end, after a sys.exit() too
            return _unforeseen(error)
        lifetime = (credentials.expires_at - self._clock.now()).total_seconds()
        if lifetime <= 0:
            return ExchangeError(
                "AWS's answer holds credentials that have already expired by this machine's clock.",
                fix="Check this machine's clock (date -u).",
                retryable=True,
            )
        deadline = self._clock.elapsed() + lifetime
        return _Held(
            credentials=credentials,
            token=token,
            deadline=deadline,
            renewal_at=self._renewal_at(deadline),
            refusal=refusal,
        )

    def _token(self, *, whole: bool) -> tuple[IdToken, LoginRequiredError | None]:
        """The source's token, or the last one that still lives where keys are due and there is no new one.

        With the reason where a person is needed from now on; what may pass is tried again for the token alone.
        """
        try:
            return self._source.token(), None
        except (SourceUnavailableError, ConfigurationError):  # keys must not end before the token that buys them does
            last = self._source.last_token() if whole else None
            if last is None:
                raise
            return last, None
        except LoginRequiredError as error:
            state = self._state
            bought = state.held is None or self._needs_you(state.error)
            last = None if bought else self._source.last_token()
            if last is None:
                raise
            return last, error.with_traceback(None)

    def _identity_of(self, token: IdToken) -> str | None:
        """The Cognito identity id to keep: the one held, if the same person comes back with this token."""
        known = self.cognito_identity or self._earlier
        if known is None:
            return None
        before, identity_id = known
        if token.subject is None:  # an opaque token, or a guest's empty one, names nobody
            return identity_id if str(before.raw) == str(token.raw) else None
        same_person = (before.issuer, before.subject) == (token.issuer, token.subject)
        return identity_id if same_person else None

    def _finish(self, attempt: Attempt, outcome: _Held | FederationError) -> None:
        """Take in what an attempt came to, unless it was given up or the session was closed meanwhile."""
        error = None if isinstance(outcome, _Held) else outcome
        due_at = self._due_at(outcome) if isinstance(outcome, _Held) else None
        with self._lock:
            before = self._state
            if before.attempt is not attempt:  # its place is taken: by a fork, a close, an interrupt
                if not attempt.done.is_set():
                    _end(attempt, error)
                return
            if isinstance(outcome, _Held):
                self._state = _State(held=outcome, due_at=due_at, error=outcome.refusal)
            else:
                hanging = tuple(each for each in (*before.hanging, attempt) if each.is_running)
                began = attempt.deadline - self._policy.deadline
                retry_at = self._retry_at(outcome, before.failures, hanging=len(hanging), began=began)
                self._state = replace(
                    before,
                    attempt=None,
                    failures=before.failures + 1,
                    error=outcome,
                    due_at=None if before.held is None else retry_at,
                    hanging=hanging,
                )
            after = self._state
            _end(attempt, error)
        self._refresher.wake()
        if before.held is None:
            if error is None:
                self._report("federated", after)
        elif self._needs_you(after.error) and not self._needs_you(before.error):
            self._report("needs_you", after)
        else:
            self._report("refreshed" if error is None else "refresh_failed", after)

    def _wait(self, attempt: Attempt, prompt: Prompt | None) -> None:
        """Until ``attempt`` has ended or its deadline has passed; its ``error`` says how it ended."""
        if attempt.thread is threading.current_thread():
            raise SourceUnavailableError(
                "The token source waits for the very renewal that it was asked for.",
                fix="Let the token's callable use credentials of its own, and neither refresh nor sign in.",
            )
        started = self._clock.elapsed()
        while not self._refresher.wait(attempt, min(1.0, attempt.deadline - self._clock.elapsed())):
            now = self._clock.elapsed()
            if now >= attempt.deadline:
                self._finish(attempt, self._too_late())
            elif prompt is not None:
                prompt.waiting("Asking AWS for credentials", now - started)

    def _complete(self, attempt: Attempt, prompt: Prompt | None) -> None:
        self._wait(attempt, prompt)
        if attempt.error is not None:
            raise attempt.error.restated()

    def _credentials_after_expiry(self) -> AwsCredentials:
        (state, held), now = self._open(), self._clock.elapsed()
        waits_for_retry = state.error is not None and (state.due_at is None or now < state.due_at)
        if state.attempt is not None or not waits_for_retry:
            self._report_expiry(now)
            self._wait(self._begin(state), None)
            state, held = self._open()
            if self._clock.elapsed() < held.deadline:
                return held.credentials
        raise self._expired(state, held)

    def _open(self) -> tuple[_State, _Held]:
        """What there is.  Raises SessionClosedError once it was closed, LoginRequiredError where nothing is held."""
        state = self._state
        if state.closed:
            raise _cleared()
        if state.held is None:
            raise _not_signed_in()
        return state, state.held

    # What is decided

    def _renewal_at(self, deadline: float) -> float:
        """When to renew what expires at ``deadline``: ahead of it, and earlier by a random part."""
        policy, now = self._policy, self._clock.elapsed()
        lifetime = deadline - now
        ahead = min(lifetime * policy.ahead_fraction, policy.ahead_at_most)
        return deadline - ahead - self._draw() * lifetime * policy.jitter_fraction

    def _due_at(self, held: _Held) -> float | None:
        """When the credentials or the token have to be renewed next, whichever comes first; None: neither can be."""
        if held.refusal is not None:
            return None
        renew_at = self._source.renew_at
        if renew_at is None:
            return held.renewal_at
        seconds = (renew_at - self._clock.now()).total_seconds()
        return min(held.renewal_at, self._clock.elapsed() + max(seconds, self._policy.token_pause))

    def _retry_at(self, error: FederationError, failures: int, *, hanging: int, began: float) -> float | None:
        """When to try again after ``error`` of the attempt that ``began`` then; None where only a person can help.

        A callable that hangs for ever would cost a thread at each try: the more hang, the rarer the tries.
        """
        if self._needs_you(error):
            return None
        policy, now = self._policy, self._clock.elapsed()
        refused = isinstance(error, ConfigurationError) or (isinstance(error, ExchangeError) and not error.retryable)
        longest = policy.retry_delays[min(failures, len(policy.retry_delays) - 1)]
        delay = self._drawn(policy.refused_delay if refused else longest) * max(1, hanging)
        if isinstance(error, ExchangeError) and error.retry_after is not None:
            # AWS says the same to many, who should not all come back at the same moment.
            asked = min(error.retry_after, policy.retry_after_at_most)
            delay = max(delay, asked + self._draw() * longest / 2)
            return now + delay
        # From its begin: what took long to fail would otherwise be tried so much later.
        return max(began + delay, now + policy.retry_delays[0] / 2)

    def _drawn(self, longest: float) -> float:
        """A delay in seconds, from [longest/2, longest]."""
        return longest * (1 + self._draw()) / 2

    def _needs_you(self, error: FederationError | None) -> bool:
        """Whether only a person can help after ``error``."""
        return isinstance(error, LoginRequiredError) or (
            isinstance(error, InvalidTokenError) and not self._source.renewable
        )

    def _too_late(self) -> ExchangeError:
        return ExchangeError(
            f"No answer within {self._policy.deadline:g} seconds, over token and exchange together.",
            fix="Check the network, the proxy (HTTPS_PROXY, NO_PROXY) and the token source, then run %federate again.",
            retryable=True,
        )

    def _expired(self, state: _State, held: _Held) -> FederationError:
        """What a caller gets once the credentials have expired and could not be renewed."""
        error = state.error or self._too_late()
        if state.due_at is None:
            fix = f"Run {self._way_back} to sign in again; the clients that you hold go on with it."
        else:
            wait = max(0, round(state.due_at - self._clock.elapsed()))
            fix = f"{error.fix} The next try is in {wait} s; %federate refresh tries now."
        return error.restated(
            problem=f"The AWS credentials expired at {self._expires_at(held):%H:%M:%S} UTC and could not be renewed: "
            f"{error.problem}",
            fix=fix,
        )

    # What is reported

    def _status_of(self, state: _State) -> SessionStatus:
        now = self._clock.elapsed()
        if state.held is None:
            return SessionStatus(
                refreshing=state.attempt is not None, last_error=None if state.error is None else str(state.error)
            )
        credentials, token = state.held.credentials, state.held.token
        role, needs_you = credentials.assumed_role_arn, self._needs_you(state.error)
        return SessionStatus(
            credentials="valid" if now < state.held.deadline else "expired",
            sign_in="needs_you" if needs_you else "ok" if self._source.renewable else "not_renewable",
            refreshing=state.attempt is not None,
            is_federated=True,
            provider=token.issuer,
            subject=token.name,
            identity_id=credentials.identity_id,
            role_arn=role,
            account_id=None if role is None else role.split(":")[4],
            access_key_suffix=credentials.access_key_id[-4:],
            sign_in_expires_at=token.expires_at,
            credentials_expire_at=self._expires_at(state.held),
            last_error=None if state.error is None else str(state.error),
            next_try_at=self._next_try_at(state),
            way_back=self._way_back,
            remarks=(*_clock_remark(credentials.clock_skew), *self._source.remarks),
        )

    def _expires_at(self, held: _Held) -> datetime:
        """The expiry by the wall clock as it stands now: it may have been set since the credentials came."""
        left = held.deadline - self._clock.elapsed()
        by_now = self._clock.now() + timedelta(seconds=left)
        was_set = abs(by_now - held.credentials.expires_at) > timedelta(seconds=5)
        return by_now if was_set else held.credentials.expires_at

    def _next_try_at(self, state: _State) -> datetime | None:
        """When a failed renewal is tried again, by the wall clock."""
        if state.error is None or state.due_at is None:
            return None
        return self._clock.now() + timedelta(seconds=state.due_at - self._clock.elapsed())

    def _report_expiry(self, now: float) -> None:
        with self._lock:
            state = self._state
            if state.held is None or state.expiry_reported or now < state.held.deadline:
                return
            self._state = state = replace(state, expiry_reported=True)
        self._report("expired", state)

    def _report(self, event: str, state: _State) -> None:
        self._subscribers.tell(event, self._status_of(state))


def _needs_exchange(state: _State, now: float) -> bool:
    """Whether the attempt that is due is about the credentials, and not about the token alone."""
    if state.held is None or now >= state.held.renewal_at:
        return True
    return state.error is not None and not isinstance(state.error, (TokenError, ConfigurationError))


def _end(attempt: Attempt, error: FederationError | None) -> None:
    attempt.error = error
    attempt.done.set()


def _no_thread() -> FederationError:
    return FederationError(
        "No thread could be started to ask AWS for credentials.",
        fix="Close what runs many threads or processes (ulimit -u), then run %federate refresh.",
    )


def _cleared() -> SessionClosedError:
    return SessionClosedError("This AWS session was cleared.", fix="Run %federate to sign in again.")


def _not_signed_in() -> LoginRequiredError:
    return LoginRequiredError("Nobody is signed in to AWS here.", fix="Run %federate to sign in.")


def _unforeseen(error: BaseException) -> FederationError:
    """A fault of ours, by its type and place alone: its text and its frames may hold a token."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "unknown" if trace is None else f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}"
    return FederationError(
        f"Getting credentials failed in an unforeseen way: {type(error).__name__} in {place}.",
        fix="Run %federate again; if it stays, please report this sentence.",
    )


def _clock_remark(skew: timedelta) -> tuple[str, ...]:
    minutes = round(skew.total_seconds() / 60)
    if minutes == 0:
        return ()
    side = "fast" if minutes > 0 else "slow"
    return (
        f"This machine's clock is {abs(minutes)} minutes {side}: AWS refuses requests that are off by more than 5.",
    )
