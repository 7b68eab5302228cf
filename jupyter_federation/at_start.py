"""Signing in when the kernel starts, without a line of the person's: an administrator turns it on for IPython.

::

    c.InteractiveShellApp.extensions.append("jupyter_federation.at_start")  # /etc/ipython/ipython_kernel_config.py

It loads ``%federate`` and signs in with the default federation profile, where its source asks nobody (jupyterhub, file,
env).  The start of the kernel pays for a thread, which sleeps until that is over; all the rest is the thread's.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from jupyter_federation.errors import LoginRequiredError
from jupyter_federation.refresher import Latch

if TYPE_CHECKING:
    from jupyter_federation.offer import Offer

_log = logging.getLogger(__name__)
_PAUSE = 1.0  # seconds after which a kernel has started
_DELIVERED_WITHIN = 10.0  # seconds for which the first cell waits, in the rule for loading boto3


def load_ipython_extension(shell: Any) -> None:  # an InteractiveShell, whose own annotations have gaps
    """Load ``%federate``, and sign in a moment later."""
    shell.extension_manager.load_extension("jupyter_federation")  # by IPython, so that a %load_ext finds it loaded
    SignInAtStart(shell).begin()


class SignInAtStart:
    """One kernel's.  A cell that comes early waits until boto3 is in hand; whoever uses boto3 then waits for the rest.

    Without that a client of an early cell would act as somebody else, whom boto3 finds on the machine.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._has_started = Latch()
        self._delivered = Latch()

    def begin(self) -> None:
        """On a thread, which nobody waits for where the kernel ends."""
        self._shell.events.register("pre_run_cell", self._before_the_first_cell)
        threading.Thread(target=self._run, name="jupyter-federation-at-start", daemon=True).start()

    def _before_the_first_cell(self, info: object) -> None:  # noqa: ARG002 - IPython's signature
        self._shell.events.unregister("pre_run_cell", self._before_the_first_cell)
        self._has_started.set()
        with contextlib.suppress(KeyboardInterrupt):  # IPython would print it, and run the cell all the same
            self._delivered.wait(_DELIVERED_WITHIN)

    def _run(self) -> None:
        self._has_started.wait(_PAUSE)
        try:
            from jupyter_federation import calls

            calls.federate_at_start(prompt=_Nobody(), delivered=self._delivered.set)
        except Exception as error:  # noqa: BLE001 - a library that is broken, say; %federate says the rest
            _log.debug("No sign-in at the kernel's start: %s", type(error).__name__)
        finally:
            self._delivered.set()


class _Nobody:
    """The `Prompt` of a sign-in that nobody has asked for."""

    reaches_somebody = False

    def show(self, offer: Offer) -> None:
        """Nowhere."""

    def ask_secret(self, question: str) -> str:  # noqa: ARG002 - the protocol's
        """Nobody."""
        raise LoginRequiredError("The sign-in needs a person.", fix="Run %federate.")

    def waiting(self, what: str, seconds: float) -> None:
        """In silence."""
