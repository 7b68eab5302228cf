"""The embedded AWS refuses what AWS refuses, in AWS's words, and boto3 understands it."""

import io
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from jupyter_federation.demo.aws import (
    COGNITO,
    EmbeddedAws,
    Fault,
    IdentityPool,
    OpaqueLogin,
    OpenIdProvider,
    Response,
    Role,
)

NO_RETRIES = Config(retries={"total_max_attempts": 1})
SAML = "arn:aws:iam::123456789012:saml-provider/University"


@pytest.fixture(scope="module")
def session():
    """One for all tests: its first clients take 50 ms each to describe their services."""
    return boto3.Session(region_name="eu-west-1")


@pytest.fixture
def client(aws, session):
    """``client(service, key)``: a boto3 client that talks to the embedded AWS, with ``key`` or unsigned."""

    def client(service, key=None, **config):
        keys = key.for_boto3 if key else {}
        return session.client(service, endpoint_url=aws.url, config=NO_RETRIES.merge(Config(**config)), **keys)

    return client


@pytest.fixture
def cognito(client):
    return client("cognito-identity")


@pytest.fixture
def sts(client):
    return client("sts")


def refusal(call, **parameters):
    """Code and message of the ClientError that ``call`` raises."""
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def not_authorized(message):
    return "NotAuthorizedException", message


# Cognito Identity.


def test_the_enhanced_flow_gives_working_keys_for_an_hour(aws, provider, pool, cognito, client):
    """GetId and GetCredentialsForIdentity, then a signed call as the pool's role."""
    logins = {pool.providers[0]: provider.id_token("ada")}
    identity_id = cognito.get_id(IdentityPoolId=pool.id, Logins=logins)["IdentityId"]
    answer = cognito.get_credentials_for_identity(IdentityId=identity_id, Logins=logins)
    given = answer["Credentials"]
    assert abs(given["Expiration"] - datetime.now(timezone.utc) - timedelta(hours=1)) < timedelta(seconds=5)
    assert ("ASIA", 20, 40) == (given["AccessKeyId"][:4], len(given["AccessKeyId"]), len(given["SecretKey"]))
    key = aws.keys[given["AccessKeyId"]]
    assert (identity_id, identity_id) == (answer["IdentityId"], key.identity_id)
    arn = "arn:aws:sts::123456789012:assumed-role/PoolUser/CognitoIdentityCredentials"
    assert arn == client("sts", key).get_caller_identity()["Arn"]


def test_an_identity_belongs_to_pool_and_person(aws, provider, pool, cognito):
    """The same login gives the same identity each time; another person or another pool gives another."""
    key = pool.providers[0]
    other_pool = IdentityPool(providers=pool.providers)
    aws.add(other_pool)

    def identity(user, pool):
        return cognito.get_id(IdentityPoolId=pool.id, Logins={key: provider.id_token(user)})["IdentityId"]

    assert identity("ada", pool) == identity("ada", pool)
    assert 3 == len({identity("ada", pool), identity("grace", pool), identity("ada", other_pool)})


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (lambda p: p.access_token("ada"), "Invalid login token. Missing a required claim: aud"),
        (lambda p: p.forged_id_token("ada"), "Invalid login token. Couldn't verify signed token."),
        (lambda p: p.id_token("ada", client_id="other"), "Invalid login token. Incorrect token audience."),
        (lambda p: p.id_token("ada", azp="other"), "Invalid login token. Incorrect token audience."),
        (
            lambda p: p.id_token("ada", iss="https://elsewhere"),
            "Invalid login token. Issuer doesn't match providerName",
        ),
        (lambda _: "opaque", "Invalid login token. Not a valid OpenId Connect identity token."),
    ],
    ids=["access token", "forged", "audience", "azp", "issuer", "opaque"],
)
def test_a_token_that_does_not_fit_is_refused(provider, pool, cognito, token, message):
    """Each misuse has AWS's own sentence."""
    given = {pool.providers[0]: token(provider)}
    assert not_authorized(message) == refusal(cognito.get_id, IdentityPoolId=pool.id, Logins=given)


def test_an_expired_token_is_refused_after_five_minutes_of_grace(provider, pool, cognito):
    """Four minutes past its expiry a token is still taken, six minutes past it is not."""

    def past(minutes):
        return {pool.providers[0]: provider.id_token("ada", lifetime=timedelta(minutes=-minutes))}

    assert cognito.get_id(IdentityPoolId=pool.id, Logins=past(4))["IdentityId"]
    code, message = refusal(cognito.get_id, IdentityPoolId=pool.id, Logins=past(6))
    now, exp = message.removeprefix("Invalid login token. Token expired: ").split(" >= ")
    assert ("NotAuthorizedException", True) == (code, 355 < int(now) - int(exp) < 365)


