from __future__ import annotations

import contextlib
import json
import logging
import pickle
import traceback

import pytest
from IPython.core.ultratb import VerboseTB

from jupyter_federation.demo.aws import Fault, Response, Role
from jupyter_federation.errors import ExchangeError
from jupyter_federation.exchange import aws_clients, make_exchange
from jupyter_federation.exchange.cognito import CognitoSettings
from jupyter_federation.exchange.further_role import FurtherRoleSettings
from jupyter_federation.exchange.sts import StsSettings

LEAKED_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LEAKED_SESSION = "IQoJb3JpZ2luX2VjCANARY"


@pytest.fixture
def exchange(aws, pool, aws_environment):
    """All calls there are: an identity pool by the classic flow, then a further role."""
    pool.classic_flow = True
    further = Role(name="Further", principals=(pool.authenticated_role.arn,))
    aws.add(further)
    return make_exchange(
        CognitoSettings(identity_pool_id=pool.id, role=StsSettings(role_arn=pool.authenticated_role.arn)),
        FurtherRoleSettings(assume_role_arn=further.arn),
    )


@pytest.fixture
def debug_log():
    """Everything that anybody logs, at DEBUG, as text."""
    lines = []

    class Collector(logging.Handler):
        def emit(self, record):
            lines.append(f"{record.name} {record.getMessage()} {record.args!r}")

    collector = Collector(logging.DEBUG)
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    levels = {}
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            levels[name] = logger.level
            logger.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(collector)
    root.setLevel(before)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def secrets_of(aws, token):
    """Every secret that was on the wire: the tokens that were sent, the keys that were minted."""
    sent = {call.parameters["WebIdentityToken"] for call in aws.calls if "WebIdentityToken" in call.parameters}
    minted = {part for key in aws.keys.values() for part in (key.secret_access_key, key.session_token)}
    return {str(token.raw), *sent, *minted}


def found(secrets, text):
    return [secret for secret in secrets if secret in text]


def test_no_secret_is_logged(exchange, aws, token, debug_log):
    """With every logger at DEBUG: GetId, GetOpenIdToken, AssumeRoleWithWebIdentity, AssumeRole."""
    exchange.warm()
    exchange.exchange(token)
    secrets = secrets_of(aws, token)
    assert (4, 6) == (len(aws.calls), len(secrets))
    assert [] == found(secrets, "\n".join(debug_log))
    assert any(line.startswith("botocore.") for line in debug_log)


def test_without_the_quiet_wire_it_would_be(exchange, aws, token, debug_log, monkeypatch):
    """The control: the log that was searched is the one that botocore prints requests and answers to."""
    monkeypatch.setattr(aws_clients, "quiet_wire", contextlib.nullcontext)
    exchange.exchange(token)
    secrets = secrets_of(aws, token)
    assert len(secrets) == len(found(secrets, "\n".join(debug_log)))


def answer_that_echoes(token):
    """A refusal that quotes what was sent."""
    return json.dumps({"__type": "NotAuthorizedException", "message": f"Bad login {token.raw}."}).encode()


def answer_without_expiry():
    """Good keys, and no use."""
    keys = {"AccessKeyId": "ASIAEXAMPLE", "SecretKey": LEAKED_KEY, "SessionToken": LEAKED_SESSION}
    return json.dumps({"IdentityId": "eu-west-1:0a", "Credentials": keys}).encode()


FAILURES = {
    "refused": lambda _token: Fault(response=Response(status=400, body=b'{"__type": "NotAuthorizedException"}')),
    "refused with an echo": lambda token: Fault(response=Response(status=400, body=answer_that_echoes(token))),
    "malformed": lambda _token: Fault(response=Response(body=answer_without_expiry())),
    "unreadable": lambda _token: Fault(response=Response(body=b"[" + answer_without_expiry() + b"]")),
    "closed": lambda _token: Fault(drop=True),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("operation", ["GetId", "GetCredentialsForIdentity"])
def test_no_traceback_shows_a_secret(aws, pool, token, clients, operation, failure):  # noqa: PLR0917
    """Python's with locals, IPython's verbose one, the error's own parts, a pickle of it: neither token nor keys."""
    aws.inject(operation, FAILURES[failure](token))
    exchange = make_exchange(CognitoSettings(identity_pool_id=pool.id))
    with pytest.raises(ExchangeError) as caught:
        exchange.exchange(token)
    error = caught.value
    ours = error.__traceback__.tb_next  # without this test's own frame
    shown = "".join(
        [
            *traceback.TracebackException(type(error), error, ours, capture_locals=True).format(),
            *VerboseTB().structured_traceback(type(error), error, ours),
            repr(vars(error)),
            repr(error.args),
            error.diagnostics(),
            repr(pickle.dumps(error)),
            repr(error.__cause__ and vars(error.__cause__)),
        ]
    )
    assert [] == found([str(token.raw), LEAKED_KEY, LEAKED_SESSION], shown)
    assert error.__context__ is error.__cause__ or error.__context__ is None
    assert None is getattr(error.__cause__, "__traceback__", None)


def test_the_search_of_tracebacks_finds_what_is_there(token):
    """The control: a frame that holds the bare token shows it in both tracebacks."""
    bare = str(token.raw)

    def leak():
        held = bare[:]
        raise ExchangeError(f"{len(held)}", fix="")

    with pytest.raises(ExchangeError) as caught:
        leak()
    error, ours = caught.value, caught.value.__traceback__.tb_next
    plain = "".join(traceback.TracebackException(type(error), error, ours, capture_locals=True).format())
    assert [bare] == found([bare], plain)


def test_credentials_show_no_secret(exchange, aws, token):
    """Their repr has none, and they do not pickle."""
    credentials = exchange.exchange(token)
    assert [] == found(secrets_of(aws, token), repr(credentials))
    with pytest.raises(TypeError):
        pickle.dumps(credentials)
