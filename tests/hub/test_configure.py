"""What hub.py does to a hub's configuration, and its hook with each of OAuthenticator's kinds of login."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from certified_provider import FormBrowser
from hubs import CLIENT_ID, CLIENT_SECRET
from jupyterhub.app import JupyterHub
from jupyterhub.crypto import CryptKeeper, decrypt
from jupyterhub.roles import get_default_roles
from oauthenticator.auth0 import Auth0OAuthenticator
from oauthenticator.azuread import AzureAdOAuthenticator
from oauthenticator.cilogon import CILogonOAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from tornado.httpclient import HTTPClientError
from traitlets.config import Config

from jupyter_federation import hub
from jupyter_federation.hub import CALLBACK, NOTE, SCOPE, SEALED, configure, route_sign_ins
from jupyter_federation.redaction import Secret
from jupyter_federation.server import extension as server
from jupyter_federation.tokens import IdToken

CULLER = {"name": "jupyterhub-idle-culler", "scopes": ["list:users", "delete:servers"], "services": ["culler"]}
DEFAULTS = {role["name"]: role["scopes"] for role in get_default_roles()}


@pytest.fixture(params=["JupyterHub 6", "JupyterHub 5"])
def version(request, monkeypatch):
    """Before JupyterHub 6 there was no `extra_user_scopes`."""
    if request.param == "JupyterHub 5":
        monkeypatch.delattr(JupyterHub, "extra_user_scopes", raising=False)
    return request.param


def roles_of(c):
    """Scopes by role, as JupyterHub makes them of its configuration."""
    roles = {name: list(scopes) for name, scopes in DEFAULTS.items()}
    roles["user"] += list(c.JupyterHub.get("extra_user_scopes", ()))
    return roles | {role["name"]: role["scopes"] for role in c.JupyterHub.load_roles if "scopes" in role}


@pytest.mark.parametrize("given", [None, [], [CULLER], [CULLER, {"name": "user", "description": "people"}]])
def test_no_role_loses_anything(version, given):
    """Whatever roles are there: those of JupyterHub keep what they have, and the two get one scope more."""
    c = Config()
    if given is not None:
        c.JupyterHub.load_roles = given
    configure(c)
    roles = roles_of(c)
    assert set(DEFAULTS["user"]) | {SCOPE} == set(roles["user"])
    assert "self" in roles["user"]
    assert set(DEFAULTS["server"]) | {SCOPE} == set(roles["server"])
    assert [role["name"] for role in given or ()] == [role["name"] for role in c.JupyterHub.load_roles][
        : len(given or ())
    ]
    assert given is None or CULLER not in given or CULLER in c.JupyterHub.load_roles


def test_a_hub_s_own_roles_are_added_to(version):
    """A role `user` with scopes of its own makes JupyterHub ignore `extra_user_scopes`: so it gets the scope itself."""
    c = Config()
    c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "shares!user"]}, {"name": "server", "scopes": ["x"]}]
    c.JupyterHub.extra_user_scopes = {"access:services"}
    configure(c)
    assert [
        {"name": "user", "scopes": ["self", "shares!user", SCOPE]},
        {"name": "server", "scopes": ["x", SCOPE]},
    ] == c.JupyterHub.load_roles
    assert {"access:services"} == c.JupyterHub.extra_user_scopes


def test_what_was_only_appended_is_kept(version):
    """`c.JupyterHub.load_roles.append(...)` before there is a list."""
    c = Config()
    c.JupyterHub.load_roles.append(CULLER)
    configure(c)
    assert CULLER in c.JupyterHub.load_roles


def test_scopes_that_the_spawner_asks_for():
    """They stand in the role's place; none is asked for where none was, because then the role counts."""
    c = Config()
    c.Spawner.server_token_scopes = ["users:activity!user"]
    c.KubeSpawner.server_token_scopes = lambda spawner: ["read:users!user"] if spawner else []
    c.DockerSpawner.server_token_scopes = []
    c.LocalProcessSpawner.server_token_scopes.append("users:activity!user")
    for _ in range(2):
        configure(c)
    assert ["users:activity!user", SCOPE] == c.Spawner.server_token_scopes
    assert ["read:users!user", SCOPE] == asyncio.run(c.KubeSpawner.server_token_scopes("spawner"))
    assert [] == asyncio.run(c.KubeSpawner.server_token_scopes(None))
    assert [] == c.DockerSpawner.server_token_scopes
    assert ["users:activity!user", SCOPE] == c.LocalProcessSpawner.server_token_scopes


