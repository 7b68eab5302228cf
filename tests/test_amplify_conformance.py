"""Amplify's identity-pool federation, case by case (the table that docs/amplify.md repeats), through the Python calls.

Each test counts the AWS calls that were made, and the logins map is checked to the letter.
"""

import json
import threading
import time
import uuid
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest

import jupyter_federation as jf
from jupyter_federation import calls, federation
from jupyter_federation.config import Policy
from jupyter_federation.demo.aws import COGNITO, Fault, IdentityPool, OpenIdProvider, Response, Role
from jupyter_federation.demo.identity_provider import Client, IdentityProvider
from jupyter_federation.errors import (
    ConfigurationError,
    ExchangeError,
    InvalidStateError,
    InvalidTokenError,
    LoginRequiredError,
    SessionClearedError,
)


@pytest.fixture(autouse=True)
def signed_out(aws_environment):
    """Each test begins and ends signed out."""
    yield
    jf.clear()


@pytest.fixture
def key(provider):
    """The logins key of the test's provider."""
    return provider.issuer.removeprefix("http://")


def operations(aws):
    return [call.operation for call in aws.calls]


def logins(aws):
    return [call.parameters.get("Logins") for call in aws.calls]


def federated(provider, pool, user="ada", **options):
    token = provider.id_token(user)
    return token, jf.federate_to_identity_pool(token, identity_pool_id=pool.id, **options)


def test_a_first_federation_is_getid_and_getcredentials_with_exactly_one_login(aws, pool, provider, key):
    """GetId, then GetCredentialsForIdentity, each with `{key: token}` and nothing else."""
    token, status = federated(provider, pool)
    assert ["GetId", "GetCredentialsForIdentity"] == operations(aws)
    assert [{key: token}, {key: token}] == logins(aws)
    assert (True, "valid") == (status.is_federated, status.credentials)


def test_no_identity_pool_configured(aws, provider):
    """ConfigurationError names the setting; zero AWS calls."""
    with pytest.raises(ConfigurationError, match="identity_pool_id"):
        jf.federate_to_identity_pool(provider.id_token("ada"))
    assert [] == operations(aws)


def test_federate_again_as_the_same_person_keeps_the_identity(aws, pool, provider):
    """Same pool, logins key, iss and sub: GetId is skipped and the identity stays."""
    _, first = federated(provider, pool)
    aws.calls.clear()
    _, second = federated(provider, pool)
    assert ["GetCredentialsForIdentity"] == operations(aws)
    assert first.identity_id == second.identity_id


def test_federate_again_as_another_person_asks_for_their_identity(aws, pool, provider):
    """Another subject of the same provider is another identity."""
    _, first = federated(provider, pool, "ada")
    aws.calls.clear()
    _, second = federated(provider, pool, "grace")
    assert ["GetId", "GetCredentialsForIdentity"] == operations(aws)
    assert first.identity_id != second.identity_id
    assert "Another person is signed in now" in second.happened


def test_federate_again_with_another_provider_replaces_the_identity_and_says_so(aws, pool, provider):
    """GetId with the new login only; the status says what followed."""
    _, first = federated(provider, pool)
    with IdentityProvider(clients=[Client(client_id="notebook")]) as other:
        other_key = other.issuer.removeprefix("http://")
        aws.add(OpenIdProvider(issuer=other.issuer, client_ids=("notebook",)))
        aws.add(replace(pool, providers=(*pool.providers, other_key)))
        aws.calls.clear()
        token = other.id_token("ada")
        second = jf.federate_to_identity_pool(token, "oidc", identity_pool_id=pool.id)
    assert ["GetId", "GetCredentialsForIdentity"] == operations(aws)
    assert [{other_key: token}] * 2 == logins(aws)
    assert first.identity_id != second.identity_id
    assert "Another person is signed in now" in second.happened


def test_federate_while_signed_in_to_a_user_pool(aws, pool, provider, monkeypatch):
    """InvalidStateError, zero AWS calls, "clear first"; after clear it works."""
    sign_in_through_a_user_pool(monkeypatch, pool, provider)
    aws.calls.clear()
    with pytest.raises(InvalidStateError, match=r"%federate clear first"):
        federated(provider, pool)
    assert [] == operations(aws)
    jf.clear()
    _, status = federated(provider, pool)
    assert status.is_federated


