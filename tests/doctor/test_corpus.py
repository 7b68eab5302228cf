"""Planted misconfigurations over real parts: each is named, by its own code, first in the list; health is silent."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from certified_provider import CertifiedProvider, FormBrowser
from openid_clients import DOMAIN, TENANT
from people import Person

from jupyter_federation import app
from jupyter_federation.config import SUBCOMMANDS
from jupyter_federation.demo.aws import Fault, IdentityPool, OpenIdProvider, Response, Role
from jupyter_federation.doctor.checks.profile import _IN_A_TERMINAL
from jupyter_federation.federation import Federation
from jupyter_federation.mailbox import SERVER_VARIABLE, Mailbox

REGION = "eu-west-1"


@pytest.fixture
def closed():
    """The port of nobody."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# Health


def test_a_healthy_set_up_by_browser_has_no_finding(by_browser, codes, certified):
    """The certified provider, nobody signed in: discovery, client and redirect URI are looked at, nobody is asked."""
    by_browser()
    certified.forget()
    assert [] == codes()
    assert 0 == codes.report.exit_status
    assert certified.answered("authorization", 303, prompt="none")
    assert certified.answered("token", 400, grant_type="refresh_token")
    assert not [each for each in certified.requests if each.status == 200 and each.route == "token"]


def test_a_healthy_entra_has_no_finding(by_entra, codes, certified_entra):
    """By the tenant's id, through msal, at the certified provider in Entra's dress."""
    by_entra(authority=certified_entra.url)
    assert [] == codes()


def test_a_healthy_token_file_has_no_finding(by_file, codes, aws):
    """STS takes the token once, and nothing else is done with what it gives."""
    by_file()
    assert [] == codes()
    assert 1 == aws.count("AssumeRoleWithWebIdentity")


def test_a_healthy_pool_has_no_finding(by_file, codes, pool, aws):
    """The enhanced flow; the classic one is tried, and refused as it should be."""
    by_file(role_arn=None, identity_pool_id=pool.id)
    assert [] == codes()
    assert 1 == aws.count("GetCredentialsForIdentity") - 1  # and once for nobody's identity, which is not found


def test_without_an_exchange_aws_takes_no_token(by_file, codes, aws):
    """``--no-exchange``."""
    by_file()
    assert [] == codes(exchange=False)
    assert 0 == aws.count("AssumeRoleWithWebIdentity")


def test_a_healthy_sign_in_has_no_finding(by_browser, codes, certificates, monkeypatch):
    """Signed in, the living token is looked at and exchanged; nobody is asked again."""
    by_browser()
    living = signed_in(certificates, monkeypatch)
    assert [] == codes(signed_in=living)
    assert "exchange" in {each.name for each in codes.report.facts}


def signed_in(certificates, monkeypatch, *, federation=None):
    """The kernel's sign-in as the doctor is handed it."""
    person = Person(FormBrowser(certificates.ca))
    monkeypatch.setenv("BROWSER", "any")
    monkeypatch.setattr("webbrowser.open", person.open)
    federation = federation or Federation()
    federation.federate(prompt=person)
    living = federation.living_sign_in()
    assert federation.clear().happened
    return replace(living, lent={})


# The federation profile


def test_a_file_that_is_no_json(profile, codes, isolated_home):
    """The file, line and column are named."""
    file = profile.text('{"Federation": {')
    assert ["configuration-unreadable"] == codes()
    assert f"~/{file.relative_to(isolated_home)}, line 1, column 17" in codes.report.findings[0].sentence


def test_no_profile_at_all(codes):
    """And the request to send stands there."""
    assert ["profile-missing"] == codes()
    assert "redirect URIs" in codes.report.request
    said = "the request that `jupyter federation doctor` prints says how"
    assert codes.report.findings[0].administrator.endswith(said)


@pytest.mark.parametrize("default", [None, "prod"])
def test_no_profile_at_all_whichever_is_wanted(profile, codes, default):
    """By name, or as a default that there is not: the request stands there too."""
    if default is not None:
        profile.text('{"Federation": {"default_profile": "prod"}}')
    assert ["profile-missing"] == (codes("prod") if default is None else codes())
    assert "There is no federation profile 'prod', nor any other: nothing says" in codes.report.findings[0].sentence
    assert "redirect URIs" in codes.report.request