def test_configured_twice_is_configured_once():
    """As with hub.extraFiles and then a call with an option; the hub's own age and hook are still those it had."""
    c = Config()
    c.OAuthenticator.auth_refresh_age = 77
    c.GenericOAuthenticator.refresh_user_hook = own = lambda *_: None
    configure(c)
    before = roles_of(c)
    configure(c, withhold_refresh_token=False)
    assert roles_of(c) == before
    hook = c.GenericOAuthenticator.refresh_user_hook
    assert (own, 77, 5) == (hook.wrapped, hook.check_seconds, c.OAuthenticator.auth_refresh_age)
    assert c.Authenticator.enable_auth_state


def test_of_several_refresh_ages_the_last_counts():
    """Always the same one: in the order in which the configuration names the classes."""
    for names in (["Google", "Generic", "Auth0"], ["Auth0", "Google", "Generic"], ["Generic", "Auth0", "Google"]):
        c = Config()
        for age, name in enumerate(names, 100):
            c[f"{name}OAuthenticator"].auth_refresh_age = age
        configure(c)
        assert 102 == c.OAuthenticator.refresh_user_hook.check_seconds


# The hook


def id_token(number, *, age=0, life=3600, **others):
    now = int(time.time())
    claims = {"iss": "https://login.example.org", "sub": "ada", "email": "ada@example.org", "aud": "hub", "n": number}
    claims |= {"iat": now - age, "exp": now - age + life, "name": "ada"} | others
    return jwt(json.dumps({name: value for name, value in claims.items() if value is not None}).encode())


def jwt(payload):
    """With this payload, whatever it is."""
    parts = (b'{"alg": "none", "typ": "JWT"}', payload)
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


class Provider:
    """OAuthenticator's HTTP client: a token endpoint that rotates, and a userinfo endpoint."""

    def __init__(self):
        self.spent = []  # refresh tokens
        self.lookups = 0
        self.token_error = self.userinfo_error = None
        self.gives_id_token = True
        self.also = {}  # in each answer; or what it answers in place of one
        self.valid = "refresh-0"

    async def fetch(self, request, **_):
        await asyncio.sleep(0.01)
        if request.method == "POST":
            (token,) = parse_qs(request.body.decode())["refresh_token"]
            self.spent.append(token)
            if self.token_error is not None and self.token_error[0] == 200:
                return SimpleNamespace(body=json.dumps(self.token_error[1]).encode())
            if self.token_error is not None or token != self.valid:
                raise refusal(*(self.token_error or (400, {"error": "invalid_grant"})))
            self.valid = f"refresh-{len(self.spent)}"
            answer = {"access_token": "access", "token_type": "Bearer", "refresh_token": self.valid}
            if self.gives_id_token:
                answer["id_token"] = id_token(len(self.spent))
            answer = answer | self.also if isinstance(self.also, dict) else self.also
        else:
            self.lookups += 1
            if self.userinfo_error is not None:
                raise refusal(*self.userinfo_error)
            answer = {"sub": "ada", "email": "ada@example.org", "hd": "example.org", "oid": "o", "idp": IDP}
        return SimpleNamespace(body=json.dumps(answer).encode())


def refusal(status, body):
    return HTTPClientError(status, response=SimpleNamespace(body=json.dumps(body).encode()))


