"""What is Entra's own: the tenant and its issuer, msal's habits, the codes that people meet, the client secret."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from types import SimpleNamespace

import msal
import pytest
import trustme
from openid_clients import DOMAIN, TENANT, both, client_of
from people import Person

from jupyter_federation import assembly
from jupyter_federation.config import Policy
from jupyter_federation.demo.identity_provider import Client, IdentityProvider
from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import (
    ConfigurationError,
    FederationError,
    InvalidTokenError,
    LoginFailedError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.openid import aadsts, connection
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.openid.entra import PUBLIC_CLOUD, Entra, EntraSettings
from jupyter_federation.openid.id_token import checked
from jupyter_federation.openid.refusal import RefusedError
from jupyter_federation.openid.sign_in import OpenIdSignIn
from jupyter_federation.profile import Profile
from jupyter_federation.sign_in.ladder import Ladder, Manner
from jupyter_federation.sources.openid import OpenIdSource

ANOTHER_TENANT = "0f0e0d0c-0b0a-4009-8807-060504030201"
entra = pytest.mark.parametrize("provider", ["Entra"], indirect=True)


@pytest.fixture
def person(browser):
    return Person(browser)


@pytest.fixture
def make(provider, private_ca, person):
    """``make(**settings)``: a source of ``provider``, for a person with a browser here."""

    def make(*, device=False, **settings):
        manner = Manner(use_device_code=True, allowed=("device-code",)) if device else Manner()
        ladder = Ladder(manner, browser_is_here=lambda: True, open_browser=person.open)
        return OpenIdSource(client_of(provider, private_ca, **settings), ladder)

    return make


@pytest.fixture
def confidential(private_ca):
    """A provider dressed as Entra whose client has the secret ``c0nfidential``."""
    clients = [Client(client_id="notebook", secret="c0nfidential")]
    with IdentityProvider(path=f"/{TENANT}/v2.0", clients=clients, tls=private_ca.server) as server:
        yield server


def json_fault(status=400, headers=None, **document):
    return Fault(response=Response(status=status, body=json.dumps(document).encode(), headers=headers or {}))


def renewed(source):
    """A renewal's tokens, with the refresh token that is held."""
    return source._client.refresh(source._grant.held.refresh_token)


@entra
def test_the_request_is_a_native_client_s(make, person, provider):
    """PKCE, the query mode, http://localhost without a path, no prompt that would ask for consent again, no secret."""
    make(scopes=("openid", "email", "profile", "offline_access")).login(person)
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(person.addresses[0]).query))
    assert ("S256", "query", "code") == tuple(
        query[name] for name in ("code_challenge_method", "response_mode", "response_type")
    )
    assert {"openid", "email", "profile", "offline_access"} == set(query["scope"].split())
    assert query["redirect_uri"].rpartition(":")[0] == "http://localhost"
    assert query["redirect_uri"].rpartition(":")[2].isdigit()
    assert "prompt" not in query
    redeemed = next(call for call in provider.calls if call.operation == "token")
    assert "client_secret" not in redeemed.parameters
    assert "Authorization" not in redeemed.request.headers
    assert 1 == provider.count("discovery")


@entra
def test_a_seed_of_the_notebook_decides_nothing(make, provider):
    """State, nonce and verifier are the system's randomness, the state 256 bits of it."""
    queries = []
    for _ in range(2):
        random.seed(0)
        address = OpenIdSignIn(make()._client).address("http://localhost:1")
        queries.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query)))
    assert all(queries[0][name] != queries[1][name] for name in ("state", "nonce", "code_challenge"))
    assert 43 == len(queries[0]["state"])


@entra
def test_a_domain_s_tenant_goes_by_its_id(make, person, provider):
    """Discovery leads from the one to the other; the tokens name the id."""
    source = make(tenant=DOMAIN)
    assert f"{provider.url}/{DOMAIN}/v2.0" == source._client.issuer
    assert provider.issuer == source.login(person).issuer == source._client.issuer


