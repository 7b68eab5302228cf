"""Logged in to the hub is logged in to AWS: a hub, a provider, kernels and an AWS, all of them real but the last."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import boto3
import pytest
import requests
from chromium import launched, patient
from hubs import (
    BUCKET,
    FIRST,
    REFRESH,
    SAY,
    SIGN_IN,
    log_in_with_chromium,
    resources,
    role_of,
    run,
    ship_profile,
    trust,
)
from pace import stretched

from jupyter_federation.demo.aws import IdentityPool
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken

pytestmark = pytest.mark.slow

KERNELS = 6
PEOPLE = ("ada", "grace")
ID_TOKEN_SECONDS = 20  # on a machine that is not slow

WORK = f"""
import time, boto3
s3 = boto3.client("s3")
calls, failures, end = 0, [], time.time() + SECONDS
while time.time() < end:
    calls += 1
    try:
        assert s3.get_object(Bucket="{BUCKET}", Key="PERSON/note")["Body"].read() == b"PERSON"
    except Exception as error:
        failures.append(repr(error))
    time.sleep(PAUSE)
try:
    s3.get_object(Bucket="{BUCKET}", Key="OTHER/note")
    failures.append("read what is OTHER's")
except s3.exceptions.ClientError as error:
    if error.response["Error"]["Code"] != "AccessDenied":
        failures.append(repr(error))
{SAY.format("(calls > CALLS and not failures) or (calls, failures)")}
"""


@pytest.fixture(scope="module")
def provider(provider_of):
    return provider_of(id_token_seconds=stretched(ID_TOKEN_SECONDS), access_token_seconds=3600)


@pytest.fixture(scope="module")
def aws_of_all(hub_aws, provider):
    """It takes no token that has ended, and its keys live so short that kernels need new ID tokens all the time."""
    s3 = boto3.client("s3", endpoint_url=hub_aws.url, region_name="eu-west-1", **hub_aws.mint().for_boto3)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for person in PEOPLE:
        s3.put_object(Bucket=BUCKET, Key=f"{person}/note", Body=person.encode())
    hub_aws.clock_grace = timedelta(0)
    hub_aws.lifetime = timedelta(seconds=0.4 * provider.id_token_seconds)
    return hub_aws


@pytest.fixture(scope="module")
def hub(hub_of, provider, aws_of_all, kit):
    """With the administrator's kit: hub.py, run as a configuration file, one file with profiles, and both templates."""
    hub = hub_of(provider, extra=kit, environment=aws_of_all.environment)
    role = trust(aws_of_all, provider, role_of("sts.yaml"))
    tags = resources("identity-pool.yaml")["Tags"]["PrincipalTags"]
    by_pool = role_of("identity-pool.yaml")
    pool = IdentityPool(providers=(provider.name,), authenticated_role=by_pool, principal_tags=tags)
    aws_of_all.add(pool)
    ship_profile(hub, role, pool={"identity_pool_id": pool.id})
    return hub


@pytest.fixture(scope="module")
def kernels(hub):
    """Six of each person, who have logged in to the hub in a real Chromium, and nowhere else."""
    with launched() as browser:
        for person in PEOPLE:  # each page has cookies of its own
            hub.home(person)
            log_in_with_chromium(patient(browser.new_page(ignore_https_errors=True)), hub, person)
    with contextlib.ExitStack() as stack:
        started = {}
        for person in PEOPLE:
            server = hub.server(person)
            started[person] = [stack.enter_context(server.kernel()) for _ in range(KERNELS)]
        assert everywhere(started, lambda _: FIRST) == {person: ["ok"] * KERNELS for person in PEOPLE}
        yield started


@pytest.fixture
def logins(provider):
    """How often somebody has logged in at the provider since the test began."""
    before = len(provider.answered("token", grant_type="authorization_code"))
    return lambda: len(provider.answered("token", grant_type="authorization_code")) - before


