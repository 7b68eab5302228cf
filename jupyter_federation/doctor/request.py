"""What a person sends to their administrator who has no federation profile yet: what is wanted, ready to be copied."""

from __future__ import annotations

import json
from textwrap import dedent, indent

from jupyter_federation.doctor.finding import fit
from jupyter_federation.doctor.patient import Patient
from jupyter_federation.errors import FederationError
from jupyter_federation.mailbox import Mailbox

_ENTRA = {
    "source": "entra",
    "tenant": "TENANT-ID",
    "client_id": "CLIENT-ID",
    "role_arn": "arn:aws:iam::ACCOUNT:role/ROLE",
    "region": "REGION",
}
_HUB = {"source": "jupyterhub", "role_arn": "arn:aws:iam::ACCOUNT:role/ROLE", "region": "REGION"}


def request_to_the_administrator(patient: Patient) -> str:
    """The text, for this machine: its redirect URIs, and the hub's own way where it runs on one."""
    if "JUPYTERHUB_API_URL" in patient.environment:
        return _text(_FOR_A_HUB, _HUB)
    try:
        callback = Mailbox.default().redirect_uri()
    except FederationError:
        callback = None
    uris = [
        "http://localhost",
        (callback and fit(callback)) or "<the Jupyter server's address>/jupyter-federation/callback",
    ]
    return _text(_FOR_A_CLIENT, _ENTRA, "\n".join(f"   - {each}" for each in uris))


def _text(text: str, keys: dict[str, str], uris: str = "") -> str:
    profile = json.dumps({"Federation": {"default_profile": "research", "profiles": {"research": keys}}}, indent=2)
    return dedent(text).lstrip().format(uris=uris, profile=indent(profile, "   "))


_FOR_A_CLIENT = """\
    Subject: signing in to AWS from Jupyter with our own login

    I use jupyter-aws-federation, which exchanges my login for temporary AWS
    credentials: no access keys, nothing saved. Its pages are named below; they
    come with pip install jupyter-aws-federation. It needs, once for all of us:

    1. At our identity provider: an application that is a public (native) client,
       authorization code with PKCE, no secret, with these redirect URIs, all of
       them under 'Mobile and desktop applications':
    {uris}
       Scopes: openid, profile, email, offline_access.
       That is for Entra. Another provider's URIs, scopes and profile, and a secret
       where it gives one, stand in its section of:
       jupyter federation docs identity-providers

    2. In AWS: that provider in IAM, with the application's client id as its
       audience; and a role whose trust policy allows
       sts:AssumeRoleWithWebIdentity to it, with a StringEquals condition on aud.
       The commands, for each provider: jupyter federation docs aws

    3. Back to me, or into /etc/jupyter/jupyter_federation_config.json for all:
    {profile}
       That is Entra's. For another provider: the profile of its section, with our
       ids in it.
    """
_FOR_A_HUB = """\
    Subject: AWS by our JupyterHub login

    I use jupyter-aws-federation, which exchanges my login to our hub for
    temporary AWS credentials: nobody signs in again. Its pages are named below;
    they come with pip install jupyter-aws-federation. It needs, once:

    1. The package in the hub's environment and in the servers' image:
       pip install jupyter-aws-federation
       In jupyterhub_config.py: import jupyter_federation.hub, and as its last line
       jupyter_federation.hub.configure(c); the hub logs in by OpenID Connect.
       JUPYTERHUB_CRYPT_KEY in the hub's environment: it has to be set, and to stay
       the same over restarts, or everybody has to log in again.
       How: jupyter federation docs jupyterhub

    2. In AWS: the hub's provider in IAM, with the hub's client id as its audience;
       and a role whose trust policy allows sts:AssumeRoleWithWebIdentity to it,
       with a StringEquals condition on aud.
       The commands for one role for all: jupyter federation docs aws
       A prefix for each person, by one of two templates:
       - jupyter federation docs deploy/identity-pool.yaml
         (needs nothing of the provider)
       - jupyter federation docs deploy/sts.yaml
         (ID tokens that carry the claim https://aws.amazon.com/tags)

    3. Into /etc/jupyter/jupyter_federation_config.json of the servers' image:
    {profile}
       With a pool: "identity_pool_id" in place of "role_arn" and "region".
    """
