from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.demo.aws import Fault, Response
from jupyter_federation.errors import ExchangeError
from jupyter_federation.exchange.answers import credentials_from
from jupyter_federation.exchange.cognito import CognitoExchange, CognitoSettings
from jupyter_federation.exchange.sts import StsExchange, StsSettings
from jupyter_federation.tokens import utc_now

IDENTITY = "eu-west-1:00000000-0000-4000-8000-00000000000a"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE"
ROLE_SESSION = "arn:aws:sts::123456789012:assumed-role/R/ada"


def answer(**changes):
    """GetCredentialsForIdentity's answer, with some parts of its credentials changed; ``...`` removes one."""
    parts = {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretKey": SECRET_KEY,
        "SessionToken": SESSION_TOKEN,
        "Expiration": (utc_now() + timedelta(hours=1)).timestamp(),
        **changes,
    }
    return {
        "IdentityId": IDENTITY,
        "Credentials": {name: part for name, part in parts.items() if part is not ...},
    }


def text(**changes):
    return json.dumps(answer(**changes)).encode()


MALFORMED = {
    "a part is missing": (text(SecretKey=...), "secret_access_key is missing"),
    "a part is empty": (text(SessionToken=""), "session_token is missing, empty"),
    "a part is null": (text(AccessKeyId=None), "access_key_id is missing"),
    "a part is a number": (text(SecretKey=17), "secret_access_key"),
    "a line break in a part": (text(SessionToken="IQoJ\r\nX-Evil: 1"), "session_token"),
    "the expiry is missing": (text(Expiration=...), "Expiration is missing"),
    "the expiry is null": (text(Expiration=None), "Expiration is missing"),
    "the expiry is naive": (text(Expiration="2099-01-01T00:00:00"), "no time zone"),
    "the expiry has passed": (text(Expiration=1_700_000_000), "has passed"),
    "the expiry is far": (text(Expiration=(utc_now() + timedelta(days=3)).timestamp()), "12 hours away"),
    "the expiry is garbage": (text(Expiration="soon"), "cannot be read"),
    "the expiry is out of range": (text(Expiration=1e300), "cannot be read"),
    "the expiry is a list": (text(Expiration=[1]), "cannot be read"),
    "no credentials": (json.dumps({"IdentityId": IDENTITY}).encode(), "it holds no Credentials"),
    "the credentials are a text": (
        json.dumps({"IdentityId": IDENTITY, "Credentials": "none"}).encode(),
        "cannot be read",
    ),
    "the body is null": (b"null", "cannot be read"),
    "the body is a list": (b"[]", "cannot be read"),
    "the body is empty": (b"", "it holds no IdentityId"),
    "the body is HTML": (b"<html><body>Sign in to the network</body></html>", "it holds no IdentityId"),
    "the body is truncated": (text()[:-40], "it holds no IdentityId"),
    "the body is no text": (b"\xff\xfe\x00", "cannot be read"),
    "the body is nested without end": (b"[" * 100_000, "cannot be"),
}


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(("body", "says"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_a_retryable_error_that_says_what_was_wrong(aws, pool, token, clients, body, says):  # noqa: PLR0917
    """Whatever botocore makes of it: one type of error, no secret in it, and nothing half-right gets through."""
    aws.inject("GetCredentialsForIdentity", Fault(response=Response(body=body)))
    with pytest.raises(ExchangeError) as caught:
        CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token, identity_id=IDENTITY)
    assert caught.value.retryable
    assert "AWS's answer to GetCredentialsForIdentity cannot be used" in str(caught.value)
    assert says in str(caught.value)
    shown = caught.value.diagnostics() + repr(caught.value) + repr(vars(caught.value))
    assert [] == [secret for secret in (SECRET_KEY, SESSION_TOKEN, "IQoJ", token.raw) if secret in shown]
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html><p>Sign in",
        b"<AssumeRoleWithWebIdentityResponse/>",
        b"<R><AssumeRoleWithWebIdentityResult/></R>",
        b"<R><AssumeRoleWithWebIdentityResult><Credentials/></AssumeRoleWithWebIdentityResult></R>",
    ],
)
def test_a_malformed_answer_of_sts_is_no_different(aws, role, token, clients, body):
    """XML breaks in other ways than JSON, and comes to the same."""
    aws.inject("AssumeRoleWithWebIdentity", Fault(response=Response(body=body)))
    with pytest.raises(ExchangeError, match="AWS's answer to AssumeRoleWithWebIdentity cannot be used") as caught:
        StsExchange(StsSettings(role_arn=role.arn), clients).exchange(token)
    assert caught.value.retryable


