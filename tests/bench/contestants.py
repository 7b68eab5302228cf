"""Who is measured: four kinds of credentials, each with a real S3 client and real exchanges at the embedded AWS.

All but the static ones are renewed by the same request, GetCredentialsForIdentity with a token in hand.  Ours makes it
through `FederatedSession` and `LiveCredentials` as a sign-in puts them together, with the default `RefreshPolicy` where
nothing else is said.  The alternatives make it through a boto3 client with default settings, which is what one writes
around them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
from boto3_refresh_session import RefreshableSession
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials

from jupyter_federation.delivery.boto3 import session_over
from jupyter_federation.delivery.live import LiveCredentials
from jupyter_federation.exchange import make_exchange
from jupyter_federation.exchange.cognito import CognitoSettings
from jupyter_federation.federated_session import FederatedSession, RefreshPolicy
from jupyter_federation.sources.variable import VariableSource
from tests.bench.servers import REGION, Servers
from tests.doubles import Nobody

OURS = "ours"
STATIC = "static keys"
BOTOCORE = "botocore Refreshable"
REFRESH_SESSION = "boto3-refresh-session"


class Contestant:
    """One credentials object and a client over it."""

    def __init__(self, name: str, credentials: Any, *, identity_id: str | None = None, s3: Any = None) -> None:
        self.name = name
        self.credentials = credentials
        self.identity_id = identity_id
        self._s3 = s3 or session_over(credentials, region=REGION).client("s3")

    def sign(self) -> str:
        """Sign one S3 GET as the client does (SigV4; it takes the frozen credentials); the access key id used."""
        request = AWSRequest("GET", f"https://bucket.s3.{REGION}.amazonaws.com/key")
        self._s3._request_signer.sign("GetObject", request)
        return request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]


def static() -> Contestant:
    """Keys that never change: the floor."""
    return Contestant(STATIC, Credentials("AKIDSTATIC", "secret" * 7, "token" * 100))


def ours(
    servers: Servers,
    close: ExitStack,
    *,
    policy: RefreshPolicy | None = None,
    token: Callable[[], str] | None = None,
) -> Contestant:
    """Signed in by ``token`` (a callable that gives the same one at each call, unless given); ``close`` ends it."""
    text = servers.token()
    settings = CognitoSettings(identity_pool_id=servers.at.identity_pool_id)
    source = VariableSource.holding(token or (lambda: text))
    session = FederatedSession(source, make_exchange(settings), policy=policy)
    close.callback(session.close)
    session.login(Nobody())
    live = LiveCredentials()
    live.follow(session)
    return Contestant(OURS, live, identity_id=session.status().identity_id)


def botocore_refreshable(servers: Servers, *, remaining: float | None = None) -> Contestant:
    """RefreshableCredentials, the first set of which claims to expire in ``remaining`` seconds."""
    renewal = _Renewal(servers, remaining)
    credentials = RefreshableCredentials.create_from_metadata(renewal(), renewal, "bench")
    return Contestant(BOTOCORE, credentials, identity_id=renewal.identity_id)


def refresh_session(servers: Servers, *, remaining: float | None = None) -> Contestant:
    """boto3-refresh-session with a custom method, its defaults, and a first set as in `botocore_refreshable`."""
    renewal = _Renewal(servers, remaining)
    session = RefreshableSession(method="custom", custom_credentials_method=renewal, region_name=REGION)
    credentials = session.get_credentials()
    credentials.get_frozen_credentials()  # it defers the first exchange to the first use: not part of what follows
    return Contestant(REFRESH_SESSION, credentials, identity_id=renewal.identity_id, s3=session.client("s3"))


ALTERNATIVES = (botocore_refreshable, refresh_session)


class _Renewal:
    """The function that one writes around the alternatives."""

    def __init__(self, servers: Servers, first_remaining: float | None) -> None:
        self._client = boto3.client("cognito-identity", region_name=REGION, config=Config(signature_version=UNSIGNED))
        token = servers.token()
        issuer = VariableSource.holding(token).token().issuer or ""
        self._logins = {issuer.partition("://")[2]: token}
        self._first_remaining = first_remaining
        answer = self._client.get_id(IdentityPoolId=servers.at.identity_pool_id, Logins=self._logins)
        self.identity_id: str = answer["IdentityId"]

    def __call__(self) -> dict[str, Any]:
        answer = self._client.get_credentials_for_identity(IdentityId=self.identity_id, Logins=self._logins)
        keys = answer["Credentials"]
        expires_at: datetime = keys["Expiration"]
        if self._first_remaining is not None:
            expires_at = datetime.now(timezone.utc) + timedelta(seconds=self._first_remaining)
            self._first_remaining = None
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretKey"],
            "token": keys["SessionToken"],
            "expiry_time": expires_at.isoformat(),
        }
