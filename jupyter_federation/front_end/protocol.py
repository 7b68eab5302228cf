"""What the kernel says to a front end before anything is loaded that could sign in: a state at no cost."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

import jupyter_federation

PROTOCOL = 1
"""The version of what the two sides say to each other; docs/decisions/0011-front-end.md is the contract."""

PANEL = os.urandom(8).hex()
"""By which a front end knows the panel of this kernel."""

# `SessionStatus().to_json()`, without the milliseconds that its class takes to be made.
_NOBODY: dict[str, Any] = {
    "credentials": "none",
    "sign_in": "none",
    "refreshing": False,
    "interactive": False,
    "is_federated": False,
    "profile": None,
    "provider": None,
    "subject": None,
    "identity_id": None,
    "role_arn": None,
    "account_id": None,
    "region": None,
    "access_key_suffix": None,
    "sign_in_expires_at": None,
    "credentials_expire_at": None,
    "set_aside": [],
    "last_error": None,
    "next_try_at": None,
    "beside": [],
    "way_back": "%federate",
    "remarks": [],
    "pages": [],
    "happened": None,
}


_numbers = itertools.count(1)


def number() -> int:
    """The next number of a state: the front end, which hears by two ways, passes over what it had a higher one of."""
    return next(_numbers)


def state(
    event: str = "state",
    status: dict[str, Any] = _NOBODY,
    profiles: tuple[str, ...] = (),
    sign_in: dict[str, Any] | None = None,
    *,
    number: int = 0,
) -> dict[str, Any]:
    """The whole state, as the channel tells it; by default that of a kernel in which nobody has signed in."""
    whole = {
        "protocol": PROTOCOL,
        "version": jupyter_federation.__version__,
        "number": number,
        "now": round(time.time() * 1000),
        "event": event,
        "panel": PANEL,
        "status": status,
        "profiles": list(profiles),
        "sign_in": sign_in,
    }
    # Half a pair of surrogates, whoever has said it, goes into no message, and then nothing else would be told either.
    said: dict[str, Any] = json.loads(json.dumps(whole, ensure_ascii=False).encode(errors="replace"))
    return said