@entra
def test_a_tenant_s_id_is_taken_in_capitals_too(make, person, provider):
    """People copy it from anywhere; so is a domain."""
    assert provider.issuer == make(tenant=TENANT.upper()).login(person).issuer
    assert provider.issuer == make(tenant=DOMAIN.title()).login(person).issuer


@entra
@pytest.mark.parametrize(("tenant", "asked"), [(TENANT, 0), (DOMAIN, 1)])
def test_a_pasted_token_is_compared_with_the_tenant_s_issuer(make, provider, tenant, asked):
    """Which an id tells by itself, and a domain through discovery."""
    source = make(tenant=tenant)
    client = source._client
    tokens = OpenIdSignIn(client).bring(provider.id_token("ada"))
    assert (asked, provider.issuer) == (len(provider.calls), client.issuer)
    assert "ada@example.org" == checked(tokens, client, provider.now()).name


ISSUERS = {
    "common": ("{url}/{{tenantid}}/v2.0", "stands for many"),
    "another tenant": (f"{{url}}/{ANOTHER_TENANT}/v2.0", "which is not how Entra names it"),
    "another host": (f"https://evil.example/{TENANT}/v2.0", "calls itself https://evil.example"),
    "v1.0": (f"https://sts.windows.net/{TENANT}/", "calls itself https://sts.windows.net"),
    "no tenant": ("{url}/contoso/v2.0", "which is not how Entra names it"),
}


@entra
@pytest.mark.parametrize("case", ISSUERS)
def test_an_issuer_that_is_not_this_tenant_s_is_refused_before_anybody_signs_in(make, person, provider, case):
    """AWS trusts one issuer at a time: tenants such as common are refused as well."""
    issuer, message = ISSUERS[case]
    document = json.loads(provider._discovery(None).body)
    document["issuer"] = issuer and issuer.format(url=provider.url)
    provider.inject("discovery", json_fault(200, **document))
    with pytest.raises(ConfigurationError, match=message):
        make().login(person)
    assert [] == person.addresses


@entra
def test_a_token_of_another_tenant_is_refused(make, person, provider, monkeypatch):
    """On the same host, for the same application: the issuer is compared exactly."""
    genuine, foreign = provider.id_token, f"{provider.url}/{ANOTHER_TENANT}/v2.0"
    monkeypatch.setattr(provider, "id_token", lambda user, **given: genuine(user, **(given | {"iss": foreign})))
    with pytest.raises(InvalidTokenError, match=f"names the issuer {foreign}"):
        make().login(person)


@entra
def test_a_tenant_that_is_not_there_is_a_setting_s_fault(make, person, provider):
    """AADSTS90002, with what to check; a gateway's error is an outage instead."""
    unknown = json_fault(error="invalid_tenant", error_description="AADSTS90002: Tenant 'x' not found.")
    provider.inject("discovery", unknown)
    with pytest.raises(ConfigurationError, match=r"there is no such tenant, AADSTS90002.*Check `tenant`"):
        make().login(person)
    provider.inject("discovery", json_fault(200, issuer=None))
    with pytest.raises(SourceUnavailableError, match=r"discovery document at .*names no issuer. Check `tenant`"):
        make().login(person)
    provider.inject("discovery", json_fault(429, error="too_many_requests"))
    with pytest.raises(SourceUnavailableError, match="too_many_requests"):
        make().login(person)


DOWN = {
    "503": Fault(response=Response(status=503)),
    "503 with JSON": json_fault(503, error="server_error"),
    "503, later": Fault(response=Response(status=503, headers={"Retry-After": "3600"})),
    "400, temporary": json_fault(400, error="temporarily_unavailable"),
    "429, later": json_fault(429, {"Retry-After": "3600"}, error="too_many_requests"),
}


@entra
@pytest.mark.parametrize("case", DOWN)
def test_a_provider_that_is_back_is_reached_by_the_very_next_try(make, person, provider, case):
    """Though nothing about the request has changed; every try reaches the provider."""
    source = make()
    source.login(person)
    before = provider.count("token")
    provider.inject("token", DOWN[case], times=2)
    for _ in range(2):
        with pytest.raises(SourceUnavailableError):
            renewed(source)
    assert renewed(source).id_token
    assert before + 3 == provider.count("token")


