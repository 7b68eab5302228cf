"""A token in an environment variable."""

from __future__ import annotations

import pytest

from jupyter_federation.errors import InvalidTokenError, SourceUnavailableError
from jupyter_federation.sources.environment_variable import EnvironmentVariableSource


def test_the_variable_is_read_again_for_each_token(monkeypatch):
    """What the notebook puts there counts, though nobody else can: hence not renewable."""
    source = EnvironmentVariableSource("CI_TOKEN")
    monkeypatch.setenv("CI_TOKEN", " first ")
    before = source.token().raw
    monkeypatch.setenv("CI_TOKEN", "second")
    assert ("first", "second") == (before, source.login(prompt=None).raw)
    assert not source.renewable


def test_a_variable_that_is_not_set_is_unavailable():
    """The error names the variable and the option."""
    with pytest.raises(SourceUnavailableError, match=r"CI_TOKEN is not set.*--token-env"):
        EnvironmentVariableSource("CI_TOKEN").token()


@pytest.mark.parametrize("value", ["", "two words"])
def test_what_is_no_token_is_invalid(monkeypatch, value):
    """Present but broken is another error than absent."""
    monkeypatch.setenv("CI_TOKEN", value)
    with pytest.raises(InvalidTokenError, match="environment variable CI_TOKEN: The token"):
        EnvironmentVariableSource("CI_TOKEN").token()


def test_forgetting_leaves_the_variable_alone(monkeypatch):
    """It belongs to whoever set it."""
    monkeypatch.setenv("CI_TOKEN", "opaque")
    source = EnvironmentVariableSource("CI_TOKEN")
    source.forget()
    assert source.token().raw == "opaque"