def test_a_default_profile_that_there_is_not(profile, codes, isolated_home):
    """The file that makes it the default is named, to whoever is to correct it."""
    file = profile.text('{"Federation": {"default_profile": "reserch", "profiles": {"research": {"source": "env"}}}}')
    assert ["profile-unknown"] == codes()
    (finding,) = codes.report.findings
    assert "There is no federation profile 'reserch'" in finding.sentence
    assert "Did you mean `research`?" in finding.sentence
    where = f"~/{file.relative_to(isolated_home)}"
    assert (where, f"correct `default_profile` in {where}") == (finding.where, finding.administrator)


def test_no_default_profile(profile, codes, isolated_home):
    """Those that there are, are named."""
    file = profile.text('{"Federation": {"profiles": {"a": {"source": "env"}}}}')
    assert ["profile-unknown"] == codes()
    said = f"set `default_profile` in ~/{file.relative_to(isolated_home)}"
    assert said == codes.report.findings[0].administrator
    assert "%federate doctor a, in a terminal jupyter federation doctor a;" in codes.report.findings[0].sentence
    assert "no federation profile that could be used" in codes.report.text()


def test_a_name_that_there_is_not(by_file, codes):
    """With the nearest."""
    by_file()
    assert ["profile-unknown"] == codes("reserach")
    assert "research" in codes.report.findings[0].sentence
    assert codes.report.findings[0].administrator.startswith("put the profile into jupyter_federation_config.d/")


def test_a_misspelt_code(by_file, codes, profile):
    """Is no profile's name, and leads to the code, where there is no profile too; nearer to a profile's, it is that."""
    assert ["profile-unknown"] == codes("token-expird")
    assert "Did you mean `token-expired`? That is a code of the doctor's." in codes.report.findings[0].sentence
    by_file()
    assert ["profile-unknown"] == codes("token-expird")
    meant = "Did you mean `token-expired`? That is a code of the doctor's. There are: research"
    assert meant in codes.report.findings[0].sentence
    assert "nothing; what was typed is nearest to a code of the doctor's" == codes.report.findings[0].administrator
    profile.text('{"Federation": {"profiles": {"token-expires": {"source": "env"}}}}')
    assert ["profile-unknown"] == codes("token-expiress")
    assert "code of the doctor's" not in codes.report.findings[0].sentence
    assert codes.report.findings[0].administrator.startswith("put the profile into jupyter_federation_config.d/")


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("word", "typed"),
    [
        *((each, f"%federate {each}.") for each in SUBCOMMANDS if each not in {"profiles", "doctor"}),
        ("profiles", "%federate profiles, in a terminal jupyter federation profiles."),
        ("doctor", "%federate doctor, in a terminal jupyter federation doctor."),
        ("demo", "in a terminal jupyter federation demo."),
        ("docs", "in a terminal jupyter federation docs."),
    ],
)
def test_a_command_is_no_profile_s_name(by_file, codes, *, named, word, typed):
    """Whether there are profiles or not; how it is typed is said."""
    if named:
        by_file()
    assert ["profile-unknown"] == codes(word, exchange=False)
    (finding,) = codes.report.findings
    assert f"`{word}` is a command of its own, and no federation profile: {typed}" == finding.sentence
    assert "nothing; what was typed is a command" == finding.administrator


def test_each_command_of_the_terminal_s_is_known():
    """In the order of its help."""
    (commands,) = (each.choices for each in app._parser()._actions if each.dest == "command")
    assert _IN_A_TERMINAL == tuple(commands)


@pytest.mark.parametrize("word", ["demo", "docs"])
def test_a_profile_may_be_called_like_a_command_of_the_terminal_s(by_file, codes, profile, role, word):
    """Then it is looked at."""
    keys = {"source": "file", "path": str(by_file.token), "role_arn": role.arn, "region": REGION}
    profile.text(json.dumps({"Federation": {"profiles": {word: keys}}}))
    assert [] == codes(word)


