"""An OpenID sign-in and what becomes of it: the checks, the renewals, the refusals."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import pickle
import signal
import socket
import ssl
import sys
import threading
import urllib.parse
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme
from openid_clients import TENANT, both, client_of
from people import Person, behind

from jupyter_federation import assembly
from jupyter_federation.addresses import is_safe
from jupyter_federation.config import Policy
from jupyter_federation.demo.identity_provider import Client, IdentityProvider
from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import (
    ConfigurationError,
    InvalidTokenError,
    LoginFailedError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.openid.client_secret import ClientSecret
from jupyter_federation.openid.connection import Connection
from jupyter_federation.openid.discovery import Endpoints
from jupyter_federation.openid.entra import Entra, EntraSettings
from jupyter_federation.openid.provider import Provider, ProviderSettings
from jupyter_federation.openid.sign_in import OpenIdSignIn
from jupyter_federation.profile import Profile
from jupyter_federation.sign_in.ladder import Ladder, Manner
from jupyter_federation.sign_in.receiver import Receiver
from jupyter_federation.sign_in.rung import Tokens
from jupyter_federation.sources.openid import OpenIdSource


@pytest.fixture
def person(browser):
    return Person(browser)


class Clock:
    """Moves when told."""

    def __init__(self):
        self.ahead = timedelta(0)

    def __call__(self):
        return datetime.now(timezone.utc) + self.ahead

    def advance(self, **time):
        self.ahead += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(provider, private_ca, person, clock):
    """``make(**settings)``: a source of ``provider``, for a person with a browser here."""

    def make(*, longest=None, **settings):
        ladder = Ladder(Manner(), browser_is_here=lambda: True, open_browser=person.open)
        return OpenIdSource(client_of(provider, private_ca, **settings), ladder, longest=longest, now=clock)

    return make


@pytest.fixture
def signed_in(make, person):
    source = make()
    source.login(person)
    return source


def tokens_asked(provider, grant_type):
    return sum(call.parameters.get("grant_type") == grant_type for call in provider.calls)


def answer(document, status=200):
    return Fault(response=Response(status=status, body=json.dumps(document).encode()))


@both
def test_constructing_asks_nobody(make, provider):
    """Neither does asking for a token before anybody has signed in."""
    source = make()
    with pytest.raises(LoginRequiredError, match="Nobody has signed in"):
        source.token()
    assert (False, None, (), None) == (source.renewable, source.renew_at, source.remarks, source.last_token())
    assert [] == provider.calls


def test_the_request_is_a_public_client_s_with_pkce(signed_in, person, provider):
    """S256, a state and a nonce of their own, the scopes for a refresh token; no secret."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(person.addresses[0]).query)
    assert ["S256"] == query["code_challenge_method"]
    assert ["openid profile email offline_access"] == query["scope"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    redeemed = next(call for call in provider.calls if call.operation == "token").parameters
    assert "notebook" == redeemed["client_id"]
    assert "client_secret" not in redeemed
    assert "Authorization" not in provider.calls[-1].request.headers


@pytest.mark.parametrize("path", ["", "/tenant/v2.0"])
def test_an_issuer_with_and_without_a_path(path, make, person):
    """Auth0 and Google have none, Entra and Keycloak have one."""
    with IdentityProvider(path=path) as other:
        source = make(issuer=other.issuer)
        assert other.issuer == source.login(person).issuer


def test_an_issuer_that_is_spelled_otherwise_is_refused(make, person, provider):
    """To the last slash; the message gives the provider's own spelling."""
    with pytest.raises(ConfigurationError, match=f"calls itself {provider.issuer}\\."):
        make(issuer=f"{provider.issuer}/").login(person)


def test_google_is_asked_for_offline_access_its_own_way(monkeypatch, provider):
    """Google refuses the scope offline_access."""
    monkeypatch.setattr(assembly, "GOOGLE", provider.issuer)
    profile = Profile(source="google", client_id="notebook", client_secret="GOCSPX-not-confidential")
    source = assembly.source_of(profile, {}, Policy(max_session_hours=8))
    settings = source._client.settings
    assert "GOCSPX-not-confidential" == settings.client_secret.read()
    assert ("email",) == settings.scopes
    assert {"access_type": "offline", "prompt": "consent"} == settings.parameters
    assert timedelta(hours=8) == source._longest
    assert "GOCSPX" not in repr(settings)


def test_a_client_secret_goes_in_the_body_where_the_provider_wants_it_there_alone(make, person):
    """A Google desktop client's, which is not confidential; at every endpoint but discovery."""
    clients = [Client(client_id="notebook", secret="not-confidential")]
    with IdentityProvider(clients=clients) as other:
        source = make(issuer=other.issuer, client_secret=ClientSecret(value="not-confidential"))
        source.login(person)
        assert "not-confidential" == other.calls[-1].parameters["client_secret"]
        assert source.sign_out()().revoked
        assert "not-confidential" == other.calls[-1].parameters["client_secret"]
        assert source._client.device_authorization()["device_code"]


class BasicProvider(IdentityProvider):
    """Takes a client's secret in the Authorization header alone (RFC 6749, 2.3.1), and names ``methods``."""

    methods = None

    def receive(self, request):
        call = super().receive(request)
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        call.parameters.pop("client_secret", None)
        if kind == "Basic":
            names = map(urllib.parse.unquote_plus, base64.b64decode(pair).decode().split(":"))
            call.parameters.update(zip(("client_id", "client_secret"), names, strict=True))
        return call

    def _discovery(self, call):
        document = json.loads(super()._discovery(call).body)
        del document["token_endpoint_auth_methods_supported"]
        if self.methods is not None:
            document["token_endpoint_auth_methods_supported"] = self.methods
        return Response(body=json.dumps(document).encode())


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post", "client_secret_basic"]])
def test_a_client_secret_goes_in_the_header_by_default(make, person, methods):
    """Encoded as the specification says, for tokens, device codes and revocation."""
    secret = "a+b%2f:c d~"
    with BasicProvider(clients=[Client(client_id="notebook", secret=secret)]) as other:
        other.methods = methods
        source = make(issuer=other.issuer, client_secret=ClientSecret(value=secret))
        assert source.login(person).subject
        source._renew(source._grant)
        assert source._client.device_authorization()["device_code"]
        assert source.sign_out()().revoked


def test_discovery_needs_no_client_secret(make, provider):
    """Where it is missing, the sign-in begins all the same, and nothing else is asked."""
    source = make(client_secret=ClientSecret(variable="NOT_SET"))
    assert provider.issuer in OpenIdSignIn(source._client).address("http://127.0.0.1:1/")
    assert ["discovery"] == [call.operation for call in provider.calls]


REALM = {"error": "Realm does not exist"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (answer(REALM, 404), "HTTP 404"),
        (Fault(response=Response(status=404)), "HTTP 404"),
        (answer(REALM), "Realm does not exist"),
        (answer({"message": "hello"}), "it names no issuer"),
        (answer({"issuer": 5}), "it names no issuer"),
    ],
)
def test_where_there_is_no_discovery_document_the_address_is_said(make, person, provider, fault, said):
    """Not that the provider calls itself None."""
    provider.inject("discovery", fault)
    address = f"{provider.issuer}/.well-known/openid-configuration"
    with pytest.raises(SourceUnavailableError, match=f"no discovery document at {address}: {said}.*Check `issuer`"):
        make().login(person)