class User:
    """JupyterHub's, as far as the hook knows it."""

    name = "ada"

    def __init__(self, auth_state):
        self.auth_state = auth_state

    async def get_auth_state(self):
        await asyncio.sleep(0)
        return json.loads(json.dumps(self.auth_state))

    async def save_auth_state(self, auth_state):
        await asyncio.sleep(0)
        self.auth_state = json.loads(json.dumps(auth_state))


IDP = "https://idp.example.org/shibboleth"
KINDS = {
    "Generic, Okta, Keycloak": (GenericOAuthenticator, {"username_claim": "sub"}),
    "AzureAd": (AzureAdOAuthenticator, {"tenant_id": "contoso", "username_claim": "sub"}),
    "Google": (GoogleOAuthenticator, {}),
    "Auth0": (Auth0OAuthenticator, {"auth0_domain": "example.auth0.com"}),
    "CILogon": (
        CILogonOAuthenticator,
        {"allowed_idps": {IDP: {"username_derivation": {"username_claim": "sub"}}}},
    ),
}


@pytest.fixture(autouse=True)
def crypt_key():
    CryptKeeper.clear_instance()
    CryptKeeper.instance(keys=[os.urandom(32)])
    yield
    CryptKeeper.clear_instance()


@pytest.fixture
def login():
    """``login(kind, age=...)``: an authenticator of this kind, its provider, and ada, whose ID token is so old."""

    def make(
        kind="Generic, Okta, Keycloak", *, age=2000, refresh_token="refresh-0", hook=None, refresh_age=None, **options
    ):
        cls, settings = KINDS[kind]
        c = Config()
        urls = {name: f"https://login.example.org/{name}" for name in ("authorize_url", "token_url", "userdata_url")}
        c.OAuthenticator.update({"client_id": "hub", "client_secret": "s", "allow_all": True, **urls})
        c[cls.__name__].update(settings)
        if hook is not None:
            c[cls.__name__].refresh_user_hook = hook
        if refresh_age is not None:
            c.Authenticator.auth_refresh_age = refresh_age
        configure(c, **options)
        authenticator = cls(config=c)
        authenticator.http_client = provider = Provider()
        token_response = {"access_token": "access", "token_type": "Bearer", "refresh_token": refresh_token}
        token_response["id_token"] = id_token(0, age=age)
        user = User({**token_response, "token_response": token_response, authenticator.user_auth_state_key: {}})
        return authenticator, provider, user

    return make


def refresh(authenticator, user, times=1):
    """What the hub does at so many requests that come at once."""

    async def all_at_once():
        return await asyncio.gather(*(authenticator.refresh_user(user) for _ in range(times)))

    return asyncio.run(all_at_once())


