"""The client with which a test's provider is asked: Authlib's, or msal's where the provider is dressed as Entra."""

from __future__ import annotations

import pytest

from jupyter_federation.openid.entra import Entra, EntraSettings
from jupyter_federation.openid.provider import Provider, ProviderSettings

TENANT = "7c0c2f3e-5d1b-4a7e-9a55-3f6c1d2e4b80"
DOMAIN = "contoso.example"  # of that tenant

both = pytest.mark.parametrize("provider", ["any", "Entra"], indirect=True)
"""A test of what holds whichever library speaks."""


def is_entra(provider):
    return provider.path.endswith("/v2.0")


def client_of(provider, private_ca, **settings):
    """A client at ``provider``, with ``settings`` of that kind of client."""
    settings = {"client_id": "notebook"} | settings
    if is_entra(provider):
        return Entra(
            EntraSettings(**{"authority": provider.url, "tenant": TENANT, "ca_bundle": str(private_ca.path)} | settings)
        )
    return Provider(ProviderSettings(**{"issuer": provider.issuer} | settings))
