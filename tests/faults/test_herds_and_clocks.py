"""Many at once ask once; many kernels ask at different times; and clocks that are wrong or jump do no harm."""

import contextlib
import gc
import threading
import time
import weakref
from collections import Counter
from datetime import timedelta

import pytest
from doubles import FakeClock, Nobody, ScriptedExchange, ScriptedSource, StepRefresher, outage

from jupyter_federation.errors import ExchangeError, InvalidStateError, InvalidTokenError
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.refresher import LONGEST_SLEEP, Refresher, SystemClock


class Shifted(SystemClock):
    """This machine's clocks: ``asleep`` is added to the one that counts, ``wrong`` to the one on the wall.  Seconds."""

    asleep = 0.0
    wrong = 0.0

    def elapsed(self):
        return SystemClock.elapsed() + self.asleep

    def now(self):
        return SystemClock.now(self) + timedelta(seconds=self.wrong)


def herd(count, work):
    """``count`` threads that start at one moment; what each of them got or raised."""
    ready, results = threading.Barrier(count), []

    def run():
        ready.wait()
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def without_refresher():
    """A background that starts attempts and never ticks: whoever calls is alone responsible."""

    class CallersOnly(Refresher):
        def add(self, scheduled):
            pass

    return CallersOnly()


@pytest.mark.parametrize("seconds", [0.0, 0.02])
def test_a_herd_at_the_expiry_makes_one_exchange(without_refresher, seconds):
    """Thirty-two threads, fifty expiries: one exchange for each, however fast it ends."""
    clock = FakeClock()
    exchange = ScriptedExchange(clock)
    quick = exchange.exchange
    exchange.exchange = lambda *args, **options: (time.sleep(seconds), quick(*args, **options))[1]
    session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=without_refresher)
    session.login(Nobody())
    for number in range(2, 52 if not seconds else 12):
        clock.advance(3601)
        assert {f"key-{number}"} == {got.access_key_id for got in herd(32, session.credentials)}
        assert number == len(exchange.asked)


def test_a_herd_in_an_outage_makes_one_exchange(without_refresher):
    """It fails once, and everybody has that failure at once."""
    clock = FakeClock()
    exchange = ScriptedExchange(clock)
    session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=without_refresher)
    session.login(Nobody())
    exchange.error = outage()
    for number in range(2, 32):
        clock.advance(3601)
        got = herd(32, session.credentials)
        assert {ExchangeError} == {type(each) for each in got}
        assert 32 == len({id(each) for each in got}), "one instance was raised by many threads"
        assert number == len(exchange.asked)


@pytest.mark.parametrize("error", [None, outage()])
def test_the_last_of_a_herd_finds_it_done(error):
    """Who saw the expiry, and comes when the renewal has ended already, has its outcome and starts no second."""
    clock = FakeClock()
    exchange = ScriptedExchange(clock)
    session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=StepRefresher(clock))
    session.login(Nobody())
    clock.advance(3601)
    begin = session._begin

    def others_were_faster(seen=None):
        session._begin = begin
        exchange.error = error
        with contextlib.suppress(ExchangeError):
            session.refresh()
        return begin(seen)

    session._begin = others_were_faster
    if error is None:
        assert "key-2" == session.credentials().access_key_id
    else:
        with pytest.raises(ExchangeError, match="expired at"):
            session.credentials()
    assert 2 == len(exchange.asked)


def test_a_herd_over_sockets_makes_one_exchange(over_http, aws):
    """The same through botocore and the embedded AWS, after a sleep beyond the expiry."""
    clock = Shifted()
    signed_in = over_http("cognito", clock=clock)
    calls, before = aws.count(signed_in.operation), signed_in.session.credentials().access_key_id
    clock.asleep = 3700
    keys = {got if isinstance(got, Exception) else got.access_key_id for got in herd(32, signed_in.session.credentials)}
    assert 1 == len(keys)
    assert {before} != keys
    assert calls + 1 == aws.count(signed_in.operation)


def renewals_of_two_hundred_kernels(lifetime):
    """When each of 200 sessions that signed in at one moment renews, in seconds after that."""
    moments = []
    for _ in range(200):
        clock = FakeClock()
        session = FederatedSession(
            ScriptedSource(), (exchange := ScriptedExchange(clock)), clock=clock, refresher=StepRefresher(clock)
        )
        exchange.lifetime = lifetime
        session.login(Nobody())
        moments.append(session.tick())
    return moments


def test_two_hundred_kernels_spread_their_renewals():
    """Over a tenth of the lifetime, with at most five in a ten-thousandth of it (100 ms of a 1000 s scale)."""
    moments = renewals_of_two_hundred_kernels(3600)
    assert max(moments) - min(moments) > 0.09 * 3600
    assert 2400 - 360 <= min(moments) <= max(moments) <= 2400
    assert max(Counter(int(moment / 0.36) for moment in moments).values()) <= 5
    assert max(Counter(int(moment * 10) for moment in moments).values()) <= 5