def number(user):
    payload = user.auth_state["id_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))["n"]


@pytest.mark.parametrize("kind", KINDS)
def test_six_requests_renew_once(login, kind):
    """The ID token by its own end, whatever the access token's; saved before the second may look; the rest get it."""
    authenticator, provider, user = login(kind)
    answers = refresh(authenticator, user, 6)
    assert ["refresh-0"] == provider.spent
    assert 1 == number(user)
    assert [True] * 5 == sorted(answers, key=lambda answer: answer is True)[1:]
    ((model,),) = [[answer for answer in answers if answer is not True]]
    assert {"name", "admin"} <= set(model)
    assert "auth_state" not in model  # JupyterHub takes what has been saved
    assert "refresh-" not in json.dumps(user.auth_state)
    assert "refresh-1" == asyncio.run(opened(user.auth_state[NOTE][SEALED]))


async def opened(sealed):
    return await decrypt(sealed.encode())


def test_a_fresh_token_is_left_alone(login):
    """The user is looked up as often as the hub had it, and no more; nothing is renewed."""
    authenticator, provider, user = login(age=0)
    for _ in range(3):
        refresh(authenticator, user)
    assert ([], 1) == (provider.spent, provider.lookups)
    assert "refresh-" not in json.dumps(user.auth_state)  # sealed all the same, though it was saved in clear


def test_the_refresh_token_can_be_left_in_the_auth_state(login):
    """For hubs whose own code wants it."""
    authenticator, provider, user = login(withhold_refresh_token=False)
    refresh(authenticator, user)
    assert provider.valid == user.auth_state["refresh_token"]


@pytest.fixture
def clock(monkeypatch):
    """``clock(seconds)`` passes, for the pauses between requests."""
    passed = [0.0]
    elapsed = time.monotonic
    monkeypatch.setattr(hub, "time", SimpleNamespace(time=time.time, monotonic=lambda: elapsed() + passed[0]))

    def wait(seconds):
        passed[0] += seconds

    return wait


PASSES = {"error": "temporarily_unavailable", "error_description": "overloaded"}
UNKNOWN = {"error": "invalid_client", "error_description": "The secret is another"}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ((503, {}), "provider-unreachable"),
        ((500, {"error": "invalid_grant?"}), "provider-unreachable"),
        ((429, {}), "provider-unreachable"),
        ((599, None), "provider-unreachable"),
        ((400, PASSES), "provider-unreachable"),
        ((200, PASSES), "provider-unreachable"),
        ((401, UNKNOWN), "not-renewed"),
        ((200, UNKNOWN), "not-renewed"),
        ((403, ["blocked"]), "not-renewed"),
    ],
)
def test_an_outage_ends_no_login(login, clock, error, problem):
    """The old token stays, the kernels are told why, and soon it is tried again; what comes then is taken.

    An OAuth error with a description in a 200, of which OAuthenticator makes a 403, is what it says."""
    authenticator, provider, user = login()
    provider.token_error = error
    assert [True] == refresh(authenticator, user)
    assert (0, problem) == (number(user), user.auth_state[NOTE]["problem"])
    provider.token_error = None
    assert ([True], 1) == (refresh(authenticator, user), len(provider.spent))
    clock(5)
    refresh(authenticator, user)
    assert 2 == number(user)
    assert "problem" not in user.auth_state[NOTE]


OTHERS = {
    "somebody else's": {"sub": "grace"},
    "another provider's": {"iss": "https://other.example.org"},
    "another client's": {"aud": "wiki"},
    "without a life": {"exp": None},
    "with a life of 400 digits": {"exp": 10**400},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_id_token_is_not_taken(login, clock, name):
    """OpenID Connect Core 1.0, 12.2: nothing of such an answer is kept, the kernels are told, and it is tried again."""
    authenticator, provider, user = login()
    provider.also = {"id_token": id_token(9, **OTHERS[name]), "access_token": "somebody's"}
    before = user.auth_state["access_token"]
    assert [True] == refresh(authenticator, user)
    assert (0, "other-id-token") == (number(user), user.auth_state[NOTE]["problem"])
    assert (before, "refresh-0") == (
        user.auth_state["access_token"],
        asyncio.run(opened(user.auth_state[NOTE][SEALED])),
    )
    assert 0 == provider.lookups
    provider.also, provider.valid = {"id_token": id_token(1, aud=["wiki", "hub"])}, "refresh-0"
    clock(5)
    refresh(authenticator, user)
    assert (1, False) == (number(user), "problem" in user.auth_state[NOTE])


NONSENSE = {
    "a list": ["access_token"],
    "no access token": {"access_token": None},
    "an ID token that is an object": {"id_token": {"a": 1}},
    "an ID token that is a list": {"id_token": ["x"]},
    "an ID token of 5 MB": {"id_token": "x" * 5_000_000},
    "a refresh token that is a number": {"refresh_token": 7},
    "a refresh token that is an object": {"refresh_token": {"a": 1}},
    "5 MB of something else": {"more": "x" * 5_000_000},
    "an error that is no text": {"error": ["invalid_grant"]},
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_not_saved(login, name):
    """And nobody is locked out of the hub by it."""
    authenticator, provider, user = login()
    provider.also = NONSENSE[name]
    assert [True] * 2 == [*refresh(authenticator, user), *refresh(authenticator, user)]
    assert (0, "not-renewed") == (number(user), user.auth_state[NOTE]["problem"])
    assert "refresh-0" == asyncio.run(opened(user.auth_state[NOTE][SEALED]))
    assert len(json.dumps(user.auth_state)) < 5_000


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "payload",
    [b'{"iat": 1, "exp": 1%s}' % (b"0" * 400), b"[" * 100_000, b"[]", b"\xff"],
    ids=["400 digits", "deep", "list", "bytes"],
)
def test_a_login_with_a_nonsensical_id_token(login, payload):
    """It was saved at the login: the hook raises nothing, or its user would be locked out."""
    authenticator, _, user = login()
    user.auth_state["id_token"] = jwt(payload)
    for _ in range(2):
        assert False not in refresh(authenticator, user)


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], "x" * 5_000_000, 7])
def test_nonsense_is_not_saved_at_a_login_either(login, value):
    """In place of such a token there is none."""
    authenticator, _, user = login()
    response = user.auth_state["token_response"] | {"id_token": value}
    said = asyncio.run(authenticator.modify_auth_state_hook(authenticator, {**response, "token_response": response}))
    assert (None, None) == (said["id_token"], said["token_response"]["id_token"])
    assert "refresh-0" == asyncio.run(opened(said[NOTE][SEALED]))


