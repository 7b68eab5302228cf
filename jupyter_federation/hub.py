"""What a JupyterHub needs so that its users are logged in to AWS: `configure`, called in ``jupyterhub_config.py``.

::

    from jupyter_federation.hub import configure
    configure(c)

OAuthenticator by itself looks only at the access token's end, so it hands out ID tokens that have ended; and it renews
them for several requests at once, by which a provider that rotates refresh tokens takes the grant away (oauthenticator
#790, #793).  The hook that is set here renews the ID token on its own end, one request at a time for each user.  What
comes back is checked once (`_renewal`), and saved in one place (`_Login.save`) before the next one may look.

This file is whole in itself: it needs the standard library, JupyterHub (4 or later) and oauthenticator (17.3 or later),
and not the rest of this package.  So it may also be copied and run as a configuration file, for instance by Zero to
JupyterHub's ``hub.extraFiles``; then it configures the hub by itself.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any
from urllib.parse import urlencode

from jupyterhub.app import JupyterHub
from jupyterhub.crypto import decrypt, encrypt
from jupyterhub.roles import get_default_roles

CALLBACK = "jupyter-federation/callback"
"""The path of the page on a user's server to which a provider sends the browser back from a sign-in in a notebook."""

SCOPE = "admin:auth_state!user"
"""What lets a user's server read that user's own auth state, and nobody else's (JupyterHub's scopes)."""

NOTE = "jupyter_federation"
"""The key of the auth state under which stands, for the kernels, why a token is not renewed."""

LOGIN_ENDED, UNREACHABLE, NOT_RENEWED = "login-ended", "provider-unreachable", "not-renewed"
NO_REFRESH_TOKEN, NO_ID_TOKEN, OTHER_ID_TOKEN = "no-refresh-token", "no-id-token", "other-id-token"

REFRESH_AGE = 5
"""Seconds for which the hub believes an auth state without asking the hook, which asks nobody while all is fresh."""

PATIENCE = 5.0
"""Seconds that a request waits for a renewal; the renewal itself goes on, because its answer may not be lost."""

PAUSE = 3.0
"""Seconds after a renewal that failed in which a user's next requests do not try another."""

SEALED = "sealed_refresh_token"
_USUAL_AGE = 300  # seconds; JupyterHub's own auth_refresh_age
# By these a provider says that the person has to log in again; RFC 6749, OpenID Connect Core 1.0, and GitHub's.
_ENDED = {"invalid_grant", "login_required", "interaction_required", "consent_required", "bad_refresh_token"}
_PASSING = {"temporarily_unavailable", "server_error", "slow_down"}  # RFC 6749, 4.1.2.1; RFC 8628, 3.5
_LONGEST = 50_000  # characters of a token; what Cognito takes, and far beyond any real one
_LARGEST = 200_000  # characters of a token endpoint's answer
_TOKENS = ("access_token", "refresh_token", "id_token")

AuthState = Mapping[str, Any]
Hook = Callable[..., Any]


def configure(c: Any, *, withhold_refresh_token: bool = True) -> None:
    """Have the hub keep its users' ID tokens fresh, and let their servers read them; ``c`` is the hub's configuration.

    Call it last: it leaves roles, scopes and hooks that are there in place, and adds to them.  Called again, it changes
    the option.  The auth state needs ``JUPYTERHUB_CRYPT_KEY`` (Zero to JupyterHub sets one).

    With ``withhold_refresh_token`` the auth state holds the refresh token encrypted with the hub's key, so that no
    kernel can use it; hooks of the hub's own for a refresh get it in clear.
    """
    sections = {name: section for name, section in c.items() if isinstance(section, type(c))}
    sections["OAuthenticator"] = c.OAuthenticator
    c.Authenticator.enable_auth_state = True
    age = _refresh_age(c, sections)
    for name, section in sections.items():
        if name == "OAuthenticator" or "refresh_user_hook" in section:
            hook = _without_ours(section.get("refresh_user_hook"))
            section.refresh_user_hook = _Keeper(hook, check_seconds=age, seals=withhold_refresh_token)
        if name == "OAuthenticator" or "modify_auth_state_hook" in section:
            section.modify_auth_state_hook = _Sealer(
                _without_ours(section.get("modify_auth_state_hook")), seals=withhold_refresh_token
            )
        if name == "OAuthenticator" or ("auth_refresh_age" in section and name != "Authenticator"):
            section.auth_refresh_age = min(age or REFRESH_AGE, REFRESH_AGE)
        if section.get("enable_auth_state") is False:
            section.enable_auth_state = True
        token_scopes = _said(section, "server_token_scopes", [])
        if token_scopes:  # otherwise the scopes of the role `server` count
            section.server_token_scopes = _TokenScopes.over(token_scopes)
    _grant(c.JupyterHub)
    route_sign_ins(c)