def test_two_hundred_throttled_kernels_do_not_come_back_together():
    """Retry-After is the same for all of them: each adds a random part, and none comes earlier."""
    moments = []
    for _ in range(200):
        clock = FakeClock()
        exchange = ScriptedExchange(clock)
        session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=StepRefresher(clock))
        session.login(Nobody())
        exchange.error = ExchangeError("Throttled.", fix="Wait.", retryable=True, retry_after=30.0)
        with pytest.raises(ExchangeError):
            session.refresh()
        moments.append(session.tick())
    assert 30 <= min(moments) <= max(moments) <= 33
    assert max(moments) - min(moments) > 2


@pytest.mark.parametrize("hours", [-2, 2])
@pytest.mark.parametrize("kind", ["cognito", "sts"])
def test_a_server_whose_clock_disagrees_by_two_hours(over_http, aws, provider, kind, hours):
    """An hour is an hour by this machine's clock, and the status says how far off it is."""
    aws.clock_offset = timedelta(hours=hours)
    lifetime = timedelta(hours=12)  # the token's: AWS refuses one that is too old by its own clock
    session = over_http(kind, token=lambda: provider.id_token("ada", lifetime=lifetime)).session
    left = session.credentials().expires_at - SystemClock().now()
    assert timedelta(minutes=58) < left < timedelta(minutes=61)
    side = "fast" if hours < 0 else "slow"
    assert any(f"120 minutes {side}" in remark for remark in session.status().remarks)
    assert 1900 < session._state.due_at - SystemClock.elapsed() <= 2400


@pytest.mark.parametrize("hours", [-2, 2])
def test_this_machines_clock_is_set_during_a_session(over_http, hours):
    """Credentials live as long as they were given, the shown expiry moves along, and renewal is not moved."""
    clock = Shifted()
    session = over_http("cognito", clock=clock).session
    before, due_at = session.credentials(), session._state.due_at
    clock.wrong = hours * 3600
    assert before is session.credentials()
    assert due_at == session._state.due_at
    shown = session.status().credentials_expire_at - before.expires_at
    assert abs(shown - timedelta(hours=hours)) < timedelta(seconds=6)


def test_a_clock_that_is_two_hours_wrong_is_named_before_any_request(over_http, aws):
    """A token from this machine's future, or its past, is a clock's fault: the sentence says so."""
    clock = Shifted()
    session = over_http("cognito", clock=clock, login=False).session
    for hours, said in ((-2, "in this machine's future"), (2, "expired at")):
        clock.wrong = hours * 3600
        with pytest.raises(InvalidTokenError, match=said) as caught:
            session.login(Nobody())
        assert "clock" in caught.value.fix
    assert 0 == aws.count("GetId")


def test_a_laptop_that_slept_is_noticed_without_being_asked():
    """The refresher's longest sleep bounds how late; the first tick after it renews."""
    clock = FakeClock()
    background = StepRefresher(clock)
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.login(Nobody())
    assert LONGEST_SLEEP <= 30
    clock.advance(8 * 3600)
    session.tick()
    background.run()
    assert "key-2" == session.credentials().access_key_id
    assert "valid" == session.status().credentials


def test_an_attempt_that_slept_through_its_deadline_is_replaced_at_once():
    """Who asks after the wake-up does not inherit the attempt that the sleep killed."""
    clock = FakeClock()
    background = StepRefresher(clock)
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.login(Nobody())
    background.hanging = True
    session._begin()
    clock.advance(8 * 3600)
    background.hanging = False
    background.pending.clear()
    assert "key-2" == session.credentials().access_key_id


def test_a_session_that_nobody_holds_is_gone():
    """The refresher does not keep it, and ends its thread when nothing is left to look after."""
    clock = FakeClock()
    background = Refresher()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.subscribe(lambda event, status: None)
    session.login(Nobody())
    gone = weakref.ref(session)
    del session
    deadline = time.monotonic() + 5
    while gone() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert None is gone()
    background.wake()
    while background._thread is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert None is background._thread


def test_of_several_sessions_the_one_that_is_due_first_is_not_kept_waiting():
    """The one thread wakes for whichever of them is next, and not every half minute."""

    class Due:
        def __init__(self, every):
            self.every, self.ticks = every, 0

        def tick(self):
            self.ticks += 1
            return self.every

        def forked(self):
            """Nothing to begin anew."""

    background, soon, late = Refresher(), Due(0.02), Due(1000)
    background.add(late)
    background.add(soon)
    deadline = time.monotonic() + 5
    while soon.ticks < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert soon.ticks >= 5
    background.remove(soon)
    background.remove(late)


