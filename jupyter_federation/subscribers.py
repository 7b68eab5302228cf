"""Who is told what happens to a session."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from jupyter_federation.refresher import Refresher
from jupyter_federation.session_status import SessionStatus

Subscriber = Callable[[str, SessionStatus], None]
"""Called as ``subscriber(event, status)``, from a background thread.

The events are federated, refreshed, refresh_failed, needs_you, expired and cleared.
"""


class Subscribers:
    """Tells everybody of each event, in order; what one of them does or raises disturbs no other."""

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher
        self._lock = threading.Lock()
        self._all: tuple[Subscriber, ...] = ()

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell ``subscriber`` from now on; call the result to stop."""
        with self._lock:
            self._all = (*self._all, subscriber)

        def remove() -> None:
            with self._lock:
                self._all = tuple(each for each in self._all if each is not subscriber)

        return remove

    def tell(self, event: str, status: SessionStatus) -> None:
        """Call everybody, soon, on the notifier's thread."""
        for each in self._all:
            self._refresher.notify(functools.partial(each, event, status))

    def tell_after(self, event: str, status: SessionStatus) -> None:
        """Tell those who are subscribed now, behind what waits to be passed on to them."""
        told = self._all

        def tell() -> None:
            for each in told:
                self._refresher.notify(functools.partial(each, event, status))

        self._refresher.notify(tell)

    def forked(self) -> None:
        """In a forked child: who subscribed did so in the parent, where the screens are."""
        self._lock = threading.Lock()
        self._all = ()