def test_a_key_that_there_is_not(by_file, codes):
    """The file, the key and the nearest right one are named."""
    by_file(role_arm="x")
    assert ["profile-broken"] == codes()


def test_a_profile_that_lacks_something(by_file, codes):
    """What has to be added is named."""
    by_file(path=None)
    assert ["profile-incomplete"] == codes()


def test_a_profile_that_says_two_things(by_file, codes, pool):
    """A pool and a role, and no classic flow."""
    by_file(identity_pool_id=pool.id)
    assert ["profile-incomplete"] == codes()


def test_a_lock(by_file, codes, tmp_path, monkeypatch):
    """Locked by the system's file."""
    by_file()
    system = tmp_path / "etc"
    system.mkdir()
    locked = {"Federation": {"profiles": {"research": {"source": "env", "locked": True}}}}
    (system / "jupyter_federation_config.json").write_text(json.dumps(locked))
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_CONFIG_PATH", [str(system)])
    assert ["configuration-locked"] == codes()


def test_more_than_the_policy_allows(profile, codes, role, tmp_path):
    """``max_session_hours``."""
    keys = {"source": "file", "path": "t", "role_arn": role.arn, "region": REGION, "duration_seconds": 43200}
    content = {"default_profile": "r", "profiles": {"r": keys}, "policy": {"max_session_hours": 1}}
    profile.text(json.dumps({"Federation": content}))
    assert ["policy-forbids"] == codes()


def test_no_region_for_sts(by_file, codes, monkeypatch):
    """Neither in the profile nor in the environment."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    by_file(region=None)
    assert "region-missing" == codes()[0]


# The provider


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"issuer": "{issuer}/"}, "issuer-spelled-differently"),
        ({"issuer": "{issuer}/realms/none"}, "discovery-missing"),
        ({"client_id": "nobody"}, "client-unknown"),
        ({"ca_bundle": None}, "certificate-untrusted"),
        ({"ca_bundle": "/none.pem"}, "ca-bundle-unreadable"),
        ({"issuer": "https://127.0.0.1:{closed}"}, "unreachable"),
        ({"issuer": "https://login.invalid"}, "dns-unresolved"),
        ({"issuer": "https://[::1"}, "profile-broken"),
        ({"client_secret_env": "NOT_SET"}, "client-secret"),
    ],
)
def test_a_provider_that_is_set_wrong(by_browser, codes, closed, keys, code):
    """At the certified provider."""
    places = {"issuer": by_browser.issuer, "closed": closed}
    by_browser(**{key: value and value.format(**places) for key, value in keys.items()})
    assert code == codes()[0]


def test_a_provider_that_is_down(by_browser, codes, certified):
    """It answers with 503."""
    by_browser()
    with certified.away():
        assert ["provider-down"] == codes()


def test_a_proxy_that_is_not_there(by_browser, codes, closed, monkeypatch, certified):
    """HTTPS_PROXY leads to nobody."""
    by_browser(issuer=certified.issuer.replace("127.0.0.1", "login.example.test"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed}")
    assert "proxy-refuses" == codes()[0]


def test_a_redirect_uri_that_is_not_registered(by_browser, codes, certificates, aws):
    """The doctor names the one to register."""
    with CertifiedProvider(certificates, redirect_uris=("http://localhost",)) as server:
        by_browser(issuer=server.issuer, redirect_port=[8400])
        assert ["redirect-uri-not-registered"] == codes()
        assert "http://127.0.0.1:8400/" in codes.report.findings[0].administrator


def test_a_server_s_callback_that_is_not_registered(by_browser, codes, isolated_home, monkeypatch):
    """The callback of the kernel's Jupyter server is asked for too."""
    by_browser()
    mailbox = Mailbox(isolated_home / "jupyter_runtime_dir" / "jupyter-federation")
    callback = "https://jupyter.example.org/jupyter-federation/callback"
    entry = mailbox.announce("server", callback, since=1.0, lifetime=timedelta(minutes=1))
    monkeypatch.setenv(SERVER_VARIABLE, str(entry))
    assert ["redirect-uri-not-registered"] == codes()
    assert callback in codes.report.findings[0].administrator