def test_a_second_refresher_leaves():
    """Where an interrupt made two, the one that is not looked after goes, and the wake-up that it took goes on."""
    clock = FakeClock()
    background = Refresher()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.login(Nobody())
    second = threading.Thread(target=background._run, daemon=True)
    second.start()
    second.join(5)
    assert False is second.is_alive()
    assert background._thread.is_alive()
    session.close()


def test_a_refresher_that_never_started_is_replaced(monkeypatch):
    """An interrupt or the limit of threads kept it from its start: the next session that is added has another."""
    clock = FakeClock()
    background = Refresher()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to_start)
        background.add(session)
    assert False is background._thread.is_alive()
    background.add(session)
    assert background._thread.is_alive()
    session.close()


def refuse_to_start(thread):
    raise RuntimeError("can't start new thread")


def test_what_is_due_is_renewed_without_being_asked():
    """The refresher sleeps as long as the session says, and after the last close it is gone at once."""
    clock, background = SystemClock(), Refresher()
    exchange = ScriptedExchange(clock)
    exchange.lifetime = 0.6
    session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=background)
    session.login(Nobody())
    exchange.lifetime = 3600
    deadline = time.monotonic() + 5
    while len(exchange.asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 2 == len(exchange.asked)
    time.sleep(0.1)  # it sleeps again
    thread = background._thread
    session.close()
    thread.join(5)
    assert False is thread.is_alive()


def test_events_wait_for_a_thread(monkeypatch):
    """What cannot be told at the limit of threads is told later, in order."""
    background, heard, told = Refresher(), [], threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to_start)
        background.notify(lambda: heard.append("first"))
    background.notify(lambda: (heard.append("second"), told.set()))
    assert told.wait(5)
    assert ["first", "second"] == heard


def test_no_thread_ends_with_each_attempt():
    """OpenSSL holds a lock while a thread ends, and a fork in that moment would keep its child from TLS for ever."""
    clock = FakeClock()
    background = Refresher()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    threads = set()
    session._source.token, ask = lambda: (threads.add(threading.current_thread()), ask())[1], session._source.token
    session.login(Nobody())
    for _ in range(100):
        session.refresh()
    assert len(threads) <= 3
    session.close()
    for thread in threads:
        thread.join(5)
        assert False is thread.is_alive()


def test_a_close_tells_whoever_waits(without_refresher):
    """A caller that waits for a renewal hears of the clear at once, and not at the deadline."""
    clock = SystemClock()
    answers = threading.Event()
    exchange = ScriptedExchange(clock)
    session = FederatedSession(ScriptedSource(), exchange, clock=clock, refresher=without_refresher)
    session.login(Nobody())
    quick = exchange.exchange
    exchange.exchange = lambda *args, **options: (answers.wait(20), quick(*args, **options))[1]
    said = []

    def refresh():
        with pytest.raises(InvalidStateError, match="cleared"):
            session.refresh()
        said.append(time.monotonic())

    caller = threading.Thread(target=refresh)
    caller.start()
    while not session.status().refreshing:
        time.sleep(0.001)
    closed_at = time.monotonic()
    session.close()
    caller.join(5)
    answers.set()
    assert 1 == len(said)
    assert said[0] - closed_at < 1


def test_a_subscriber_that_exits_stops_no_event():
    """sys.exit() in a subscriber ends neither the notifier nor the other subscribers."""
    clock = FakeClock()
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=Refresher())
    heard = {"refreshed": threading.Event(), "cleared": threading.Event()}

    def leave(event, status):
        raise SystemExit

    session.subscribe(leave)
    session.subscribe(lambda event, status: heard[event].set() if event in heard else None)
    session.login(Nobody())
    session.refresh()
    assert heard["refreshed"].wait(5)
    session.close()
    assert heard["cleared"].wait(5)  # here, and not in the next test


def test_a_close_during_a_tick_is_no_fault(caplog):
    """The refresher may look at a session while it is closed: nothing is logged, nothing begins."""
    clock = FakeClock()
    background = StepRefresher(clock)
    session = FederatedSession(ScriptedSource(), ScriptedExchange(clock), clock=clock, refresher=background)
    session.login(Nobody())
    clock.advance(2401)
    state = session._state
    session.close()
    session._state, closed = state, session._state  # what the tick saw a moment ago
    begin = session._begin

    def closed_meanwhile(seen=None, **how):
        session._state = closed
        return begin(seen, **how)

    session._begin = closed_meanwhile
    assert session.tick() > 0
    assert [] == background.pending
    assert set() == background.scheduled
    assert [] == caplog.records