def route_sign_ins(c: Any) -> None:
    """Have the hub send sign-ins that begin in a notebook straight back to the user's server; `configure` does it too.

    For a hub whose own login carries no token (PAM, GitHub): call this alone, last.  JupyterHub by itself goes by its
    page that starts servers, with the whole way back, the code in it, in an address that it logs; and it knows the
    default server only.
    """
    c.JupyterHub.user_redirect_hook = _CallbackRoute(_without_ours(c.JupyterHub.get("user_redirect_hook")))


def _refresh_age(c: Any, sections: Mapping[str, Any]) -> float:
    """What the hub had as ``auth_refresh_age``; the more specific class counts, and of several the last."""
    before = c.OAuthenticator.get("refresh_user_hook")
    if type(before).__name__ == "_Keeper":
        return float(before.check_seconds)
    general = ("Authenticator", "OAuthenticator")
    age = _USUAL_AGE
    for name in (*general, *(name for name in sections if name not in general)):
        age = c[name].get("auth_refresh_age", age)
    return age


# The scopes


def _grant(section: Any) -> None:
    """Add the scope to the roles `user` and `server`, and keep what they had."""
    roles = [dict(role) for role in _said(section, "load_roles", [])]
    defaults = {role["name"]: role["scopes"] for role in get_default_roles()}
    for name in ("user", "server"):
        given = next((role for role in roles if role.get("name") == name), None)
        if name == "user" and hasattr(JupyterHub, "extra_user_scopes") and (given is None or "scopes" not in given):
            section.extra_user_scopes = {*_said(section, "extra_user_scopes", set()), SCOPE}
            continue
        if given is None:
            given = {"name": name}
            roles.append(given)
        scopes = list(given.get("scopes", defaults[name]))
        given["scopes"] = scopes if SCOPE in scopes else [*scopes, SCOPE]
    section.load_roles = roles


def _said(section: Any, name: str, nothing: Any) -> Any:
    """What the configuration says by now; before it is given a value, a list there is a promise of one."""
    if name not in section:
        return nothing
    value = section[name]
    return value.get_value(nothing) if hasattr(value, "get_value") else value


class _TokenScopes:
    """What ``Spawner.server_token_scopes`` gave, with the scope."""

    def __init__(self, given: Hook) -> None:
        self.given = given

    @classmethod
    def over(cls, given: Any) -> Any:
        if callable(given):
            return given if type(given).__name__ == cls.__name__ else cls(given)
        return [*given, *({SCOPE} - set(given))]

    async def __call__(self, spawner: Any) -> list[str]:
        scopes = await _awaited(self.given(spawner))
        return [*scopes, *({SCOPE} - set(scopes))] if scopes else []


# The hooks


