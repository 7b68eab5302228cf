"""What the package says to an OpenID provider, heard by one that the OpenID Foundation has certified."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from certified_provider import ELSEWHERE, CertifiedProvider, FormBrowser, Proxy
from openid_clients import TENANT
from pace import stretched
from people import Person, behind

import jupyter_federation as jf
from jupyter_federation.errors import LoginFailedError, LoginRequiredError, SourceUnavailableError
from jupyter_federation.openid.provider import Provider, ProviderSettings
from jupyter_federation.openid.refusal import RefusedError

pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[{"path": ""}, {"path": "/realms/research"}, {"tenant": TENANT}],
    ids=["no path", "a path", "Entra, by msal"],
)
def _certified(request, certificates):
    settings = dict(request.param)
    if "id_token_seconds" in settings:
        settings["id_token_seconds"] = stretched(settings["id_token_seconds"])
    with CertifiedProvider(certificates, **settings) as server:
        yield server


def at(*settings, ids):
    """The test is of a provider of its own."""
    return pytest.mark.parametrize("_certified", settings, indirect=True, ids=ids)


not_entra = at({"path": "/realms/research"}, ids=["a path"])
short_lived = at(
    {"path": "/realms/short", "id_token_seconds": 4}, {"tenant": TENANT, "id_token_seconds": 4}, ids=["any", "Entra"]
)


@pytest.fixture
def provider(_certified):
    """In the place of the embedded one; fixtures of other files build on it."""
    _certified.forget()
    return _certified


@pytest.fixture
def aws(_aws, provider):
    """The strict AWS, which has registered ``provider``."""
    _aws.reset()
    _aws.add(provider.registration)
    return _aws


@pytest.fixture
def person(certificates):
    """Their browser trusts the CA."""
    return Person(FormBrowser(certificates.ca))


@pytest.fixture
def trusting(kernel, certificates):
    """A kernel whose profile names the CA in ``ca_bundle``."""
    kernel.options = {"ca_bundle": str(certificates.ca)}
    return kernel


@pytest.fixture
def bucket(aws, aws_environment):
    """The name of a bucket with one object, which the account's administrator has put there."""
    s3 = boto3.Session().client("s3", region_name="eu-west-1", endpoint_url=aws.url, **aws.mint().for_boto3)
    s3.create_bucket(Bucket="observations", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="observations", Key="spring.csv", Body=b"curlew,14")
    return "observations"


def listed(bucket):
    return [each["Key"] for each in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]


def refreshed(provider, status=200):
    return provider.answered("token", status, grant_type="refresh_token")


def refresh_token(kernel):
    return str.__str__(kernel.sources[-1]._grant.held.refresh_token)


def another(provider, certificates):
    """Another program as the same client."""
    return Provider(ProviderSettings(issuer=provider.issuer, client_id="notebook", ca_bundle=str(certificates.ca)))


@pytest.fixture
def another_bundle(certificates, monkeypatch):
    """The variables that requests heeds trust somebody else's CA."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificates.stranger))


@pytest.mark.usefixtures("another_bundle")
def test_a_person_signs_in_and_lists_a_bucket(trusting, person, provider, bucket):
    """Over TLS of a private CA, whatever REQUESTS_CA_BUNDLE trusts; the issuer has a path or none."""
    status = trusting.federate(prompt=person)
    assert ("valid", "ok", ["spring.csv"]) == (status.credentials, status.sign_in, listed(bucket))
    (redirect,) = person.redirects
    assert provider.issuer == dict(parse_qsl(urlsplit(redirect).query))["iss"]
    (redeemed,) = provider.answered("token", grant_type="authorization_code")
    assert {"access_token", "id_token", "refresh_token"} <= redeemed.answer.keys()


def test_a_certificate_of_another_ca_is_not_trusted(kernel, person, provider, certificates):
    """The sentence names the setting, and nothing is said to the provider."""
    kernel.options = {"ca_bundle": str(certificates.stranger)}
    with pytest.raises(SourceUnavailableError, match=r"not trusted here.*ca_bundle"):
        kernel.federate(prompt=person)
    assert [] == provider.requests


def test_who_cancels_is_told_so(trusting, person):
    """access_denied, with the provider's own words."""
    person.user = ""
    with pytest.raises(LoginFailedError, match=r"access_denied.*End-User aborted interaction"):
        trusting.federate(prompt=person)


