from __future__ import annotations

import json

import boto3
import pytest

from jupyter_federation.demo.aws import Fault, OpaqueLogin, Response, Role
from jupyter_federation.errors import ConfigurationError, ExchangeError, InvalidTokenError
from jupyter_federation.exchange.cognito import CognitoExchange, CognitoSettings
from jupyter_federation.exchange.sts import StsSettings
from jupyter_federation.tokens import IdToken

POOL = "eu-west-1:00000000-0000-4000-8000-000000000001"
IDENTITY = "eu-west-1:00000000-0000-4000-8000-00000000000a"
ROLE = "arn:aws:iam::123456789012:role/R"
SAML = "arn:aws:iam::123456789012:saml-provider/Example"


def operations(aws):
    return [call.operation for call in aws.calls]


def test_the_enhanced_flow_sends_exactly_one_login_with_both_calls(aws, pool, provider, token, clients):
    """GetId, GetCredentialsForIdentity, nothing else; the logins are {key: token} to the letter, and unsigned."""
    credentials = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token)
    logins = {provider.issuer.removeprefix("http://"): str(token.raw)}
    asked, got = aws.calls
    assert {"IdentityPoolId": pool.id, "Logins": logins} == asked.parameters
    assert {"IdentityId": credentials.identity_id, "Logins": logins} == got.parameters
    assert ["GetId", "GetCredentialsForIdentity"] == operations(aws)
    assert [] == [call for call in aws.calls if "Authorization" in call.request.headers]


def test_the_credentials_work(aws, pool, token, clients):
    """What comes back signs requests as the pool's role, until the time that AWS said."""
    credentials = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token)
    sts = boto3.client(
        "sts",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
    )
    assert pool.authenticated_role.session_arn("CognitoIdentityCredentials") == sts.get_caller_identity()["Arn"]
    assert aws.keys[credentials.access_key_id].expires_at == credentials.expires_at


def test_a_known_identity_spares_get_id(aws, pool, token, clients):
    """The session hands the identity back, and a refresh is one call."""
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)
    first = exchange.exchange(token)
    aws.calls.clear()
    second = exchange.exchange(token, identity_id=first.identity_id)
    assert first.identity_id == second.identity_id
    assert ["GetCredentialsForIdentity"] == operations(aws)


def test_the_identity_of_the_settings_spares_get_id(aws, pool, token, clients):
    """Amplify's developerProvidedIdentityId: GetId is never asked."""
    known = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token).identity_id
    aws.calls.clear()
    settings = CognitoSettings(identity_pool_id=pool.id, identity_id=known)
    assert known == CognitoExchange(settings, clients).exchange(token).identity_id
    assert ["GetCredentialsForIdentity"] == operations(aws)


def test_the_identity_handed_in_outranks_the_one_set(aws, pool, token, clients):
    """The setting is where an exchange begins; what AWS answered since is what counts."""
    known = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token).identity_id
    settings = CognitoSettings(identity_pool_id=pool.id, identity_id=IDENTITY)
    CognitoExchange(settings, clients).exchange(token, identity_id=known)
    assert known == aws.calls[-1].parameters["IdentityId"]


def test_an_identity_that_aws_merged_is_adopted(aws, pool, token, guest, clients):
    """A guest's identity handed in by somebody who has one already: the answer's counts."""
    pool.unauthenticated_role = Role(name="Guest")
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)
    guests = CognitoExchange(CognitoSettings(identity_pool_id=pool.id, provider="guest"), clients)
    own = exchange.exchange(token).identity_id
    assert own == exchange.exchange(token, identity_id=guests.exchange(guest).identity_id).identity_id


def test_a_guest_sends_no_logins(aws, pool, guest, clients):
    """Not even an empty map."""
    pool.unauthenticated_role = Role(name="Guest")
    settings = CognitoSettings(identity_pool_id=pool.id, provider="guest")
    identity = CognitoExchange(settings, clients).exchange(guest).identity_id
    assert [{"IdentityPoolId": pool.id}, {"IdentityId": identity}] == [call.parameters for call in aws.calls]


def test_the_empty_token_is_no_guest_unless_asked_for(aws, pool, guest, clients):
    """Nobody becomes a guest silently."""
    with pytest.raises(ConfigurationError, match="provider"):
        CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(guest)
    assert [] == aws.calls


@pytest.mark.parametrize("provider_setting", [None, "developer", "cognito-identity.amazonaws.com"])
def test_a_developers_token_names_its_identity(aws, pool, clients, provider_setting):
    """GetId would refuse it; the identity is in its subject."""
    pool.developer_provider = "login.example.org"
    backend = boto3.client("cognito-identity", **aws.mint().for_boto3)
    issued = backend.get_open_id_token_for_developer_identity(
        IdentityPoolId=pool.id, Logins={"login.example.org": "ada"}
    )
    aws.calls.clear()
    settings = CognitoSettings(identity_pool_id=pool.id, provider=provider_setting)
    credentials = CognitoExchange(settings, clients).exchange(IdToken.parse(issued["Token"]), identity_id=IDENTITY)
    assert issued["IdentityId"] == credentials.identity_id
    assert ["GetCredentialsForIdentity"] == operations(aws)
    assert {"cognito-identity.amazonaws.com": issued["Token"]} == aws.calls[0].parameters["Logins"]