def everywhere(kernels, code):
    """Run ``code`` of each person in all of their kernels at once: what each says."""
    for person, theirs in kernels.items():
        for kernel in theirs:
            kernel.start(code(person))
    everyone = [kernel for theirs in kernels.values() for kernel in theirs]
    with ThreadPoolExecutor(len(everyone)) as listeners:  # whom nobody listens to is hung up on after a while
        said = dict(zip(everyone, listeners.map(lambda kernel: kernel.shown(), everyone), strict=True))
    return {person: [said[kernel] for kernel in theirs] for person, theirs in kernels.items()}


def auth_state_of(hub, user):
    """What a server of the user's reads."""
    return hub.api("GET", f"users/{user}", token=hub.token_of(user)).json()["auth_state"]


def seconds_left(hub, user):
    """How long the user's ID token still lives."""
    return IdToken.parse(auth_state_of(hub, user)["id_token"]).expires_at.timestamp() - time.time()


def renewals(provider, status=200):
    return provider.answered("token", status, grant_type="refresh_token")


@pytest.mark.parametrize("seconds", [21, pytest.param(120, marks=[pytest.mark.soak, pytest.mark.timeout(360)])])
def test_each_reads_only_their_own(kernels, aws_of_all, provider, logins, seconds):
    """Two people, six kernels each, ID tokens of 20 s beside access tokens of an hour: no failure, and no login."""
    earlier, before = len(renewals(provider)), len(aws_of_all.calls)
    slower = provider.id_token_seconds / ID_TOKEN_SECONDS
    work_code = WORK.replace("CALLS", str(seconds)).replace("PAUSE", str(slower / 4))
    seconds = seconds * slower

    def work(person):
        (other,) = set(PEOPLE) - {person}
        return work_code.replace("PERSON", person).replace("OTHER", other).replace("SECONDS", str(seconds))

    assert everywhere(kernels, work) == {person: ["True"] * KERNELS for person in PEOPLE}
    assert logins() == 0
    assert renewals(provider, 400) == []
    # One renewal at half of each ID token's life for each person, however many kernels ask for it.
    assert len(renewals(provider)) - earlier <= len(PEOPLE) * (seconds / (provider.id_token_seconds / 2) + 2)
    calls = aws_of_all.calls[before:]
    refused = [call for call in calls if call.error]
    assert {"AccessDenied"} == {call.error for call in refused}
    assert len(PEOPLE) * KERNELS == len(refused)
    names = {call.principal.rpartition("/")[2]: call.request.path for call in calls if call.principal}
    assert set(PEOPLE) == set(names)
    exchanges = sum(call.operation == "AssumeRoleWithWebIdentity" for call in calls)
    assert exchanges >= len(PEOPLE) * KERNELS * seconds / aws_of_all.lifetime.total_seconds()


def test_each_reads_only_their_own_by_the_pool(hub, kernels):
    """The identity pool makes the tag of the claim `sub`, so the provider need not know of AWS."""
    code = f"""
import boto3
%federate pool
s3, said = boto3.client("s3"), []
for person in {PEOPLE}:
    try:
        said.append(s3.get_object(Bucket="{BUCKET}", Key=f"{{person}}/note")["Body"].read().decode())
    except s3.exceptions.ClientError as error:
        said.append(error.response["Error"]["Code"])
%federate research
{SAY.format("said")}
"""
    assert "['ada', 'AccessDenied']" == run(kernels["ada"][0], code)
    assert "['AccessDenied', 'grace']" == run(kernels["grace"][0], code)


def test_six_kernels_at_the_moment_of_expiry(hub, kernels, provider, logins):
    """They sign in while the provider is away and the ID token has ended; it comes back: one renewal, and no login."""
    everywhere(kernels, lambda _: f"%federate clear\n{SAY.format(0)}")
    with provider.away():
        while (left := seconds_left(hub, "ada")) > 0:  # a renewal that was under way may still bring another token
            time.sleep(left)
        earlier = len(renewals(provider))
        for kernel in kernels["ada"]:
            kernel.start(SIGN_IN)
        said = kernels["ada"][0].printed()
        assert "provider" in said
        assert "does not answer the hub; your token ended at" in said
    assert ["ok"] * KERNELS == [kernel.shown() for kernel in kernels["ada"]]
    assert 1 == len(renewals(provider)) - earlier
    assert [] == renewals(provider, 400)
    assert 0 == logins()