@not_entra
def test_offline_access_comes_with_prompt_consent_alone(trusting, person):
    """It is asked for so; without it the same request gets no refresh token, and no error either."""
    trusting.federate(prompt=person)
    asked = dict(parse_qsl(urlsplit(person.addresses[0]).query))
    assert ("consent", True) == (asked["prompt"], "offline_access" in asked["scope"].split())
    assert trusting.sources[-1].renewable
    trusting.clear()
    person.open = lambda page: Person.open(person, behind(page).replace("prompt=consent", "prompt=login"))
    status = trusting.federate(prompt=person)
    assert not trusting.sources[-1].renewable
    assert "gave no refresh token" in str(status)


@not_entra
def test_sign_out_ends_the_refresh_token_at_the_provider(trusting, person, provider, certificates):
    """It was good until then, is refused afterwards; the page of the browser's own session is there."""
    trusting.federate(prompt=person)
    jf.refresh()
    token = refresh_token(trusting)
    happened = str(jf.clear(sign_out=True))
    assert "The provider has ended the refresh token." in happened
    assert 1 == len(provider.answered("revocation"))
    with pytest.raises(RefusedError, match="invalid_grant"):
        another(provider, certificates).refresh(token)
    page = next(word for word in happened.split() if word.startswith(provider.issuer))
    with person.browser._opener.open(page, timeout=10) as answer:
        assert "Do you want to sign-out" in answer.read().decode()


@not_entra
def test_a_replayed_code_is_refused_and_ends_the_sign_in(trusting, person, provider, certificates):
    """Whoever saw the redirect gets nothing for it; the next renewal is refused, and the person is asked for."""
    trusting.federate(prompt=person)
    (redeemed,) = provider.answered("token", grant_type="authorization_code")
    sent = {name: redeemed.parameters[name] for name in ("code", "redirect_uri", "code_verifier")}
    with pytest.raises(RefusedError, match="invalid_grant"):
        another(provider, certificates)._tokens("authorization_code", **sent)
    with pytest.raises(RefusedError, match="invalid_grant"):
        another(provider, certificates).refresh(refresh_token(trusting))


@short_lived
def test_a_refresh_token_is_used_once_each_and_nobody_is_asked_again(trusting, person, provider, bucket):
    """Two lifetimes: a renewal every half life, each with the token that the one before brought."""
    trusting.federate(prompt=person)
    end = time.monotonic() + 2 * provider.id_token_seconds
    while time.monotonic() < end:
        assert ["spring.csv"] == listed(bucket)
        time.sleep(0.2)
    used = [each.parameters["refresh_token"] for each in refreshed(provider)]
    given = [each.answer["refresh_token"] for each in provider.answered("token")]
    assert 3 <= len(used) <= 6
    assert used == given[: len(used)]
    assert len(given) == len(set(given))
    assert ([], 1) == (refreshed(provider, 400), len(person.addresses))


@at({"path": "/realms/short", "id_token_seconds": 4}, ids=["any"])
def test_a_stolen_refresh_token_that_is_used_ends_the_sign_in_and_it_shows(trusting, person, provider, certificates):
    """Rotation: whoever comes second ends the grant; the notebook says so and asks for its person."""
    trusting.federate(prompt=person)
    another(provider, certificates).refresh(refresh_token(trusting))
    end = time.monotonic() + 1.5 * provider.id_token_seconds
    while trusting.status().sign_in != "needs_you" and time.monotonic() < end:
        time.sleep(0.1)
    assert "needs_you" == trusting.status().sign_in
    with pytest.raises(LoginRequiredError, match="invalid_grant"):
        trusting.sources[-1].token()


@pytest.fixture
def proxy(person, certificates, monkeypatch):
    """A forward proxy, named in HTTPS_PROXY, which ``person``'s browser uses too."""
    with Proxy() as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        person.browser = FormBrowser(certificates.ca, proxy=server.url)
        yield server


@at({"host": ELSEWHERE, "path": "/realms/far"}, {"host": ELSEWHERE, "tenant": TENANT}, ids=["any", "Entra"])
def test_a_provider_behind_a_proxy_is_reached_through_it(trusting, person, provider, bucket, proxy):
    """Its name cannot be looked up here; TLS ends at the provider."""
    trusting.federate(prompt=person)
    assert ["spring.csv"] == listed(bucket)
    before = len(proxy.asked)
    trusting.sources[-1]._client.refresh(refresh_token(trusting))
    assert before < len(proxy.asked)
    assert {f"{ELSEWHERE}:{provider.port}"} == set(proxy.asked)
