"""The embedded identity provider, driven over HTTP as a client and a browser drive it."""

import base64
import hashlib
import json
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
import trustme

from jupyter_federation.demo.identity_provider import DEVICE_CODE, Client, IdentityProvider
from jupyter_federation.demo.loopback import Fault, Response

VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-indeed"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:5555/back"


def authorize_url(provider, **changes):
    """An authorization request; a change to None leaves the parameter out."""
    request = {
        "client_id": "notebook",
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": "openid offline_access",
        "state": "st&te",
        "nonce": "n0nce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    query = urllib.parse.urlencode({name: value for name, value in request.items() if value is not None})
    return f"{provider.issuer}/authorize?{query}"


def returned(location):
    """The parameters of a redirect."""
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))


@pytest.fixture
def post(browser, provider):
    """``post(endpoint, **form)``: status and JSON of what the provider answers."""

    def post(endpoint, **form):
        answer = browser.open(f"{provider.issuer}/{endpoint}", **{"client_id": "notebook"} | form)
        return answer.status, json.loads(answer.text or "{}")

    return post


@pytest.fixture
def redeem(post):
    """``redeem(code)``: the token endpoint's answer to an authorization code."""

    def redeem(code, **changes):
        form = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER} | changes
        return post("token", grant_type="authorization_code", **form)

    return redeem


@pytest.fixture
def tokens(provider, browser, redeem):
    """What a whole sign-in of ada gives."""
    return redeem(returned(browser(authorize_url(provider)))["code"])[1]


def test_discovery_names_the_endpoints_under_the_issuer(browser):
    """With a path in the issuer, discovery document and endpoints stand below that path."""
    with IdentityProvider(path="/tenant/v2.0") as provider:
        document = json.loads(browser.open(f"{provider.issuer}/.well-known/openid-configuration").text)
        assert f"{provider.url}/tenant/v2.0" == document["issuer"] == provider.issuer
        assert f"{provider.issuer}/token" == document["token_endpoint"]
        assert json.loads(browser.open(document["jwks_uri"]).text) == provider.jwks()
        assert browser.open(f"{provider.url}/token").status == 404


def test_a_sign_in_gives_tokens_that_verify(provider, tokens, browser):
    """The ID token is signed by the published key, and says for whom, by whom and for which request."""
    keys = jwt.PyJWKSet.from_dict(json.loads(browser.open(f"{provider.issuer}/jwks").text))
    claims = jwt.decode(tokens["id_token"], keys.keys[0], audience="notebook", issuer=provider.issuer)
    assert ("Ada Lovelace", "n0nce") == (claims["name"], claims["nonce"])
    assert {"token_type", "access_token", "expires_in", "scope", "id_token", "refresh_token"} == set(tokens)


def test_the_redirect_carries_state_and_issuer(provider, browser):
    """The state comes back as it was, and ``iss`` stands beside it (RFC 9207)."""
    back = returned(browser(authorize_url(provider)))
    assert ("st&te", provider.issuer) == (back["state"], back["iss"])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"scope": "email"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_an_unfit_request_is_sent_back_with_an_error(provider, browser, change, error):
    """What cannot be served is told to the client by the redirect, with state and issuer."""
    back = returned(browser.open(authorize_url(provider, **change)).headers["Location"])
    assert {"error": error, "state": "st&te", "iss": provider.issuer} == {
        name: back[name] for name in ("error", "state", "iss")
    }


@pytest.mark.parametrize(
    "uri",
    ["https://evil.example/", "http://localhost.evil.example/", "http://127.0.0.1:1@evil.example/", "javascript:"],
)
def test_nobody_is_redirected_to_an_unknown_address(provider, browser, uri):
    """A redirect URI that is neither loopback nor registered gets a page, not a redirect."""
    answer = browser.open(authorize_url(provider, redirect_uri=uri))
    assert (400, None) == (answer.status, answer.headers["Location"])


@pytest.mark.parametrize(
    "uri", ["http://localhost", "http://localhost:8888/x/y?z=1", "http://127.0.0.1:1/", "https://hub.example/callback"]
)
def test_loopback_and_registered_addresses_are_redirected_to(browser, uri):
    """Any loopback address will do, and those that the client has registered."""
    clients = [Client(client_id="notebook", redirect_uris=("https://hub.example/callback",))]
    with IdentityProvider(clients=clients) as provider:
        assert browser(authorize_url(provider, redirect_uri=uri)).startswith(uri)


