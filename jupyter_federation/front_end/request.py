"""What a front end asks: data from outside, checked against a table of actions; what is not in there does nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_federation.front_end.protocol import PROTOCOL

_LONGEST = 16 * 1024  # bytes of text in a request


class RefusedError(Exception):
    """A request that does nothing; its text says why."""


@dataclass(frozen=True, slots=True)
class Action:
    """What may be asked: the types of what is said with it, and what does it."""

    takes: Mapping[str, tuple[type, ...]]
    do: Callable[..., None]


def checked(content: object, actions: Mapping[str, Action]) -> tuple[Action, dict[str, Any]]:
    """The action that ``content`` asks for and what is said with it; raises RefusedError."""
    if not isinstance(content, dict):
        raise RefusedError("The request is not an object.")
    protocol, action = content.get("protocol"), content.get("action")
    if type(protocol) is not int:
        raise RefusedError("The request does not say which protocol it speaks.")
    if protocol != PROTOCOL:
        side = "the kernel's environment" if protocol > PROTOCOL else "JupyterLab's environment"
        raise RefusedError(
            f"This kernel speaks protocol {PROTOCOL}, the front end another: update jupyter-aws-federation in {side}."
        )
    found = actions.get(action) if isinstance(action, str) else None
    if found is None:
        raise RefusedError("There is no such action.")
    said = {key: value for key, value in content.items() if key not in {"protocol", "action"}}
    if said.keys() != found.takes.keys() or any(type(value) not in found.takes[key] for key, value in said.items()):
        raise RefusedError(f"The action {action} takes {' and '.join(found.takes) or 'nothing'}, and nothing else.")
    for value in said.values():
        if isinstance(value, str) and not _is_short_text(value):
            raise RefusedError("The request is too long, or no text.")
    return found, said


def _is_short_text(text: str) -> bool:
    try:
        return len(text) <= _LONGEST and len(text.encode()) <= _LONGEST
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