@both
def test_a_password_of_netrc_goes_to_nobody(make, person, provider, tmp_path, monkeypatch):
    """requests would add it to every request of a session that trusts the environment."""
    netrc = tmp_path / "netrc"
    netrc.touch(0o600)
    netrc.write_text("machine 127.0.0.1 login ada password netrc-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr(Connection, "trusts_environment", True)  # as of a provider that is not on this machine
    source = make()
    source.login(person)
    source._renew(source._grant)
    OpenIdSignIn(source._client).device_code()
    source.sign_out()()
    assert {"discovery", "token", "device_authorization"} <= {call.operation for call in provider.calls}
    assert [] == [call.operation for call in provider.calls if "Authorization" in call.request.headers]


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_that_is_not_there_is_called_by_the_variable_that_names_it(variable, monkeypatch):
    """`ca_bundle` is not to blame where nobody has set it."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "/nowhere.pem")
    monkeypatch.setattr(Connection, "trusts_environment", True)
    for client in (
        Provider(ProviderSettings(issuer="https://127.0.0.1:9", client_id="notebook")),
        Entra(EntraSettings(authority="https://127.0.0.1:9", tenant=TENANT, client_id="notebook")),
    ):
        with pytest.raises(ConfigurationError, match=f"^{variable} is /nowhere.pem, and no certificates"):
            client.endpoints()


@both
def test_the_token_is_the_same_until_half_of_its_life_and_then_renewed(signed_in, clock, provider):
    """One request for each half life, each with the newest refresh token."""
    first = signed_in.token()
    assert first is signed_in.token()
    assert 0 == tokens_asked(provider, "refresh_token")
    for number in (1, 2, 3):
        provider.clock_offset = clock.ahead = timedelta(minutes=31 * number)
        assert signed_in.token() is not first
        assert number == tokens_asked(provider, "refresh_token")
    assert signed_in.renewable


@both
def test_renewal_is_wanted_at_half_of_the_token_s_life(signed_in):
    """Which is what the session's second clock goes by."""
    token = signed_in.token()
    assert abs(signed_in.renew_at - (token.expires_at - timedelta(minutes=30))) < timedelta(seconds=3)


@both
def test_a_refresh_answer_without_an_id_token_keeps_the_old_one_while_it_lives(signed_in, clock, provider, monkeypatch):
    """It is asked once, says that it cannot be renewed, and keeps the rotated refresh token."""
    monkeypatch.setattr(provider, "refresh_gives_id_token", False)
    first = signed_in.token()
    clock.advance(minutes=31)
    assert first is signed_in.token() is signed_in.token()
    assert 1 == tokens_asked(provider, "refresh_token")
    assert not signed_in.renewable
    assert "renews no ID token" in signed_in.remarks[0]
    clock.advance(minutes=30)
    with pytest.raises(LoginRequiredError, match="hold no ID token"):
        signed_in.token()
    assert [200, 200] == [call.status for call in provider.calls if call.operation == "token"][1:]


def test_a_missing_refresh_token_is_reported_at_sign_in(make, person, clock):
    """Not an hour later."""
    source = make(scopes=("email",))
    source.login(person)
    assert (False, None) == (source.renewable, source.renew_at)
    assert "gave no refresh token" in source.remarks[0]
    assert "offline_access" in source.remarks[0]
    clock.advance(minutes=59)
    source.token()
    clock.advance(minutes=2)
    with pytest.raises(LoginRequiredError, match="has ended"):
        source.token()


@both
def test_a_revoked_refresh_token_needs_the_person_and_leaves_the_last_token(signed_in, clock, provider):
    """It is refused once; afterwards nobody asks the provider again."""
    first = signed_in.token()
    provider.revoke_all()
    clock.advance(minutes=31)
    for _ in range(3):
        with pytest.raises(LoginRequiredError, match="invalid_grant"):
            signed_in.token()
    assert 1 == tokens_asked(provider, "refresh_token")
    assert first is signed_in.last_token()
    assert (False, None) == (signed_in.renewable, signed_in.renew_at)
    clock.advance(minutes=30)
    assert signed_in.last_token() is None


def test_a_provider_that_is_down_leaves_the_last_token_for_as_long_as_it_lives(signed_in, clock, provider):
    """Keys that are due meanwhile can be bought with it."""
    first = signed_in.token()
    provider.inject("token", Fault(response=Response(status=503)))
    clock.advance(minutes=31)
    with pytest.raises(SourceUnavailableError):
        signed_in.token()
    assert first is signed_in.last_token()
    clock.advance(minutes=30)
    assert signed_in.last_token() is None


def test_a_refused_sign_in_wants_no_renewal_and_no_last_token_beyond_the_policy_s_time(make, person, clock, provider):
    """The policy's end is an end, and nothing is due at it any more."""
    source = make(longest=timedelta(minutes=45))
    source.login(person)
    provider.revoke_all()
    clock.advance(minutes=31)
    with pytest.raises(LoginRequiredError, match="invalid_grant"):
        source.token()
    assert (None, False) == (source.renew_at, source.last_token() is None)
    clock.advance(minutes=15)
    assert source.last_token() is None  # though it lives a quarter of an hour longer


def test_a_refresh_token_that_is_not_rotated_goes_on(signed_in, clock, provider, monkeypatch):
    """RFC 6749, section 6: without a new one, the one before is good."""
    used = []

    def refresh(token):
        used.append(str.__str__(token))
        return Tokens(
            id_token=provider.id_token("ada", iat=int(clock().timestamp()), exp=int(clock().timestamp() + 3600))
        )

    monkeypatch.setattr(signed_in._client, "refresh", refresh)
    for _ in range(3):
        clock.advance(minutes=31)
        signed_in.token()
    assert (3, 1, True) == (len(used), len(set(used)), signed_in.renewable)


@both
@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop=True),
        Fault(response=Response(status=503)),
        Fault(response=Response(status=302, headers={"Location": "http://127.0.0.1:9/"})),
        Fault(response=Response(body=b"<html>maintenance</html>")),
        answer({"error": "temporarily_unavailable"}, 400),
        answer({"error": "too_many_requests"}, 429),
        answer({"message": "slower"}, 429),
    ],
    ids=["dropped", "503", "redirect", "a page", "temporarily_unavailable", "429", "a gateway's 429"],
)
def test_a_provider_that_is_down_is_tried_again_and_recovers(signed_in, clock, provider, fault):
    """The refresh token is kept, and the next try brings a token."""
    provider.inject("token", fault)
    clock.advance(minutes=31)
    with pytest.raises(SourceUnavailableError, match=provider.issuer):
        signed_in.token()
    assert signed_in.renewable
    assert signed_in.token().subject