def test_a_token_without_claims_is_looked_up(aws, pool, cognito):
    """Facebook's token is an identity while the table says so, and expired or unknown otherwise."""
    pool.providers += ("graph.facebook.com",)
    aws.opaque_logins["graph.facebook.com", "good"] = OpaqueLogin(subject="fb-1")
    aws.opaque_logins["graph.facebook.com", "old"] = OpaqueLogin(subject="fb-1", expires_at=aws.now())

    def get_id(token):
        return {"IdentityPoolId": pool.id, "Logins": {"graph.facebook.com": token}}

    assert cognito.get_id(**get_id("good"))["IdentityId"]
    assert not_authorized("Invalid login token. Token is expired.") == refusal(cognito.get_id, **get_id("old"))
    assert not_authorized("Invalid login token.") == refusal(cognito.get_id, **get_id("bad"))


def test_a_saml_assertion_is_looked_up(aws, pool, cognito):
    """The logins key is the ARN of the SAML provider."""
    pool.providers += (SAML,)
    aws.opaque_logins[SAML, "PHNhbWw+"] = OpaqueLogin(subject="urn:ada")
    assert cognito.get_id(IdentityPoolId=pool.id, Logins={SAML: "PHNhbWw+"})["IdentityId"]


def test_a_provider_that_the_pool_does_not_have_is_refused(provider, pool, cognito):
    """Also where the key is the issuer with its scheme, the mistake that people make."""
    logins = {provider.issuer: provider.id_token("ada")}
    message = "Token is not from a supported provider of this identity pool."
    assert not_authorized(message) == refusal(cognito.get_id, IdentityPoolId=pool.id, Logins=logins)


def test_a_user_pools_token_for_another_client_is_refused_in_its_own_words(aws, provider, pool, cognito):
    """A wrong app client of a user pool is called an unsupported provider, as AWS calls it."""
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example"
    aws.add(OpenIdProvider(issuer=issuer, client_ids=("app",), keys=provider.jwks))
    pool.providers += (issuer.removeprefix("https://"),)

    def get_id(client):
        token = provider.id_token("ada", iss=issuer, client_id=client)
        return {"IdentityPoolId": pool.id, "Logins": {pool.providers[-1]: token}}

    assert cognito.get_id(**get_id("app"))["IdentityId"]
    message = "Token is not from a supported provider of this identity pool."
    assert not_authorized(message) == refusal(cognito.get_id, **get_id("notebook"))


def test_unknown_and_malformed_ids_are_refused(cognito):
    """Pools and identities that are not there, and ids that are none."""
    nowhere = "eu-west-1:00000000-0000-0000-0000-000000000000"
    assert ("ResourceNotFoundException", f"IdentityPool '{nowhere}' not found.") == refusal(
        cognito.get_id, IdentityPoolId=nowhere
    )
    assert ("ResourceNotFoundException", f"Identity '{nowhere}' not found.") == refusal(
        cognito.get_credentials_for_identity, IdentityId=nowhere
    )
    assert "ValidationException" == refusal(cognito.get_id, IdentityPoolId="no pool")[0]


def test_ten_logins_are_the_most(pool, cognito):
    """An eleventh is a validation error."""
    logins = {f"provider-{n}": "token" for n in range(11)}
    code, message = refusal(cognito.get_id, IdentityPoolId=pool.id, Logins=logins)
    assert ("ValidationException", True) == (code, "less than or equal to 10" in message)


def test_guests_are_taken_only_where_the_pool_takes_them(aws, pool, cognito):
    """Each guest is a new identity, and a pool without a role for guests has none."""
    message = "Unauthenticated access is not supported for this identity pool."
    assert not_authorized(message) == refusal(cognito.get_id, IdentityPoolId=pool.id)
    pool.unauthenticated_role = Role(name="Guest")
    guests = [cognito.get_id(IdentityPoolId=pool.id)["IdentityId"] for _ in range(2)]
    keys = cognito.get_credentials_for_identity(IdentityId=guests[0])["Credentials"]
    assert guests[0] != guests[1]
    assert "assumed-role/Guest/" in aws.keys[keys["AccessKeyId"]].principal


def test_a_guest_who_signs_in_keeps_the_identity_unless_the_person_has_one(provider, pool, cognito):
    """The new login joins the guest's identity; somebody known gets their own id in the answer."""
    pool.unauthenticated_role = Role(name="Guest")
    guests = [cognito.get_id(IdentityPoolId=pool.id)["IdentityId"] for _ in range(2)]
    logins = {pool.providers[0]: provider.id_token("ada")}
    for guest in guests:
        answer = cognito.get_credentials_for_identity(IdentityId=guest, Logins=logins)
        assert guests[0] == answer["IdentityId"]


def test_an_identity_needs_its_own_login(provider, pool, cognito):
    """Without logins it is forbidden, and somebody else's do not match."""
    key = pool.providers[0]
    identity = cognito.get_id(IdentityPoolId=pool.id, Logins={key: provider.id_token("ada")})["IdentityId"]
    get = cognito.get_credentials_for_identity
    assert not_authorized(f"Access to Identity '{identity}' is forbidden.") == refusal(get, IdentityId=identity)
    message = "Logins don't match. Please include at least one valid login for this identity or identity pool."
    assert not_authorized(message) == refusal(get, IdentityId=identity, Logins={key: provider.id_token("grace")})