def sign_in_through_a_user_pool(monkeypatch, pool, provider):
    """The sign-in itself is another room's; what counts here is that the profile's source says so."""
    monkeypatch.setenv("USER_POOL_TOKEN", provider.id_token("ada"))
    token = federation.source_of(federation.Profile(source="env", variable="USER_POOL_TOKEN"), {}, Policy())
    kernel = calls._kernel
    monkeypatch.setattr(kernel, "_make_source", lambda profile, notebook, policy, way_back: token)
    jf.federate(source="cognito-user-pool", issuer=provider.issuer.replace("http://127.0.0.1", "http://localhost"),
                client_id="notebook", identity_pool_id=pool.id)  # fmt: skip


def test_developer_provided_identity_id_skips_getid_and_wins(aws, pool, provider):
    """GetId is skipped, and the given id wins over the stored one."""
    _, stored = federated(provider, pool, "ada")
    jf.clear()
    federated(provider, pool, "grace")
    aws.calls.clear()
    _, status = federated(provider, pool, "ada", developer_provided_identity_id=stored.identity_id)
    assert ["GetCredentialsForIdentity"] == operations(aws)
    assert stored.identity_id == aws.calls[0].parameters["IdentityId"] == status.identity_id


def test_developer_provided_identity_id_is_retained_by_a_plain_federation(aws, pool, provider):
    """A later plain re-federation keeps the id that was provided."""
    _, stored = federated(provider, pool, "ada")
    jf.clear()
    federated(provider, pool, "ada", developer_provided_identity_id=stored.identity_id)
    aws.calls.clear()
    _, status = federated(provider, pool, "ada")
    assert ["GetCredentialsForIdentity"] == operations(aws)
    assert stored.identity_id == status.identity_id


def test_the_responses_identity_id_is_adopted_where_it_differs(aws, pool, provider):
    """AWS may return another identity than the one asked for, and the next call uses it."""
    asked, returned = f"eu-west-1:{uuid.uuid4()}", f"eu-west-1:{uuid.uuid4()}"
    keys = {"AccessKeyId": "ASIAEXAMPLE", "SecretKey": "s", "SessionToken": "t", "Expiration": time.time() + 3600}
    merged = Response(body=json.dumps({"IdentityId": returned, "Credentials": keys}).encode())
    aws.inject("GetCredentialsForIdentity", Fault(response=merged), times=2)
    _, status = federated(provider, pool, "ada", developer_provided_identity_id=asked)
    jf.refresh()
    assert [asked, returned] == [call.parameters["IdentityId"] for call in aws.calls]
    assert returned == status.identity_id


def test_not_authorized_on_a_second_federation_keeps_the_first(aws, pool, provider):
    """Earlier credentials stay while they are valid, the failure is reported, and nobody becomes a guest."""
    _, first = federated(provider, pool)
    before = jf.fetch_auth_session().credentials
    aws.calls.clear()
    with pytest.raises(ExchangeError) as caught:
        jf.federate_to_identity_pool(provider.forged_id_token("ada"), identity_pool_id=pool.id)
    assert "NotAuthorizedException" == caught.value.aws_code
    assert before is jf.fetch_auth_session().credentials
    assert first.identity_id == jf.status().identity_id
    assert all(call.parameters["Logins"] for call in aws.calls)


def test_not_authorized_on_a_refresh_keeps_what_is_valid_and_reports(aws, pool, provider):
    """The same for a refresh."""
    federated(provider, pool)
    before = jf.fetch_auth_session().credentials
    aws.fail("GetCredentialsForIdentity", "NotAuthorizedException", "Access to Identity 'x' is forbidden.")
    with pytest.raises(ExchangeError):
        jf.refresh()
    assert before is jf.fetch_auth_session().credentials
    status = jf.status()
    assert (True, "valid") == (status.is_federated, status.credentials)
    assert status.last_error


