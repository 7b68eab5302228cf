"""Whatever happens to a session, in any order, four promises hold."""

import contextlib
from datetime import datetime, timedelta

from doubles import FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher, outage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_federation.errors import ExchangeError, FederationError, LoginRequiredError
from jupyter_federation.federated_session import FederatedSession


class SessionMachine(RuleBasedStateMachine):
    """Sign in, tick, jump, fail, hang, fork, clear, in every order that Hypothesis finds."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.background = StepRefresher(self.clock)
        self.source = ScriptedSource()
        self.exchange = ScriptedExchange(self.clock)
        self.signed_in = self.cleared = False
        self.begin()

    def begin(self):
        self.session = FederatedSession(
            self.source, self.exchange, clock=self.clock, refresher=self.background, draw=lambda: 0.5
        )
        self.signed_in = self.cleared = False

    @rule(lifetime=st.integers(1, 43_200))
    def sign_in(self, lifetime):
        self.exchange.lifetime = lifetime
        if self.cleared:
            self.begin()
        try:
            self.session.login(Nobody())
        except FederationError:
            return
        self.signed_in = True

    @rule(seconds=st.floats(0, 50_000), ticks=st.integers(1, 5))
    def tick(self, seconds, ticks):
        for _ in range(ticks):
            self.clock.advance(seconds / ticks)
            self.session.tick()

    @rule(seconds=st.floats(-100_000, 100_000))
    def jump(self, seconds):
        self.clock.jump(seconds)

    @rule(error=st.sampled_from([None, outage(), ExchangeError("Refused.", fix="Ask."), ValueError("odd")]))
    def exchange_fails(self, error):
        self.exchange.error = error

    @rule(error=st.sampled_from([None, LoginRequiredError("Sign in.", fix="Run %federate.")]))
    def source_fails(self, error):
        self.source.error = error

    @rule(seconds=st.none() | st.floats(-10, 5000))
    def token_has_its_own_clock(self, seconds):
        self.source.renew_at = None if seconds is None else self.clock.now() + timedelta(seconds=seconds)

    @rule(there=st.booleans())
    def a_last_token(self, there):
        self.source.last = self.session.token if there else None

    @rule(hanging=st.booleans())
    def hang(self, hanging):
        self.background.hanging = hanging

    @rule()
    def answers_arrive(self):
        self.background.run()

    @rule(person=st.sampled_from(["ada", "grace"]))
    def another_person(self, person):
        self.source.person = person

    @rule()
    def refresh(self):
        with contextlib.suppress(FederationError):
            self.session.refresh()

    @precondition(lambda self: not self.cleared)
    @rule()
    def fork(self):
        """In the child the parent's attempts never end."""
        self.background.pending.clear()
        self.session.forked()

    @rule()
    def clear(self):
        self.session.close()
        self.cleared = True

    @rule()
    def read(self):
        try:
            credentials = self.session.credentials()
        except FederationError:
            return
        assert self.signed_in
        assert not self.cleared, "something signs after clear"
        numbers = {
            credentials.access_key_id.removeprefix("key-"),
            credentials.secret_access_key.removeprefix("secret-"),
            credentials.session_token.removeprefix("session-"),
        }
        assert 1 == len(numbers), "a mixed key triple"
        assert self.clock.elapsed() < self.exchange.expiries[int(numbers.pop())], "served past its expiry"

    @invariant()
    def at_most_one_exchange_in_flight(self):
        now = self.clock.elapsed()
        live = [
            attempt for attempt, _ in self.background.pending if not attempt.done.is_set() and attempt.deadline > now
        ]
        assert len(live) <= 1

    @invariant()
    def status_never_fails_and_is_federated_until_clear(self):
        status = self.session.status()
        assert (self.signed_in and not self.cleared) == status.is_federated
        assert isinstance(status.credentials_expire_at, (datetime, type(None)))
        assert str(status)


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
