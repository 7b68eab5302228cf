"""What a front end may see of this kernel and ask of it, the same by the `channel` and by a click in the `panel`.

What is asked runs on ipykernel's control thread, so it waits for no network, no disk, and no lock that is held over
either: what needs them has a thread of its own.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_federation import refresher as background
from jupyter_federation.errors import FederationError
from jupyter_federation.front_end import protocol
from jupyter_federation.front_end.prompt import PanelPrompt, SignInCancelledError
from jupyter_federation.front_end.request import Action, RefusedError, checked
from jupyter_federation.redaction import Secret
from jupyter_federation.session_status import SessionStatus

if TYPE_CHECKING:
    from jupyter_federation.federation import Federation

_log = logging.getLogger(__name__)

Screen = Callable[[str], None]
"""Called as ``screen(event)`` on the notifier's thread, when there is something else to see."""

_PAUSE = 1.0  # seconds from the end of one piece of work that a request starts to the next of its kind
_CLEARED_WITHIN = 0.5  # seconds; in the rule less than a millisecond, and longer only while a sign-in is delivered
_CLEARED = "Clients that held the AWS session refuse from now on."  # that it is cleared, the panel's headline says
_CANCELLED_WITHIN = 3.0  # seconds for which a sign-in waits for the end of a cancelled one, which may hold its port


@dataclass(slots=True)
class SignIn:
    """A sign-in that a button has started; with an ``error`` it is over and waits to be dismissed."""

    profile: str | None
    prompt: PanelPrompt
    error: str | None = None


