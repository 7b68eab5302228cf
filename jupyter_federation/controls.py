"""What a front end may see of this kernel and ask of it, the same by the channel (`comm`) and by a click (`panel`).

What is asked is data from outside: it is checked against one table, and what is not in there does nothing.  `request`
runs on ipykernel's control thread, so it waits for no network, no disk, and no lock that is held over either: what
needs them has a thread of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_federation import protocol
from jupyter_federation import refresher as background
from jupyter_federation.errors import FederationError
from jupyter_federation.panel_prompt import PanelPrompt, SignInCancelledError
from jupyter_federation.protocol import PROTOCOL
from jupyter_federation.redaction import Secret
from jupyter_federation.session_status import SessionStatus

if TYPE_CHECKING:
    from jupyter_federation.federation import Federation

Screen = Callable[[str], None]
"""Called as ``screen(event)`` on the notifier's thread, when there is something else to see."""

_TABLE: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "state": {},
    "refresh": {},
    "clear": {"sign_out": (bool,)},
    "sign_in": {"profile": (str, type(None))},
    "cancel": {},
    "answer": {"text": (str,)},
}
_LONGEST = 16 * 1024  # bytes of text in a request
_PAUSE = 1.0  # seconds from the end of one piece of work that a request starts to the next of its kind
_CLEARED_WITHIN = 0.5  # seconds; in the rule less than a millisecond, and longer only while a sign-in is delivered
_CANCELLED_WITHIN = 3.0  # seconds for which a sign-in waits for the end of a cancelled one, which may hold its port
_LOOKS = 0.05  # seconds after which a sign-in that waits sees that it is cancelled itself


class _RefusedError(Exception):
    """A request that does nothing; its text says why."""


@dataclass(slots=True)
class _SignIn:
    """A sign-in that a button has started; with an ``error`` it is over and waits to be dismissed."""

    profile: str | None
    prompt: PanelPrompt
    error: str | None = None
    cleared: bool = False  # cancelled by a clear, after which nobody must be signed in


