"""The scanner itself: it sees what is planted, in every form, and nothing where nothing is."""

from __future__ import annotations

import base64
import html
import json
import pickle
import pprint
import quopri
import secrets
import sys
import textwrap
import traceback
import urllib.parse

import pytest
from secrecy.scanner import Scanner, jwt_secrets

TOKEN = "IQoJb3JpZ2luX2Vj" + base64.b64encode(secrets.token_bytes(240)).decode()
KEY = base64.b64encode(secrets.token_bytes(27) + b"\xff\xfb\xef").decode()  # ends in "//vv": some must be quoted
BOTH = {"token", "key"}


def _local_variables(value):
    def fail(shown):
        raise RuntimeError

    try:
        fail(value)
    except RuntimeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


PLANTS = {
    "plain": lambda value: f"the value is {value}.",
    "bytes": lambda value: value.encode(),
    "repr of bytes": lambda value: repr(value.encode()),
    "base64": lambda value: base64.b64encode(value.encode()),
    "base64 inside something": lambda value: base64.b64encode(f'{{"a": "{value}"}}'.encode()),
    "base64 one further": lambda value: base64.b64encode(f' {{"a": "{value}"}}'.encode()),
    "base64url one further": lambda value: base64.urlsafe_b64encode(f'  {{"a": "{value}"}}'.encode()),
    "base64 over lines": lambda value: base64.encodebytes(value.encode()),
    "hex": lambda value: value.encode().hex(),
    "hex in capitals": lambda value: value.encode().hex(":").upper(),
    "URL-quoted": lambda value: urllib.parse.quote(value, safe=""),
    "form": lambda value: urllib.parse.urlencode({"WebIdentityToken": value}),
    "HTML": lambda value: html.escape(value).replace("/", "&#x2F;").replace("+", "&#43;"),
    "JSON": lambda value: json.dumps({"a": json.dumps({"b": value})}).replace("/", "\\/"),
    "unicode escapes": lambda value: "".join(f"\\u{ord(c):04x}" for c in value),
    "hex escapes": lambda value: "".join(f"\\x{ord(c):02x}" for c in value),
    "UTF-16": lambda value: value.encode("utf-16"),
    "UTF-16, big end first": lambda value: value.encode("utf-16-be"),
    "UTF-32": lambda value: value.encode("utf-32"),
    "quoted-printable": lambda value: quopri.encodestring(value.encode()),
    "wrapped": lambda value: "\n".join(textwrap.wrap(value, 16)),
    "wrapped and escaped": lambda value: repr("\n".join(textwrap.wrap(value, 16))),
    "in colours": lambda value: "\x1b[38;5;241m".join(textwrap.wrap(value, 7)),
    "pprint": lambda value: pprint.pformat([value], width=20),
    "a traceback's local variables": _local_variables,
    "a traceback's source": lambda value: "  ----> 1 f(\n" + textwrap.indent("\n".join(textwrap.wrap(value, 40)), " "),
    "pickle": pickle.dumps,
    "half of it": lambda value: value[len(value) // 2 :],
    "cut in the middle": lambda value: f"{value[:12]}...{value[-12:]}" if value == KEY else repr(value)[-48:],
    "a mapping's key": lambda value: {value: 1}.keys(),
}


@pytest.mark.parametrize("form", PLANTS)
def test_the_scanner_sees_a_secret_that_is_shown_as(form):
    """A secret that is shown is seen, however it is encoded, split or cut."""
    scanner = Scanner({"token": TOKEN, "key": KEY})

    assert {"token"} == scanner.found(PLANTS[form](TOKEN))
    assert {"key"} == scanner.found(PLANTS[form](KEY))


def test_a_file_is_seen_into(tmp_path):
    """A secret in a file of whatever kind is seen."""
    path = tmp_path / "some.db"
    path.write_bytes(b"\xff\x00binary" + TOKEN.encode("utf-16-le"))

    assert {"token"} == Scanner({"token": TOKEN}).found(path)


def test_nothing_is_seen_where_nothing_is():
    """Masks, other secrets, a key's last four characters and the common beginning of session tokens are no leaks."""
    scanner = Scanner({"token": TOKEN, "key": KEY})
    harmless = ["'***'", KEY[-4:], "IQoJb3JpZ2luX2Vj", base64.b64encode(secrets.token_bytes(300)), *sys.path]

    assert set() == scanner.found(harmless)


def test_a_token_has_two_parts_to_look_for(provider):
    """Payload and signature are looked for one by one, so that either alone is seen."""
    token = provider.id_token("ada")
    scanner = Scanner(jwt_secrets(token))
    header, payload, signature = token.split(".")

    assert (set(), {"ID token, payload"}, {"ID token, signature"}) == (
        scanner.found(header),
        scanner.found(payload),
        scanner.found(signature),
    )


def test_what_cannot_be_looked_into_is_no_pass():
    """An object in place of its text is an error: silence would read as clean."""
    with pytest.raises(TypeError, match="give its repr"):
        Scanner({"token": TOKEN}).found(object())