def test_a_client_that_wants_a_secret(by_browser, codes, certificates):
    """The provider knows it, and refuses it at the token endpoint."""
    redirect_uris = ("http://127.0.0.1/",)
    with CertifiedProvider(
        certificates, client_id="hub", client_secret="the-hub-s-own-secret", redirect_uris=redirect_uris
    ) as server:
        by_browser(issuer=server.issuer, client_id="hub")
        assert ["client-secret"] == codes()


@pytest.mark.parametrize(
    ("operation", "number", "code"),
    [
        ("discovery", 90002, "tenant-unknown"),
        ("token", 700016, "client-unknown"),
        ("token", 7000218, "client-secret"),
        ("token", 65001, "consent-missing"),
        ("token", 53003, "conditional-access"),
        ("authorize", 50011, "redirect-uri-not-registered"),
        ("authorize", 700016, "client-unknown"),
    ],
)
@pytest.mark.parametrize("provider", ["Entra"], indirect=True)
def test_what_entra_says(by_entra, codes, provider, *, operation, number, code):
    """A code of Entra's, in JSON or on the page that it shows in a redirect's place."""
    description = f"AADSTS{number}: Said in Entra's words. Trace ID: 00000000-0000-0000-0000-000000000000"
    said = json.dumps({"error": "invalid_grant", "error_description": description}).encode()
    if operation == "authorize":
        said = f"<html><title>Sign in to your account</title><p>{description}</p></html>".encode()
    status = 200 if operation == "authorize" else 400
    provider.inject(operation, Fault(response=Response(status=status, body=said)))
    by_entra()
    assert [code] == codes()
    assert f"AADSTS{number}" in codes.report.findings[0].sentence


@pytest.mark.parametrize("provider", ["Entra"], indirect=True)
def test_a_tenant_that_there_is_not(by_entra, codes):
    """The domain of nobody, where the host gives no reason; one of the tenant's own does."""
    by_entra(tenant="fabrikam.example")
    assert "discovery-missing" == codes()[0]
    by_entra(tenant=DOMAIN)
    assert [] == codes()


# The token


def jwt(**claims):
    """A JWT that says so, and whose signature is none."""
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "RS256"}, claims))
    return ".".join([*(part.rstrip("=") for part in parts), "c2lnbmF0dXJl"])


@pytest.mark.parametrize(
    ("token", "keys", "code"),
    [
        (None, {}, "token-missing"),
        ("", {}, "token-malformed"),
        ("eyJhbGciOi.cut", {}, "token-is-no-jwt"),
        ("eyJhbGciOi.cut.x", {}, "token-malformed"),
        ({"exp": 1_000_000_000}, {}, "token-expired"),
        ({"aud": None}, {}, "token-is-access-token"),
        ({"token_use": "access"}, {}, "token-is-access-token"),
        ({"iss": f"https://sts.windows.net/{TENANT}/"}, {"provider": "entra"}, "entra-v1-token"),
        ({}, {"provider": "google"}, "issuer-mismatch"),
        ({}, {"provider": "https://other.example.org"}, "issuer-mismatch"),
        ({}, {"provider": "goggle"}, "profile-broken"),
        ({"iss": "https://other.example.org"}, {}, "provider-not-registered"),
    ],
)
def test_a_token_that_will_not_do(by_file, codes, *, token, keys, code):
    """What is wrong with it is named before AWS says something else."""
    by_file(**keys)
    if token is None:
        by_file.token.unlink()
    elif isinstance(token, dict):
        claims = {"iss": by_file.issuer, "aud": "notebook", "sub": "ada", "exp": 4_000_000_000, **token}
        by_file.token.write_text(jwt(**{name: value for name, value in claims.items() if value is not None}))
    else:
        by_file.token.write_text(token)
    assert code == codes()[0]


def test_a_variable_that_is_not_set(by_file, codes):
    """Of the environment."""
    by_file(source="env", path=None, variable="NOT_SET")
    assert "token-missing" == codes()[0]