@both
def test_the_policy_s_time_ends_the_sign_in_whatever_still_lives(make, person, clock, provider):
    """max_session_hours: no last token then, either."""
    source = make(longest=timedelta(minutes=20))
    source.login(person)
    assert source.renew_at < datetime.now(timezone.utc) + timedelta(minutes=20)
    clock.advance(minutes=21)
    with pytest.raises(LoginRequiredError, match="max_session_hours") as caught:
        source.token()
    assert "sign-in-ended" == caught.value.facts["finding"]
    assert source.last_token() is None


def test_the_policy_s_time_counts_from_the_sign_in_and_not_from_its_renewals(
    make, person, clock, monkeypatch, provider
):
    """Otherwise it would never end."""
    monkeypatch.setattr(provider, "now", clock)
    source = make(longest=timedelta(hours=2))
    source.login(person)
    for _ in range(3):
        clock.advance(minutes=31)
        source.token()
    assert source.renew_at < datetime.now(timezone.utc) + timedelta(hours=2)
    clock.advance(minutes=31)
    with pytest.raises(LoginRequiredError, match="max_session_hours"):
        source.token()


FOREIGN = {
    "issuer": ({"iss": "https://evil.example"}, "names the issuer https://evil.example"),
    "audience": ({"aud": "other"}, "is for the client other, not for notebook"),
    "second audience": ({"aud": ["notebook", "other"]}, r"given to one of several clients \(azp\)"),
    "authorized party": ({"azp": "other"}, r"given to other \(azp\)"),
    "nonce": ({"nonce": "another"}, "nonce"),
    "no nonce": ({"nonce": None}, "nonce"),
    "no expiry": ({"exp": None}, "lacks one of"),
    "expired": ({"exp": 1}, "expired at"),
    "from the future": ({"iat": 4_000_000_000}, "in this machine's future"),
}


