"""The whole run: in time whatever hangs, and whatever a check of its own does."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest

from jupyter_federation.doctor import examination
from jupyter_federation.doctor.examination import LANES, examine
from jupyter_federation.doctor.finding import found
from jupyter_federation.doctor.patient import Asks


@pytest.fixture
def silent():
    """The port of a server that accepts every connection and says nothing."""
    connections = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connections.append(listener.accept()[0])

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for each in (listener, *connections):
        each.close()


@pytest.mark.slow
def test_when_everything_hangs_it_ends_within_ten_seconds(profile, silent, role, monkeypatch):
    """Provider and AWS accept and say nothing: each is named as what does not answer."""
    profile(
        source="oidc",
        issuer=f"https://127.0.0.1:{silent}",
        client_id="notebook",
        role_arn=role.arn,
        region="eu-west-1",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent}")
    since = time.monotonic()
    report = examine()
    assert 10 > time.monotonic() - since
    assert {"no-answer"} == {each.code for each in report.findings}
    assert len(report.findings) == 2


@pytest.mark.slow
def test_when_the_hub_and_aws_hang_it_ends_within_ten_seconds(profile, silent, role, monkeypatch):
    """The token's source too."""
    profile(source="jupyterhub", role_arn=role.arn, region="eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent}")
    monkeypatch.setenv("JUPYTERHUB_API_URL", f"http://127.0.0.1:{silent}/hub/api")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "any")
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    since = time.monotonic()
    report = examine()
    assert 10 > time.monotonic() - since
    assert ["no-answer", "hub-unreachable"] == [each.code for each in report.findings]


def test_a_callable_that_never_ends_holds_nothing_up(by_file):
    """It is the notebook's own code; what it is, is named."""
    by_file(source="var", path=None, variable="fetch")
    ended = threading.Event()
    since = time.monotonic()
    report = examine(notebook={"fetch": ended.wait}, seconds=1)
    ended.set()
    assert 2 > time.monotonic() - since
    assert ["no-answer"] == [each.code for each in report.findings]
    assert "the token's source (var)" in report.findings[0].sentence


def test_what_is_found_at_the_very_end_is_heard(monkeypatch):
    """A check may end between two looks at it."""
    ending = threading.Event()

    def late(_patient):
        ending.wait(5)
        yield found("provider-down", "It does not answer.")

    class Lane(examination._Lane):
        def is_alive(self):
            ending.set()
            self.join(5)
            return super().is_alive()

    monkeypatch.setattr(examination, "LANES", {"late": (late,)})
    monkeypatch.setattr(examination, "_Lane", Lane)
    assert ["profile-missing", "provider-down"] == [each.code for each in examine(seconds=0.1).findings]


def test_checks_run_side_by_side(monkeypatch):
    """As long as the slowest, not as all of them."""

    def slow(_patient):
        time.sleep(0.5)
        yield Asks("nobody")

    monkeypatch.setattr(examination, "LANES", dict.fromkeys(LANES, (slow,)))
    since = time.monotonic()
    examine()
    assert 2 > time.monotonic() - since


def test_a_check_that_fails_hides_nothing(monkeypatch):
    """It is a finding itself, by the exception's name and not by its text, which may hold anything."""

    def broken(_patient):
        yield found("dns-unresolved", "A name cannot be resolved.")
        raise KeyError("a-secret")

    monkeypatch.setattr(examination, "LANES", {"broken": (broken,)})
    report = examine()
    assert ["profile-missing", "dns-unresolved", "unforeseen"] == [each.code for each in report.findings]
    assert "KeyError" in report.text()
    assert "a-secret" not in report.to_json()


def test_where_no_further_thread_can_begin_there_is_a_report(monkeypatch):
    """What could not be looked at is named, and what could be is in it."""
    start, begun = threading.Thread.start, []

    def reluctant(thread):
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    def clocks(_patient):
        yield found("clock-wrong", "It is slow.")

    monkeypatch.setattr(examination, "LANES", {"a": (clocks,), "b": (), "c": (), "d": ()})
    monkeypatch.setattr(threading.Thread, "start", reluctant)
    report = examine()
    assert ["profile-missing", "clock-wrong", "unforeseen"] == [each.code for each in report.findings]
    assert "Nothing is known of c, d: " in report.findings[-1].sentence


def test_each_thing_that_is_wrong_is_a_finding_of_its_own(monkeypatch, tmp_path):
    """Two libraries that are too old in one environment, two providers of one policy; the same said twice is one."""
    monkeypatch.setattr("importlib.metadata.requires", lambda _name: ["boto3>=99.0", "msal>=99", "msal>=99"])
    arn = "arn:aws:iam::123456789012:oidc-provider/"
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": [f"{arn}a.example", f"{arn}b.example"]},
    }
    (tmp_path / "trust.json").write_text(json.dumps({"Statement": [statement]}))
    found_ = examine("none", exchange=False, trust_policy=tmp_path / "trust.json").findings
    assert ["boto3", "msal"] == [each.sentence.split()[0] for each in found_ if each.code == "dependency-missing"]
    assert ["a.example", "b.example"] == [
        each.administrator.partition('{"')[2].partition(":aud")[0]
        for each in found_
        if each.code == "trust-no-audience"
    ]


def test_a_machine_without_dns_is_one_finding(profile, monkeypatch):
    """Not one for each name that it cannot resolve."""
    profile(
        source="oidc",
        issuer="https://login.invalid",
        client_id="notebook",
        role_arn="arn:aws:iam::123456789012:role/R",
        region="eu-west-1",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://aws.invalid")
    (finding,) = examine().findings
    assert ("dns-unresolved", "login.invalid and aws.invalid") == (
        finding.code,
        " and ".join(sorted(finding.where.split(" and "), reverse=True)),
    )
    assert finding.sentence.startswith("No name can be resolved here")