OUTAGE = f"""
import time, boto3
s3, said, end = boto3.client("s3"), [], time.time() + SECONDS
while time.time() < end:
    try:
        s3.get_object(Bucket="{BUCKET}", Key="ada/note")
        now = "works"
    except Exception as error:
        now = f"{{type(error).__name__}}: {{str(error).partition('renewed: ')[2]}}"
    if said[-1:] != [now] and "works" in (now, *said[-1:]):
        said.append(now)
    time.sleep(0.5)
{SAY.format('" | ".join(said)')}
"""


@pytest.mark.soak
def test_a_provider_that_is_away_for_a_minute(kernels, provider, logins):
    """Work goes on while token and keys live; then the error says who is away; afterwards it works, without a login."""
    provider_is_away = threading.Event()

    def be_away():
        time.sleep(5)
        with provider.away():
            provider_is_away.set()
            time.sleep(60)

    absence = threading.Thread(target=be_away)
    absence.start()
    said = everywhere(kernels, lambda _: OUTAGE.replace("SECONDS", "100"))["ada"]
    absence.join()
    assert provider_is_away.is_set()
    for each in said:
        before, between, after = each.split(" | ")
        assert ("works", "works") == (before, after)
        assert "SourceUnavailableError: The hub's identity provider" in between
        assert "does not answer the hub; your token ended at" in between
    assert [] == renewals(provider, 400)
    assert 0 == logins()


def test_a_hub_that_restarts(hub, kernels, logins):
    """Meanwhile the kernel says so and works on; afterwards it renews as before, and nobody logs in."""
    kernel = kernels["ada"][0]
    hub.stop()
    try:
        said = run(kernel, REFRESH)
    finally:
        hub.start()
    assert "SourceUnavailableError: The hub cannot be reached (http://127.0.0.1:" in said
    assert "ok" == run(kernel, REFRESH)
    assert 0 == logins()


def test_a_server_that_is_stopped_and_started(hub, kernels, logins):
    """A new kernel on a new server is signed in by the login that the person has, without a word of theirs."""
    hub.stop_server("grace")
    with hub.start_server("grace").kernel() as kernel:
        assert "ok" == run(kernel, FIRST)
    assert 0 == logins()


def test_signed_in_when_the_kernel_starts(hub, kernels, logins):
    """Without a line of theirs: a notebook's first cell, run at once, reads what is theirs."""
    profile = hub.folder / "home" / "grace" / ".ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    line = 'c.InteractiveShellApp.extensions.append("jupyter_federation.at_start")'
    (profile / "ipython_kernel_config.py").write_text(line)
    with hub.server("grace").kernel() as kernel:
        read = f'import boto3\nbody = boto3.client("s3").get_object(Bucket="{BUCKET}", Key="grace/note")["Body"]'
        assert "grace" == run(kernel, f"{read}\n{SAY.format('body.read().decode()')}")
    (profile / "ipython_kernel_config.py").unlink()
    assert 0 == logins()