@both
@pytest.mark.parametrize("case", FOREIGN)
def test_an_id_token_that_is_not_ours_is_refused_at_sign_in(make, person, provider, monkeypatch, case):
    """With a sentence, and nothing is kept."""
    claims, message = FOREIGN[case]
    genuine = provider.id_token
    monkeypatch.setattr(provider, "id_token", lambda user, **given: genuine(user, **(given | claims)))
    source = make()
    with pytest.raises(InvalidTokenError, match=message):
        source.login(person)
    with pytest.raises(LoginRequiredError):
        source.token()


@pytest.mark.parametrize("half", ["eyJhbGciOiJSUzI1NiJ9.half.", "opaque"])
def test_an_id_token_that_cannot_be_read_costs_no_refresh_token(signed_in, provider, monkeypatch, half):
    """The one before is used up: without the one that came along, the next renewal would end the sign-in."""
    with monkeypatch.context() as broken:
        broken.setattr(provider, "id_token", lambda *_, **__: half)
        with pytest.raises(InvalidTokenError):
            signed_in._renew(signed_in._grant)
    signed_in._renew(signed_in._grant)
    assert signed_in.renewable


@both
def test_a_renewal_that_brings_somebody_else_is_refused_with_its_refresh_token(signed_in, clock, provider, monkeypatch):
    """OpenID Connect Core 12.2; with that one, every later renewal would be somebody else's."""
    before = str.__str__(signed_in._grant.held.refresh_token)
    clock.advance(minutes=31)
    genuine = provider.id_token
    monkeypatch.setattr(provider, "id_token", lambda user, **given: genuine("grace", **given))
    with pytest.raises(InvalidTokenError, match="somebody else"):
        signed_in.token()
    assert before == str.__str__(signed_in._grant.held.refresh_token)
    assert "ada@example.org" == signed_in.last_token().name


