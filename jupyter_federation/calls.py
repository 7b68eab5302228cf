"""The Python calls of the package: one federation for each process, and errors without the frames behind them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_federation.errors import ConfigurationError, FederationError
from jupyter_federation.federation import Federation
from jupyter_federation.front_end import channel, controls
from jupyter_federation.front_end.panel import Panel, beside_a_status, of_this_kernel
from jupyter_federation.notebook_prompt import NotebookPrompt
from jupyter_federation.redaction import Secret
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.subscribers import Subscriber
from jupyter_federation.tokens import Prompt

if TYPE_CHECKING:
    import boto3

    from jupyter_federation.signed_in import AuthSession, CallerIdentity, CurrentUser, LivingSignIn
    from jupyter_federation.terminal_line import TerminalLine

_kernel = Federation()
controls.shared.follow(_kernel)
channel.tell_of(controls.shared)


def federate(profile: str | None = None, **options: object) -> SessionStatus:
    """Sign in to AWS and make that the identity of the notebook; what ``%federate`` calls.

    ``profile`` is a federation profile, None the default one.  ``options`` have the names of a profile's keys and
    override them; with ``identity_pool_id`` or ``role_arn`` and no profile they stand alone::

        jf.federate("research")
        jf.federate(source="file", path="~/id_token", role_arn="arn:aws:iam::123456789012:role/R", region="eu-west-1")

    boto3's default session, sessions made later and clients that exist follow, until `clear`.  Already signed in with
    the same profile and options, it asks nobody and changes nothing.  Raises ConfigurationError for a setting,
    TokenError for the token, ExchangeError where AWS refuses or cannot be reached, DeliveryError where boto3 cannot be
    given the credentials; the identity before stays then.
    """
    again = f"Run {_line(profile, options)} to sign in."
    with _call("Sign-in cancelled", again) as prompt:
        return replace(_kernel.federate(profile, prompt=prompt, **options), live_view=beside_a_status)


def federate_at_start(*, prompt: Prompt, delivered: Callable[[], None]) -> None:
    """Sign in with the default profile without having been asked (`jupyter_federation.at_start`); raises nothing."""
    _kernel.federate_at_start(prompt=prompt, delivered=delivered)


def federate_to_identity_pool(
    token: str | Callable[[], str],
    provider: str | None = None,
    *,
    identity_pool_id: str | None = None,
    developer_provided_identity_id: str | None = None,
    **options: object,
) -> SessionStatus:
    """Exchange a token at a Cognito identity pool, as Amplify's ``federateToIdentityPool`` does.

    ``token`` is a string, or a callable that is asked again at each refresh.  ``provider`` is a name (google, entra,
    ...), a logins key or an issuer; without it the token's issuer tells.  ``identity_pool_id`` comes from the default
    profile, with its region, where it is not given.  With ``developer_provided_identity_id`` GetId is not asked.
    ``options`` are further profile keys.  Raises InvalidStateError while signed in through a user pool and
    ConfigurationError without a pool, both without an AWS call; else as `federate`.
    """
    # This frame may be shown in a traceback, so the token is masked from here on, or gone.
    token = Secret(str.__str__(token)) if isinstance(token, str) else token if callable(token) else ""
    with _call("Sign-in cancelled", "Call it again to sign in.") as prompt:
        status = _kernel.federate_to_identity_pool(
            token,
            provider,
            prompt=prompt,
            identity_pool_id=identity_pool_id,
            developer_provided_identity_id=developer_provided_identity_id,
            **options,
        )
    return replace(status, live_view=beside_a_status)


def session(name: str) -> boto3.Session:
    """A boto3.Session over a further identity, signed in with the federation profile ``name``.

    It lives beside the notebook's own and is refreshed and cleared with it; boto3's default session and the environment
    are left alone.  Asked for again, it is the same identity, and the clients of a cleared one go on.  Raises as
    `federate`.
    """
    again = f"Run jf.session({name!r}) to sign in."
    with _call("Sign-in cancelled", again) as prompt:
        return _kernel.session(name, prompt=prompt)


def refresh() -> SessionStatus:
    """Renew the credentials of every identity now; the token source is asked once.

    Raises LoginRequiredError signed out, TokenError or ExchangeError where it fails; what is still valid stays.
    """
    with _call("Interrupted", "Run %federate refresh to renew.") as prompt:
        return _kernel.refresh(prompt=prompt)


def status() -> SessionStatus:
    """How things stand, without asking anybody.

    Its attributes: ``credentials`` (none, valid, expired), ``sign_in`` (ok, needs_you, not_renewable, none),
    ``credentials_expire_at`` and ``sign_in_expires_at`` (UTC), ``profile``, ``provider``, ``subject``, ``identity_id``,
    ``role_arn``, ``account_id``, ``access_key_suffix``, ``set_aside``, ``last_error``, ``is_federated`` and more: see
    `SessionStatus`.  ``to_json()`` gives them as text.
    """
    return _kernel.status()


def living_sign_in() -> LivingSignIn | None:
    """Who is signed in, None where nobody is: for the doctor."""
    return _kernel.living_sign_in()


def whoami() -> CallerIdentity:
    """Who AWS says you are: ``account``, ``arn``, ``user_id`` and the token's ``subject``; one call to STS.

    Raises LoginRequiredError signed out, ExchangeError where AWS refuses or cannot be reached.
    """
    with _call() as prompt:
        return _kernel.whoami(prompt=prompt)


def clear(sign_out: bool = False, *, profile: str | None = None) -> SessionStatus:  # noqa: FBT001, FBT002 - the contract
    """Drop every identity, or only that of ``profile``; clients that hold it refuse from then on.

    Local: the provider's own session goes on, except where ``sign_out`` can end it too; that opens the provider's page
    for it where the kernel runs on your own machine, and always names it.  With nothing to clear, nothing happens.
    """
    with _call() as prompt:
        if not isinstance(sign_out, bool):  # jf.clear("prod") would clear everything
            raise ConfigurationError(
                "The first argument of jf.clear is `sign_out`, True or False.",
                fix="To clear one identity, write jf.clear(profile=NAME).",
            )
        if profile is None:
            controls.shared.cancel()  # a sign-in that the panel has begun would go on
        return _kernel.clear(sign_out=sign_out, profile=profile, prompt=prompt)


def clear_federation_to_identity_pool() -> SessionStatus:
    """Amplify's name for `clear`."""
    return clear()


