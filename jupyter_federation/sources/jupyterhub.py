"""The token of the login to the JupyterHub that started this kernel's server: nobody signs in a second time.

The hub keeps it in the user's auth state and renews it there; this source reads it with the server's own API token
(JupyterHub's REST API, ``GET /users/{name}``).  `jupyter_federation.hub` is what an administrator adds to the hub: it
keeps the token fresh, lets servers read it, and leaves a note in the auth state where it cannot be renewed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from jupyter_federation.errors import (
    ConfigurationError,
    FederationError,
    InvalidTokenError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.openid.connection import Connection
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, Prompt, TokenSource, token_at, utc_now

if TYPE_CHECKING:
    from requests import Session

NOTE = "jupyter_federation"
"""The auth state's key under which the hub says why a token is not renewed; `jupyter_federation.hub` has it too."""

_TIMEOUT = (2.0, 6.5)  # seconds to connect, and for the answer: a renewal has ten for everything
_PATIENCE = 60.0  # seconds that a sign-in waits for a hub that is coming back
_PAUSE = 3.0  # seconds between its tries
_SOONEST = timedelta(seconds=5)  # from one question to the next, while nothing is wrong
_CONFIGURE = "call jupyter_federation.hub.configure(c) in jupyterhub_config.py (`jupyter federation docs jupyterhub`)"
_NOT_RENEWED = {
    "no-refresh-token": "The hub was given nothing to renew your login there with",
    "no-id-token": "The hub's identity provider renews your login there without an ID token",
}
_START_AGAIN = "JupyterHub sets it: stop your server and start it again (File, Hub Control Panel)."
_LOG_IN_AGAIN = "Log in to the hub again (File, Hub Control Panel, or the hub's own page), then run %federate."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Received:
    token: IdToken
    at: datetime