def test_the_login_page_escapes_what_it_shows(browser):
    """Names of users and clients are text on the page, never markup."""
    users = {"<b>": {"sub": "1", "name": "<script>alert(1)</script>"}}
    with IdentityProvider(clients=[Client(client_id="<i>x")], users=users) as provider:
        page = browser.open(authorize_url(provider, client_id="<i>x"))
    assert "<script>" not in page.text
    assert "<i>" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_person_can_say_no(provider, browser):
    """Cancel leads back with access_denied."""
    assert "access_denied" == returned(browser(authorize_url(provider), user=""))["error"]


def test_the_browser_is_remembered_until_the_session_ends(provider, browser):
    """A second sign-in needs no click, unless the request asks for one or the person has signed out."""
    browser(authorize_url(provider))
    assert browser.open(authorize_url(provider)).status == 302
    assert "code" in returned(browser.open(authorize_url(provider, prompt="none")).headers["Location"])
    assert browser.open(authorize_url(provider, prompt="login")).status == 200
    after = urllib.parse.urlencode({"post_logout_redirect_uri": "http://localhost:1/bye", "state": "s"})
    assert (
        browser.open(f"{provider.issuer}/end_session?{after}").headers["Location"] == "http://localhost:1/bye?state=s"
    )
    assert browser.open(authorize_url(provider)).status == 200


def test_a_code_works_once_and_its_replay_ends_the_grant(provider, browser, redeem, post):
    """Who replays a code gets nothing, and neither does the refresh token that it gave before."""
    code = returned(browser(authorize_url(provider)))["code"]
    _, first = redeem(code)
    assert (400, "invalid_grant") == (redeem(code)[0], redeem(code)[1]["error"])
    assert (400, "invalid_grant") == refreshed(post, first["refresh_token"])


def refreshed(post, refresh_token):
    """Status, and error or None, of a refresh."""
    status, answer = post("token", grant_type="refresh_token", refresh_token=refresh_token)
    return status, answer.get("error")


@pytest.mark.parametrize(
    "change",
    [{"code_verifier": "another"}, {"redirect_uri": "http://localhost/"}, {"client_id": "other"}, {"code": "x"}],
)
def test_a_code_is_bound_to_its_request(provider, browser, redeem, change):
    """Verifier, redirect URI and client must be those of the authorization request."""
    code = returned(browser(authorize_url(provider)))["code"]
    assert "invalid_grant" == redeem(**{"code": code} | change)[1]["error"]


def test_an_old_code_is_refused(provider, browser, redeem):
    """A code lives a minute."""
    code = returned(browser(authorize_url(provider)))["code"]
    provider.clock_offset = timedelta(minutes=2)
    assert "invalid_grant" == redeem(code)[1]["error"]


