"""The window on the kernel's machine: what it is opened with, what is left of that, and one that does not return."""

from __future__ import annotations

import os
import stat
import threading
import time
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from jupyter_core.paths import jupyter_runtime_dir
from openid_clients import both
from people import behind

from jupyter_federation.sign_in.browser import open_browser, page_to


def pages():
    return [path for path in Path(jupyter_runtime_dir()).glob("jupyter-federation-*") if path.is_dir()]


@both
def test_the_browser_is_started_with_a_page_that_only_the_person_can_read(make_source, person):
    """Not with the address: its state, nonce and challenge would stand in the list of processes.  Then it is gone."""
    opened, modes = [], []

    def look(page):
        opened.append(page)
        path = Path(url2pathname(urlsplit(page).path))
        modes.extend(stat.S_IMODE(each.stat().st_mode) for each in (path.parent, path))
        return type(person).open(person, page)

    source = make_source()
    source._ladder._open_browser = look
    assert source.login(person).subject
    assert ("file", "") == (urlsplit(opened[0]).scheme, urlsplit(opened[0]).query)
    assert os.name != "posix" or [0o700, 0o600] == modes
    assert [] == pages()
    assert (
        person.addresses[0] in person.shown[0][0]
    )  # the link is there all the same, for a browser that may not read it


def test_the_page_is_gone_however_the_wait_ends(make_source, person):
    """An interrupt, say."""

    def interrupt(*_):
        assert 1 == len(pages())
        raise KeyboardInterrupt

    source = make_source()
    person.waiting, person.follow = interrupt, lambda redirect: None
    with pytest.raises(KeyboardInterrupt):
        source.login(person)
    assert [] == pages()


def test_the_page_leads_where_it_should_whatever_stands_in_the_address():
    """Nothing in it is markup."""
    address = """https://login.example.org/a?x=1&y=%22"><script>alert('1')</script>"""
    with page_to(address) as page:
        assert address == behind(page)
        assert "<script" not in Path(url2pathname(urlsplit(page).path)).read_text()


def test_where_no_page_can_be_written_the_link_is_left(make_source, person, monkeypatch, tmp_path):
    """And the address is not handed to a browser instead."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "file"))
    person.read = lambda text: text.startswith("Sign in") and "No browser could be opened" in text and sign_in(text)

    def sign_in(text):
        address = next(line for line in text.splitlines() if line.startswith("http"))
        threading.Thread(target=person._sign_in, args=(address,), daemon=True).start()

    assert make_source().login(person).subject
    assert [] == person.addresses


@pytest.mark.parametrize("outcome", [True, False])
def test_a_browser_in_the_foreground_keeps_nobody_waiting(monkeypatch, outcome):
    """It returns when the person closes it; one that does not start says so at once."""
    closed = threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda address: closed.wait(20) if outcome else False)
    began = time.monotonic()
    assert outcome is open_browser("file:///page.html")
    assert time.monotonic() - began < 3
    closed.set()