HOSTILE = {
    "an error": (lambda query: {**query, "error": "server_error"}, "refused the sign-in: server_error"),
    "another issuer": (lambda query: query | {"iss": "https://evil.example"}, "comes from https://evil.example"),
    "no issuer": (lambda query: {"code": query["code"], "state": query["state"]}, "comes from nobody"),
    "a made-up code": (lambda query: query | {"code": "made-up"}, r"invalid_grant \(unknown code\)"),
}


@both
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_answer_is_refused_and_nothing_listens(make, person, provider, case):
    """With a sentence; a code goes to the token endpoint only where state and issuer are right."""
    person.amend, message = HOSTILE[case]
    with pytest.raises(LoginFailedError, match=message):
        make().login(person)
    assert (1 if case == "a made-up code" else 0) == tokens_asked(provider, "authorization_code")
    with pytest.raises(OSError, match="refused"):
        person.follow(person.redirects[0])


@both
def test_a_wrong_state_is_refused(make, person, provider):
    """Where the person pastes the answer of another window: its code goes nowhere.  The receiver takes none such."""
    person.amend = lambda query: query | {"state": "x" * 43}
    source = make()
    source._ladder = Ladder(Manner(no_browser=True))
    with pytest.raises(LoginFailedError, match="does not belong to this sign-in"):
        source.login(person)
    assert 0 == tokens_asked(provider, "authorization_code")


@both
def test_a_code_of_another_login_is_refused(make, person, browser):
    """PKCE binds it to the verifier of the login that it came from."""
    elsewhere = Person(browser)
    elsewhere.redirect_of(OpenIdSignIn(make()._client).address("http://127.0.0.1:9/"))
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(elsewhere.redirects[0]).query)["code"][0]
    person.amend = lambda query: query | {"code": code}
    with pytest.raises(LoginFailedError, match="code_verifier does not fit"):
        make().login(person)


@both
def test_an_answer_serves_once(make, person):
    """A state that was used is nobody's."""
    sign_in = OpenIdSignIn(make()._client)
    redirect = person.redirect_of(sign_in.address("http://127.0.0.1:9/"))
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(redirect).query))
    sign_in.redeem(query)
    with pytest.raises(LoginFailedError, match="or was used"):
        sign_in.redeem(query)


def test_sign_out_revokes_and_names_the_page_that_ends_the_browser_s_session(signed_in, provider, clock):
    """Without an ID token in the address; the provider has ended the grant."""
    ended = signed_in.sign_out()()
    assert ended.revoked
    assert f"{provider.issuer}/end_session?client_id=notebook" == ended.end_session_url
    assert all(grant.revoked for grant in provider._grants.values())
    assert signed_in.sign_out() is None


@both
def test_sign_out_from_a_provider_that_is_down_forgets_and_says_so(signed_in, provider):
    """Clear never fails."""
    provider.inject("revoke", Fault(drop=True))
    assert not signed_in.sign_out()().revoked
    with pytest.raises(LoginRequiredError):
        signed_in.token()


def test_a_redirect_is_no_revocation(signed_in, provider):
    """RFC 7009, section 2.2: the answer is 200."""
    elsewhere = {"Location": "http://127.0.0.1:9/"}
    provider.inject("revoke", Fault(response=Response(status=302, headers=elsewhere)))
    assert not signed_in.sign_out()().revoked


def test_a_sign_out_during_a_renewal_revokes_the_newest_refresh_token(signed_in, clock, provider):
    """The one that is being used up is no good to revoke."""
    provider.inject("token", Fault(delay=0.3))
    clock.advance(minutes=31)
    renewal = threading.Thread(target=signed_in.token)
    renewal.start()
    while not tokens_asked(provider, "refresh_token"):
        pass
    ended = signed_in.sign_out()()
    renewal.join()
    (newest,) = {grant.refresh_token for grant in provider._grants.values()}
    revoked = next(call.parameters["token"] for call in provider.calls if call.operation == "revoke")
    assert (True, newest) == (ended.revoked, revoked)


