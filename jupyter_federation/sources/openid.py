"""Tokens of any OpenID provider: the person signs in once, a refresh token does the rest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

from jupyter_federation.errors import (
    FederationError,
    InvalidTokenError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.openid.client import OpenIdClient, RefusedError
from jupyter_federation.openid.id_token import checked
from jupyter_federation.sign_in.ladder import Ladder
from jupyter_federation.tokens import IdToken, Prompt, SignedOut, TokenSource

_PATIENCE = 5.0  # seconds to wait for a renewal that another thread has under way


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
    brought: bool = False  # by the person, who therefore knows that nothing renews it
    refused: str | None = None

    @property
    def half_life(self) -> datetime:
        """When half of the ID token's life is over."""
        end = self.token.expires_at or self.received_at
        return self.received_at + (end - self.received_at) / 2


class OpenIdSource(TokenSource):
    """Signs in as ``client`` by way of ``ladder``, and renews the ID token at half its life.

    The tokens stay in memory; the refresh token is used by this process alone.  ``longest`` is the time after which the
    person has to sign in again, None: as long as the provider lets them.
    """

    def __init__(
        self,
        client: OpenIdClient,
        ladder: Ladder,
        *,
        longest: timedelta | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client = client
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
        if held is None or _can_renew(held) or held.refused is not None or held.brought:
            return ()
        if held.owner != os.getpid():
            return ("The sign-in is renewed by the process that this one was forked from.",)
        if held.refresh_gives_none:
            return (f"{self._client.issuer} renews no ID token without you: run %federate when it ends.",)
        gave = f"{self._client.issuer} gave no refresh token: run %federate when the sign-in ends, or have"
        return (f"{gave} offline_access allowed for {self._client.client_id} and asked for (`scopes`).",)

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
                f"A renewal at {self._client.issuer} is under way and has not ended.",
                fix="Check the network, then run %federate refresh.",
            )
        try:
            held = self._usable()
            return held.token if now < held.half_life else self._renew(held)
        finally:
            self._renewing.release()

    def last_token(self) -> IdToken | None:
        """The ID token, while it lives, whatever kept it from being renewed; not once the policy ends it."""
        held = self._held
        if held is None or self._is_over(held) or _has_expired(held, self._now()):
            return None
        return held.token

    def login(self, prompt: Prompt) -> IdToken:
        """Take the person through the ladder.

        Raises what `Ladder.climb` raises, and InvalidTokenError where the ID token is not ours.
        """
        tokens = self._ladder.climb(self._client.begin(), prompt)
        now = self._now()
        token = checked(tokens, self._client, now)
        signed_in = _SignedIn(
            token=token,
            received_at=now,
            signed_in_at=now,
            owner=os.getpid(),
            refresh_token=tokens.refresh_token,
            brought=tokens.brought,
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
            end_session_url = self._client.end_session_url()
            if held.refresh_token is not None and held.owner == os.getpid():
                revoked = self._client.revoke(held.refresh_token)
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
                f"Nobody has signed in at {self._client.issuer} here.", fix="Run %federate to sign in."
            )
        if self._is_over(held):
            raise self._needs_you("has lasted as long as the policy allows (`max_session_hours`)")
        if held.refused is not None:
            raise self._needs_you(f"is not renewed any longer: {held.refused}")
        return held

    def _renew(self, held: _SignedIn) -> IdToken:
        """The ID token that the refresh token brings; a new refresh token is kept before anything else."""
        try:
            tokens = self._client.refresh(held.refresh_token or "")
        except RefusedError as error:
            refusal = str(error)
        else:
            held = self._replace(held, refresh_token=tokens.refresh_token or held.refresh_token)
            if tokens.id_token is not None:
                token = checked(tokens, self._client, self._now())
                if token.subject != held.token.subject:  # OpenID Connect Core 1.0, section 12.2
                    raise InvalidTokenError(
                        f"{self._client.issuer} renewed the sign-in with somebody else's ID token.",
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
        return LoginRequiredError(f"The sign-in at {self._client.issuer} {why}.", fix="Run %federate to sign in again.")


def _can_renew(held: _SignedIn) -> bool:
    return held.refresh_token is not None and not held.refresh_gives_none and held.owner == os.getpid()


def _has_expired(held: _SignedIn, now: datetime) -> bool:
    return held.token.expires_at is None or held.token.expires_at <= now
