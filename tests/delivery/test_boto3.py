"""Into boto3: old clients, new clients, sessions made by others, and everything given back."""

import os
import threading

import boto3
import botocore.credentials
import botocore.session
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import NoCredentialsError
from botocore.signers import RequestSigner
from doubles import Nobody

import jupyter_federation as jf
from jupyter_federation import calls
from jupyter_federation.errors import ConfigurationError, InvalidStateError, SessionClearedError


@pytest.fixture(autouse=True)
def fresh_boto3(aws_environment):
    """No default session before, signed out after, and boto3 as it was."""
    boto3.DEFAULT_SESSION = None
    create = botocore.credentials.create_credential_resolver
    yield
    jf.clear()
    boto3.DEFAULT_SESSION = None
    assert botocore.credentials.create_credential_resolver is create
    assert "_credentials" not in vars(RequestSigner)


@pytest.fixture
def sign_in(pool, provider):
    def sign_in(user="ada"):
        return jf.federate_to_identity_pool(provider.id_token(user), identity_pool_id=pool.id)

    return sign_in


def who(client_or_session):
    """Who AWS says signs."""
    client = client_or_session
    if hasattr(client, "client"):
        client = client.client("sts")
    return client.get_caller_identity()["UserId"]


def key_of(client):
    return client._request_signer._credentials.get_frozen_credentials().access_key


def test_boto3_client_works_after_the_sign_in(sign_in):
    """The default session holds the live credentials, and is there."""
    sign_in()
    assert boto3.DEFAULT_SESSION is not None
    assert who(boto3.client("sts"))


def test_a_client_made_without_credentials_before_works_afterwards(sign_in):
    """Botocore would leave it without for ever."""
    client = boto3.client("sts")
    with pytest.raises(NoCredentialsError):
        client.get_caller_identity()
    sign_in()
    assert who(client)
    jf.clear()
    with pytest.raises(NoCredentialsError):
        client.get_caller_identity()


def test_a_client_made_with_static_keys_keeps_them(sign_in):
    """Somebody chose those keys."""
    client = boto3.client("sts", aws_access_key_id="AKIASTATIC", aws_secret_access_key="s")
    sign_in()
    assert "AKIASTATIC" == key_of(client)


def test_sessions_made_later_by_anybody_follow(sign_in):
    """pandas' readers, PyAthena and awswrangler make their own sessions."""
    sign_in()
    assert who(boto3.Session())
    assert botocore.session.Session().get_credentials() is boto3.DEFAULT_SESSION.get_credentials()


def test_a_session_made_before_and_not_yet_resolved_follows(sign_in):
    """Resolution happens at the first use."""
    session = boto3.Session()
    sign_in()
    assert who(session)


def test_ours_come_before_keys_in_the_environment(sign_in, monkeypatch):
    """A stale key in the environment must not decide who signs."""
    sign_in()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASTALE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert key_of(boto3.Session().client("sts")).startswith("ASIA")


def test_a_session_with_a_profile_of_its_own_keeps_it(sign_in, isolated_home):
    """Session(profile_name=…) means that profile."""
    (isolated_home / ".aws").mkdir()
    (isolated_home / ".aws" / "credentials").write_text(
        "[other]\naws_access_key_id=AKIAOTHER\naws_secret_access_key=s\n"
    )
    sign_in()
    assert "AKIAOTHER" == boto3.Session(profile_name="other").get_credentials().access_key


def test_a_session_with_keys_of_its_own_keeps_them(sign_in):
    """Explicit keys are explicit."""
    sign_in()
    session = boto3.Session(aws_access_key_id="AKIAMINE", aws_secret_access_key="s")
    assert "AKIAMINE" == session.get_credentials().access_key


def test_old_clients_follow_a_refresh_and_a_new_sign_in(sign_in):
    """The client stays, its keys and its person change."""
    sign_in("ada")
    client = boto3.client("sts")
    first, ada = key_of(client), jf.status().identity_id
    jf.refresh()
    assert first != key_of(client)
    sign_in("grace")
    assert ada != jf.status().identity_id
    assert who(client)
    assert key_of(client) == key_of(boto3.client("sts"))


