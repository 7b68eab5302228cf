"""``--live``: the whole way with a sign-in, against the certified provider and the strict AWS, and its report."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone

import pytest
from certified_provider import FormBrowser
from people import Person

from jupyter_federation import app
from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.doctor.examination import examine
from jupyter_federation.doctor.finding import fit, found
from jupyter_federation.doctor.live import LiveReport, Step, verify
from jupyter_federation.errors import FederationError
from jupyter_federation.federation import Federation
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


def broken():
    """A notebook's callable that does not work."""
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("keys", "token", "code"),
    [
        ({}, None, "token-missing"),
        ({}, b"", "token-malformed"),
        ({}, b"Bearer eyJhbGciOi.x.y", "token-malformed"),
        ({}, b"eyJhbGciOi.cut.x", "token-malformed"),
        ({}, b"\xff", "token-malformed"),
        ({}, b"x" * 50_001, "token-malformed"),
        ({}, b"x" * 70_000, "token-malformed"),
        ({}, b"eyJhbGciOi.cut", "token-is-no-jwt"),
        ({"provider": "saml"}, b"assertion", "provider-unknown"),
        ({"provider": f"https://{'a' * 200}.example.org"}, b"x", "provider-unknown"),
        ({"source": "env", "path": None, "variable": "NOT_SET"}, b"", "token-missing"),
        ({"source": "var", "path": None, "variable": "not_defined"}, b"", "token-missing"),
        ({"source": "var", "path": None, "variable": "broken"}, b"", "token-missing"),
        ({"source": "var", "path": None, "variable": "number"}, b"", "token-malformed"),
        ({"region": None}, b"eyJ9.eyJ9.x", "token-malformed"),
    ],
)
def test_federate_live_and_the_doctor_have_one_code(by_file, monkeypatch, *, keys, token, code):
    """And one sentence, of what a source brings or does not bring."""
    by_file(**keys)
    if token is None:
        by_file.token.unlink()
    else:
        by_file.token.write_bytes(token)
    notebook = {"broken": broken, "number": 1}
    for name, value in notebook.items():
        monkeypatch.setattr(sys.modules["__main__"], name, value, raising=False)
    with pytest.raises(FederationError) as caught:
        Federation().federate(prompt=Person(None))
    assert code == caught.value.facts["finding"]
    assert f"%federate doctor {code} explains it." == caught.value._render_traceback_()[-1]
    live = verify(prompt=Person(None)).steps[0].finding
    assert (code, fit(str(caught.value))) == (live.code, live.sentence)
    examined = examine(exchange=False, notebook=notebook).findings
    assert (code, live.sentence) in [(each.code, each.sentence) for each in examined]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"path": None}, "profile-incomplete"),
        ({"role_arn": None}, "profile-incomplete"),
        ({"source": None}, "profile-incomplete"),
        ({"tenant": "contoso.com"}, "profile-incomplete"),
        ({"identity_pool_id": "eu-west-1:01234567-89ab-cdef-0123-456789abcdef"}, "profile-incomplete"),
        ({"region": None}, "region-missing"),
    ],
)
def test_of_an_incomplete_profile_too(by_file, monkeypatch, *, keys, code):
    """Where nothing is sent, or no region is known to send it to."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    by_file(**keys)
    with pytest.raises(FederationError) as caught:
        Federation().federate(prompt=Person(None))
    assert code == caught.value.facts["finding"]
    if code == "region-missing":
        assert code == verify(prompt=Person(None)).steps[0].finding.code
    else:
        with pytest.raises(FederationError) as live:
            verify(prompt=Person(None))
        assert code == live.value.facts["finding"]
    assert (code, fit(str(caught.value))) in [(each.code, each.sentence) for each in examine().findings]


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
