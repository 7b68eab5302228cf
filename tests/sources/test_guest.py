"""No token at all."""

from __future__ import annotations

from jupyter_federation.redaction import Secret
from jupyter_federation.sources.guest import GuestSource
from jupyter_federation.tokens import IdToken


def test_a_guest_comes_with_the_empty_token():
    """Silently and again and again, because there is nothing to lapse."""
    source = GuestSource()
    source.forget()
    nobody = IdToken(raw=Secret(""))
    assert [nobody, nobody] == [source.token(), source.login(prompt=None)]
    assert source.renewable
