"""A kernel whose browser is elsewhere: the sign-in comes back to the Jupyter server, or it ends and leaves nothing."""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.mailbox import Mailbox
from jupyter_federation.openid.sign_in import OpenIdSignIn
from jupyter_federation.sign_in.callback import CallbackRung
from jupyter_federation.sign_in.receiver import Receiver

CALLBACK = "http://127.0.0.1:9/lab-of-ada/jupyter-federation/callback"
SIGN_IN_CELL = """
import boto3, jupyter_federation as jf
try:
    jf.federate({profile})
    print("done", [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]], flush=True)
except KeyboardInterrupt:
    print("done", jf.status().credentials, flush=True)
"""


@pytest.fixture
def mailbox(tmp_path):
    """One to which a server delivers, it says."""
    mailbox = Mailbox(tmp_path / "mailbox")
    mailbox.announce("server", CALLBACK, since=1.0, lifetime=timedelta(minutes=1))
    return mailbox


@pytest.fixture
def elsewhere(kernel, mailbox, person):
    """The kernel's browser is not on its machine, and ``person`` opens what they are shown."""
    kernel.options = {"here": False, "mailbox": mailbox}
    person.read = lambda text: person.open(address_in(text))
    person.follow = lambda redirect: person.pages.append(mailbox.deliver(query_of(redirect)))
    return kernel


@pytest.fixture
def logged_in(server, kernel, person):
    """``person`` uses Jupyter at ``server``, with its login cookie and nothing else."""
    cookie = server.request("GET", f"?token={server.token}", login=False).headers["Set-Cookie"].partition(";")[0]
    anonymous = person.follow
    person.follow = lambda redirect: anonymous(urllib.request.Request(redirect, headers={"Cookie": cookie}))
    person.read = lambda text: person.open(address_in(text))
    kernel.options = {"here": False}
    return server


def address_in(text):
    return next(line for line in text.splitlines() if line.startswith("http"))


def query_of(address):
    return dict(parse_qsl(urlsplit(address).query))


def left_in(mailbox):
    return sorted(path.suffix for path in mailbox.directory.iterdir())


def redeemed(provider):
    return sum(call.operation == "token" and call.status == 200 for call in provider.calls)


# In one process, with a mailbox of the test's own


def test_it_comes_before_paste_and_says_where_it_comes_back_to(elsewhere, person, provider, mailbox):
    """Nobody is asked to paste; the offer names issuer, client, its end and the address to register."""
    status = elsewhere.federate(prompt=person)
    assert ("valid", "ok", 1) == (status.credentials, status.sign_in, redeemed(provider))
    assert ([], [True], [".server"]) == (person.questions, person.pages, left_in(mailbox))
    for said in (provider.issuer, "notebook", "The offer stands for 5 minutes, until", CALLBACK, "--no-browser"):
        assert all(said in shown for shown in person.shown[0])
    for shown in person.shown[0]:  # what to do where it fails comes after what to do
        assert (
            shown.index("Open this") < shown.index(provider.issuer, shown.index("Open this")) < shown.index("refuses")
        )
        assert "`" not in shown


def test_the_challenge_is_s256_and_the_redirect_is_the_servers(elsewhere, person):
    """Authorization code with PKCE."""
    elsewhere.federate(prompt=person)
    asked = query_of(person.addresses[0])
    assert ("code", "S256", CALLBACK) == tuple(
        asked[name] for name in ("response_type", "code_challenge_method", "redirect_uri")
    )


def test_a_browser_here_comes_first_and_a_taken_port_leads_to_the_server(elsewhere, person):
    """The window of the kernel's own machine needs no registered server."""
    with Receiver() as other:
        elsewhere.options |= {"here": True, "redirect_ports": (other.port,)}
        elsewhere.federate(prompt=person)
    assert CALLBACK == query_of(person.addresses[0])["redirect_uri"]
    elsewhere.clear()
    person.read = lambda text: None
    elsewhere.options["redirect_ports"] = ()
    del person.follow
    elsewhere.federate(prompt=person)
    assert CALLBACK != query_of(person.addresses[1])["redirect_uri"]


