"""Whether AWS is reached from here: name, proxy, certificate, and an answer that is AWS's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from jupyter_federation.assembly import region_of
from jupyter_federation.config import Profile
from jupyter_federation.doctor.finding import Finding, of_error
from jupyter_federation.doctor.patient import Asks, Patient
from jupyter_federation.errors import ExchangeError, FederationError
from jupyter_federation.exchange.aws_clients import AwsClients

AWS = "AWS "
"""How AWS's hosts begin where they are named."""

_NAMES = {"cognito-identity": "Cognito", "sts": "STS"}


def reached(patient: Patient) -> Iterator[Finding | Asks]:
    """Ask each service that the profile needs something that it refuses: unsigned, with no token, without effect."""
    profile = patient.profile
    if profile is None:
        return
    clients = AwsClients()
    try:
        for service, operation, parameters, region in _questions(profile):
            where = f"{AWS}{_NAMES[service]}"
            yield Asks(where)
            try:
                clients.call(service, operation, parameters, region=region, about={})
            except ExchangeError as error:
                patient.hear_date(where, error.facts.get("aws_date"))
                if error.aws_code is None or error.retryable or re.fullmatch(r"\d+", error.aws_code):
                    endpoint = str(error.facts.get("endpoint") or "")
                    yield of_error(error, "aws-refuses", where=urlsplit(endpoint).netloc or where)
    except FederationError as error:
        yield of_error(error, "aws-files-broken")


def _questions(profile: Profile) -> Iterator[tuple[str, str, Mapping[str, Any], str]]:
    region = region_of(profile)
    if profile.identity_pool_id is not None:
        nobody = {"IdentityId": f"{region}:00000000-0000-0000-0000-000000000000"}
        yield "cognito-identity", "GetCredentialsForIdentity", nobody, region
    if profile.role_arn is not None or profile.assume_role_arn is not None:
        yield "sts", "GetCallerIdentity", {}, region
