"""The first rung: a browser on the kernel's own machine, which comes back to a receiver there."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.receiver import Receiver
from jupyter_federation.sign_in.rung import PATIENCE, SignIn, query_of
from jupyter_federation.tokens import Prompt

T = TypeVar("T")


def browser_is_here() -> bool:
    """Whether a browser that is opened on the kernel's machine is the person's own.

    On a JupyterHub it is not; on Linux it needs a display, or a BROWSER that somebody chose.
    """
    if "JUPYTERHUB_USER" in os.environ:
        return False
    if os.environ.get("BROWSER") or sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_browser(address: str) -> bool:
    """Open a window; whether that went well."""
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


class BrowserRung:
    """Opens a window by itself and listens for its answer on this machine.

    ``instead`` is what the person runs where that browser is not theirs, None: nothing.
    """

    name = "browser"
    option = None

    def __init__(
        self,
        ports: Sequence[int] = (),
        *,
        open_browser: Callable[[str], bool] = open_browser,
        patience: timedelta = PATIENCE,
        instead: str | None = None,
    ) -> None:
        self._ports = ports
        self._open_browser = open_browser
        self._patience = patience
        self._instead = instead

    def climb(self, sign_in: SignIn[T], prompt: Prompt) -> T:
        """See `Rung.climb`."""
        with Receiver(self._ports) as receiver:
            address = sign_in.address(sign_in.loopback(receiver.port))
            receiver.expect(query_of(address)["state"])
            steps: tuple[str, ...] = ("A browser window opens on this machine. If it does not, open this:",)
            if self._instead is not None:
                steps += (f"Where that browser is not yours, cancel the sign-in and run {self._instead}.",)
            offer = Offer(
                issuer=sign_in.issuer,
                client_id=sign_in.client_id,
                steps=steps,
                address=address,
                until=datetime.now(timezone.utc) + self._patience,
            )
            prompt.show(offer)  # first: a browser in the terminal returns when the person closes it
            if not self._open_browser(address):
                prompt.show(replace(offer, steps=("No browser could be opened. Open this:", *steps[1:])))
            answer = receiver.wait(
                self._patience.total_seconds(),
                lambda passed: prompt.waiting("Waiting for your sign-in in the browser", passed),
            )
        if answer is None:
            raise LoginFailedError(
                f"Nobody signed in at {sign_in.issuer} within {self._patience.total_seconds():.0f} s.",
                fix="Close the window that is still open.",
            )
        return sign_in.redeem(answer)