def test_a_failure_of_our_own_locks_nobody_out(login, monkeypatch, caplog):
    """Whatever it is: the request goes on, the kernels are told, and the log names the kind alone."""
    authenticator, _, user = login()

    def fails(*_):
        raise ArithmeticError("with a token in it")

    monkeypatch.setattr(hub, "_half_is_over", fails)
    assert [True] == refresh(authenticator, user)
    assert "not-renewed" == user.auth_state[NOTE]["problem"]
    assert "ArithmeticError" in caplog.text
    assert "a token" not in caplog.text


def test_thirty_requests_in_an_outage_ask_the_provider_once(login, clock):
    """And those of the next seconds do not ask it either: it may take its time to answer."""
    authenticator, provider, user = login()
    provider.token_error = (503, {})
    assert [True] * 30 == refresh(authenticator, user, 30)
    refresh(authenticator, user)
    assert 1 == len(provider.spent)
    clock(5)
    refresh(authenticator, user, 30)
    assert 2 == len(provider.spent)


ELSEWHERE = {"access_token": "new", "refresh_token": "refresh-99", "token_type": "Bearer"}


@pytest.mark.parametrize("during", ["a renewal", "a refused one", "an outage", "a look-up", "the hub's own hook"])
def test_whoever_logs_in_anew_meanwhile_is_logged_in(login, during):
    """What was begun with the login before neither replaces the newer one nor ends it."""
    own = None
    if during == "the hub's own hook":

        async def own(_authenticator, _user, auth_state):
            user.auth_state = newer
            return {"name": "ada", "auth_state": auth_state}

    authenticator, provider, user = login(hook=own, age=0 if during in {"a look-up", "the hub's own hook"} else 2000)
    newer = {**ELSEWHERE, "id_token": id_token(99), "token_response": ELSEWHERE, NOTE: None}
    if during == "a refused one":
        provider.valid = "revoked"
    if during == "an outage":
        provider.token_error = (503, {})
    fetch = provider.fetch

    async def slow(request, **options):
        try:
            return await fetch(request, **options)
        finally:
            user.auth_state = newer

    provider.fetch = slow
    assert [True] == refresh(authenticator, user)
    assert newer == user.auth_state


def test_a_sealed_token_whose_key_is_gone(login):
    """The administrator took the old key away: nobody is locked out, and the kernels are told."""
    authenticator, provider, user = login()
    refresh(authenticator, user)
    user.auth_state |= {"id_token": id_token(1, age=2000), NOTE: {SEALED: "Z0FBQUFBQg=="}}
    assert False not in refresh(authenticator, user)
    assert (1, "no-refresh-token") == (len(provider.spent), user.auth_state[NOTE]["problem"])


