"""No token at all."""

from __future__ import annotations

from jupyter_federation.exchange.providers import GUEST_TOKEN
from jupyter_federation.sources.guest import GuestSource


def test_a_guest_comes_with_the_empty_token_that_the_exchange_knows():
    """Silently and again and again, because there is nothing to lapse."""
    source = GuestSource()
    source.forget()
    assert [GUEST_TOKEN, GUEST_TOKEN] == [source.token(), source.login(prompt=None)]
    assert source.renewable
