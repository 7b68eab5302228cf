"""What the tests of the exchange share: clients that reach the embedded AWS, and tokens that nobody signed."""

from __future__ import annotations

import base64
import json

import pytest

from jupyter_federation.exchange.aws_clients import AwsClients
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken

GUEST = IdToken(raw=Secret(""))


@pytest.fixture
def clients(aws_environment):
    """Clients whose endpoint is the embedded AWS."""
    return AwsClients()


@pytest.fixture
def token(provider):
    """Ada's ID token, fit for ``pool`` and ``role``."""
    return IdToken.parse(provider.id_token("ada"))


@pytest.fixture
def unsigned():
    """``unsigned(**claims)`` is a token with these claims and no signature: for what is checked before any call."""

    def make(**claims):
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({"alg": "none"}, claims)]
        return IdToken.parse(".".join(part.rstrip("=") for part in parts) + ".")

    return make


@pytest.fixture
def guest():
    """The token of nobody."""
    return GUEST
