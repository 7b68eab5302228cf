"""The kernel's identity and those beside it: what ``%federate`` and the Python calls do."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_federation import refresher as background
from jupyter_federation.assembly import exchange_of, source_of
from jupyter_federation.config import Configuration, Policy, Profile, load, same_sign_in
from jupyter_federation.credentials import Exchange
from jupyter_federation.delivery.boto3 import session_over
from jupyter_federation.delivery.live import ExpectedSignIn, LiveCredentials
from jupyter_federation.errors import (
    ConfigurationError,
    DeliveryError,
    FederationError,
    InvalidStateError,
    LoginFailedError,
    LoginRequiredError,
)
from jupyter_federation.exchange.answers import text_from
from jupyter_federation.exchange.aws_clients import AwsClients
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.interrupts import awaited, uninterrupted
from jupyter_federation.kernel_delivery import KernelDelivery
from jupyter_federation.profile import UNATTENDED
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.sources.variable import VariableSource
from jupyter_federation.subscribers import Subscriber, Subscribers
from jupyter_federation.tokens import IdToken, Prompt, SignedOut, TokenSource

if TYPE_CHECKING:
    import boto3

    from jupyter_federation.signed_in import AuthSession, CallerIdentity, CurrentUser, LivingSignIn
    from jupyter_federation.terminal_line import TerminalLine

T = TypeVar("T")

_DEADLINE = 10  # seconds for a question outside of a session
_BROUGHT = (*UNATTENDED, "var", None)  # sources of tokens for which nobody is asked


def _open_page(address: str) -> bool:
    """Open ``address`` where that is the person's own browser; whether it went well."""
    from jupyter_federation.sign_in.browser import browser_is_here, open_browser

    return browser_is_here() and open_browser(address)


@dataclass(slots=True, eq=False)
class _Identity:
    profile: Profile
    session: FederatedSession
    live: LiveCredentials
    policy: Policy  # what the files said last