def test_a_custom_role_must_stand_in_the_token(aws, provider, pool, cognito, role):
    """``cognito:roles`` names what may be asked for."""
    key = pool.providers[0]

    def ask(**claims):
        logins = {key: provider.id_token("ada", **claims)}
        identity = cognito.get_id(IdentityPoolId=pool.id, Logins=logins)["IdentityId"]
        return {"IdentityId": identity, "Logins": logins, "CustomRoleArn": role.arn}

    keys = cognito.get_credentials_for_identity(**ask(**{"cognito:roles": [role.arn]}))["Credentials"]
    assert "assumed-role/Researcher/" in aws.keys[keys["AccessKeyId"]].principal
    assert "NotAuthorizedException" == refusal(cognito.get_credentials_for_identity, **ask())[0]


def test_a_pool_without_a_role_says_so(provider, pool, cognito):
    """The pool's configuration is at fault, not the person."""
    pool.authenticated_role = None
    logins = {pool.providers[0]: provider.id_token("ada")}
    identity = cognito.get_id(IdentityPoolId=pool.id, Logins=logins)["IdentityId"]
    code, _ = refusal(cognito.get_credentials_for_identity, IdentityId=identity, Logins=logins)
    assert "InvalidIdentityPoolConfigurationException" == code


def test_the_classic_flow_must_be_enabled_and_leads_to_sts(provider, pool, cognito, sts):
    """GetOpenIdToken's token is taken by a role that trusts the pool, and by no other."""
    logins = {pool.providers[0]: provider.id_token("ada")}
    identity = cognito.get_id(IdentityPoolId=pool.id, Logins=logins)["IdentityId"]
    given = {"IdentityId": identity, "Logins": logins}
    message = "Basic (classic) flow is not enabled, please use enhanced flow."
    assert ("InvalidParameterException", message) == refusal(cognito.get_open_id_token, **given)
    pool.classic_flow = True
    token = cognito.get_open_id_token(**given)["Token"]
    assume = {"RoleArn": pool.authenticated_role.arn, "RoleSessionName": "ada", "WebIdentityToken": token}
    assert identity == sts.assume_role_with_web_identity(**assume)["SubjectFromWebIdentityToken"]
    pool.authenticated_role.trusts = {COGNITO: ("eu-west-1:another-pool",)}
    assert "AccessDenied" == refusal(sts.assume_role_with_web_identity, **assume)[0]


def test_a_developers_token_leads_to_keys_but_not_through_get_id(aws, pool, client, cognito):
    """The backend's signed call gives identity and token; GetId does not take the token, the rest does."""
    pool.developer_provider = "login.example"
    backend = client("cognito-identity", aws.mint())
    given = backend.get_open_id_token_for_developer_identity(IdentityPoolId=pool.id, Logins={"login.example": "ada"})
    logins = {COGNITO: given["Token"]}
    message = "Invalid login token. Can't pass in a Cognito token."
    assert not_authorized(message) == refusal(cognito.get_id, IdentityPoolId=pool.id, Logins=logins)
    answer = cognito.get_credentials_for_identity(IdentityId=given["IdentityId"], Logins=logins)
    assert given["IdentityId"] == answer["IdentityId"]


def test_the_backends_call_must_be_signed(pool, client):
    """Cognito's one signed call is refused without a key, and with one that is not known."""
    pool.developer_provider = "login.example"
    given = {"IdentityPoolId": pool.id, "Logins": {"login.example": "ada"}}
    stranger = EmbeddedAws().mint()
    code, _ = refusal(client("cognito-identity", stranger).get_open_id_token_for_developer_identity, **given)
    assert "UnrecognizedClientException" == code


# STS.


@pytest.fixture
def assume(provider, role):
    """The parameters of AssumeRoleWithWebIdentity for ada, with changes."""

    def assume(**changes):
        return {
            "RoleArn": role.arn,
            "RoleSessionName": "ada@example.org",
            "WebIdentityToken": provider.id_token("ada"),
        } | changes

    return assume


