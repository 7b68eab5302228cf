"""`Secret` itself, and botocore's log records."""

from __future__ import annotations

import copy
import hmac
import logging
import pickle
import pprint
import pydoc
import reprlib
import secrets
import traceback

import pytest
from IPython.lib.pretty import pretty
from secrecy.scanner import Scanner

from jupyter_federation.redaction import Secret, guard_logs, quiet_wire

VALUE = "eyJ" + secrets.token_urlsafe(60)
SCANNER = Scanner({"value": VALUE})


def _failing(local):
    try:
        int(local[0])
    except ValueError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


SHOWN = {
    "repr": repr,
    "repr of its bytes": lambda value: repr(value.encode()),
    "str of its bytes": lambda value: str(value.encode("latin-1")),
    "repr inside a container": lambda value: f"{[value]} {({'a': value},)} { {value} }",
    "!r": "{!r}".format,
    "an f-string's debug form": lambda value: f"{value=}",
    "its beginning, as rich shows it": lambda value: repr(value[:30]),
    "its bytes and more": lambda value: repr(value.encode() + b"; more"),
    "its lines": lambda value: repr(value.split()),
    "its parts": lambda value: repr(value.strip().split(".")),
    "with something behind": lambda value: repr(value + " "),
    "pprint": lambda value: pprint.pformat({"a": [value]}, width=10),
    "reprlib": lambda value: reprlib.repr([value]) + reprlib.repr({"a": value}),
    "IPython's pretty": lambda value: pretty({"a": [value]}),
    "pydoc, as IPython's %xmode Verbose uses it": lambda value: pydoc.text.repr({"a": value}),
    "an error about it": lambda value: repr(KeyError(value)) + repr(ValueError("not", value)),
    "str of a KeyError": lambda value: str(KeyError(value)),
    "a log record's repr of arguments": lambda value: logging.makeLogRecord(
        {"msg": "%s", "args": ([value],)}
    ).getMessage(),
    "a traceback with local variables": _failing,
}


@pytest.mark.parametrize("way", SHOWN)
def test_a_secret_is_not_shown_by(way):
    """A Secret stays hidden where a plain string is shown."""
    assert set() == SCANNER.found(SHOWN[way](Secret(VALUE)))


@pytest.mark.parametrize("way", sorted(set(SHOWN) - {"its beginning, as rich shows it", "reprlib"}))
def test_a_plain_string_is_shown_by(way):
    """The same ways show a plain string, so that the test above proves something."""
    assert {"value"} == SCANNER.found(SHOWN[way](VALUE))


@pytest.mark.parametrize("carry", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_does_not_travel(carry):
    """Pickle and copy refuse a secret, as a string and as bytes, alone and inside something."""
    for held in (Secret(VALUE), Secret(VALUE).encode()):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            carry(held)
    for carry_whole in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            carry_whole({"a": [Secret(VALUE)]})


def test_a_secret_is_the_string_that_it_is():
    """Masked or not, what goes over the wire is the value: hashed, compared, formatted and encoded."""
    secret = Secret(VALUE)

    assert VALUE == secret
    assert hash(VALUE) == hash(secret)
    assert VALUE == f"{secret}" == str(secret) == secret[:5] + secret[5:]
    assert VALUE.encode() == secret.encode() == b"".join([secret.encode()])
    assert hmac.digest(VALUE.encode(), b"", "sha256") == hmac.digest(secret.encode(), b"", "sha256")
    assert VALUE == secret.encode().decode() == str(secret.encode(), "utf-8")


TOKEN = "IQoJb3JpZ2luX2Vj" + secrets.token_urlsafe(90) + "+/=="
RECORDS = {
    "canonical request": f"PUT\n/b\n\nhost:h\nx-amz-date:1\nx-amz-security-token:{TOKEN}\n\nhost;x-amz-date\nab12",
    "presigned query": f"GET\n/b\nX-Amz-Expires=9&X-Amz-Security-Token={TOKEN.replace('/', '%2F')}&X-Amz-Date=2",
    "headers": f"Sending http request: <R headers={{'X-Amz-Security-Token': b'{TOKEN}', 'Date': b'now'}}>",
    "headers as text": f'{{"x-amz-security-token": "{TOKEN}", "date": "now"}}',
    "refused token": f"Response body:\nb'<Error><Code>ExpiredToken</Code><Token-0>{TOKEN}</Token-0></Error>'",
    "refused token, parsed": f"{{'Code': 'ExpiredToken', 'Token-0': '{TOKEN}', 'Message': 'now'}}",
    "refused signature": f"b'<CanonicalRequest>GET\\n/\\nx-amz-security-token:{TOKEN}\\n\\nhost</CanonicalRequest>'",
    "refused signature, in bytes": "<CanonicalRequestBytes>" + TOKEN.encode().hex(" ") + "</CanonicalRequestBytes>",
    "express session": f"x-amz-s3session-token:{TOKEN}\n",
}


@pytest.mark.parametrize("form", RECORDS)
def test_botocore_logs_no_session_token(form, caplog):
    """Whatever form a session token has in a record of botocore, the log loses it and keeps the rest."""
    guard_logs()
    scanner = Scanner({"token": TOKEN})
    assert {"token"} == scanner.found(RECORDS[form])

    with caplog.at_level(logging.DEBUG, "botocore"):
        for name in ("auth", "endpoint", "parsers"):
            logging.getLogger(f"botocore.{name}").debug("%s", RECORDS[form])

    assert 3 == len(caplog.records)
    assert set() == scanner.found(caplog.text)
    assert all(word in caplog.text for word in ("***", "host" if "host" in RECORDS[form] else "***"))


def test_during_an_exchange_botocore_logs_nothing_but_warnings(caplog):
    """Inside quiet_wire this thread's records below WARNING are dropped; outside they are there."""
    with caplog.at_level(logging.DEBUG, "botocore"):
        with quiet_wire():
            logging.getLogger("botocore.endpoint").debug("hidden")
            logging.getLogger("botocore.endpoint").warning("shown")
        logging.getLogger("botocore.endpoint").debug("also shown")

    assert ["shown", "also shown"] == caplog.messages
