"""The kernel's identity and those beside it: what ``%federate`` and the Python calls do."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jupyter_federation import refresher as background
from jupyter_federation.assembly import exchange_of, source_of
from jupyter_federation.config import Configuration, Policy, Profile, load
from jupyter_federation.delivery.boto3 import session_over
from jupyter_federation.delivery.live import ExpectedSignIn, LiveCredentials
from jupyter_federation.errors import (
    DeliveryError,
    FederationError,
    InvalidStateError,
    LoginFailedError,
    LoginRequiredError,
)
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.identity import Identity
from jupyter_federation.interrupts import awaited, uninterrupted
from jupyter_federation.kernel_delivery import KernelDelivery
from jupyter_federation.profile import UNATTENDED, USER_POOL, signs_in
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.sign_in.last_page import last_pages
from jupyter_federation.signed_in import AuthSession, CallerIdentity, CurrentUser, LivingSignIn
from jupyter_federation.sources.variable import VariableSource
from jupyter_federation.subscribers import Subscriber, Subscribers
from jupyter_federation.terminal_line import TerminalLine
from jupyter_federation.tokens import Prompt, SignedOut, TokenSource

if TYPE_CHECKING:
    import boto3


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
    ) -> None:
        self._load_configuration = load_configuration
        self._make_source = make_source
        self._live = LiveCredentials()
        self._delivery = KernelDelivery(self._live)
        self._current: Identity | None = None
        self._beside: dict[str, Identity] = {}
        self._beside_live: dict[str, LiveCredentials] = {}  # of who was cleared too: their clients go on
        self._subscribers = Subscribers(background.shared)
        self._clears: list[str | None] = []  # whose they were, by profile; None: everybody's
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """In a child: what another thread of the parent held, nobody holds; the screens are the parent's."""
        self._lock = threading.Lock()
        self._subscribers.forked()
        if self._live.expected is not None:  # its thread is the parent's
            self._live.clear()

    # Signing in

    def federate(self, profile: str | None = None, *, prompt: Prompt, **options: object) -> SessionStatus:
        """Sign in with a federation profile, or with ``options`` alone, and make it the notebook's identity.

        ``options`` have the names of the profile keys and override them.  Already signed in with the same profile and
        options, it changes nothing and asks nobody.  Raises FederationError; the identity before stays then.
        """
        configuration = self._load_configuration()
        selected = configuration.profile(profile, **options)
        current = self._current
        if current is not None and current.serves(selected):
            uninterrupted(lambda: self._mend(configuration.policy))
            return replace(self.status(), happened="Already signed in: nobody was asked, and nothing changed.")
        return self._sign_in(selected, configuration.policy, prompt)

    @property
    def clears(self) -> int:
        """How many clears there have been; `federate_anew` is told it."""
        return len(self._clears)

    def federate_anew(self, profile: str | None = None, *, prompt: Prompt, clears: int | None = None) -> SessionStatus:
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
        return self._sign_in(selected, configuration.policy, prompt, clears=clears)

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

        Raises InvalidStateError while a user pool has signed in, ConfigurationError without a pool: no AWS call then.
        """
        source = VariableSource.holding(token)
        if self._current is not None and self._current.profile.source == USER_POOL:
            raise InvalidStateError(
                "A Cognito user pool signed you in, and that cannot be combined with another provider's token.",
                fix="Run %federate clear first.",
            )
        configuration = self._load_configuration()
        selected = configuration.for_identity_pool(
            identity_pool_id, provider=provider, identity_id=developer_provided_identity_id, **options
        )
        return self._sign_in(selected, configuration.policy, prompt, source=source)

    def session(self, name: str, *, prompt: Prompt) -> boto3.Session:
        """A boto3.Session over a further identity, signed in with the profile ``name``; asked for again, the same."""
        configuration = self._load_configuration()
        selected = configuration.profile(name)
        before, clears = self._beside.get(name), self.clears
        if before is None or not before.serves(selected):
            way_back = f"jf.session({name!r})"
            identity = self._signed_in(selected, configuration.policy, prompt, before=before, way_back=way_back)
            live = self._beside_live.setdefault(name, LiveCredentials(way_back=way_back))
            uninterrupted(lambda: self._put_beside(name, live, identity, clears))
        return session_over(self._beside_live[name], region=selected.working_region)

    # When the kernel starts

    def federate_at_start(self, *, prompt: Prompt, delivered: Callable[[], None]) -> None:
        """Sign in with the default federation profile without having been asked, where its source asks no person.

        ``delivered`` is called when clients of boto3 wait for the outcome.  Nothing is raised: a failure stands in the
        status, and clients are told of it.  Whoever signs in or clears meanwhile goes first.
        """
        expected, clears = ExpectedSignIn(), self.clears
        try:
            try:
                configuration = self._load_configuration()
                selected = configuration.profile()
            except FederationError:
                self._expect(expected, None, Policy(endpoint=False))
                raise
            expected.profile, policy = selected.name, configuration.policy
            if selected.source not in UNATTENDED or not self._expect(expected, selected.working_region, policy):
                return
            delivered()
            self._become(self._signed_in(selected, policy, prompt), policy, clears, expected)
        except FederationError as error:
            self._not_come(expected, error.with_traceback(None))
        except Exception as fault:  # noqa: BLE001 - whoever waits has to hear of it
            problem = f"It failed in an unforeseen way: {type(fault).__name__}."
            self._not_come(expected, InvalidStateError(problem, fix="Run %federate, which says more."))

    def _expect(self, expected: ExpectedSignIn, region: str | None, policy: Policy) -> bool:
        """Have clients wait for ``expected``, unless somebody is signed in already."""
        with self._lock:
            if self._current is not None:
                return False
            self._live.expect(expected)
            self._delivery.deliver(region, policy)
            return True

    def _not_come(self, expected: ExpectedSignIn, error: FederationError) -> None:
        expected.end(error)
        if self._live.expected is expected:
            self._report("needs_you" if isinstance(error, LoginRequiredError) else "refresh_failed")

    # From one identity to the next

    def _sign_in(
        self,
        profile: Profile,
        policy: Policy,
        prompt: Prompt,
        *,
        clears: int | None = None,
        source: TokenSource | None = None,
    ) -> SessionStatus:
        before, since = self._current, self.clears if clears is None else clears
        identity = self._signed_in(profile, policy, prompt, before=before, source=source)
        return uninterrupted(lambda: self._become(identity, policy, since))

    def _signed_in(
        self,
        profile: Profile,
        policy: Policy,
        prompt: Prompt,
        *,
        before: Identity | None = None,
        source: TokenSource | None = None,
        way_back: str | None = None,
    ) -> Identity:
        """Who holds credentials of ``profile``; nothing is left of a sign-in that fails or is interrupted."""
        way_back = way_back or profile.way_back
        source = source or self._make_source(profile, _notebook(), policy, way_back)
        kept = None if before is None else before.kept_for(profile)
        session = FederatedSession(source, exchange_of(profile), cognito_identity=kept, way_back=way_back)
        try:
            session.login(prompt)
        except BaseException:
            session.close()
            raise
        return Identity(profile, session)

    def _check_not_cleared(self, identity: Identity, clears: int) -> None:
        """Raise LoginFailedError, and end ``identity``, where it was cleared after the first ``clears``."""
        if {None, identity.profile.name} & set(self._clears[clears:]):
            identity.session.close()
            raise LoginFailedError(
                "The sign-in was cleared while it was under way, and counts no more.",
                fix="Sign in again if you want to.",
            )

    def _become(
        self, identity: Identity, policy: Policy, clears: int, at_start: ExpectedSignIn | None = None
    ) -> SessionStatus:
        """Make ``identity`` the notebook's own: one step for every client that holds the live credentials.

        Where it is that of ``at_start``, only if that is still what is expected.  Raises LoginFailedError where it was
        cleared after the first ``clears``; DeliveryError, and the identity before stays.
        """
        with self._lock:
            before, expected = self._current, self._live.expected
            if at_start is not None and expected is not at_start:
                identity.session.close()
                return self.status()
            self._check_not_cleared(identity, clears)
            self._current = identity
            self._live.follow(identity.session)
            try:
                self._delivery.deliver(identity.profile.working_region, policy)
            except DeliveryError:
                self._back_to(before, expected)
                identity.session.close()
                raise
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

    def _back_to(self, before: Identity | None, expected: ExpectedSignIn | None) -> None:
        """Where nobody could be signed in on top of ``before``, or in place of who is ``expected``."""
        self._current = before
        if before is not None:
            self._live.follow(before.session)
        elif expected is not None:
            self._live.expect(expected)
        else:
            self._live.clear()
            self._delivery.withdraw()
            self._delivery.settle()
            return
        with contextlib.suppress(DeliveryError):  # the one that is told already
            self._delivery.again()
        self._delivery.switched()

    def _just_signed_in(self, before: Identity | None, identity: Identity) -> SessionStatus:
        """The status, with what the sign-in on top of ``before`` has changed."""
        happened = None
        if before is not None:
            self._delivery.outlive(before.session.status().credentials_expire_at)
            happened = before.followed_by(identity)
        kept = () if before is not None and happened is None else self._delivery.what_keeps_acting()
        status = self.status()
        return replace(status, remarks=(*status.remarks, *identity.profile.remarks, *kept), happened=happened)

    def _mend(self, policy: Policy | None = None) -> None:
        """Deliver again, under ``policy`` if the files say another by now."""
        with self._lock:
            if self._current is not None:
                self._delivery.again(policy)

    def _put_beside(self, name: str, live: LiveCredentials, identity: Identity, clears: int) -> None:
        with self._lock:
            self._check_not_cleared(identity, clears)
            live.follow(identity.session)
            before, self._beside[name] = self._beside.get(name), identity
        if before is not None:
            before.session.close()

    # While signed in

    def refresh(self, *, prompt: Prompt | None = None) -> SessionStatus:
        """Renew every identity's credentials now.  Raises TokenError or ExchangeError; what is still valid stays."""
        identities = [each for each in (self._current, *self._beside.values()) if each is not None]
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
        if current is not None:
            return self._whole(current.session.status(), current)
        status = SessionStatus(beside=tuple(self._beside), set_aside=self._delivery.set_aside)
        expected = self._live.expected
        if expected is None:
            return status
        if expected.error is None:
            return replace(status, remarks=("The sign-in that began with the kernel is under way.",))
        needs_you = isinstance(expected.error, LoginRequiredError)
        return replace(status, sign_in="needs_you" if needs_you else "none", last_error=str(expected.error))

    def whoami(self, *, prompt: Prompt) -> CallerIdentity:
        """Who AWS says you are; one call, STS GetCallerIdentity.  Raises ExchangeError, LoginRequiredError."""
        current = self._signed_in_now()
        region = current.profile.working_region or self._delivery.region() or "us-east-1"
        return awaited(lambda: current.caller(region), prompt)

    def fetch_auth_session(self, *, force_refresh: bool = False) -> AuthSession:
        """Amplify's view of the session: cached credentials, renewed where they have expired or it is forced."""
        current = self._current
        if current is None:
            return AuthSession(is_federated=False)
        if force_refresh:
            current.session.refresh()
        return current.auth_session()

    def get_current_user(self) -> CurrentUser:
        """The user-pool user.

        Raises LoginRequiredError signed out, InvalidStateError while the identity comes from elsewhere.
        """
        return self._signed_in_now().user()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber(event, status)`` at each event of the notebook's identity; call the result to stop."""
        return self._subscribers.add(subscriber)

    def living_sign_in(self) -> LivingSignIn | None:
        """Who is signed in, None where nobody is: for the doctor."""
        current = self._current
        if current is None:
            return None
        token, status = current.session.token, self.status()
        return LivingSignIn(profile=current.profile, token=token, status=status, lent=self._delivery.lent)

    def terminal_line(self) -> TerminalLine:
        """The line that gives a terminal on this machine the notebook's identity, while it lasts.

        Raises LoginRequiredError signed out, InvalidStateError where the policy turns it off, DeliveryError where
        nothing could listen.
        """
        policy = self._load_configuration().policy

        def line() -> TerminalLine:
            with self._lock:
                self._signed_in_now()
                self._delivery.again(policy)  # where the endpoint has moved, the notebook's own environment follows too
                return self._delivery.terminal_line(policy)

        return uninterrupted(line)

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
        ends, goes_on = uninterrupted(lambda: self._clear(profile, sign_out=sign_out))

        def rest() -> SessionStatus:
            ended = [None if end is None else end() for end in ends]
            if not ended:
                nobody = "There was nothing to clear." if profile is None else f"Nobody is signed in as {profile!r}."
                return replace(self.status(), happened=nobody)
            happened = "Cleared: clients that held the AWS session refuse from now on."
            pages: tuple[str, ...] = ()
            remarks: tuple[str, ...] = ("Your sign-in at the provider goes on.",) if goes_on else ()
            if sign_out:
                pages, remarks = last_pages(ended, open_them=prompt is not None and prompt.reaches_somebody)
            remarks = (*self._delivery.what_lives_on(), *remarks)
            return replace(self.status(), happened=happened, remarks=remarks, pages=pages)

        return rest

    def _clear(self, profile: str | None, *, sign_out: bool) -> tuple[list[Callable[[], SignedOut] | None], bool]:
        """End what is signed in here: for each identity that was ended, what ends its sign-in at the provider.

        With whether a person has signed in at one for any of them.
        """
        with self._lock:
            self._clears.append(profile)
            current, expected = self._current, self._live.expected
            ends = current if current is not None and profile in (None, current.profile.name) else None
            beside = [name for name in self._beside if profile in (None, name)]
            identities = [self._beside.pop(name) for name in beside]
            for name in beside:
                self._beside_live[name].clear()
            if expected is not None and profile not in (None, expected.profile):
                expected = None
            if ends is not None:
                self._current = None
                identities.append(ends)
            if ends is not None or expected is not None:
                self._live.clear()
                self._delivery.withdraw()
            for each in identities:
                self._delivery.outlive(each.session.status().credentials_expire_at)
        if expected is not None:
            expected.end()
        if ends is not None or expected is not None:
            self._report("cleared")
            self._delivery.settle()
        ended = [each.session.close(sign_out=sign_out) for each in identities]
        goes_on = any(signs_in(each.profile) for each in identities)
        return ended if expected is None else [*ended, None], goes_on

    # What the above share

    def _signed_in_now(self) -> Identity:
        current = self._current
        if current is None:
            raise _nobody_is_signed_in()
        return current

    def _whole(self, status: SessionStatus, identity: Identity) -> SessionStatus:
        """The status of ``identity``'s session with what only the kernel knows."""
        return replace(
            identity.told(status),
            remarks=(*status.remarks, *self._delivery.remarks),
            set_aside=self._delivery.set_aside,
            beside=tuple(self._beside),
        )

    def _forward(self, identity: Identity, event: str, status: SessionStatus) -> None:
        """Pass on what a session reports; its own begin and end are steps of the kernel, which reports them."""
        if event == "refreshed" and not self._delivery.keep():
            with contextlib.suppress(DeliveryError):  # what it says of tools stands in the status
                self._mend()
        if event not in {"federated", "cleared"}:
            self._subscribers.tell(event, self._whole(status, identity))

    def _report(self, event: str) -> None:
        """Tell of a step of the kernel, behind what the sessions have reported before."""
        self._subscribers.tell_after(event, self.status())


def _nobody_is_signed_in() -> LoginRequiredError:
    return LoginRequiredError("Nobody is signed in to AWS in this notebook.", fix="Run %federate to sign in.")


def _notebook() -> Mapping[str, Any]:
    """The notebook's variables: IPython makes its namespace the module __main__."""
    return vars(sys.modules["__main__"])