def test_a_dead_login_is_ended_once(login):
    """False sends the person to the login page; the provider is not asked again and again."""
    authenticator, provider, user = login()
    provider.valid = "revoked"
    assert [False] * 3 == [*refresh(authenticator, user), *refresh(authenticator, user, 2)]
    assert 1 == len(provider.spent)
    assert "login-ended" == user.auth_state[NOTE]["problem"]


def test_a_rotated_token_is_kept_whatever_follows(login):
    """The refresh token was spent: what came back is saved even though the userinfo endpoint fails."""
    authenticator, provider, user = login()
    provider.userinfo_error = (500, {})
    assert [True] == refresh(authenticator, user)
    assert "refresh-1" == asyncio.run(opened(user.auth_state[NOTE][SEALED]))
    assert 1 == number(user)


def test_what_could_not_be_saved_is_saved_the_next_time(login, clock, monkeypatch):
    """The database was locked for a moment: a refresh token that is spent twice would end the login."""
    authenticator, provider, user = login()
    save = user.save_auth_state

    async def locked(auth_state):
        if provider.spent:
            monkeypatch.setattr(user, "save_auth_state", save)
            raise OSError

    monkeypatch.setattr(user, "save_auth_state", locked)
    assert [True] == refresh(authenticator, user)
    assert (0, "not-renewed") == (number(user), user.auth_state[NOTE]["problem"])
    clock(5)
    refresh(authenticator, user)
    assert ["refresh-0"] == provider.spent
    assert (1, None) == (number(user), user.auth_state[NOTE].get("problem"))
    assert "refresh-1" == asyncio.run(opened(user.auth_state[NOTE][SEALED]))


def test_a_renewal_without_an_id_token(login):
    """The old one is kept, the kernels are told, and refresh tokens are not spent on every request."""
    authenticator, provider, user = login()
    provider.gives_id_token = False
    for _ in range(3):
        refresh(authenticator, user)
    assert (0, 1, "no-id-token") == (number(user), len(provider.spent), user.auth_state[NOTE]["problem"])


@pytest.mark.parametrize("age", [0, 2000])
def test_no_refresh_token(login, age):
    """Nothing can be done, the kernels are told from the first, and nobody is logged out of the hub for it."""
    authenticator, provider, user = login(refresh_token=None, age=age)
    assert refresh(authenticator, user) != [False]
    assert ([], "no-refresh-token") == (provider.spent, user.auth_state[NOTE]["problem"])


def test_a_login_without_id_tokens(login, clock):
    """GitHub's: looked up as often as the hub had it, renewed when the access token has ended, and withheld too."""
    authenticator, provider, user = login()
    provider.gives_id_token = False
    for state in (user.auth_state, user.auth_state["token_response"]):
        del state["id_token"]
    for _ in range(3):
        assert refresh(authenticator, user) != [False]
    assert ([], 1) == (provider.spent, provider.lookups)
    assert "refresh-" not in json.dumps(user.auth_state)
    clock(300)
    provider.userinfo_error = (401, {})
    assert [True] == refresh(authenticator, user)
    assert ["refresh-0"] == provider.spent
    assert "refresh-" not in json.dumps(user.auth_state)
    assert "problem" not in user.auth_state[NOTE]
    clock(300)
    provider.token_error = (200, {"error": "bad_refresh_token", "error_description": "expired"})
    assert [False, False] == [*refresh(authenticator, user), *refresh(authenticator, user)]
    assert ["refresh-0", "refresh-1"] == provider.spent


