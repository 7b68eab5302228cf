"""Hubs for the tests; jupyter_federation/hub.py is copied and run, as on Kubernetes."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from certified_provider import CertifiedProvider
from hubs import CLIENT_ID, CLIENT_SECRET, Hub
from servers import PACKAGE

from jupyter_federation.demo.aws import EmbeddedAws


@pytest.fixture(scope="module")
def provider_of(certificates):
    """Make a provider for a hub; ``provider_of(id_token_seconds=20)``."""
    with contextlib.ExitStack() as stack:

        def make(**settings):
            settings = {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "redirect_uris": ("http://127.0.0.1/hub/oauth_callback",),
            } | settings
            return stack.enter_context(CertifiedProvider(certificates, **settings))

        yield make


@pytest.fixture(scope="module")
def hub_of(certificates, tmp_path_factory):
    """Make a hub that runs until the module's tests are over."""
    with contextlib.ExitStack() as stack:

        def make(provider, *, extra, environment=None, **settings):
            folder = tmp_path_factory.mktemp("hub")
            hub = Hub(folder, provider, certificates.ca, environment or {}, extra=extra, **settings)
            return stack.enter_context(hub)

        yield make


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The configuration's last lines as Zero to JupyterHub has them: hub.py copied and run, nothing of it imported."""
    copied = tmp_path_factory.mktemp("jupyterhub_config.d") / "jupyter_federation.py"
    shutil.copy(PACKAGE / "hub.py", copied)
    return f"exec(compile(source=open({str(copied)!r}).read(), filename={copied.name!r}, mode='exec'))"


@pytest.fixture(scope="module")
def hub_aws():
    """The embedded AWS; ``environment`` leads botocore there."""
    with EmbeddedAws() as aws:
        aws.environment = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }
        yield aws