def fetch_auth_session(force_refresh: bool = False) -> AuthSession:  # noqa: FBT001, FBT002 - Amplify's signature
    """Amplify's view: ``is_federated``, ``identity_id``, ``credentials``, ``expires_at``.

    The credentials are cached; they are renewed where they have expired, or with ``force_refresh``.  Signed out,
    ``is_federated`` is False and the rest None.  Raises TokenError or ExchangeError where a renewal fails.
    """
    with _call():
        return _kernel.fetch_auth_session(force_refresh=force_refresh)


def get_current_user() -> CurrentUser:
    """The user-pool user who is signed in: ``user_id``, ``username``.

    Raises LoginRequiredError signed out, InvalidStateError while the identity comes from elsewhere.
    """
    with _call():
        return _kernel.get_current_user()


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Call ``subscriber(event, status)`` at each event, from a background thread; call the result to stop.

    The events are federated, refreshed, refresh_failed, needs_you, expired and cleared.
    """
    return _kernel.subscribe(subscriber)


def export() -> TerminalLine:
    """The line that gives a terminal on this machine the notebook's identity, until it is cleared.

    It names the endpoint and the file of its token, and holds neither a key nor the token.  Raises LoginRequiredError
    signed out, InvalidStateError where the policy turns it off, DeliveryError where nothing can listen.
    """
    with _call():
        return _kernel.terminal_line()


def panel() -> Panel:
    """What displays the panel: how things stand, with buttons, up to date for as long as the kernel lives.

    One for each kernel; displayed again, it is another view of the same.
    """
    return of_this_kernel()


@contextlib.contextmanager
def _call(interrupted: str = "Interrupted", then: str = "%federate status shows more.") -> Iterator[Prompt]:
    """Ask through the notebook, and let an error out without the frames behind it: they hold what was worked on.

    An interrupt says what was ``interrupted``, who is signed in, and what to do ``then``.
    """
    before = _kernel.status()
    try:
        with contextlib.closing(NotebookPrompt()) as prompt:
            yield prompt
    except FederationError as error:
        error.__context__ = None
        raise error.with_traceback(None) from error.__cause__
    except KeyboardInterrupt as interrupt:
        sentence = f"{interrupted}; {_standing(before, _kernel.status())}. {then}"
        interrupt.args, interrupt.__context__ = (sentence,), None
        vars(interrupt)["_render_traceback_"] = lambda: [sentence]  # what IPython prints, as it does of our errors
        raise interrupt.with_traceback(None) from None


def _line(profile: str | None, options: Mapping[str, object]) -> str:
    """What the person runs for a sign-in with ``profile`` and ``options``."""
    return "the line again" if options else f"%federate {profile}" if profile else "%federate"


def _standing(before: SessionStatus, now: SessionStatus) -> str:
    """Who is signed in, by the profile: a person's name would be saved with the notebook."""
    if not now.is_federated:
        return "nobody is signed in"
    still = "still " if before.is_federated and before.profile == now.profile else ""
    return f"you are {still}signed in" + (f" as {now.profile!r}" if now.profile else "")
