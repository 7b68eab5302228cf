from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
import warnings

import botocore.handlers
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from jupyter_federation.addresses import is_loopback
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.exchange import aws_clients, make_exchange
from jupyter_federation.exchange.aws_clients import AwsClients
from jupyter_federation.exchange.cognito import CognitoExchange, CognitoSettings
from jupyter_federation.exchange.sts import StsSettings

ROLE = "arn:aws:iam::123456789012:role/R"


@pytest.fixture
def exchange(pool, clients):
    """An exchange with ``pool``."""
    return CognitoExchange(CognitoSettings(identity_pool_id=pool.id), clients)


@pytest.fixture
def aws_config(isolated_home):
    """Write ~/.aws/config."""

    def write(text):
        (isolated_home / ".aws").mkdir(exist_ok=True)
        (isolated_home / ".aws" / "config").write_text(text)

    return write


def test_importing_the_exchange_loads_no_botocore():
    """It comes with the first client: settings and %load_ext stay light."""
    code = (
        "import sys, jupyter_federation.exchange as e;"
        f"e.make_exchange(e.StsSettings(role_arn={ROLE!r}));"
        "print(any(name.partition('.')[0] in ('botocore', 'boto3', 'urllib3') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n" == done.stdout


def test_no_credentials_are_looked_for(aws, exchange, token, aws_config, monkeypatch, tmp_path):  # noqa: PLR0917
    """Neither keys of the environment nor credential_process, SSO, a role or IMDS: the calls are unsigned."""
    witness = tmp_path / "ran"
    aws_config(
        f"[default]\ncredential_process = {sys.executable} -c \"open({str(witness)!r}, 'w')\"\n"
        "[profile sso]\nsso_session = missing\nsso_account_id = 1\nsso_role_name = R\n"
        f"role_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "sso")
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "auto")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.url)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    exchange.exchange(token)
    monkeypatch.delenv("AWS_PROFILE")
    exchange.exchange(token)
    assert {"GetId", "GetCredentialsForIdentity"} == {call.operation for call in aws.calls}
    assert {False} == {"Authorization" in call.request.headers for call in aws.calls}
    assert not witness.exists()


def test_environment_keys_sign_nothing(aws, exchange, token, monkeypatch):
    """Somebody else's keys must not name the caller."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x" * 40)
    exchange.exchange(token)
    assert {False} == {"Authorization" in call.request.headers for call in aws.calls}


def test_a_missing_profile_does_no_harm(aws, exchange, token, aws_config, monkeypatch):
    """A stale AWS_PROFILE breaks boto3; here the default section counts instead."""
    aws_config(f"[default]\nendpoint_url = {aws.url}\n")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert exchange.exchange(token).access_key_id in aws.keys


def test_the_section_of_aws_profile_counts_even_after_it_was_set_aside(aws, exchange, token, aws_config, monkeypatch):
    """Signing in takes AWS_PROFILE out of the environment; what was read from it stays, a fork or a failure later."""
    aws_config(f"[profile work]\nendpoint_url = {aws.url}\nregion = eu-north-1\n")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "work")
    exchange.exchange(token)
    monkeypatch.delenv("AWS_PROFILE")
    exchange._clients._process = aws_clients._Process()
    assert exchange.exchange(token).access_key_id in aws.keys
    assert "eu-north-1" == exchange._clients.region()


def test_nothing_on_this_machine_is_reached_through_a_proxy(aws, exchange, token, monkeypatch):
    """A proxy that is set for the world would be asked for 127.0.0.1 too."""
    monkeypatch.delenv("NO_PROXY")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert exchange.exchange(token).access_key_id in aws.keys


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000/x", True),
        ("http://localhost:8000", True),
        ("http://aws.localhost", True),
        ("https://sts.eu-west-1.amazonaws.com", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example.org", False),
    ],
)
def test_what_this_machine_is(url, loopback):
    """127.0.0.0/8, ::1, and the names that RFC 6761 reserves."""
    assert loopback == is_loopback(url)


def test_the_endpoint_is_the_regions(isolated_home):
    """With nothing configured, AWS's own host of the region."""
    clients = AwsClients()
    clients.warm("cognito-identity", "eu-west-1")
    (client,) = clients._process.clients.values()
    assert "https://cognito-identity.eu-west-1.amazonaws.com" == client.meta.endpoint_url


@pytest.mark.parametrize("variables", [(), ("AWS_USE_FIPS_ENDPOINT",), ("AWS_USE_DUALSTACK_ENDPOINT",)])
def test_requests_go_where_botocores_own_go(isolated_home, monkeypatch, variables):
    """In each partition, to the region's host, or to that for FIPS or IPv6 where it is configured."""
    for name in variables:
        monkeypatch.setenv(name, "true")
    own, plain = AwsClients(), botocore.session.Session()
    for region in ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"):
        own.warm("sts", region)
        theirs = plain.create_client("sts", region, config=Config(signature_version=UNSIGNED))
        assert _address(theirs) == _address(own._process.clients["sts", region])


def _address(client):
    """Where ``client`` sends a request; it is not sent."""

    def send(request, **_):
        raise RuntimeError(request.url)

    client.meta.events.register("before-send", send)
    with pytest.raises(RuntimeError) as refused:
        client.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="ada", WebIdentityToken="token")
    return str(refused.value)


