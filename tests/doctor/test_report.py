"""How findings are said: to a person in a terminal and in a notebook, to a program, and nothing secret to anybody."""

from __future__ import annotations

import ast
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import jupyter_federation
from jupyter_federation import app
from jupyter_federation.doctor.examination import examine
from jupyter_federation.doctor.finding import CAUSES, found, of_error
from jupyter_federation.doctor.patient import Fact, Patient
from jupyter_federation.doctor.report import Report
from jupyter_federation.errors import ConfigurationError, ExchangeError
from jupyter_federation.mailbox import SERVER_VARIABLE, Mailbox
from jupyter_federation.openid.aadsts import _ADVICE, _FINDINGS
from jupyter_federation.tokens import IdToken

PACKAGE = Path(jupyter_federation.__file__).parent
ROLE = "arn:aws:iam::123456789012:role/Researcher"
AT = datetime(2026, 5, 4, 12, tzinfo=timezone.utc)
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


def report(*findings, **parts):
    return Report(**{"profile": "research", "at": AT, "findings": findings, "facts": ()} | parts)


def test_every_code_of_an_error_is_a_cause():
    """What an error of the product calls its finding, the doctor knows."""
    named = {
        code
        for path in PACKAGE.rglob("*.py")
        for code in re.findall(r'\bfinding(?:: str)?=\(?"([a-z0-9-]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(named) > 40
    assert set() == named - CAUSES.keys()
    assert set() == set(_FINDINGS.values()) - CAUSES.keys()
    assert _ADVICE.keys() == _FINDINGS.keys()


# What no code explains: a person has not signed in yet, or was not asked, or the token is somebody else's.
WITHOUT_A_CODE = {
    ("tokens.py", "nobody_here"),
    ("sources/prompt.py", "token"),
    ("sources/prompt.py", "login"),
    ("sources/openid.py", "_usable"),
    ("sources/openid.py", "_take"),
    ("sources/jupyterhub.py", "_ask"),
}


def test_every_error_of_a_token_a_source_and_an_incomplete_profile_has_a_code():
    """But for those that are named."""
    files = [PACKAGE / "tokens.py", PACKAGE / "profile.py", *sorted((PACKAGE / "sources").glob("*.py"))]
    without = set()
    for file in files:
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for each in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                keywords = {keyword.arg for keyword in each.keywords} if isinstance(each, ast.Call) else set()
                if "fix" in keywords and not keywords & {"finding", None} and each.func.id.endswith("Error"):
                    without.add((file.relative_to(PACKAGE).as_posix(), function.name))
    assert without == WITHOUT_A_CODE


def test_every_cause_is_found_by_something():
    """No code stands there that nothing gives."""
    texts = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "finding.py")
    assert [] == [code for code in CAUSES if f'"{code}"' not in texts]


@pytest.mark.parametrize("code", CAUSES)
def test_every_administrator_s_line_can_be_filled_in(code):
    """With nothing known it still reads, and no placeholder is left."""
    line = found(code, "A sentence.").administrator
    assert not re.search(r"[{}](?!\")", line.replace('{"', "").replace('"}', "")), line


def test_an_error_brings_its_code_its_words_and_its_facts():
    """The sentence is the error's own; the administrator's line is filled in from its facts, or the error's own too."""
    error = ExchangeError(
        "AWS does not know the client.",
        fix="Add it.",
        finding="audience-not-registered",
        audience="app",
        logins_key="i",
    )
    finding = of_error(error, "aws-refuses")
    assert ("audience-not-registered", str(error)) == (finding.code, finding.sentence)
    assert "--client-id app" in finding.administrator
    assert "finding: audience-not-registered" in error.diagnostics()
    for name in ("where", "code", "sentence", "fallback"):
        named = of_error(ConfigurationError("What?", fix="Ask.", **{name: "x"}), "aws-refuses")
        assert ("aws-refuses", "What? Ask.", "x" if name == "where" else "") == (
            named.code,
            named.sentence,
            named.where,
        )
    own = ConfigurationError("A scope is missing.", fix="Ask.", finding="hub-scope-missing", administrator="grant it")
    assert "grant it" == of_error(own, "aws-refuses").administrator
    assert "aws-refuses" == of_error(ConfigurationError("What?", fix="Ask."), "aws-refuses").code


def test_a_notebook_s_error_names_the_doctor_s_code():
    """Beneath its sentence, where there is a code."""
    error = ConfigurationError("No region is set.", fix="Set `region`.", finding="region-missing")
    assert [
        f"ConfigurationError: {error}",
        "%federate doctor region-missing explains it.",
    ] == error._render_traceback_()
    assert ["ConfigurationError: What? Ask."] == ConfigurationError("What?", fix="Ask.")._render_traceback_()


@pytest.mark.parametrize(("number", "which"), [(1, "it"), (2, "the first, and so on")])
def test_a_finding_names_what_explains_it(number, which):
    """By the command of the place where it is read."""
    shown = report(*[found("clock-wrong", "A sentence.")] * number)
    assert f"`jupyter federation doctor clock-wrong` explains {which}." in shown.text().replace("\n", " ")
    assert f"<div><code>%federate doctor clock-wrong</code> explains {which}.</div>" in shown._repr_html_()


def test_errors_come_first_and_causes_before_what_they_bring_about():
    """By the order of the list of causes."""
    findings = [found(code, "A sentence.") for code in ("classic-flow-on", "role-does-not-trust", "clock-wrong")]
    assert ["clock-wrong", "role-does-not-trust", "classic-flow-on"] == [
        each.code for each in sorted(findings, key=lambda each: each.rank)
    ]


def test_text_fits_a_terminal_of_80_columns():
    """No line is longer, but for a word that is longer by itself."""
    many = [
        found(code, "A sentence that says what happened and what to do, and is somewhat long. " * 3) for code in CAUSES
    ]
    facts = (Fact("  path", "~/" + "long/" * 9, "/etc/jupyter/jupyter_federation_config.d/of-the-administrator.json"),)
    for line in report(*many, facts=facts).text().splitlines():
        assert len(line) <= 80 or len(line.split()) <= 2, line


def test_neither_secret_nor_mail_address_is_shown():
    """Not in a terminal, not as JSON, not in a notebook."""
    finding = found("aws-refuses", f"It said {JWT} of ada@example.org.", where="/home/ada", administrator=f"see {JWT}")
    shown = report(finding, facts=(Fact("path", "ada@example.org"),))
    for form in (shown.text(), shown.to_json(), str(shown), shown._repr_html_()):
        assert "eyJ" not in form
        assert "ada@example.org" not in form


def test_nothing_moves_a_terminal_s_cursor(by_file, tmp_path):
    """Neither what a provider or a file says, nor a name of one."""
    assert "\x1b" not in report(found("provider-down", "It says \x1b[2J\u202e.", where="\x1b]0;x")).text()
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": "accounts.google.com"},
        "Action": "\x1b[2Jsts:AssumeRole",
    }
    (tmp_path / "trust.json").write_text(json.dumps({"Statement": [statement]}))
    by_file(scopes=None, policy_arns=["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B"])
    said = examine(trust_policy=tmp_path / "trust.json").text()
    assert "trust-no-web-identity" in said
    assert "\u202e" not in report(found("provider-down", "It."), request="\u202e").to_json()
    assert "policy_arns: arn:aws:iam::aws:policy/A, arn:aws:iam::aws:policy/B" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_a_saved_notebook_names_no_account_and_no_role():
    """A terminal does, because that is what has to be set."""
    shown = report(
        found("role-does-not-trust", f"The role {ROLE} does not.", role_arn=ROLE), facts=(Fact("role", ROLE),)
    )
    assert ROLE in shown.text()
    assert ROLE in shown.to_json()
    for form in (str(shown), shown._repr_html_(), shown.to_json(saved=True)):
        assert "123456789012" not in form