@entra
@pytest.mark.parametrize("case", DOWN)
def test_msal_alone_would_not_be_back(make, person, provider, monkeypatch, case):
    """The control of the test above: one msal application with its own cache fails on without asking anybody."""
    source = make()
    source.login(person)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # which would count more than `verify`
        monkeypatch.setenv(name, source._client.settings.ca_bundle)
    application = msal.PublicClientApplication(
        "notebook", authority=f"{provider.url}/{TENANT}", instance_discovery=False
    )
    provider.inject("token", DOWN[case])
    before = provider.count("token")
    for _ in range(2):
        try:
            answer = application.acquire_token_by_refresh_token(source._grant.held.refresh_token, ["email"])
        except Exception as error:  # noqa: BLE001 - of several kinds, with msal's versions
            answer = {"error": str(error)}
        assert "error" in answer
    application.http_client.close()
    assert before + 1 == provider.count("token")


@entra
def test_discovery_that_failed_is_tried_again(make, person, provider):
    """At once, and once it went well it is not asked for again."""
    provider.inject("discovery", Fault(response=Response(status=503)))
    provider.inject("discovery", Fault(drop=True))
    source = make()
    for _ in range(2):
        with pytest.raises(SourceUnavailableError):
            source.login(person)
    source.login(person)
    renewed(source)
    assert 3 == provider.count("discovery")


@both
@pytest.mark.parametrize("operation", ["discovery", "token"])
@pytest.mark.slow
def test_a_provider_that_hangs_ends_within_the_time_limit(make, person, provider, monkeypatch, operation):
    """Neither library has one of its own."""
    monkeypatch.setattr(connection, "_TIMEOUT", (0.5, 0.5))
    provider.inject(operation, Fault.hang())
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="does not answer in time"):
        make().login(person)
    assert time.monotonic() - began < 3


NONSENSE = [
    b"[]",
    b"null",
    b'{"access_token": "x", "id_token": 5}',
    b'{"access_token": "x", "id_token": "a.b.c"}',
    b'{"error": 5}',
    b"{}",
]


@entra
@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_an_error_of_ours_that_shows_nothing(make, person, provider, body):
    """And carries no frame of msal's, which would hold what was sent."""
    source = make()
    provider.inject("token", Fault(response=Response(body=body)))
    with pytest.raises(FederationError) as caught:
        source.login(person)
    assert caught.value.__cause__ is caught.value.__context__ is None
    with pytest.raises(LoginRequiredError):
        source.token()


@entra
@pytest.mark.parametrize("answer", [{"interval": "soon"}, {"interval": 0}, {"user_code": None}, {"expires_in": None}])
def test_a_device_code_that_makes_no_sense_keeps_nobody_waiting(make, person, provider, answer):
    """Nor does an interval of 0, with which msal alone would ask without end."""
    genuine = json.loads(provider._device_authorization(SimpleNamespace(parameters={"client_id": "notebook"})).body)
    provider.inject("device_authorization", json_fault(200, **(genuine | answer)))
    if answer == {"interval": 0}:
        assert make(device=True).login(person).subject
    else:
        with pytest.raises((LoginFailedError, SourceUnavailableError)):
            make(device=True).login(person)


@entra
def test_the_device_code_s_answer_is_asked_for_once_a_poll(make, person, provider):
    """Pending is no error, and msal does not wait by itself."""
    provider.device_interval = 1
    sign_in = OpenIdSignIn(make()._client)
    code = sign_in.device_code()
    began = time.monotonic()
    assert 0 == sign_in.poll(code).total_seconds()
    assert time.monotonic() - began < 0.9
    assert 1 == provider.count("token")


