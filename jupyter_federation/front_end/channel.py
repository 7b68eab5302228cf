"""The channel to the front end: the kernel tells its state by a comm, the front end asks on the control channel.

docs/decisions/0011-front-end.md is the contract, `controls` what is told and done.  That is loaded when there is
something to tell or do: what the channel says first, it says without.
"""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_federation.front_end import protocol

if TYPE_CHECKING:
    from jupyter_federation.front_end.controls import Controls

TARGET = "jupyter_federation"
REQUEST = "federation_request"
_REPLY = "federation_reply"


class Channel:
    """One kernel's channel, from `open` to `close`; ``load`` brings what it tells of and asks."""

    def __init__(self, kernel: Any, load: Callable[[], Controls]) -> None:
        self._kernel = kernel
        self._load = load
        self._lock = threading.Lock()
        self._controls: Controls | None = None
        self._comm: Any = None
        self._leave = _nothing

    def open(self) -> None:
        """Tell the front end that we are here, and listen.

        Not where the cell's front end takes no input: nobody looks there, and nbclient would warn of a comm that it
        does not know.
        """
        if _runs_by_itself(self._kernel):
            return
        import comm

        # ipykernel 7.0 finds the parent of a message in a context variable that a thread of ours does not have.
        self._context = contextvars.copy_context()
        self._process = os.getpid()
        known = self._load() if "jupyter_federation.front_end.controls" in sys.modules else None
        self._comm = comm.create_comm(target_name=TARGET, data=protocol.state() if known is None else known.state())
        self._comm.on_close(self._stay)
        _open.add(self)
        if known is not None:
            self._follow(known)
        self._kernel.control_handlers[REQUEST] = self._reply
        _logger(self._kernel).addFilter(_without_requests)

    def close(self) -> None:
        """Leave the kernel as it was."""
        self._leave()
        _open.discard(self)
        if self._comm is None:
            return
        if self._kernel.control_handlers.get(REQUEST) == self._reply:
            del self._kernel.control_handlers[REQUEST]
        _logger(self._kernel).removeFilter(_without_requests)
        self._comm.close()
        self._comm = None

    def _follow(self, controls: Controls) -> None:
        """Tell what happens from now on; in a forked child nothing, the front end is the parent's."""
        with self._lock:
            if self._controls is None and os.getpid() == self._process:
                self._leave = controls.add(lambda event: self._context.copy().run(self._tell, controls, event))
                self._controls = controls

    def _tell(self, controls: Controls, event: str) -> None:
        comm = self._comm
        if comm is not None:  # closed, while this was on its way
            comm.send(controls.state(event))

    def _stay(self, _message: object) -> None:
        """A front end closes a comm that it does not know, which is for that one alone: others find it still."""
        import comm

        self._comm = comm.create_comm(target_name=TARGET, comm_id=self._comm.comm_id, primary=False)
        self._comm.on_close(self._stay)
        comm.get_comm_manager().register_comm(self._comm)

    def _reply(self, stream: Any, ident: Any, message: Any) -> None:
        """Answer a request, on the control thread."""
        content = message.get("content")
        controls = self._controls or self._load()
        self._follow(controls)
        reply = controls.request(content, takes_answers=True)
        if isinstance(content, dict):
            content.clear()  # the kernel keeps the last message, and this one may hold what was pasted
        self._kernel.session.send(stream, _REPLY, reply, parent=message, ident=ident)


_open: set[Channel] = set()


def tell_of(controls: Controls) -> None:
    """Let the channel that is open tell of ``controls``, which have just been loaded."""
    for channel in tuple(_open):
        channel._follow(controls)  # noqa: SLF001 - of the same room


def _without_requests(record: logging.LogRecord) -> bool:
    """A log filter: at DEBUG ipykernel logs each message whole, and in a request may stand what was pasted."""
    message = record.args
    if isinstance(message, dict) and REQUEST in str(message.get("header")):
        record.msg, record.args = f"Control received: {REQUEST}", ()
    return True


def _runs_by_itself(kernel: Any) -> bool:
    try:
        content = kernel.get_parent("shell").get("content", {})
    except LookupError:  # ipykernel 7.0, where no cell has run yet
        return False
    return content.get("allow_stdin") is False


def _logger(kernel: Any) -> logging.Logger:
    logger: logging.Logger = getattr(kernel.log, "logger", kernel.log)
    return logger


def _nothing() -> None:
    pass