def test_a_callable_that_raises(by_file, codes):
    """Of the notebook."""
    by_file(source="var", path=None, variable="fetch")
    assert "token-missing" == codes(notebook={"fetch": lambda: 1 / 0})[0]
    assert "token-missing" == codes(notebook={})[0]


def test_a_variable_of_the_notebook_s_is_not_missed_in_a_terminal(by_file, codes):
    """It can only be seen from the notebook."""
    by_file(source="var", path=None, variable="fetch")
    assert [] == codes()


# AWS


def test_an_audience_that_aws_does_not_list(by_file, codes, provider):
    """The token is for another client."""
    by_file()
    by_file.token.write_text(provider.id_token("ada", client_id="other"))
    assert ["audience-not-registered"] == codes()
    assert "--client-id other" in codes.report.findings[0].administrator


def test_a_v1_token_whose_issuer_aws_does_not_know(by_file, codes):
    """The cause before what AWS says."""
    by_file()
    issuer = f"https://sts.windows.net/{TENANT}/"
    by_file.token.write_text(jwt(iss=issuer, aud="notebook", sub="ada", exp=4_000_000_000, ver="1.0"))
    assert ["entra-v1-token", "provider-not-registered"] == codes()
    assert {"token's version": "Entra v1.0"}.items() <= {each.name: each.value for each in codes.report.facts}.items()


def test_keys_that_aws_cannot_use(by_file, codes, aws, provider):
    """The token's signature is of another provider."""
    by_file()
    aws.add(OpenIdProvider(issuer=provider.issuer, client_ids=("notebook",), keys=lambda: {"keys": []}))
    assert codes() in (["keys-unreachable"], ["token-refused"])


def test_a_role_that_does_not_trust(by_file, codes, aws, role, provider):
    """Its trust policy names another audience."""
    role.trusts = {provider.issuer.partition("://")[2]: ("hub",)}
    by_file()
    assert ["role-does-not-trust"] == codes()


def test_a_trust_policy_that_says_why(by_file, codes, role, provider, tmp_path):
    """Given its file, the cause comes before AWS's refusal."""
    name = provider.issuer.partition("://")[2]
    role.trusts = {name: ("hub",)}
    by_file()
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{name}"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {f"{name}:aud": "notebook"}},
    }
    file = tmp_path / "trust.json"
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert ["trust-no-web-identity", "role-does-not-trust"] == codes(trust_policy=file)


@pytest.mark.parametrize(
    "claims",
    [
        {"https://aws.amazon.com/tags": {"principal_tags": {"person": ["ada"]}}},
        {"https://aws.amazon.com/tags/principal_tags/person": "ada"},
    ],
)
def test_a_session_tag_that_the_role_demands(by_file, codes, pool, *, role, provider, tmp_path, claims):
    """As AWS reads it; it is said without an exchange too, and not without a token or where a pool makes the tag."""
    name = provider.issuer.partition("://")[2]
    role.tags_sessions, role.needs_tag = True, "person"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{name}"},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Condition": {"StringEquals": {f"{name}:aud": "notebook"}, "StringLike": {"aws:RequestTag/person": "?*"}},
    }
    file = tmp_path / "trust.json"
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    by_file()
    assert ["trust-tag-missing", "role-does-not-trust"] == codes(trust_policy=file)
    assert ["trust-tag-missing"] == codes(trust_policy=file, exchange=False)
    assert ["role-does-not-trust"] == codes()
    by_file.token.write_text(provider.id_token("ada", **claims))
    assert [] == codes(trust_policy=file)
    by_file.token.unlink()
    assert ["token-missing"] == codes(trust_policy=file)
    by_file.token.write_text(provider.id_token("ada"))
    by_file(role_arn=None, identity_pool_id=pool.id)
    assert "trust-tag-missing" not in codes(trust_policy=file)


def test_a_role_of_nobody(by_file, codes):
    """AWS does not tell it from one that does not trust."""
    by_file(role_arn="arn:aws:iam::123456789012:role/Nobody")
    assert ["role-does-not-trust"] == codes()