@both
def test_a_client_that_is_refused_keeps_its_refresh_token(signed_in, clock, provider):
    """A secret that was changed, say: when it is right again, the next try brings a token without the person."""
    first = signed_in.token()
    provider.inject("token", answer({"error": "invalid_client"}, 401))
    clock.advance(minutes=31)
    with pytest.raises(ConfigurationError, match=r"invalid_client.*client's secret"):
        signed_in.token()
    assert (True, first) == (signed_in.renewable, signed_in.last_token())
    assert signed_in.token() is not first


def test_threads_behind_a_renewal_that_brings_nothing_do_not_ask_again(signed_in, clock, provider, monkeypatch):
    """One of them has asked."""
    monkeypatch.setattr(provider, "refresh_gives_id_token", False)
    provider.inject("token", Fault(delay=0.3))
    clock.advance(minutes=31)
    herd = [threading.Thread(target=signed_in.token) for _ in range(4)]
    for thread in herd:
        thread.start()
    for thread in herd:
        thread.join()
    assert 1 == tokens_asked(provider, "refresh_token")


@pytest.mark.parametrize("source", ["google", "cognito-user-pool"])
def test_what_brings_a_refresh_token_is_the_provider_s_own_way(source):
    """Google refuses offline_access, and Cognito does not know it."""
    profile = Profile(source=source, issuer="https://login.example.org", client_id="notebook")
    assert "offline_access" not in assembly.source_of(profile, {}, Policy())._client.how_to_renew


def test_no_logout_page_is_named_that_would_be_an_error():
    """Cognito's wants an address to go on to that is registered for it."""
    document = {"authorization_endpoint": "https://pool.example/a", "token_endpoint": "https://pool.example/t"}
    document |= {"end_session_endpoint": "https://pool.example/logout"}
    for issuer, page in (
        ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc", None),
        ("https://login.example.org", "https://pool.example/logout?client_id=notebook"),
    ):
        endpoints = Endpoints.read({"issuer": issuer, **document}, Connection(provider=issuer))
        assert page == endpoints.end_session_url("notebook")


@both
def test_what_comes_after_forget_is_dropped(signed_in, clock, provider):
    """A renewal under way signs nobody in again."""
    provider.inject("token", Fault(delay=0.3))
    clock.advance(minutes=31)
    renewal = threading.Thread(target=signed_in.token)
    renewal.start()
    while not tokens_asked(provider, "refresh_token"):
        pass
    signed_in.forget()
    renewal.join()
    with pytest.raises(LoginRequiredError):
        signed_in.token()


@both
def test_many_threads_renew_once(signed_in, clock, provider):
    """A rotated refresh token that is used twice would end the grant."""
    clock.advance(minutes=31)
    herd = [threading.Thread(target=signed_in.token) for _ in range(8)]
    for thread in herd:
        thread.start()
    for thread in herd:
        thread.join()
    assert 1 == tokens_asked(provider, "refresh_token")
    assert signed_in.renewable


@both
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_refresh_token_alone(signed_in, clock, provider):
    """It has the ID token while that lives; the grant goes on in the parent."""
    clock.advance(minutes=31)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            alive, silent = signed_in.token(), not signed_in.renewable and bool(signed_in.remarks)
            clock.advance(minutes=30)
            try:
                signed_in.token()
            except LoginRequiredError:
                code = 0 if alive and silent else 2
        finally:
            os._exit(code)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 0 == tokens_asked(provider, "refresh_token")
    signed_in.token()
    assert signed_in.renewable


@both
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_waits_for_no_lock_of_its_parent(signed_in, clock, person):
    """Whichever was held at that moment: it can sign in, forget and sign out."""
    parts = [signed_in, signed_in._grant]
    locks = [value for part in parts for value in vars(part).values() if hasattr(value, "acquire")]
    for lock in locks:
        lock.acquire()

    def in_a_child():
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(10)
                signed_in.token()
                ended = signed_in.sign_out()()
                code = 0 if signed_in.login(person).subject and not ended.revoked else 2
                signed_in.forget()
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    # OpenSSL has locks of its own, and the provider's threads in this process one at times: another child, then.
    codes = (in_a_child() for _ in range(3))
    assert 0 == next((code for code in codes if code != -signal.SIGALRM), "each of them hung")
    assert locks