def test_the_next_answer_is_taken_again(aws, pool, token, clients):
    """A malformed answer leaves nothing behind in the exchange."""
    aws.inject("GetId", Fault(response=Response(body=b"null")))
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)
    with pytest.raises(ExchangeError):
        exchange.exchange(token)
    assert exchange.exchange(token).access_key_id in aws.keys


NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def parsed(expires_in=timedelta(hours=1), date=None, **changes):
    """What botocore makes of `answer`, by AWS's clock ``NOW``."""
    headers = {} if date is None else {"date": date}
    return {**answer(Expiration=NOW + expires_in, **changes), "ResponseMetadata": {"HTTPHeaders": headers}}


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2), timedelta(seconds=61)])
def test_a_wrong_clock_is_corrected_for(ahead):
    """The lifetime as received counts: the expiry is right by this machine's clock, and the skew is told."""
    got = credentials_from(parsed(date="Thu, 01 Jan 2026 12:00:00 GMT"), operation="GetId", now=NOW + ahead)
    assert (NOW + ahead + timedelta(hours=1), ahead) == (got.expires_at, got.clock_skew)


def test_clocks_that_nearly_agree_are_left_alone():
    """Up to a minute is the header's whole seconds, and the way."""
    now = NOW + timedelta(seconds=59)
    got = credentials_from(parsed(date="Thu, 01 Jan 2026 12:00:00 GMT"), operation="GetId", now=now)
    assert (NOW + timedelta(hours=1), timedelta(0)) == (got.expires_at, got.clock_skew)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 01 Jan 2026 15:00:00 -0000"])
def test_without_a_date_the_expiry_is_taken_as_it_is(date):
    """A stand-in may send none, or nonsense."""
    got = credentials_from(parsed(date=date), operation="GetId", now=NOW)
    assert (NOW + timedelta(hours=1), timedelta(0)) == (got.expires_at, got.clock_skew)


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2)])
def test_a_wrong_clock_is_corrected_for_on_the_whole_way(aws, pool, token, clients, monkeypatch, ahead):  # noqa: PLR0917
    """Two hours fast or slow, through botocore and a real Date header."""
    monkeypatch.setattr("jupyter_federation.exchange.cognito.utc_now", lambda: utc_now() + ahead)
    got = CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients).exchange(token)
    off = got.expires_at - (aws.keys[got.access_key_id].expires_at + ahead)
    assert abs(off) < timedelta(seconds=5)
    assert abs(got.clock_skew - ahead) < timedelta(seconds=5)


@pytest.mark.parametrize("user", ["R", {}, {"Arn": None}, {"Arn": "arn:aws"}, {"Arn": ROLE_SESSION + "\n"}])
def test_an_assumed_role_must_have_its_arn(user):
    """The account is read from it: it is an ARN, or the answer is not whole."""
    with pytest.raises(ExchangeError, match="AssumedRoleUser"):
        credentials_from({**parsed(), "AssumedRoleUser": user}, operation="AssumeRole", now=NOW)


def test_an_expiry_at_the_end_of_time_is_out_of_range():
    """datetime cannot hold the year 10000, and a skew may lead there."""
    late = {**parsed(date="Thu, 01 Jan 2026 12:00:00 GMT")}
    late["Credentials"]["Expiration"] = datetime.max.replace(tzinfo=timezone.utc)
    with pytest.raises(ExchangeError, match="out of range"):
        credentials_from(late, operation="GetId", now=NOW + timedelta(hours=2))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.datetimes() | st.datetimes(timezones=st.timezones()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
PARTS = st.dictionaries(
    st.sampled_from(["AccessKeyId", "SecretKey", "SecretAccessKey", "SessionToken", "Expiration"]), ANYTHING
)


@given(credentials=ANYTHING | PARTS, user=ANYTHING, date=st.text() | st.none())
def test_any_answer_makes_credentials_or_one_type_of_error(credentials, user, date):
    """No shape of answer raises anything else."""
    given_answer = {"Credentials": credentials, "AssumedRoleUser": user}
    given_answer["ResponseMetadata"] = {"HTTPHeaders": {} if date is None else {"date": date}}
    try:
        assert isinstance(credentials_from(given_answer, operation="GetId", now=NOW), AwsCredentials)
    except ExchangeError as error:
        assert error.retryable  # noqa: PT017 - the error is one of two good outcomes