@pytest.mark.parametrize("carries", [True, False])
@pytest.mark.parametrize("age", [None, 0])
def test_a_refresh_token_in_clear_is_withheld_at_once(login, carries, age):
    """One that was saved before `configure` was called, with or without ID tokens, and where nothing is refreshed."""
    authenticator, provider, user = login(age=0, refresh_age=age)
    if not carries:
        for state in (user.auth_state, user.auth_state["token_response"]):
            del state["id_token"]
    assert False not in refresh(authenticator, user)
    assert "refresh-" not in json.dumps(user.auth_state)
    assert "refresh-0" == asyncio.run(opened(user.auth_state[NOTE][SEALED]))
    assert ([], 0 if age == 0 else 1) == (provider.spent, provider.lookups)


def test_renewals_do_not_put_off_a_hub_s_own_hook(login, clock):
    """It is asked every five minutes, however short the ID tokens live."""
    asked = []
    authenticator, provider, user = login(hook=lambda *_: asked.append(1))
    for _ in range(20):
        clock(60)
        user.auth_state["id_token"] = id_token(0, age=2000)
        refresh(authenticator, user)
    assert (20, 4) == (len(provider.spent), len(asked))


def test_a_hub_s_own_hook_has_its_say(login):
    """It is asked as often as before, under the lock, with the refresh token in clear; what it says counts."""
    seen = []

    async def own(authenticator, user, auth_state):
        seen.append((auth_state["refresh_token"], auth_state["id_token"]))
        return {"name": user.name, "auth_state": {**auth_state, "groups": ["staff"]}}

    authenticator, _, user = login(hook=own)
    answers = refresh(authenticator, user, 3)
    assert 1 == len(seen)
    assert ("refresh-1", user.auth_state["id_token"]) == seen[0]
    assert ["staff"] == user.auth_state["groups"]
    assert "refresh-1" not in json.dumps(user.auth_state)
    assert 2 == answers.count(True)

    authenticator, _, user = login(hook=lambda *_: False, age=0)
    assert [False, False] == [*refresh(authenticator, user), *refresh(authenticator, user)]

    def refuses(*_):
        raise PermissionError("by the hub's own rules")

    authenticator, _, user = login(hook=refuses)
    with pytest.raises(PermissionError, match="own rules"):
        refresh(authenticator, user)
    assert 1 == number(user)


def test_a_slow_provider_does_not_hold_the_hub_up(login, monkeypatch):
    """The request goes on with what there is; the renewal does too, and what it brings is kept."""
    authenticator, _, user = login()
    hook = authenticator.refresh_user_hook
    monkeypatch.setitem(type(hook).__call__.__globals__, "PATIENCE", 0.001)

    async def request():
        answer = await authenticator.refresh_user(user)
        before = number(user)
        await asyncio.sleep(0.2)
        return answer, before, number(user)

    assert (True, 0, 1) == asyncio.run(request())


QUERY = "code=c%2F1&state=s"
HOME = "https://ada.hub.example.org/user/ada/"


@pytest.mark.parametrize(
    ("path", "servers", "own", "to"),
    [
        (CALLBACK, {"": True, "gpu": True}, None, f"{HOME}{CALLBACK}?{QUERY}"),
        (CALLBACK, {"": False, "gpu": True, "big": True}, None, f"{HOME}big/{CALLBACK}?{QUERY}"),
        (CALLBACK, {"": False}, None, None),
        ("lab/tree/a.ipynb", {"": True}, None, None),
        (CALLBACK, {"": True}, "/elsewhere", "/elsewhere"),
        ("lab", {"": True}, "/elsewhere", "/elsewhere"),
    ],
)
def test_a_sign_in_comes_straight_back_to_a_server_that_runs(path, servers, own, to):
    """The query as it came; a hub's own hook goes first; where nothing runs, and for all else, it is JupyterHub's."""
    c = Config()
    if own is not None:
        c.JupyterHub.user_redirect_hook = lambda *_: own
    route_sign_ins(c)
    configure(c)  # twice is once
    user = SimpleNamespace(
        spawners={name: SimpleNamespace(ready=ready) for name, ready in servers.items()},
        server_url=lambda name: f"{HOME}{name}{'/' * bool(name)}",
    )
    hook = c.JupyterHub.user_redirect_hook
    assert not isinstance(hook.wrapped, type(hook))
    assert to == asyncio.run(hook(path, SimpleNamespace(query=QUERY), user, "/hub/"))