class _Keeper:
    """``OAuthenticator.refresh_user_hook``: keeps the ID token fresh, and asks ``hook``, the hub's own, as before.

    What OAuthenticator or ``hook`` do at each refresh (look the user up again, and their groups) is done every
    ``check_seconds``, as the hub had it; 0: never.
    """

    def __init__(self, hook: Hook | None, *, check_seconds: float, seals: bool) -> None:
        self.wrapped = hook
        self.check_seconds = check_seconds
        self._seals = seals
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._checked: dict[str, float] = {}  # user → time.monotonic()
        self._failed: dict[str, float] = {}  # the same, of a renewal
        self._unsaved: dict[str, tuple[str, dict[str, Any]]] = {}  # user → the refresh token spent, what it brought
        self._running: set[asyncio.Future[Any]] = set()  # the loop itself holds tasks weakly

    async def __call__(self, authenticator: Any, user: Any, auth_state: AuthState | None) -> Any:
        """True: all is well, or nothing can be done now; False: log in again; a dict: the renewed auth model.

        Its auth state has been saved already.  None: OAuthenticator does the rest, for a login without tokens to keep.
        """
        del auth_state  # it was read before the lock
        work = asyncio.ensure_future(self._one_at_a_time(authenticator, user))
        self._running.add(work)
        work.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({work}, timeout=PATIENCE)
        return work.result() if done else True

    async def _one_at_a_time(self, authenticator: Any, user: Any) -> Any:
        lock = self._locks.get(user.name)
        if lock is None:
            lock = self._locks[user.name] = asyncio.Lock()
        async with lock:
            login = _Login(authenticator, user, await user.get_auth_state(), seals=self._seals)
            try:
                result = await self._refreshed(login)
            except _HookError as error:  # the hub's own: it may want to
                raise error.raised from None
            except Exception as error:  # noqa: BLE001 - a fault of ours, by whatever a provider says, locks nobody out
                self._failed[user.name] = time.monotonic()
                await login.fail(error)
                return True
            if result is False:
                self._checked.pop(user.name, None)
            return result

    async def _refreshed(self, login: _Login) -> Any:
        await login.open()
        if login.problem == LOGIN_ENDED:
            return False
        check_due = not login.auth_state or self._check_is_due(login)
        renewed = await self._renew(login) if await self._renewal_is_due(login, check_due=check_due) else None
        if renewed is False or not check_due:
            return True if renewed is None else renewed
        self._checked[login.user.name] = time.monotonic()
        said = None if self.wrapped is None else await login.ask(self.wrapped)
        if said is not None:
            return (renewed or True) if said is True else said
        if renewed is not None or not _is_kept(login.auth_state):  # else it is as it was before
            return renewed
        checked = await login.check()
        return await self._renew(login) if checked is None else checked

    def _check_is_due(self, login: _Login) -> bool:
        return bool(self.check_seconds) and _is_over(self._checked.get(login.user.name), self.check_seconds)

    async def _renewal_is_due(self, login: _Login, *, check_due: bool) -> bool:
        id_token = login.auth_state.get("id_token")
        if id_token and not login.auth_state.get("refresh_token"):
            await login.note(NO_REFRESH_TOKEN)
            return False
        if not id_token or not _half_is_over(id_token) or not _is_over(self._failed.get(login.user.name), PAUSE):
            return False
        return check_due or login.problem != NO_ID_TOKEN  # each renewal spends a refresh token, and brings nothing

    async def _renew(self, login: _Login) -> Any:
        renewed = await login.renew(self._unsaved)
        if login.problem is None:
            self._failed.pop(login.user.name, None)
        else:
            self._failed[login.user.name] = time.monotonic()
        return renewed