def test_a_web_identity_becomes_a_role_session_named_after_the_person(aws, assume, sts, client):
    """Subject, audience and session come back, and the keys live as long as was asked."""
    answer = sts.assume_role_with_web_identity(**assume(DurationSeconds=7200, Policy="{}"))
    arn = "arn:aws:sts::123456789012:assumed-role/Researcher/ada@example.org"
    assert ("10f2c1d4-ada", "notebook") == (answer["SubjectFromWebIdentityToken"], answer["Audience"])
    assert arn == answer["AssumedRoleUser"]["Arn"]
    key = aws.keys[answer["Credentials"]["AccessKeyId"]]
    assert answer["Credentials"]["Expiration"] == key.expires_at
    assert timedelta(seconds=7195) < key.expires_at - aws.now() <= timedelta(seconds=7200)
    assert arn == client("sts", key).get_caller_identity()["Arn"]
    assert "{}" == aws.calls[0].parameters["Policy"]


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (lambda p: p.access_token("ada"), "InvalidIdentityToken"),
        (lambda p: p.forged_id_token("ada"), "InvalidIdentityToken"),
        (lambda p: p.id_token("ada", client_id="other"), "InvalidIdentityToken"),
        (lambda p: p.id_token("ada", iss="https://elsewhere"), "InvalidIdentityToken"),
        (lambda p: p.id_token("ada", lifetime=timedelta(minutes=-6)), "ExpiredTokenException"),
        (lambda _: "opaque", "InvalidIdentityToken"),
    ],
    ids=["access token", "forged", "audience", "issuer", "expired", "opaque"],
)
def test_sts_refuses_a_token_that_does_not_fit(provider, assume, sts, token, code):
    """By AWS's codes."""
    assert code == refusal(sts.assume_role_with_web_identity, **assume(WebIdentityToken=token(provider)))[0]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/Nobody"}, "AccessDenied"),
        ({"RoleSessionName": "ada lovelace"}, "ValidationError"),
        ({"RoleSessionName": "a" * 65}, "ValidationError"),
        ({"DurationSeconds": 43_201}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"WebIdentityToken": "x" * 20_001}, "ValidationError"),
    ],
)
def test_sts_validates_its_parameters(assume, sts, changes, code):
    """Roles, names, durations, policies and lengths have AWS's limits."""
    with pytest.raises(ClientError) as raised:
        sts.assume_role_with_web_identity(**assume(**changes))
    assert code == raised.value.response["Error"]["Code"]


def test_a_role_has_a_longest_session(assume, sts, role):
    """Beyond it, AWS names the setting."""
    role.longest_session = timedelta(hours=1)
    message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert ("ValidationError", message) == refusal(sts.assume_role_with_web_identity, **assume(DurationSeconds=3601))


def test_the_trust_policy_names_audiences(assume, sts, role, provider):
    """A token for a registered client is still refused by a role that trusts another one."""
    role.trusts = {provider.issuer.partition("://")[2]: ("other",)}
    message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    assert ("AccessDenied", message) == refusal(sts.assume_role_with_web_identity, **assume())


def test_keys_that_cannot_be_fetched_are_the_providers_fault(aws, assume, sts, provider):
    """IDPCommunicationError, until the provider answers again."""
    provider.inject("discovery", Fault(response=Response(status=503)))
    assert "IDPCommunicationError" == refusal(sts.assume_role_with_web_identity, **assume())[0]
    assert sts.assume_role_with_web_identity(**assume())["Credentials"]


# Session tags, and what a role gives by them.

TAGS = "https://aws.amazon.com/tags"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def assume_with(assume, provider, sts):
    """``assume_with(claims=…)``: ada's token with these claims becomes a session; the answer."""

    def assume_with(claims):
        return sts.assume_role_with_web_identity(**assume(WebIdentityToken=provider.id_token("ada", **claims)))

    return assume_with


