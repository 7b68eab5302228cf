from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError

from jupyter_federation.demo.aws import Fault, IdentityPool, OpenIdProvider, Response
from jupyter_federation.errors import ExchangeError
from jupyter_federation.exchange.cognito import CognitoExchange, CognitoSettings
from jupyter_federation.exchange.refusals import quoted, refused
from jupyter_federation.exchange.sts import StsExchange, StsSettings
from jupyter_federation.tokens import IdToken

# Cognito's code and message → what the sentence must name.  POOL, ISSUER and KEY stand for their values.
COGNITO = [
    (
        "NotAuthorizedException",
        "Invalid login token. Token expired: 1700000001 >= 1700000000",
        ["fresh token", "date -u"],
    ),
    ("NotAuthorizedException", "Token is expired.", ["fresh token", "ISSUER"]),
    (
        "NotAuthorizedException",
        "Invalid login token. Issuer doesn't match providerName",
        ["`provider`", "ISSUER", "KEY"],
    ),
    ("NotAuthorizedException", "Invalid login token. Missing a required claim: aud", ["access token", "id_token"]),
    ("NotAuthorizedException", "Invalid login token. Not a valid OpenId Connect identity token.", ["id_token"]),
    ("NotAuthorizedException", "Invalid login token. Couldn't verify signed token.", ["ISSUER", "jwks_uri"]),
    ("NotAuthorizedException", "Invalid login token. Incorrect token audience.", ["KEY", "notebook", "`client_id`"]),
    ("NotAuthorizedException", "Invalid login token. Can't pass in a Cognito token.", ["`provider`", "developer"]),
    (
        "NotAuthorizedException",
        "Token is not from a supported provider of this identity pool.",
        ["`identity_pool_id`", "`provider`", "POOL", "KEY", "notebook"],
    ),
    (
        "NotAuthorizedException",
        "Logins don't match. Please include at least one valid login for this identity or identity pool.",
        ["`identity_pool_id`", "`identity_id`", "POOL", "KEY"],
    ),
    (
        "NotAuthorizedException",
        "Unauthenticated access is not supported for this identity pool.",
        ["`provider`", "POOL"],
    ),
    ("NotAuthorizedException", "Access to Identity 'eu-west-1:1a' is forbidden.", ["`identity_id`", "%federate clear"]),
    ("NotAuthorizedException", "Access to Role 'arn:x' is forbidden.", ["`custom_role_arn`", "cognito:roles"]),
    ("NotAuthorizedException", "Something new.", ["Something new", "`identity_pool_id`", "`provider`", "KEY"]),
    ("ResourceNotFoundException", "IdentityPool 'eu-west-1:1a' not found.", ["`identity_pool_id`", "`region`", "POOL"]),
    ("ResourceNotFoundException", "Identity 'eu-west-1:1a' not found.", ["`identity_id`"]),
    ("InvalidParameterException", "Basic (classic) flow is not enabled, please use enhanced flow.", ["`flow`", "POOL"]),
    ("InvalidParameterException", "Please provide a valid public provider", ["`provider`", "KEY"]),
    ("InvalidParameterException", "Something new.", ["Something new", "`identity_pool_id`"]),
    (
        "InvalidIdentityPoolConfigurationException",
        "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
        ["`identity_pool_id`", "roles", "cognito-identity.amazonaws.com"],
    ),
    ("ResourceConflictException", "Login is already linked.", ["`identity_id`"]),
    ("LimitExceededException", "Too many.", ["quota"]),
    ("ExternalServiceException", "Facebook does not answer.", ["KEY"]),
    ("TooManyRequestsException", "Rate exceeded", ["too many requests"]),
    ("InternalErrorException", "Oops", ["fault of its own"]),
]
STS = [
    (
        "InvalidIdentityToken",
        "No OpenIDConnect provider found in your account for https://x",
        ["`role_arn`", "ISSUER", "IAM"],
    ),
    ("InvalidIdentityToken", "Incorrect token audience", ["notebook", "`client_id`"]),
    ("InvalidIdentityToken", "Missing a required claim: aud", ["id_token"]),
    ("InvalidIdentityToken", "The ID Token provided is not a valid JWT.", ["access token", "id_token"]),
    ("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider", ["ISSUER", "jwks_uri"]),
    ("InvalidIdentityToken", "HTTPS certificate doesn't match configured thumbprint", ["thumbprint", "ISSUER"]),
    ("ExpiredTokenException", "Token expired: current date/time 2 must be before 1", ["fresh token", "date -u"]),
    ("IDPRejectedClaim", "Revoked", ["ISSUER", "fresh token"]),
    ("IDPCommunicationError", "Timeout", ["ISSUER"]),
    ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", ["`role_arn`", "ISSUER", "notebook"]),
    ("MalformedPolicyDocument", "Syntax errors in policy.", ["`policy`", "Syntax errors"]),
    ("PackedPolicyTooLarge", "Packed size 120%", ["`policy`", "`policy_arns`"]),
    ("RegionDisabledException", "STS is not activated", ["`region`", "eu-west-1", "`role_arn`"]),
    ("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set", ["`duration_seconds`"]),
    ("ValidationError", "1 validation error detected: Value at 'roleArn'", ["`role_arn`", "'roleArn'"]),
    ("Throttling", "Rate exceeded", ["too many requests"]),
    ("ServiceUnavailable", "Busy", ["fault of its own"]),
    ("SomethingNew", "Out of the blue.", ["SomethingNew", "Out of the blue"]),
]
RETRYABLE = {
    "ExternalServiceException",
    "TooManyRequestsException",
    "InternalErrorException",
    "IDPCommunicationError",
    "Throttling",
    "ServiceUnavailable",
}