class _Login:
    """One user's login, for the length of one refresh.  ``auth_state`` is what is saved, with the refresh token."""

    def __init__(self, authenticator: Any, user: Any, saved: AuthState | None, *, seals: bool) -> None:
        self.authenticator = authenticator
        self.user = user
        self.auth_state: dict[str, Any] = {}
        self._saved = saved
        self._seals = seals

    async def open(self) -> None:
        """Unseal it.  A refresh token that was saved in clear (before `configure` was called) is withheld now."""
        saved = self._saved or {}
        self.auth_state = await _unsealed(saved) or {}
        response = saved.get("token_response")
        places = (saved, response if isinstance(response, Mapping) else {})
        if self._seals and any(place.get("refresh_token") for place in places):
            await self.save(self.auth_state)

    @property
    def problem(self) -> str | None:
        """What was noted."""
        return (self.auth_state.get(NOTE) or {}).get("problem")

    async def note(self, problem: str | None) -> bool:
        """Tell the kernels, where it is news.  False where this is not the user's login any longer."""
        if self.problem == problem:
            return True
        return await self.save({**self.auth_state, NOTE: {"problem": problem} if problem else None})

    async def save(self, auth_state: AuthState) -> bool:
        """In place of what was there; False, and nothing is saved, where the user has logged in anew meanwhile."""
        saved = await _sealed(auth_state) if self._seals else dict(auth_state)
        there = await _unsealed(await self.user.get_auth_state()) or {}
        if any(there.get(name) != self.auth_state.get(name) for name in _TOKENS):
            return False
        await self.user.save_auth_state(saved)
        self.auth_state = dict(auth_state)
        return True

    async def renew(self, unsaved: dict[str, tuple[str, dict[str, Any]]]) -> Any:
        """Spend the refresh token; what comes back is saved before anything else is done with it.

        Where it cannot be (a database that is locked), it stands in ``unsaved`` for the next time: the token is spent.
        """
        token = self.auth_state["refresh_token"]
        spent, changes = unsaved.pop(self.user.name, ("", {}))
        try:
            if spent != token:
                changes = await _renewal(self.authenticator, self.auth_state)
        except _NotRenewedError as error:
            self._log(f"the login was not renewed, {error}")
            is_this_login = await self.note(error.problem)
            return not is_this_login or error.problem != LOGIN_ENDED
        unsaved[self.user.name] = token, changes
        is_this_login = await self.save({**self.auth_state, **changes})
        del unsaved[self.user.name]
        if not is_this_login:
            return True
        try:
            return await self._looked_up()
        except Exception as error:  # noqa: BLE001 - the tokens are good and saved; the rest can wait
            self._log(f"the user could not be looked up after a renewal, {_named(error)}")
            return True

    async def check(self) -> Any:
        """Look the user up again, with the access token, as OAuthenticator does at each refresh; None: renew it."""
        try:
            return await self._looked_up()
        except Exception as error:  # noqa: BLE001 - by whatever way it failed, an outage logs nobody out
            refused = getattr(error, "code", None) in (401, 403)
            if refused and self.auth_state.get("refresh_token"):  # the access token ended sooner
                return None
            self._log(f"the user could not be looked up again, {_named(error)}")
            return not refused

    async def ask(self, hook: Hook) -> Any:
        """What the hub's own hook says; what it renewed is saved before the lock opens."""
        try:
            model = await _awaited(hook(self.authenticator, self.user, self.auth_state or None))
        except Exception as error:
            raise _HookError(error) from error
        return await self._kept(model) if isinstance(model, dict) else model

    async def fail(self, error: Exception) -> None:
        """Say that it could not be kept."""
        self._log(f"the login was not kept, {_named(error)}")
        with contextlib.suppress(Exception):  # it may have been this that failed
            await self.note(NOT_RENEWED)

    async def _looked_up(self) -> Any:
        tokens = {name: self.auth_state.get(name) for name in _TOKENS}
        token_info = {**(self.auth_state.get("token_response") or {}), **tokens}
        return await self._kept(await self.authenticator._token_to_auth_model(token_info))  # noqa: SLF001 - no public one

    async def _kept(self, model: dict[str, Any]) -> Any:
        """The model without its auth state, which is saved: JupyterHub takes what it then finds there."""
        rest = {name: value for name, value in model.items() if name != "auth_state"}
        auth_state = await _unsealed(model.get("auth_state"))
        if auth_state is None:
            return rest
        note = {"problem": self.problem} if self.problem else None
        return rest if await self.save({**auth_state, NOTE: note}) else True

    def _log(self, what: str) -> None:
        """Never with an error's text: it may hold a token."""
        self.authenticator.log.warning("%s: %s", self.user.name, what)


class _HookError(Exception):
    """``raised`` is what the hub's own hook raised."""

    def __init__(self, raised: Exception) -> None:
        super().__init__(raised)
        self.raised = raised