def test_refresh_tokens_rotate_and_reuse_ends_the_grant(tokens, post):
    """A refresh gives a new refresh token; using the old one again ends both."""
    _, answer = post("token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert "nonce" not in jwt.decode(answer["id_token"], options={"verify_signature": False})
    assert (400, "invalid_grant") == refreshed(post, tokens["refresh_token"])
    assert (400, "invalid_grant") == refreshed(post, answer["refresh_token"])


def test_of_many_refreshes_at_once_one_succeeds(tokens, post):
    """The race that loses a grant in real life: one new refresh token, and the rest is reuse."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: refreshed(post, tokens["refresh_token"]), range(8)))
    assert [(200, None)] + [(400, "invalid_grant")] * 7 == sorted(answers)


def test_a_refresh_answer_may_lack_an_id_token(provider, tokens, post, monkeypatch):
    """As with some providers, where the server is told so."""
    monkeypatch.setattr(provider, "refresh_gives_id_token", False)
    _, answer = post("token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert "id_token" not in answer


def test_no_refresh_token_without_offline_access(provider, browser, redeem):
    """A refresh token must be asked for."""
    _, answer = redeem(returned(browser(authorize_url(provider, scope="openid")))["code"])
    assert "refresh_token" not in answer


def test_revocation_ends_the_grant(tokens, post):
    """A revoked refresh token is dead, and revoking an unknown one is no error (RFC 7009)."""
    assert (200, {}) == post("revoke", token=tokens["refresh_token"])
    assert (200, {}) == post("revoke", token="unknown")
    assert (400, "invalid_grant") == refreshed(post, tokens["refresh_token"])


def test_a_client_with_a_secret_must_show_it(browser):
    """As a Google desktop client must."""
    with IdentityProvider(clients=[Client(client_id="desktop", secret="s3cret")]) as provider:
        form = {"client_id": "desktop", "grant_type": "refresh_token"}
        wrong = browser.open(f"{provider.issuer}/token", **form)
        right = browser.open(f"{provider.issuer}/token", client_secret="s3cret", **form)
    assert ["invalid_client", "invalid_grant"] == [json.loads(answer.text)["error"] for answer in (wrong, right)]


def test_the_device_flow_waits_for_the_person(provider, browser, post):
    """Pending, slow_down for haste, then tokens, once (RFC 8628)."""
    provider.device_interval = 5
    _, device = post("device_authorization", scope="openid")

    def poll(seconds):
        provider.clock_offset += timedelta(seconds=seconds)
        _, answer = post("token", grant_type=DEVICE_CODE, device_code=device["device_code"])
        return answer.get("error")

    assert ["authorization_pending", "slow_down"] == [poll(5), poll(2)]
    assert device["user_code"] in browser.open(device["verification_uri_complete"]).text
    assert (
        "signed in"
        in browser.open(device["verification_uri"], user_code=device["user_code"].lower(), user="grace").text
    )
    assert [None, "invalid_grant"] == [poll(11), poll(11)]


def test_the_device_flow_ends_with_a_no_or_with_time(provider, browser, post):
    """Refused is access_denied; ten minutes later it is expired_token; a wrong code is a page that says so."""
    _, refused = post("device_authorization")
    browser.open(refused["verification_uri"], user_code=refused["user_code"], user="")
    _, late = post("device_authorization")
    assert browser.open(late["verification_uri"], user_code="XXXX-XXXX", user="ada").status == 400
    assert "access_denied" == post("token", grant_type=DEVICE_CODE, device_code=refused["device_code"])[1]["error"]
    provider.clock_offset = timedelta(minutes=11)
    assert "expired_token" == post("token", grant_type=DEVICE_CODE, device_code=late["device_code"])[1]["error"]


def test_tokens_are_minted_to_order(provider):
    """A test gets the token it needs: other claims, none, another lifetime, another client."""
    token = provider.id_token("grace", client_id="other", lifetime=timedelta(seconds=7), email=None, groups=["a"])
    claims = jwt.decode(token, options={"verify_signature": False})
    assert ("other", 7, ["a"]) == (claims["aud"], claims["exp"] - claims["iat"], claims["groups"])
    assert "email" not in claims
    access = jwt.decode(provider.access_token("ada"), options={"verify_signature": False})
    assert ("notebook", False) == (access["client_id"], "aud" in access)


def test_a_forged_token_does_not_verify(provider):
    """It names this provider's key, and another has signed it."""
    key = jwt.PyJWKSet.from_dict(provider.jwks()).keys[0]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(provider.forged_id_token("ada"), key, audience="notebook")


def test_requests_are_counted_by_endpoint(provider, tokens):
    """A sign-in by somebody who posts the form at once is one request to each of two endpoints."""
    assert ["authorize", "token"] == [call.operation for call in provider.calls]
    assert (1, 0) == (provider.count("token"), provider.count("jwks"))


def test_the_clock_moves_the_tokens_and_the_date_header(provider, browser):
    """A provider that lives in the future issues tokens there."""
    provider.clock_offset = timedelta(hours=2)
    claims = jwt.decode(provider.id_token("ada"), options={"verify_signature": False})
    assert abs(claims["iat"] - provider.now().timestamp()) < 2
    date = browser.open(f"{provider.issuer}/jwks").headers["Date"]
    assert f"{provider.now():%a, %d %b %Y %H:}" == date[:20]


def test_answers_can_be_replaced_delayed_and_dropped(provider, browser):
    """Faults are served once each, in order, before the endpoint works again."""
    provider.inject("jwks", Fault(response=Response(status=503, body=b"down", headers={"Retry-After": "1"})))
    provider.inject("jwks", Fault(drop=True))
    provider.inject("jwks", Fault(delay=0.2))
    url = f"{provider.issuer}/jwks"
    answer = browser.open(url)
    assert (503, "1", "down") == (answer.status, answer.headers["Retry-After"], answer.text)
    with pytest.raises(ConnectionError):
        browser.open(url)
    assert browser.open(url).status == 200


def test_a_hanging_server_still_stops(browser):
    """Nothing is left behind: no thread, no port, whatever was under way."""
    before = threading.enumerate()
    provider = IdentityProvider()
    provider.start()
    provider.inject("jwks", Fault.hang())
    with pytest.raises(TimeoutError), urllib.request.urlopen(f"{provider.issuer}/jwks", timeout=0.2):
        pass
    provider.stop()
    with pytest.raises(urllib.error.URLError):
        browser.open(f"{provider.issuer}/jwks")
    assert not [thread for thread in threading.enumerate() if thread not in before]


def test_it_can_speak_tls():
    """For clients that insist on https, with a certificate that the test makes."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    with (
        IdentityProvider(tls=server) as provider,
        urllib.request.urlopen(f"{provider.issuer}/jwks", context=client) as answer,
    ):
        assert provider.issuer.startswith("https://127.0.0.1:")
        assert answer.status == 200
