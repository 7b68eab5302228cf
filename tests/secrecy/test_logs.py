"""What is logged at DEBUG by everybody while the notebook signs in, works, fails and clears."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import sys

import boto3
import botocore.history
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from jupyter_federation.demo.aws import Fault, Response
from jupyter_federation.errors import FederationError
from jupyter_federation.redaction import guard_logs

pytestmark = pytest.mark.slow  # a scan of everything that an object leads to takes about a second

LISTED = Fault(response=Response(body=b"<ListAllMyBucketsResult/>"))


def token_refused(aws):
    """S3's answer where the session token is no good: it repeats the token."""
    token = list(aws.keys.values())[-1].session_token
    body = f"<Error><Code>ExpiredToken</Code><Message>expired</Message><Token-0>{token}</Token-0></Error>"
    return Fault(response=Response(status=400, body=body.encode()))


def signature_refused(aws):
    """S3's answer where the signature is wrong: it repeats what should have been signed, also in hex."""
    canonical = f"GET\n/\n\nhost:h\nx-amz-security-token:{list(aws.keys.values())[-1].session_token}\n\nhost\nab"
    body = (
        "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>"
        f"<CanonicalRequest>{canonical}</CanonicalRequest>"
        f"<CanonicalRequestBytes>{canonical.encode().hex(' ')}</CanonicalRequestBytes></Error>"
    )
    return Fault(response=Response(status=403, body=body.encode()))


def test_sign_in_refresh_whoami_and_clear_log_no_secret(signed_in, log):
    """The whole life of a sign-in, logged at DEBUG by everybody, shows no secret."""
    signed_in.sts()
    signed_in.jf.refresh()
    signed_in.cognito()
    signed_in.jf.refresh()
    signed_in.jf.whoami()
    client = boto3.client("sts")
    client.get_caller_identity()
    client.close()
    signed_in.jf.clear()

    assert "botocore.endpoint Sending http request" in log()
    assert "urllib3.connectionpool" in log()
    assert set() == signed_in.scanner().found(log())


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_requests_log_no_secret(signed_in, log, s3_client, signature):
    """Requests to S3 that succeed and that fail in every way log no secret, with either signature."""
    s3 = s3_client(config={"signature_version": signature})
    faults = [LISTED, token_refused(signed_in.aws), signature_refused(signed_in.aws), Fault(drop=True)]
    for fault in faults:
        signed_in.aws.inject("s3:GET", fault)
        with contextlib.nullcontext() if fault is LISTED else pytest.raises((ClientError, BotoCoreError)):
            s3.list_buckets()

    assert len(faults) == signed_in.aws.count("s3:GET")
    assert set() == signed_in.scanner().found(log())


def test_presigning_logs_no_secret(signed_in, log, s3_client):
    """A presigned URL carries the session token by nature; the log of its making does not."""
    urls = [
        s3_client(config={"signature_version": version}).generate_presigned_url("list_buckets")
        for version in ("s3v4", "s3")
    ]
    form = s3_client(config={"signature_version": "s3v4"}).generate_presigned_post("bucket", "key")

    assert {"session token 0"} == signed_in.scanner().found(urls) == signed_in.scanner().found(repr(form))
    assert set() == signed_in.scanner().found(log())


def test_a_request_that_cannot_connect_logs_no_secret(signed_in, log, s3_client):
    """Neither does a request that finds nobody at the other end, nor an exchange that is refused."""
    with pytest.raises(BotoCoreError):
        s3_client(endpoint_url="http://127.0.0.1:9").list_buckets()
    signed_in.aws.fail("AssumeRoleWithWebIdentity", "InvalidIdentityToken", f"bad token {signed_in.token}", times=9)
    signed_in.aws.fail("GetCredentialsForIdentity", "NotAuthorizedException", f"bad {signed_in.token}", times=9)
    with pytest.raises(FederationError) as refused:
        signed_in.jf.refresh()

    assert set() == signed_in.scanner().found(log(), str(refused.value), refused.value.diagnostics())


