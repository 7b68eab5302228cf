"""One sign-in at one provider, as the ladder's rungs drive it, and the checks on what comes back from the browser.

OpenID Connect Core 1.0, 3.1.2; RFC 7636; RFC 8628; RFC 9207.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from jupyter_federation.addresses import is_safe
from jupyter_federation.errors import LoginFailedError
from jupyter_federation.openid.aadsts import explained
from jupyter_federation.openid.client import AuthorizationRequest, OpenIdClient
from jupyter_federation.openid.refusal import RefusedError, shown
from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.rung import DeviceCode, OutOfReachError, Tokens


class OpenIdSignIn:
    """A `SignIn` at ``client``'s provider."""

    def __init__(self, client: OpenIdClient) -> None:
        self._client = client
        self._request: AuthorizationRequest | None = None  # the one whose answer is awaited

    @property
    def issuer(self) -> str:
        """See `SignIn.issuer`."""
        return self._client.issuer

    @property
    def client_id(self) -> str:
        """See `SignIn.client_id`."""
        return self._client.client_id

    def loopback(self, port: int) -> str:
        """See `SignIn.loopback`."""
        return self._client.loopback(port)

    def address(self, redirect_uri: str) -> str:
        """See `SignIn.address`."""
        self._request = self._client.authorization_request(redirect_uri)
        return self._request.address

    def redeem(self, answer: Mapping[str, str]) -> Tokens:
        """See `SignIn.redeem`."""
        request = self._request
        if request is None or not _same(answer.get("state", ""), request.state):
            raise LoginFailedError(
                "The answer from the browser does not belong to this sign-in: its state is another's, or was used.",
                fix="Close old sign-in windows, and finish the newest one.",
            )
        self._request = None
        try:
            tokens = request.redeem(self._code(answer))
        except RefusedError as error:
            failure = self._refused(error)
        else:
            return replace(tokens, nonce=request.nonce)
        raise failure

    def bring(self, token: str) -> Tokens:
        """See `SignIn.bring`."""
        self._client.settle_issuer()
        return Tokens(id_token=Secret(token), brought=True)

    def device_code(self) -> DeviceCode:
        """See `SignIn.device_code`."""
        try:
            answer = self._client.device_authorization()
        except RefusedError as error:
            raise OutOfReachError(
                f"{self.issuer} refuses to sign in by a device code: {error}.",
                fix=error.fix or "Have it allowed for the client.",
            ) from None
        if answer is None:
            raise OutOfReachError(f"{self.issuer} does not sign in by a device code.", fix="Choose another way.")
        return _device_code(answer, self.issuer)

    def poll(self, device_code: DeviceCode) -> Tokens | timedelta:
        """See `SignIn.poll` (RFC 8628, section 3.5)."""
        try:
            return self._client.redeem_device_code(device_code.code)
        except RefusedError as error:
            if error.code == "authorization_pending":
                return timedelta(0)
            if error.code == "slow_down":
                return timedelta(seconds=5)
            failure = self._refused(error)
        raise failure

    def _code(self, answer: Mapping[str, str]) -> str:
        """The code in the query of the redirect.

        Raises LoginFailedError where it comes from another provider or is not there, RefusedError for a refusal.
        """
        named = answer.get("iss")
        if named != self.issuer and (named is not None or self._client.endpoints().names_itself):
            raise LoginFailedError(
                f"The answer from the browser comes from {shown(named or 'nobody')}, and the sign-in began at "
                f"{self.issuer} (RFC 9207).",
                fix="Nothing was sent there. If it stays, tell your administrator.",
            )
        if "error" in answer:
            raise explained(answer["error"], answer.get("error_description", ""))
        if not answer.get("code"):
            raise LoginFailedError(
                "The answer from the browser holds no code.", fix="If it stays, tell your administrator."
            )
        return Secret(answer["code"])

    def _refused(self, error: RefusedError) -> LoginFailedError:
        """The provider's no to a sign-in, in its own words."""
        if error.code in {"access_denied", "authorization_declined"} and error.fix is None:
            why = f": {error.description}" if error.description else ""
            return LoginFailedError(
                f"The sign-in at {self.issuer} was cancelled or denied ({error.code}){why}.",
                fix="Nothing has changed here.",
            )
        if error.code == "expired_token":
            return LoginFailedError(
                f"The code expired before it was typed at {self.issuer}.", fix="Each sign-in has a new one."
            )
        return LoginFailedError(
            f"{self.issuer} refused the sign-in: {error}.",
            fix=error.fix
            or f"Check `client_id`, `scopes` and the redirect URIs that are registered for {self.client_id}.",
            finding=error.finding,
        )


def _same(state: str, expected: str) -> bool:
    return hmac.compare_digest(state.encode("utf-8", "replace"), expected.encode())


def _device_code(answer: Mapping[str, Any], issuer: str) -> DeviceCode:
    """What the person types, and where (RFC 8628, section 3.2).  Raises OutOfReachError where it is of no use."""
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


def _seconds(value: object, default: int) -> int:
    """A duration that a provider gives, within bounds: it may be absent, or nonsense."""
    return min(max(value, 1), 3600) if isinstance(value, int) else default