def test_a_session_that_is_too_long(by_file, codes, role):
    """Beyond the role's own maximum."""
    role.longest_session = timedelta(hours=1)
    by_file(duration_seconds=7200)
    assert ["duration-too-long"] == codes()


def test_a_further_role_that_refuses(by_file, codes, aws):
    """It does not trust the first."""
    further = Role(name="Further")
    aws.add(further)
    by_file(assume_role_arn=further.arn)
    assert ["further-role-refused"] == codes()


def test_a_session_policy_that_is_none(by_file, codes, aws):
    """AWS refuses it."""
    aws.fail("AssumeRoleWithWebIdentity", "MalformedPolicyDocument", "Syntax errors in policy.")
    by_file(policy={"Version": "2012-10-17"})
    assert ["session-policy"] == codes()


def test_a_region_without_sts(by_file, codes, aws):
    """It is not activated."""
    aws.fail("AssumeRoleWithWebIdentity", "RegionDisabledException", "STS is not activated in this region.", status=403)
    by_file()
    assert ["region-disabled"] == codes()


def test_a_pool_of_nobody(by_file, codes):
    """An id that there is not."""
    by_file(role_arn=None, identity_pool_id=f"{REGION}:00000000-0000-0000-0000-000000000000")
    assert ["pool-unknown"] == codes()


def test_a_pool_without_the_provider(by_file, codes, aws):
    """It has another one."""
    pool = IdentityPool(providers=("accounts.google.com",), authenticated_role=Role(name="PoolUser"))
    aws.add(pool)
    by_file(role_arn=None, identity_pool_id=pool.id)
    assert ["pool-lacks-provider"] == codes()


def test_a_pool_without_a_role(by_file, codes, aws, provider):
    """What signs in has nothing to become."""
    aws.add(pool := IdentityPool(providers=(provider.issuer.partition("://")[2],)))
    by_file(role_arn=None, identity_pool_id=pool.id)
    assert ["pool-roles"] == codes()


def test_guests_where_none_are_admitted(by_file, codes, pool):
    """``provider`` is guest."""
    by_file(role_arn=None, identity_pool_id=pool.id, provider="guest", source=None, path=None)
    assert ["guests-refused"] == codes()


def test_the_classic_flow_where_it_is_off(by_file, codes, pool, role):
    """The profile asks for it."""
    by_file(identity_pool_id=pool.id, flow="classic")
    assert ["classic-flow-off"] == codes()


def test_the_classic_flow_that_was_left_on(by_file, codes, pool):
    """A warning, because everything works."""
    pool.classic_flow = True
    by_file(role_arn=None, identity_pool_id=pool.id)
    assert ["classic-flow-on"] == codes()
    assert 0 == codes.report.exit_status


def test_an_identity_of_somebody_else_s(by_file, codes, pool):
    """``identity_id`` is none of the pool's."""
    by_file(role_arn=None, identity_pool_id=pool.id, identity_id=f"{REGION}:00000000-0000-0000-0000-000000000001")
    assert ["identity-mismatch"] == codes()


# The machine and its way out


@pytest.mark.parametrize("minutes", [-130, -6, 6, 130])
def test_a_clock_that_is_wrong(by_file, codes, aws, provider, minutes):
    """By AWS's clock; what follows from it stands behind."""
    aws.clock_offset = provider.clock_offset = timedelta(minutes=-minutes)
    by_file()
    by_file.token.write_text(provider.id_token("ada"))
    assert "clock-wrong" == codes()[0]
    assert f"{abs(minutes)} min {'fast' if minutes > 0 else 'slow'}" in codes.report.findings[0].sentence


def test_a_provider_s_clock_that_is_wrong(profile, codes, provider, aws_environment, role):
    """This machine's agrees with AWS's."""
    provider.clock_offset = timedelta(minutes=30)
    profile(source="oidc", issuer=provider.issuer, client_id="notebook", role_arn=role.arn, region=REGION)
    assert ["provider-clock-wrong"] == codes()


