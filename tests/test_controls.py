"""What a front end may ask, over a federation whose steps the test decides."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from front_end import within

from jupyter_federation import controls as room
from jupyter_federation.controls import Controls
from jupyter_federation.errors import LoginFailedError, SourceUnavailableError
from jupyter_federation.offer import Offer
from jupyter_federation.panel_prompt import PanelPrompt, SignInCancelledError
from jupyter_federation.panel_widgets import markup
from jupyter_federation.redaction import Secret
from jupyter_federation.session_status import SessionStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
VALID = SessionStatus(credentials="valid", sign_in="ok", is_federated=True, credentials_expire_at=NOON)


class Scripted:
    """A federation: `federate` and `clear` do what the test says; ``lock`` is what a delivery holds."""

    def __init__(self):
        self.now = SessionStatus()
        self.lock = threading.Lock()
        self.cleared = 0
        self.sign_in = lambda prompt: None
        self.sign_out = lambda: None

    def status(self):
        return self.now

    def subscribe(self, subscriber):
        self.tell = subscriber
        return lambda: None

    def federate_anew(self, profile, *, prompt):
        self.sign_in(prompt)
        self.now = VALID

    def clear(self):
        return self.begin_clear()()

    def begin_clear(self, *, sign_out=False, prompt=None):
        with self.lock:
            self.now = SessionStatus()
            self.cleared += 1
        return lambda: (self.sign_out(), SessionStatus(happened="Cleared."))[1]


@pytest.fixture
def federation():
    return Scripted()


@pytest.fixture
def controls(federation):
    made = Controls()
    made.follow(federation)
    return made


def ask(controls, action, **said):
    return controls.request({"protocol": 1, "action": action, **said}, takes_answers=True)


def is_over(controls):
    return controls.sign_in is None or controls.sign_in.error is not None


def test_a_clear_is_done_before_its_reply(controls, federation):
    """And the state says what it did, until somebody signs in."""
    federation.now = VALID
    reply = ask(controls, "clear", sign_out=False)
    assert (True, False) == (reply["ok"], reply["state"]["status"]["is_federated"])
    within(2, lambda: controls.status().happened == "Cleared.", lambda: "")
    federation.now = VALID
    federation.tell("federated", VALID)
    assert controls.status() == VALID


def test_a_delivery_that_hangs_holds_no_reply_up(controls, federation):
    """The AWS files may lie on a network: the reply comes within a second and says so, and the clear when it can."""
    federation.now = VALID
    with federation.lock:
        began = time.monotonic()
        for _ in range(2):
            reply = ask(controls, "clear", sign_out=False)
            assert (False, True) == (reply["ok"], reply["state"]["status"]["is_federated"])
            assert "not cleared yet" in reply["error"]
        assert time.monotonic() - began < 2
    within(2, lambda: federation.cleared == 1, lambda: federation.cleared)


def test_a_provider_that_does_not_answer_keeps_no_later_clear_from_its_work(controls, federation):
    """Signing out there goes on, and who signs in meanwhile is cleared all the same."""
    answered = threading.Event()
    federation.sign_out = lambda: answered.wait(5)
    for number in (1, 2):
        federation.now = VALID
        reply = ask(controls, "clear", sign_out=True)
        assert (True, False) == (reply["ok"], reply["state"]["status"]["is_federated"])
        within(2, lambda n=number: n == federation.cleared, lambda: federation.cleared)
    answered.set()


def test_a_fault_is_told_by_its_type(controls, federation):
    """A button that does nothing and says nothing would be the worst end."""
    federation.sign_in = lambda prompt: {}["planted-secret"]
    assert ask(controls, "sign_in", profile=None)["ok"]
    within(2, lambda: is_over(controls), lambda: "")
    assert "KeyError" in controls.sign_in.error
    assert "planted" not in controls.sign_in.error


def test_a_sign_in_that_gets_through_in_the_moment_of_a_clear_is_cleared(controls, federation):
    """Nobody is signed in after a clear."""
    entered, go_on = threading.Event(), threading.Event()
    federation.sign_in = lambda prompt: (entered.set(), go_on.wait(5))
    ask(controls, "sign_in", profile=None)
    entered.wait(5)
    ask(controls, "clear", sign_out=False)
    go_on.set()
    within(2, lambda: federation.cleared and not federation.now.is_federated, lambda: federation.now)


def test_sign_ins_that_are_cancelled_at_once_wait_for_their_turn_and_are_few(controls, federation):
    """Sign in and Cancel, five hundred times a second: one is at work at a time, one a second; the last works."""
    begun, at_work, most = [], threading.Semaphore(1), 0

    def sign_in(prompt):
        assert at_work.acquire(blocking=False)
        begun.append(time.monotonic())
        time.sleep(0.2)
        at_work.release()
        prompt.waiting("Waiting", 1)  # raises where it is cancelled

    federation.sign_in = sign_in
    began = time.monotonic()
    for number in range(1000):
        assert ask(controls, "sign_in", profile=None)["ok"]
        ask(controls, "cancel")
        time.sleep(max(0.0, began + number / 500 - time.monotonic()))
        most = max(most, sum(each.name.endswith("sign-in") for each in threading.enumerate()))
    assert most < 100
    assert ask(controls, "sign_in", profile=None)["ok"]
    within(5, lambda: is_over(controls), lambda: "")
    assert federation.now == VALID
    assert len(begun) <= time.monotonic() - began + 1


def test_what_a_sign_in_said_stands_until_it_is_no_news(controls, federation):
    """What followed goes with the first renewal, what is always so with the session; neither is told twice."""
    federation.now = replace(VALID, remarks=("Always.",))
    federation.tell("federated", replace(federation.now, happened="Followed.", remarks=("Always.", "Once.")))
    assert ("Followed.", ("Always.", "Once.")) == (controls.status().happened, controls.status().remarks)
    federation.tell("refreshed", federation.now)
    assert (None, ("Always.", "Once.")) == (controls.status().happened, controls.status().remarks)
    federation.now = SessionStatus()
    assert () == controls.status().remarks


def test_an_unknown_name_is_refused_once_the_profiles_are_known(controls, federation):
    """Before, the sign-in itself says so."""
    controls._profiles = ("research",)
    assert "no federation profile" in ask(controls, "sign_in", profile="prod")["error"]
    assert controls.sign_in is None


def test_where_no_thread_can_be_started_the_request_says_so(controls, federation, monkeypatch):
    """And the next one is not told that something is open."""
    federation.now = VALID

    def no_thread(thread):
        raise room._RefusedError("No thread could be started.")

    monkeypatch.setattr(room, "_start", no_thread)
    for _ in range(2):
        assert "thread" in ask(controls, "sign_in", profile=None)["error"]
        assert "thread" in ask(controls, "refresh")["error"]
        assert "thread" in ask(controls, "clear", sign_out=False)["error"]


def test_one_screen_that_fails_takes_nothing_from_the_next(controls, federation):
    """A front end that went away."""
    told = []
    controls.add(lambda event: 1 / 0)
    leave = controls.add(told.append)
    federation.tell("refreshed", VALID)
    leave()
    federation.tell("expired", VALID)
    assert ["refreshed"] == told


# The prompt


def test_signs_of_life_are_passed_on_once_a_second():
    """However often they come."""
    changes = []
    prompt = PanelPrompt(lambda: changes.append(prompt.said))
    for passed in (1, 1.1, 1.2):
        prompt.waiting("Waiting", passed)
    assert ["Waiting: 1 s"] == changes


def test_an_answer_is_a_secret_and_taken_once():
    """Only while a question stands."""
    prompt = PanelPrompt(lambda: None)
    assert not prompt.answer(Secret("early"))
    answers = []
    asking = threading.Thread(target=lambda: answers.append(prompt.ask_secret("?")))
    asking.start()
    within(2, lambda: prompt.question == "?", lambda: "")
    assert (True, False) == (prompt.answer(Secret("typed")), prompt.answer(Secret("again")))
    asking.join()
    assert (["typed"], [Secret]) == (answers, [type(each) for each in answers])


def test_a_question_that_nobody_answers_is_a_failed_sign_in():
    """After the patience that a sign-in has."""
    prompt = PanelPrompt(lambda: None, patience=timedelta(seconds=0.05))
    with pytest.raises(LoginFailedError, match="Nothing was pasted"):
        prompt.ask_secret("?")
    assert prompt.question is None


def test_a_cancelled_sign_in_ends_at_its_next_sign_of_life():
    """Wherever it is, and no error of the ladder's is that."""
    offer = Offer(issuer="i", client_id="c", steps=(), address="https://x.example/")
    for sign in (lambda p: p.show(offer), lambda p: p.ask_secret("?"), lambda p: p.waiting("w", 1)):
        prompt = PanelPrompt(lambda: None)
        prompt.cancel()
        with pytest.raises(SignInCancelledError) as cancelled:
            sign(prompt)
        assert not isinstance(cancelled.value, (LoginFailedError, SourceUnavailableError))


