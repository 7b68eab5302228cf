"""A token in a Python variable: a string or a callable."""

from __future__ import annotations

import copy
import pickle

import pytest

from jupyter_federation.errors import InvalidTokenError, LoginRequiredError, SourceUnavailableError
from jupyter_federation.sources.variable import VariableSource


def test_a_name_is_looked_up_again_for_each_token():
    """Rebinding the variable changes the token, also from a string to a callable."""
    notebook = {"token": "first"}
    source = VariableSource("token", notebook)
    before = (source.token().raw, source.renewable)
    notebook["token"] = lambda: "second"
    assert (("first", False), ("second", True)) == (before, (source.token().raw, source.renewable))


def test_a_callable_is_asked_once_for_each_token():
    """It may cost a sign-in each time."""
    calls = []
    source = VariableSource.holding(lambda: calls.append(1) or "opaque")
    source.token()
    source.token()
    assert len(calls) == 2


def test_a_string_that_is_held_is_masked_and_does_not_travel():
    """Neither the frames of a traceback nor a pickle or a copy show it."""
    source = VariableSource.holding("opaque")
    assert "opaque" not in repr(vars(source))
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            travel(source)


def test_a_name_that_is_not_defined_is_unavailable():
    """The error names the variable and the option."""
    source = VariableSource("token", {})
    with pytest.raises(SourceUnavailableError, match=r"`token` is not defined.*--token-var"):
        source.token()
    assert not source.renewable


def test_what_a_callable_raises_is_told_by_its_type_alone():
    """Its text and its frames may hold a secret."""

    def fails():
        raise RuntimeError("secret-in-the-text")

    with pytest.raises(SourceUnavailableError, match=r"Calling `token` for a token raised RuntimeError\.") as caught:
        VariableSource.holding(fails).token()
    assert caught.value.__cause__ is None
    assert "secret-in-the-text" not in caught.value.diagnostics()


def test_a_callable_may_say_that_a_person_is_needed():
    """An error of this package passes as it is."""

    def signed_out():
        raise LoginRequiredError("Signed out.", fix="Sign in.")

    with pytest.raises(LoginRequiredError, match="Signed out"):
        VariableSource.holding(signed_out).token()


@pytest.mark.parametrize("value", [None, b"bytes", 5, lambda: None])
def test_what_is_no_string_is_invalid(value):
    """The error names the type that came, not the value."""
    with pytest.raises(InvalidTokenError, match=r"gives (NoneType|bytes|int), not a string"):
        VariableSource("token", {"token": value}).token()


def test_what_is_no_token_is_invalid():
    """The error names the variable."""
    with pytest.raises(InvalidTokenError, match="The variable `mine`: The token is empty"):
        VariableSource("mine", {"mine": ""}).login(prompt=None)


@pytest.mark.parametrize("issuer", [f"https://x/{'-' * 30_000}", "https://x/\ud800"], ids=["long", "unprintable"])
def test_an_issuer_that_no_error_could_show_is_invalid(provider, issuer):
    """Whatever is said of the token names it, and it is not said."""
    token = provider.id_token("ada", iss=issuer, exp=1)
    with pytest.raises(InvalidTokenError, match=r"The token's issuer \(iss\)") as caught:
        VariableSource("token", {"token": token}).token()
    assert issuer[:12] not in str(caught.value)


def test_forgetting_leaves_the_variable_alone():
    """It belongs to the notebook."""
    source = VariableSource("token", {"token": "opaque"})
    source.forget()
    assert source.token().raw == "opaque"