class Controls:
    """The state and the actions of one kernel.

    They are there before anybody has signed in, and then know of no federation: ``load``, which `serve` brings, loads
    what makes one and calls `follow`.
    """

    def __init__(self) -> None:
        self.panel = protocol.PANEL
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
        self._busy: set[str] = set()
        self._ended: dict[str, float] = {}  # monotonic
        self._sign_in: _SignIn | None = None
        self._turn = threading.Lock()  # of the sign-in that is at work
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
        """The names of the federation profiles, as far as they have been read."""
        return self._profiles

    @property
    def is_cleared(self) -> bool:
        """Whether the AWS session was cleared, and nobody has signed in since."""
        return self._cleared is not None

    @property
    def sign_in(self) -> _SignIn | None:
        """The sign-in that a button has started: open, or failed and not dismissed."""
        return self._sign_in

    def status(self) -> SessionStatus:
        """How things stand; nobody is signed in where nothing has been loaded."""
        status = SessionStatus() if self._federation is None else self._federation.status()
        said = self._signed_in if status.is_federated else self._cleared
        if said is not None:
            remarks = (*status.remarks, *said.remarks)
            status = replace(status, happened=said.happened, remarks=remarks, pages=said.pages)
        return replace(status, refreshing=True) if "refresh" in self._busy else status

    def state(self, event: str = "state") -> dict[str, Any]:
        """The whole state, as the channel tells it."""
        return protocol.state(event, json.loads(self.status().to_json()), self._profiles, _told(self._sign_in))

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
            action, said = _checked(content)
            self._do(action, said, takes_answers=takes_answers)
        except _RefusedError as refused:
            return {"ok": False, "error": str(refused), "state": self.state()}
        return {"ok": True, "state": self.state()}

    def cancel(self) -> None:
        """End the sign-in that a button has started, or dismiss its error."""
        self._cancel(cleared=False)

    def _do(self, action: str, said: Mapping[str, Any], *, takes_answers: bool) -> None:
        if action == "state":
            self._start("profiles", self.read_profiles)
        elif action == "refresh":
            self._refresh()
        elif action == "clear":
            self._clear(sign_out=said["sign_out"])
        elif action == "sign_in":
            self._begin_sign_in(said["profile"], takes_answers=takes_answers)
        elif action == "cancel":
            self.cancel()
        else:
            self._answer(said["text"])

    def _refresh(self) -> None:
        federation = self._federation
        if federation is None or not _holds(federation.status()):
            raise _RefusedError("Nobody is signed in to AWS in this notebook. Sign in first.")

        def refresh() -> None:
            self._tell("state")
            with contextlib.suppress(FederationError):  # the status says so
                federation.refresh()

        self._start("refresh", refresh, then=lambda: self._tell("state"))

    def _clear(self, *, sign_out: bool) -> None:
        self._cancel(cleared=True)
        federation = self._federation
        if federation is None:
            return

        def nothing_yet() -> None:
            federation.begin_clear()

        if not _holds(federation.status()):  # somebody may be signing in, in a cell: that counts no more
            self._start("clear", nothing_yet, pause=0)
            return

        def clear() -> None:
            rest = federation.begin_clear(sign_out=sign_out, prompt=PanelPrompt(lambda: None))
            _start(_thread("sign-out", lambda: finish(rest)))  # asks the provider, for as long as that takes

        def finish(rest: Callable[[], SessionStatus]) -> None:
            with contextlib.suppress(FederationError):  # signing out at the provider may fail; here it is cleared
                result = rest()
                if not federation.status().is_federated:
                    self._cleared = result
            self._tell("state")

        # On a thread, because a lock over a delivery in progress may be in its way.
        end = time.monotonic() + _CLEARED_WITHIN
        while _holds(federation.status()) and time.monotonic() < end:
            self._start("clear", clear, then=lambda: self._tell("state"), pause=0)  # unless one is on its way
            time.sleep(0.001)
        if _holds(federation.status()):
            raise _RefusedError("The AWS session is not cleared yet, because it is being delivered. Look again.")

    def _begin_sign_in(self, profile: str | None, *, takes_answers: bool) -> None:
        if profile is not None and self._profiles and profile not in self._profiles:
            raise _RefusedError("There is no federation profile of that name. %federate profiles lists them.")
        prompt = PanelPrompt(lambda: self._tell("sign_in"), takes_answers=takes_answers)
        begun = _SignIn(profile, prompt)
        with self._lock:
            if self._sign_in is not None and self._sign_in.error is None:
                raise _RefusedError("A sign-in is open already: finish or cancel it first.")
            self._sign_in = begun
        try:
            _start(_thread("sign-in", lambda: self._run_sign_in(begun)))
        except _RefusedError:
            self._sign_in = None
            raise

    def _run_sign_in(self, begun: _SignIn) -> None:
        self._tell("sign_in")
        has_turn = self._await_turn(begun)
        try:
            if not begun.prompt.cancelled:
                self._sign_in_now(begun)
        finally:
            if has_turn:
                self._turn.release()

    def _await_turn(self, begun: _SignIn) -> bool:
        """Wait until a cancelled sign-in has ended, for the while that is given to it, and then for the pause."""
        end = time.monotonic() + _CANCELLED_WITHIN
        has_turn = False
        while not (has_turn or begun.prompt.cancelled or time.monotonic() > end):
            has_turn = self._turn.acquire(timeout=_LOOKS)
        while not begun.prompt.cancelled and time.monotonic() < self._ended.get("sign_in", -_PAUSE) + _PAUSE:
            time.sleep(_LOOKS)
        return has_turn

    def _sign_in_now(self, begun: _SignIn) -> None:
        error = None
        try:
            if self._federation is None:
                self._load()
            if self._federation is not None:
                self._federation.federate_anew(begun.profile, prompt=begun.prompt)
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
        if begun.cleared and self._federation is not None:  # it got through in the very moment of the clear
            self._federation.clear()
        self._tell("sign_in")

    def _cancel(self, *, cleared: bool) -> None:
        with self._lock:
            begun, self._sign_in = self._sign_in, None
            if begun is None:
                return
            begun.cleared = cleared and begun.error is None
            begun.prompt.cancel()
        self._tell("sign_in")

    def _answer(self, text: str) -> None:
        begun = self._sign_in
        if begun is None or not begun.prompt.answer(Secret(text)):
            raise _RefusedError("Nothing was asked.")

    # What the above share

    def _happened(self, event: str, status: SessionStatus) -> None:
        """What the federation reports; on the notifier's thread."""
        if event == "federated":
            always = () if self._federation is None else self._federation.status().remarks
            once = tuple(remark for remark in status.remarks if remark not in always)
            self._cleared, self._signed_in = None, replace(status, remarks=once)
        elif event == "refreshed" and self._signed_in is not None:
            self._signed_in = replace(self._signed_in, happened=None)  # what it changed is no news any more
        elif event == "cleared" and self._cleared is None:
            self._cleared = SessionStatus(happened="Clients that held the AWS session refuse from now on.")
        self._show(event)  # how things stand then

    def _tell(self, event: str) -> None:
        background.shared.notify(lambda: self._show(event))

    def _show(self, event: str) -> None:
        for screen in self._screens:
            with contextlib.suppress(Exception):  # a front end that went away takes nothing from the others
                screen(event)

    def _start(
        self,
        what: str,
        work: Callable[[], None],
        *,
        then: Callable[[], None] = lambda: None,
        pause: float = _PAUSE,
    ) -> None:
        """Do ``work`` on a thread, unless the same is being done or ended less than ``pause`` seconds ago."""
        with self._lock:
            if what in self._busy or time.monotonic() - self._ended.get(what, -pause) < pause:
                return
            self._busy.add(what)

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._busy.discard(what)
                    self._ended[what] = time.monotonic()
                then()

        try:
            _start(_thread(what, run))
        except _RefusedError:
            self._busy.discard(what)
            raise