@pytest.mark.parametrize("subject", [None, "ada"])
def test_a_developers_token_without_an_identity_is_refused(aws, clients, unsigned, subject):
    """Its subject must be a Cognito identity."""
    token = unsigned(iss="https://cognito-identity.amazonaws.com", aud=POOL, sub=subject)
    with pytest.raises(InvalidTokenError, match="GetOpenIdTokenForDeveloperIdentity"):
        CognitoExchange(CognitoSettings(identity_pool_id=POOL), clients).exchange(token)
    assert [] == aws.calls


def test_a_developers_token_of_another_identity_is_refused(aws, clients, unsigned):
    """Two names for one thing, and they disagree."""
    token = unsigned(iss="https://cognito-identity.amazonaws.com", aud=POOL, sub=IDENTITY.replace("a", "b"))
    with pytest.raises(InvalidTokenError, match="identity_id"):
        CognitoExchange(CognitoSettings(identity_pool_id=POOL, identity_id=IDENTITY), clients).exchange(token)
    assert [] == aws.calls


@pytest.mark.parametrize(
    ("provider_setting", "key"), [("facebook", "graph.facebook.com"), ("amazon", "www.amazon.com"), (SAML, SAML)]
)
def test_opaque_tokens_go_through_as_they_are(aws, pool, clients, provider_setting, key):
    """Access tokens and assertions are nobody's business but AWS's."""
    pool.providers = (key,)
    aws.opaque_logins[key, "Atza|opaque"] = OpaqueLogin(subject="ada")
    settings = CognitoSettings(identity_pool_id=pool.id, provider=provider_setting)
    CognitoExchange(settings, clients).exchange(IdToken.parse("Atza|opaque"))
    assert [{key: "Atza|opaque"}] * 2 == [call.parameters["Logins"] for call in aws.calls]


def test_a_custom_role_is_asked_for(aws, pool, provider, clients):
    """One of the roles in a user pool's token, by CustomRoleArn."""
    role = Role(name="Analyst")
    aws.add(role)
    token = IdToken.parse(provider.id_token("ada", **{"cognito:roles": [role.arn]}))
    settings = CognitoSettings(identity_pool_id=pool.id, custom_role_arn=role.arn)
    credentials = CognitoExchange(settings, clients).exchange(token)
    assert role.session_arn("CognitoIdentityCredentials") == aws.keys[credentials.access_key_id].principal


def test_the_classic_flow_names_its_session_after_the_user(aws, pool, token, clients):
    """GetId, GetOpenIdToken, AssumeRoleWithWebIdentity; role, duration and name are the caller's."""
    pool.classic_flow = True
    role = pool.authenticated_role
    classic = StsSettings(role_arn=role.arn, duration_seconds=1800, policy="{}")
    settings = CognitoSettings(identity_pool_id=pool.id, role=classic)
    credentials = CognitoExchange(settings, clients).exchange(token)
    assert ["GetId", "GetOpenIdToken", "AssumeRoleWithWebIdentity"] == operations(aws)
    assert role.session_arn("ada@example.org") == credentials.assumed_role_arn
    assert aws.calls[1].parameters["IdentityId"] == credentials.identity_id
    sent = aws.calls[2].parameters
    assert ("1800", "{}") == (sent["DurationSeconds"], sent["Policy"])
    assert str(token.raw) != sent["WebIdentityToken"]


def test_the_classic_flow_takes_no_saml(aws, clients):
    """AWS's rule, said before any call."""
    settings = CognitoSettings(identity_pool_id=POOL, provider=SAML, role=StsSettings(role_arn=ROLE))
    with pytest.raises(ConfigurationError, match="enhanced"):
        CognitoExchange(settings, clients).exchange(IdToken.parse("assertion"))
    assert [] == aws.calls


@pytest.mark.parametrize("identity", [None, 7, "", "nonsense", "eu-west-1:0\r\n", "eu-west-1:" + "0" * 50])
def test_an_answer_without_an_identity_is_no_answer(aws, pool, token, clients, identity):
    """What GetId gives is sent back to AWS and kept: it must be an identity."""
    aws.inject("GetId", Fault(response=Response(body=json.dumps({"IdentityId": identity}).encode())))
    with pytest.raises(ExchangeError) as caught:
        CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token)
    assert caught.value.retryable
    assert "IdentityId" in str(caught.value)


def test_an_open_id_token_that_is_missing_is_no_answer(aws, pool, token, clients):
    """The classic flow's second step is checked too."""
    aws.inject("GetOpenIdToken", Fault(response=Response(body=b'{"Token": null}')))
    settings = CognitoSettings(identity_pool_id=pool.id, role=StsSettings(role_arn=ROLE))
    with pytest.raises(ExchangeError, match="GetOpenIdToken cannot be used: it holds no Token"):
        CognitoExchange(settings, clients).exchange(token)


def test_the_region_is_the_pools():
    """It stands at the start of the pool's id, and a setting outranks it."""
    assert "eu-west-1" == CognitoSettings(identity_pool_id=POOL).pool_region
    assert "us-east-2" == CognitoSettings(identity_pool_id=POOL, region="us-east-2").pool_region
