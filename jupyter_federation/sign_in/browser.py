"""The first rung: a browser on the kernel's own machine, which comes back to a receiver there."""

from __future__ import annotations

import contextlib
import html
import os
import queue
import secrets
import shutil
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.receiver import Receiver
from jupyter_federation.sign_in.rung import PATIENCE, SignIn, Tokens, query_of
from jupyter_federation.tokens import Prompt

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}"><title>To the sign-in</title>
<p><a href="{address}">Go on to the sign-in page</a></p></html>
"""


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
    """Open a window; False where it is known within a second that that did not go well.

    On a thread, because a browser in the foreground ends when the person closes it.
    """
    outcomes: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def run() -> None:
        opened = False
        with contextlib.suppress(webbrowser.Error, OSError):
            opened = webbrowser.open(address)
        outcomes.put(opened)

    threading.Thread(target=run, name="jupyter-federation-window", daemon=True).start()
    with contextlib.suppress(queue.Empty):
        return outcomes.get(timeout=1.0)
    return True


@contextlib.contextmanager
def page_to(address: str) -> Iterator[str]:
    """The address of a page of the person's own that leads to ``address``, until the end.

    Everybody on this machine can read what a browser is started with, and whoever knows state, nonce and challenge can
    sign the person in as somebody else.  It is in Jupyter's runtime directory, which more browsers may read than /tmp.
    Raises OSError where it cannot be written.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    directory = Path(jupyter_runtime_dir()) / f"jupyter-federation-{secrets.token_hex(16)}"
    page = directory / "sign-in.html"
    try:
        directory.mkdir(mode=0o700, parents=True)
        descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_PAGE.format(address=html.escape(address)))
        yield page.as_uri()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class BrowserRung:
    """Opens a window by itself and listens for its answer on this machine.

    ``open_browser`` is given the address of a page that leads to the provider's.
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

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """See `Rung.climb`."""
        with contextlib.ExitStack() as stack:
            receiver = stack.enter_context(Receiver(self._ports))
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
            opened = False
            with contextlib.suppress(OSError):
                opened = self._open_browser(stack.enter_context(page_to(address)))
            if not opened:
                prompt.show(replace(offer, steps=("No browser could be opened. Open this:", *steps[1:])))
            answer = receiver.wait(
                self._patience.total_seconds(),
                lambda passed: prompt.waiting("Waiting for your sign-in in the browser", passed),
            )
        if answer is None:
            raise LoginFailedError(
                f"Nobody signed in at {sign_in.issuer} within {self._patience.total_seconds():.0f} s.",
                fix="Close the window that is still open. If its page refused, check `client_id`.",
            )
        return sign_in.redeem(answer)