class _Sealer:
    """``OAuthenticator.modify_auth_state_hook``: the hub's own, then the refresh token is withheld from kernels."""

    def __init__(self, hook: Hook | None, *, seals: bool) -> None:
        self.wrapped = hook
        self._seals = seals

    async def __call__(self, authenticator: Any, auth_state: Any) -> Any:
        if self.wrapped is not None:
            auth_state = await _awaited(self.wrapped(authenticator, auth_state))
        if not auth_state:
            return auth_state
        auth_state = _without_nonsense(auth_state)
        if not _is_kept(auth_state):
            return auth_state
        auth_state = {NOTE: None, **auth_state}  # for the kernels: a refusal is no outage of the provider's
        return await _sealed(auth_state) if self._seals else auth_state


class _CallbackRoute:
    """``JupyterHub.user_redirect_hook``: what the hub's own says; the callback goes to a server that runs.

    Of several, the default one first, then in the order of their names: those of a user with one home directory take
    each other's answers.
    """

    def __init__(self, hook: Hook | None) -> None:
        self.wrapped = hook

    async def __call__(self, path: str, request: Any, user: Any, base_url: str) -> str | None:
        """Where to send the browser; None: as JupyterHub does it."""
        url: str | None = None
        if self.wrapped is not None:
            url = await _awaited(self.wrapped(path, request, user, base_url))
        if url is not None or path.strip("/") != CALLBACK:
            return url
        running = sorted(name for name, spawner in user.spawners.items() if spawner.ready)
        query = f"?{request.query}" if request.query else ""
        return f"{user.server_url(running[0])}{CALLBACK}{query}" if running else None


def _without_ours(hook: Any) -> Any:
    """The hub's own hook; by name, because this file may have been run twice."""
    return hook.wrapped if type(hook).__name__ in {"_Keeper", "_Sealer", "_CallbackRoute"} else hook


async def _awaited(value: Awaitable[Any] | Any) -> Any:
    return await value if isawaitable(value) else value


# The auth state


def _is_kept(auth_state: AuthState) -> bool:
    """Whether it holds what can be kept fresh, or has to be withheld: OpenID Connect's, or an expiring GitHub App's."""
    return bool(auth_state.get("id_token") or auth_state.get("refresh_token"))


def _without_nonsense(auth_state: AuthState) -> dict[str, Any]:
    """A login's auth state; what stands there in place of a token is none."""
    nonsense = {name: None for name in _TOKENS[1:] if not _is_token(auth_state.get(name))}
    if all(auth_state.get(name) is None for name in nonsense):
        return dict(auth_state)
    response = auth_state.get("token_response")
    return {**auth_state, **nonsense, "token_response": {**(response or {}), **nonsense}}


async def _sealed(auth_state: AuthState) -> dict[str, Any]:
    """The auth state with the refresh token encrypted by the hub's key, and nowhere else."""
    token = auth_state.get("refresh_token")
    sealed = dict(auth_state)
    if token:
        note = dict(sealed.get(NOTE) or {})
        sealed |= {"refresh_token": None, NOTE: {**note, SEALED: (await encrypt(token)).decode()}}
    if isinstance(sealed.get("token_response"), Mapping):
        sealed["token_response"] = {k: v for k, v in sealed["token_response"].items() if k != "refresh_token"}
    return sealed


async def _unsealed(auth_state: AuthState | None) -> dict[str, Any] | None:
    """The auth state with the refresh token in clear; without it, where it was sealed with a key that is gone."""
    if not auth_state:
        return None
    note = dict(auth_state.get(NOTE) or {})
    token = note.pop(SEALED, None)
    plain = {**auth_state, NOTE: note}
    if token is None:
        return plain
    try:
        return {**plain, "refresh_token": await decrypt(token.encode())}
    except Exception:  # noqa: BLE001 - cryptography's, and JupyterHub's own
        return plain


def _is_over(since: float | None, seconds: float) -> bool:
    return since is None or time.monotonic() - since >= seconds


# What a provider says


class _NotRenewedError(Exception):
    """``problem`` is what to note."""

    def __init__(self, problem: str, why: str) -> None:
        super().__init__(f"{problem}: {why}")
        self.problem = problem


