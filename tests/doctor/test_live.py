"""``--live``: the whole way with a sign-in, against the certified provider and the strict AWS, and its report."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

import pytest
from certified_provider import FormBrowser
from people import Person

from jupyter_federation import app
from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.doctor.finding import found
from jupyter_federation.doctor.live import LiveReport, Step, verify
from jupyter_federation.profile import Profile


@pytest.fixture
def person(certificates, monkeypatch):
    """Somebody in front of a terminal, with a browser."""
    person = Person(FormBrowser(certificates.ca))
    monkeypatch.setenv("BROWSER", "any")
    monkeypatch.setattr("webbrowser.open", person.open)
    return person


def test_all_goes_well(by_browser, person, aws):
    """Five steps, each with its time; the report says of what and when, and not of whom."""
    by_browser()
    report = verify(prompt=person)
    assert 0 == report.exit_status
    assert ["sign in and exchange", "whoami", "list buckets", "refresh", "clear"] == [
        each.name for each in report.steps
    ]
    text = report.text()
    assert re.match(r"\*\*Verified live on \d{4}-\d\d-\d\d\*\*: `source` oidc, STS, jupyter-aws-federation ", text)
    assert "| list buckets | 0 listed |" in text
    for secret in ("ada", "123456789012", "eyJ", "ASIA"):
        assert secret not in text
    assert 2 == aws.count("AssumeRoleWithWebIdentity")
    assert 5 == len(json.loads(report.to_json())["steps"])


def test_what_fails_is_named_and_what_follows_is_not_reached(by_browser, person, aws):
    """By the finding's code; it ends signed out all the same."""
    by_browser.role.trusts = {}
    by_browser()
    report = verify(prompt=person)
    assert 1 == report.exit_status
    assert "role-does-not-trust" == report.steps[0].finding.code
    assert report.text().startswith("**Not verified live on ")
    assert 4 == report.text().count("not reached")


@pytest.mark.parametrize("provider", ["Entra"], indirect=True)
def test_what_entra_refuses_is_named(by_entra, provider, browser, monkeypatch):
    """By the code of its AADSTS number, with what the administrator does."""
    person = Person(browser)
    monkeypatch.setenv("BROWSER", "any")
    monkeypatch.setattr("webbrowser.open", person.open)
    said = {"error": "invalid_client", "error_description": "AADSTS7000218: The request body must contain a secret."}
    provider.inject("token", Fault(response=Response(status=401, body=json.dumps(said).encode())))
    by_entra()
    report = verify(prompt=person)
    assert "client-secret" == report.steps[0].finding.code
    assert "Allow public client flows" in report.text()


def test_s3_may_refuse(by_browser, person, aws):
    """A role that may not list buckets has been reached all the same."""
    aws.fail("s3:GET", "AccessDenied", "Access Denied", status=403)
    by_browser()
    report = verify(prompt=person)
    assert 0 == report.exit_status
    assert "S3 answers; the role may not list buckets" in report.text()


def test_a_fault_of_s3_s_is_no_success(by_browser, person, aws):
    """Any other answer fails the step."""
    aws.fail("s3:GET", "InvalidAccessKeyId", "It does not exist.", status=403, times=9)
    by_browser()
    report = verify(prompt=person)
    assert (1, "S3 refused to list buckets: InvalidAccessKeyId.") == (
        report.exit_status,
        report.steps[-1].finding.sentence,
    )


def test_by_the_command(by_file, capsys):
    """With a token that is brought, nobody is asked."""
    by_file()
    assert 0 == app.main(["doctor", "--live"])
    assert "**Verified live on " in capsys.readouterr().out


def test_where_nobody_can_be_asked(by_browser, capsys):
    """It fails at once, and says so."""
    by_browser()
    assert 1 == app.main(["doctor", "--live"])
    assert "nobody can be asked here" in capsys.readouterr().out


def test_what_is_said_is_no_markup():
    """Neither a table's column nor a tag, whoever says it."""
    failed = found("provider-down", "It says <img src=x> | [a](b).", administrator="see `x`")
    step = Step(name="sign in and exchange", result="a | b", seconds=1, finding=failed)
    profile = Profile(source="oidc", role_arn="arn:aws:iam::123456789012:role/R")
    text = LiveReport(profile=profile, at=datetime.now(timezone.utc), steps=(step,)).text()
    assert r"| sign in and exchange | a \| b | 1.0 |" in text
    assert r"It says \<img src=x\> \| \[a\](b)." in text
    assert r"see \`x\`" in text
