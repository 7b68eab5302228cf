"""A person's machine for the doctor: federation profiles in a file, and an account at AWS that knows the provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from certified_provider import CertifiedProvider
from openid_clients import TENANT

from jupyter_federation.demo.aws import OpenIdProvider, Role
from jupyter_federation.doctor.examination import examine

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def certified(certificates):
    """npm's oidc-provider with the public client notebook."""
    with CertifiedProvider(certificates) as server:
        yield server


@pytest.fixture(scope="module")
def certified_entra(certificates):
    """The same, dressed as a tenant of Entra."""
    with CertifiedProvider(certificates, host="localhost", tenant=TENANT) as server:
        yield server


@pytest.fixture
def profile(isolated_home):
    """Write the default federation profile: ``profile(source="file", ...)``."""

    def write(**keys):
        keys = {key: value for key, value in keys.items() if value is not None}
        content = {"Federation": {"default_profile": "research", "profiles": {"research": keys}}}
        return write_file(json.dumps(content))

    def write_file(text):
        file = isolated_home / "jupyter_config_dir" / "jupyter_federation_config.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    write.text = write_file
    return write


@pytest.fixture
def by_file(profile, aws_environment, role, provider, tmp_path):
    """A profile that takes ada's ID token from a file, to ``role`` by STS; a key that is None is left out."""
    token = tmp_path / "id_token"
    token.write_text(provider.id_token("ada"))

    def write(**keys):
        profile(**{"source": "file", "path": str(token), "role_arn": role.arn, "region": REGION} | keys)

    write.token, write.issuer = token, provider.issuer
    return write


@pytest.fixture
def by_browser(profile, aws_environment, aws, certified, certificates):
    """A profile that signs in at the certified provider, to a role of the strict AWS."""
    aws.add(OpenIdProvider(issuer=certified.issuer, client_ids=("notebook",), keys=certified.keys))
    role = Role(name="Certified", trusts={certified.name: ("notebook",)})
    aws.add(role)

    def write(**keys):
        standard = {
            "source": "oidc",
            "issuer": certified.issuer,
            "client_id": "notebook",
            "ca_bundle": str(certificates.ca),
            "role_arn": role.arn,
            "region": REGION,
        }
        profile(**standard | keys)

    write.issuer, write.role = certified.issuer, role
    return write


@pytest.fixture
def by_entra(profile, aws_environment, role, provider, certificates):
    """A profile that signs in at ``provider``, dressed as a tenant of Entra, through msal."""

    def write(**keys):
        standard = {
            "source": "entra",
            "tenant": TENANT,
            "authority": provider.url,
            "client_id": "notebook",
            "ca_bundle": str(certificates.ca),
            "role_arn": role.arn,
            "region": REGION,
        }
        profile(**standard | keys)

    return write


@pytest.fixture
def codes():
    """What the doctor finds, by code, in its order; a name and its options may be given."""

    def found(*arguments, **options):
        report = examine(*arguments, **options)
        found.report = report
        return [each.code for each in report.findings]

    return found


def policy_file(folder, document):
    """A file with a policy."""
    file = Path(folder) / "trust.json"
    file.write_text(json.dumps(document))
    return file