def refusal_of(exchange, token):
    with pytest.raises(ExchangeError) as caught:
        exchange.exchange(token)
    return caught.value


def check(error, code, names, values):
    missing = [name for name in names if values.get(name, name) not in str(error)]
    assert (code, code in RETRYABLE, []) == (error.aws_code, error.retryable, missing)
    assert isinstance(error.__cause__, ClientError)
    assert error.__cause__.__traceback__ is None


@pytest.mark.parametrize(("code", "message", "names"), COGNITO, ids=[message for _, message, _ in COGNITO])
@pytest.mark.parametrize("operation", ["GetId", "GetCredentialsForIdentity"])
def test_each_refusal_of_cognito_names_what_to_change(aws, pool, provider, clients, operation, code, message, names):  # noqa: PLR0917
    """A sentence for each message of one and the same exception, and the setting in it; the HTTP status is no help."""
    aws.fail(operation, code, message, status=400)
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)
    error = refusal_of(exchange, IdToken.parse(provider.id_token("ada")))
    key = provider.issuer.removeprefix("http://")
    check(error, code, names, {"POOL": pool.id, "ISSUER": provider.issuer, "KEY": key})
    assert operation in error.diagnostics()
    assert message in error.diagnostics()


@pytest.mark.parametrize(("code", "message", "names"), STS, ids=[f"{code} {message}" for code, message, _ in STS])
def test_each_refusal_of_sts_names_what_to_change(aws, role, provider, clients, code, message, names):  # noqa: PLR0917
    """The same for AssumeRoleWithWebIdentity, whose protocol and codes are others."""
    aws.fail("AssumeRoleWithWebIdentity", code, message, status=403)
    exchange = StsExchange(StsSettings(role_arn=role.arn), clients)
    error = refusal_of(exchange, IdToken.parse(provider.id_token("ada")))
    check(error, code, names, {"ISSUER": provider.issuer})


def test_a_forged_token_is_refused(aws, pool, provider, clients):
    """Signed by a key that the issuer does not publish."""
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)
    assert "could not verify" in str(refusal_of(exchange, IdToken.parse(provider.forged_id_token("ada"))))


def test_a_client_that_aws_does_not_list_is_named(aws, pool, provider, clients):
    """The audience to add, or the client_id to change."""
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)
    error = refusal_of(exchange, IdToken.parse(provider.id_token("ada", client_id="other")))
    assert "Add other to the provider's audiences" in str(error)


def test_a_pool_that_does_not_know_the_provider_is_named(aws, provider, token, clients):
    """A right token, and the wrong pool."""
    pool = IdentityPool()
    aws.add(pool)
    error = refusal_of(CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients), token)
    assert ("NotAuthorizedException", True) == (error.aws_code, pool.id in str(error))


def test_an_issuer_that_the_account_does_not_know_is_named(aws, role, provider, token, clients):
    """STS looks the issuer up in the role's account."""
    del aws.providers[provider.issuer.removeprefix("http://")]
    aws.add(OpenIdProvider(issuer="https://login.example.org", client_ids=None))
    error = refusal_of(StsExchange(StsSettings(role_arn=role.arn), clients), token)
    assert f"no OpenID provider for the issuer {provider.issuer}" in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("nan", None), (None, None)]
)
def test_retry_after_is_passed_on(aws, pool, token, clients, header, seconds):  # noqa: PLR0917
    """In seconds; how long is too long is the session's decision."""
    headers = {} if header is None else {"Retry-After": header}
    body = b'{"__type": "TooManyRequestsException", "message": "Rate exceeded"}'
    aws.inject("GetId", Fault(response=Response(status=400, body=body, headers=headers)))
    error = refusal_of(CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients), token)
    assert (True, seconds) == (error.retryable, error.retry_after)
    assert 1 == aws.count("GetId")  # botocore retries nothing


