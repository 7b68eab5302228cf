from __future__ import annotations

import errno
import re
import socket
import ssl

import pytest
import trustme
from botocore import exceptions as botocore_errors
from urllib3.exceptions import NewConnectionError

from jupyter_federation.demo.aws import EmbeddedAws, Fault
from jupyter_federation.errors import ConfigurationError, ExchangeError, FederationError
from jupyter_federation.exchange import aws_clients
from jupyter_federation.exchange.aws_clients import AwsClients
from jupyter_federation.exchange.cognito import CognitoExchange, CognitoSettings
from jupyter_federation.exchange.unreachable import unreachable

POOL = "eu-west-1:00000000-0000-4000-8000-000000000001"
URL = "https://cognito-identity.eu-west-1.amazonaws.com/"


def failure(exchange, token):
    with pytest.raises(ExchangeError) as caught:
        exchange.exchange(token)
    error = caught.value
    assert (None, None, None) == (error.aws_code, error.__cause__, error.__context__)
    return error


@pytest.fixture
def closed_port():
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture
def exchange(clients):
    """An exchange with a pool that nothing needs to know."""
    return CognitoExchange(CognitoSettings(identity_pool_id=POOL), clients)


def test_a_refused_connection_names_the_endpoint(exchange, token, monkeypatch, closed_port):
    """AWS_ENDPOINT_URL may be stale."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    error = failure(exchange, token)
    assert (True, True) == (error.retryable, f"http://127.0.0.1:{closed_port}" in str(error))
    assert "AWS_ENDPOINT_URL" in error.fix


@pytest.mark.parametrize("person", ["ada:pass-w0rd", "ada:p@ss-pass-w0rd", "pass-w0rd"])
def test_an_endpoint_is_named_without_its_password(exchange, token, monkeypatch, closed_port, person):
    """A gateway's may stand in AWS_ENDPOINT_URL, and what is said here is saved with the notebook."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{person}@127.0.0.1:{closed_port}")
    error = failure(exchange, token)
    assert f"@127.0.0.1:{closed_port}" in str(error)
    assert "pass-w0rd" not in error.diagnostics()


def test_a_name_that_does_not_resolve_names_the_region(exchange, token, monkeypatch):
    """A mistyped region is a host that does not exist."""

    def unknown(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(exchange, token)
    assert (True, True) == (error.retryable, "cognito-identity.eu-west-1.amazonaws.com" in str(error))
    assert [] == [word for word in ("DNS", "`region`", "`identity_pool_id`") if word not in str(error)]


def test_an_answer_that_does_not_come_is_a_timeout(exchange, aws, token, monkeypatch):
    """The read timeout is ours, not botocore's minute."""
    monkeypatch.setattr(aws_clients, "READ_TIMEOUT", 0.2)
    aws.inject("GetId", Fault.hang())
    error = failure(exchange, token)
    assert (True, True) == (error.retryable, "did not answer in time" in str(error))
    assert 1 == aws.count("GetId")


def test_a_connection_that_closes_is_told(exchange, aws, token):
    """A proxy that gives up."""
    aws.inject("GetId", Fault(drop=True))
    error = failure(exchange, token)
    assert (True, True) == (error.retryable, "closed the connection" in str(error))


def test_a_proxy_that_does_not_answer_is_named_without_its_password(exchange, token, monkeypatch, closed_port):
    """The settings to check are the proxy's."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:pass-w0rd@127.0.0.1:{closed_port}")
    error = failure(exchange, token)
    assert error.retryable
    assert [] == [word for word in ("HTTPS_PROXY", "NO_PROXY", f":{closed_port}") if word not in str(error)]
    assert "pass-w0rd" not in error.diagnostics()


@pytest.mark.parametrize(
    "password",
    [
        "pass-w0rd#",
        "pass-w0rd/1",
        "pass-w0rd?1",
        "2024#pass-w0rd",
        "#pass-w0rd",
        "12/pass-w0rd",
        "4711#pass w0rd",
        "x[pass-w0rd]",
        "[pass-w0rd",
        "pass-w0rd\u2100",
    ],
)
def test_a_proxy_whose_password_is_not_escaped_is_not_repeated(exchange, token, monkeypatch, closed_port, password):
    """The character ends the address before its host; urllib3 takes the password for a port, and says so."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:{password}@127.0.0.1:{closed_port}")
    error = failure(exchange, token)
    assert not {"pass-w0rd", "w0rd"} & set(re.split(r"[^\w-]", error.diagnostics()))
    assert "HTTPS_PROXY" in error.fix
    assert 'http://USER:PASSWORD@HOST:PORT, in USER and PASSWORD %23 for "#"' in error.fix


