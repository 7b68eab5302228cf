from __future__ import annotations

import pytest

from jupyter_federation.demo.aws import OpaqueLogin
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.exchange.sts import StsExchange, StsSettings, session_name
from jupyter_federation.tokens import IdToken

ROLE = "arn:aws:iam::123456789012:role/R"


def test_one_unsigned_call_gives_a_session_named_after_the_user(aws, role, token, clients):
    """AssumeRoleWithWebIdentity with the token, and CloudTrail will read the e-mail address."""
    credentials = StsExchange(StsSettings(role_arn=role.arn), clients).exchange(token, identity_id="ignored")
    (call,) = aws.calls
    assert role.session_arn("ada@example.org") == credentials.assumed_role_arn
    assert (str(token.raw), role.arn, "ada@example.org") == (
        call.parameters["WebIdentityToken"],
        call.parameters["RoleArn"],
        call.parameters["RoleSessionName"],
    )
    assert set() == {"ProviderId", "Policy", "PolicyArns", "DurationSeconds"} & set(call.parameters)
    assert "Authorization" not in call.request.headers
    assert aws.keys[credentials.access_key_id].expires_at == credentials.expires_at
    assert credentials.identity_id is None


def test_what_is_set_is_sent(aws, role, token, clients):
    """Name, duration, policy and policy ARNs arrive under AWS's names."""
    settings = StsSettings(
        role_arn=role.arn, role_session_name="batch", duration_seconds=43_200, policy="{}", policy_arns=("a" * 20,)
    )
    StsExchange(settings, clients).exchange(token)
    sent = aws.calls[0].parameters
    assert ["batch", "43200", "{}", "a" * 20] == [
        sent[name] for name in ("RoleSessionName", "DurationSeconds", "Policy", "PolicyArns.member.1.arn")
    ]


@pytest.mark.parametrize(
    ("provider_setting", "provider_id"), [("amazon", "www.amazon.com"), ("facebook", "graph.facebook.com")]
)
def test_an_access_token_comes_with_its_provider(aws, role, clients, provider_setting, provider_id):
    """STS cannot tell whose an opaque token is: ProviderId says it."""
    role.trusts = {provider_id: ()}
    aws.opaque_logins[provider_id, "Atza|opaque"] = OpaqueLogin(subject="ada")
    settings = StsSettings(role_arn=role.arn, provider=provider_setting)
    StsExchange(settings, clients).exchange(IdToken.parse("Atza|opaque"))
    assert provider_id == aws.calls[0].parameters["ProviderId"]


@pytest.mark.parametrize("provider_setting", ["guest", "arn:aws:iam::123456789012:saml-provider/Example"])
def test_sts_takes_neither_guests_nor_assertions(aws, clients, guest, provider_setting):
    """A pool does; the sentence says so, and nothing is sent."""
    with pytest.raises(ConfigurationError, match="identity_pool_id"):
        StsExchange(StsSettings(role_arn=ROLE, provider=provider_setting), clients).exchange(guest)
    assert [] == aws.calls


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "ada@example.org", "sub": "1"}, "ada@example.org"),
        ({"preferred_username": "ada", "sub": "1"}, "ada"),
        ({"upn": "ada@corp.example.org"}, "ada@corp.example.org"),
        ({"name": "Ada, Countess of Lovelace"}, "Ada,-Countess-of-Lovelace"),
        ({"name": "José Núñez"}, "Jose-Nunez"),
        ({"email": "a" * 80 + "@example.org"}, "a" * 64),
        ({"sub": "x"}, "jupyter-federation"),
        ({"name": "愛達"}, "jupyter-federation"),
        ({"email": "ada@example.org\r\nX: y"}, "ada@example.org-X-y"),
        ({"iss": "https://login.example.org"}, "jupyter-federation"),
    ],
)
def test_a_session_name_has_only_what_aws_takes(unsigned, claims, name):
    """[\\w+=,.@-]{2,64}, as close to the person's name as that allows."""
    assert name == session_name(unsigned(**claims))


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_botocores_where_none_is_set(role, token, clients, monkeypatch, variable):
    """AWS_REGION is the SDKs' common name, AWS_DEFAULT_REGION is botocore's: both count."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv(variable, "eu-north-1")
    StsExchange(StsSettings(role_arn=role.arn), clients).exchange(token)
    assert [("sts", "eu-north-1")] == list(clients._process.clients)


def test_without_a_region_nothing_is_sent(aws, role, token, clients, monkeypatch):
    """The error names the setting."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigurationError, match="`region`"):
        StsExchange(StsSettings(role_arn=role.arn), clients).exchange(token)
    assert [] == aws.calls
