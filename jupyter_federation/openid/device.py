"""What a device authorization endpoint answers, and what a poll does (RFC 8628, sections 3.2 and 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from jupyter_federation.openid.addresses import is_safe
from jupyter_federation.openid.client import OpenIdClient, RefusedError, Tokens, refused, shown
from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.rung import DeviceCode, OutOfReachError


def device_code(answer: Mapping[str, Any], issuer: str) -> DeviceCode:
    """What the person types, and where.  Raises OutOfReachError where the answer holds nothing of use."""
    address, complete = (answer.get(name) for name in ("verification_uri", "verification_uri_complete"))
    code, user_code = answer.get("device_code"), answer.get("user_code")
    if not (is_safe(address, issuer) and isinstance(code, str) and isinstance(user_code, str)):
        raise OutOfReachError(f"{issuer} gives no usable device code.", fix="Choose another way.")
    return DeviceCode(
        code=Secret(code),
        user_code=shown(user_code),
        address=str(address),
        complete_address=str(complete) if is_safe(complete, issuer) else None,
        expires_at=datetime.now(timezone.utc) + timedelta(seconds=_seconds(answer.get("expires_in"), 600)),
        interval=timedelta(seconds=_seconds(answer.get("interval"), 5)),
    )


def polled(client: OpenIdClient, redeem: Callable[[], Tokens]) -> Tokens | timedelta:
    """See `SignIn.poll` (RFC 8628, section 3.5)."""
    try:
        return redeem()
    except RefusedError as error:
        if error.code == "authorization_pending":
            return timedelta(0)
        if error.code == "slow_down":
            return timedelta(seconds=5)
        failure = refused(client, error)
    raise failure


def _seconds(value: object, default: int) -> int:
    """A duration that a provider gives, within bounds: it may be absent, or nonsense."""
    return min(max(value, 1), 3600) if isinstance(value, int) else default