class JupyterHubSource(TokenSource):
    """Asks the hub for the user's auth state, and takes the token that stands there as ``auth_state_key``.

    Where the hub is, and who asks, stands in the variables that JupyterHub gives each server (``environment``).
    ``ca_bundle`` is what to trust the hub by (PEM); without it, what ``internal_ssl`` names, or else the system's.
    """

    def __init__(
        self,
        *,
        auth_state_key: str = "id_token",
        ca_bundle: str | None = None,
        environment: Mapping[str, str] = os.environ,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._key = auth_state_key
        self._ca_bundle = None if ca_bundle is None else str(Path(ca_bundle).expanduser())
        self._environment = environment
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()  # over the replacement of what was received, a few instructions
        self._received: _Received | None = None
        self._ended = False  # the hub says so, of the login that the token is from
        self._problem: str | None = None  # the hub's note
        self._kept = False  # by jupyter_federation.hub, which refuses nobody for an outage of the provider's

    @property
    def renewable(self) -> bool:
        """Whether the hub has something to renew the login with."""
        return self._problem not in _NOT_RENEWED

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why the login is not renewed, where it is not."""
        why = _NOT_RENEWED.get(self._problem or "")
        return () if why is None else (f"{why}: before it ends, log in to the hub again, which brings a fresh one.",)

    @property
    def renew_at(self) -> datetime | None:
        """When half of what the token had left is over: by then the hub has another."""
        received = self._received
        if received is None or received.token.expires_at is None or self._ended:
            return None
        left = received.token.expires_at - received.at
        return received.at + max(left / 2, _SOONEST)

    def token(self) -> IdToken:
        """The token that the hub has now.

        Raises SourceUnavailableError where it has none at the moment, LoginRequiredError where the person has to log in
        to the hub, ConfigurationError where its administrator has to do something, InvalidTokenError for what is no
        token, or is somebody else's than before.  Before the first sign-in, what may pass is a LoginRequiredError too:
        `login` waits for it.
        """
        try:
            return self._ask()
        except SourceUnavailableError as error:
            if self._received is not None:
                raise
            raise LoginRequiredError(error.problem, fix=error.fix, **error.facts) from None

    def last_token(self) -> IdToken | None:
        """The token of a login that has ended, while it lives."""
        received = self._received
        if received is None or not self._ended or _has_expired(received.token, self._now()):
            return None
        return received.token

    def login(self, prompt: Prompt) -> IdToken:
        """The same as `token`, with patience: a hub that restarts, or whose provider is away, is awaited for a minute.

        The person is not asked for anything, only told that it goes on.
        """
        began = self._now()
        while True:
            try:
                return self._ask()
            except SourceUnavailableError as error:
                if self._seconds_since(began) >= _PATIENCE:
                    raise
                what = f"{error.problem.rstrip('.')}; trying again"
            for _ in range(int(_PAUSE)):
                self._sleep(1)
                prompt.waiting(what, self._seconds_since(began))

    def _seconds_since(self, began: datetime) -> float:
        return (self._now() - began).total_seconds()

    def forget(self) -> None:
        """Drop the token; the login to the hub goes on."""
        with self._lock:
            self._received, self._ended, self._problem = None, False, None

    def _ask(self) -> IdToken:
        auth_state = self._auth_state()
        self._kept = NOTE in auth_state
        note = auth_state.get(NOTE)
        noted = note.get("problem") if isinstance(note, dict) else None
        self._problem = problem = noted if isinstance(noted, str) else None
        ended = problem == "login-ended"
        self._note_end(ended=ended)
        if ended:
            raise LoginRequiredError(
                "Your login to the hub has ended: its identity provider does not renew it any longer.",
                fix=_LOG_IN_AGAIN,
                finding="hub-login-ended",
            )
        text = auth_state.get(self._key)
        if not isinstance(text, str) or not text:
            raise self._no_token(auth_state)
        token = token_at(f"The hub's `{self._key}`", Secret(text))
        now = self._now()
        if _has_expired(token, now):
            raise _expired(token, problem)
        token.check_time(now)
        with self._lock:
            before = self._received
            if before is None or (token.issuer, token.subject) == (before.token.issuer, before.token.subject):
                self._received = _Received(token=token, at=now)
                return token
        raise InvalidTokenError(
            "The hub gives somebody else's token than before, or another provider's; it was not used.",
            fix="If you have logged in to the hub as somebody else, run %federate clear, then %federate. If not, tell "
            "the hub's administrator.",
        )

    def _note_end(self, *, ended: bool) -> None:
        with self._lock:
            self._ended = ended and self._received is not None

    def _auth_state(self) -> Mapping[str, Any]:
        """What the hub keeps of the user's login; full of secrets."""
        user = self._variable("JUPYTERHUB_USER")
        if user in {".", ".."}:  # which leads elsewhere on the way
            raise ConfigurationError("JUPYTERHUB_USER is nobody's name.", fix=_START_AGAIN, finding="hub-user-unknown")
        answer = self._answer(self._api(), f"/users/{quote(user, safe='@~')}")
        if "auth_state" not in answer:
            raise ConfigurationError(
                "This hub does not let your server read the login that you have there.",
                fix="Ask the hub's administrator for it; then stop your server and start it again.",
                administrator=f"grant admin:auth_state!user to the roles user and server: {_CONFIGURE}",
                finding="hub-scope-missing",
            )
        auth_state = answer["auth_state"]
        if not isinstance(auth_state, dict):
            raise LoginRequiredError(
                "The hub keeps nothing of your login that could be used here.",
                fix="Log out of the hub and in again, then run %federate. If it stays: a login by password, PAM or a "
                "web server's single sign-on carries no token; sign in from the notebook (`source` oidc or entra).",
                administrator="set c.Authenticator.enable_auth_state, and keep JUPYTERHUB_CRYPT_KEY the same when the "
                "hub restarts; what was saved with another key is lost",
                finding="hub-auth-state-missing",
            )
        return auth_state

    def _no_token(self, auth_state: Mapping[str, Any]) -> FederationError:
        kinds = [key for key in ("id_token", "access_token", "refresh_token") if isinstance(auth_state.get(key), str)]
        return ConfigurationError(
            f"Your login to this hub carries no `{self._key}`; it carries {' and '.join(kinds) or 'no token'}.",
            fix="Sign in from the notebook (`source` oidc or entra), or ask the hub's administrator.",
            administrator="let the hub log in by OpenID Connect, with openid among the authenticator's `scope` (GitHub "
            f"and the like give no ID token); or name another key than {self._key}: `auth_state_key`",
            finding="hub-token-missing",
        )

    def _api(self) -> str:
        """The address of the hub's API, fit to be shown."""
        url = self._variable("JUPYTERHUB_API_URL")
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.hostname or {"@", "?", "#"} & set(url):
            raise ConfigurationError(
                "JUPYTERHUB_API_URL is not the plain address of a hub's API: http or https, without a password.",
                fix=_START_AGAIN,
                finding="hub-unreachable",
            )
        return str(url)

    def _answer(self, api: str, path: str) -> Mapping[str, Any]:
        """The hub's answer to a GET, a JSON object."""
        import requests  # loaded here: a token that is brought needs none of it

        token = Secret(f"token {self._variable('JUPYTERHUB_API_TOKEN')}")

        def get(session: Session) -> tuple[int, Any]:
            options = {"timeout": _TIMEOUT, "allow_redirects": False, **self._certificates()}
            response = session.get(f"{api}{path}", headers={"Authorization": token}, **options)
            readable = response.status_code in (HTTPStatus.OK, HTTPStatus.FORBIDDEN)
            return response.status_code, response.json() if readable else None

        hub = _HubConnection(provider=api)
        status, answer = hub.ask(requests.Session, get, lambda _: None)
        if status == HTTPStatus.OK and isinstance(answer, dict):
            return answer
        refusal = hub.no_hub() if status == HTTPStatus.OK else _refusal(status, answer, kept=self._kept)
        if isinstance(refusal, LoginRequiredError):
            self._note_end(ended=True)
        raise refusal

    def _certificates(self) -> dict[str, Any]:
        """What the hub is trusted by, and what shows it who asks (JupyterHub's ``internal_ssl``)."""
        named = self._environment.get
        verify = self._ca_bundle or named("JUPYTERHUB_SSL_CLIENT_CA")
        certificate, key = named("JUPYTERHUB_SSL_CERTFILE"), named("JUPYTERHUB_SSL_KEYFILE")
        return {"verify": verify or True, "cert": (certificate, key) if certificate and key else None}

    def _variable(self, name: str) -> Secret:
        value = self._environment.get(name)
        if not value:
            raise ConfigurationError(
                f"This kernel does not run on a JupyterHub: {name} is not set.",
                fix="Use another federation profile here; one with `source` jupyterhub is for a hub's servers.",
                finding="not-on-a-hub",
            )
        return Secret(value)


def _has_expired(token: IdToken, now: datetime) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def _expired(token: IdToken, problem: object) -> FederationError:
    """The hub has nothing but an expired token; ``problem`` is what it says of that itself."""
    at = f"{token.expires_at:%H:%M:%S} UTC"
    if problem == "provider-unreachable":
        return SourceUnavailableError(
            f"The hub's identity provider {token.issuer} does not answer the hub; your token ended at {at}.",
            fix="Wait: it is tried again and again. %federate refresh tries now.",
            administrator="the hub's log says how the request to the token endpoint failed",
            finding="hub-provider-down",
        )
    if problem == "not-renewed":
        return SourceUnavailableError(
            f"The hub could not renew your login at {token.issuer}; your token ended at {at}.",
            fix="It is tried again and again. Tell the hub's administrator; until then, logging in again may help.",
            administrator="the provider refuses the hub, or answers what is no answer: the hub's log says which",
            finding="hub-not-renewed",
        )
    if problem == "other-id-token":
        return SourceUnavailableError(
            f"{token.issuer} renewed your login with an ID token that is not yours; it was not used, and your "
            f"own ended at {at}.",
            fix=_LOG_IN_AGAIN,
            administrator="the ID token of the refresh has another iss, sub or aud than the login's, or no iat and exp",
            finding="hub-other-id-token",
        )
    if problem == "no-refresh-token":
        return LoginRequiredError(
            f"Your login to the hub ended at {at}, and the hub was given nothing to renew it with.",
            fix=_LOG_IN_AGAIN,
            administrator="have the provider give a refresh token: offline_access among the authenticator's `scope`",
            finding="hub-no-refresh-token",
        )
    if problem == "no-id-token":
        return LoginRequiredError(
            f"Your login to the hub ended at {at}: {token.issuer} renews it without an ID token.",
            fix=_LOG_IN_AGAIN,
            administrator="the provider's refresh answers hold no id_token (openid among the authenticator's `scope`?)",
            finding="hub-no-id-token",
        )
    return SourceUnavailableError(
        f"The hub hands out a token that ended at {at}.",
        fix="Wait up to five minutes, or log in to the hub again; then run %federate refresh.",
        administrator=f"OAuthenticator by itself does not look at the ID token's end: {_CONFIGURE}",
        finding="hub-token-stale",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _HubConnection(Connection):
    """The way to the hub's API, which is as bounded as one to a provider; in its own words."""

    @property
    def trusts_environment(self) -> bool:
        """The hub is not behind a proxy, and a .netrc would replace the header."""
        return False

    def failure(self, error: Exception) -> Exception:
        """A request that did not come to an answer, in words; OSError is what requests' own errors are."""
        from requests import exceptions

        if isinstance(error, exceptions.SSLError):
            return ConfigurationError(
                f"The hub's address {self.provider} shows a certificate that is not trusted here.",
                fix="Name what to trust: `ca_bundle`.",
                finding="certificate-untrusted",
            )
        if isinstance(error, exceptions.Timeout):
            return self.unavailable("does not answer in time")
        if isinstance(error, exceptions.RequestException) and not isinstance(error, ValueError):
            return self.unavailable("cannot be reached")
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            return ConfigurationError(
                "The certificates that the hub should be trusted by cannot be read.",
                fix="Check `ca_bundle`; without one, the files that JUPYTERHUB_SSL_* name.",
                finding="ca-bundle-unreadable",
            )
        return self.no_hub()

    def no_hub(self) -> FederationError:
        """An answer that no hub gives: no JSON, or without measure."""
        return SourceUnavailableError(
            f"What answers at {self.provider} is no hub.",
            fix="Tell the hub's administrator.",
            finding="hub-unreachable",
        )

    def unavailable(self, problem: str, *, fix: str = "", finding: str = "hub-unreachable") -> FederationError:
        """The hub's not being of use at the moment."""
        return SourceUnavailableError(
            f"The hub {problem} ({self.provider}).",
            fix=fix or "Wait: a hub that restarts is back within a minute or two, and it is tried again by itself.",
            finding=finding,
        )


def _refusal(status: int, answer: object, *, kept: bool) -> FederationError:
    """An answer that is none; ``kept``: by a hub whose administrator has called `jupyter_federation.hub.configure`."""
    said = answer.get("message") if isinstance(answer, dict) else None
    if status == HTTPStatus.NOT_FOUND:
        return LoginRequiredError("The hub knows no user of your name.", fix=_LOG_IN_AGAIN, finding="hub-user-unknown")
    if status != HTTPStatus.FORBIDDEN:
        return SourceUnavailableError(
            f"The hub answers with HTTP {status}.",
            fix="Wait: it is tried again by itself. If it stays, tell the hub's administrator.",
            finding="hub-unreachable",
        )
    if isinstance(said, str) and "scopes" in said:
        return ConfigurationError(
            "This hub does not let your server read anything of you.",
            fix="Ask the hub's administrator for it; then stop your server and start it again.",
            administrator=f"a role that replaces `server` or `user` lost its scopes: {_CONFIGURE}",
            finding="hub-scope-missing",
        )
    if kept:  # up to JupyterHub 6.0, and with auth_refresh_strict, a login that has ended cannot be read any longer
        return LoginRequiredError(
            "Your login to the hub has ended, or the hub has forgotten your server.",
            fix=f"{_LOG_IN_AGAIN} If it stays, stop your server there and start it again.",
            administrator="nothing; up to JupyterHub 6.0, and with auth_refresh_strict, a login's end is HTTP 403",
            finding="hub-refuses-the-server",
        )
    return SourceUnavailableError(
        "The hub takes your server for a stranger's: your login there has ended, its identity provider is down, or the "
        "hub has forgotten your server.",
        fix="Open the hub's page (File, Hub Control Panel), and log in if it asks. If it stays, stop your server there "
        "and start it again.",
        administrator="up to JupyterHub 6.0, and with auth_refresh_strict, a login that cannot be refreshed gets HTTP "
        f"403, and OAuthenticator refreshes none while the provider is down: {_CONFIGURE}",
        finding="hub-refuses-the-server",
    )
