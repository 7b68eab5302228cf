"""What providers say in a redirect's place, in words from general knowledge; none was met live."""

from __future__ import annotations

import base64
import json
import time

import pytest

from jupyter_federation.demo.identity_provider import IdentityProvider
from jupyter_federation.demo.loopback import Fault, Response

GOOGLE = base64.urlsafe_b64encode(b"\n\x15redirect_uri_mismatch\x12\xb0\x01You can't sign in").decode().rstrip("=")


@pytest.fixture
def says(profile, provider, aws_environment, role, codes):
    """The codes where the authorization endpoint answers with a page, or a redirect to one of the provider's own."""
    profile(
        source="oidc",
        issuer=provider.issuer,
        client_id="notebook",
        role_arn=role.arn,
        region="eu-west-1",
        scopes=["email"],
    )

    def answer(status, text):
        headers = {"Location": text} if status in {302, 303} else {"Content-Type": "text/html"}
        body = b"" if "Location" in headers else f"<html><style>.not-invalid-client{{}}</style>{text}</html>".encode()
        provider.inject("authorize", Fault(response=Response(status=status, body=body, headers=headers)))
        return codes()

    return answer


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "<h1>We are sorry...</h1><p>Invalid parameter: redirect_uri</p>"),  # Keycloak
        (403, "<h1>Oops!, something went wrong</h1><b>Callback URL mismatch.</b>"),  # Auth0
        (400, "The &#39;redirect_uri&#39; parameter must be a Login redirect URI in the client app settings"),  # Okta
        (400, 'Bad Request: Unregistered redirect_uri ("http://127.0.0.1:8400/").'),  # Dex
        (302, "https://login.example.org/error?error=redirect_mismatch&client_id=notebook"),  # Cognito
        (302, f"https://accounts.google.com/signin/oauth/error?authError={GOOGLE}&client_id=notebook"),  # Google
    ],
)
def test_a_redirect_uri_that_it_does_not_know(says, status, text):
    """Named by its code."""
    assert ["redirect-uri-not-registered"] == says(status, text)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "<h1>We are sorry...</h1><p>Client not found.</p>"),  # Keycloak
        (400, "<b>Unknown client: notebook</b>"),  # Auth0
        (400, "Error 401: invalid_client. The OAuth client was not found."),  # Google
        (400, "Invalid client_id: redirect_uri=http://127.0.0.1:8400/"),
    ],
)
def test_a_client_that_it_does_not_know(says, status, text):
    """Even where the page repeats the redirect URI."""
    assert ["client-unknown"] == says(status, text)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "<form>Sign in</form>"),
        (302, "https://login.example.org/login?client_id=notebook&redirect_uri=http%3A%2F%2F127.0.0.1%3A8400%2F"),
        (302, "/interaction/abc?redirect_uri=not-invalid"),
        (429, "<p>Too many requests. Please wait, this is not an error of redirect_uri</p>"[:45]),
        (403, "<p>Your network is blocked.</p>"),
    ],
)
def test_what_says_nothing_of_either_is_no_accusation(says, status, text):
    """A login page, a gateway's refusal."""
    assert [] == says(status, text)


@pytest.mark.parametrize("page", ["<" * 210_000, "<script " * 30_000, "<script>" * 30_000, "redirect uri " * 20_000])
def test_a_page_that_is_made_to_be_slow_is_not(says, page):
    """It is gone through once: the pattern of a regular expression would begin anew at each character."""
    since = time.monotonic()
    assert [] == says(400, page)
    assert 5 > time.monotonic() - since


def test_what_a_script_says_is_not_said(says):
    """Before it and behind it the page goes on, also where it names itself in capitals."""
    assert [] == says(400, "<SCRIPT>invalid redirect_uri</SCRIPT >")
    assert ["redirect-uri-not-registered"] == says(400, "<script>x</script><p>invalid</p> redirect_uri<style>")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("login_required", None),
        ("interaction_required", None),
        ("invalid_request", None),
        ("invalid_scope", "scope-unknown"),
        ("unauthorized_client", "client-kind"),
    ],
)
def test_what_comes_back_to_the_redirect_uri(says, error, code):
    """Who comes back has a registered redirect URI, whatever else is wrong."""
    found = says(302, f"http://127.0.0.1:8400/?error={error}&state=s")
    assert ([] if code is None else [code]) == found


def test_a_device_code_needs_no_redirect_uri(profile, provider, aws_environment, role, codes):
    """Nothing is asked of the authorization endpoint then."""
    assert isinstance(provider, IdentityProvider)
    profile(
        source="oidc",
        issuer=provider.issuer,
        client_id="notebook",
        role_arn=role.arn,
        region="eu-west-1",
        use_device_code=True,
    )
    assert [] == codes()
    assert 0 == provider.count("authorize")


@pytest.mark.parametrize(
    ("said", "codes_found"),
    [
        ({"error": "unauthorized_client", "error_description": "Grant type refresh_token not allowed"}, []),
        ({"error": "invalid_grant"}, []),
        ({"error": "invalid_request", "error_description": "client_secret is missing."}, ["client-secret"]),
        ({"error": "invalid_client"}, ["client-secret"]),
    ],
)
def test_what_the_token_endpoint_says_of_a_refresh_token_that_is_none(says, provider, said, codes_found):
    """A client that may not renew is no client that wants a secret (Auth0); one that lacks its secret is (Google)."""
    provider.inject("token", Fault(response=Response(status=400, body=json.dumps(said).encode())))
    assert codes_found == says(200, "<form>Sign in</form>")