REFUSED = {
    53003: ["Conditional Access policy blocks", "device code", "Tell your administrator: the sign-in log"],
    50011: ["redirect URI", "--no-browser", "http://localhost", "Mobile and desktop applications"],
    50020: ["another tenant", "`tenant`", "guest"],
    50105: ["not assigned", "Users and groups"],
    65001: ["nobody has consented", "grant consent"],
    65004: ["declined", "accept"],
    700016: ["no such application", "`client_id`"],
    7000218: ["client secret", "Allow public client flows", "client_secret_env"],
    9002327: ["web page", "Mobile and desktop applications"],
    50076: ["second factor", "browser"],
    70011: ["scope", "`scopes`"],
    99999: ["whatever Entra says", "AADSTS99999", "`client_id`"],
}
TRACE = "Trace ID: 12345678-1234-4321-8765-123456789abc Correlation ID: x Timestamp: 2030-01-01 00:00:00Z"


@entra
@pytest.mark.parametrize("where", ["redirect", "token"])
@pytest.mark.parametrize("code", REFUSED)
def test_a_code_that_people_meet_comes_with_what_to_do(make, person, provider, code, where):
    """For the person and for the administrator, with the code and the trace to look up."""
    said = {"error": "invalid_grant", "error_description": f"AADSTS{code}: whatever Entra says. {TRACE}"}
    if where == "token":
        provider.inject("token", json_fault(**said))
    else:
        person.amend = lambda query: {"state": query["state"], "iss": query["iss"], **said}
    with pytest.raises(LoginFailedError) as refused:
        make().login(person)
    assert all(word in str(refused.value) for word in [f"AADSTS{code}", "12345678-1234", *REFUSED[code]])


@both
@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (70043, "sign-in-ended"),
        (700082, "sign-in-ended"),
        (50173, "sign-in-ended"),
        (700084, "client-kind"),
        (50057, "account-blocked"),
    ],
)
def test_a_renewal_that_is_refused_says_why(make, person, provider, code, finding):
    """The sign-in needs the person; nothing is asked again.  So where Entra is signed in at by `source` oidc."""
    source = make()
    source.login(person)
    provider.inject("token", json_fault(error="invalid_grant", error_description=f"AADSTS{code}: no more. {TRACE}"))
    with pytest.raises(LoginRequiredError, match=rf"AADSTS{code}.*Run %federate to sign in again") as caught:
        source._renew(source._grant)
    assert finding == caught.value.facts["finding"]
    assert source.last_token()
    with pytest.raises(LoginRequiredError) as again:
        source.token()
    assert finding == again.value.facts["finding"]


@both
@pytest.mark.parametrize(("code", "finding"), [(7000222, "client-secret"), (700016, "client-unknown")])
def test_a_renewal_whose_client_is_refused_has_the_doctor_s_code(make, person, provider, code, finding):
    """Entra's number tells which."""
    source = make()
    source.login(person)
    provider.inject("token", json_fault(error="invalid_client", error_description=f"AADSTS{code}: no. {TRACE}"))
    with pytest.raises(ConfigurationError, match=f"AADSTS{code}") as caught:
        source._renew(source._grant)
    assert finding == caught.value.facts["finding"]


def test_every_advice_reads_as_a_sentence():
    """Something happened; there is something to do, and it ends."""
    for code in aadsts._ADVICE:
        refusal = aadsts.explained("invalid_grant", f"AADSTS{code}: x")
        assert isinstance(refusal, RefusedError)
        assert refusal.description.endswith(f", AADSTS{code}")
        assert refusal.fix.endswith(".")
        assert ".." not in refusal.fix


@entra
def test_an_unknown_client_and_a_denial_are_a_failed_sign_in(make, person):
    """As the provider says it, where Entra gives no code."""
    person.user = ""
    with pytest.raises(LoginFailedError, match="cancelled or denied"):
        make().login(person)


@entra
def test_signing_out_revokes_nothing_and_names_the_page(make, person, provider):
    """Entra has no way to end a refresh token; the browser's session ends on its page."""
    source = make()
    source.login(person)
    ended = source.sign_out()()
    assert (False, f"{provider.issuer}/end_session?client_id=notebook") == (ended.revoked, ended.end_session_url)
    assert 0 == provider.count("revoke")


