"""What a front end may ask, over a federation whose steps the test decides."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from front_ends import within
from jupyter_client.session import Session

from jupyter_federation import markup as markup_room
from jupyter_federation import session_status
from jupyter_federation.errors import LoginFailedError, SourceUnavailableError
from jupyter_federation.front_end import panel as panel_room
from jupyter_federation.front_end.channel import Channel
from jupyter_federation.front_end.controls import Controls
from jupyter_federation.front_end.panel import Panel, markup
from jupyter_federation.front_end.prompt import PanelPrompt, SignInCancelledError
from jupyter_federation.offer import Offer
from jupyter_federation.redaction import Secret
from jupyter_federation.session_status import SessionStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
VALID = SessionStatus(credentials="valid", sign_in="ok", is_federated=True, credentials_expire_at=NOON)


class Scripted:
    """A federation: `federate` and `clear` do what the test says; ``lock`` is what a delivery holds."""

    def __init__(self):
        self.now = SessionStatus()
        self.lock = threading.Lock()
        self.clears = 0
        self.asked = []
        self.sign_in = lambda prompt: None
        self.sign_out = lambda: None

    def status(self):
        return self.now

    def subscribe(self, subscriber):
        self.tell = subscriber
        return lambda: None

    def federate_anew(self, profile, *, prompt, clears=None):
        self.asked.append(profile)
        counted = self.clears if clears is None else clears
        self.sign_in(prompt)
        if counted != self.clears:
            raise LoginFailedError("Cleared meanwhile.", fix="Sign in again.")
        self.now = VALID

    @property
    def cleared(self):
        """How often."""
        return self.clears

    def clear(self):
        return self.begin_clear()()

    def begin_clear(self, *, sign_out=False, prompt=None):
        with self.lock:
            self.now = SessionStatus()
            self.clears += 1
        return lambda: (self.sign_out(), SessionStatus(happened="Cleared: …", remarks=("Some lives on.",)))[1]


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


def threads(kind="jupyter-federation"):
    """The names of ours that run."""
    return [each.name for each in threading.enumerate() if kind in each.name and "notifier" not in each.name]


def is_over(controls):
    return controls.sign_in is None or controls.sign_in.error is not None


def test_a_clear_is_done_before_its_reply(controls, federation):
    """And the state says what it did, until somebody signs in."""
    federation.now = VALID
    reply = ask(controls, "clear", sign_out=False)
    assert (True, False) == (reply["ok"], reply["state"]["status"]["is_federated"])
    within(2, lambda: controls.status().remarks == ("Some lives on.",), controls.status)
    assert controls.status().happened == "Clients that held the AWS session refuse from now on."
    federation.now = VALID
    federation.tell("federated", VALID)
    assert controls.status() == VALID


def test_after_a_clear_a_click_signs_in_with_the_last_profile(controls, federation):
    """Before anybody has read the profiles too: the default may be somebody else at AWS."""
    federation.tell("federated", replace(VALID, profile="research"))
    federation.tell("cleared", SessionStatus())
    assert ask(controls, "sign_in", profile=None)["ok"]
    within(2, lambda: federation.asked, threads)
    assert ["research"] == federation.asked


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
    within(2, lambda: not threads("sign-in"), threads)
    assert (1, False) == (federation.cleared, federation.now.is_federated)
    assert controls.sign_in is None


def test_a_clear_ends_no_later_sign_in(controls, federation):
    """What the clear has cancelled may take long to end; who signs in meanwhile, in a cell, stays signed in."""
    entered, go_on = threading.Event(), threading.Event()
    federation.sign_in = lambda prompt: (entered.set(), go_on.wait(5), prompt.waiting("Waiting", 1))
    ask(controls, "sign_in", profile=None)
    entered.wait(5)
    ask(controls, "clear", sign_out=False)
    federation.now = VALID
    go_on.set()
    within(2, lambda: not threads("sign-in"), threads)
    assert (1, VALID) == (federation.cleared, controls.status())


def test_a_sign_in_in_a_cell_takes_the_error_of_a_click_away(controls, federation):
    """Somebody is signed in: that a click failed before is no news."""
    federation.sign_in = lambda prompt: 1 / 0
    ask(controls, "sign_in", profile=None)
    within(2, lambda: is_over(controls), lambda: "")
    assert controls.sign_in.error
    federation.tell("refreshed", VALID)
    assert controls.sign_in.error
    federation.tell("federated", VALID)
    assert controls.sign_in is None


def test_a_clear_that_fails_is_one_piece_of_work_and_says_what_failed(controls, federation, monkeypatch):
    """Not that something is being delivered; and the state goes on saying it until the next attempt."""
    federation.now, clear, started = VALID, federation.begin_clear, []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread)))
    federation.begin_clear = lambda **_: {}["planted-secret"]
    reply = ask(controls, "clear", sign_out=False)
    assert ["jupyter-federation-clear"] == [name for name in started if "notifier" not in name]
    for said in (reply["error"], reply["state"]["status"]["last_error"]):
        assert "The clear failed in an unforeseen way: KeyError. Run %federate clear in a cell." == said
    federation.begin_clear = clear
    reply = ask(controls, "clear", sign_out=False)
    assert (True, None) == (reply["ok"], reply["state"]["status"]["last_error"])


def test_a_renewal_that_fails_in_an_unforeseen_way_says_so(controls, federation):
    """By its type, in the state that is told when it has ended."""
    federation.now, federation.refresh = VALID, lambda: {}["planted-secret"]
    assert ask(controls, "refresh")["ok"]
    within(2, lambda: controls.status().last_error is not None, threads)
    assert "The renewal failed in an unforeseen way: KeyError" in controls.status().last_error


def test_a_state_has_a_number_from_before_it_was_looked_at(controls):
    """What changes during the look is told again, with a higher one: the front end keeps that."""
    look, meanwhile = controls.status, []
    controls.status = lambda: (meanwhile.append(Controls().state()["number"]), look())[1]
    assert controls.state()["number"] < meanwhile[0]


def test_one_profile_without_a_default_is_meant(controls, federation):
    """A click names none where there is nothing to choose."""
    controls._profiles = ("only",)
    ask(controls, "sign_in", profile=None)
    within(2, lambda: federation.asked, threads)
    assert ["only"] == federation.asked


def test_a_clear_leaves_the_profile_chosen(controls, federation, profiles):
    """Who signs in again is whom the notebook was signed in as, and not the default."""
    profiles(**{name: {"source": "env", "variable": "TOKEN"} for name in ("research", "prod")})
    panel = Panel(controls)
    chooser = panel._shown()._profile
    assert ("research", ("research", "prod")) == (chooser.value, controls.profiles)
    federation.now = replace(VALID, profile="prod")
    federation.tell("federated", federation.now)
    within(2, lambda: chooser.value == "prod", lambda: chooser.value)
    assert ask(controls, "clear", sign_out=False)["ok"]
    within(2, lambda: controls.status().happened, controls.status)
    assert ("prod", "prod") == (chooser.value, controls.state()["profiles"][0])
    ask(controls, "sign_in", profile=None)  # as the command of the palette does
    within(2, lambda: federation.asked, threads)
    assert ["prod"] == federation.asked
    panel.close()


def test_a_chooser_that_is_hidden_chooses_nothing(controls, federation, profiles, monkeypatch):
    """Signed in with a profile that stands in no file any more, a click repeats that, and is not the one that does."""
    profiles(only={"source": "env", "variable": "TOKEN", "role_arn": "arn:aws:iam::123456789012:role/R"})
    federation.now = replace(VALID, profile="gone")
    panel = Panel(controls)
    widgets = panel._shown()
    assert "none" == widgets._profile.layout.display
    widgets._clicked("sign-in")
    within(2, lambda: federation.asked, threads)
    panel.close()
    assert [None] == federation.asked


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
    assert most <= 2
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
    """And the next one is not told that something is open; with threads again, it works."""
    federation.now = VALID

    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(2):
            assert "thread" in ask(controls, "sign_in", profile=None)["error"]
            assert "thread" in ask(controls, "refresh")["error"]
            assert "thread" in ask(controls, "clear", sign_out=False)["error"]
    federation.now = SessionStatus()
    assert ask(controls, "sign_in", profile=None)["ok"]
    within(5, lambda: federation.now == VALID and controls.sign_in is None, threads)
    assert ask(controls, "clear", sign_out=False)["ok"]
    assert not federation.now.is_federated


def test_one_screen_that_fails_takes_nothing_from_the_next(controls, federation, caplog):
    """A front end that went away; the log has the fault's type."""
    told = []
    controls.add(lambda event: 1 / 0)
    leave = controls.add(told.append)
    federation.tell("refreshed", VALID)
    leave()
    federation.tell("expired", VALID)
    assert ["refreshed"] == told
    assert "a screen raised ZeroDivisionError" in caplog.text