class Controls:
    """The state and the actions of one kernel.

    They are there before anybody has signed in, and then know of no federation: ``load``, which `serve` brings, loads
    what makes one and calls `follow`.
    """

    def __init__(self) -> None:
        self._load: Callable[[], object] = lambda: None
        self._federation: Federation | None = None
        self._leave: Callable[[], None] = lambda: None
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """As new; so also in a forked child: the screens are the parent's."""
        self._lock = threading.Lock()  # over a few instructions, never over work
        self._screens: tuple[Screen, ...] = ()
        self._profiles: tuple[str, ...] = ()
        self.default_profile: str | None = None
        self._busy: dict[str, threading.Thread] = {}
        self._ended: dict[str, float] = {}  # monotonic
        self._fault: str | None = None  # what a renewal or a clear that was asked for ended in, and nobody foresaw
        self._sign_in: SignIn | None = None
        self._turn = threading.Lock()  # of the sign-in that is at work
        self._is_expected = False  # whether a thread waits for that turn; there is one at most
        self._cleared: SessionStatus | None = None  # what the last clear said, until somebody signs in
        self._signed_in: SessionStatus | None = None  # what the last sign-in said

    # Who is behind it, and who looks

    def serve(self, load: Callable[[], object]) -> None:
        """Let ``load`` bring a federation when one is needed first."""
        self._load = load

    def follow(self, federation: Federation) -> None:
        """Act on ``federation``, and tell the screens what happens to it."""
        self._leave()
        self._federation = federation
        self._leave = federation.subscribe(self._happened)

    def add(self, screen: Screen) -> Callable[[], None]:
        """Tell ``screen`` from now on; call the result to stop."""
        with self._lock:
            self._screens = (*self._screens, screen)

        def remove() -> None:
            with self._lock:
                self._screens = tuple(each for each in self._screens if each is not screen)

        return remove

    # What there is to see

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of the federation profiles, as far as they have been read: the last one that signed in comes first.

        So a chooser that has nothing else to go by stays with it after a clear; before a sign-in it is the default.
        """
        return tuple(sorted(self._profiles, key=lambda name: name != self._last_profile))

    @property
    def _last_profile(self) -> str | None:
        return None if self._signed_in is None else self._signed_in.profile

    @property
    def is_cleared(self) -> bool:
        """Whether the AWS session was cleared, and nobody has signed in since."""
        return self._cleared is not None

    @property
    def sign_in(self) -> SignIn | None:
        """The sign-in that a button has started: open, or failed and not dismissed."""
        return self._sign_in

    def status(self) -> SessionStatus:
        """How things stand; nobody is signed in where nothing has been loaded."""
        status = SessionStatus() if self._federation is None else self._federation.status()
        said = self._signed_in if status.is_federated else self._cleared
        if said is not None:
            remarks = (*status.remarks, *said.remarks)
            status = replace(status, happened=said.happened, remarks=remarks, pages=said.pages)
        status = status if self._fault is None else replace(status, last_error=self._fault)
        return replace(status, refreshing=True) if "refresh" in self._busy else status

    def state(self, event: str = "state") -> dict[str, Any]:
        """The whole state, as the channel tells it."""
        number = protocol.number()  # before the look: what changes after it is told again, by a higher number
        status = json.loads(self.status().to_json())
        return protocol.state(event, status, self.profiles, _told(self._sign_in), number=number)

    def read_profiles(self) -> None:
        """Read the names of the profiles from the files."""
        from jupyter_federation.config import load

        with contextlib.suppress(FederationError):  # the sign-in will say what is wrong with a file
            configuration = load()
            default, before = configuration.default_profile, self._profiles
            names = tuple(sorted(configuration.profiles, key=lambda name: name != default))  # it comes first
            self._profiles, self.default_profile = names, default
            if names != before:
                self._tell("state")

    # What may be asked

    def request(self, content: object, *, takes_answers: bool) -> dict[str, Any]:
        """Do what ``content`` asks; the reply.

        ``takes_answers`` tells whether the front end that asks can ask the person for what must not be saved.
        """
        try:
            action, said = checked(content, self._actions(takes_answers=takes_answers))
            action.do(**said)
        except RefusedError as refused:
            return {"ok": False, "error": str(refused), "state": self.state()}
        return {"ok": True, "state": self.state()}

    def cancel(self) -> None:
        """End the sign-in that a button has started, or dismiss its error."""
        with self._lock:
            begun, self._sign_in = self._sign_in, None
        if begun is not None:
            begun.prompt.cancel()
            self._tell("sign_in")

    def _actions(self, *, takes_answers: bool) -> Mapping[str, Action]:
        begin_sign_in = functools.partial(self._begin_sign_in, takes_answers=takes_answers)
        return {
            "state": Action({}, self._look),
            "refresh": Action({}, self._refresh),
            "clear": Action({"sign_out": (bool,)}, self._clear),
            "sign_in": Action({"profile": (str, type(None))}, begin_sign_in),
            "cancel": Action({}, self.cancel),
            "answer": Action({"text": (str,)}, self._answer),
        }

    def _look(self) -> None:
        self._start("profiles", self.read_profiles)

    def _refresh(self) -> None:
        federation = self._federation
        if federation is None or not _holds(federation.status()):
            raise RefusedError("Nobody is signed in to AWS in this notebook. Sign in first.")

        def refresh() -> None:
            self._tell("state")
            federation.refresh()

        self._fault = None
        self._start("refresh", lambda: self._do("The renewal", "refresh", refresh), then=lambda: self._tell("state"))

    def _clear(self, sign_out: bool) -> None:  # noqa: FBT001 - by its name in the request
        self.cancel()
        federation = self._federation
        if federation is None:
            return
        is_there = _holds(federation.status())  # or somebody may be signing in, in a cell: that counts no more

        def clear() -> None:
            rest = federation.begin_clear(sign_out=sign_out, prompt=PanelPrompt(lambda: None))
            if is_there:  # the rest asks the provider, for as long as that takes
                _start(_thread("sign-out", lambda: self._do("The sign-out", "clear --sign-out", lambda: finish(rest))))

        def finish(rest: Callable[[], SessionStatus]) -> None:
            try:
                result = rest()
                if not federation.status().is_federated:
                    self._cleared = replace(result, happened=_CLEARED)
            finally:
                self._tell("state")

        self._fault = None
        # On a thread, because a lock over a delivery in progress may be in its way; the one that is on its way will do.
        work = self._start(
            "clear", lambda: self._do("The clear", "clear", clear), then=lambda: self._tell("state"), pause=0
        )
        if work is not None:
            work.join(_CLEARED_WITHIN)
        if _holds(federation.status()):
            raise RefusedError(
                self._fault or "The AWS session is not cleared yet, because it is being delivered. Look again."
            )

    def _do(self, what: str, by_hand: str, work: Callable[[], None]) -> None:
        """Do ``work``; what comes of a fault of its own is said, as a button that says nothing is the worst end."""
        try:
            work()
        except (FederationError, RefusedError):  # the status says so, or here it is cleared all the same
            pass
        except Exception as fault:  # noqa: BLE001 - whatever a provider's client or a user's files make of it
            self._fault = (
                f"{what} failed in an unforeseen way: {type(fault).__name__}. Run %federate {by_hand} in a cell."
            )

    def _begin_sign_in(self, profile: str | None, *, takes_answers: bool) -> None:
        if profile is not None and self._profiles and profile not in self._profiles:
            raise RefusedError("There is no federation profile of that name. %federate profiles lists them.")
        if profile is None and not self.status().is_federated:
            last = self._last_profile
            if last is not None and (last in self._profiles or not self._profiles):  # or they are still being read
                profile = last  # as a chooser has it
            elif self.default_profile is None and len(self._profiles) == 1:
                profile = self._profiles[0]  # where there is one, it is meant
        prompt = PanelPrompt(lambda: self._tell("sign_in"), takes_answers=takes_answers)
        begun = SignIn(profile, prompt)
        with self._lock:
            if self._sign_in is not None and self._sign_in.error is None:
                raise RefusedError("A sign-in is open already: finish or cancel it first.")
            self._sign_in = begun
            is_expected, self._is_expected = self._is_expected, True
            try:
                if not is_expected:  # or what waits for its turn, in place of one that is cancelled, does this one
                    _start(_thread("sign-in", self._run_sign_in))
            except RefusedError:
                self._sign_in, self._is_expected = None, False
                raise
        self._tell("sign_in")

    def _run_sign_in(self) -> None:
        """Do the last sign-in that was asked for, if it is not cancelled by then.

        One that was cancelled before has a while to end, because it may hold a port, and then there is the pause.
        """
        has_turn = self._turn.acquire(timeout=_CANCELLED_WITHIN)
        time.sleep(max(0.0, self._ended.get("sign_in", -_PAUSE) + _PAUSE - time.monotonic()))
        with self._lock:
            begun, self._is_expected = self._sign_in, False
        try:
            if begun is not None:
                self._sign_in_now(begun)
        finally:
            if has_turn:
                self._turn.release()

    def _sign_in_now(self, begun: SignIn) -> None:
        error = None
        try:
            if self._federation is None:
                self._load()
            if self._federation is not None:
                clears = self._federation.clears  # before the look: a clear cancels first, and is counted then
                if not begun.prompt.cancelled:
                    self._federation.federate_anew(begun.profile, prompt=begun.prompt, clears=clears)
        except SignInCancelledError:
            pass
        except FederationError as refused:
            error = str(refused)
        except Exception as fault:  # noqa: BLE001 - a button that does nothing and says nothing is the worst end
            error = f"The sign-in failed in an unforeseen way: {type(fault).__name__}. Run %federate in a cell."
        with self._lock:
            self._ended["sign_in"] = time.monotonic()
            if self._sign_in is begun:
                begun.error = error
                self._sign_in = None if error is None else begun
        self._tell("sign_in")

    def _answer(self, text: str) -> None:
        begun = self._sign_in
        if begun is None or not begun.prompt.answer(Secret(text)):
            raise RefusedError("Nothing was asked.")

    # What the above share

    def _happened(self, event: str, status: SessionStatus) -> None:
        """What the federation reports; on the notifier's thread."""
        if event == "federated":
            always = () if self._federation is None else self._federation.status().remarks
            once = tuple(remark for remark in status.remarks if remark not in always)
            self._cleared, self._signed_in = None, replace(status, remarks=once)
            with self._lock:
                if self._sign_in is not None and self._sign_in.error is not None:
                    self._sign_in = None  # somebody is signed in: what failed before is no news
        elif event == "refreshed" and self._signed_in is not None:
            self._signed_in = replace(self._signed_in, happened=None)  # what it changed is no news any more
        elif event == "cleared" and self._cleared is None:
            self._cleared = SessionStatus(happened=_CLEARED)
        self._show(event)  # how things stand then

    def _tell(self, event: str) -> None:
        background.shared.notify(lambda: self._show(event))

    def _show(self, event: str) -> None:
        for screen in self._screens:
            try:
                screen(event)
            except Exception as error:  # noqa: BLE001 - one that fails takes nothing from the others
                _log.warning("a screen raised %s", type(error).__name__)

    def _start(
        self,
        what: str,
        work: Callable[[], None],
        *,
        then: Callable[[], None] = lambda: None,
        pause: float = _PAUSE,
    ) -> threading.Thread | None:
        """Do ``work`` on a thread, unless the same is being done or ended less than ``pause`` seconds ago.

        The thread that does it, be it started by this call or before.
        """

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._busy.pop(what, None)
                    self._ended[what] = time.monotonic()
                then()

        with self._lock:
            if what not in self._busy and time.monotonic() - self._ended.get(what, -pause) >= pause:
                thread = _thread(what, run)
                _start(thread)
                self._busy[what] = thread
            return self._busy.get(what)


def _holds(status: SessionStatus) -> bool:
    """Whether there is any identity."""
    return status.is_federated or bool(status.beside)


def _told(sign_in: SignIn | None) -> dict[str, Any] | None:
    if sign_in is None:
        return None
    if sign_in.error is not None:
        return {"profile": sign_in.profile, "error": sign_in.error}
    prompt = sign_in.prompt
    offer = prompt.offer
    return {
        "profile": sign_in.profile,
        "waiting": prompt.said,
        "question": prompt.question,
        "offer": None
        if offer is None
        else {
            "issuer": offer.issuer,
            "steps": [*offer.steps, *filter(None, (offer.otherwise,))],
            "address": offer.address,
            "code": offer.code,
            "until": None if offer.until is None else round(offer.until.timestamp() * 1000),
        },
    }


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=target, name=f"jupyter-federation-{name}", daemon=True)


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError:
        raise RefusedError("No thread could be started: close what runs many of them (ulimit -u).") from None


shared = Controls()
"""Those of this process's kernel."""