@entra
def test_what_the_profile_trusts_counts_whatever_the_environment_names(make, person, tmp_path, monkeypatch):
    """requests#3829, in discovery and in each of msal's requests; without ca_bundle nobody is signed in."""
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(stranger))
    source = make()
    source.login(person)
    assert renewed(source).id_token
    with pytest.raises(SourceUnavailableError, match=r"not trusted here.*`ca_bundle`"):
        make(ca_bundle=None).login(person)


@entra
def test_no_proxy_leads_to_this_machine(make, person, monkeypatch):
    """HTTPS_PROXY for everything: the loopback provider is reached directly."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        source = make()
        source.login(person)
        assert renewed(source).id_token


@entra
def test_a_redirect_of_the_token_endpoint_is_not_followed(make, person, provider):
    """It would carry the refresh token elsewhere."""
    source = make()
    source.login(person)
    elsewhere = {"Location": f"{provider.url}/elsewhere"}
    provider.inject("token", Fault(response=Response(status=307, headers=elsewhere)))
    with pytest.raises(SourceUnavailableError):
        renewed(source)
    assert 0 == provider.count("unknown")


def test_the_profile_s_settings_arrive():
    """The public cloud unless it says otherwise; nobody is asked."""
    profile = Profile(source="entra", tenant=DOMAIN, client_id="abc", scopes=("email",), client_secret_env="SECRET")
    settings = assembly.source_of(profile, {}, Policy())._client.settings
    assert (
        EntraSettings(tenant=DOMAIN, client_id="abc", scopes=("email",), client_secret=ClientSecret(variable="SECRET"))
        == settings
    )
    assert PUBLIC_CLOUD == settings.authority
    china = Profile(
        source="entra", tenant=DOMAIN, client_id="abc", authority="https://login.partner.microsoftonline.cn/"
    )
    assert (
        f"https://login.partner.microsoftonline.cn/{DOMAIN}/v2.0"
        == assembly.source_of(china, {}, Policy())._client.issuer
    )


LOADED = """
import sys
from jupyter_federation import assembly
from jupyter_federation.config import Policy
from jupyter_federation.profile import Profile
entra = Profile(source="entra", tenant="contoso.example", client_id="a", authority="https://127.0.0.1:9")
other = Profile(source="oidc", issuer="https://127.0.0.1:9", client_id="a")
for profile in (entra, other):
    source = assembly.source_of(profile, {}, Policy())
    print(sorted({"msal", "authlib", "requests"} & set(sys.modules)))
    if profile is (ASKED):
        try:
            source._client.refresh("x")
        except Exception as error:
            print(type(error).__name__, sorted({"msal", "authlib"} & set(sys.modules)))