def test_its_word_in_the_policy_is_browser(elsewhere, person):
    """Allowed by it, and left out by what does not name it."""
    elsewhere.options["allowed"] = ("browser",)
    assert "valid" == elsewhere.federate(prompt=person).credentials
    elsewhere.clear()
    elsewhere.options["allowed"] = ("paste",)
    person.read = lambda text: None
    assert "valid" == elsewhere.federate(prompt=person).credentials
    assert 1 == len(person.questions)


def test_where_browser_alone_is_allowed_and_no_server_runs_the_sentence_says_so(elsewhere, person, tmp_path):
    """And what to install."""
    elsewhere.options |= {"allowed": ("browser",), "mailbox": Mailbox(tmp_path / "none")}
    with pytest.raises(LoginFailedError, match=r"No Jupyter server with the sign-in callback.*\[server\]"):
        elsewhere.federate(prompt=person)


@pytest.mark.parametrize("trouble", ["no server", "another version", "not a directory"])
def test_where_the_mailbox_is_of_no_use_paste_comes_next(elsewhere, person, mailbox, trouble):
    """By itself, with nothing shown before."""
    person.read = lambda text: None
    (entry,) = mailbox.directory.iterdir()
    content = json.loads(entry.read_text())
    entry.unlink()
    if trouble == "another version":
        entry.write_text(json.dumps(content | {"protocol": 2}))
    if trouble == "not a directory":
        mailbox.directory.rmdir()
        mailbox.directory.write_text("in the way")
    assert "valid" == elsewhere.federate(prompt=person).credentials
    assert (1, 1) == (len(person.shown), len(person.questions))


def test_a_mailbox_that_takes_no_marker_gives_way_to_paste(elsewhere, person, mailbox, monkeypatch):
    """Its directory is there and cannot be written to."""
    person.read = lambda text: None

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jupyter_federation.mailbox.tempfile.mkstemp", full)
    assert "valid" == elsewhere.federate(prompt=person).credentials
    assert 1 == len(person.questions)


def test_denied_is_a_sentence_with_another_way(elsewhere, person, mailbox):
    """access_denied, and what can be chosen instead."""
    person.user = ""
    with pytest.raises(
        LoginFailedError, match=r"cancelled or denied \(access_denied\).*%federate research --no-browser"
    ):
        elsewhere.federate(prompt=person)
    assert [".server"] == left_in(mailbox)


def test_another_state_is_not_delivered_and_the_wait_goes_on(elsewhere, person):
    """The right one still arrives."""
    deliver = person.follow

    def both(redirect):
        deliver(redirect.replace("state=", "state=x"))
        deliver(redirect)

    person.follow = both
    assert "valid" == elsewhere.federate(prompt=person).credentials
    assert [False, True] == person.pages


@pytest.mark.slow
def test_nobody_comes_back(make_source, person, mailbox):
    """The wait shows life and ends; what comes later is not taken."""
    sign_in = OpenIdSignIn(make_source()._client)
    with pytest.raises(LoginFailedError, match=rf"Nobody came back from .* within 3 s.*{CALLBACK}"):
        CallbackRung(mailbox, patience=timedelta(seconds=3)).climb(sign_in, person)
    assert person.waits
    assert [".server"] == left_in(mailbox)
    late = person.redirect_of(address_in(person.shown[0][0]))
    assert not mailbox.deliver(query_of(late))