@pytest.mark.parametrize(
    ("status", "body", "retryable", "says"),
    [
        (503, b"<html><body>Service Unavailable</body></html>", True, "fault of its own"),
        (500, b"", True, "fault of its own"),
        (502, b"upstream", True, "fault of its own"),
        (403, b"<html>Blocked by policy</html>", False, "HTTPS_PROXY"),
        (429, b"{}", True, "too many requests"),
        (302, b"", False, "HTTP status 302"),
        (400, b"null", True, "cannot be read"),
    ],
)
def test_an_answer_that_is_not_aws_s_is_told_apart(aws, pool, token, clients, status, body, retryable, says):  # noqa: PLR0917
    """A proxy's page, a load balancer's, a portal's redirect."""
    aws.inject("GetId", Fault(response=Response(status=status, body=body)))
    error = refusal_of(CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients), token)
    assert (retryable, True) == (error.retryable, says in str(error))


def test_a_code_outranks_the_http_status(aws, pool, token, clients):
    """An unknown pool that comes as HTTP 500 is still an unknown pool, and asking again would not help."""
    aws.fail("GetId", "ResourceNotFoundException", "IdentityPool 'x' not found.", status=500)
    error = refusal_of(CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients), token)
    assert not error.retryable


def test_what_is_not_known_reads_so():
    """A guest has no issuer, and the sentence still reads."""
    response = {"Error": {"Code": "NotAuthorizedException", "Message": "Something new."}}
    error = refused(ClientError(response, "GetId"), operation="GetId", about={})
    assert "(issuer unknown)" in str(error)


def test_a_secret_that_aws_quotes_is_masked_and_the_cause_dropped():
    """SignatureDoesNotMatch repeats the canonical request, with the session token in it."""
    response = {"Error": {"Code": "SignatureDoesNotMatch", "Message": "'POST x-amz-security-token:s3cr3t'"}}
    error = refused(ClientError(response, "AssumeRole"), operation="AssumeRole", about={}, secrets=("s3cr3t",))
    assert None is error.__cause__
    assert "s3cr3t" not in error.diagnostics()
    assert "x-amz-security-token:***" in error.diagnostics()


def test_quoted_text_is_short_and_without_tokens():
    """A JWT is masked even where nobody knows it; a page is cut."""
    assert "***" == quoted("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln", ())
    assert 500 == len(quoted("no " * 1000, ()))
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    assert "aws_secret_access_key=***" == quoted(f"aws_secret_access_key={key}", ())
    assert "http://***@proxy" == quoted("http://me@x.org:s3cret@proxy", ())


def test_botocore_knows_no_exception_without_a_sentence(aws_environment):
    """Every exception in botocore's models of the calls we make has an entry in the table."""
    from jupyter_federation.exchange.refusals import _REFUSALS

    known = {code for refusal in _REFUSALS for code in refusal.codes}
    calls = {"cognito-identity": ["GetId", "GetCredentialsForIdentity", "GetOpenIdToken"]}
    calls["sts"] = ["AssumeRoleWithWebIdentity", "AssumeRole"]
    missing = set()
    for service, operations in calls.items():
        model = boto3.client(service, region_name="eu-west-1").meta.service_model
        for operation in operations:
            shapes = model.operation_model(operation).error_shapes
            missing |= {shape.metadata.get("error", {}).get("code", shape.name) for shape in shapes} - known
    assert set() == missing


@pytest.mark.parametrize("code", ["{role_arn:>300000000}", "Oops{", "{role_arn.__class__}", "x" * 5000])
def test_a_code_is_text_and_no_template(code):
    """Whoever answers in AWS's place decides neither what is formatted nor how long it gets."""
    response = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"RequestId": "r" * 5000}}
    error = refused(ClientError(response, "GetId"), operation="GetId", about={"role_arn": "arn"}, secrets=())
    assert f"AWS refused with {'***' if len(code) > 64 else code}: " in str(error)
    assert len(error.facts["aws_request_id"]) <= 64