def test_no_role_and_no_scope_is_dropped(hub, kernels):
    """Those that Zero to JupyterHub's configuration begins with, and JupyterHub's own, are there with all they had."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(hub.folder / "jupyterhub.sqlite")) as database:
        roles = {name: set(json.loads(scopes)) for name, scopes in database.execute("select name, scopes from roles")}
    assert {"user", "admin", "server", "token", "jupyterhub-idle-culler", "tests"} == set(roles)
    assert {"self", "admin:auth_state!user"} == roles["user"]
    assert {"users:activity!user", "access:servers!server", "admin:auth_state!user"} == roles["server"]
    assert {"list:users", "read:users:activity", "read:servers", "delete:servers"} == roles["jupyterhub-idle-culler"]
    assert not any("auth_state" in scope for name in ("token", "admin", "tests") for scope in roles[name])


# What the API says to ada: to what her server holds, and to a token with all that she may do (`inherit`).
ANSWERS = {
    "users/ada": (200, 200),
    "user": (200, 200),
    "users/ada/tokens": (403, 200),
    "users/grace": (404, 404),
    "users/grace?include_stopped_servers": (404, 404),
    "users/grace/tokens": (403, 404),
    "users/grace/shares": (404, 404),
    "users": (403, 403),
    "users?state=active": (403, 403),
    "users?name_filter=grace": (403, 403),
    "groups": (403, 403),
    "services": (403, 403),
    "proxy": (403, 403),
}
TOO_MUCH = ("admin:auth_state", "admin:auth_state!user=grace", "admin:users", "read:users!user=grace", "list:users")


@pytest.fixture(scope="module")
def tokens_of_ada(hub, kernels):
    """What her server holds, as a kernel reads it, and one with all that she may do."""
    held = run(
        kernels["ada"][0], f"from os import environ as e\n{SAY.format('e[`JUPYTERHUB_API_TOKEN`]')}".replace("`", "'")
    )
    return held, hub.token_of("ada", "inherit")


def test_one_user_reads_no_other_s_token(hub, tokens_of_ada):
    """By the hub's own API, whatever is asked; her own auth state is there, and of grace there is not a word."""
    asked = {path: [hub.api("GET", path, token) for token in tokens_of_ada] for path in ANSWERS}
    assert {path: tuple(answer.status_code for answer in answers) for path, answers in asked.items()} == ANSWERS
    assert ["ada", "ada"] == [
        IdToken.parse(Secret(answer.json()["auth_state"]["id_token"])).subject for answer in asked["users/ada"]
    ]
    assert [] == [path for path, answers in asked.items() if any("grace" in answer.text for answer in answers)]


def test_nobody_can_ask_for_more(hub, tokens_of_ada):
    """No token with a scope over others is made, for her or for them."""
    for wanted in TOO_MUCH:
        for token in tokens_of_ada:
            for user in PEOPLE:
                answer = hub.api("POST", f"users/{user}/tokens", token, json={"scopes": [wanted]})
                assert answer.status_code in (400, 403), wanted


def test_one_user_s_server_takes_no_other(hub, tokens_of_ada):
    """Whoever is let in there is that person at AWS; ada's own server takes her."""
    for token in tokens_of_ada:
        headers = {"Authorization": f"token {token}"}
        answers = [requests.get(f"{hub.url}/user/{user}/api/kernels", headers=headers, timeout=120) for user in PEOPLE]
        assert [200, 403] == [answer.status_code for answer in answers]


def test_everybody_may_still_do_what_is_theirs(hub, tokens_of_ada):
    """The role `user` keeps `self`, the servers' keeps what JupyterHub gives it; each gets the one scope more."""
    held, inherited = (set(hub.api("GET", "user", token).json()["scopes"]) for token in tokens_of_ada)
    assert {"servers!user=ada", "tokens!user=ada", "access:servers!user=ada"} <= inherited
    given = {"users:activity!user=ada", "access:servers!server=ada/", "admin:auth_state!user=ada"}
    assert given == {scope for scope in held if not scope.startswith("read:")}
    assert "admin:auth_state!user=ada" in inherited
    assert [] == [scope for scope in held | inherited if not scope.endswith(("=ada", "=ada/"))]


def test_no_kernel_is_given_the_refresh_token(hub, kernels, provider):
    """Wherever it stands in an auth state, it is encrypted with the hub's key."""
    spent = {answered.parameters["refresh_token"] for answered in renewals(provider)}
    given = {each.answer["refresh_token"] for each in provider.answered("token") if "refresh_token" in each.answer}
    assert given
    seen = json.dumps(auth_state_of(hub, "ada")) + json.dumps(auth_state_of(hub, "grace"))
    assert not [token for token in given | spent if token in seen]
    assert "sealed_refresh_token" in seen
