"""One further role, assumed with the credentials of a first exchange (AssumeRole).

AWS gives an hour at most where one role assumes another, whatever the role itself allows.  AWS STS API reference,
AssumeRole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.exchange.answers import credentials_from
from jupyter_federation.exchange.sts import session_name, sts_region
from jupyter_federation.tokens import IdToken, utc_now

if TYPE_CHECKING:
    from jupyter_federation.exchange.aws_clients import AwsClients
    from jupyter_federation.exchange.cognito import CognitoExchange
    from jupyter_federation.exchange.sts import StsExchange


@dataclass(frozen=True, kw_only=True, slots=True)
class FurtherRoleSettings:
    """How to assume one further role.

    ``region`` is where STS is asked; None takes botocore's own.  ``role_session_name`` None names the session after
    the user.
    """

    assume_role_arn: str
    region: str | None = None
    role_session_name: str | None = None


class FurtherRoleExchange:
    """The first exchange, then AssumeRole signed with its credentials, which are dropped."""

    def __init__(
        self,
        first: CognitoExchange | StsExchange,
        settings: FurtherRoleSettings,
        clients: AwsClients,
    ) -> None:
        self._first = first
        self._settings = settings
        self._clients = clients

    def exchange(self, token: IdToken, *, identity_id: str | None = None) -> AwsCredentials:
        """Credentials of the further role; see `Exchange`.  They keep the Cognito identity of the first."""
        region = sts_region(self._settings.region, self._clients)
        first = self._first.exchange(token, identity_id=identity_id)
        parameters = {
            "RoleArn": self._settings.assume_role_arn,
            "RoleSessionName": self._settings.role_session_name or session_name(token),
        }
        answer = self._clients.call(
            "sts",
            "AssumeRole",
            parameters,
            region=region,
            about={"assume_role_arn": self._settings.assume_role_arn, "region": region},
            signed_by=first,
        )
        return credentials_from(answer, operation="AssumeRole", now=utc_now(), identity_id=first.identity_id)

    def warm(self) -> None:
        """Make the clients of the first exchange now.  Raises nothing."""
        self._first.warm()
