"""A token from an identity provider as a value, and the protocols of what brings it.

Nothing here verifies a signature.  A token that comes from a token endpoint came over TLS from the issuer itself
(OpenID Connect Core 1.0, 3.1.3.7 allows that), and whatever its way, AWS verifies signature, issuer and audience
against the provider's keys when the token is exchanged.  What is read here serves only to fail early with a
sentence, to know when to renew, and to show who is signed in; nothing is granted by it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from jupyter_federation.errors import InvalidTokenError, LoginRequiredError
from jupyter_federation.redaction import Secret, printable

if TYPE_CHECKING:
    from jupyter_federation.offer import Offer

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far in this machine's future a token may have been issued before the clock is called wrong."""

_JWT_SHAPE = re.compile(r"eyJ[^.]*\.[^.]*\.[^.]*")  # three parts, the first of them base64url of '{"'
_LONGEST = 50_000  # characters; what Cognito takes (its API reference), and far beyond any real token
_LONGEST_ISSUER = 255  # characters; what IAM takes for an OpenID provider (its API reference)


@dataclass(frozen=True, kw_only=True, slots=True)
class IdToken:
    """A token and what is known of it, unverified.

    For a JWT, everything is read from its claims (OpenID Connect Core 1.0, section 2).  For an opaque access token or
    a SAML assertion only ``raw`` is known, and the rest is None or empty.  Times are UTC.
    """

    raw: str = field(repr=False)
    issuer: str | None = None
    subject: str | None = None
    audience: tuple[str, ...] = ()
    authorized_party: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", Secret(self.raw))

    @classmethod
    def parse(cls, raw: str) -> IdToken:
        """A token of any kind from its text; surrounding white space is dropped.

        Raises InvalidTokenError for an empty or overlong text, one with white space inside, and one that
        has the shape of a JWT but is none.
        """
        text = Secret(raw.strip())  # masked from here on, in a traceback's frames too
        if not text:
            raise InvalidTokenError(
                "The token is empty.",
                fix="Check what the token source gives, then run %federate again.",
                finding="token-malformed",
            )
        if len(text) > _LONGEST:
            raise InvalidTokenError(
                f"The token has {len(text):,} characters, and AWS takes at most {_LONGEST:,}.",
                fix="Check that the source gives a token and not a whole file or answer.",
                finding="token-malformed",
            )
        if any(c.isspace() for c in text) or not text.isprintable():
            raise InvalidTokenError(
                "The token has white space or unprintable characters inside.",
                fix="Check that the source gives the bare token: no 'Bearer ', no JSON around it, no second line.",
                finding="token-malformed",
            )
        if not _JWT_SHAPE.fullmatch(text):
            return cls(raw=text)
        claims = _claims(text)
        issuer = str(claims.get("iss", ""))
        if len(issuer) > _LONGEST_ISSUER or printable(issuer) != issuer:
            raise InvalidTokenError(
                "The token's issuer (iss) is longer than AWS takes, or holds characters that no address has.",
                fix="Use the provider's ID token (id_token) as it was issued.",
                finding="token-malformed",
            )
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        return cls(
            raw=text,
            issuer=_text(claims, "iss"),
            subject=_text(claims, "sub"),
            audience=tuple(a for a in audiences if isinstance(a, str)),
            authorized_party=_text(claims, "azp"),
            issued_at=_time(claims, "iat"),
            expires_at=_time(claims, "exp"),
            claims=claims,
        )

    @property
    def is_jwt(self) -> bool:
        """Whether the claims could be read."""
        return bool(self.claims)

    @property
    def name(self) -> str | None:
        """What the person calls themselves: the first of e-mail, user name, name and subject that can be shown."""
        for claim in ("email", "preferred_username", "upn", "cognito:username", "name", "sub"):
            value = self.claims.get(claim)
            if isinstance(value, str) and (name := printable(value)):
                return name
        return None if self.subject is None else printable(self.subject)

    def check_time(self, now: datetime) -> None:
        """Raise InvalidTokenError if the token has expired by ``now`` (no leeway), or was issued in its future."""
        if self.expires_at is not None and self.expires_at <= now:
            raise InvalidTokenError(
                f"The token from {self.issuer or 'the provider'} expired at {self.expires_at:%Y-%m-%d %H:%M:%S} UTC; "
                f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC.",
                fix="Get a fresh token, then run %federate again. If it is fresh, this machine's clock is wrong.",
                issuer=self.issuer,
                expires_at=self.expires_at,
                finding="token-expired",
            )
        if self.issued_at is not None and self.issued_at - now > CLOCK_TOLERANCE:
            ahead = round((self.issued_at - now).total_seconds() / 60)
            raise InvalidTokenError(
                f"The token from {self.issuer or 'the provider'} was issued {ahead} minutes in this machine's future.",
                fix="Check this machine's clock (date -u): it is slow, and AWS refuses requests 5 minutes off.",
                issuer=self.issuer,
                issued_at=self.issued_at,
                finding="clock-wrong",
            )