@pytest.mark.parametrize("packed", [False, True])
def test_addresses_of_the_users_own_count(isolated_home, tmp_path, monkeypatch, packed):
    """An endpoints.json where botocore looks for the user's data: a private partition's, say."""
    partition = {
        "partition": "own",
        "dnsSuffix": "example.org",
        "regionRegex": "own-1",
        "regions": {"own-1": {}},
        "defaults": {"hostname": "{service}.{region}.{dnsSuffix}", "protocols": ["https"], "signatureVersions": ["v4"]},
        "services": {},
    }
    content = json.dumps({"version": 3, "partitions": [partition]}).encode()
    name, written = ("endpoints.json.gz", gzip.compress(content)) if packed else ("endpoints.json", content)
    (tmp_path / name).write_bytes(written)
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    clients = AwsClients()
    clients.warm("sts", "own-1")
    (client,) = clients._process.clients.values()
    assert "https://sts.own-1.example.org/" == _address(client)


def test_data_of_the_users_own_that_cannot_be_looked_at_is_none(isolated_home, monkeypatch):
    """As for botocore: a ~/.aws of another user's, or a name that no file can have."""
    monkeypatch.setenv("AWS_DATA_PATH", "/" + 300 * "x")
    clients = AwsClients()
    clients.warm("sts", "eu-west-1")
    assert [("sts", "eu-west-1")] == list(clients._process.clients)


def test_botocore_does_for_our_services_what_it_does_for_all(monkeypatch):
    """Its handlers for them and for every service are there; those for others are not."""

    def handler(**_):
        pass

    events = ("before-call", "before-call.sts", "before-call.*.GetCallerIdentity", "before-call.s3", "docs.*.sts.all")
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", [(event, handler) for event in events])
    events = aws_clients._credential_free_session(None).get_component("event_emitter")
    assert 3 == len(events.emit("before-call.sts.GetCallerIdentity"))
    assert 1 == len(events.emit("before-call.s3.GetObject"))


def test_the_timeouts_and_the_one_attempt_are_ours(isolated_home, monkeypatch):
    """AWS_RETRY_MODE and AWS_MAX_ATTEMPTS are for the user's clients: here the session retries."""
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    clients = AwsClients()
    clients.warm("sts", "eu-west-1")
    (client,) = clients._process.clients.values()
    config = client.meta.config
    assert (3, 8, "standard", 1) == (
        config.connect_timeout,
        config.read_timeout,
        config.retries["mode"],
        config.retries["total_max_attempts"],
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "not a url"),
        ("AWS_ENDPOINT_URL", "http://ada:pass-w0rd@-"),
        ("AWS_CONFIG_FILE", "broken"),
    ],
)
def test_a_broken_configuration_is_told(exchange, token, monkeypatch, tmp_path, name, value):  # noqa: PLR0917
    """botocore's own words, but for a password, and where to look."""
    if name == "AWS_CONFIG_FILE":
        value = str(tmp_path / "config")
        (tmp_path / "config").write_text("[profile\n= no")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="botocore cannot work with its configuration") as caught:
        exchange.exchange(token)
    assert "pass-w0rd" not in str(caught.value)


def test_warming_makes_the_client_and_never_raises(aws, exchange, monkeypatch):
    """It runs beside a person who signs in; what is wrong is told by the exchange itself."""
    exchange.warm()
    assert [("cognito-identity", "eu-west-1")] == list(exchange._clients._process.clients)
    assert [] == aws.calls
    monkeypatch.setenv("AWS_ENDPOINT_URL", "not a url")
    make_exchange(StsSettings(role_arn=ROLE)).warm()


def test_two_threads_make_one_client(exchange, token, aws, monkeypatch):
    """Warming and the exchange meet; botocore's session is not safe to share, so one of them waits."""
    made, start, new_client = [], threading.Barrier(4), aws_clients._new_client

    def slowly(*arguments):
        time.sleep(0.05)
        made.append(new_client(*arguments))
        return made[-1]

    def work():
        start.wait()
        exchange.exchange(token)

    monkeypatch.setattr(aws_clients, "_new_client", slowly)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (4, 1) == (aws.count("GetCredentialsForIdentity"), len(made))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_makes_its_own_clients(exchange, token, aws):
    """Even where the parent's lock was held at the fork by a thread that the child does not have."""
    exchange.exchange(token)
    parents = exchange._clients._process
    reading, writing = os.pipe()
    with parents.lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: that is the case tested here
        child = os.fork()
    if child == 0:
        try:
            key = exchange.exchange(token).access_key_id
            os.write(writing, json.dumps([key, exchange._clients._process is parents]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        key, same = json.load(pipe)
    assert (True, False) == (key in aws.keys, same)


def test_the_service_descriptions_are_botocores_own(isolated_home):
    """What is left out is the list of all other services, and nothing of these."""
    import botocore.loaders

    ours, theirs = aws_clients._loader(None), botocore.loaders.create_loader()
    for service in aws_clients._SERVICES:
        assert theirs.load_service_model(service, "service-2") == ours.load_service_model(service, "service-2")
