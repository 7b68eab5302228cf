"""What an error says, wherever it is shown."""

from __future__ import annotations

import os

import pytest

from jupyter_federation.addresses import PROXY_FORM
from jupyter_federation.doctor.finding import fit
from jupyter_federation.doctor.report import _nameless
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.session_status import without_persons


@pytest.mark.parametrize(
    ("home", "shown"),
    [
        ("/home/ada", "~/.jupyter/a.json, /home/adam/b and /srv/home/ada"),
        ("/", "/home/ada/.jupyter/a.json, /home/adam/b and /srv/home/ada"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="Windows has other paths")
def test_the_home_directory_s_path_is_in_no_saved_error(monkeypatch, home, shown):
    """It names the person; a notebook saves what it shows of an error."""
    monkeypatch.setenv("HOME", home)
    error = ConfigurationError("/home/ada/.jupyter/a.json, /home/adam/b and /srv/home/ada", fix="Mend it.")
    assert error._render_traceback_() == [f"ConfigurationError: {shown} Mend it."]
    assert str(error) == f"{shown} Mend it."
    assert str(ConfigurationError("Look in /home/ada", fix="It is /home/ada.")).count("~") == 2 * (home != "/")
    assert without_persons(str(error)) == f"{shown} Mend it."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("file:///home/ada/x", "file://~/x"),
        ("/home/ada.bak", "/home/ada.bak"),
        ("~/home/ada", "~/home/ada"),
        ("(/home/ada)", "(~)"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="Windows has other paths")
def test_the_doctor_and_an_error_know_the_same_home(monkeypatch, text, shown):
    """And no other path for it."""
    monkeypatch.setenv("HOME", "/home/ada")
    assert (shown, shown) == (str(ConfigurationError(text, fix="")).strip(), fit(text))


def test_how_a_proxy_s_address_is_written_can_be_read_everywhere():
    """It is a placeholder, which the doctor and a saved notebook do not mask."""
    assert f"Write {PROXY_FORM}." == _nameless(fit(f"Write {PROXY_FORM}."))
    assert "ada" not in _nameless(fit("Write http://ada:secret@HOST:PORT."))
