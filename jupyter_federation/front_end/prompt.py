"""The way to the person behind a button: what a sign-in shows and asks goes to the panel, not to a cell."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.redaction import Secret

if TYPE_CHECKING:
    from jupyter_federation.offer import Offer

_EVERY = 0.9  # seconds: signs of life come about once a second, and none is passed on oftener


class SignInCancelledError(Exception):
    """The person cancelled; no rung of the ladder takes it for a failure."""


class PanelPrompt:
    """A `Prompt` of a sign-in that a button has started.

    It runs on a thread of its own; ``changed()`` is called there whenever there is something else to see.  A screen
    reads ``offer``, ``said`` (the line about waiting) and ``question``.  ``takes_answers`` tells whether it has a
    way to ask for what must not be seen, and ``patience`` how long an answer may take (None: as long as a sign-in).
    `answer` and `cancel` may be called from any thread and never wait.
    """

    reaches_somebody = True

    def __init__(
        self, changed: Callable[[], None], *, takes_answers: bool = True, patience: timedelta | None = None
    ) -> None:
        self._changed = changed
        self.takes_answers = takes_answers
        self._patience = patience
        self._answers: queue.SimpleQueue[Secret | None] = queue.SimpleQueue()
        self._said_at = float("-inf")
        self.cancelled = False
        self.offer: Offer | None = None
        self.said: str | None = None
        self.question: str | None = None

    def show(self, offer: Offer) -> None:
        """As the panel's invitation."""
        self._go_on()
        self.offer = offer
        self._changed()

    def ask_secret(self, question: str) -> str:
        """What the person types into the dialog that the front end opens for ``question``."""
        self._go_on()
        if not self.takes_answers:
            raise LoginFailedError(
                "This sign-in asks for something to be pasted, and the panel has no field that is not saved.",
                fix="Run %federate --no-browser in a cell, or install the JupyterLab extension.",
            )
        from jupyter_federation.sign_in.rung import PATIENCE

        seconds = (self._patience or PATIENCE).total_seconds()
        self.question = question
        self._changed()
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise LoginFailedError(f"Nothing was pasted within {seconds:.0f} s.", fix="Sign in again.") from None
        finally:
            self.question = None
        self._go_on()
        self._changed()
        return answer or Secret("")

    def waiting(self, what: str, seconds: float) -> None:
        """The line about waiting; where the person has cancelled, the sign-in ends here."""
        self._go_on()
        now = time.monotonic()
        if now - self._said_at >= _EVERY:
            self._said_at = now
            self.said = f"{what}: {seconds:.0f} s"
            self._changed()

    def answer(self, text: Secret) -> bool:
        """Hand over what was typed; whether something had been asked."""
        if self.question is None:
            return False
        self.question = None  # one answer to a question
        self._answers.put(text)
        return True

    def cancel(self) -> None:
        """End the sign-in at its next sign of life."""
        self.cancelled = True
        self._answers.put(None)

    def _go_on(self) -> None:
        if self.cancelled:
            raise SignInCancelledError