def test_boto3_own_stream_logger_shows_no_secret(signing, s3_client):
    """boto3.set_stream_logger('') on top, set before the sign-in, prints everything but secrets."""
    before, level, handlers, errors = sys.stderr, logging.root.level, list(logging.root.handlers), io.StringIO()
    sys.stderr = errors
    try:
        boto3.set_stream_logger("")
        signing.sts()
        signing.aws.inject("s3:GET", LISTED)
        s3_client().list_buckets()
    finally:
        sys.stderr = before
        logging.root.setLevel(level)
        for handler in set(logging.root.handlers) - set(handlers):
            logging.root.removeHandler(handler)

    assert "Sending http request" in errors.getvalue()
    assert set() == signing.scanner().found(errors.getvalue())


def test_a_handler_that_breaks_prints_no_secret(signed_in, s3_client, capsys):
    """logging prints the message and arguments of a record whose handler raised: they are masked too."""

    class Broken(logging.Handler):
        def emit(self, record):
            try:
                raise RuntimeError
            except RuntimeError:
                self.handleError(record)

    broken, core = Broken(), logging.getLogger("botocore")
    level = core.level
    core.addHandler(broken)
    core.setLevel(logging.DEBUG)
    try:
        signed_in.aws.inject("s3:GET", LISTED)
        s3_client().list_buckets()
    finally:
        core.removeHandler(broken)
        core.setLevel(level)
    printed = capsys.readouterr().err

    assert "--- Logging error ---" in printed
    assert "Sending http request" in printed
    assert set() == signed_in.scanner().found(printed)


def test_a_callable_that_fails_is_logged_without_its_text(signing, log):
    """What a token callable and a subscriber raise is told by its type: the text may hold a token."""

    def no_token():
        raise RuntimeError(f"no token but {signing.token}")

    def subscriber(event, status):
        raise RuntimeError(f"cannot take {signing.token}")

    with pytest.raises(FederationError, match="RuntimeError") as refused:
        signing.jf.federate_to_identity_pool(no_token, identity_pool_id=signing.pool.id)
    signing.cognito()
    stop = signing.jf.subscribe(subscriber)
    signing.jf.refresh()
    stop()
    signing.jf.clear()

    assert set() == signing.scanner().found(log(), repr(refused.value), str(refused.value))


def test_the_log_is_looked_into(signed_in, log):
    """A token that somebody does log is seen, in the message and in the arguments of a record."""
    logging.getLogger("somebody").debug("got %s", signed_in.token)
    assert {"ID token, payload", "ID token, signature"} == signed_in.scanner().found(log())


def test_without_the_filter_botocore_logs_the_token(signed_in, log, s3_client, monkeypatch):
    """The same request logs the session token where the filter is taken away: the tests above prove something."""
    with monkeypatch.context() as without:
        for name in logging.root.manager.loggerDict:
            if name.startswith("botocore"):
                without.setattr(logging.getLogger(name), "filters", [])
        signed_in.aws.inject("s3:GET", LISTED)
        s3_client().list_buckets()
    guard_logs()

    assert {"session token 0"} == signed_in.scanner().found(log())


def test_what_reads_the_wire_reads_the_token(signed_in, s3_client, capsys):
    """By nature, and exempt: http.client's debug mode, botocore's history and audit hooks see the request itself."""

    class History(botocore.history.BaseHistoryHandler):
        seen = ""

        def emit(self, event_type, payload, source):
            self.seen += repr(payload)

    recorder, handler = botocore.history.get_global_history_recorder(), History()
    recorder.add_handler(handler)
    recorder.enable()
    before, http.client.HTTPConnection.debuglevel = http.client.HTTPConnection.debuglevel, 1
    try:
        signed_in.aws.inject("s3:GET", LISTED)
        s3_client().list_buckets()
    finally:
        recorder.disable()
        recorder._handlers.remove(handler)
        http.client.HTTPConnection.debuglevel = before

    assert "HTTP_REQUEST" in handler.seen or "headers" in handler.seen
    assert {"session token 0"} == signed_in.scanner().found(capsys.readouterr().out)