async def _renewal(authenticator: Any, auth_state: AuthState) -> dict[str, Any]:
    """What the refresh token brings to the auth state.  Raises _NotRenewedError."""
    params = authenticator.build_refresh_token_request_params(auth_state["refresh_token"])
    try:
        answer = await _token_answer(authenticator, params)
    except Exception as error:  # noqa: BLE001 - whichever HTTP client, and whatever a hub's own class raises
        status = getattr(error, "code", None) or getattr(error, "status_code", None)
        raise _refusal(_answer_in(error), status, _named(error)) from None
    if not isinstance(answer, dict) or answer.get("error") or not answer.get("access_token"):
        raise _refusal(answer, 200, "an answer without tokens")
    tokens = {name: answer.get(name) or auth_state.get(name) for name in _TOKENS}
    given, had = answer.get("id_token"), auth_state.get("id_token")
    if not all(token is None or _is_token(token) for token in tokens.values()) or len(json.dumps(answer)) > _LARGEST:
        raise _NotRenewedError(NOT_RENEWED, "an answer with something else for tokens")
    if given and had and not _is_of_one_login(given, had):
        raise _NotRenewedError(OTHER_ID_TOKEN, "an ID token with another iss, sub or aud, or without a life")
    note = {"problem": NO_ID_TOKEN} if had and not given else None
    return {**tokens, "token_response": {**answer, **tokens}, NOTE: note}


async def _token_answer(authenticator: Any, params: Mapping[str, str]) -> Any:
    """The token endpoint's answer as it came: OAuthenticator makes the same 403 of every OAuth error in a 200."""
    if authenticator.get_token_info.__module__ != "oauthenticator.oauth2":
        return await authenticator.get_token_info(None, params)  # of a class of the hub's own
    return await authenticator.httpfetch(
        authenticator.token_url,
        method="POST",
        headers=authenticator.build_token_info_request_headers(),
        body=urlencode(params).encode(),
        validate_cert=authenticator.validate_server_cert,
    )


def _refusal(answer: Any, status: int | None, otherwise: str) -> _NotRenewedError:
    """Only the provider's own word ends a login; anything else may pass, or is the hub's fault."""
    error = answer.get("error") if isinstance(answer, dict) else None
    why = f"{status} {error}" if isinstance(error, str) and re.fullmatch(r"[a-z_]{1,40}", error) else otherwise
    if isinstance(error, str) and error in _ENDED:
        return _NotRenewedError(LOGIN_ENDED, why)
    is_answer = status is not None and status < 500 and status not in (408, 425, 429)  # noqa: PLR2004 - HTTP's
    if not is_answer or (isinstance(error, str) and error in _PASSING):
        return _NotRenewedError(UNREACHABLE, why)
    return _NotRenewedError(NOT_RENEWED, why)


def _answer_in(error: Exception) -> Any:
    response = getattr(error, "response", None)
    try:
        return None if response is None else json.loads(response.body)
    except (TypeError, ValueError, RecursionError):
        return None


def _named(error: Exception) -> str:
    """An error without its text: that may hold a token."""
    code = getattr(error, "code", None) or getattr(error, "status_code", None) or ""
    return f"{type(error).__name__} {code}".rstrip()


def _is_token(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _is_of_one_login(given: str, had: str) -> bool:
    """Whether a renewal's ID token is the same person's, for the same client (OpenID Connect Core 1.0, 12.2)."""
    new, old = _claims(given), _claims(had)
    if not old:  # a login's own, which was no JWT
        return True
    same = all(new.get(name) == old.get(name) for name in ("iss", "sub"))
    return same and _life(given) is not None and all(each in _audience(new) for each in _audience(old))


def _half_is_over(id_token: str) -> bool:
    life = _life(id_token)
    return life is not None and time.time() >= sum(life) / 2


def _life(id_token: str) -> tuple[float, float] | None:
    claims = _claims(id_token)
    try:
        return float(claims["iat"]), float(claims["exp"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _audience(claims: Mapping[str, Any]) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _claims(id_token: str) -> dict[str, Any]:
    """Not verified: it came from the provider itself.  Nothing of what is no JWT."""
    try:
        payload = id_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


if "c" in globals():  # run as a configuration file
    configure(globals()["c"])