@pytest.fixture
def own_prefix(role, client, aws):
    """The role gives each person a prefix of one bucket; both prefixes hold a note."""
    role.tags_sessions, role.needs_tag, role.objects = True, "person", "shelf/${aws:PrincipalTag/person}/"
    s3 = client("s3", aws.mint())
    s3.create_bucket(Bucket="shelf", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for person in ("ada", "grace"):
        s3.put_object(Bucket="shelf", Key=f"{person}/note", Body=person.encode())
    return "shelf"


@pytest.mark.parametrize(
    "claims",
    [
        {TAGS: {"principal_tags": {"person": ["ada"], "team": ["birds"]}, "transitive_tag_keys": ["person"]}},
        {f"{TAGS}/principal_tags/person": "ada"},
    ],
    ids=["one claim", "a claim for each"],
)
def test_a_session_tag_opens_one_prefix(aws, assume_with, client, own_prefix, claims):
    """Read, written and listed there; everywhere else, and in every other service, AccessDenied."""
    key = aws.keys[assume_with(claims)["Credentials"]["AccessKeyId"]]
    s3 = client("s3", key)
    own, other = {"Bucket": own_prefix, "Key": "ada/note"}, {"Bucket": own_prefix, "Key": "grace/note"}
    s3.put_object(**own, Body=b"mine")
    s3.copy_object(Bucket=own_prefix, Key="ada/copy", CopySource=own)
    assert b"mine" == s3.get_object(Bucket=own_prefix, Key="ada/copy")["Body"].read()
    listed = s3.list_objects_v2(Bucket=own_prefix, Prefix="ada/")["Contents"]
    assert ["ada/copy", "ada/note"] == [each["Key"] for each in listed]
    refused = [
        refusal(s3.get_object, **other),
        refusal(s3.get_object, Bucket=own_prefix, Key="ada"),
        refusal(s3.put_object, **other, Body=b""),
        refusal(s3.delete_object, **other),
        refusal(s3.copy_object, Bucket=own_prefix, Key="ada/copy", CopySource=other),
        refusal(s3.delete_objects, Bucket=own_prefix, Delete={"Objects": [{"Key": "grace/note"}]}),
        refusal(s3.list_objects_v2, Bucket=own_prefix),
        refusal(s3.list_objects_v2, Bucket=own_prefix, Prefix="grace/"),
        refusal(s3.get_bucket_acl, Bucket=own_prefix),
        refusal(s3.list_buckets),
        refusal(s3.create_bucket, Bucket="ada"),
        refusal(client("dynamodb", key).list_tables),
    ]
    assert {"AccessDenied", "AccessDeniedException"} >= {code for code, _ in refused}
    assert "NoSuchKey" == refusal(s3.get_object, Bucket=own_prefix, Key="ada/../grace/note")[0]


@pytest.mark.parametrize(
    ("method", "query", "headers", "body", "expected"),
    [
        ("GET", "prefix=grace%2F&prefix=ada%2F", {}, b"", 400),
        ("GET", "prefix=grace%2F", {"X-Amz-Target": "x.s3:GET"}, b'{"prefix": "ada/"}', 403),
        ("GET", "prefix=grace%2F", {"Content-Type": FORM}, b"prefix=ada/", 403),
        ("GET", "uploads&prefix=ada%2F", {"Content-Type": FORM}, b"prefix=grace/", 403),
        ("DELETE", "Action=s3%3AGET&prefix=ada%2F", {}, b"", 403),
        ("GET", "prefix=ada%2F", {"X-Amz-Target": "AWSCognitoIdentityService.GetId"}, b"", 200),
    ],
    ids=["twice", "a target", "a form", "a form for moto", "an action", "a target of another service"],
)
def test_no_second_way_to_say_it_goes_round_the_prefix(  # noqa: PLR0917 - the parts of a request
    aws, assume_with, client, own_prefix, method, query, headers, body, expected
):
    """What S3 is asked for stands in method, path and query, each once; what is said elsewhere opens nothing."""
    claims = {f"{TAGS}/principal_tags/person": "ada"}
    key = aws.keys[assume_with(claims)["Credentials"]["AccessKeyId"]]
    client("s3", aws.mint()).create_multipart_upload(Bucket=own_prefix, Key="grace/upload")
    request = AWSRequest(method, f"{aws.url}/{own_prefix}?{query}", headers, body)
    S3SigV4Auth(Credentials(key.access_key_id, key.secret_access_key, key.session_token), "s3", "eu-west-1").add_auth(
        request
    )
    sent = urllib.request.Request(request.url, body or None, dict(request.headers), method=method)
    try:
        with urllib.request.urlopen(sent, timeout=5) as answer:
            status, said = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, said = error.code, error.read()
    assert (expected, False) == (status, b"grace" in said)
    assert b"grace" == client("s3", aws.mint()).get_object(Bucket=own_prefix, Key="grace/note")["Body"].read()


def test_no_tag_opens_nothing(aws, assume_with, client, role, own_prefix):
    """Where the role insists on it, no session, nor with one of another form, or more; where it does not, a variable
    without a value fits nothing."""
    message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    for claims in ({}, {TAGS: {"principal_tags": {"person": [""]}}}):
        assert ("AccessDenied", message) == refusal(assume_with, claims=claims)
    role.without_slash, role.only_tags = True, ("person",)
    for tags in ({"person": ["ada/x"]}, {"person": ["ada"], "team": ["birds"]}):
        assert ("AccessDenied", message) == refusal(assume_with, claims={TAGS: {"principal_tags": tags}})
    assert assume_with({TAGS: {"principal_tags": {"person": ["ada"]}}})
    role.needs_tag = None
    s3 = client("s3", aws.keys[assume_with({})["Credentials"]["AccessKeyId"]])
    assert "AccessDenied" == refusal(s3.get_object, Bucket=own_prefix, Key="ada/note")[0]
    assert "AccessDenied" == refusal(s3.list_objects_v2, Bucket=own_prefix, Prefix="")[0]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({TAGS: {"principal_tags": {"person": "ada"}}}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"person": ["ada", "grace"]}}}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"person": [7]}}}, "InvalidIdentityToken"),
        ({TAGS: ["person"]}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"person": ["*"]}}}, "ValidationError"),
        ({TAGS: {"principal_tags": {"person": ["auth0|ada"]}}}, "ValidationError"),
        ({TAGS: {"principal_tags": {"person": ["a" * 257]}}}, "ValidationError"),
    ],
)
def test_session_tags_have_a_form(assume_with, own_prefix, claims, code):
    """A list of one text for each tag, of letters, digits and a few signs, of 256 characters at most."""
    assert code == refusal(assume_with, claims=claims)[0]


def test_a_role_that_trusts_no_tags_refuses_them(assume_with):
    """Without sts:TagSession in its trust policy."""
    refused = refusal(assume_with, claims={TAGS: {"principal_tags": {"person": ["ada"]}}})
    assert ("AccessDenied", "Not authorized to perform sts:TagSession") == refused


def test_a_forged_tag_is_no_tag(provider, assume, sts, own_prefix):
    """It is read in a token whose signature has been verified."""
    token = provider.forged_id_token("ada", **{TAGS: {"principal_tags": {"person": ["grace"]}}})
    assert "InvalidIdentityToken" == refusal(sts.assume_role_with_web_identity, **assume(WebIdentityToken=token))[0]


