"""Which addresses a browser may be sent to, which of them are this machine's, and how a proxy's is written."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

PROXY_FORM = (
    'http://USER:PASSWORD@HOST:PORT, in USER and PASSWORD %23 for "#", %2F for "/", %3F for "?" and %40 for "@"'
)
"""What to write into HTTPS_PROXY, as a part of a sentence."""


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine (RFC 6761, 6.3, for what ends in .localhost)."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_safe(address: object, issuer: str) -> bool:
    """Whether ``issuer`` may send somebody there: to an https address, in RFC 3986's characters and no others.

    Without a user or a password in it, behind which another host hides; and to an http address of this machine only
    where the issuer is on it, or any provider could have this machine's own services called.
    """
    if not isinstance(address, str) or not re.fullmatch(r"[!#-;=?-\[\]_a-z~]+", address):
        return False
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or host.startswith(".") or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(address) and is_loopback(issuer))
