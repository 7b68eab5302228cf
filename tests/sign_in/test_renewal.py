"""A whole kernel while ID tokens of seconds come and go: boto3 works, and the counts are what they must be."""

from __future__ import annotations

import time

import boto3
import pytest

from jupyter_federation.demo.loopback import Fault, Response

pytestmark = pytest.mark.slow


def until(condition, seconds):
    """Whether ``condition`` came true within ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def asked(provider, grant_type, status=200):
    return sum(call.parameters.get("grant_type") == grant_type and call.status == status for call in provider.calls)


def test_over_five_lifetimes_nothing_fails_and_nobody_is_asked(kernel, short_lived, person, aws):
    """One prompt, one exchange, a renewal every half life; boto3 is called all the while."""
    kernel.federate(prompt=person)
    client = boto3.client("sts")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        client.get_caller_identity()
        time.sleep(0.1)
    assert 1 == asked(short_lived, "authorization_code") == len(person.shown) == len(person.addresses)
    assert 8 <= asked(short_lived, "refresh_token") <= 13  # exp is in whole seconds: half of 3 to 4 s, in 20 s
    assert 1 == aws.count("AssumeRoleWithWebIdentity")
    status = kernel.status()
    assert ("valid", "ok", None) == (status.credentials, status.sign_in, status.last_error)


def test_a_revoked_refresh_token_is_seen_early_and_one_sign_in_brings_old_clients_back(
    kernel, short_lived, person, aws
):
    """needs_you within half of the ID token's life; one last exchange; old clients go on before and after."""
    events = []
    kernel.subscribe(lambda event, status: events.append(event))
    kernel.federate(prompt=person)
    client = boto3.client("sts")
    before = client.get_caller_identity()
    short_lived.revoke_all()
    assert until(lambda: kernel.status().sign_in == "needs_you", 2.5)
    assert 2 == aws.count("AssumeRoleWithWebIdentity")
    time.sleep(2.5)  # the ID token is dead now, the keys are not
    assert before == client.get_caller_identity() | {"ResponseMetadata": before["ResponseMetadata"]}
    assert (1, 1) == (asked(short_lived, "refresh_token", 400), events.count("needs_you"))
    status = kernel.federate(prompt=person)
    assert ("valid", "ok") == (status.credentials, status.sign_in)
    client.get_caller_identity()
    assert (2, 3) == (len(person.addresses), aws.count("AssumeRoleWithWebIdentity"))


def test_a_provider_that_was_down_is_back_within_15_seconds(kernel, short_lived, person, aws):
    """Nobody is asked, nothing fails meanwhile, and there is no further exchange."""
    kernel.federate(prompt=person)
    client = boto3.client("sts")
    short_lived.inject("token", Fault(response=Response(status=503)), times=100)
    assert until(lambda: kernel.status().last_error is not None, 4)
    client.get_caller_identity()
    time.sleep(4)
    short_lived.recover()
    assert until(lambda: kernel.status().last_error is None, 15)
    client.get_caller_identity()
    assert ("ok", 1, 1) == (kernel.status().sign_in, len(person.addresses), aws.count("AssumeRoleWithWebIdentity"))
