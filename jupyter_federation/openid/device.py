"""The answer of a device authorization endpoint, taken apart (RFC 8628, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from jupyter_federation.openid.client import is_safe, shown
from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.rung import DeviceCode, OutOfReachError

SLOW_DOWN = timedelta(seconds=5)
"""How much longer to wait between two polls after the error of that name (RFC 8628, section 3.5)."""


def device_code(answer: Mapping[str, Any], issuer: str) -> DeviceCode:
    """What the person types, and where.  Raises OutOfReachError where the answer holds nothing of use."""
    address, complete = (answer.get(name) for name in ("verification_uri", "verification_uri_complete"))
    code, user_code = answer.get("device_code"), answer.get("user_code")
    if not (is_safe(address) and isinstance(code, str) and isinstance(user_code, str)):
        raise OutOfReachError(f"{issuer} gives no usable device code.", fix="Choose another way.")
    return DeviceCode(
        code=Secret(code),
        user_code=shown(user_code),
        address=str(address),
        complete_address=str(complete) if is_safe(complete) else None,
        expires_at=datetime.now(timezone.utc) + timedelta(seconds=_seconds(answer.get("expires_in"), 600)),
        interval=timedelta(seconds=_seconds(answer.get("interval"), 5)),
    )


def _seconds(value: object, default: int) -> int:
    """A duration that a provider gives, within bounds: it may be absent, or nonsense."""
    return min(max(value, 1), 3600) if isinstance(value, int) else default
