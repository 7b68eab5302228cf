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
from jupyter_federation.errors import FederationError, SourceUnavailableError
from jupyter_federation.federated_session import FederatedSession, SessionClosedError
from jupyter_federation.refresher import Latch

_LONGEST = 75.0  # seconds that a client waits for an expected sign-in, which has a minute and an exchange


class SessionClearedError(FederationError, NoCredentialsError):
    """A client goes on after the AWS session was cleared.

    Also botocore's NoCredentialsError, so that code which handles that one goes on working; no request is sent.
    """

    kwargs: dict[str, object] = {}  # noqa: RUF012 - botocore's attribute, empty: there is nothing to format


class ExpectedSignIn:
    """A sign-in that goes on without anybody having asked for it; ``error`` is why it failed.

    ``profile`` is the name of the federation profile that it takes, where that is known.
    """

    def __init__(self) -> None:
        self.profile: str | None = None
        self.error: FederationError | None = None
        self._over = Latch()

    def end(self, error: FederationError | None = None) -> None:
        """Let those go on who wait."""
        self.error = error
        self._over.set()

    def wait(self) -> None:
        """Until it is over, but not for ever."""
        self._over.wait(_LONGEST)

    def refusal(self) -> FederationError:
        """What a client is told that needs what did not come."""
        if self.error is not None:
            return self.error.restated(problem=f"The sign-in at the kernel's start: {self.error.problem}")
        return SourceUnavailableError("The sign-in at the kernel's start takes too long.", fix="Run %federate.")


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
        self._expected: ExpectedSignIn | None = None  # the one at the kernel's start, under way or failed
        self._frozen: tuple[AwsCredentials, ReadOnlyCredentials] | None = None

    def follow(self, session: FederatedSession) -> None:
        """Read ``session`` from now on."""
        self._session = session
        self._expected = None

    def expect(self, sign_in: ExpectedSignIn) -> None:
        """Have clients wait for the end of ``sign_in``; where it fails, they are told why."""
        self.clear()
        self._expected = sign_in

    @property
    def expected(self) -> ExpectedSignIn | None:
        """The sign-in that is awaited, or has failed; None from the next `follow` or `clear` on."""
        return self._expected

    def clear(self) -> None:
        """Refuse from now on, until the next `follow`."""
        self._session = None
        self._expected = None
        self._frozen = None

    def at_once(self) -> AwsCredentials | None:
        """The current credentials as long as they are valid, else None; waits for nothing."""
        session = self._session
        return None if session is None else session.valid_credentials

    def credentials(self) -> AwsCredentials:
        """The current credentials; raises and waits as `get_frozen_credentials` does."""
        return self._current(self._session or self._arrived())

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The current access key, secret key and session token as one whole set.

        Raises SessionClearedError after clear, and the TokenError or ExchangeError of the failed renewal once the
        credentials have expired.  A sign-in that is expected is awaited, and its failure raised.
        """
        session = self._session or self._arrived()
        current = self._current(session)
        frozen = self._frozen
        if frozen is not None and frozen[0] is current:
            return frozen[1]
        fresh = ReadOnlyCredentials(current.access_key_id, current.secret_access_key, current.session_token)
        if self._session is session:  # a clear meanwhile has dropped the keys, and they must stay dropped
            self._frozen = (current, fresh)
        return fresh

    def _current(self, session: FederatedSession) -> AwsCredentials:
        try:
            return session.credentials()
        except SessionClosedError:  # cleared since the session was read
            raise self._cleared() from None

    def _arrived(self) -> FederatedSession:
        """The session of the sign-in that is expected."""
        expected = self._expected
        if expected is not None:
            expected.wait()
        session = self._session
        if session is not None:
            return session
        if expected is None or self._expected is not expected:  # cleared meanwhile
            raise self._cleared()
        raise expected.refusal()

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
        if self._session is None and self._expected is not None:
            return "<LiveCredentials, expected>"
        return "<LiveCredentials, signed in>" if self._session is not None else "<LiveCredentials, cleared>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("live AWS credentials cannot be pickled or copied: sign in where they are needed")