@pytest.fixture
def enter_pool(pool, cognito, provider):
    """The parameters of GetCredentialsForIdentity for ada."""
    logins = {pool.providers[0]: provider.id_token("ada", sub="ada")}
    return {"IdentityId": cognito.get_id(IdentityPoolId=pool.id, Logins=logins)["IdentityId"], "Logins": logins}


def test_an_identity_pool_makes_tags_of_claims(aws, pool, cognito, client, enter_pool):
    """As it is told, for providers that know nothing of AWS; its role has to trust them."""
    pool.principal_tags = {"person": "sub"}
    refused = refusal(cognito.get_credentials_for_identity, **enter_pool)
    assert "InvalidIdentityPoolConfigurationException" == refused[0]
    role = pool.authenticated_role
    role.tags_sessions, role.needs_tag, role.objects = True, "person", "shelf/${aws:PrincipalTag/person}/"
    answer = cognito.get_credentials_for_identity(**enter_pool)
    s3 = client("s3", aws.keys[answer["Credentials"]["AccessKeyId"]])
    assert "NoSuchBucket" == refusal(s3.get_object, Bucket="shelf", Key="ada/note")[0]
    assert "AccessDenied" == refusal(s3.get_object, Bucket="shelf", Key="grace/note")[0]


def test_a_role_can_be_assumed_from_a_role_for_an_hour(aws, client):
    """Where it trusts the first role; chaining has AWS's own limit."""
    first, second = Role(name="First"), Role(name="Second", longest_session=timedelta(hours=12))
    aws.add(first, second)
    sts = client("sts", aws.mint(first.session_arn("ada")))
    given = {"RoleArn": second.arn, "RoleSessionName": "ada"}
    assert "AccessDenied" == refusal(sts.assume_role, **given)[0]
    second.principals = (first.arn,)
    assert second.session_arn("ada") == sts.assume_role(**given)["AssumedRoleUser"]["Arn"]
    code, message = refusal(sts.assume_role, DurationSeconds=3601, **given)
    assert ("ValidationError", True) == (code, "role chaining" in message)


# Signatures.


@pytest.fixture
def bucket(aws, client):
    """A bucket with nothing in it."""
    client("s3", aws.mint()).create_bucket(
        Bucket="shelf", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    aws.calls.clear()
    return "shelf"


@pytest.mark.parametrize(
    ("damage", "codes"),
    [
        (
            lambda k, _: replace(k, access_key_id="ASIAUNKNOWN"),
            ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"),
        ),
        (
            lambda k, _: replace(k, session_token="IQoJ"),
            ("InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException"),
        ),
        (
            lambda k, _: replace(k, secret_access_key="x"),
            ("SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"),
        ),
        (
            lambda _, aws: aws.mint(lifetime=timedelta(seconds=-1)),
            ("ExpiredToken", "ExpiredToken", "ExpiredTokenException"),
        ),
    ],
    ids=["unknown key", "wrong token", "wrong secret", "expired"],
)
def test_a_bad_key_is_refused_in_each_services_words(aws, client, damage, codes):
    """S3, STS and DynamoDB each have their own code for the same fault."""
    key = damage(aws.mint(), aws)
    calls = (
        client("s3", key).list_buckets,
        client("sts", key).get_caller_identity,
        client("dynamodb", key).list_tables,
    )
    assert codes == tuple(refusal(call)[0] for call in calls)
    assert codes == tuple(call.error for call in aws.calls)


def test_an_unsigned_request_is_refused(aws):
    """Anonymous access there is none."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{aws.url}/shelf/key", timeout=5)
    with raised.value as answer:
        assert (403, True) == (answer.status, b"<Code>AccessDenied</Code>" in answer.read())


def test_a_clock_that_is_off_is_refused(aws, client):
    """Fifteen minutes either way are taken, more are not."""
    s3 = client("s3", aws.mint(lifetime=timedelta(hours=9)))
    aws.clock_offset = timedelta(minutes=14)
    assert [] == s3.list_buckets()["Buckets"]
    aws.clock_offset = timedelta(minutes=16)
    assert "RequestTimeTooSkewed" == refusal(s3.list_buckets)[0]


def test_what_was_signed_cannot_be_changed(aws, bucket):
    """Another body, path, query or header than the signed one breaks the signature."""
    key = aws.mint()

    def put(change):
        request = AWSRequest("PUT", f"{aws.url}/{bucket}/a", {"x-amz-meta-a": "1"}, b"body", params={"x": "1"})
        credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token)
        S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
        sent = change(urllib.request.Request(request.url + "?x=1", request.body, dict(request.headers), method="PUT"))
        try:
            with urllib.request.urlopen(sent, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.status

    def with_header(name, value):
        return lambda r: (r.add_header(name, value), r)[1]

    def with_url(old, new):
        return lambda r: (setattr(r, "full_url", r.full_url.replace(old, new)), r)[1]

    assert 200 == put(lambda r: r)
    changes = (
        lambda r: (setattr(r, "data", b"b0dy"), r)[1],
        with_url("/a?", "/b?"),
        with_url("x=1", "x=2"),
        with_header("X-Amz-Meta-A", "2"),
        with_header("X-Amz-Meta-Unsigned", "1"),
    )
    assert [403] * 5 == [put(change) for change in changes]


@pytest.mark.parametrize(
    "config",
    [{}, {"request_checksum_calculation": "when_required"}, {"s3": {"payload_signing_enabled": False}}],
    ids=["checksum", "no checksum", "unsigned payload"],
)
def test_objects_go_up_and_down(aws, client, bucket, config):
    """Keys that need escaping, empty and larger bodies, managed and multipart uploads, with boto3's checksums."""
    s3 = client("s3", aws.mint(), **config)
    key, large = "a dir/ü+c~d=é&?.bin", bytes(range(256)) * 40_000
    s3.put_object(Bucket=bucket, Key=key, Body=b"hello", Metadata={"note": "two  blanks"})
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    s3.upload_fileobj(io.BytesIO(large), bucket, "large")
    assert b"hello" == s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert large == s3.get_object(Bucket=bucket, Key="large")["Body"].read()
    assert len(large) == s3.head_object(Bucket=bucket, Key="large")["ContentLength"]
    assert [key] == [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="a dir/")["Contents"]]
    assert {"empty", "large", key} == {o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert "404" == refusal(s3.head_object, Bucket=bucket, Key=key)[0]


def test_a_body_in_chunks_is_taken(aws, client, bucket):
    """aws-chunked with a trailing checksum, as boto3 sends it over TLS and other SDKs always."""
    key = aws.mint()
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    headers = {
        "Content-Type": "text/plain",
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": "5",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    request = AWSRequest("PUT", f"{aws.url}/{bucket}/chunked", headers, body)
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token)
    S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
    sent = urllib.request.Request(request.url, body, dict(request.headers), method="PUT")
    with urllib.request.urlopen(sent, timeout=5) as answer:
        assert 200 == answer.status
    assert b"hello" == client("s3", key).get_object(Bucket=bucket, Key="chunked")["Body"].read()
    assert "STREAMING-UNSIGNED-PAYLOAD-TRAILER" == request.headers["X-Amz-Content-SHA256"]


def test_a_presigned_url_works_until_it_lapses(aws, client, bucket):
    """For GET and PUT, without a header; then it is refused, and so is a changed one."""
    s3 = client("s3", aws.mint(lifetime=timedelta(hours=2)), signature_version="s3v4")
    target = {"Bucket": bucket, "Key": "a b"}

    def fetch(url, data=None, method="GET"):
        try:
            request = urllib.request.Request(url, data, {"Content-Type": "text/plain"}, method=method)
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.status, error.read()

    assert 200 == fetch(s3.generate_presigned_url("put_object", target), b"body", "PUT")[0]
    url = s3.generate_presigned_url("get_object", target, ExpiresIn=60)
    assert (200, b"body") == fetch(url)
    assert b"SignatureDoesNotMatch" in fetch(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))[1]
    aws.clock_offset = timedelta(minutes=2)
    assert b"Request has expired" in fetch(url)[1]