@pytest.mark.parametrize(
    "code",
    ["TooManyRequestsException", "InternalErrorException", "ResourceConflictException", "InvalidParameterException"],
)
def test_any_other_error_leaves_everything_untouched(aws, pool, provider, code):
    """Whatever AWS refuses with, what was there stays."""
    federated(provider, pool)
    before = jf.fetch_auth_session().credentials
    aws.fail("GetCredentialsForIdentity", code, "…")
    with pytest.raises(ExchangeError) as caught:
        jf.refresh()
    assert code == caught.value.aws_code
    assert before is jf.fetch_auth_session().credentials


def test_clear_when_not_federated_is_a_no_op(aws):
    """Idempotent: no error, no call."""
    jf.clear_federation_to_identity_pool()
    jf.clear_federation_to_identity_pool()
    assert [] == operations(aws)


def test_fetch_with_valid_credentials_is_cached(aws, pool, provider):
    """Zero AWS calls."""
    federated(provider, pool)
    aws.calls.clear()
    session = jf.fetch_auth_session()
    assert [] == operations(aws)
    assert session.is_federated
    assert session.expires_at == session.credentials.expires_at


def test_a_forced_fetch_is_one_getcredentials_with_the_stored_identity_and_token(aws, pool, provider, key):
    """1 GetCredentialsForIdentity, 0 GetId."""
    token, status = federated(provider, pool)
    aws.calls.clear()
    jf.fetch_auth_session(force_refresh=True)
    assert [("GetCredentialsForIdentity", status.identity_id, {key: token})] == [
        (call.operation, call.parameters["IdentityId"], call.parameters["Logins"]) for call in aws.calls
    ]


@pytest.mark.slow
def test_a_fetch_of_expired_credentials_is_one_getcredentials(aws, pool, provider):
    """The same for credentials that have expired while AWS was away."""
    aws.lifetime = timedelta(seconds=2)
    federated(provider, pool)
    aws.fail("GetCredentialsForIdentity", "InternalErrorException", "…", times=9)
    with pytest.raises(ExchangeError):
        wait_for_expiry()
    aws.recover()
    aws.calls.clear()
    aws.lifetime = timedelta(hours=1)
    assert jf.fetch_auth_session(force_refresh=True).is_federated
    assert ["GetCredentialsForIdentity"] == operations(aws)


def wait_for_expiry():
    end = time.monotonic() + 8
    while time.monotonic() < end:
        jf.fetch_auth_session()
        time.sleep(0.05)


@pytest.mark.slow
def test_is_federated_during_and_after_a_failed_refresh(aws, pool, provider):
    """True until clear, expired or not."""
    aws.lifetime = timedelta(seconds=1)
    federated(provider, pool)
    aws.fail("GetCredentialsForIdentity", "InternalErrorException", "…", times=99)
    with pytest.raises(ExchangeError):
        wait_for_expiry()
    status = jf.status()
    assert (True, "expired") == (status.is_federated, status.credentials)
    jf.clear()
    assert not jf.status().is_federated


def test_get_current_user_while_federated(pool, provider):
    """InvalidStateError with the way out; signed out, LoginRequiredError."""
    with pytest.raises(LoginRequiredError, match="%federate"):
        jf.get_current_user()
    federated(provider, pool)
    with pytest.raises(InvalidStateError, match="whoami"):
        jf.get_current_user()


def test_get_current_user_of_a_user_pool(pool, provider, monkeypatch):
    """Signed in through a user pool it answers."""
    sign_in_through_a_user_pool(monkeypatch, pool, provider)
    user = jf.get_current_user()
    assert "ada" in user.username
    assert user.user_id


@pytest.mark.usefixtures("aws_environment")
def test_clear_says_nothing_of_a_provider_where_nobody_signed_in_at_one(provider, pool, token_file):
    """A token in a file came from elsewhere, and nothing is known of a sign-in behind it."""
    jf.federate(source="file", path=str(token_file), identity_pool_id=pool.id)
    assert "provider" not in str(jf.clear())


def test_clear_is_local_and_says_that_the_providers_session_goes_on(aws, pool, provider):
    """No AWS call, a sentence, and old clients refuse."""
    federated(provider, pool)
    client = boto3.client("s3")
    aws.calls.clear()
    status = jf.clear()
    assert any("provider goes on" in remark for remark in status.remarks)
    with pytest.raises(SessionClearedError, match="%federate"):
        client.list_buckets()
    assert [] == operations(aws)


