"""What the fault tests share: sessions over the embedded AWS, and the time after which something counts as hanging."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field

import pytest
from doubles import Nobody

from jupyter_federation.config import Configuration
from jupyter_federation.exchange import make_exchange
from jupyter_federation.exchange.cognito import CognitoSettings
from jupyter_federation.exchange.sts import StsSettings
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.federation import Federation
from jupyter_federation.profile import Profile
from jupyter_federation.refresher import Refresher
from jupyter_federation.sources.variable import VariableSource


@dataclass(kw_only=True)
class SignedIn:
    """A session, the operation that its exchange ends with, and the events that it reported."""

    session: FederatedSession
    operation: str
    events: list = field(default_factory=list)

    def heard(self, event, seconds=5):
        """The status that came with ``event``, once it has come."""
        deadline = threading.Event()
        for _ in range(int(seconds * 100)):
            for name, status in list(self.events):
                if name == event:
                    return status
            deadline.wait(0.01)
        raise AssertionError(f"no {event} in {[name for name, _ in self.events]}")


@pytest.fixture
def over_http(aws_environment, pool, role, provider):
    """``over_http(kind)`` signs in through Cognito or STS, over a socket, with a refresher of its own."""
    with contextlib.ExitStack() as cleanup:

        def sign_in(kind="cognito", *, token=lambda: provider.id_token("ada"), login=True, **options):
            settings = (
                CognitoSettings(identity_pool_id=pool.id)
                if kind == "cognito"
                else StsSettings(role_arn=role.arn, region="eu-west-1")
            )
            options.setdefault("refresher", Refresher())
            session = FederatedSession(VariableSource.holding(token), make_exchange(settings), **options)
            cleanup.callback(session.close)
            signed_in = SignedIn(
                session=session,
                operation={"cognito": "GetCredentialsForIdentity", "sts": "AssumeRoleWithWebIdentity"}[kind],
            )
            session.subscribe(lambda event, status: signed_in.events.append((event, status)))
            if login:
                session.login(Nobody())
            return signed_in

        yield sign_in


@pytest.fixture
def federation(aws_environment, pool, role, provider):
    """A kernel's federation with the profiles a (ada, through the pool) and b (grace, through the role)."""
    profiles = {
        "a": Profile(name="a", source="var", variable="ada", identity_pool_id=pool.id, region="eu-west-1"),
        "b": Profile(name="b", source="var", variable="grace", role_arn=role.arn, region="eu-west-1"),
    }
    tokens = {user: (lambda user=user: provider.id_token(user)) for user in ("ada", "grace")}
    federation = Federation(
        load_configuration=lambda: Configuration(profiles=profiles, default_profile="a"),
        make_source=lambda profile, notebook, policy, way_back: VariableSource(profile.variable, tokens),
    )
    yield federation
    federation.clear()