def test_dynamodb_works_through_moto(aws, client):
    """A table, an item, and a presigned STS call beside it."""
    dynamodb = client("dynamodb", aws.mint())
    dynamodb.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    dynamodb.put_item(TableName="t", Item={"k": {"S": "1"}})
    assert {"k": {"S": "1"}} == dynamodb.get_item(TableName="t", Key={"k": {"S": "1"}})["Item"]
    url = client("sts", aws.mint()).generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert b":user/administrator" in answer.read()


# What tests read and order.


def test_calls_tell_who_signed_and_what_was_sent(aws, pool, cognito, client, bucket):
    """The logins map to the letter, the principal of each S3 request, its status."""
    logins = {pool.providers[0]: "eyJ"}
    refusal(cognito.get_id, IdentityPoolId=pool.id, Logins=logins)
    key = aws.mint("arn:aws:sts::123456789012:assumed-role/Reader/grace")
    client("s3", key).list_objects_v2(Bucket=bucket)
    first, second = aws.calls
    assert ("GetId", None, {"IdentityPoolId": pool.id, "Logins": logins}) == (
        first.operation,
        first.principal,
        first.parameters,
    )
    assert ("s3:GET", key.principal, key.access_key_id, f"/{bucket}", 200) == (
        second.operation,
        second.principal,
        second.access_key_id,
        second.parameters["Path"],
        second.status,
    )
    assert (1, 0) == (aws.count("GetId"), aws.count("GetCredentialsForIdentity"))


def test_throttling_has_each_services_form(aws, pool, cognito, assume, client):
    """Cognito, STS and S3 throttle by different codes; Retry-After is sent where it is ordered."""
    aws.throttle("GetId", retry_after=3)
    aws.throttle("AssumeRoleWithWebIdentity")
    aws.throttle("s3:GET")
    with pytest.raises(ClientError) as raised:
        cognito.get_id(IdentityPoolId=pool.id)
    answer = raised.value.response
    assert ("TooManyRequestsException", 400, "3") == (
        answer["Error"]["Code"],
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"],
    )
    sts = client("sts")
    assert "Throttling" == refusal(sts.assume_role_with_web_identity, **assume())[0]
    assert "SlowDown" == refusal(client("s3", aws.mint()).list_buckets)[0]
    assert sts.assume_role_with_web_identity(**assume())