def _claims(jwt: str) -> dict[str, Any]:
    """The claims of a JWT (RFC 7519), not verified: see the module's docstring for why that is right here."""
    header, payload, _signature = jwt.split(".")
    try:
        _json_object(header)
        claims = _json_object(payload)
    except ValueError:
        raise InvalidTokenError(
            "The token looks like a JWT, but its parts cannot be read.",
            fix="Copy the whole token again: it was probably cut, or wrapped over several lines.",
            finding="token-malformed",
        ) from None  # the cause would quote the token
    if not claims:
        raise InvalidTokenError(
            "The token is a JWT without claims.",
            fix="Use the provider's ID token (id_token).",
            finding="token-malformed",
        )
    return claims


def _json_object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not base64url of JSON") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _text(claims: Mapping[str, Any], claim: str) -> str | None:
    value = claims.get(claim)
    return value if isinstance(value, str) and value else None


def _time(claims: Mapping[str, Any], claim: str) -> datetime | None:
    """A NumericDate (RFC 7519, section 2) as UTC, or None where it is absent."""
    value = claims.get(claim)
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError
        return datetime.fromtimestamp(value, timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise InvalidTokenError(
            f"The token's claim {claim!r} is not a time.",
            fix="Use the provider's ID token (id_token) as it was issued.",
            finding="token-malformed",
        ) from None


def token_at(place: str, raw: str) -> IdToken:
    """`IdToken.parse` of what stands at ``place``, with which its errors begin."""
    try:
        return IdToken.parse(raw)
    except InvalidTokenError as error:
        raise error.restated(problem=f"{place}: {error.problem}") from None


def utc_now() -> datetime:
    """This machine's clock."""
    return datetime.now(timezone.utc)


class Prompt(Protocol):
    """The way to the person in front of the notebook, where there is one."""

    @property
    def reaches_somebody(self) -> bool:
        """Whether a person sees what is shown and can answer; False where a notebook runs by itself."""
        ...

    def show(self, offer: Offer) -> None:
        """Show what the person has to do next, in place of what was shown before; gone when the call is over."""
        ...

    def ask_secret(self, question: str) -> str:
        """What the person types, not echoed and not stored.  Raises LoginRequiredError where nobody can answer."""
        ...

    def waiting(self, what: str, seconds: float) -> None:
        """Called about once a second while something is awaited; ``seconds`` have passed so far."""
        ...


def nobody_here(what: str) -> LoginRequiredError:
    """What is said where ``what`` needs a person, and a `Prompt` reaches none."""
    return LoginRequiredError(
        f"{what} needs a person, and nobody can be asked here: this notebook or script runs by itself.",
        fix="Let the token come in without one: `--token-file PATH` or `--token-env NAME`.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedOut:
    """What signing out at the provider came to.

    ``revoked`` tells whether the provider has ended the refresh token; ``end_session_url`` is where a browser ends its
    own session there, None where the provider has no such page.
    """

    revoked: bool
    end_session_url: str | None = None


class TokenSource(Protocol):
    """Brings tokens from one provider: silently where it can, by asking a person only in `login`.

    A source that derives from it has what is said here of one that needs nobody and holds nothing, neither renews on a
    clock of its own nor knows a provider to sign out at.
    """

    @property
    def renewable(self) -> bool:
        """Whether `token` can give a newer token later without a person."""
        ...

    @property
    def renew_at(self) -> datetime | None:
        """When `token` should be asked again however fresh the credentials are (UTC); None: when they need it."""
        return None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences that the person should know of this sign-in."""
        return ()

    def token(self) -> IdToken:
        """The current token, silently.

        Raises LoginRequiredError where a person is needed, SourceUnavailableError where the source cannot be tried,
        InvalidTokenError where what it gives is no token.
        """
        ...

    def last_token(self) -> IdToken | None:
        """A token that lives on although `token` gives none at the moment; it may be exchanged."""
        return None

    def login(self, prompt: Prompt) -> IdToken:
        """A token, asking the person where that is needed.  Raises LoginFailedError where they did not succeed."""
        del prompt
        return self.token()

    def forget(self) -> None:
        """Drop every token that is held; the next `token` starts anew."""
        return None  # noqa: RET501 - a protocol's method without a body would have to be overridden

    def sign_out(self) -> Callable[[], SignedOut] | None:
        """`forget`, at once; None where the sign-in began outside of the notebook.

        What it returns, called, ends the sign-in at the provider too, which takes as long as the provider does.
        """
        self.forget()
        return None

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse: it may hold a token."""
        raise TypeError("a token source cannot be pickled or copied")
