"""Clearing, with the sign-in at the provider and without."""

from __future__ import annotations

import signal
import threading
import time
import webbrowser

import pytest

import jupyter_federation as jf
from jupyter_federation.demo.loopback import Fault
from jupyter_federation.errors import LoginFailedError
from jupyter_federation.sign_in import last_page


def test_clear_forgets_here_and_says_that_the_provider_goes_on(kernel, person, provider):
    """No request goes out."""
    kernel.federate(prompt=person)
    calls = len(provider.calls)
    assert "Your sign-in at the provider goes on." in str(jf.clear())
    assert calls == len(provider.calls)


def test_clear_with_sign_out_revokes_and_names_the_last_page(kernel, person, provider):
    """The refresh token is dead at the provider, and the address holds no token."""
    kernel.federate(prompt=person)
    happened = str(jf.clear(sign_out=True))
    assert "The provider has ended the refresh token." in happened
    assert f"until you open {provider.issuer}/end_session?client_id=notebook" in happened
    assert 1 == provider.count("revoke")
    assert all(grant.revoked for grant in provider._grants.values())
    assert "There was nothing to clear." == jf.clear(sign_out=True).happened


def test_the_last_page_opens_where_the_browser_is(kernel, person, provider, monkeypatch):
    """Once the tokens are gone; its address is said all the same, as a link where there are links."""
    opened = []
    monkeypatch.setattr(last_page, "_open", lambda address: not opened.append(address))
    kernel.federate(prompt=person)
    status = kernel.clear(sign_out=True, prompt=person)
    page = f"{provider.issuer}/end_session?client_id=notebook"
    assert [page] == opened
    assert f"A page has opened on which your browser's session there ends: {page}" in str(status)
    assert f'<a href="{page}" target="_blank" rel="noopener noreferrer">{page}</a>' in status._repr_html_()


def test_a_page_that_does_not_open_is_for_the_person_to_open(kernel, person, provider, monkeypatch):
    """No browser is here, or it did not start."""
    monkeypatch.setattr(last_page, "_open", lambda address: False)
    kernel.federate(prompt=person)
    status = kernel.clear(sign_out=True, prompt=person)
    assert f"goes on until you open {provider.issuer}/end_session" in str(status)
    assert "<a href=" in status._repr_html_()


@pytest.mark.parametrize("way", ["nobody is there", "without a question", "no sign-out"])
def test_no_page_opens_where_nobody_would_see_it(kernel, person, provider, monkeypatch, way):
    """A scheduled notebook on somebody's desktop opens no window, and a plain clear none anywhere."""
    opened = []
    monkeypatch.setattr(last_page, "_open", lambda address: not opened.append(address))
    kernel.federate(prompt=person)
    person.reaches_somebody = way != "nobody is there"
    kernel.clear(sign_out=way != "no sign-out", prompt=None if way == "without a question" else person)
    assert [] == opened


@pytest.mark.parametrize("hub", [False, True])
def test_the_rule_for_the_last_page_is_that_of_the_first(monkeypatch, hub):
    """On a hub the kernel's browser is nobody's."""
    opened = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    if hub:
        monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    else:
        monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    assert last_page._open("https://login.example.org/logout") is not hub
    assert len(opened) == (not hub)


def test_a_provider_that_is_down_keeps_nobody_signed_in_here(kernel, person, provider):
    """What could not be done there is said."""
    kernel.federate(prompt=person)
    provider.inject("revoke", Fault(drop=True))
    status = jf.clear(sign_out=True)
    assert "none" == status.credentials
    assert "No refresh token was revoked." in str(status)


def until_asked(provider, operation):
    end = time.monotonic() + 30
    while not provider.count(operation) and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals")
def test_an_interrupt_ends_a_sign_out_that_the_provider_drags_out(kernel, person, provider):
    """At once; here, nobody is signed in any longer."""
    kernel.federate(prompt=person)
    provider.inject("revoke", Fault.hang())
    interrupted = []

    def interrupt():
        until_asked(provider, "revoke")
        interrupted.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        kernel.clear(sign_out=True, prompt=person)
    assert time.monotonic() - interrupted[0] < 3
    interrupting.join()
    assert "none" == kernel.status().credentials
    assert None is kernel.sources[0]._grant


@pytest.mark.parametrize("beside", [False, True])
def test_a_sign_in_that_ends_after_a_clear_counts_no_more(kernel, person, provider, beside):
    """It began before, on another thread say; whoever cleared is told that nothing was there, and nothing comes."""
    provider.inject("token", Fault(delay=1.0))
    failures = []

    def sign_in():
        try:
            (kernel.session("research", prompt=person) if beside else kernel.federate("research", prompt=person))
        except LoginFailedError as error:
            failures.append(str(error))

    signing_in = threading.Thread(target=sign_in)
    signing_in.start()
    until_asked(provider, "token")
    assert "There was nothing to clear." == kernel.clear().happened
    signing_in.join(10)
    assert "cleared while it was under way" in failures[0]
    assert ("none", ()) == (kernel.status().credentials, kernel.status().beside)
    assert None is kernel.sources[0]._grant
    assert "valid" == kernel.federate("research", prompt=person).credentials


def test_the_provider_s_own_session_makes_the_next_sign_in_one_click(kernel, person, provider):
    """Until its end-session page is opened, the browser is known there."""
    kernel.federate(prompt=person)
    jf.clear()
    person.user = "nobody who could type a password"
    provider.users, known = {}, provider.users
    try:
        assert person.browser.open(person.addresses[0]).status == 302
    finally:
        provider.users = known
