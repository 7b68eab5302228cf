"""Lines of text as HTML: in what a notebook saves, and in the panel."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from jupyter_federation.front_end.panel import markup
from jupyter_federation.markup import linked
from jupyter_federation.openid.connection import Connection
from jupyter_federation.openid.discovery import Endpoints
from jupyter_federation.session_status import SessionStatus, without_persons

IDP = "https://idp.example"
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class Read(HTMLParser):
    """What a browser makes of it: the tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def links(self):
        return [attributes for tag, attributes in self.tags if tag == "a"]


def sign_out_page(address, client):
    """The page that a provider which names this ``address`` has a client's browser open."""
    named = {"issuer": IDP, "authorization_endpoint": f"{IDP}/a", "token_endpoint": f"{IDP}/t"}
    return Endpoints.read(named | {"end_session_endpoint": address}, Connection(provider=IDP)).end_session_url(client)


INNER = sign_out_page(f"{IDP}/onmouseover=alert(1)//", "b")
PAGES = {
    "hostile": (sign_out_page(INNER, "a"), INNER),
    "honest": (sign_out_page(f"{IDP}/logout", "jupyter-prod"), sign_out_page(f"{IDP}/logout", "jupyter")),
}


@pytest.mark.parametrize("whose", PAGES)
@pytest.mark.parametrize("turn", [1, -1], ids=["longer first", "shorter first"])
@pytest.mark.parametrize("made", [markup, SessionStatus._repr_html_], ids=["panel", "status"])
def test_one_page_s_address_inside_another_s_stays_an_address(made, whose, turn):
    """Each is one link that goes there, and has no attribute but ours."""
    pages = PAGES[whose][::turn]
    assert min(pages, key=len) in max(pages, key=len)
    status = SessionStatus(happened="Cleared.", remarks=tuple(f"Open {page}" for page in pages), pages=pages)
    ours = [{"href": page, "target": "_blank", "rel": "noopener noreferrer"} for page in pages]
    assert ours == Read(made(status)).links()


def test_two_times_in_the_same_second_are_one_mark():
    """A token and the credentials that it bought may end together."""
    status = SessionStatus(
        credentials="valid",
        sign_in="not_renewable",
        is_federated=True,
        credentials_expire_at=NOON,
        sign_in_expires_at=NOON + timedelta(microseconds=1),
    )
    times = [attributes["datetime"] for tag, attributes in Read(status._repr_html_()).tags if tag == "time"]
    assert ["2026-01-01T12:00:00Z"] * 2 == times  # one in each of two lines
    assert str(status).count("12:00:00") == 2


@pytest.mark.parametrize("next_try_at", [None, NOON])
def test_what_a_saved_notebook_shows_counts_nothing_down(next_try_at):
    """It may be read after a restart, or next week: it says of which minute it is, and times, and no time left."""
    status = SessionStatus(
        credentials="valid",
        sign_in="ok",
        is_federated=True,
        profile="demo",
        credentials_expire_at=NOON,
        next_try_at=next_try_at,
    )
    headline, renewal = status._lines(NOON - timedelta(seconds=29))
    signed_in = "Signed in to AWS with the federation profile 'demo', as of 11:59 UTC"
    assert headline == f"{signed_in}: credentials until 2026-01-01 12:00:00 UTC."
    assert ("until the kernel ends" if next_try_at is None else "the next try is at 2026-01-01 12:00:00 UTC") in renewal
    assert not re.search(r"\d s\b|left", headline + renewal)
    assert [headline, renewal] == status._lines(NOON - timedelta(seconds=2))


def test_what_stands_around_the_marks_is_text():
    """Also what looks like a mark of ours, and what no message could carry."""
    said = f"<b>'{IDP}/x?a=1&b=2' until 2026-01-01 12:00:00 UTC &amp; \ud800\udfff"
    read = Read(linked(said, pages=(f"{IDP}/x?a=1&b=2",), moments=(NOON,)))
    assert ["a", "time"] == [tag for tag, _ in read.tags]
    assert said.replace("\ud800\udfff", "??") == read.text


@pytest.mark.parametrize("letter", "a-:@1")
def test_a_long_text_is_searched_for_persons_in_no_time(letter):
    """What a provider puts into an error may be long; a second is what a person would notice."""
    began = time.process_time()
    without_persons(letter * 200_000)
    assert time.process_time() - began < 1


def test_whoever_stands_in_a_text_is_left_out():
    """E-mail addresses, ARNs, Cognito ids and account numbers, wherever they begin and end."""
    identity = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef"
    arn = "arn:aws-cn:sts::123456789012:assumed-role/R/ada@example.org"
    text = f"a:b {identity}, {identity}@x.example; {arn} in (123456789012) by ada@example.org."
    assert "a:b …, …; … in (…) by …." == without_persons(text)
