"""While signed in: what tools other than boto3 find in the environment, and get."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from people import Person

from jupyter_federation.delivery.container_protocol import TOKEN_FILE, URI
from jupyter_federation.federation import Federation


@pytest.fixture
def federation(by_file):
    """Signed in in this process, with its endpoint."""
    by_file()
    federation = Federation()
    federation.federate(prompt=Person(None))
    yield federation
    federation.clear()


def test_what_is_handed_out_is_no_finding(federation, codes):
    """It is a fact; the region that is lent for the profile is none either."""
    assert [] == codes(signed_in=federation.living_sign_in(), exchange=False)
    facts = {each.name: each.value for each in codes.report.facts}
    assert "handed out" == facts["credentials for other tools"]
    assert Path(os.environ[TOKEN_FILE]).read_text() not in codes.report.text()


def test_a_variable_that_has_gone(federation, codes, monkeypatch):
    """Tools find nothing then; signing in again mends it."""
    monkeypatch.delenv(URI)
    assert ["endpoint-unreachable"] == codes(signed_in=federation.living_sign_in(), exchange=False)
    assert URI in codes.report.findings[0].sentence


def test_somebody_else_s_endpoint(federation, codes, monkeypatch):
    """It outranks the sign-in, and is not asked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        monkeypatch.setenv(URI, f"http://127.0.0.1:{other.getsockname()[1]}/credentials")
        assert ["environment-outranks"] == codes(signed_in=federation.living_sign_in(), exchange=False)
        assert URI in codes.report.findings[0].sentence
        with pytest.raises(BlockingIOError):
            other.accept()


def test_a_token_s_file_that_is_gone(federation, codes):
    """Whoever tidied the temporary directory."""
    Path(os.environ[TOKEN_FILE]).unlink()
    assert ["endpoint-unreachable"] == codes(signed_in=federation.living_sign_in(), exchange=False)


def test_a_token_s_file_that_holds_another(federation, codes):
    """The endpoint refuses it."""
    Path(os.environ[TOKEN_FILE]).write_text("another")
    assert ["endpoint-unreachable"] == codes(signed_in=federation.living_sign_in(), exchange=False)
    assert "HTTP 401" in codes.report.findings[0].sentence


def test_an_endpoint_that_is_not_there(federation, codes, monkeypatch):
    """Nothing listens at its address."""
    living = federation.living_sign_in()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = urlsplit(os.environ[URI])._replace(netloc=f"127.0.0.1:{taken.getsockname()[1]}").geturl()
        monkeypatch.setenv(URI, closed)
        assert ["endpoint-unreachable"] == codes(
            signed_in=replace(living, lent={**living.lent, URI: closed}), exchange=False
        )


def test_a_region_that_was_lent_differs_from_nothing(by_file, codes, isolated_home, monkeypatch):
    """That of a default profile which outranks goes into the environment with the sign-in: nobody else named it."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # another test's
    (isolated_home / ".aws").mkdir()
    (isolated_home / ".aws" / "config").write_text("[default]\nregion = us-east-1\n")
    keys = "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = b\n"
    (isolated_home / ".aws" / "credentials").write_text(keys)
    by_file()
    federation = Federation()
    federation.federate(prompt=Person(None))
    try:
        living = federation.living_sign_in()
        assert "us-east-1" == os.environ["AWS_REGION"]
        assert ["aws-files-outrank"] == codes(signed_in=living, exchange=False)
        own = {name: value for name, value in living.lent.items() if "REGION" not in name}
        assert ["aws-files-outrank", "region-differs"] == codes(signed_in=replace(living, lent=own), exchange=False)
    finally:
        federation.clear()