def test_a_saved_notebook_names_no_home_directory(isolated_home):
    """Neither in a sentence nor by itself; what only begins like it is another."""
    home = str(isolated_home)
    said = f"{home}/.aws/config cannot be read, nor can {home!r}; {home}-of-others/x can, and /mnt{home}/x."
    patient = Patient()
    patient.tell("file read", f"{home}/a.json", f"{home}/b")
    shown = report(found("aws-files-broken", said, where=f"{home}/.aws/config"), facts=tuple(patient.facts))
    assert f"~/.aws/config cannot be read, nor can '~'; {home}-of-others/x can, and /mnt{home}/x." == (
        shown.findings[0].sentence
    )
    assert ("~/.aws/config", "~/a.json", "~/b") == (shown.findings[0].where, *shown.facts[0][1:])


@pytest.mark.parametrize(
    "code", ["trust-principal-wrong", "trust-principal-open", "trust-no-audience", "trust-tag-missing"]
)
def test_what_is_to_be_copied_is_whole_in_a_notebook(code):
    """A placeholder is nobody's name, and a quote is no part of one: the JSON behind it stays."""
    line = found(code, "A sentence.", logins_key="login.example.org", audience="app").administrator
    assert line in str(report(replace(found(code, "A sentence."), administrator=line))).replace("\n    ", " ")
    pool = replace(found(code, "A sentence."), administrator=f'"Federated": "{ROLE}"}}')
    assert '"Federated": "…"}' in str(report(pool))


