"""A token that is pasted."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from doubles import START, FakeClock

from jupyter_federation.errors import InvalidTokenError, LoginFailedError, LoginRequiredError
from jupyter_federation.sources.prompt import PromptSource


class Person:
    """Pastes the same answer each time."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def ask_secret(self, question):
        assert "token" in question
        self.asked += 1
        return self.answer


def jwt(*, expires_at):
    claims = {"iss": "https://login.example.org", "sub": "ada", "exp": expires_at.timestamp()}
    part = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in ({"a": 1}, claims)]
    return f"{part[0]}.{part[1]}.sig"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def source(clock):
    return PromptSource(now=clock.now)


def test_without_a_person_there_is_no_token(source):
    """`token` never asks."""
    with pytest.raises(LoginRequiredError, match="paste a token when it asks"):
        source.token()
    assert not source.renewable


def test_the_pasted_token_is_kept_until_it_expires(source, clock):
    """Then a person is needed again."""
    person = Person(jwt(expires_at=START + timedelta(hours=1)))
    pasted = source.login(person)
    assert pasted == source.token()
    assert person.asked == 1
    clock.advance(3600)
    with pytest.raises(LoginRequiredError):
        source.token()


def test_an_opaque_token_is_kept_until_it_is_forgotten(source):
    """Nothing tells when it expires."""
    source.login(Person("opaque"))
    assert source.token().raw == "opaque"
    source.forget()
    with pytest.raises(LoginRequiredError):
        source.token()


def test_signing_in_again_asks_again(source):
    """A token that AWS refused can be replaced."""
    source.login(Person("first"))
    source.login(Person("second"))
    assert source.token().raw == "second"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (" ", LoginFailedError),
        ("two words", InvalidTokenError),
        (jwt(expires_at=START), InvalidTokenError),
    ],
)
def test_a_wrong_answer_is_not_kept(source, answer, error):
    """Nothing, no token and an expired one are refused at once."""
    with pytest.raises(error):
        source.login(Person(answer))
    with pytest.raises(LoginRequiredError):
        source.token()