def test_what_was_on_its_way_when_the_channel_closed_is_told_to_nobody():
    """And is no fault: %unload_ext may come between."""
    Channel(None, Controls)._tell(Controls(), "state")


def test_half_a_pair_of_surrogates_silences_nobody(controls, federation):
    """In whatever a provider has said: the state fits into a message, and says the rest."""
    federation.now = replace(VALID, subject="\ud800ada", last_error="\udfff", remarks=("\ud800",), beside=("\ud800",))
    state = controls.state()
    assert Session().pack(state)
    assert ("?ada", "?", ["?"], ["?"]) == tuple(
        state["status"][each] for each in ("subject", "last_error", "remarks", "beside")
    )


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
    asked = replace(brought, interactive=True)
    for shown in (str, markup):
        assert "bring a fresh one by then, and run %federate research again." in shown(brought)
        assert "Sign in button, or with %federate clear and then %federate research." in shown(asked)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"next_try_at": NOON},
        {"sign_in": "needs_you"},
        {"sign_in": "not_renewable", "sign_in_expires_at": NOON},
        {"sign_in": "not_renewable", "sign_in_expires_at": NOON, "interactive": True, "way_back": "%federate <b>"},
    ],
)
def test_status_and_panel_say_the_same_of_what_becomes_of_a_session(more):
    """Word for word, each time in the panel as one that counts down."""
    status = replace(VALID, **more)
    said, shown = status.outlook(datetime.now(timezone.utc)), markup(status)
    assert said in str(status).splitlines()
    assert markup_room.escaped(said) in re.sub("</?time[^>]*>", "", shown)
    assert 1 + said.count(" UTC") == shown.count("<time") == shown.count('class="jf-countdown"')


