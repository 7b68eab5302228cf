"""The way to the person in front of a notebook or a terminal, and the refusal where there is none."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import nobody_here

if TYPE_CHECKING:
    from jupyter_federation.offer import Offer


class NotebookPrompt:
    """A `Prompt` that asks through the kernel's front end, or the terminal.

    It never waits where nobody can answer: nbconvert and papermill, ``ipython -c`` without a terminal, a closed stdin.
    `close` takes away what it has shown: a notebook would save it.
    """

    def __init__(self) -> None:
        self._shown = 0  # characters of the line about waiting
        self._display: Any = None  # the handle of what a front end shows

    @property
    def reaches_somebody(self) -> bool:
        """Whether the front end takes input for the cell that runs, or a terminal is there."""
        kernel = getattr(get_ipython(), "kernel", None)
        # ipykernel knows it, and tells it only by raising when it is asked something.
        return _is_terminal(sys.stdin) if kernel is None else bool(getattr(kernel, "_allow_stdin", False))

    def show(self, offer: Offer) -> None:
        """As a display that `close` empties, or as lines of text in a terminal."""
        self._show("")
        if getattr(get_ipython(), "kernel", None) is None:
            sys.stdout.write(f"{offer.text()}\n")
            sys.stdout.flush()
            return
        from IPython.display import DisplayHandle

        content = {"text/plain": offer.text(), "text/html": offer.html()}
        if self._display is None:
            self._display = DisplayHandle()  # type: ignore[no-untyped-call]
            self._display.display(content, raw=True)  # an interrupt right behind it: `close` knows of it already
        else:
            self._display.update(content, raw=True)

    def ask_secret(self, question: str) -> str:
        """What the person types: not echoed, not stored in notebook or history."""
        self._show("")
        # Asked of the kernel itself: getpass.getpass is the kernel's only while a cell runs, and otherwise opens the
        # terminal that the server was started from.
        kernel = getattr(get_ipython(), "kernel", None)
        if kernel is None and not _is_terminal(sys.stdin):
            raise nobody_here("The sign-in")
        try:
            return Secret((getpass if kernel is None else kernel).getpass(question))
        except (EOFError, NotImplementedError):  # NotImplementedError: the front end said that it takes no input
            raise nobody_here("The sign-in") from None

    def waiting(self, what: str, seconds: float) -> None:
        """One line, written over each second."""
        if seconds >= 1:
            self._show(f"{what}: {seconds:.0f} s")

    def close(self) -> None:
        """Take away what was shown."""
        self._show("")
        if self._display is not None:
            self._display.update({"text/plain": ""}, raw=True)
            self._display = None

    def _show(self, line: str) -> None:
        """Write ``line`` over the one before; the empty line takes it away."""
        if line or self._shown:
            sys.stdout.write(f"\r{line.ljust(self._shown)}" + ("" if line else "\r"))
            sys.stdout.flush()
        self._shown = len(line)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no stdin at all, or a closed one
        return False