def test_any_error_can_be_ordered(aws, pool, cognito):
    """As often as ordered, then the service works again."""
    aws.fail("GetId", "InternalErrorException", "oops", status=500, times=2)
    for _ in range(2):
        assert ("InternalErrorException", "oops") == refusal(cognito.get_id, IdentityPoolId=pool.id)
    assert "NotAuthorizedException" == refusal(cognito.get_id, IdentityPoolId=pool.id)[0]


def test_an_answer_can_be_late_hang_or_be_nonsense(aws, pool, client):
    """Delay, silence, a closed connection, and a body of the test's choice."""
    cognito = client("cognito-identity", read_timeout=0.5)
    aws.inject("GetId", Fault(delay=0.1, response=Response(body=b'{"IdentityId": 7}')))
    aws.inject("GetId", Fault(drop=True))
    aws.inject("GetId", Fault.hang())
    started = time.monotonic()
    assert {"IdentityId": 7}.items() <= cognito.get_id(IdentityPoolId=pool.id).items()
    assert time.monotonic() - started > 0.1
    with pytest.raises(ConnectionClosedError):
        cognito.get_id(IdentityPoolId=pool.id)
    with pytest.raises(ReadTimeoutError):
        cognito.get_id(IdentityPoolId=pool.id)


def test_the_clock_moves_expiry_and_date(aws, provider, sts, assume):
    """AWS may live two hours ahead of this machine; a token must then be valid there."""
    aws.clock_offset = timedelta(hours=2)
    token = provider.id_token("ada", lifetime=timedelta(hours=3))
    answer = sts.assume_role_with_web_identity(**assume(WebIdentityToken=token))
    ahead = answer["Credentials"]["Expiration"] - datetime.now(timezone.utc)
    assert timedelta(hours=2, minutes=59) < ahead < timedelta(hours=3, minutes=1)
    assert f"{aws.now():%a, %d %b %Y %H:}" == answer["ResponseMetadata"]["HTTPHeaders"]["date"][:20]


def test_a_reset_makes_it_new(aws, pool, cognito):
    """Durations, faults and all that was registered: nothing of a test reaches the next."""
    aws.lifetime, aws.clock_offset = timedelta(seconds=1), timedelta(hours=1)
    aws.throttle("GetId")
    aws.reset()
    assert (timedelta(hours=1), timedelta(0), {}) == (aws.lifetime, aws.clock_offset, aws.pools)
    assert "ResourceNotFoundException" == refusal(cognito.get_id, IdentityPoolId=pool.id)[0]


def test_keys_can_live_for_seconds(session, provider, role):
    """So that a test need not wait for an hour: Cognito's, and a role's where no duration is asked for."""
    with EmbeddedAws(lifetime=timedelta(seconds=5)) as aws:
        aws.add(OpenIdProvider(issuer=provider.issuer, client_ids=("notebook",)), role)
        sts = session.client("sts", endpoint_url=aws.url)
        given = {"RoleArn": role.arn, "RoleSessionName": "ada", "WebIdentityToken": provider.id_token("ada")}
        key = sts.assume_role_with_web_identity(**given)["Credentials"]
        assert key["Expiration"] - aws.now() <= timedelta(seconds=5)


def test_many_threads_get_their_answers(aws, provider, pool, client):
    """Fifty sign-ins at once: fifty keys, one identity."""
    key, token = pool.providers[0], provider.id_token("ada")
    cognito = client("cognito-identity", max_pool_connections=50)

    def sign_in(_):
        identity = cognito.get_id(IdentityPoolId=pool.id, Logins={key: token})["IdentityId"]
        return identity, cognito.get_credentials_for_identity(IdentityId=identity, Logins={key: token})

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(sign_in, range(50)))
    assert (1, 50) == (len({i for i, _ in answers}), len({a["Credentials"]["AccessKeyId"] for _, a in answers}))


def test_answers_come_in_one_piece(aws, pool, client):
    """No 40 ms for every second request on a kept connection, which headers and body apart would cost."""
    cognito = client("cognito-identity")
    pool.unauthenticated_role = Role(name="Guest")
    times = []
    for _ in range(11):
        started = time.monotonic()
        cognito.get_id(IdentityPoolId=pool.id)
        times.append(time.monotonic() - started)
    assert sorted(times)[7] < 0.03


def test_moto_is_not_imported_for_cognito_and_sts():
    """Importing moto takes half a second, and most tests do not need it."""
    code = (
        "import sys; from jupyter_federation.demo.aws import EmbeddedAws\n"
        "with EmbeddedAws(): print([m for m in ('moto', 'boto3', 'flask') if m in sys.modules])"
    )
    assert (
        "[]" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def test_nothing_is_left_behind():
    """A stopped server has no thread, and its port is free."""
    before = threading.enumerate()
    with EmbeddedAws() as server:
        port = server.port
    assert before == threading.enumerate()
    with EmbeddedAws(port=port) as server:
        assert port == server.port