@pytest.mark.parametrize("form", [str, lambda each: html.unescape(each._repr_html_()), Report.text])
def test_the_request_s_profile_can_be_copied(form):
    """In a notebook too, it is whole JSON and a profile."""
    said = form(examine())
    document = json.loads(said[said.index("{\n") : said.rindex("}") + 1])
    assert "arn:aws:iam::ACCOUNT:role/ROLE" == document["Federation"]["profiles"]["research"]["role_arn"]


def test_html_is_escaped():
    """What a provider says is no markup."""
    assert "<script>" not in report(found("provider-down", "<script>alert(1)</script>"))._repr_html_()


def test_json_is_for_programs():
    """One object, with a version, and each finding's page."""
    document = json.loads(report(found("clock-wrong", "It is slow.", where="AWS STS")).to_json())
    assert (1, "research", 1) == (document["doctor"], document["profile"], document["exit_status"])
    (finding,) = document["findings"]
    assert {"code", "severity", "sentence", "administrator", "where", "page"} == finding.keys()
    assert "docs/doctor.md#clock-wrong" == finding["page"]


@pytest.mark.parametrize(
    ("codes", "status"),
    [((), 0), (("classic-flow-on",), 0), (("clock-wrong",), 1), (("classic-flow-on", "clock-wrong"), 1)],
)
def test_the_exit_status_is_that_of_errors(codes, status):
    """A warning is none."""
    assert status == report(*(found(code, "A sentence.") for code in codes)).exit_status


# As it is typed


def test_in_a_terminal(by_file, capsys, role, tmp_path):
    """Text, JSON, the exit status; argparse's 2 for a line that is wrong."""
    by_file()
    assert 0 == app.main(["doctor"])
    assert "Nothing is wrong: AWS took the token." in capsys.readouterr().out
    role.trusts = {}
    assert 1 == app.main(["doctor", "research", "--json"])
    assert ["role-does-not-trust"] == [each["code"] for each in json.loads(capsys.readouterr().out)["findings"]]
    (tmp_path / "trust.json").write_text('{"Statement": []}')
    assert 1 == app.main(["doctor", "--no-exchange", "--trust-policy", str(tmp_path / "trust.json")])
    assert "trust-no-web-identity" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        app.main(["doctor", "--fast"])
    assert 2 == caught.value.code
    for option in (["--no-exchange"], ["--trust-policy", "role.json"]):
        with pytest.raises(SystemExit) as caught:
            app.main(["doctor", "--live", *option])
        assert 2 == caught.value.code
        assert "--live goes the whole way" in capsys.readouterr().err


