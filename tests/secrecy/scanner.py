"""Looks for planted secrets in text, bytes, files and objects, also where they stand encoded, split or in part.

A run of about 20 characters of a secret is a leak: what a truncated repr shows counts.  Seen through are base64 (both
alphabets, any alignment), hex, URL and HTML quoting, backslash and unicode escapes, UTF-16 and UTF-32, terminal
colours, and line breaks, quotes and blanks in the middle, as a traceback or pprint puts them.  Not seen through are
compression and encryption.
"""

from __future__ import annotations

import base64
import html
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_RUN = 12  # characters that are looked for at once
_STEP = 8  # from one such run to the next: 19 characters of a secret in a row always hold one
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[nrt0])")
_FILLING = re.compile(r"[^A-Za-z0-9+/_=-]+")
_KNOWN = "IQoJb3JpZ2luX2Vj"  # how every session token begins: no secret


class Scanner:
    """Finds ``secrets``, by name."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = dict(secrets)
        self._needles = {name: _needles(value) for name, value in secrets.items()}

    def found(self, *materials: object) -> set[str]:
        """The names of the secrets that stand in ``materials``: text, bytes, paths of files, or iterables of them."""
        views = {view for material in _flat(materials) for view in _views(material)}
        return {
            name for name, needles in self._needles.items() if any(each in view for view in views for each in needles)
        }


def jwt_secrets(token: str, name: str = "ID token") -> dict[str, str]:
    """The parts of a JWT that must not be seen; its header is the same for everybody."""
    _header, payload, signature = token.split(".")
    return {f"{name}, payload": payload, f"{name}, signature": signature}


def key_secrets(aws: Any) -> dict[str, str]:
    """The secret parts of every key that the embedded AWS has minted."""
    found = {}
    for number, key in enumerate(aws.keys.values()):
        found[f"secret access key {number}"] = key.secret_access_key
        found[f"session token {number}"] = key.session_token
    return found


def _needles(secret: str) -> set[str]:
    """Pieces of ``secret``, plain and encoded."""
    plain = secret.removeprefix(_KNOWN)
    if len(plain) < _RUN:
        raise ValueError("too short to be told from chance")
    forms = [plain, _FILLING.sub("", plain), plain.encode().hex(), plain.encode().hex().upper()]
    for shift in range(3):
        # Without the characters at either end that depend on what stands around.
        encoded = base64.b64encode(b"\0" * shift + plain.encode()).decode().rstrip("=")[4:-4]
        forms += [encoded, encoded.replace("+", "-").replace("/", "_")]
    return {form[start : start + _RUN] for form in forms for start in range(0, len(form) - _RUN + 1, _STEP)} | {
        form[-_RUN:] for form in forms
    }


def _flat(materials: Iterable[object]) -> Iterator[str]:
    for material in materials:
        if isinstance(material, Path):
            yield from _flat([material.read_bytes()])
        elif isinstance(material, str):
            yield str.__str__(material)
        elif isinstance(material, bytes | bytearray):
            yield bytes(material).replace(b"\0", b"").decode("latin-1")  # UTF-16 and UTF-32 of ASCII, too
        elif isinstance(material, Mapping):
            yield from _flat([*material.keys(), *material.values()])
        elif isinstance(material, Iterable):
            yield from _flat(material)
        else:
            raise TypeError(f"cannot look into {type(material).__name__}: give its repr")


def _views(text: str) -> set[str]:
    """``text`` as it is, unquoted, and without what may stand between two halves of a secret."""
    plain = _COLOUR.sub("", text).replace("\0", "")
    opened = _ESCAPED.sub(_unescaped, html.unescape(urllib.parse.unquote(plain)))
    return {text, opened, *(_FILLING.sub("", each) for each in (plain, opened))}


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else ""
