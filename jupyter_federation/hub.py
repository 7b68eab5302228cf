"""What a JupyterHub needs so that its users are logged in to AWS: `configure`, called in ``jupyterhub_config.py``.

::

    from jupyter_federation.hub import configure
    configure(c)

OAuthenticator by itself looks only at the access token's end, so it hands out ID tokens that have ended; and it renews
them for several requests at once, by which a provider that rotates refresh tokens takes the grant away (oauthenticator
#790, #793).  The hook that is set here renews the ID token on its own end, one request at a time for each user, and
what came back is saved before the next one may look.

This file is whole in itself: it needs the standard library, JupyterHub (4 or later) and oauthenticator (17.3 or later),
and not the rest of this package.  So it may also be copied and run as a configuration file, for instance by Zero to
JupyterHub's ``hub.extraFiles``; then it configures the hub by itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.crypto import decrypt, encrypt
from jupyterhub.roles import get_default_roles

CALLBACK = "jupyter-federation/callback"
"""The path of the page on a user's server to which a provider sends the browser back from a sign-in in a notebook."""

SCOPE = "admin:auth_state!user"
"""What lets a user's server read that user's own auth state, and nobody else's (JupyterHub's scopes)."""

NOTE = "jupyter_federation"
"""The key of the auth state under which stands, for the kernels, why a token is not renewed."""

LOGIN_ENDED, UNREACHABLE = "login-ended", "provider-unreachable"
NO_REFRESH_TOKEN, NO_ID_TOKEN = "no-refresh-token", "no-id-token"

REFRESH_AGE = 5
"""Seconds for which the hub believes an auth state without asking the hook, which asks nobody while all is fresh."""

PATIENCE = 5.0
"""Seconds that a request waits for a renewal; the renewal itself goes on, because its answer may not be lost."""

SEALED = "sealed_refresh_token"
_USUAL_AGE = 300  # seconds; JupyterHub's own auth_refresh_age
# By these a provider says that the person has to log in again; RFC 6749, OpenID Connect Core 1.0, and GitHub's.
_ENDED = {"invalid_grant", "login_required", "interaction_required", "consent_required", "bad_refresh_token"}

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
        if section.get("server_token_scopes"):  # otherwise the scopes of the role `server` count
            section.server_token_scopes = _TokenScopes.over(section.server_token_scopes)
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
    """What the hub had as ``auth_refresh_age``; the more specific class counts."""
    before = c.OAuthenticator.get("refresh_user_hook")
    if type(before).__name__ == "_Keeper":
        return float(before.check_seconds)
    age = _USUAL_AGE
    for name in ("Authenticator", "OAuthenticator", *(sections.keys() - {"Authenticator", "OAuthenticator"})):
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
        self._running: set[asyncio.Future[Any]] = set()  # the loop itself holds tasks weakly

    async def __call__(self, authenticator: Any, user: Any, auth_state: AuthState | None) -> Any:
        """True: all is well, or nothing can be done now; False: log in again; a dict: the renewed auth model."""
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
            auth_state = await _unsealed(await user.get_auth_state())
            if auth_state and isinstance(auth_state.get("id_token"), str):
                result = await self._kept(_Login(authenticator, user, auth_state, seals=self._seals))
            elif auth_state and not self._check_is_due(user):
                return True
            else:  # a login without ID tokens, or none that is known: as it was before
                self._checked[user.name] = time.monotonic()
                result = await self._by_hook(authenticator, user, auth_state)
            if result is False:
                self._checked.pop(user.name, None)
            return result

    def _check_is_due(self, user: Any) -> bool:
        checked = self._checked.get(user.name)
        return bool(self.check_seconds) and (checked is None or time.monotonic() - checked >= self.check_seconds)

    async def _kept(self, login: _Login) -> Any:
        if login.problem == LOGIN_ENDED:
            return False
        check_due = self._check_is_due(login.user)
        renewal_due = _half_is_over(login.auth_state["id_token"])
        if renewal_due and not login.auth_state.get("refresh_token"):
            await login.note(NO_REFRESH_TOKEN)
            renewal_due = False
        if renewal_due and login.problem == NO_ID_TOKEN:
            renewal_due = check_due  # each renewal spends a refresh token, and brings nothing
        if not renewal_due and not check_due:
            return True
        self._checked[login.user.name] = time.monotonic()
        if renewal_due:
            renewed = await login.renew()
            if renewed is False or self.wrapped is None:
                return renewed
        else:
            renewed = True
        if check_due and self.wrapped is not None:
            auth_state = await _unsealed(await login.user.get_auth_state())
            by_hook = await self._by_hook(login.authenticator, login.user, auth_state)
            if by_hook is not None:
                return by_hook if by_hook is not True else renewed
        return renewed if renewal_due else await login.check()

    async def _by_hook(self, authenticator: Any, user: Any, auth_state: AuthState | None) -> Any:
        """What the hub's own hook says, None without one; what it renewed is saved before the lock opens."""
        model = None if self.wrapped is None else await _awaited(self.wrapped(authenticator, user, auth_state))
        if isinstance(model, dict) and model.get("auth_state"):
            model["auth_state"] = await _sealed(model["auth_state"]) if self._seals else model["auth_state"]
            await user.save_auth_state(model["auth_state"])
        return model