@pytest.mark.parametrize(
    "address",
    [
        *(f"http://{person}@127.0.0.1:1" for person in ("ada:12/pass-w0rd", "ada:#pass-w0rd", "a_b:pa/pass-w0rd")),
        *(f"http://{person}@127.0.0.1:1" for person in ("ada:[pass-w0rd]", "ada:\tpass-w0rd", "ada:4#x pass-w0rd")),
        *(f"{scheme}ada:pass-w0rd@127.0.0.1:1" for scheme in ("", "http:", "http:/", "https://a@b:")),
    ],
)
def test_an_endpoint_s_password_that_is_not_escaped_is_not_repeated(token, monkeypatch, address):
    """By a request that fails, and by botocore, which takes some for no address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(FederationError) as caught:
        CognitoExchange(CognitoSettings(identity_pool_id=POOL), AwsClients()).exchange(token)
    assert "pass-w0rd" not in caught.value.diagnostics()


def test_an_unknown_ca_names_aws_ca_bundle_and_setting_it_helps(provider, token, monkeypatch, tmp_path):
    """After a failure the configuration is read anew: what the sentence says can be done in the notebook."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    exchange = CognitoExchange(CognitoSettings(identity_pool_id=POOL), AwsClients())
    with EmbeddedAws(tls=tls) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        assert "set AWS_CA_BUNDLE" in failure(exchange, token).fix
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
        exchange = CognitoExchange(CognitoSettings(identity_pool_id=POOL), AwsClients())
        error = failure(exchange, token)
        assert (False, True) == (error.retryable, "AWS_CA_BUNDLE" in error.fix)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        with pytest.raises(ExchangeError, match="does not exist in the region"):
            exchange.exchange(token)


@pytest.mark.parametrize("bundle", ["nowhere.pem", ".", "empty.pem"])
def test_a_ca_bundle_that_cannot_be_read_is_told(token, monkeypatch, tmp_path, bundle):
    """A file that is not there helps nobody, however often it is tried."""
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with EmbeddedAws(tls=tls) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        error = failure(CognitoExchange(CognitoSettings(identity_pool_id=POOL), AwsClients()), token)
    assert (False, True) == (error.retryable, "Correct AWS_CA_BUNDLE" in error.fix)


def wrapped(cause):
    """An error of botocore's around one of urllib3's around one of the system's, as they come."""
    middle = NewConnectionError(None, "Failed to establish a new connection")
    middle.__cause__ = cause
    return botocore_errors.EndpointConnectionError(endpoint_url=URL, error=middle)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (wrapped(OSError(errno.ENETUNREACH, "Network is unreachable")), "There is no network"),
        (wrapped(OSError(errno.EHOSTUNREACH, "No route to host")), "There is no network"),
        (wrapped(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")), "There is no network"),
        (wrapped(socket.gaierror(socket.EAI_NONAME, "Name or service not known")), "DNS"),
        (wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")), "refused the connection"),
        (botocore_errors.ConnectTimeoutError(endpoint_url=URL), "did not take the connection in time"),
        (botocore_errors.ReadTimeoutError(endpoint_url=URL), "did not answer in time"),
        (
            botocore_errors.SSLError(
                endpoint_url=URL, error=ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version")
            ),
            "There is no TLS connection",
        ),
        (botocore_errors.HTTPClientError(error=RuntimeError("odd")), "could not be sent: RuntimeError: odd"),
        (botocore_errors.BotoCoreError(), "GetId could not be sent"),
    ],
)
def test_each_trouble_has_its_sentence(error, says):
    """What cannot be brought about on any machine, straight from botocore's errors."""
    told = unreachable(error, operation="GetId", about={"region": "eu-west-1"})
    assert (True, True) == (told.retryable, says in str(told))
    assert "eu-west-1" == told.facts["region"]


def test_a_parameter_that_botocore_refuses_is_a_setting():
    """Nothing was sent."""
    error = botocore_errors.ParamValidationError(report="Invalid length for parameter RoleArn")
    told = unreachable(error, operation="AssumeRole", about={})
    assert isinstance(told, ConfigurationError)
    assert "RoleArn" in str(told)
