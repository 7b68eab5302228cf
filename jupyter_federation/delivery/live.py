"""The one live credentials object of an identity, which every boto3 client of it holds.

A client asks its credentials object at each request, so whoever holds a `LiveCredentials` follows a renewal, a new
sign-in, another role and a clear, at once and without being told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.errors import FederationError
from jupyter_federation.federated_session import FederatedSession, SessionClosedError


class SessionClearedError(FederationError, NoCredentialsError):
    """A client goes on after the AWS session was cleared.

    Also botocore's NoCredentialsError, so that code which handles that one goes on working; no request is sent.
    """

    kwargs: dict[str, object] = {}  # noqa: RUF012 - botocore's attribute, empty: there is nothing to format


class LiveCredentials(Credentials):
    """Botocore credentials that read a `FederatedSession` at each use.

    Reading costs less than botocore's static credentials do: the frozen form is kept until the session's changes.
    """

    method = "jupyter-federation"
    account_id = None  # with it botocore would move DynamoDB to another host, which can break egress rules

    def __init__(self, *, way_back: str = "%federate") -> None:
        # Not super().__init__(): it would store keys, and here the session holds them.
        self._way_back = way_back  # what the person runs to sign in again
        self._session: FederatedSession | None = None
        self._frozen: tuple[AwsCredentials, ReadOnlyCredentials] | None = None

    def follow(self, session: FederatedSession) -> None:
        """Read ``session`` from now on."""
        self._session = session

    def clear(self) -> None:
        """Refuse from now on, until the next `follow`."""
        self._session = None
        self._frozen = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The current access key, secret key and session token as one whole set.

        Raises SessionClearedError after clear, and the TokenError or ExchangeError of the failed renewal once the
        credentials have expired.
        """
        session = self._session
        if session is None:
            raise self._cleared()
        try:
            current = session.credentials()
        except SessionClosedError:  # cleared since the line above
            raise self._cleared() from None
        frozen = self._frozen
        if frozen is not None and frozen[0] is current:
            return frozen[1]
        fresh = ReadOnlyCredentials(current.access_key_id, current.secret_access_key, current.session_token)
        if self._session is session:  # a clear meanwhile has dropped the keys, and they must stay dropped
            self._frozen = (current, fresh)
        return fresh

    @property
    def access_key(self) -> str:  # type: ignore[override]
        """The current access key id; prefer `get_frozen_credentials`, which gives a whole set."""
        return str(self.get_frozen_credentials().access_key)

    @property
    def secret_key(self) -> str:  # type: ignore[override]
        """The current secret key; prefer `get_frozen_credentials`."""
        return self.get_frozen_credentials().secret_key  # type: ignore[return-value]  # never None here

    @property
    def token(self) -> str | None:  # type: ignore[override]
        """The current session token; prefer `get_frozen_credentials`."""
        return self.get_frozen_credentials().token

    @property
    def _expiry_time(self) -> datetime | None:
        """When the current credentials expire: polars and Coiled read botocore's private name for it."""
        session = self._session
        return None if session is None else session.status().credentials_expire_at

    def _cleared(self) -> SessionClearedError:
        return SessionClearedError(
            "The AWS session was cleared.", fix=f"Run {self._way_back} to sign in again; this client goes on with it."
        )

    def __repr__(self) -> str:
        return "<LiveCredentials, signed in>" if self._session is not None else "<LiveCredentials, cleared>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("live AWS credentials cannot be pickled or copied: sign in where they are needed")
