"""The channel to the front end: the kernel tells its state by a comm, the front end asks on the control channel.

docs/decisions/0011-front-end.md is the contract, `controls` what is told and done.
"""

from __future__ import annotations

import contextvars
import logging
from typing import Any

from jupyter_federation.controls import Controls

TARGET = "jupyter_federation"
REQUEST = "federation_request"
_REPLY = "federation_reply"


class Channel:
    """One kernel's channel, from `open` to `close`."""

    def __init__(self, kernel: Any, controls: Controls) -> None:
        self._kernel = kernel
        self._controls = controls
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
        context = contextvars.copy_context()
        self._comm = comm.create_comm(target_name=TARGET, data=self._controls.state())
        self._comm.on_close(self._stay)
        self._leave = self._controls.add(lambda event: context.copy().run(self._tell, event))
        self._kernel.control_handlers[REQUEST] = self._reply
        _logger(self._kernel).addFilter(_without_requests)

    def close(self) -> None:
        """Leave the kernel as it was."""
        self._leave()
        if self._comm is None:
            return
        if self._kernel.control_handlers.get(REQUEST) == self._reply:
            del self._kernel.control_handlers[REQUEST]
        _logger(self._kernel).removeFilter(_without_requests)
        self._comm.close()
        self._comm = None

    def _tell(self, event: str) -> None:
        self._comm.send(self._controls.state(event))

    def _stay(self, _message: object) -> None:
        """A front end closes a comm that it does not know, which is for that one alone: others find it still."""
        import comm

        self._comm = comm.create_comm(target_name=TARGET, comm_id=self._comm.comm_id, primary=False)
        self._comm.on_close(self._stay)
        comm.get_comm_manager().register_comm(self._comm)

    def _reply(self, stream: Any, ident: Any, message: Any) -> None:
        """Answer a request, on the control thread."""
        content = message.get("content")
        reply = self._controls.request(content, takes_answers=True)
        if isinstance(content, dict):
            content.clear()  # the kernel keeps the last message, and this one may hold what was pasted
        self._kernel.session.send(stream, _REPLY, reply, parent=message, ident=ident)


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