def test_after_clear_every_client_refuses_without_a_request_and_a_new_sign_in_revives_them(sign_in, aws):
    """Calls, paginators, threaded transfers and presigning; then all of them work again."""
    sign_in()
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    resource = boto3.resource("s3").Bucket("bucket")
    later = boto3.Session().client("s3")
    jf.clear()
    aws.calls.clear()
    for use in (
        s3.list_buckets,
        later.list_buckets,
        lambda: list(s3.get_paginator("list_objects_v2").paginate(Bucket="bucket")),
        lambda: list(resource.objects.all()),
        lambda: s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"}),
    ):
        with pytest.raises(SessionClearedError, match=r"cleared.*%federate"):
            use()
    assert [] == aws.calls
    sign_in()
    assert ["bucket"] == [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert ["bucket"] == [bucket["Name"] for bucket in later.list_buckets()["Buckets"]]


def test_clear_puts_the_earlier_credentials_of_the_default_session_back(sign_in):
    """What the user had set up is there again."""
    boto3.setup_default_session(aws_access_key_id="AKIAMINE", aws_secret_access_key="s")
    session = boto3.DEFAULT_SESSION
    sign_in()
    assert session is boto3.DEFAULT_SESSION
    assert key_of(boto3.client("sts")).startswith("ASIA")
    jf.clear()
    assert "AKIAMINE" == key_of(boto3.client("sts"))


def test_setup_default_session_after_the_sign_in_still_follows(sign_in):
    """The user replaces the default session, often only to set a region."""
    sign_in()
    boto3.setup_default_session(region_name="eu-central-1")
    assert who(boto3.client("sts"))
    jf.clear()
    with pytest.raises(NoCredentialsError):
        boto3.client("sts").get_caller_identity()


def test_an_anonymous_client_stays_anonymous(sign_in):
    """signature_version=UNSIGNED is a choice too."""
    client = boto3.client("s3", config=botocore.config.Config(signature_version=botocore.UNSIGNED))
    sign_in()
    assert "Authorization" not in requested_headers(client)


def requested_headers(client):
    seen = []
    client.meta.events.register("before-send.s3", lambda request, **_: seen.append(dict(request.headers)))
    with pytest.raises(botocore.exceptions.ClientError):
        client.list_buckets()
    return seen[0]


def test_a_subclass_of_the_signer_is_left_alone(sign_in):
    """aiobotocore's credentials have another interface."""

    class AioRequestSigner(RequestSigner):
        pass

    emitter = botocore.session.Session().get_component("event_emitter")
    sign_in()
    signer = AioRequestSigner("s3", "eu-west-1", "s3", "v4", None, emitter)
    assert signer._credentials is None


def test_the_patches_are_gone_after_clear_even_when_somebody_patched_on_top(sign_in, monkeypatch):
    """Another patch on top of ours survives, and ours is inert beneath it."""
    sign_in()
    ours = botocore.credentials.create_credential_resolver

    def on_top(*args, **kwargs):
        return ours(*args, **kwargs)

    botocore.credentials.create_credential_resolver = on_top
    jf.clear()
    assert botocore.credentials.create_credential_resolver is on_top
    assert botocore.session.Session().get_credentials() is None
    sign_in()
    assert who(boto3.Session())
    botocore.credentials.create_credential_resolver = ours
    jf.clear()


def test_a_further_identity_touches_neither_the_default_session_nor_the_environment(profiles, aws, monkeypatch):
    """jf.session(NAME) stands alone."""
    before = dict(os.environ)
    session = jf.session("grace")
    assert boto3.DEFAULT_SESSION is None
    assert before == dict(os.environ)
    assert not jf.status().is_federated
    assert session.client("sts").get_caller_identity()["UserId"]


def test_a_further_identity_is_the_same_when_asked_again_and_is_cleared_with_the_rest(profiles, aws):
    """One live identity for each name; clear stops it and asking again revives it."""
    first = jf.session("grace").client("sts")
    aws.calls.clear()
    jf.session("grace")
    assert [] == aws.calls
    jf.federate("ada")
    jf.clear()
    with pytest.raises(SessionClearedError):
        first.get_caller_identity()
    jf.session("grace")
    assert first.get_caller_identity()


def test_clearing_one_identity_leaves_the_other(profiles):
    """jf.clear(profile=NAME) stops that one alone."""
    jf.federate("ada")
    grace, ada = jf.session("grace").client("sts"), boto3.client("sts")
    jf.clear(profile="grace")
    with pytest.raises(SessionClearedError):
        grace.get_caller_identity()
    assert ada.get_caller_identity()
    assert jf.status().is_federated


def test_switching_the_profile_moves_old_clients_and_says_so(profiles):
    """%federate NAME changes the notebook's one identity."""
    jf.federate("ada")
    client = boto3.client("sts")
    before = key_of(client)
    status = jf.federate("grace")
    assert before != key_of(client)
    assert "was 'ada' and is 'grace' now" in status.happened


def test_federating_again_with_the_same_profile_asks_nobody(profiles, aws):
    """0 calls, and it says so."""
    jf.federate("ada")
    aws.calls.clear()
    status = jf.federate("ada")
    assert [] == aws.calls
    assert "Already signed in" in str(status)


def test_a_new_sign_in_without_a_name_repeats_the_one_that_there_is(profiles, role):
    """A click on Sign in never makes a sign-in without a profile into the default profile's; ada's is the default."""
    options = {"source": "file", "path": profiles["grace"]["path"], "role_arn": role.arn, "region": "eu-west-1"}
    jf.federate(**options)
    client = boto3.client("sts")
    before = key_of(client)
    status = calls._kernel.federate_anew(prompt=Nobody())
    assert before != key_of(client)
    assert (None, role.name) == (status.profile, status.role_arn.split("/")[1])


def test_a_new_sign_in_cannot_repeat_a_call_that_brought_its_token(profiles, pool, provider):
    """And says what can."""
    jf.federate_to_identity_pool(lambda: provider.id_token("grace"), identity_pool_id=pool.id)
    with pytest.raises(InvalidStateError, match="Run that call again"):
        calls._kernel.federate_anew(prompt=Nobody())


def test_signing_in_from_a_thread_serves_all_threads(profiles):
    """Identity follows the client, not the thread."""
    thread = threading.Thread(target=jf.federate, args=("ada",))
    thread.start()
    thread.join()
    assert boto3.client("sts").get_caller_identity()


def test_live_credentials_are_botocore_credentials(sign_in):
    """Libraries that look at the object see one, with a true expiry and no account id."""
    sign_in()
    live = boto3.DEFAULT_SESSION.get_credentials()
    assert isinstance(live, Credentials)
    assert jf.status().credentials_expire_at == live._expiry_time
    assert (None, "jupyter-federation") == (live.account_id, live.method)
    assert live.get_frozen_credentials()[:3] == (live.access_key, live.secret_key, live.token)


def test_a_foreign_patch_that_is_put_back_blindly_breaks_nothing(sign_in):
    """Another library patches before the sign-in and restores after it; a new sign-in mends that."""
    original = botocore.credentials.create_credential_resolver

    def patched(*args, **kwargs):
        return original(*args, **kwargs)

    botocore.credentials.create_credential_resolver = patched
    sign_in()
    botocore.credentials.create_credential_resolver = original
    sign_in("grace")
    assert who(boto3.Session())
    jf.clear()
    before = boto3.client("sts")
    sign_in()
    assert who(boto3.Session())
    assert who(before)


def test_federating_again_puts_back_what_was_replaced(profiles):
    """ "Already signed in" is true of boto3 too."""
    jf.federate("ada")
    boto3.setup_default_session(aws_access_key_id="AKIAMINE", aws_secret_access_key="s")
    assert "AKIAMINE" == key_of(boto3.client("sts"))
    assert "Already signed in" in str(jf.federate("ada"))
    assert key_of(boto3.client("sts")).startswith("ASIA")


def test_the_region_of_aws_profile_goes_on_counting(sign_in, isolated_home, monkeypatch):
    """AWS_PROFILE is set aside, and with it would go the region that it names."""
    (isolated_home / ".aws").mkdir()
    (isolated_home / ".aws" / "config").write_text("[profile corp]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_PROFILE", "corp")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    status = sign_in()
    assert ("AWS_PROFILE",) == status.set_aside
    assert "eu-north-1" == boto3.client("dynamodb").meta.region_name
    sign_in("grace")
    assert "eu-north-1" == boto3.client("dynamodb").meta.region_name, "asked again, AWS_PROFILE is set aside already"
    jf.clear()
    assert ("corp", None) == (os.environ["AWS_PROFILE"], os.environ.get("AWS_REGION"))


def test_another_profile_s_region_takes_the_place_of_the_first_one_s(profiles, monkeypatch):
    """For boto3 and for every tool that reads the environment."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    jf.federate("ada")
    assert ("eu-west-1", "eu-west-1") == (os.environ["AWS_REGION"], boto3.client("dynamodb").meta.region_name)
    jf.federate("grace", region="eu-north-1")
    assert ("eu-north-1", "eu-north-1") == (os.environ["AWS_REGION"], boto3.client("dynamodb").meta.region_name)
    jf.clear()
    assert {"AWS_REGION", "AWS_DEFAULT_REGION"}.isdisjoint(os.environ)


def test_an_aws_profile_that_is_not_there_does_not_stop_a_sign_in(sign_in, monkeypatch):
    """boto3 alone would raise ProfileNotFound at everything."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    sign_in()
    assert who(boto3.client("sts"))


def test_a_cleared_further_identity_says_what_brings_it_back(profiles):
    """%federate would not."""
    client = jf.session("grace").client("sts")
    jf.clear()
    with pytest.raises(SessionClearedError, match=r"jf\.session\('grace'\)"):
        client.get_caller_identity()


def test_clear_refuses_a_name_in_the_place_of_sign_out(profiles):
    """jf.clear("grace") must not clear everything."""
    jf.federate("ada")
    with pytest.raises(ConfigurationError, match="profile=NAME"):
        jf.clear("grace")
    assert jf.status().is_federated


def test_refresh_renews_further_identities_too_and_alone(profiles, aws):
    """Refreshed with the rest."""
    client = jf.session("grace").client("sts")
    before = key_of(client)
    jf.refresh()
    assert before != key_of(client)
    assert ("grace",) == jf.status().beside


def test_a_fresh_token_in_the_same_variable_is_taken(pool, provider, monkeypatch):
    """The status asks for a fresh one and to run the line again: so that must do."""
    line = {"source": "env", "variable": "ID_TOKEN", "identity_pool_id": pool.id}
    monkeypatch.setenv("ID_TOKEN", provider.id_token("ada", nonce="1"))
    jf.federate(**line)
    assert "Already signed in" in str(jf.federate(**line))
    first = jf.fetch_auth_session().credentials
    monkeypatch.setenv("ID_TOKEN", provider.id_token("ada", nonce="2"))
    jf.federate(**line)
    assert first is not jf.fetch_auth_session().credentials