class _Login:
    """One user's login, for the length of one refresh.  ``auth_state`` is what was saved, with the refresh token."""

    def __init__(self, authenticator: Any, user: Any, auth_state: dict[str, Any], *, seals: bool) -> None:
        self.authenticator = authenticator
        self.user = user
        self.auth_state = auth_state
        self._seals = seals

    @property
    def problem(self) -> str | None:
        """What was noted."""
        return (self.auth_state.get(NOTE) or {}).get("problem")

    async def note(self, problem: str | None) -> None:
        """Tell the kernels, where it is news."""
        if self.problem != problem:
            await self._save({NOTE: {"problem": problem} if problem else None})

    async def renew(self) -> Any:
        """Spend the refresh token; what comes back is saved before anything else is done with it."""
        params = self.authenticator.build_refresh_token_request_params(self.auth_state["refresh_token"])
        try:
            answer = await self.authenticator.get_token_info(None, params)
        except Exception as error:  # noqa: BLE001 - by whatever way it failed, the user is not to be logged out
            if _has_ended(error):
                self._log("its provider has ended the login", error)
                await self.note(LOGIN_ENDED)
                return False
            self._log("the login could not be renewed now", error)
            await self.note(UNREACHABLE)
            return True
        has_id_token = bool(answer.get("id_token"))
        tokens = {name: answer.get(name) or self.auth_state.get(name) for name in ("refresh_token", "id_token")}
        answer = {**answer, **tokens}
        note = None if has_id_token else {"problem": NO_ID_TOKEN}
        await self._save({"access_token": answer["access_token"], **tokens, "token_response": answer, NOTE: note})
        return await self._model()

    async def check(self) -> Any:
        """Look the user up again, with the access token, as OAuthenticator does at each refresh."""
        try:
            return await self._looked_up()
        except Exception as error:  # noqa: BLE001 - as above
            refused = getattr(error, "code", None) in (401, 403)
            if refused and self.auth_state.get("refresh_token"):  # the access token ended sooner
                return await self.renew()
            self._log("the user could not be looked up again", error)
            return not refused

    async def _model(self) -> Any:
        try:
            return await self._looked_up()
        except Exception as error:  # noqa: BLE001 - the tokens are good and saved; the rest can wait
            self._log("the user could not be looked up after a renewal", error)
            return True

    async def _looked_up(self) -> dict[str, Any]:
        tokens = {name: self.auth_state.get(name) for name in ("access_token", "refresh_token", "id_token")}
        token_info = {**(self.auth_state.get("token_response") or {}), **tokens}
        model: dict[str, Any] = await self.authenticator._token_to_auth_model(token_info)  # noqa: SLF001 - no public one
        note = (
            {} if self.problem is None else {NOTE: {**(model["auth_state"].get(NOTE) or {}), "problem": self.problem}}
        )
        model["auth_state"] = {**model["auth_state"], **note}
        await self.user.save_auth_state(model["auth_state"])
        return model

    def _log(self, what: str, error: Exception) -> None:
        """Without the error's text: it may hold a token."""
        code = getattr(error, "code", None) or getattr(error, "status_code", None) or ""
        self.authenticator.log.warning("%s: %s (%s %s)", self.user.name, what, type(error).__name__, code)

    async def _save(self, changes: AuthState) -> None:
        self.auth_state = {**self.auth_state, **changes}
        await self.user.save_auth_state(await _sealed(self.auth_state) if self._seals else self.auth_state)


class _Sealer:
    """``OAuthenticator.modify_auth_state_hook``: the hub's own, then the refresh token is withheld from kernels."""

    def __init__(self, hook: Hook | None, *, seals: bool) -> None:
        self.wrapped = hook
        self._seals = seals

    async def __call__(self, authenticator: Any, auth_state: Any) -> Any:
        if self.wrapped is not None:
            auth_state = await _awaited(self.wrapped(authenticator, auth_state))
        if not auth_state or not auth_state.get("id_token"):
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


async def _sealed(auth_state: AuthState) -> dict[str, Any]:
    """The auth state with the refresh token encrypted by the hub's key, and nowhere else."""
    if not auth_state.get("id_token"):  # OAuthenticator itself renews it, and has to read it
        return dict(auth_state)
    token = auth_state.get("refresh_token")
    sealed = dict(auth_state)
    if token:
        note = dict(sealed.get(NOTE) or {})
        sealed |= {"refresh_token": None, NOTE: {**note, SEALED: (await encrypt(token)).decode()}}
    if isinstance(sealed.get("token_response"), Mapping):
        sealed["token_response"] = {k: v for k, v in sealed["token_response"].items() if k != "refresh_token"}
    return sealed


async def _unsealed(auth_state: AuthState | None) -> dict[str, Any] | None:
    """The auth state with the refresh token in clear."""
    if not auth_state:
        return None
    note = dict(auth_state.get(NOTE) or {})
    token = note.pop(SEALED, None)
    plain = {**auth_state, NOTE: note}
    return plain if token is None else {**plain, "refresh_token": await decrypt(token.encode())}


def _half_is_over(id_token: str) -> bool:
    """Whether less than half of the token's life is left.  It is not verified: it came from the provider itself."""
    try:
        payload = id_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issued, ends = float(claims["iat"]), float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return False
    return time.time() >= issued + (ends - issued) / 2


# What a provider says


def _has_ended(error: Exception) -> bool:
    """Whether the provider says that the person has to log in again; anything else may pass, or is the hub's fault."""
    if getattr(error, "status_code", None) == 403:  # noqa: PLR2004 - what OAuthenticator makes of an OAuth error in a 200
        return True
    response = getattr(error, "response", None)
    try:
        said = json.loads(response.body) if response is not None else None
    except (TypeError, ValueError):
        return False
    return isinstance(said, dict) and said.get("error") in _ENDED


if "c" in globals():  # run as a configuration file
    configure(globals()["c"])
