"""The way to the person in front of a notebook or a terminal, and the refusal where there is none."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from IPython.core.getipython import get_ipython

from jupyter_federation.errors import LoginRequiredError
from jupyter_federation.redaction import Secret


class NotebookPrompt:
    """A `Prompt` that asks through the kernel's front end, or the terminal.

    It never waits where nobody can answer: nbconvert and papermill, ``ipython -c`` without a terminal, a closed stdin.
    `close` takes its line about waiting away.
    """

    def __init__(self) -> None:
        self._shown = 0  # characters of the line about waiting

    def ask_secret(self, question: str) -> str:
        """What the person types: not echoed, not stored in notebook or history."""
        self.close()
        # Asked of the kernel itself: getpass.getpass is the kernel's only while a cell runs, and otherwise opens the
        # terminal that the server was started from.
        kernel = getattr(get_ipython(), "kernel", None)
        if kernel is None and not _is_terminal(sys.stdin):
            raise _nobody()
        try:
            return Secret((getpass if kernel is None else kernel).getpass(question))
        except (EOFError, NotImplementedError):  # NotImplementedError: the front end said that it takes no input
            raise _nobody() from None

    def waiting(self, what: str, seconds: float) -> None:
        """One line, written over each second."""
        if seconds >= 1:
            self._show(f"{what}: {seconds:.0f} s")

    def close(self) -> None:
        """Take the line away."""
        self._show("")

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


def _nobody() -> LoginRequiredError:
    return LoginRequiredError(
        "The sign-in needs a person, and nobody can be asked here: this notebook or script runs by itself.",
        fix="Let the token come in without one: `--token-file PATH` or `--token-env NAME`.",
    )
