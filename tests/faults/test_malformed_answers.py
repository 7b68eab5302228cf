"""Fifteen kinds of answer that are not credentials, through the whole stack: none replaces good ones, each is told."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from jupyter_federation.demo.aws import Fault, Response
from jupyter_federation.errors import ExchangeError

GOOD = {"AccessKeyId": "ASIAGOODGOODGOODGOOD", "Secret": "secret", "SessionToken": "token", "Expiration": "ahead"}
ABSENT = object()

KINDS = {
    "a part is missing": {"Secret": ABSENT},
    "a part is empty": {"AccessKeyId": ""},
    "a part is null": {"SessionToken": None},
    "a part is a number": {"Secret": 12345},
    "a part has a line break": {"SessionToken": "token\r\nX-Injected: yes"},
    "the expiry is naive": {"Expiration": "naive"},
    "the expiry has passed": {"Expiration": "past"},
    "the expiry is far": {"Expiration": "far"},
    "the expiry is null": {"Expiration": None},
    "the expiry is garbage": {"Expiration": "tomorrow, perhaps"},
    "the expiry is out of range": {"Expiration": "1e300"},
    "the body is null": b"null",
    "the body is a list": b"[]",
    "the body is HTML": b"<html><body><h1>Welcome to the guest network</h1></body></html>",
    "the body is cut": "cut",
}


def body(kind, change):
    """The answer of Cognito (JSON) or STS (XML) with one thing wrong."""
    if isinstance(change, bytes):
        return change
    fault = change if isinstance(change, dict) else {}
    parts = {name: value for name, value in {**GOOD, **fault}.items() if value is not ABSENT}
    write = as_json if kind == "cognito" else as_xml
    whole = write(parts).encode()
    return whole[: len(whole) * 2 // 3] if change == "cut" else whole


def moment(text, *, epoch):
    now = datetime.now(timezone.utc)
    moments = {"ahead": timedelta(hours=1), "past": timedelta(hours=-1), "far": timedelta(days=400)}
    if text == "naive":
        return f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    if text not in moments:
        return float(text) if text == "1e300" and epoch else text
    at = now + moments[text]
    return at.timestamp() if epoch else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def as_json(parts):
    names = {"Secret": "SecretKey"}
    credentials = {names.get(name, name): value for name, value in parts.items()}
    credentials["Expiration"] = moment(parts["Expiration"], epoch=True)
    return json.dumps({"IdentityId": "eu-west-1:00000000-0000-4000-8000-000000000000", "Credentials": credentials})


def as_xml(parts):
    """XML knows neither null nor numbers: the null is an empty element, the number one that holds another element."""
    names = {"Secret": "SecretAccessKey"}
    elements = []
    for name, value in parts.items():
        text = moment(value, epoch=False) if name == "Expiration" else value
        text = "" if text is None else f"<Number>{text}</Number>" if isinstance(text, int) else text
        elements.append(f"<{names.get(name, name)}>{text.replace(chr(13), '&#13;')}</{names.get(name, name)}>")
    return (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<AssumeRoleWithWebIdentityResult><Credentials>{''.join(elements)}</Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )


@pytest.mark.parametrize("kind", ["cognito", "sts"])
def test_the_answer_without_a_fault_is_taken(over_http, aws, kind):
    """The fifteen below fail for what is wrong with them, and not for how they are built."""
    signed_in = over_http(kind)
    aws.inject(signed_in.operation, Fault(response=Response(body=body(kind, {}))))
    signed_in.session.refresh()
    assert GOOD["AccessKeyId"] == signed_in.session.credentials().access_key_id


@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("kind", ["cognito", "sts"])
def test_a_malformed_answer_leaves_what_is_held_and_is_reported(over_http, aws, kind, change):
    """The old credentials stay whole, refresh_failed comes with a sentence, and the next good answer is taken."""
    assert 15 == len(KINDS)
    signed_in = over_http(kind)
    before = signed_in.session.credentials()
    aws.inject(signed_in.operation, Fault(response=Response(body=body(kind, change))))
    with pytest.raises(ExchangeError) as caught:
        signed_in.session.refresh()
    assert caught.value.retryable
    assert before is signed_in.session.credentials()
    reported = signed_in.heard("refresh_failed")
    assert ("valid", True) == (reported.credentials, reported.is_federated)
    assert str(caught.value) == reported.last_error
    assert "cannot be used" in reported.last_error
    assert "check AWS_ENDPOINT_URL" in reported.last_error
    signed_in.session.refresh()
    assert before.access_key_id != signed_in.session.credentials().access_key_id
    assert None is signed_in.session.status().last_error
