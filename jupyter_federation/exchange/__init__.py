"""A token in, credentials out; nothing is kept between two calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_federation.exchange.cognito import CognitoExchange, CognitoSettings
from jupyter_federation.exchange.sts import StsExchange, StsSettings

if TYPE_CHECKING:
    from jupyter_federation.exchange.further_role import FurtherRoleExchange, FurtherRoleSettings


def make_exchange(
    settings: CognitoSettings | StsSettings, further_role: FurtherRoleSettings | None = None
) -> CognitoExchange | StsExchange | FurtherRoleExchange:
    """The exchange for ``settings``, and for one role more where ``further_role`` is given.  Does no I/O.

    The further role is assumed in the region of the first where its own is not set.
    """
    from jupyter_federation.exchange.aws_clients import AwsClients

    clients = AwsClients()
    first: CognitoExchange | StsExchange
    region: str | None
    if isinstance(settings, CognitoSettings):
        first, region = CognitoExchange(settings, clients), settings.pool_region
    else:
        first, region = StsExchange(settings, clients), settings.region
    if further_role is None:
        return first
    from jupyter_federation.exchange.further_role import FurtherRoleExchange

    return FurtherRoleExchange(first, replace(further_role, region=further_role.region or region), clients)