def _checked(content: object) -> tuple[str, dict[str, Any]]:
    """The action and what is said with it."""
    if not isinstance(content, dict):
        raise _RefusedError("The request is not an object.")
    protocol, action = content.get("protocol"), content.get("action")
    if type(protocol) is not int:
        raise _RefusedError("The request does not say which protocol it speaks.")
    if protocol != PROTOCOL:
        side = "the kernel's environment" if protocol > PROTOCOL else "JupyterLab's environment"
        raise _RefusedError(
            f"This kernel speaks protocol {PROTOCOL}, the front end another: update jupyter-aws-federation in {side}."
        )
    wanted = _TABLE.get(action) if isinstance(action, str) else None
    if wanted is None:
        raise _RefusedError("There is no such action.")
    said = {key: value for key, value in content.items() if key not in {"protocol", "action"}}
    if said.keys() != wanted.keys() or any(type(value) not in wanted[key] for key, value in said.items()):
        raise _RefusedError(f"The action {action} takes {' and '.join(wanted) or 'nothing'}, and nothing else.")
    for value in said.values():
        if isinstance(value, str) and not _is_short_text(value):
            raise _RefusedError("The request is too long, or no text.")
    return str(action), said


def _is_short_text(text: str) -> bool:
    try:
        return len(text) <= _LONGEST and len(text.encode()) <= _LONGEST
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False


def _holds(status: SessionStatus) -> bool:
    """Whether there is any identity."""
    return status.is_federated or bool(status.beside)


def _told(sign_in: _SignIn | None) -> dict[str, Any] | None:
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
            "client_id": offer.client_id,
            "steps": list(offer.steps),
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
        raise _RefusedError("No thread could be started: close what runs many of them (ulimit -u).") from None


shared = Controls()
"""Those of this process's kernel."""
