"""Clearing, with the sign-in at the provider and without."""

from __future__ import annotations

import jupyter_federation as jf
from jupyter_federation.demo.loopback import Fault


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


def test_a_provider_that_is_down_keeps_nobody_signed_in_here(kernel, person, provider):
    """What could not be done there is said."""
    kernel.federate(prompt=person)
    provider.inject("revoke", Fault(drop=True))
    status = jf.clear(sign_out=True)
    assert "none" == status.credentials
    assert "No refresh token was revoked." in str(status)


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
