"""What the tests of a sign-in share: a person, and a kernel's federation that they sign in to."""

from __future__ import annotations

import threading

import boto3
import pytest
from openid_clients import client_of
from people import Person

from jupyter_federation import calls
from jupyter_federation.config import Configuration, Policy
from jupyter_federation.federation import Federation
from jupyter_federation.profile import Profile
from jupyter_federation.sign_in.ladder import Ladder, Manner
from jupyter_federation.sources.openid import OpenIdSource


@pytest.fixture
def person(browser):
    """Somebody with a browser, and what a notebook would ask them through."""
    return Person(browser)


@pytest.fixture
def make_source(provider, private_ca, person):
    """``make_source(**options)``: an OpenIdSource whose ladder opens ``person``'s browser."""

    def make(
        *,
        here=True,
        longest=None,
        ca_bundle=None,
        issuer=None,
        client_id="notebook",
        scopes=None,
        mailbox=None,
        way_back="%federate",
        **manner,
    ):
        given = {"issuer": issuer, "client_id": client_id, "ca_bundle": ca_bundle, "scopes": scopes}
        settings = {name: value for name, value in given.items() if value is not None}
        ladder = Ladder(
            Manner(**manner), browser_is_here=lambda: here, open_browser=person.open, mailbox=mailbox, way_back=way_back
        )
        return OpenIdSource(client_of(provider, private_ca, **settings), ladder, longest=longest, way_back=way_back)

    return make


@pytest.fixture
def kernel(aws_environment, role, provider, make_source, monkeypatch):
    """The public calls over a federation with the one profile research, which signs in at ``provider``.

    ``kernel.options`` are for the sources that it makes, which then stand in ``kernel.sources``.
    """
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    profile = Profile(
        name="research",
        source="oidc",
        issuer=provider.issuer,
        client_id="notebook",
        role_arn=role.arn,
        region="eu-west-1",
    )

    def source_of(profile, notebook, policy, way_back):
        chosen = {
            "no_browser": bool(profile.no_browser),
            "use_device_code": bool(profile.use_device_code),
            "token_prompt": bool(profile.token_prompt),
            "allowed": policy.allowed_sign_in,
            "way_back": way_back,
        }
        source = make_source(**(chosen | made.options))
        made.sources.append(source)
        return source

    made = Federation(
        load_configuration=lambda: Configuration(
            profiles={"research": profile}, default_profile="research", policy=Policy()
        ),
        make_source=source_of,
    )
    made.options, made.sources = {}, []
    monkeypatch.setattr(calls, "_kernel", made)
    yield made
    made.clear()


@pytest.fixture(autouse=True)
def nothing_left():
    """However a sign-in ends, no receiver goes on."""
    yield
    assert [] == [each for each in threading.enumerate() if each.name == "jupyter-federation-receiver"]