class Federation:
    """One kernel's identity and the further ones beside it.

    The notebook's own identity follows `federate`; every client that holds it follows too.  `session` opens others,
    which touch neither boto3's default session nor the environment.
    """

    def __init__(
        self,
        *,
        load_configuration: Callable[[], Configuration] = load,
        make_source: Callable[[Profile, Mapping[str, Any], Policy, str], TokenSource] = source_of,
        make_exchange: Callable[[Profile], Exchange] = exchange_of,
        open_page: Callable[[str], bool] = _open_page,
    ) -> None:
        self._load_configuration = load_configuration
        self._make_source = make_source
        self._make_exchange = make_exchange
        self._open_page = open_page
        self._live = LiveCredentials()
        self._delivery = KernelDelivery(self._live)
        self._current: _Identity | None = None
        self._expected: ExpectedSignIn | None = None  # the one at the kernel's start, under way or failed
        self._beside: dict[str, _Identity] = {}
        self._beside_live: dict[str, LiveCredentials] = {}
        self._subscribers = Subscribers(background.shared)
        self._account_id: str | None = None
        self._clears: Counter[str | None] = Counter()  # by profile, None: all of them
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """In a child: what another thread of the parent held, nobody holds; the screens are the parent's."""
        self._lock = threading.Lock()
        self._subscribers.forked()
        if self._expected is not None:  # its thread is the parent's
            self._expected = None
            self._live.clear()

    # Signing in

    def federate(self, profile: str | None = None, *, prompt: Prompt, **options: object) -> SessionStatus:
        """Sign in with a federation profile, or with ``options`` alone, and make it the notebook's identity.

        ``options`` have the names of the profile keys and override them.  Already signed in with the same profile and
        options, it changes nothing and asks nobody.  Raises FederationError; the identity before stays then.
        """
        configuration = self._load_configuration()
        selected = configuration.profile(profile, **options)
        if _serves(self._current, selected):
            uninterrupted(lambda: self._mend(configuration.policy))
            return replace(self.status(), happened="Already signed in: nobody was asked, and nothing changed.")
        source = self._make_source(selected, _notebook(), configuration.policy, _by_line(selected))
        return self._sign_in(selected, source, prompt, configuration.policy)

    @property
    def clears(self) -> Counter[str | None]:
        """How often what was cleared so far; `federate_anew` is told it."""
        return self._clears.copy()

    def federate_anew(
        self, profile: str | None = None, *, prompt: Prompt, clears: Counter[str | None] | None = None
    ) -> SessionStatus:
        """`federate` for a person who has asked for a new sign-in while one lives: a click on Sign in.

        It counts only if it was not cleared since ``clears`` was read, or else since the call.  Without a name it
        repeats the sign-in that there is, options and all, and never turns it into the default profile's.  Raises
        InvalidStateError where that came from a call in Python, which alone can repeat it.
        """
        configuration = self._load_configuration()
        current = self._current
        if profile is None and current is not None:
            selected = current.profile
            if selected.source == "var" and selected.variable is None:
                raise InvalidStateError(
                    "A call in the notebook brought the token of this sign-in.", fix="Run that call again."
                )
        else:
            selected = configuration.profile(profile)
        source = self._make_source(selected, _notebook(), configuration.policy, _by_line(selected))
        return self._sign_in(selected, source, prompt, configuration.policy, clears)

    def federate_at_start(self, *, prompt: Prompt, delivered: Callable[[], None]) -> None:
        """Sign in with the default federation profile without having been asked, where its source asks no person.

        ``delivered`` is called when clients of boto3 wait for the outcome.  Nothing is raised: a failure stands in the
        status, and clients are told of it.  Whoever signs in or clears meanwhile goes first.
        """
        expected = ExpectedSignIn()
        try:
            try:
                configuration = self._load_configuration()
                selected = configuration.profile()
            except FederationError:
                self._expect(expected, None, Policy(endpoint=False))
                raise
            expected.profile = selected.name
            if selected.source not in UNATTENDED or not self._expect(expected, _region(selected), configuration.policy):
                return
            delivered()
            source = self._make_source(selected, _notebook(), configuration.policy, _by_line(selected))
            session = self._signed_in(selected, source, prompt, None, way_back=_by_line(selected))
            self._become(_Identity(selected, session, self._live, configuration.policy), expected)
        except FederationError as error:
            self._not_come(expected, error.with_traceback(None))
        except Exception as fault:  # noqa: BLE001 - whoever waits has to hear of it
            name = type(fault).__name__
            self._not_come(
                expected,
                InvalidStateError(f"It failed in an unforeseen way: {name}.", fix="Run %federate, which says more."),
            )

    def _expect(self, expected: ExpectedSignIn, region: str | None, policy: Policy) -> bool:
        """Have clients wait for ``expected``, unless somebody is signed in already."""
        with self._lock:
            if self._current is not None:
                return False
            self._expected = expected
            self._live.expect(expected)
            self._delivery.deliver(region, policy)
            return True

    def _not_come(self, expected: ExpectedSignIn, error: FederationError) -> None:
        expected.end(error)
        if self._expected is expected:
            self._report("needs_you" if isinstance(error, LoginRequiredError) else "refresh_failed")

    def federate_to_identity_pool(
        self,
        token: str | Callable[[], str],
        provider: str | None = None,
        *,
        prompt: Prompt,
        identity_pool_id: str | None = None,
        developer_provided_identity_id: str | None = None,
        **options: object,
    ) -> SessionStatus:
        """Exchange ``token`` at a Cognito identity pool and make that the notebook's identity, as Amplify does.

        ``token`` is a string, or a callable that is asked again at each refresh.  ``identity_pool_id`` comes from the
        default profile, with its region, where it is not given; ``options`` are further profile keys.  Raises
        InvalidStateError while signed in through a user pool, ConfigurationError without a pool: no AWS call then.
        """
        source = VariableSource.holding(token)
        if self._is_user_pool_sign_in():
            raise InvalidStateError(
                "A Cognito user pool signed you in, and that cannot be combined with another provider's token.",
                fix="Run %federate clear first.",
            )
        configuration = self._load_configuration()
        if identity_pool_id is None:
            default = configuration.default()
            identity_pool_id = default.identity_pool_id
            options.setdefault("region", default.region)
        if identity_pool_id is None:
            raise ConfigurationError(
                "No identity pool is configured: neither the call nor the default federation profile names one.",
                fix="Give `identity_pool_id` (REGION:UUID), or put it into the default profile.",
            )
        selected = configuration.profile(
            source="var",
            variable="token",
            provider=provider,
            identity_pool_id=identity_pool_id,
            identity_id=developer_provided_identity_id,
            **options,
        )
        # The argument is no variable that a %federate line could name: such a line is another sign-in.
        return self._sign_in(replace(selected, variable=None), source, prompt, configuration.policy)

    def session(self, name: str, *, prompt: Prompt) -> boto3.Session:
        """A boto3.Session over a further identity, signed in with the profile ``name``.

        It lives beside the notebook's own and is refreshed and cleared with it; boto3's default session and the
        environment are left alone.  Asked for again, it is the same identity.
        """
        configuration = self._load_configuration()
        selected = configuration.profile(name)
        before, clears = self._beside.get(name), self._clears_of(selected)
        if not _serves(before, selected):
            source = self._make_source(selected, _notebook(), configuration.policy, _by_session(name))
            session = self._signed_in(selected, source, prompt, before, way_back=_by_session(name))
            live = self._beside_live.setdefault(name, LiveCredentials(way_back=_by_session(name)))
            identity = _Identity(selected, session, live, configuration.policy)
            uninterrupted(lambda: self._put_beside(name, identity, clears))
        return session_over(self._beside_live[name], region=_region(selected))

    def _put_beside(self, name: str, identity: _Identity, clears: int) -> None:
        with self._lock:
            self._check_not_cleared(identity.profile, identity.session, clears)
            before = self._beside.get(name)
            identity.live.follow(identity.session)
            self._beside[name] = identity
        if before is not None:
            before.session.close()

    def _sign_in(
        self,
        profile: Profile,
        source: TokenSource,
        prompt: Prompt,
        policy: Policy,
        counted: Counter[str | None] | None = None,
    ) -> SessionStatus:
        before, clears = self._current, self._clears_of(profile, counted)
        session = self._signed_in(profile, source, prompt, before, way_back=_by_line(profile))
        identity = _Identity(profile, session, self._live, policy)
        return uninterrupted(lambda: self._become(identity, clears=clears))

    def _signed_in(
        self, profile: Profile, source: TokenSource, prompt: Prompt, before: _Identity | None, *, way_back: str
    ) -> FederatedSession:
        """A session that holds credentials; nothing of it is left where the sign-in fails or is interrupted."""
        exchange, identity = self._make_exchange(profile), _identity_to_keep(before, profile)
        session = FederatedSession(source, exchange, identity=identity, way_back=way_back)
        try:
            session.login(prompt)
        except BaseException:
            session.close()
            raise
        return session

    def _clears_of(self, profile: Profile, counted: Counter[str | None] | None = None) -> int:
        """How often ``profile`` was cleared so far (or when ``counted`` was read), or everything."""
        clears = self._clears if counted is None else counted
        return clears[None] + (clears[profile.name] if profile.name else 0)

    def _check_not_cleared(self, profile: Profile, session: FederatedSession, clears: int) -> None:
        """Raise LoginFailedError, and end ``session``, where a clear came while somebody was signing in."""
        if clears != self._clears_of(profile):
            session.close()
            raise LoginFailedError(
                "The sign-in was cleared while it was under way, and counts no more.",
                fix="Sign in again if you want to.",
            )

    def _become(
        self, identity: _Identity, at_start: ExpectedSignIn | None = None, *, clears: int | None = None
    ) -> SessionStatus:
        """Make ``identity`` the notebook's own: one step for every client that holds the live credentials.

        Where it is that of ``at_start``, only if that is still what is expected.  Raises LoginFailedError where it was
        not cleared ``clears`` times, but once more since; DeliveryError, and the identity before stays.
        """
        with self._lock:
            if at_start is not None and self._expected is not at_start:
                identity.session.close()
                return self.status()
            if clears is not None:
                self._check_not_cleared(identity.profile, identity.session, clears)
            before, self._current, self._account_id = self._current, identity, None
            self._live.follow(identity.session)
            try:
                self._delivery.deliver(_region(identity.profile), identity.policy)
            except DeliveryError:
                self._back_to(before)
                identity.session.close()
                raise
            expected, self._expected = self._expected, None
            status = self._just_signed_in(before, identity)
        if expected is not None:
            expected.end()
        identity.session.subscribe(functools.partial(self._forward, identity))
        self._subscribers.tell_after("federated", status)
        if before is None:
            self._delivery.arrived()
        else:
            self._delivery.switched()
            before.session.close()
        return status

    def _back_to(self, before: _Identity | None) -> None:
        """Where nobody could be signed in on top of ``before``."""
        self._current = before
        if before is None:
            self._live.clear()
            self._delivery.withdraw()
        else:
            self._live.follow(before.session)
            with contextlib.suppress(DeliveryError):  # the one that is told already
                self._delivery.deliver(_region(before.profile), before.policy)
        self._delivery.settle()

    def _just_signed_in(self, before: _Identity | None, identity: _Identity) -> SessionStatus:
        """The status, with what the sign-in on top of ``before`` has changed."""
        happened = None
        if before is not None:
            self._delivery.outlive(before.session.status().credentials_expire_at)
            happened = _what_followed(before, identity.profile, identity.session.token)
        kept = () if before is not None and happened is None else self._delivery.what_keeps_acting()
        status = self.status()
        return replace(status, remarks=(*status.remarks, *_remarks(identity.profile), *kept), happened=happened)

    def _mend(self, policy: Policy) -> None:
        """Deliver again, under ``policy``: the default session or the environment may have been replaced meanwhile."""
        with self._lock:
            if self._current is not None:
                self._current.policy = policy
                self._delivery.deliver(_region(self._current.profile), policy)

    def terminal_line(self) -> TerminalLine:
        """The line that gives a terminal on this machine the notebook's identity, while it lasts.

        Raises LoginRequiredError signed out, InvalidStateError where the policy turns it off, DeliveryError where
        nothing could listen.
        """
        policy = self._load_configuration().policy

        def line() -> TerminalLine:
            self._mend(policy)  # where the endpoint has moved, the notebook's own environment follows too
            with self._lock:
                self._signed_in_now()
                return self._delivery.terminal_line(policy)

        return uninterrupted(line)

    # While signed in

    def refresh(self, *, prompt: Prompt | None = None) -> SessionStatus:
        """Renew every identity's credentials now.  Raises TokenError or ExchangeError; what is still valid stays."""
        identities = [*([self._current] if self._current is not None else []), *self._beside.values()]
        if not identities:
            raise _nobody_is_signed_in()
        errors = []
        for identity in identities:
            try:
                identity.session.refresh(prompt)
            except FederationError as error:  # the others are renewed all the same
                errors.append(error)
        if errors:
            raise errors[0]
        return self.status()

    def status(self) -> SessionStatus:
        """What is known without asking anybody."""
        current = self._current
        if current is None:
            return self._signed_out(self._expected)
        return self._whole(current.session.status(), current)

    def _signed_out(self, expected: ExpectedSignIn | None) -> SessionStatus:
        """The status while nobody is signed in, with what became of the sign-in at the kernel's start."""
        status = SessionStatus(beside=tuple(self._beside), set_aside=self._delivery.set_aside)
        if expected is None:
            return status
        if expected.error is None:
            return replace(status, remarks=("The sign-in that began with the kernel is under way.",))
        needs_you = isinstance(expected.error, LoginRequiredError)
        return replace(status, sign_in="needs_you" if needs_you else "none", last_error=str(expected.error))

    def whoami(self, *, prompt: Prompt) -> CallerIdentity:
        """Who AWS says you are; one call, STS GetCallerIdentity.  Raises ExchangeError, LoginRequiredError."""
        from jupyter_federation.signed_in import CallerIdentity

        current = self._signed_in_now()
        region = _region(current.profile) or self._delivery.region() or "us-east-1"

        def ask() -> Mapping[str, Any]:
            signed_by = current.session.credentials()
            return AwsClients().call("sts", "GetCallerIdentity", {}, region=region, about={}, signed_by=signed_by)

        answer = awaited(ask, prompt)
        account, arn, user_id = (
            str(text_from(answer, name, operation="GetCallerIdentity")) for name in ("Account", "Arn", "UserId")
        )
        if self._current is current:
            self._account_id = account
        return CallerIdentity(account=account, arn=arn, user_id=user_id, subject=current.session.status().subject)

    def fetch_auth_session(self, *, force_refresh: bool = False) -> AuthSession:
        """Amplify's view of the session: cached credentials, renewed where they have expired or it is forced."""
        from jupyter_federation.signed_in import AuthSession

        current = self._current
        if current is None:
            return AuthSession(is_federated=False)
        if force_refresh:
            current.session.refresh()
        credentials = current.session.credentials()
        return AuthSession(
            is_federated=True,
            identity_id=credentials.identity_id,
            credentials=credentials,
            expires_at=credentials.expires_at,
        )

    def get_current_user(self) -> CurrentUser:
        """The user-pool user.

        Raises LoginRequiredError signed out, InvalidStateError while the identity comes from elsewhere.
        """
        from jupyter_federation.signed_in import CurrentUser

        current = self._signed_in_now()
        token = current.session.token
        if token is None or not self._is_user_pool_sign_in():
            raise InvalidStateError(
                "You are federated to an identity pool or a role, and no user pool knows you.",
                fix="Use jf.whoami() for who AWS says you are, or %federate clear and sign in through the user pool.",
            )
        return CurrentUser(user_id=token.subject or "", username=token.name or "")

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber(event, status)`` at each event of the notebook's identity; call the result to stop."""
        return self._subscribers.add(subscriber)

    def living_sign_in(self) -> LivingSignIn | None:
        """Who is signed in, None where nobody is: for the doctor."""
        from jupyter_federation.signed_in import LivingSignIn

        current = self._current
        if current is None:
            return None
        return LivingSignIn(
            profile=current.profile,
            token=current.session.token,
            status=self.status(),
            lent=self._delivery.lent,
        )

    # Signing out

    def clear(
        self, *, sign_out: bool = False, profile: str | None = None, prompt: Prompt | None = None
    ) -> SessionStatus:
        """Drop every identity, or only that of ``profile``; clients that hold it refuse from then on.

        Local, unless ``sign_out`` ends the sign-in at the provider too, as far as it lets one; the page that ends the
        browser's session there opens where ``prompt`` reaches somebody whose browser is on this machine.  Where nothing
        is signed in, nothing happens.
        """
        return self.begin_clear(sign_out=sign_out, profile=profile, prompt=prompt)()

    def begin_clear(
        self, *, sign_out: bool = False, profile: str | None = None, prompt: Prompt | None = None
    ) -> Callable[[], SessionStatus]:
        """`clear`, as far as it asks nobody: here, nobody is signed in any longer.  What it returns does the rest."""
        ends = uninterrupted(lambda: self._clear(profile, sign_out=sign_out))
        return functools.partial(self._cleared, ends, sign_out=sign_out, profile=profile, prompt=prompt)

    def _cleared(
        self,
        ends: Sequence[Callable[[], SignedOut] | None],
        *,
        sign_out: bool,
        profile: str | None,
        prompt: Prompt | None,
    ) -> SessionStatus:
        ended = [None if end is None else end() for end in ends]
        if not ended:
            nobody = "There was nothing to clear." if profile is None else f"Nobody is signed in as {profile!r}."
            return replace(self.status(), happened=nobody)
        happened = "Cleared: clients that held the AWS session refuse from now on."
        remarks = list(self._delivery.what_lives_on())
        pages: tuple[str, ...] = ()
        if sign_out:
            addresses = (each.end_session_url for each in ended if each is not None)
            pages = tuple(dict.fromkeys(address for address in addresses if address is not None))
            somebody = prompt is not None and prompt.reaches_somebody
            opened = [page for page in pages if somebody and self._open_page(page)]
            remarks += dict.fromkeys(_how_signed_out(each, opened) for each in ended)
        else:
            remarks.append("Your sign-in at the provider goes on.")
        return replace(self.status(), happened=happened, remarks=tuple(remarks), pages=pages)

    def _clear(self, profile: str | None, *, sign_out: bool) -> list[Callable[[], SignedOut] | None]:
        """End what is signed in here: for each identity that was ended, what ends its sign-in at the provider."""
        with self._lock:
            self._clears[profile] += 1
            current, expected = self._current, self._expected
            ends = current if current is not None and profile in (None, current.profile.name) else None
            beside = [name for name in self._beside if profile in (None, name)]
            sessions = [self._beside[name].session for name in beside]
            for name in beside:
                self._beside.pop(name).live.clear()
            if expected is not None and profile not in (None, expected.profile):
                expected = None
            if ends is not None:
                self._current = self._account_id = None
                sessions.append(ends.session)
            if expected is not None:
                self._expected = None
            if ends is not None or expected is not None:
                self._live.clear()
                self._delivery.withdraw()
            for each in sessions:
                self._delivery.outlive(each.status().credentials_expire_at)
        if expected is not None:
            expected.end()
        if ends is not None or expected is not None:
            self._report("cleared")
            self._delivery.settle()
        ended = [session.close(sign_out=sign_out) for session in sessions]
        return ended if expected is None else [*ended, None]

    # What the above share

    def _signed_in_now(self) -> _Identity:
        current = self._current
        if current is None:
            raise _nobody_is_signed_in()
        return current

    def _is_user_pool_sign_in(self) -> bool:
        return self._current is not None and self._current.profile.source == "cognito-user-pool"

    def _whole(self, status: SessionStatus, identity: _Identity) -> SessionStatus:
        """The status of ``identity``'s session with what only the kernel knows."""
        return replace(
            status,
            remarks=(*status.remarks, *(self._delivery.remarks if identity is self._current else ())),
            profile=identity.profile.name,
            provider=status.provider or identity.profile.provider,
            interactive=identity.profile.source not in _BROUGHT,
            account_id=status.account_id or (self._account_id if identity is self._current else None),
            region=_region(identity.profile),
            set_aside=self._delivery.set_aside,
            beside=tuple(self._beside),
        )

    def _forward(self, identity: _Identity, event: str, status: SessionStatus) -> None:
        """Pass on what a session reports; its own begin and end are steps of the kernel, which reports them."""
        if event == "refreshed" and not self._delivery.keep():
            with contextlib.suppress(DeliveryError):  # what it says of tools stands in the status
                self._mend(identity.policy)
        if event not in {"federated", "cleared"}:
            self._subscribers.tell(event, self._whole(status, identity))

    def _report(self, event: str) -> None:
        """Tell of a step of the kernel, behind what the sessions have reported before."""
        self._subscribers.tell_after(event, self.status())