@both
def test_nothing_shows_or_copies_a_token(signed_in, person):
    """repr, pickle, deepcopy and the values inside."""
    raw = str.__str__(signed_in.token().raw)
    assert raw not in repr(signed_in._grant.held)
    assert "refresh_token" not in repr(signed_in._grant.held)
    for copying in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            copying(signed_in)


@both
def test_nothing_is_logged_that_could_be_used(make, person, provider, clock, caplog):
    """At DEBUG, through a sign-in, a renewal, a refusal and a sign-out."""
    caplog.set_level(logging.DEBUG)
    source = make()
    source.login(person)
    clock.advance(minutes=31)
    source.token()
    provider.revoke_all()
    clock.advance(minutes=61)
    with pytest.raises(LoginRequiredError) as refused:
        source.token()
    source.sign_out()
    said = " ".join([caplog.text, repr([each.args for each in caplog.records]), str(refused.value)])
    said += refused.value.diagnostics() + repr(person.shown[0][0])
    secrets = [
        value
        for call in provider.calls
        for name, value in call.parameters.items()
        if name in {"code", "code_verifier", "refresh_token", "token"}
    ]
    assert len(secrets) >= 4
    assert "urllib3" in caplog.text
    assert not [secret for secret in secrets if secret in said]


def test_a_private_ca_is_trusted_by_ca_bundle_whatever_the_environment_names(
    make, person, tmp_path, monkeypatch, browser
):
    """requests#3829: REQUESTS_CA_BUNDLE would win over a session's verify."""
    authority, stranger = trustme.CA(), trustme.CA()
    bundle, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(bundle)
    stranger.cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(other))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with IdentityProvider(tls=context) as server:
        trusting = Provider(ProviderSettings(issuer=server.issuer, client_id="notebook", ca_bundle=str(bundle)))
        assert trusting.endpoints().token == f"{server.issuer}/token"
        for wrong in (None, str(other)):
            doubting = Provider(ProviderSettings(issuer=server.issuer, client_id="notebook", ca_bundle=wrong))
            with pytest.raises(SourceUnavailableError, match=r"not trusted here.*ca_bundle"):
                doubting.endpoints()
        missing = Provider(ProviderSettings(issuer=server.issuer, client_id="notebook", ca_bundle="/nowhere.pem"))
        with pytest.raises(ConfigurationError, match=r"/nowhere\.pem"):
            missing.endpoints()


def test_a_proxy_is_used_for_others_and_never_for_this_machine(make, person, monkeypatch):
    """HTTP_PROXY for everything: the loopback provider is reached directly, another one through the proxy."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")

        def refuse():
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(1000).split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        assert make().login(person).subject
        with pytest.raises(SourceUnavailableError, match="through the proxy"):
            make(issuer="https://login.example.org").login(person)
        thread.join()
    assert [b"CONNECT login.example.org:443 HTTP/1.0"] == [line.replace(b"1.1", b"1.0") for line in asked]


@pytest.mark.parametrize(
    "issuer",
    [
        *("https://login.example.org:port/x", "https://login.example.org:99999", "https://*.x"),
        *("https://[::1", "https://a]b", "https://℀.com"),
    ],
)
def test_an_issuer_that_is_no_address_is_what_is_wrong(make, person, issuer):
    """And not a proxy that nobody has set."""
    with pytest.raises(SourceUnavailableError, match=r"has no address that could be asked\. Correct `issuer`"):
        make(issuer=issuer).login(person)


@pytest.mark.parametrize("password", ["hunter2#", "hunter2#1", "hunter2/1", "hunter2?1", "[hunter2", "hunter2€"])
def test_a_proxy_whose_password_is_not_escaped_is_what_is_wrong(make, person, monkeypatch, password):
    """And not the provider's answer; what is before that character is not repeated."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:{password}@127.0.0.1:9")
    with pytest.raises(SourceUnavailableError, match=r"the proxy's address cannot be read.*%23") as caught:
        make(issuer="https://login.example.org").login(person)
    assert "hunter2" not in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://login.example.org/authorize?x=1", True),
        ("http://127.0.0.1:8080/a", True),
        ("http://login.example.org/", False),
        ("javascript:alert(1)", False),
        ('https://login.example.org/"onclick="x', False),
        ("https://", False),
        ("https://login.example.org@evil.example/", False),
        ("https://user:password@evil.example/", False),
        ("https://login.example.org:port/token", False),
        ("https://login.example.org:99999999/token", False),
        ("https://.example.org/token", False),
        (None, False),
    ],
)
def test_only_https_and_this_machine_are_opened(address, safe):
    """What a discovery document names ends up in a browser and in markup."""
    assert safe == is_safe(address, "http://localhost:8080/realm")