@pytest.mark.parametrize("moment", ["read", "waiting"])
def test_an_interrupt_leaves_no_marker(elsewhere, person, mailbox, moment):
    """When the offer is shown, and in the middle of the wait."""
    markers = []

    def interrupt(*_):
        markers.extend(left_in(mailbox))
        raise KeyboardInterrupt

    person.read = lambda text: None
    setattr(person, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        elsewhere.federate(prompt=person)
    assert ([".pending", ".server"], [".server"]) == (markers, left_in(mailbox))
    assert "none" == elsewhere.status().credentials


# In a real Jupyter server


@pytest.mark.slow
def test_a_real_server_brings_the_sign_in_back_and_a_bucket_is_listed(kernel, logged_in, person, provider, aws):
    """With its login cookie; without it the answer does not arrive."""
    status = kernel.federate(prompt=person)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert ["bucket"] == [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert ("valid", "ok", 1) == (status.credentials, status.sign_in, redeemed(provider))
    assert 1 == aws.count("AssumeRoleWithWebIdentity")
    assert person.redirects[0].startswith(f"{logged_in.url}jupyter-federation/callback?")
    assert "You can close this page" in person.pages[0]
    assert [".server"] == left_in(Mailbox.default())


@pytest.mark.slow
def test_a_real_server_brings_a_denial_back(kernel, logged_in, person):
    """To the page and to the notebook."""
    person.user = ""
    with pytest.raises(LoginFailedError, match="access_denied"):
        kernel.federate(prompt=person)
    within_five_seconds(lambda: person.pages)
    assert "You are not signed in" in person.pages[0]


@pytest.mark.slow
def test_a_real_server_does_not_deliver_another_state_nor_without_its_login(kernel, logged_in, person):
    """404 and the login page; then the right answer arrives after all."""
    follow = person.follow

    def thrice(redirect):
        follow(redirect.replace("state=", "state=x"))
        query = urlsplit(redirect).query
        person.pages.append(logged_in.request("GET", f"jupyter-federation/callback?{query}", login=False).status)
        follow(redirect)

    person.follow = thrice
    assert "valid" == kernel.federate(prompt=person).credentials
    within_five_seconds(lambda: len(person.pages) == 3)
    assert ["HTTP 404", 302] == person.pages[:2]


@pytest.fixture
def remote(aws_environment, role, provider, start_server):
    """A server whose kernels have no browser, and the cell that signs in there."""
    without = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"), "")
    server = start_server("remote", **aws_environment, **without)
    profile = {"source": "oidc", "issuer": provider.issuer, "client_id": "notebook", "role_arn": role.arn}
    profile["region"] = "eu-west-1"
    cell = SIGN_IN_CELL.format(profile=", ".join(f"{name}={value!r}" for name, value in profile.items()))
    return server, cell


@pytest.mark.slow
def test_the_answer_comes_in_while_the_cell_of_a_real_kernel_waits(remote, person):
    """The kernel's one thread waits in jf.federate, and lists the buckets within seconds of the redirect."""
    server, cell = remote
    with server.kernel() as kernel:
        kernel.start(cell, allow_stdin=True)
        redirect = person.redirect_of(address_in(kernel.shown()))
        assert redirect.startswith(f"{server.url}jupyter-federation/callback?")
        person.follow(f"{redirect}&token={server.token}")
        assert "done []" == last_line(kernel)
    assert "You can close this page" in person.pages[0]
    assert [".server"] == left_in(Mailbox.default())


@pytest.mark.slow
def test_interrupting_a_real_kernel_cancels_the_sign_in(remote, person):
    """The marker is gone, and whoever finishes the sign-in later is told that nobody waits."""
    server, cell = remote
    with server.kernel() as kernel:
        kernel.start(cell, allow_stdin=True)
        address = address_in(kernel.shown())
        assert [".pending", ".server"] == left_in(Mailbox.default())
        kernel.interrupt()
        assert "done none" == last_line(kernel)
        assert [".server"] == left_in(Mailbox.default())
        person.follow(f"{person.redirect_of(address)}&token={server.token}")
    assert ["HTTP 404"] == person.pages


def last_line(kernel):
    """What the cell prints in the end; before that, it says that it waits."""
    while "done" not in (printed := kernel.printed()):
        pass
    return printed[printed.index("done") :]


def within_five_seconds(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
