"""Tokens of any OpenID provider: the person signs in once, a refresh token does the rest."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jupyter_federation.errors import (
    ConfigurationError,
    FederationError,
    InvalidTokenError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.openid.client import OpenIdClient
from jupyter_federation.openid.id_token import checked
from jupyter_federation.openid.refusal import RefusedError
from jupyter_federation.openid.sign_in import OpenIdSignIn
from jupyter_federation.sign_in.ladder import Ladder
from jupyter_federation.sign_in.rung import Tokens
from jupyter_federation.tokens import IdToken, Prompt, SignedOut, TokenSource, utc_now

_PATIENCE = 5.0  # seconds to wait for a renewal that another thread has under way


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """What one sign-in has come to by now.

    ``refresh_token`` is None where the provider gave none, ``refused`` says why where it takes it no longer, and
    ``finding`` is the doctor's code of that.
    """

    token: IdToken
    received_at: datetime
    refresh_token: str | None = field(default=None, repr=False)
    refresh_gives_none: bool = False  # the provider's refresh answers hold no ID token
    refused: str | None = None
    finding: str | None = None

    @property
    def half_life(self) -> datetime:
        """When half of the ID token's life is over."""
        end = self.token.expires_at or self.received_at
        return self.received_at + (end - self.received_at) / 2


class _Grant:
    """One sign-in, which its source drops whole: a renewal that is under way then goes on in here, and counts no more.

    ``held`` is replaced as a whole, by who has ``renewing``: a refresh token is good for one request.  The process that
    signed in owns it, and no other ever waits for it: with rotation, a refresh token that two processes use ends for
    both, and a forked child's copy of a lock may be held for ever.
    """

    def __init__(self, held: _Held, *, brought: bool) -> None:
        self.held = held
        self.signed_in_at = held.received_at
        self.brought = brought  # by the person, who therefore knows that nothing renews it
        self.renewing = threading.Lock()
        self._owner = os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether this process signed in."""
        return self._owner == os.getpid()

    @property
    def can_renew(self) -> bool:
        """Whether there is a refresh token that brings ID tokens, and it is this process's."""
        return self.held.refresh_token is not None and not self.held.refresh_gives_none and self.is_ours

    def has_expired(self, now: datetime) -> bool:
        """Whether the ID token has."""
        return self.held.token.expires_at is None or self.held.token.expires_at <= now

    def is_due(self, now: datetime) -> bool:
        """Whether the ID token is to be renewed, or is over."""
        return now >= self.held.half_life and (self.can_renew or self.has_expired(now))


