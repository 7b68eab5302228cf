"""Tokens of any OpenID provider: the person signs in once, a refresh token does the rest."""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

from jupyter_federation.errors import (
    FederationError,
    InvalidTokenError,
    LoginFailedError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.openid.authorization import Authorization, refused
from jupyter_federation.openid.provider import Provider, RefusedError, Tokens, is_safe, shown
from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.ladder import Ladder
from jupyter_federation.sign_in.rung import DeviceCode, OutOfReachError
from jupyter_federation.tokens import IdToken, Prompt, SignedOut, TokenSource

_PATIENCE = 5.0  # seconds to wait for a renewal that another thread has under way
_SLOW_DOWN = timedelta(seconds=5)  # RFC 8628, section 3.5


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class _SignedIn:
    """What one sign-in has come to by now.

    ``refresh_token`` is None where the provider gave none, ``refused`` says why where it takes it no longer.
    ``owner`` is the process that signed in: with rotation, a refresh token that two processes use ends for both.
    """

    token: IdToken
    received_at: datetime
    signed_in_at: datetime
    owner: int
    refresh_token: str | None = field(default=None, repr=False)
    refresh_gives_none: bool = False  # the provider's refresh answers hold no ID token
    refused: str | None = None

    @property
    def half_life(self) -> datetime:
        """When half of the ID token's life is over."""
        end = self.token.expires_at or self.received_at
        return self.received_at + (end - self.received_at) / 2


class OpenIdSource(TokenSource):
    """Signs in at ``provider`` by way of ``ladder``, and renews the ID token at half its life.

    The tokens stay in memory; the refresh token is used by this process alone.  ``longest`` is the time after which the
    person has to sign in again, None: as long as the provider lets them.
    """

    def __init__(
        self,
        provider: Provider,
        ladder: Ladder,
        *,
        longest: timedelta | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._provider = provider
        self._ladder = ladder
        self._longest = longest
        self._now = now
        self._lock = threading.Lock()  # over the replacement of what is held, a few instructions
        self._renewing = threading.Lock()  # over a request with the refresh token: it is good for one
        self._held: _SignedIn | None = None

    @property
    def renewable(self) -> bool:
        """Whether there is a refresh token that brings ID tokens, and it is this process's."""
        held = self._held
        return held is not None and _can_renew(held)

    @property
    def renew_at(self) -> datetime | None:
        """At half the ID token's life, where it can be renewed; at the end of the longest sign-in at the latest."""
        held = self._held
        if held is None or held.refused is not None:
            return None
        moments = [self._end(held), held.half_life if _can_renew(held) else None]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why the sign-in cannot be renewed, where it cannot."""
        held = self._held
        if held is None or _can_renew(held) or held.refused is not None:
            return ()
        if held.owner != os.getpid():
            return ("The sign-in is renewed by the process that this one was forked from.",)
        if held.refresh_gives_none:
            return (f"{self._provider.issuer} renews no ID token without you: run %federate when it ends.",)
        gave = f"{self._provider.issuer} gave no refresh token: run %federate when the sign-in ends, or have"
        return (f"{gave} offline_access allowed for {self._provider.client_id} and asked for (`scopes`).",)

    def token(self) -> IdToken:
        """The ID token, renewed where half of its life is over.

        Raises LoginRequiredError where nobody has signed in, the provider takes the refresh token no longer or the
        policy's time is over, SourceUnavailableError where the provider is down, InvalidTokenError where what it gave
        does not fit.
        """
        held = self._usable()
        now = self._now()
        if now < held.half_life or (not _can_renew(held) and not _has_expired(held, now)):
            return held.token
        if held.refresh_token is None or held.owner != os.getpid():
            raise self._needs_you("has ended, and there is no refresh token to renew it with")
        if not self._renewing.acquire(timeout=_PATIENCE):
            raise SourceUnavailableError(
                f"A renewal at {self._provider.issuer} is under way and has not ended.",
                fix="Check the network, then run %federate refresh.",
            )
        try:
            held = self._usable()
            return held.token if now < held.half_life else self._renew(held)
        finally:
            self._renewing.release()

    def last_token(self) -> IdToken | None:
        """The ID token, while it lives after the provider has refused to renew it; not once the policy ends it."""
        held = self._held
        if held is None or held.refused is None or self._is_over(held) or _has_expired(held, self._now()):
            return None
        return held.token

    def login(self, prompt: Prompt) -> IdToken:
        """Take the person through the ladder; see `Ladder.climb` for what is raised."""
        sign_in = _OpenIdSignIn(self._provider, self._now)
        tokens, token = self._ladder.climb(sign_in, prompt)
        now = self._now()
        signed_in = _SignedIn(
            token=token,
            received_at=now,
            signed_in_at=now,
            owner=os.getpid(),
            refresh_token=tokens.refresh_token,
        )
        with self._lock:
            self._held = signed_in
        return token

    def forget(self) -> None:
        """Drop the tokens; the provider's own session goes on."""
        with self._lock:
            self._held = None

    def sign_out(self) -> SignedOut | None:
        """Drop the tokens, and revoke the refresh token where the provider can.  None where nobody had signed in."""
        held = self._held
        self.forget()
        if held is None:
            return None
        revoked, end_session_url = False, None
        try:
            end_session_url = self._provider.end_session_url()
            if held.refresh_token is not None and held.owner == os.getpid():
                revoked = self._provider.revoke(held.refresh_token)
        except (FederationError, RefusedError):
            pass  # it says so in what it returns: clear must not fail
        return SignedOut(revoked=revoked, end_session_url=end_session_url)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse: it holds the tokens."""
        raise TypeError("a token source cannot be pickled or copied")

    def _usable(self) -> _SignedIn:
        """What is held.  Raises LoginRequiredError where it is over."""
        held = self._held
        if held is None:
            raise LoginRequiredError(
                f"Nobody has signed in at {self._provider.issuer} here.", fix="Run %federate to sign in."
            )
        if self._is_over(held):
            raise self._needs_you("has lasted as long as the policy allows (`max_session_hours`)")
        if held.refused is not None:
            raise self._needs_you(f"is not renewed any longer: {held.refused}")
        return held

    def _renew(self, held: _SignedIn) -> IdToken:
        """The ID token that the refresh token brings; a new refresh token is kept before anything else."""
        try:
            tokens = self._provider.refresh(held.refresh_token or "")
        except RefusedError as error:
            refusal = str(error)
        else:
            held = self._replace(held, refresh_token=tokens.refresh_token or held.refresh_token)
            if tokens.id_token is not None:
                token = _checked(tokens.id_token, self._provider, self._now())
                if token.subject != held.token.subject:  # OpenID Connect Core 1.0, section 12.2
                    raise InvalidTokenError(
                        f"{self._provider.issuer} renewed the sign-in with somebody else's ID token.",
                        fix="Run %federate clear, then %federate; if it stays, tell your administrator.",
                    )
                return self._replace(held, token=token, received_at=self._now(), refresh_gives_none=False).token
            held = self._replace(held, refresh_gives_none=True)
            if not _has_expired(held, self._now()):
                return held.token
            refusal = "its answers hold no ID token"
        self._replace(held, refused=refusal, refresh_token=None)
        raise self._needs_you(f"is not renewed any longer: {refusal}")

    def _replace(self, before: _SignedIn, **changes: Any) -> _SignedIn:
        """What is held, changed; where it was forgotten or signed in anew meanwhile, that stays as it is."""
        after = replace(before, **changes)
        with self._lock:
            if self._held is before:
                self._held = after
        return after

    def _end(self, held: _SignedIn) -> datetime | None:
        return None if self._longest is None else held.signed_in_at + self._longest

    def _is_over(self, held: _SignedIn) -> bool:
        end = self._end(held)
        return end is not None and end <= self._now()

    def _needs_you(self, why: str) -> LoginRequiredError:
        return LoginRequiredError(
            f"The sign-in at {self._provider.issuer} {why}.", fix="Run %federate to sign in again."
        )


class _OpenIdSignIn:
    """One sign-in as the ladder's rungs drive it; gives the tokens with the ID token checked."""

    def __init__(self, provider: Provider, now: Callable[[], datetime]) -> None:
        self._provider = provider
        self._now = now
        self._authorization: Authorization | None = None

    @property
    def issuer(self) -> str:
        return self._provider.issuer

    @property
    def client_id(self) -> str:
        return self._provider.client_id

    def address(self, redirect_uri: str) -> str:
        self._authorization = Authorization(self._provider, redirect_uri)
        return self._authorization.address()

    def redeem(self, answer: Mapping[str, str]) -> tuple[Tokens, IdToken]:
        request = self._authorization
        if request is None:
            raise LoginFailedError("No sign-in is under way.", fix="Run %federate to begin one.")
        code = request.code(answer)
        try:
            tokens = self._provider.redeem_code(code, redirect_uri=request.redirect_uri, verifier=request.verifier)
        except RefusedError as error:
            failure = refused(self._provider, error.code, error.description)
        else:
            return tokens, _checked(tokens.id_token, self._provider, self._now(), nonce=request.nonce)
        raise failure

    def device_code(self) -> DeviceCode:
        try:
            answer = self._provider.device_authorization()
        except RefusedError as error:
            raise OutOfReachError(
                f"{self.issuer} refuses to sign in by a device code: {error}.", fix="Have it allowed for the client."
            ) from None
        if answer is None:
            raise OutOfReachError(f"{self.issuer} does not sign in by a device code.", fix="Choose another way.")
        address, complete = (answer.get(name) for name in ("verification_uri", "verification_uri_complete"))
        code, user_code = answer.get("device_code"), answer.get("user_code")
        if not (is_safe(address) and isinstance(code, str) and isinstance(user_code, str)):
            raise OutOfReachError(f"{self.issuer} gives no usable device code.", fix="Choose another way.")
        return DeviceCode(
            code=Secret(code),
            user_code=shown(user_code),
            address=str(address),
            complete_address=str(complete) if is_safe(complete) else None,
            expires_at=_utc_now() + timedelta(seconds=_seconds(answer.get("expires_in"), 600)),
            interval=timedelta(seconds=_seconds(answer.get("interval"), 5)),
        )

    def poll(self, device_code: DeviceCode) -> tuple[Tokens, IdToken] | timedelta:
        try:
            tokens = self._provider.redeem_device_code(device_code.code)
        except RefusedError as error:
            if error.code == "authorization_pending":
                return timedelta(0)
            if error.code == "slow_down":
                return _SLOW_DOWN
            failure = refused(self._provider, error.code, error.description)
            if error.code == "expired_token":
                failure = LoginFailedError(
                    f"The code expired before it was typed at {self.issuer}.", fix="Run %federate again for a new one."
                )
        else:
            return tokens, _checked(tokens.id_token, self._provider, self._now())
        raise failure


def _can_renew(held: _SignedIn) -> bool:
    return held.refresh_token is not None and not held.refresh_gives_none and held.owner == os.getpid()


def _has_expired(held: _SignedIn, now: datetime) -> bool:
    return held.token.expires_at is None or held.token.expires_at <= now


def _checked(raw: str | None, provider: Provider, now: datetime, *, nonce: str | None = None) -> IdToken:
    """The ID token, if it is ours (OpenID Connect Core 1.0, 3.1.3.7; the signature is left to AWS: see `tokens`)."""
    if raw is None:
        raise InvalidTokenError(
            f"{provider.issuer} gave no ID token.", fix="Leave `openid` among the client's allowed scopes."
        )
    token = IdToken.parse(raw)
    problem = None
    if not token.is_jwt or token.expires_at is None or token.issued_at is None or token.subject is None:
        problem = "lacks one of iss, sub, aud, exp and iat"
    elif token.issuer != provider.issuer:
        problem = f"names the issuer {shown(token.issuer or 'nobody')}"
    elif provider.client_id not in token.audience:
        problem = f"is for the client {shown(', '.join(token.audience) or 'of nobody')}, not for {provider.client_id}"
    elif token.authorized_party not in (None, provider.client_id) or (
        token.authorized_party is None and len(token.audience) > 1
    ):
        problem = f"was given to {shown(token.authorized_party or 'one of several clients')} (azp)"
    elif nonce is not None and not _same(token.claims.get("nonce"), nonce):
        problem = "was made for another sign-in (nonce)"
    if problem is not None:
        raise InvalidTokenError(
            f"The ID token that {provider.issuer} gave {problem}; it was not used.",
            fix=f"Check `issuer` and `client_id`; if they are right, tell whoever runs {provider.issuer}.",
        )
    token.check_time(now)
    return token


def _same(claim: object, nonce: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode(), nonce.encode())


def _seconds(value: object, default: int) -> int:
    """A duration that a provider gives, within bounds: it may be absent, or nonsense."""
    return min(max(value, 1), 3600) if isinstance(value, int) else default
