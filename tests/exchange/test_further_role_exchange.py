from __future__ import annotations

from datetime import timedelta

import pytest

from jupyter_federation.demo.aws import Role
from jupyter_federation.errors import ExchangeError
from jupyter_federation.exchange import make_exchange
from jupyter_federation.exchange.cognito import CognitoSettings
from jupyter_federation.exchange.further_role import FurtherRoleSettings
from jupyter_federation.exchange.sts import StsSettings

ROLE = "arn:aws:iam::123456789012:role/R"


@pytest.fixture
def further(aws, pool, role):
    """A role that the pool's role and ``role`` may assume."""
    further = Role(name="Further", principals=(pool.authenticated_role.arn, role.arn))
    aws.add(further)
    return further


def test_the_further_role_is_assumed_with_the_first_credentials(aws, pool, further, token, aws_environment):
    """Signed by the first role, named after the user, for an hour, and the Cognito identity stays."""
    exchange = make_exchange(
        CognitoSettings(identity_pool_id=pool.id), FurtherRoleSettings(assume_role_arn=further.arn)
    )
    credentials = exchange.exchange(token)
    *_, got, assumed = aws.calls
    assert ["GetId", "GetCredentialsForIdentity", "AssumeRole"] == [call.operation for call in aws.calls]
    assert pool.authenticated_role.session_arn("CognitoIdentityCredentials") == assumed.principal
    assert further.session_arn("ada@example.org") == credentials.assumed_role_arn
    assert got.parameters["IdentityId"] == credentials.identity_id
    assert timedelta(hours=1) >= credentials.expires_at - aws.now() > timedelta(minutes=59)
    assert "DurationSeconds" not in assumed.parameters


def test_it_follows_sts_too(aws, role, further, token, aws_environment):
    """With a name of its own by role_session_name."""
    settings = FurtherRoleSettings(assume_role_arn=further.arn, role_session_name="batch")
    credentials = make_exchange(StsSettings(role_arn=role.arn), settings).exchange(token)
    assert further.session_arn("batch") == credentials.assumed_role_arn


def test_a_refusal_names_assume_role_arn(aws, pool, further, token, aws_environment):
    """The first role may not assume it: the setting to change is the further role's."""
    further.principals = ()
    exchange = make_exchange(
        CognitoSettings(identity_pool_id=pool.id), FurtherRoleSettings(assume_role_arn=further.arn)
    )
    with pytest.raises(ExchangeError) as caught:
        exchange.exchange(token)
    assert ("AccessDenied", False) == (caught.value.aws_code, caught.value.retryable)
    assert "`assume_role_arn`" in str(caught.value)
    assert "`role_arn`" not in str(caught.value)