# The panel's markup


def test_the_markup_escapes_and_names_nobody():
    """What a configuration, a provider or AWS said is text; account, role and person are not in it."""
    arn = "arn:aws:sts::123456789012:assumed-role/R/ada@example.org"
    status = SessionStatus(
        credentials="valid",
        sign_in="needs_you",
        is_federated=True,
        profile="<b>",
        subject="ada@example.org",
        role_arn=arn,
        account_id="123456789012",
        credentials_expire_at=NOON,
        set_aside=("<A>",),
        remarks=("<i>",),
        last_error=f"<img> {arn}",
        beside=("<s>",),
    )
    shown = markup(status)
    assert not any(each in shown for each in ("<b>", "<i>", "<A>", "<s>", "<img>", "123456789012", "ada@"))
    assert "jf-is-needs-you" in shown
    assert "jf-place-identity" not in shown
    identity = markup(replace(status, identity_id="eu-west-1:0123"))
    assert ("jf-place-identity" in identity, "0123" in identity) == (True, False)
    assert 'datetime="2026-01-01T12:00:00Z"' in shown


def test_the_way_to_a_new_sign_in_fits_what_signs_in():
    """Where the person is asked, a button or a clear comes first: %federate alone finds them signed in."""
    brought = replace(VALID, sign_in="not_renewable", sign_in_expires_at=NOON, way_back="%federate research")
    assert "bring a fresh one by then" in str(brought)
    assert "bring a fresh one by then" in markup(brought)
    asked = replace(brought, interactive=True)
    assert "with %federate clear and then %federate research" in str(asked)
    assert "sign in anew before, by the button" in markup(asked)


def test_the_markup_does_not_change_while_nothing_happens():
    """Times stand in it as they are: a clock that ran in it would be a message each second."""
    assert markup(VALID) == (time.sleep(0.01), markup(VALID))[1]
    assert "jf-is-cleared" in markup(SessionStatus(), cleared=True)
