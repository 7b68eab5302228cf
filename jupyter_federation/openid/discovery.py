"""A provider's discovery document, taken apart (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from jupyter_federation.openid.client import is_safe
from jupyter_federation.openid.connection import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """What the discovery document says; None where the provider has no such endpoint."""

    issuer: str
    authorization: str
    token: str
    device_authorization: str | None = None
    revocation: str | None = None
    end_session: str | None = None
    scopes: tuple[str, ...] | None = None
    names_itself: bool = False  # `iss` in the redirect (RFC 9207)

    @classmethod
    def read(cls, document: Mapping[str, Any], connection: Connection) -> Endpoints:
        """From the document.  Raises SourceUnavailableError for addresses that are missing or not safe.

        Whether its issuer is the right one is for the caller to say.
        """
        found = {
            name: _endpoint(document, f"{name}_endpoint", connection)
            for name in ("authorization", "token", "device_authorization", "revocation", "end_session")
        }
        if found["authorization"] is None or found["token"] is None:
            raise connection.unavailable("has no authorization or token endpoint in its discovery document")
        scopes = document.get("scopes_supported")
        return cls(
            issuer=str(document.get("issuer")),
            authorization=found["authorization"],
            token=found["token"],
            device_authorization=found["device_authorization"],
            revocation=found["revocation"],
            end_session=found["end_session"],
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else None,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def end_session_url(self, client_id: str) -> str | None:
        """Where a browser ends its session (OpenID Connect RP-Initiated Logout 1.0).

        It names the client and not the ID token (``id_token_hint``), because it is shown.
        """
        address = self.end_session
        if address is None:
            return None
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'client_id': client_id})}"


def _endpoint(document: Mapping[str, Any], name: str, connection: Connection) -> str | None:
    address = document.get(name)
    if address is None:
        return None
    if not is_safe(address):
        raise connection.unavailable(f"names an address that is not https as its {name}")
    return str(address)