"""


@pytest.mark.parametrize("asked", ["entra", "other"])
def test_a_source_that_is_made_loads_no_library(asked):
    """And one that is asked loads its own alone."""
    code = LOADED.replace("ASKED", asked)
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    assert "[]" == lines[0]
    failed = next(line for line in lines if line.startswith("SourceUnavailableError"))
    assert ("msal" if asked == "other" else "authlib") not in failed


# The client secret


def test_a_secret_s_place_makes_a_confidential_client(confidential, private_ca, browser, tmp_path, monkeypatch):
    """From the environment and from a file; it goes in the body, and is read anew for each request."""
    person, file = Person(browser), tmp_path / "secret"
    file.touch(0o600)
    file.write_text("c0nfidential\n")
    monkeypatch.setenv("ENTRA_SECRET", "c0nfidential")
    for place in (ClientSecret(variable="ENTRA_SECRET"), ClientSecret(file=str(file))):
        client = client_of(confidential, private_ca, client_secret=place)
        source = OpenIdSource(client, Ladder(Manner(), browser_is_here=lambda: True, open_browser=person.open))
        source.login(person)
        assert "c0nfidential" == confidential.calls[-1].parameters["client_secret"]
        assert renewed(source).refresh_token
    file.write_text("rotated")
    with pytest.raises(RefusedError, match="invalid_client"):
        client.refresh("x")
    assert "rotated" == confidential.calls[-1].parameters["client_secret"]
    with pytest.raises(LoginFailedError, match="client with a secret no device code"):
        OpenIdSource(client, Ladder(Manner(use_device_code=True, allowed=("device-code",)))).login(person)


def test_a_secret_s_place_works_for_any_provider(browser, monkeypatch):
    """Through Authlib the same."""
    person = Person(browser)
    monkeypatch.setenv("OIDC_SECRET", "c0nfidential")
    with IdentityProvider(clients=[Client(client_id="notebook", secret="c0nfidential")]) as server:
        profile = Profile(source="oidc", issuer=server.issuer, client_id="notebook", client_secret_env="OIDC_SECRET")
        source = assembly.source_of(profile, {}, Policy())
        source._ladder = Ladder(Manner(), browser_is_here=lambda: True, open_browser=person.open)
        assert source.login(person).subject


def test_a_secret_that_is_not_there_is_a_setting_s_fault(tmp_path, monkeypatch):
    """With the name of the place and what to do."""
    monkeypatch.delenv("ENTRA_SECRET", raising=False)
    with pytest.raises(ConfigurationError, match=r"ENTRA_SECRET \(`client_secret_env`\) is not set"):
        ClientSecret(variable="ENTRA_SECRET").read()
    empty, binary, long = (tmp_path / name for name in ("empty", "binary", "long"))
    for path, content in ((empty, b" \n"), (binary, b"\xff\xfe\x00"), (long, b"x" * 4097)):
        path.touch(0o600)
        path.write_bytes(content)
    for file, problem in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is not a regular file"),
        (empty, "is empty"),
        (binary, "is not UTF-8"),
        (long, "holds more than 4096 bytes"),
        ("~nobody-of-that-name/secret", "cannot be read"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            ClientSecret(file=str(file)).read()


@pytest.mark.skipif(os.name != "posix", reason="no modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_may_read_is_refused(tmp_path, mode):
    """With the command that mends it; the secret is not in the message."""
    file = tmp_path / "secret"
    file.write_text("c0nfidential")
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode is {mode:o}.*chmod 600") as refused:
        ClientSecret(file=str(file)).read()
    assert "c0nfidential" not in refused.value.diagnostics()


@pytest.mark.skipif(os.name != "posix", reason="no FIFO")
def test_a_fifo_in_the_secret_s_place_keeps_nobody_waiting(tmp_path):
    """Whoever swaps it in, and whenever: it is asked what it is when it is open."""
    os.mkfifo(tmp_path / "secret", 0o600)
    problems = []

    def read():
        try:
            ClientSecret(file=str(tmp_path / "secret")).read()
        except ConfigurationError as error:
            problems.append(str(error))

    with pytest.MonkeyPatch.context() as swapped:
        swapped.setattr("pathlib.Path.is_file", lambda path: True)
        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        reading.join(5)
    assert "is not a regular file" in problems[0]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_secret_of_another_user_s_is_refused(tmp_path):
    """Its owner can change it at any time."""
    file = tmp_path / "secret"
    file.write_text("c0nfidential")
    file.chmod(0o600)
    os.chown(file, 65534, 65534)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        ClientSecret(file=str(file)).read()


@pytest.mark.parametrize("mistake", ["Kq7~planted.secret-value", "x" * 80, "GOCSPX-planted", "AKIA" + "Z" * 16])
def test_a_secret_in_the_variable_s_place_is_not_repeated(mistake):
    """What is no name of a variable may be the secret itself."""
    with pytest.raises(ConfigurationError, match="not the name of an environment variable") as refused:
        ClientSecret(variable=mistake).read()
    assert mistake not in refused.value.diagnostics()


def test_an_application_is_made_without_asking_anybody(private_ca):
    """The constructor of msal's asks; ours does not."""
    client = Entra(EntraSettings(tenant=TENANT, client_id="notebook", authority="https://127.0.0.1:9"))
    assert f"https://127.0.0.1:9/{TENANT}/v2.0" == client.issuer == OpenIdSignIn(client).issuer
