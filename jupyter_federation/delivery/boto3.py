"""Into boto3: the default session, sessions that anybody makes later, and clients made before the sign-in.

The two patches of botocore that this takes have a decision record (docs/decisions/), are inert once `remove` was
called, and are tested against the versions that they were written for.
"""

from __future__ import annotations

from typing import Any

import boto3
import botocore.credentials
import botocore.session
from botocore.credentials import CredentialProvider, Credentials
from botocore.signers import RequestSigner

from jupyter_federation.redaction import guard_logs


class Boto3Delivery:
    """Puts one credentials object wherever boto3 looks for some, and takes it back."""

    def __init__(self) -> None:
        self.credentials: Credentials | None = None
        """What is installed now."""
        self._default_sessions: list[tuple[Any, Credentials | None]] = []

    def install(self, credentials: Credentials) -> None:
        """Make ``credentials`` those of the default session, of later sessions and of clients that found none.

        A session that names a profile keeps that profile's keys.  Installing again mends what was replaced meanwhile.
        """
        guard_logs()
        self.credentials = credentials
        default = _default_session()
        if default._credentials is not credentials:
            self._default_sessions.append((default, default._credentials))
            default._credentials = credentials
        self._patch_resolver()
        if not isinstance(RequestSigner.__dict__.get("_credentials"), _SignerCredentials):
            RequestSigner._credentials = _SignerCredentials(self)  # type: ignore[attr-defined]

    def remove(self) -> None:
        """Give back what was there before; clients and sessions that hold the credentials object keep it."""
        credentials, self.credentials = self.credentials, None
        while self._default_sessions:
            session, earlier = self._default_sessions.pop()
            if session._credentials is credentials:
                session._credentials = earlier
        on_top: Any = botocore.credentials.create_credential_resolver
        while getattr(on_top, "delivery", None) is self:
            botocore.credentials.create_credential_resolver = on_top = on_top.below
        if isinstance(RequestSigner.__dict__.get("_credentials"), _SignerCredentials):
            del RequestSigner._credentials  # type: ignore[attr-defined]

    def region(self) -> str | None:
        """The region that boto3 finds by itself, from the environment or the user's AWS files."""
        region: str | None = _default_session().get_config_variable("region")
        return region

    def _patch_resolver(self) -> None:
        """Put ours on top, unless it is there: somebody may have patched over it, or put back what was before it."""
        below: Any = botocore.credentials.create_credential_resolver
        if getattr(below, "delivery", None) is self:
            return

        def create(session: Any, *args: Any, **kwargs: Any) -> Any:
            resolver = below(session, *args, **kwargs)
            is_there = any(isinstance(each, _InstalledProvider) for each in resolver.providers)
            if not is_there and session.instance_variables().get("profile") is None:  # profile_name=… means that one
                resolver.providers.insert(0, _InstalledProvider(self))
            return resolver

        create.delivery, create.below = self, below  # type: ignore[attr-defined]
        botocore.credentials.create_credential_resolver = create


def session_over(credentials: Credentials, *, region: str | None) -> boto3.Session:
    """A boto3 session of its own over ``credentials``.

    AWS_PROFILE does not count in it: that names another identity, and one that is not there would break it.
    """
    core: Any = botocore.session.Session()
    core.session_var_map["profile"] = (None, None, None, None)
    core._credentials = credentials
    return boto3.Session(botocore_session=core, region_name=region)


def _default_session() -> Any:
    """The botocore session that ``boto3.client()`` uses; its ``_credentials`` is read and set as it is.

    ``get_credentials()`` would go and look for some, as far as the instance metadata of a machine that has none.
    """
    return boto3._get_default_session()._session


class _InstalledProvider(CredentialProvider):
    """First in the chain of a session that names no profile; gives nothing once ours are removed."""

    METHOD = "jupyter-federation"
    CANONICAL_NAME = "JupyterFederation"

    def __init__(self, delivery: Boto3Delivery) -> None:
        super().__init__()
        self._delivery = delivery

    def load(self) -> Credentials | None:
        return self._delivery.credentials


class _SignerCredentials:
    """Data descriptor on ``RequestSigner._credentials``: a client that was made without credentials gets ours.

    Botocore stores None in the signer for ever.  A client made with credentials keeps them, and so does a
    subclass of the signer (aiobotocore's): its credentials have another interface.
    """

    def __init__(self, delivery: Boto3Delivery) -> None:
        self._delivery = delivery

    def __get__(self, signer: Any, owner: type | None = None) -> Any:
        if signer is None:
            return self
        own = signer.__dict__.get("_credentials")
        return self._delivery.credentials if own is None and type(signer) is RequestSigner else own

    def __set__(self, signer: Any, value: Any) -> None:
        signer.__dict__["_credentials"] = value