def _nobody_is_signed_in() -> LoginRequiredError:
    return LoginRequiredError("Nobody is signed in to AWS in this notebook.", fix="Run %federate to sign in.")


def _identity_to_keep(before: _Identity | None, profile: Profile) -> tuple[IdToken, str] | None:
    """The identity of the session before, if the new one asks the same pool for the same provider."""
    if before is None or profile.identity_id is not None:  # a developer-provided id wins over a known one
        return None
    identity = before.session.identity
    same_pool = before.profile.identity_pool_id == profile.identity_pool_id
    same_provider = before.profile.provider == profile.provider or (identity is not None and identity[0].is_jwt)
    return identity if same_pool and same_provider else None


def _remarks(profile: Profile) -> Iterator[str]:
    """What a person should know of the way that their credentials come, said once, at the sign-in."""
    if profile.assume_role_arn is not None:
        yield "AWS gives a role that is assumed by another role one hour at a time."
    elif profile.identity_pool_id is not None and profile.flow != "classic":
        yield (
            "AWS's log (CloudTrail) will show this session without your name: an identity pool calls all of them "
            "CognitoIdentityCredentials."
        )


def _what_followed(before: _Identity, profile: Profile, token: IdToken | None) -> str | None:
    """What a sign-in on top of another one changes for the clients that exist."""
    if before.profile.name != profile.name:
        one, other = (
            repr(each) if each else "a sign-in without a profile" for each in (before.profile.name, profile.name)
        )
        return (
            f"The notebook's identity was {one} and is {other} now: the clients that followed it act with the new one."
        )
    earlier = before.session.token
    if earlier and token and (earlier.issuer, earlier.subject) != (token.issuer, token.subject):
        return "Another person is signed in now: the clients that you hold act as them."
    if not same_sign_in(before.profile, profile):
        return "Signed in anew with other options: the clients that you hold go on with them."
    return None