def test_the_callback_is_the_server_s_page():
    """hub.py stands alone, so it has the path of its own."""
    assert server.CALLBACK == CALLBACK


# From the login on, at a certified provider over real sockets.

ID_TOKEN_SECONDS = 4
REDIRECT = "http://127.0.0.1/hub/oauth_callback"


@pytest.fixture(scope="module", params=KINDS)
def flavour(request, provider_of):
    """The kind of login, and a provider for it: AzureAd's is dressed as Entra."""
    dress = {"tenant": "contoso"} if request.param == "AzureAd" else {}
    provider = provider_of(id_token_seconds=ID_TOKEN_SECONDS, redirect_uris=(REDIRECT,), **dress)
    return SimpleNamespace(name=request.param, provider=provider)


@pytest.fixture
def authenticator(flavour):
    """An instance of the class, as the hub makes it of its configuration."""
    cls, settings = KINDS[flavour.name]
    provider = flavour.provider
    c = Config()
    c[cls.__name__].update(settings)
    c.OAuthenticator.update(
        {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "oauth_callback_url": REDIRECT,
            "token_url": f"{provider.issuer}/token",
            "userdata_url": f"{provider.issuer}/me",
            "allow_all": True,
            "enable_pkce": False,  # its verifier would stand in a browser's cookie
            "http_request_kwargs": {"ca_certs": str(provider.certificates.ca)},
        }
    )
    configure(c)
    return cls(config=c)


@pytest.fixture
def code(flavour):
    """What ada's browser brings back to the hub."""
    asked = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": "openid profile email offline_access",
    }
    if flavour.name != "AzureAd":
        asked["prompt"] = "consent"  # OpenID Connect wants it for offline_access, Entra does not
    provider = flavour.provider
    redirect = FormBrowser(provider.certificates.ca)(f"{provider.issuer}/auth?{urlencode(asked)}")
    return parse_qs(urlsplit(redirect).query)["code"][0]


@pytest.mark.slow
def test_from_the_login_to_the_second_id_token(flavour, authenticator, code):
    """The name is the class's; the refresh token is sealed from the first; six requests at half of the ID token's life
    renew it once, and the grant is still good for a third."""
    provider = flavour.provider
    provider.forget()

    async def live():
        handler = SimpleNamespace(get_argument=lambda _name: code)
        model = await authenticator.get_authenticated_user(handler, None)
        user = User(model["auth_state"])
        user.name = model["name"]
        seen = [user.auth_state]
        for _ in range(2):
            await asyncio.sleep(token_of(seen[-1]).expires_at.timestamp() - time.time() - ID_TOKEN_SECONDS / 2 + 0.1)
            answers = await asyncio.gather(*(authenticator.refresh_user(user) for _ in range(6)))
            assert False not in answers
            seen.append(user.auth_state)
        return user.name, seen

    name, states = asyncio.run(live())
    assert ("ada@example.org" if flavour.name in {"Auth0", "Google"} else "ada") == name
    assert ("ada", (CLIENT_ID,)) == (token_of(states[-1]).subject, token_of(states[-1]).audience)
    assert 3 == len({state["id_token"] for state in states})
    assert 2 == len(provider.answered("token", grant_type="refresh_token"))
    assert [] == provider.answered("token", 400)
    given = [answered.answer["refresh_token"] for answered in provider.answered("token")]
    assert 3 == len(set(given))
    assert not [token for token in given for state in states if token in json.dumps(state)]
    assert all(state[NOTE][SEALED] for state in states)


def token_of(auth_state):
    return IdToken.parse(Secret(auth_state["id_token"]))