@pytest.fixture
def wrong_ways(certified, closed, tmp_path, monkeypatch):
    """Set a variable to an address of nobody, of somebody else, or to a broken file."""
    broken = tmp_path / "config"
    broken.write_text("[default\nregion")
    places = {"closed": closed, "certified": certified.issuer, "broken": broken}
    return lambda variable, value: monkeypatch.setenv(variable, value.format(**places))


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:{closed}", "unreachable"),
        ("AWS_ENDPOINT_URL", "https://aws.invalid", "dns-unresolved"),
        ("AWS_ENDPOINT_URL", "{certified}", "certificate-untrusted"),
        ("AWS_CONFIG_FILE", "{broken}", "aws-files-broken"),
    ],
)
def test_a_way_to_aws_that_is_wrong(by_file, codes, wrong_ways, *, variable, value, code):
    """Named once, although two checks meet it."""
    by_file()
    wrong_ways(variable, value)
    assert [code] == codes()


def test_a_bundle_for_aws_that_is_not_there(by_file, codes, certified, monkeypatch):
    """AWS_CA_BUNDLE."""
    by_file()
    monkeypatch.setenv("AWS_ENDPOINT_URL", certified.issuer)
    monkeypatch.setenv("AWS_CA_BUNDLE", "/none.pem")
    assert "ca-bundle-unreadable" == codes()[0]


def test_a_portal_in_the_way(by_file, codes, aws):
    """What answers is not AWS."""
    page = Response(status=511, body=b"<html>Sign in to the network</html>", headers={"Content-Type": "text/html"})
    for operation in ("GetCallerIdentity", "AssumeRoleWithWebIdentity"):
        aws.inject(operation, Fault(response=page))
    by_file()
    assert codes()[0] in {"network-intercepted", "aws-fault"}


# Beside the sign-in


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("credentials", "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n"),
        ("config", "[default]\ncredential_process = /bin/keys\n"),
    ],
)
def test_an_aws_file_that_wins(by_file, codes, isolated_home, file, content):
    """For the tools that read it; boto3 in the notebook is not among them."""
    by_file()
    (isolated_home / ".aws").mkdir()
    (isolated_home / ".aws" / file).write_text(content)
    assert ["aws-files-outrank"] == codes()
    assert "the aws command" in codes.report.findings[0].sentence
    assert "AKIA" not in codes.report.text()


def test_variables_that_came_after_the_sign_in(by_browser, codes, certificates, monkeypatch):
    """They act for what the notebook starts."""
    by_browser()
    living = signed_in(certificates, monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert ["environment-outranks"] == codes(signed_in=living)


def test_a_profile_of_aws_s_that_there_is_not(by_file, codes, monkeypatch):
    """AWS_PROFILE."""
    by_file()
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert ["aws-profile-unknown"] == codes()


def test_two_regions(by_file, codes, monkeypatch):
    """The profile's, and the environment's."""
    by_file()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert ["region-differs"] == codes()


def test_a_renewal_that_fails(by_browser, codes, certificates, monkeypatch):
    """A warning: the credentials that live go on, and the token is looked at all the same."""
    by_browser()
    living = signed_in(certificates, monkeypatch)
    failing = replace(living.status, last_error="The provider does not answer in time.")
    assert ["renewal-failing"] == codes(signed_in=replace(living, status=failing))
    assert "exchange" in {each.name for each in codes.report.facts}


def test_a_sign_in_that_has_ended(by_browser, codes, certificates, monkeypatch):
    """The session says that it needs the person."""
    by_browser()
    living = signed_in(certificates, monkeypatch)
    ended = replace(living.status, sign_in="needs_you", last_error="AADSTS70043: the policy has ended it.")
    assert ["sign-in-ended"] == codes(signed_in=replace(living, status=ended))


def test_another_profile_than_the_living_one_s(by_file, codes, pool, provider):
    """Its login is not shown with the identity of who is signed in, which is not its own."""
    by_file(role_arn=None, identity_pool_id=pool.id)
    federation = Federation()
    federation.federate(prompt=Person(None))
    living = federation.living_sign_in()
    federation.clear()
    by_file.token.write_text(provider.id_token("grace"))
    assert [] == codes("research", signed_in=replace(living, profile=replace(living.profile, name="b"), lent={}))
    assert "exchange" in {each.name for each in codes.report.facts}
