from __future__ import annotations

import pytest

from jupyter_federation.errors import ConfigurationError, InvalidTokenError
from jupyter_federation.exchange.providers import logins_key
from jupyter_federation.tokens import IdToken

TENANT = "1f3c0f4e-0000-4000-8000-5d8e2b6a9c10"
SAML = "arn:aws:iam::123456789012:saml-provider/Example"


@pytest.mark.parametrize(
    ("provider", "issuer", "key"),
    [
        ("google", "https://accounts.google.com", "accounts.google.com"),
        ("google", "accounts.google.com", "accounts.google.com"),
        ("apple", "https://appleid.apple.com", "appleid.apple.com"),
        ("developer", "https://cognito-identity.amazonaws.com", "cognito-identity.amazonaws.com"),
        (
            "cognito-user-pool",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12",
            "cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12",
        ),
        (
            "cognito-user-pool",
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Ab12",
            "cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_Ab12",
        ),
        (
            "entra",
            f"https://login.microsoftonline.com/{TENANT}/v2.0",
            f"login.microsoftonline.com/{TENANT}/v2.0",
        ),
        ("entra", f"https://login.microsoftonline.us/{TENANT}/v2.0", f"login.microsoftonline.us/{TENANT}/v2.0"),
        ("oidc", "https://login.example.org/realms/x", "login.example.org/realms/x"),
        ("oidc", "https://example.eu.auth0.com/", "example.eu.auth0.com/"),
        (None, "https://accounts.google.com", "accounts.google.com"),
        (None, "https://example.eu.auth0.com/", "example.eu.auth0.com/"),
        (None, f"https://sts.windows.net/{TENANT}/", f"sts.windows.net/{TENANT}/"),
        ("login.example.org/realms/x", "https://login.example.org/realms/x", "login.example.org/realms/x"),
        ("https://login.example.org/realms/x", "https://login.example.org/realms/x", "login.example.org/realms/x"),
        ("https://example.eu.auth0.com", "https://example.eu.auth0.com/", "example.eu.auth0.com"),
        (
            "arn:aws:iam::123456789012:oidc-provider/login.example.org/x",
            "https://login.example.org/x",
            "login.example.org/x",
        ),
    ],
)
def test_a_jwt_goes_under_the_key_of_its_provider(unsigned, provider, issuer, key):
    """The key is fixed by the provider's name, follows from the issuer, or is taken verbatim without its scheme."""
    assert key == logins_key(unsigned(iss=issuer, aud="app", sub="1"), provider)


@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ("amazon", "www.amazon.com"),
        ("www.amazon.com", "www.amazon.com"),
        ("facebook", "graph.facebook.com"),
        (SAML, SAML),
        ("login.example.org", "login.example.org"),
    ],
)
def test_an_opaque_token_goes_under_the_key_that_is_named(provider, key):
    """Access tokens and assertions say nothing about themselves: the named provider decides."""
    assert key == logins_key(IdToken.parse("Atza|opaque"), provider)


def test_a_guest_has_no_key(guest):
    """A guest sends no token at all."""
    assert logins_key(guest, "guest") is None


@pytest.mark.parametrize(
    ("provider", "claims", "says"),
    [
        ("google", {"iss": "https://login.example.org"}, ["https://login.example.org", "accounts.google.com"]),
        ("developer", {"iss": "https://accounts.google.com"}, ["cognito-identity.amazonaws.com"]),
        ("entra", {"iss": "https://accounts.google.com"}, ["entra", "https://accounts.google.com"]),
        ("entra", {"iss": f"https://sts.windows.net/{TENANT}/"}, ["v1.0", "v2.0", f"sts.windows.net/{TENANT}/"]),
        ("cognito-user-pool", {"iss": "https://accounts.google.com"}, ["cognito-user-pool"]),
        ("login.example.org/a", {"iss": "https://login.example.org/b"}, ["login.example.org/a", "example.org/b"]),
        ("facebook", {"iss": "https://www.facebook.com"}, ["graph.facebook.com", "access token"]),
        ("amazon", {"iss": "https://www.amazon.com"}, ["www.amazon.com", "access token"]),
        (None, {"iss": "https://www.amazon.com"}, ["www.amazon.com", "access token"]),
        (SAML, {"iss": "https://login.example.org"}, [SAML, "SAML assertion"]),
        ("oidc", {"iss": "https://login.example.org", "aud": None}, ["access token", "aud", "id_token"]),
        ("google", {"iss": "https://accounts.google.com", "token_use": "access"}, ["access token", "id_token"]),
        (None, {"sub": "1"}, ["issuer", "id_token"]),
    ],
)
def test_a_jwt_that_plainly_does_not_fit_is_refused_here(unsigned, provider, claims, says):
    """A glance at the token spares a call, and the sentence names issuer and logins key."""
    with pytest.raises(InvalidTokenError) as caught:
        logins_key(unsigned(**{"aud": "app", **claims}), provider)
    assert [] == [word for word in says if word not in str(caught.value)]


@pytest.mark.parametrize("provider", ["google", "apple", "cognito-user-pool", "entra", "oidc", "accounts.google.com"])
def test_an_access_token_is_refused_where_an_id_token_belongs(provider):
    """Google's ya29 tokens and their like are no JWT, and AWS would not say so plainly."""
    with pytest.raises(InvalidTokenError, match="id_token"):
        logins_key(IdToken.parse("ya29.opaque"), provider)


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        (None, "--provider"),
        ("saml", "arn:aws:iam::ACCOUNT:saml-provider/NAME"),
        ("gogle", "Did you mean google?"),
        ("nonsense", "cognito-user-pool"),
        ("login.example.org/" + "x" * 128, "at most 128"),
    ],
)
def test_a_provider_that_says_too_little_is_a_configuration_error(provider, says):
    """A misspelt name gets the nearest one; `saml` alone does not say which."""
    with pytest.raises(ConfigurationError) as caught:
        logins_key(IdToken.parse("opaque"), provider)
    assert says in str(caught.value)