def test_after_clear_a_session_is_signed_out(pool, provider):
    """Signed out: False and None."""
    federated(provider, pool)
    jf.clear()
    session = jf.fetch_auth_session()
    assert (False, None, None, None) == (
        session.is_federated,
        session.identity_id,
        session.credentials,
        session.expires_at,
    )


def test_events_are_reported_in_order(pool, provider):
    """federated, refreshed, cleared."""
    seen, done = [], threading.Event()

    def on_event(event, status):
        seen.append((event, status.is_federated))
        if event == "cleared":
            done.set()

    unsubscribe = jf.subscribe(on_event)
    federated(provider, pool)
    jf.refresh()
    jf.clear()
    assert done.wait(5)
    unsubscribe()
    assert [("federated", True), ("refreshed", True), ("cleared", False)] == seen


def test_a_callable_token_is_asked_exactly_once_by_a_refresh(aws, pool, provider, key):
    """Automatic refresh of the token where the source can: the callable's newest token is used."""
    tokens = []

    def token():
        tokens.append(provider.id_token("ada", nonce=str(len(tokens))))
        return tokens[-1]

    jf.federate_to_identity_pool(token, identity_pool_id=pool.id)
    assert 1 == len(tokens)
    jf.refresh()
    assert 2 == len(tokens)
    assert [{key: tokens[0]}, {key: tokens[0]}, {key: tokens[1]}] == logins(aws)
    assert "ok" == jf.status().sign_in


def test_a_token_that_cannot_be_renewed_says_so_before_it_lapses(pool, provider):
    """A string token: not_renewable, with the time of its end on the screen."""
    _, status = federated(provider, pool)
    assert "not_renewable" == status.sign_in
    assert "nothing renews it" in str(status)


def test_a_guest_upgrade_keeps_the_guests_identity(aws, provider, key):
    """A guest's identity id, given as developer-provided, is kept when the person signs in."""
    pool = IdentityPool(providers=(key,), authenticated_role=Role(name="User"), unauthenticated_role=Role(name="Guest"))
    for each in (pool.authenticated_role, pool.unauthenticated_role):
        each.trusts = {COGNITO: (pool.id,)}
    aws.add(pool)
    guest = jf.federate(provider="guest", identity_pool_id=pool.id)
    assert [None, None] == logins(aws)
    aws.calls.clear()
    token, person = federated(provider, pool, developer_provided_identity_id=guest.identity_id)
    assert guest.identity_id == person.identity_id
    assert [("GetCredentialsForIdentity", {key: token})] == [
        (call.operation, call.parameters["Logins"]) for call in aws.calls
    ]


def test_nobody_becomes_a_guest_silently(aws, pool):
    """Guests only by name, and only where the pool takes them."""
    with pytest.raises(ExchangeError, match="guest"):
        jf.federate(provider="guest", identity_pool_id=pool.id)
    with pytest.raises(ConfigurationError):
        jf.federate(identity_pool_id=pool.id)


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("expired token", "expired at"),
        ("access token", "ID token"),
        ("foreign issuer", "no provider elsewhere.example"),
        ("wrong pool", "identity_pool_id"),
    ],
)
def test_bad_input_is_a_typed_error_and_the_earlier_session_stays(aws, pool, provider, case, names):
    """Each mistake has its sentence; what was signed in before is still there; no call where none can succeed."""
    _, first = federated(provider, pool)
    aws.calls.clear()
    foreign = f"eu-west-1:{uuid.uuid4()}"
    token = {
        "expired token": lambda: provider.id_token("ada", lifetime=timedelta(seconds=-1)),
        "access token": lambda: provider.access_token("ada"),
        "foreign issuer": lambda: provider.id_token("ada", iss="https://elsewhere.example"),
        "wrong pool": lambda: provider.id_token("ada"),
    }[case]()
    with pytest.raises((InvalidTokenError, ExchangeError), match=names):
        jf.federate_to_identity_pool(token, identity_pool_id=foreign if case == "wrong pool" else pool.id)
    assert (first.identity_id, "valid") == (jf.status().identity_id, jf.status().credentials)
    if case in {"expired token", "access token"}:
        assert [] == operations(aws)
