"""The receiver takes the answer of one sign-in, whoever else on this machine or in a browser sends it something."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import urllib.request
from urllib.parse import parse_qs

import pytest
from openid_clients import both

from jupyter_federation.sign_in.receiver import Receiver

FORGED = {
    "another state": ("state={other}&code=x", {}),
    "an error of a page's": ("state={other}&error=access_denied", {"Sec-Fetch-Dest": "image"}),
    "no state": ("error=access_denied", {}),
    "half a character": ("state=%ED%A0%80&code=x", {}),
    "the state in an image": ("state={state}&error=access_denied", {"Sec-Fetch-Dest": "image"}),
    "the state in a frame": ("state={state}&error=access_denied", {"Sec-Fetch-Dest": "iframe"}),
}


@both
@pytest.mark.parametrize("case", FORGED)
def test_what_a_page_or_a_process_sends_ends_no_sign_in(make_source, person, case):
    """It is not found, and the person's own answer is taken after it."""
    query, headers = FORGED[case]
    follow = person.follow

    def both_of_them(redirect):
        base, _, said = redirect.partition("?")
        state = parse_qs(said)["state"][0]
        follow(urllib.request.Request(f"{base}?{query.format(state=state, other='x' * 43)}", headers=headers))
        follow(urllib.request.Request(redirect, headers={"Sec-Fetch-Dest": "document"}))

    person.follow = both_of_them
    assert make_source().login(person).subject
    end = time.monotonic() + 5
    while len(person.pages) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert "HTTP 404" == person.pages[0]
    assert "You can close this window" in person.pages[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_meanwhile_does_not_keep_the_port():
    """The next sign-in may want the very same one."""
    with Receiver() as receiver:
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
    try:
        time.sleep(0.2)
        with Receiver((receiver.port,)):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_few_idle_connections_do_not_fill_the_queue():
    """They wait while the receiver is busy; so does the one that brings the answer."""
    with contextlib.ExitStack() as stack:
        receiver = Receiver()  # takes none yet: its thread is not running
        for _ in range(64):
            stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port), timeout=1))
        with receiver:
            pass


def test_many_connections_are_few_threads_and_keep_the_answer_from_nobody():
    """Another user of the machine takes neither the kernel's threads nor its file descriptors."""
    state = "s" * 43
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        receiver.expect(state)
        for _ in range(200):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port), timeout=5))
            idle.sendall(b"G")
        answer = f"http://127.0.0.1:{receiver.port}/?state={state}&code=x"
        with urllib.request.urlopen(answer, timeout=5) as page:
            assert 200 == page.status
        threads = [each for each in threading.enumerate() if "process_request_thread" in each.name]
        assert len(threads) < 100
