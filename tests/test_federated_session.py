"""The session's decisions, one by one, on a clock that the test moves."""

import random
import threading
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from doubles import START, FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher, outage

from jupyter_federation.errors import (
    ConfigurationError,
    ExchangeError,
    FederationError,
    InvalidStateError,
    InvalidTokenError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.federated_session import FederatedSession, RefreshPolicy
from jupyter_federation.tokens import IdToken


class Stage:
    def __init__(self, *, renewable=True, draw=lambda: 0.0, **policy):
        self.clock = FakeClock()
        self.background = StepRefresher(self.clock)
        self.source = ScriptedSource(renewable=renewable)
        self.exchange = ScriptedExchange(self.clock)
        self.events = []
        self.session = FederatedSession(
            self.source,
            self.exchange,
            policy=replace(RefreshPolicy(), **policy),
            clock=self.clock,
            refresher=self.background,
            draw=draw,
        )
        self.session.subscribe(lambda event, status: self.events.append((event, status.credentials)))

    def pass_time(self, seconds, step=1.0):
        """Let time pass as the refresher sees it: a tick each second, attempts ending at once."""
        end = self.clock.elapsed() + seconds
        while self.clock.elapsed() < end:
            self.clock.advance(min(step, end - self.clock.elapsed()))
            self.session.tick()
            if not self.background.hanging:
                self.background.run()


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def signed_in(stage):
    stage.session.login(Nobody())
    return stage


def test_constructing_asks_nobody(stage):
    """A constructor is free of side effects."""
    assert (0, []) == (stage.source.asked, stage.exchange.asked)
    assert "none" == stage.session.status().credentials


def test_login_gives_credentials_and_reports_it(signed_in):
    """A sign-in asks source and exchange once each, and says that it is federated."""
    assert "key-1" == signed_in.session.credentials().access_key_id
    assert (1, 1) == (signed_in.source.asked, len(signed_in.exchange.asked))
    assert [("federated", "valid")] == signed_in.events


def test_reading_valid_credentials_asks_nobody(signed_in):
    """Cached means cached: zero calls while they live."""
    for _ in range(100):
        signed_in.session.credentials()
    assert 1 == len(signed_in.exchange.asked)


def test_renewal_comes_20_minutes_ahead_of_an_hour(signed_in):
    """min(lifetime/3, 20 minutes) ahead of the expiry."""
    signed_in.pass_time(2399)
    assert 1 == len(signed_in.exchange.asked)
    signed_in.pass_time(2)
    assert 2 == len(signed_in.exchange.asked)
    assert ("refreshed", "valid") == signed_in.events[-1]


def test_renewal_comes_a_third_ahead_of_a_short_life():
    """Credentials of 90 seconds are renewed after 60, not on every call."""
    stage = Stage()
    stage.exchange.lifetime = 90
    stage.session.login(Nobody())
    stage.pass_time(59)
    assert 1 == len(stage.exchange.asked)
    stage.pass_time(2)
    assert 2 == len(stage.exchange.asked)


def test_jitter_brings_the_renewal_forward_by_up_to_a_tenth_of_the_life():
    """Many kernels with the same lifetime do not ask at once."""
    stage = Stage(draw=lambda: 1.0)
    stage.session.login(Nobody())
    stage.pass_time(2400 - 360 - 1)
    assert 1 == len(stage.exchange.asked)
    stage.pass_time(2)
    assert 2 == len(stage.exchange.asked)


def test_the_identity_id_is_handed_back(signed_in):
    """A renewal spares GetId."""
    signed_in.session.refresh()
    assert [None, "eu-west-1:ada"] == signed_in.exchange.asked


def test_another_persons_token_gets_its_own_identity(signed_in):
    """A file that somebody else's token was written to must not go on under the first one's identity."""
    signed_in.source.person = "grace"
    signed_in.session.refresh()
    assert [None, None] == signed_in.exchange.asked
    assert "eu-west-1:grace" == signed_in.session.status().identity_id


def test_a_failed_refresh_keeps_what_is_valid(signed_in):
    """A failure never takes good credentials away, and is reported."""
    signed_in.exchange.error = outage()
    with pytest.raises(ExchangeError):
        signed_in.session.refresh()
    assert "key-1" == signed_in.session.credentials().access_key_id
    status = signed_in.session.status()
    assert (True, "valid", "AWS cannot be reached. Check the network.") == (
        status.is_federated,
        status.credentials,
        status.last_error,
    )
    assert ("refresh_failed", "valid") == signed_in.events[-1]


@pytest.mark.parametrize(("draw", "longest"), [(0.0, [2.5, 5, 7.5, 7.5]), (1.0, [5, 10, 15, 15])])
def test_retries_are_spaced_between_half_and_the_whole_delay(draw, longest):
    """Delays are drawn from [d/2, d] for d = 5, 10, then 15 seconds."""
    stage = Stage(draw=lambda: draw)
    stage.session.login(Nobody())
    stage.exchange.error = outage()
    stage.pass_time(2399 - 360 * draw)
    times = []
    seen = len(stage.exchange.asked)
    while len(times) < 5:
        stage.pass_time(0.1, step=0.1)
        if len(stage.exchange.asked) > seen:
            seen = len(stage.exchange.asked)
            times.append(stage.clock.elapsed())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert longest == pytest.approx(gaps, abs=0.25)


def test_retry_after_is_honoured_up_to_a_minute(signed_in):
    """AWS may ask for more time than the schedule would give, within bounds."""
    for asked, waited in ((30.0, 30), (600.0, 60)):
        signed_in.exchange.error = ExchangeError("Throttled.", fix="Wait.", retryable=True, retry_after=asked)
        with pytest.raises(ExchangeError):
            signed_in.session.refresh()
        before = len(signed_in.exchange.asked)
        signed_in.pass_time(waited - 1)
        assert before == len(signed_in.exchange.asked)
        signed_in.pass_time(2)
        assert before + 1 == len(signed_in.exchange.asked)


def test_a_refusal_is_not_repeated_every_few_seconds(signed_in):
    """What only a person can mend is tried again after minutes."""
    signed_in.exchange.error = ExchangeError("Not authorized.", fix="Ask.", aws_code="NotAuthorizedException")
    with pytest.raises(ExchangeError):
        signed_in.session.refresh()
    signed_in.pass_time(149)
    assert 2 == len(signed_in.exchange.asked)


def test_after_the_expiry_the_last_failure_is_raised_at_once_with_the_next_try(signed_in):
    """Nobody waits for a retry that is scheduled, and everybody learns when it comes."""
    signed_in.exchange.error = outage()
    signed_in.pass_time(3601)
    asked = len(signed_in.exchange.asked)
    with pytest.raises(ExchangeError, match=r"expired at .* could not be renewed.*next try is in \d+ s") as caught:
        signed_in.session.credentials()
    assert "AWS cannot be reached." in str(caught.value)
    assert asked == len(signed_in.exchange.asked)
    assert ("expired", "expired") in signed_in.events


def test_is_federated_stays_true_through_an_outage(signed_in):
    """Expired is not signed out."""
    signed_in.exchange.error = outage()
    signed_in.pass_time(4000)
    status = signed_in.session.status()
    assert (True, "expired", "ok") == (status.is_federated, status.credentials, status.sign_in)


def test_a_wake_from_sleep_renews_on_the_first_read(signed_in):
    """After a laptop's sleep the first caller waits for one renewal instead of failing."""
    signed_in.clock.advance(8 * 3600)
    assert "key-2" == signed_in.session.credentials().access_key_id


def test_an_exchange_that_hangs_is_given_up_at_the_deadline(signed_in):
    """A caller has an answer after ten seconds, and the next attempt goes on."""
    signed_in.background.hanging = True
    started = signed_in.clock.elapsed()
    prompt = Nobody()
    with pytest.raises(ExchangeError, match="No answer within 10 seconds"):
        signed_in.session.refresh(prompt)
    assert 10 == pytest.approx(signed_in.clock.elapsed() - started)
    assert 9 == len(prompt.waits)  # one sign of life a second
    signed_in.background.hanging = False
    signed_in.session.refresh()
    assert ("refreshed", "valid") == signed_in.events[-1]


def test_the_background_gives_up_what_hangs(signed_in):
    """Without anybody waiting, a hanging attempt is given up too and the next one starts."""
    signed_in.background.hanging = True
    signed_in.pass_time(2400 + 11)
    assert "No answer within 10 seconds" in signed_in.session.status().last_error
    signed_in.pass_time(5)
    assert 2 == len(signed_in.background.pending)


def test_a_late_answer_is_dropped(signed_in):
    """What an abandoned attempt brings after all changes nothing."""
    signed_in.background.hanging = True
    with pytest.raises(ExchangeError):
        signed_in.session.refresh()
    signed_in.background.run()
    assert "key-1" == signed_in.session.credentials().access_key_id


def test_needs_you_is_reported_once_and_then_nobody_is_asked(signed_in):
    """When only the person can help, the session says so and stops trying."""
    signed_in.source.error = LoginRequiredError("Sign in.", fix="Run %federate.")
    signed_in.pass_time(3000)
    assert [("federated", "valid"), ("needs_you", "valid")] == signed_in.events
    assert "needs_you" == signed_in.session.status().sign_in
    assert 2 == signed_in.source.asked
    assert "key-1" == signed_in.session.credentials().access_key_id


def test_login_asks_the_person_only_when_the_source_cannot_answer_silently(stage):
    """Silent first, the person second."""
    stage.source.error = LoginRequiredError("Sign in.", fix="Run %federate.")
    stage.session.login(Nobody())
    assert 1 == stage.source.logins
    assert "valid" == stage.session.status().credentials


def test_an_expired_token_is_refused_before_the_exchange(stage):
    """No AWS call where none can succeed, and no leeway."""
    stage.source.expires_at = START
    with pytest.raises(InvalidTokenError, match="expired at"):
        stage.session.login(Nobody())
    assert [] == stage.exchange.asked


def test_a_token_that_cannot_be_renewed_says_so_and_then_needs_you():
    """A pasted token: not renewable while it lives, needs you when it has lapsed."""
    stage = Stage(renewable=False)
    stage.source.expires_at = START + timedelta(hours=1)
    stage.session.login(Nobody())
    assert "not_renewable" == stage.session.status().sign_in
    stage.pass_time(2401)
    assert 2 == len(stage.exchange.asked)
    stage.pass_time(2500)
    assert "needs_you" == stage.session.status().sign_in
    assert "valid" == stage.session.status().credentials


def test_the_wall_clock_set_back_does_not_lengthen_a_life(signed_in):
    """Credentials of an hour are gone after an hour, whatever the clock on the wall says."""
    signed_in.clock.jump(-7200)
    signed_in.exchange.error = outage()
    signed_in.clock.advance(3601)
    with pytest.raises(ExchangeError):
        signed_in.session.credentials()


def test_the_wall_clock_set_forward_does_not_shorten_a_life(signed_in):
    """A clock that is mended does not throw good credentials away, and the shown expiry moves with it."""
    signed_in.clock.jump(7200)
    assert "key-1" == signed_in.session.credentials().access_key_id
    assert START + timedelta(hours=3) == signed_in.session.status().credentials_expire_at


def test_close_hands_out_nothing_and_forgets(signed_in):
    """After clear: no credentials, no token, one event; again does nothing."""
    signed_in.session.close()
    signed_in.session.close()
    with pytest.raises(InvalidStateError, match="cleared"):
        signed_in.session.credentials()
    with pytest.raises(InvalidStateError, match="cleared"):
        signed_in.session.refresh()
    assert [("federated", "valid"), ("cleared", "none")] == signed_in.events
    assert 1 == signed_in.source.forgotten
    assert set() == signed_in.background.scheduled


def test_close_during_an_attempt_drops_its_answer(signed_in):
    """A refresh that comes back after clear signs nobody in again."""
    signed_in.background.hanging = True
    signed_in.pass_time(2401)
    signed_in.session.close()
    signed_in.background.run()
    assert "none" == signed_in.session.status().credentials


def test_an_unforeseen_fault_is_named_by_type_and_place_only(signed_in):
    """A bug in an exchange is reported without its text, which may hold a secret."""
    signed_in.exchange.error = ZeroDivisionError("eyJ-secret")
    with pytest.raises(FederationError, match=r"ZeroDivisionError in exchange, line \d+") as caught:
        signed_in.session.refresh()
    assert "eyJ-secret" not in caught.value.diagnostics()


def test_a_token_callable_that_needs_the_expired_credentials_is_told_so():
    """A callable that reads its token with the very session does not wait for itself."""
    clock = FakeClock()
    source, exchange = ScriptedSource(), ScriptedExchange(clock)
    session = FederatedSession(source, exchange, clock=clock)
    session.login(Nobody())
    clock.advance(3601)
    caught = []
    ask = source.token

    def token():
        if not caught:
            try:
                session.credentials()
            except FederationError as error:
                caught.append(error)
        return ask()

    source.token = token
    assert "key-2" == session.credentials().access_key_id
    assert [SourceUnavailableError] == [type(error) for error in caught]
    session.close()


def test_a_herd_shares_one_renewal():
    """Thirty-two threads that find the credentials expired ask once between them."""
    clock = FakeClock()
    exchange = ScriptedExchange(clock)
    session = FederatedSession(ScriptedSource(), exchange, clock=clock)
    session.login(Nobody())
    clock.advance(3601)
    got = []
    herd = [threading.Thread(target=lambda: got.append(session.credentials().access_key_id)) for _ in range(32)]
    for thread in herd:
        thread.start()
    for thread in herd:
        thread.join()
    assert ["key-2"] * 32 == got
    assert 2 == len(exchange.asked)
    session.close()


def test_a_subscriber_that_raises_stops_nothing(signed_in):
    """Events go on to the others, and unsubscribing ends them."""
    told = []

    def raises(event, status):
        told.append(event)
        raise ZeroDivisionError

    unsubscribe = signed_in.session.subscribe(raises)
    signed_in.session.subscribe(lambda event, status: told.append(f"{event} too"))
    signed_in.session.refresh()
    unsubscribe()
    signed_in.session.refresh()
    assert ["refreshed", "refreshed too", "refreshed too"] == told


def test_an_opaque_token_of_somebody_else_does_not_keep_the_identity(signed_in):
    """An access token names nobody: only the very same one is surely the same person's."""
    opaque = IdToken(raw="opaque-1")
    signed_in.source.token = lambda: opaque
    signed_in.session.refresh()
    signed_in.session.refresh()
    opaque = IdToken(raw="opaque-2")
    signed_in.session.refresh()
    assert [None, None, "eu-west-1:None", None] == signed_in.exchange.asked


@pytest.mark.parametrize("took", [0, 5, 9])
def test_a_try_that_took_long_to_fail_delays_the_next_no_further(signed_in, took):
    """15 seconds at most from begin to begin, so that an outage is over for us 15 seconds after it is; and a pause."""
    session, clock, began = signed_in.session, signed_in.clock, []
    session._draw = lambda: 1.0

    def fails(token, **options):
        began.append(clock.elapsed())
        clock.advance(took)
        raise outage()

    signed_in.exchange.exchange = fails
    signed_in.pass_time(2400 + 100)
    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert [max(5, took + 2.5), max(10, took + 2.5)] == pytest.approx(gaps[:2], abs=1)
    assert {15} == set(map(round, gaps[2:]))


@pytest.fixture
def two_clocks():
    """Signed in with keys of an hour and an ID token of ten minutes, which is wanted anew after five."""
    stage = Stage()
    source, ask = stage.source, stage.source.token

    def token():
        given = ask()
        if source.renew_at is None or source.renew_at <= stage.clock.now():
            source.renew_at = stage.clock.now() + timedelta(minutes=5)
            source.expires_at = stage.clock.now() + timedelta(minutes=10)
        return replace(given, expires_at=source.expires_at)

    source.token = token
    stage.session.login(Nobody())
    return stage


def refuse(stage):
    """From now on the provider refuses, and the token that lives is the last."""
    stage.source.last = stage.session.token
    stage.source.error = LoginRequiredError("Revoked.", fix="Run %federate.")


def test_the_token_is_renewed_on_its_own_and_the_credentials_by_theirs(two_clocks):
    """Seven renewals of the token in 39 minutes without an exchange; then both together."""
    two_clocks.pass_time(39 * 60)
    assert (8, 1) == (two_clocks.source.asked, len(two_clocks.exchange.asked))
    assert "key-1" == two_clocks.session.credentials().access_key_id
    assert two_clocks.session.status().sign_in_expires_at > two_clocks.clock.now()
    two_clocks.pass_time(120)
    assert (9, 2) == (two_clocks.source.asked, len(two_clocks.exchange.asked))
    assert {("refreshed", "valid")} == set(two_clocks.events[1:])


def test_keys_are_renewed_by_their_own_clock_however_long_the_token_lives(stage):
    """Twenty minutes before they expire, though the token wants nothing for two hours."""
    stage.source.renew_at = START + timedelta(hours=2)
    stage.session.login(Nobody())
    stage.pass_time(2401)
    assert (2, 2) == (stage.source.asked, len(stage.exchange.asked))


def test_a_refused_renewal_shows_early_and_buys_one_last_set_of_keys(two_clocks):
    """needs_you within half of the token's life, a full hour of keys from there, and nobody is asked again."""
    refuse(two_clocks)
    two_clocks.pass_time(302)
    status = two_clocks.session.status()
    assert ("needs_you", "valid", "Revoked. Run %federate.") == (
        status.sign_in,
        status.credentials,
        status.last_error,
    )
    assert [("federated", "valid"), ("needs_you", "valid")] == two_clocks.events
    assert "key-2" == two_clocks.session.credentials().access_key_id
    two_clocks.pass_time(3590)
    assert "key-2" == two_clocks.session.credentials().access_key_id
    assert (2, 2) == (two_clocks.source.asked, len(two_clocks.exchange.asked))
    two_clocks.pass_time(60)
    with pytest.raises(LoginRequiredError, match="Run %federate to sign in again"):
        two_clocks.session.credentials()


def test_the_last_set_of_keys_is_bought_once(two_clocks):
    """A refresh afterwards is refused, and spends nothing."""
    refuse(two_clocks)
    assert "needs_you" == two_clocks.session.refresh().sign_in
    for _ in range(2):
        with pytest.raises(LoginRequiredError):
            two_clocks.session.refresh()
    assert 2 == len(two_clocks.exchange.asked)
    assert ["needs_you"] == [event for event, _ in two_clocks.events if event == "needs_you"]
    assert "key-2" == two_clocks.session.credentials().access_key_id


def test_the_last_set_of_keys_waits_for_aws_to_come_back(two_clocks):
    """An outage of AWS at that very moment is retried; then the person is needed."""
    refuse(two_clocks)
    two_clocks.exchange.error = outage()
    two_clocks.pass_time(320)
    assert "AWS cannot be reached." in two_clocks.session.status().last_error
    two_clocks.exchange.error = None
    two_clocks.pass_time(16)
    assert "needs_you" == two_clocks.session.status().sign_in
    assert two_clocks.session.credentials().access_key_id != "key-1"


def test_a_provider_that_is_down_delays_the_token_alone(two_clocks):
    """It is retried within 15 seconds of its return, and costs no exchange."""
    two_clocks.source.error = SourceUnavailableError("Down.", fix="Wait.")
    two_clocks.pass_time(390)
    status = two_clocks.session.status()
    assert ("valid", "ok", "Down. Wait.") == (status.credentials, status.sign_in, status.last_error)
    two_clocks.source.error = None
    two_clocks.pass_time(16)
    assert two_clocks.session.status().last_error is None
    assert 1 == len(two_clocks.exchange.asked)


def test_a_refresh_that_meets_a_renewal_of_the_token_exchanges_after_it(two_clocks):
    """Who asks for new credentials gets them."""
    two_clocks.background.hanging = True
    two_clocks.pass_time(301)
    assert 1 == len(two_clocks.background.pending)
    two_clocks.background.hanging = False
    two_clocks.session.refresh()
    assert "key-2" == two_clocks.session.credentials().access_key_id


def test_a_token_that_is_always_due_is_asked_for_once_a_second(two_clocks):
    """A source that errs in its times costs no more than that."""
    two_clocks.source.token = lambda: replace(two_clocks.session.token)
    two_clocks.source.renew_at = START
    two_clocks.pass_time(310)
    two_clocks.events.clear()
    two_clocks.pass_time(10, step=0.1)
    assert len(two_clocks.events) <= 10


def test_forked_children_renew_their_keys_at_moments_of_their_own(signed_in):
    """Each draws anew, or a pool of them would ask AWS at once."""
    due = set()
    for number in range(5):
        signed_in.session._draw = lambda number=number: number / 5
        signed_in.session.forked()
        due.add(signed_in.session._state.held.renewal_at)
    assert 5 == len(due)


def test_a_forked_child_keeps_the_clock_of_its_credentials(two_clocks):
    """The renewal of both is drawn anew, never at once."""
    two_clocks.session.forked()
    two_clocks.pass_time(41 * 60)
    assert "key-2" == two_clocks.session.credentials().access_key_id


@pytest.mark.parametrize("error", [SourceUnavailableError, ConfigurationError])
def test_keys_that_are_due_while_there_is_no_new_token_are_bought_with_the_one_that_lives(two_clocks, error):
    """An outage of the provider ends no keys that its last token could renew; the token goes on being tried for."""
    two_clocks.source.last = replace(two_clocks.session.token, expires_at=START + timedelta(hours=9))
    two_clocks.source.error = error("Down.", fix="Wait.")
    for _ in range(3):
        expires_at = two_clocks.session.status().credentials_expire_at
        two_clocks.pass_time(3600)
        assert two_clocks.session.status().credentials_expire_at > expires_at
        assert two_clocks.session.credentials()
    assert 5 == len(two_clocks.exchange.asked)  # 40 minutes each
    assert ("ok", "Down. Wait.") == (two_clocks.session.status().sign_in, two_clocks.session.status().last_error)
    assert "needs_you" not in [event for event, _ in two_clocks.events]
    two_clocks.source.error = None
    two_clocks.pass_time(16 if error is SourceUnavailableError else 300)
    assert two_clocks.session.status().last_error is None


def test_an_outage_with_nothing_left_to_buy_with_ends_the_keys(two_clocks):
    """The error is the provider's."""
    two_clocks.source.error = SourceUnavailableError("Down.", fix="Wait.")
    two_clocks.pass_time(3700)
    with pytest.raises(SourceUnavailableError, match="Down"):
        two_clocks.session.credentials()


def test_the_user_s_random_numbers_are_left_alone():
    """A notebook that is seeded gives the same numbers with a session and without."""
    random.seed(0)
    without = random.random()
    random.seed(0)
    background, clock = StepRefresher(FakeClock()), FakeClock()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.login(Nobody())
    session.refresh()
    session.close()
    assert without == random.random()