def test_in_a_notebook(by_file, isolated_home):
    """In a fresh IPython: before the sign-in, and beside it, whose token it takes without asking for another."""
    by_file()
    code = f"""
import json
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "jupyter_federation")
before = shell.run_line_magic("federate", "doctor")
shell.run_line_magic("federate", "")
open({str(by_file.token)!r}, "w").close()
after = shell.run_line_magic("federate", "doctor")
variable = shell.run_line_magic("federate", "doctor --no-exchange")
print(json.dumps([[each.code for each in report.findings] for report in (before, after, variable)]))
print(any(fact.name == "exchange" for fact in after.facts), any(fact.name == "exchange" for fact in variable.facts))
print("<strong>Doctor, the federation profile" in after._repr_html_())
explained = shell.run_line_magic("federate", "doctor dns-unresolved")
print("<code>dns-unresolved</code>" in explained._repr_html_(), "no address here" in explained.text())
shell.run_line_magic("federate", "doctor --no-exchange --json")
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    said, brace, document = answer.stdout.partition("{")
    assert ["[[], [], []]", "True False", "True", "True True"] == said.splitlines()[-4:], answer.stdout + answer.stderr
    facts = {each["name"].strip(): each["value"] for each in json.loads(brace + document)["facts"]}
    assert "…" == facts["role_arn"]


def test_the_token_is_in_no_form(by_file, role):
    """Neither of a healthy set-up nor of a refusal, whatever is printed, and not in what the checks hold."""
    by_file()
    token = by_file.token.read_text()
    healthy = examine()
    role.trusts = {}
    refused = examine()
    assert ["role-does-not-trust"] == [each.code for each in refused.findings]
    for each in (healthy, refused):
        for form in (each.text(), each.to_json(), str(each), each._repr_html_(), repr(each)):
            assert token not in form
            assert token.rpartition(".")[2] not in form
    assert token not in repr(Patient(token=IdToken.parse(token)))


def fits_a_terminal(said):
    """No line of ``said`` is longer than 80 columns; a long path stays whole."""
    return all(len(line) <= 80 or len(line.split()) <= 2 for line in said.splitlines())


def test_without_a_profile_the_request_is_printed(capsys):
    """Ready to be sent: what to register, with this machine's redirect URIs, and the profile to send back."""
    assert 1 == app.main(["doctor"])
    said = capsys.readouterr().out
    assert "http://localhost" in said
    assert '"source": "entra"' in said
    assert fits_a_terminal(said)


def test_the_request_is_entra_s_and_says_where_the_others_stand():
    """Each other provider has URIs, scopes and a profile of its own, which the page alone names."""
    said = " ".join(examine().request.split())
    assert "Scopes: openid, profile, email, offline_access. That is for Entra." in said
    assert (
        "Another provider's URIs, scopes and profile, and a secret where it gives one, stand in its section of: "
        "jupyter federation docs identity-providers"
    ) in said
    assert "That is Entra's. For another provider: the profile of its section" in said
    assert not re.search(r"8400|127\.0\.0\.1|redirect_port|oidc", said)


def test_the_request_for_a_hub_names_all_that_a_hub_needs(capsys, monkeypatch):
    """The package in both places, the call's place, the key, and which template asks what of the provider."""
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://hub/hub/api")
    assert 1 == app.main(["doctor"])
    said = capsys.readouterr().out
    assert fits_a_terminal(said)
    said = " ".join(said.split())
    for text in (
        "The package in the hub's environment and in the servers' image: pip install jupyter-aws-federation",
        "import jupyter_federation.hub, and as its last line jupyter_federation.hub.configure(c)",
        "JUPYTERHUB_CRYPT_KEY in the hub's environment: it has to be set, and to stay the same over restarts",
        "The commands for one role for all: jupyter federation docs aws",
        "A prefix for each person, by one of two templates:",
        "jupyter federation docs deploy/identity-pool.yaml (needs nothing of the provider)",
        "jupyter federation docs deploy/sts.yaml (ID tokens that carry the claim https://aws.amazon.com/tags)",
    ):
        assert text in said


def test_no_server_s_address_moves_the_cursor_in_the_request(isolated_home, monkeypatch):
    """What an entry of a server says is somebody else's text."""
    mailbox = Mailbox(isolated_home / "jupyter_runtime_dir" / "jupyter-federation")
    entry = mailbox.announce("s", "http://x/\x1b]0;owned\x07\x1b[2J", since=1.0, lifetime=timedelta(minutes=1))
    monkeypatch.setenv(SERVER_VARIABLE, str(entry))
    assert "http://x/" in examine().request
    assert all(line.isprintable() for line in examine().text().splitlines())


def test_a_report_can_be_copied():
    """It is a value."""
    assert replace(report(), profile="b") == report(profile="b")