def test_the_markup_does_not_change_while_nothing_happens(monkeypatch):
    """Times stand in it as they are, a minute later too: a clock that ran in it would be a message each second."""
    end = datetime.now(timezone.utc) + timedelta(minutes=42)
    status = replace(VALID, sign_in="not_renewable", credentials_expire_at=end, sign_in_expires_at=end, next_try_at=end)
    shown, said = markup(status), str(status)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=1)

    for room in (panel_room, session_status, markup_room):
        monkeypatch.setattr(room, "datetime", Later)
    assert shown == markup(status)
    assert said != str(status)  # in which it does run
    assert "jf-is-cleared" in markup(SessionStatus(), cleared=True)


def test_times_and_pages_that_hold_one_another_stand_once():
    """Token and credentials may end in the same second, and one page's address begin as another's."""
    pages = ("https://x.example/", "https://x.example/out?a=1&b=2")
    status = replace(
        VALID,
        sign_in="not_renewable",
        sign_in_expires_at=NOON,
        pages=pages,
        remarks=(f"Open {pages[1]} or {pages[0]}",),
    )
    for shown in (status._repr_html_(), markup(status)):
        assert 2 == shown.count("<time") == shown.count("</time>")
        assert ">https://x.example/out?a=1&amp;b=2</a> or <a" in shown
        assert 2 == shown.count("<a ")
