"""The rung for any device: a code that is typed there (RFC 8628); phishing likes it too, so it is never the first."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from jupyter_federation.errors import LoginFailedError, SourceUnavailableError
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.rung import SignIn, Tokens
from jupyter_federation.tokens import Prompt

_LONGEST_INTERVAL = timedelta(minutes=1)  # or a short outage would cost the rest of the code's life
_KEEP_IT = "Give the code to nobody."


class DeviceCodeRung:
    """Shows the code and asks the provider, no oftener than it wants, whether the person has typed it."""

    name = "device-code"
    option = "--use-device-code"

    def __init__(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """See `Rung.climb`."""
        device = sign_in.device_code()
        steps: tuple[str, ...] = (f"Open this on any device, type the code below, and sign in. {_KEEP_IT}",)
        if device.complete_address is not None:
            steps = (
                "Open this on any device, check that the page shows the code below, and sign in.",
                f"Or open {device.address} and type the code there. {_KEEP_IT}",
            )
        offer = Offer(
            issuer=sign_in.issuer,
            client_id=sign_in.client_id,
            steps=steps,
            address=device.complete_address or device.address,
            code=device.user_code,
            until=device.expires_at,
        )
        prompt.show(offer)
        interval, passed = device.interval, 0.0
        while (left := device.expires_at - datetime.now(timezone.utc)) > timedelta(0):
            passed = self._wait(min(interval, left), prompt, passed)
            try:
                answer = sign_in.poll(device)
            except SourceUnavailableError:  # RFC 8628, 3.5: after a connection timeout, back off and go on
                interval = max(interval, min(interval * 2, _LONGEST_INTERVAL))
                continue
            if not isinstance(answer, timedelta):
                return answer
            interval += answer
        raise LoginFailedError(
            f"Nobody typed the code at {sign_in.issuer} before it expired.", fix="Each sign-in has a new one."
        )

    def _wait(self, interval: timedelta, prompt: Prompt, passed: float) -> float:
        """Let ``interval`` pass, with a sign of life each second; the seconds that have passed in all."""
        end = passed + interval.total_seconds()
        while passed < end:
            step = min(1.0, end - passed)
            self._pause(step)
            passed += step
            prompt.waiting("Waiting for the code to be typed", passed)
        return passed