def _serves(identity: _Identity | None, profile: Profile) -> bool:
    """Whether ``identity`` is what a sign-in with ``profile`` would give, so that nobody need be asked."""
    if identity is None or not same_sign_in(identity.profile, profile):
        return False
    status = identity.session.status()
    is_good = status.credentials == "valid" and status.sign_in != "needs_you"
    return is_good and not identity.session.has_another_token()


def _by_line(profile: Profile) -> str:
    """What the person runs to sign in with ``profile`` again."""
    return f"%federate {profile.name}" if profile.name else "your %federate line"


def _by_session(name: str) -> str:
    return f"jf.session({name!r})"


def _how_signed_out(ended: SignedOut | None, opened: Collection[str]) -> str:
    if ended is None:
        return "The token came from outside the notebook: end the sign-in where it began."
    revoked = "The provider has ended the refresh token. " if ended.revoked else "No refresh token was revoked. "
    if ended.end_session_url is None:
        return f"{revoked}Your browser's session there goes on: sign out on its own page."
    if ended.end_session_url in opened:
        return f"{revoked}A page has opened on which your browser's session there ends: {ended.end_session_url}"
    return f"{revoked}Your browser's session there goes on until you open {ended.end_session_url}"


def _region(profile: Profile) -> str | None:
    """Where a profile works: its region, else that of its identity pool."""
    pool = profile.identity_pool_id
    return profile.region or (None if pool is None else pool.partition(":")[0])


def _notebook() -> Mapping[str, Any]:
    """The notebook's variables: IPython makes its namespace the module __main__."""
    return vars(sys.modules["__main__"])
