"""What a screen may know of a session, and how a notebook shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from jupyter_federation.errors import without_home
from jupyter_federation.markup import linked, moment

CredentialsState = Literal["none", "valid", "expired"]
SignInState = Literal["ok", "needs_you", "not_renewable", "none"]

# Saved with the notebook, so without whom it is about: ARNs, Cognito ids, e-mail addresses, account numbers.
# What is before an "@" or a ":" is looked for where the word begins, or a long one would be read anew at each letter.
_PERSONAL = re.compile(
    r'arn:aws[\w-]*:(?!iam::ACCOUNT:)[^\s"]+'  # a placeholder is nobody's, and what an ARN is quoted by no part of it
    r"|(?<!\S)(?!http://USER:PASSWORD@HOST)@*[^\s@]+@\S+\w|(?<![\w-])[\w-]+:[0-9a-f]{8}-[0-9a-f-]{27}|\b\d{12}\b"
)


def without_persons(text: str) -> str:
    """``text`` without what names a person, an account or a role: a notebook may save it."""
    return _PERSONAL.sub("…", without_home(text))


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStatus:
    """A session at one moment; it holds no secret.

    Displayed, it shows profile, state, times and names of variables only, because what a notebook displays is saved
    with it, and nothing that is wrong when it is read later.  Person, account, role and identity are attributes.  Times
    are UTC.

    ``next_try_at`` is when a failed renewal is tried again by itself.  ``beside`` names the further identities
    (`jf.session`), ``way_back`` what signs in again.  ``interactive`` tells whether signing in asks the person;
    otherwise the token is brought.  ``remarks`` are sentences for the person, ``pages`` the
    addresses in them that are theirs to open, ``happened`` is what the call that returned this status did.
    ``live_view`` gives the MIME types that a front end may show in place of this moment, where there are any.
    """

    credentials: CredentialsState = "none"
    sign_in: SignInState = "none"
    refreshing: bool = False
    interactive: bool = False
    is_federated: bool = False
    profile: str | None = None
    provider: str | None = None
    subject: str | None = field(default=None, repr=False)
    identity_id: str | None = field(default=None, repr=False)
    role_arn: str | None = field(default=None, repr=False)
    account_id: str | None = field(default=None, repr=False)
    region: str | None = None
    access_key_suffix: str | None = None
    sign_in_expires_at: datetime | None = None
    credentials_expire_at: datetime | None = None
    set_aside: tuple[str, ...] = ()
    last_error: str | None = None
    next_try_at: datetime | None = None
    beside: tuple[str, ...] = ()
    way_back: str = "%federate"
    remarks: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    happened: str | None = None
    live_view: Callable[[], Mapping[str, Any]] | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> str:
        """The status as a JSON object; times are epoch milliseconds."""
        known = {name: value for name, value in asdict(self).items() if name != "live_view"}
        return json.dumps(known, default=lambda value: round(value.timestamp() * 1000))

    def __str__(self) -> str:
        """The lines that text/plain shows."""
        return "\n".join(self._lines(datetime.now(timezone.utc)))

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:  # noqa: FBT001 - IPython's signature
        printer.text("SessionStatus(…)" if cycle else str(self))  # type: ignore[attr-defined]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002 - IPython's
        live = {} if self.live_view is None else self.live_view()
        return {**live, "text/html": self._repr_html_(), "text/plain": str(self)}

    def _repr_html_(self) -> str:
        known = (self.credentials_expire_at, self.sign_in_expires_at, self.next_try_at)
        moments = [each for each in known if each is not None]
        lines = self._lines(datetime.now(timezone.utc))
        headline, *rest = (linked(line, pages=self.pages, moments=moments) for line in lines)
        colour = {"valid": "success", "expired": "error", "none": "info"}[self.credentials]
        if self.sign_in == "needs_you" and self.credentials == "valid":
            colour = "warn"
        return (
            f'<div class="jf-status" style="border-left: 4px solid var(--jp-{colour}-color1, currentColor); '
            'padding: 4px 12px; font-variant-numeric: tabular-nums">'
            f"<strong>{headline}</strong>" + "".join(f"<div>{line}</div>" for line in rest) + "</div>"
        )

    def _lines(self, now: datetime) -> list[str]:
        lines = [self._headline(now)]
        if self.refreshing:
            lines.append("Renewing the AWS credentials now.")
        if self.is_federated:
            lines.append(self.outlook(now))
        if self.set_aside:
            lines.append(f"Set aside while signed in, given back on clear: {', '.join(self.set_aside)}.")
        lines += self.remarks
        if self.beside:
            lines.append(f"Beside it, by jf.session: {', '.join(self.beside)}.")
        if self.last_error:
            lines.append(f"Last error: {without_persons(self.last_error)}")
        return lines if self.happened is None else [self.happened, *lines]

    def _headline(self, now: datetime) -> str:
        profile = f" with the federation profile {self.profile!r}" if self.profile else ""
        if self.credentials_expire_at is None:
            return "Not signed in to AWS. Run %federate to sign in."
        until = moment(self.credentials_expire_at)
        if self.credentials == "expired":
            return f"Signed in to AWS{profile}, but the credentials expired at {until}."
        return f"Signed in to AWS{profile}, as of {now:%H:%M} UTC: credentials until {until}."

    def outlook(self, now: datetime) -> str:
        """What becomes of a session when nobody does anything, and what to do; for each screen in the same words."""
        if self.sign_in == "needs_you":
            return f"The sign-in has ended: run {self.way_back} to sign in again. Clients that you hold go on with it."
        if self.next_try_at is not None:
            at = moment(self.next_try_at)
            return f"Renewing them has failed; the next try is at {at}, %federate refresh tries before."
        if self.sign_in == "not_renewable":
            end = self.sign_in_expires_at
            if self.interactive:
                ends = "Nothing renews your sign-in"
                if end is not None:
                    ends = f"Your sign-in ends at {moment(end)}, and nothing renews it"
                way = f"by the panel's Sign in button, or with %federate clear and then {self.way_back}"
                return f"{ends}: sign in anew before, {way}."
            if end is None:
                return "Nothing renews the token behind it: bring a fresh one when the credentials have expired."
            ends = "ended" if end <= now else "ends"
            return (
                f"The token behind it {ends} at {moment(end)}, and nothing renews it: bring a fresh one by then, and "
                f"run {self.way_back} again."
            )
        return "Renewed in the background until the kernel ends."