@pytest.mark.parametrize("issuer", ["https://login.example.org", "http://127.0.0.1.evil.example"])
def test_a_provider_elsewhere_names_no_address_of_this_machine(issuer):
    """It would have the kernel call what listens here, with a code or a secret."""
    assert not is_safe("http://127.0.0.1:8888/api", issuer)
    assert is_safe("https://login.example.org/token", issuer)


def test_an_endpoint_has_no_fragment():
    """RFC 6749, 3.1 and 3.2; the page for a device code may have one."""
    document = {"issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/#a"}
    document["token_endpoint"] = "https://idp.example/t"
    with pytest.raises(SourceUnavailableError, match="authorization_endpoint"):
        Endpoints.read(document, Connection(provider="https://idp.example"))
    assert is_safe("https://idp.example/#/device", "https://idp.example")


def test_a_slow_half_open_connection_keeps_nobody_waiting(make, person):
    """A good reply beside it is taken at once, and afterwards neither is left."""
    slow = []

    def open_both(page):
        address = behind(page)
        redirect = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["redirect_uri"][0]
        port = urllib.parse.urlsplit(redirect).port
        for beginning in (b"", b"GET /?code=x", b"GET / HTTP/1.1\r\nHost: x"):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(beginning)
            slow.append(connection)
        return Person.open(person, address)

    source = make()
    source._ladder._open_browser = open_both
    began = datetime.now(timezone.utc)
    source.login(person)
    assert datetime.now(timezone.utc) - began < timedelta(seconds=3)
    for connection in slow:
        connection.settimeout(5)
        while connection.recv(1000):
            pass
        connection.close()


@pytest.mark.parametrize("moment", ["before its thread runs", "when it runs already"])
def test_an_interrupt_while_the_receiver_starts_leaves_nothing_that_listens(monkeypatch, moment):
    """Thread.start() waits for the thread in Python code, so an interrupt may land in it."""
    start = threading.Thread.start

    def interrupted(thread):
        if moment == "when it runs already":
            start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    receiver = Receiver()
    with pytest.raises(KeyboardInterrupt), receiver:
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", receiver.port), timeout=1)
    assert "jupyter-federation-receiver" not in {thread.name for thread in threading.enumerate()}


def test_an_answer_counts_though_the_browser_is_gone(monkeypatch):
    """A connection that is reset before the page is out has brought it all the same."""

    def reset(handler):
        raise ConnectionResetError

    monkeypatch.setattr("jupyter_federation.sign_in.receiver._Handler.end_headers", reset)
    with Receiver() as receiver, socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        receiver.expect("a")
        connection.sendall(f"GET /?state=a&code=b HTTP/1.1\r\nHost: 127.0.0.1:{receiver.port}\r\n\r\n".encode())
        assert {"state": "a", "code": "b"} == receiver.wait(2, lambda passed: None)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:80"])
def test_port_80_is_left_out_by_browsers(monkeypatch, host):
    """Of the Host header, and of no other port's."""
    with Receiver() as receiver, socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        receiver._server.server_port = 80  # as if it were: listening there takes a privilege
        receiver.expect("a")
        connection.sendall(f"GET /?state=a&code=b HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert receiver.wait(2, lambda passed: None)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_the_receiver_listens_on_127_0_0_1_alone():
    """Not on every interface, in a container either."""
    with Receiver() as receiver:
        tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
        lines = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()]
    port = f"{receiver.port:04X}"
    assert [f"0100007F:{port}"] == [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port}")]


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/favicon.ico", None),
        ("/", None),
        ("/?code=a", None),
        ("/?code=a&state=b", "evil.example"),
        ("/?code=a&code=c&state=b", None),
        ("/?code=a&state=c", None),
    ],
)
def test_what_is_no_answer_is_not_found(target, host):
    """And the wait goes on; a Host that is not ours is a page that has bound its name to 127.0.0.1."""
    with Receiver() as receiver, socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        receiver.expect("b")
        name = host or f"127.0.0.1:{receiver.port}"
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert b" 404 " in connection.recv(1000).split(b"\r\n")[0]
        assert receiver.wait(1, lambda passed: None) is None