class OpenIdSource(TokenSource):
    """Signs in as ``client`` by way of ``ladder``, and renews the ID token at half its life.

    The tokens stay in memory; the refresh token is used by this process alone.  ``longest`` is the time after which the
    person has to sign in again, None: as long as the provider lets them; ``way_back`` is what they run for it.
    """

    def __init__(
        self,
        client: OpenIdClient,
        ladder: Ladder,
        *,
        longest: timedelta | None = None,
        now: Callable[[], datetime] = utc_now,
        way_back: str = "%federate",
    ) -> None:
        self._client = client
        self._ladder = ladder
        self._longest = longest
        self._now = now
        self._way_back = way_back
        self._grant: _Grant | None = None

    @property
    def renewable(self) -> bool:
        """Whether there is a refresh token that brings ID tokens, and it is this process's."""
        grant = self._grant
        return grant is not None and grant.can_renew

    @property
    def renew_at(self) -> datetime | None:
        """At half the ID token's life, where it can be renewed; at the end of the longest sign-in at the latest."""
        grant = self._grant
        if grant is None or grant.held.refused is not None:
            return None
        moments = [self._end(grant), grant.held.half_life if grant.can_renew else None]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why the sign-in cannot be renewed, where it cannot."""
        grant = self._grant
        if grant is None or grant.can_renew or grant.held.refused is not None or grant.brought:
            return ()
        if not grant.is_ours:
            return ("The sign-in is renewed by the process that this one was forked from.",)
        if grant.held.refresh_gives_none:
            return (f"{self._client.issuer} renews no ID token without you: run {self._way_back} when it ends.",)
        gave = f"{self._client.issuer} gave no refresh token: run {self._way_back} when the sign-in ends"
        return (f"{gave}, or {self._client.how_to_renew}.",)

    def token(self) -> IdToken:
        """The ID token, renewed where half of its life is over.

        Raises LoginRequiredError where nobody has signed in, the provider takes the refresh token no longer or the
        policy's time is over, SourceUnavailableError where the provider is down, ConfigurationError where it knows the
        application no longer, InvalidTokenError where what it gave does not fit.
        """
        grant = self._usable()
        if not grant.is_due(self._now()):
            return grant.held.token
        if grant.held.refresh_token is None or not grant.is_ours:
            raise self._needs_you("has ended, and there is no refresh token to renew it with", None)
        if not grant.renewing.acquire(timeout=_PATIENCE):
            raise SourceUnavailableError(
                f"A renewal at {self._client.issuer} is under way and has not ended.",
                fix="Check the network, then run %federate refresh.",
                finding="no-answer",
            )
        try:
            current = self._usable()
            if current is grant and grant.is_due(self._now()):  # still, after who was there before
                self._renew(grant)
            return current.held.token
        finally:
            grant.renewing.release()

    def last_token(self) -> IdToken | None:
        """The ID token, while it lives, whatever kept it from being renewed; not once the policy ends it."""
        grant = self._grant
        if grant is None or self._is_over(grant) or grant.has_expired(self._now()):
            return None
        return grant.held.token

    def login(self, prompt: Prompt) -> IdToken:
        """Take the person through the ladder.

        Raises what `Ladder.climb` raises, and InvalidTokenError where the ID token is not ours.
        """
        tokens = self._ladder.climb(OpenIdSignIn(self._client), prompt)
        now = self._now()
        token = checked(tokens, self._client, now)
        held = _Held(token=token, received_at=now, refresh_token=tokens.refresh_token)
        self._grant = _Grant(held, brought=tokens.brought)
        return token

    def forget(self) -> None:
        """Drop the tokens; the provider's own session goes on."""
        self._grant = None

    def sign_out(self) -> Callable[[], SignedOut] | None:
        """Drop the tokens; what it returns revokes the refresh token where the provider can.

        None where nobody had signed in.
        """
        grant, self._grant = self._grant, None
        return None if grant is None else functools.partial(self._end_at_the_provider, grant)

    def _end_at_the_provider(self, grant: _Grant) -> SignedOut:
        revoked, end_session_url = False, None
        try:
            end_session_url = self._client.endpoints().end_session_url(self._client.client_id)
            if grant.is_ours:
                renewed = grant.renewing.acquire(timeout=_PATIENCE)  # with rotation, the token before it is no good
                try:
                    refresh_token = grant.held.refresh_token
                    revoked = refresh_token is not None and self._client.revoke(refresh_token)
                finally:
                    if renewed:
                        grant.renewing.release()
        except (FederationError, RefusedError):
            pass  # it says so in what it returns: clear must not fail
        return SignedOut(revoked=revoked, end_session_url=end_session_url)

    def _usable(self) -> _Grant:
        """The sign-in.  Raises LoginRequiredError where there is none, or it is over."""
        grant = self._grant
        if grant is None:
            raise LoginRequiredError(
                f"Nobody has signed in at {self._client.issuer} here.", fix=f"Run {self._way_back} to sign in."
            )
        if self._is_over(grant):
            raise self._needs_you("has lasted as long as the policy allows (`max_session_hours`)")
        if grant.held.refused is not None:
            raise self._needs_you(f"is not renewed any longer: {grant.held.refused}", grant.held.finding)
        return grant

    def _renew(self, grant: _Grant) -> None:
        """Get the ID token that the refresh token brings."""
        try:
            tokens = self._client.refresh(grant.held.refresh_token or "")
        except RefusedError as error:
            refusal = error
        else:
            self._take(grant, tokens)
            return
        if refusal.code == "invalid_client":  # a secret that was changed there first, say: the refresh token is good
            raise ConfigurationError(
                f"{self._client.issuer} does not take {self._client.client_id} for the application that signed in: "
                f"{refusal}.",
                fix=refusal.fix or "Check the client's secret, and whether the application is registered still.",
                finding=refusal.finding,
            )
        raise self._refused(grant, str(refusal), refusal.finding or "sign-in-ended")

    def _take(self, grant: _Grant, tokens: Tokens) -> None:
        """What a renewal has brought: a new refresh token at once, unless it comes with somebody else's ID token."""
        held, foreign = grant.held, False
        if tokens.id_token is not None:
            with contextlib.suppress(InvalidTokenError):  # `checked` says what is wrong with it
                foreign = IdToken.parse(tokens.id_token).subject not in (None, held.token.subject)
        if not foreign:
            grant.held = held = replace(held, refresh_token=tokens.refresh_token or held.refresh_token)
        if tokens.id_token is None:
            grant.held = replace(held, refresh_gives_none=True)
            if grant.has_expired(self._now()):
                raise self._refused(grant, "its answers hold no ID token", None)
            return
        token = checked(tokens, self._client, self._now())
        if foreign:  # OpenID Connect Core 1.0, section 12.2
            raise InvalidTokenError(
                f"{self._client.issuer} renewed the sign-in with somebody else's ID token.",
                fix=f"Run %federate clear, then {self._way_back}; if it stays, tell your administrator.",
            )
        grant.held = replace(held, token=token, received_at=self._now(), refresh_gives_none=False)

    def _refused(self, grant: _Grant, why: str, finding: str | None) -> LoginRequiredError:
        """The end of a sign-in that nothing renews any longer, noted."""
        grant.held = replace(grant.held, refused=why, finding=finding, refresh_token=None)
        return self._needs_you(f"is not renewed any longer: {why}", finding)

    def _end(self, grant: _Grant) -> datetime | None:
        return None if self._longest is None else grant.signed_in_at + self._longest

    def _is_over(self, grant: _Grant) -> bool:
        end = self._end(grant)
        return end is not None and end <= self._now()

    def _needs_you(self, why: str, finding: str | None = "sign-in-ended") -> LoginRequiredError:
        return LoginRequiredError(
            f"The sign-in at {self._client.issuer} {why}.",
            fix=f"Run {self._way_back} to sign in again.",
            finding=finding,
        )
