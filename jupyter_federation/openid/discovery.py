"""A provider's discovery document, taken apart (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from jupyter_federation.addresses import is_safe
from jupyter_federation.errors import ConfigurationError
from jupyter_federation.openid.aadsts import explained
from jupyter_federation.openid.connection import Connection, json_object
from jupyter_federation.openid.refusal import REFUSALS

_COGNITO = re.compile(r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/.*")


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
    secret_in_body: bool = False  # a client's secret goes into the form, and not into the Authorization header

    @classmethod
    def read(cls, document: Mapping[str, Any], connection: Connection) -> Endpoints:
        """From the document.  Raises SourceUnavailableError for addresses that are missing or not safe.

        Whether its issuer is the right one is for the caller to say.
        """
        found: dict[str, Any] = {
            name: _endpoint(document, f"{name}_endpoint", connection)
            for name in ("authorization", "token", "device_authorization", "revocation", "end_session")
        }
        if found["authorization"] is None or found["token"] is None:
            raise connection.unavailable("has no authorization or token endpoint in its discovery document")
        scopes = document.get("scopes_supported")
        methods = document.get("token_endpoint_auth_methods_supported")  # without it, basic (Discovery 1.0, section 3)
        return cls(
            issuer=str(document.get("issuer")),
            **found,
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else None,
            secret_in_body=isinstance(methods, list)
            and "client_secret_post" in methods
            and "client_secret_basic" not in methods,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def end_session_url(self, client_id: str) -> str | None:
        """Where a browser ends its session (OpenID Connect RP-Initiated Logout 1.0).

        It names the client and not the ID token (``id_token_hint``), because it is shown.
        """
        address = self.end_session
        if address is None or _COGNITO.fullmatch(self.issuer):  # which wants a page of ours to go on to (logout_uri)
            return None
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'client_id': client_id})}"


def document_of(response: Any, connection: Connection, *, settings: str) -> Mapping[str, Any]:
    """The discovery document among requests' answers, its issuer not yet compared.

    ``settings`` are those that led there.  Raises SourceUnavailableError or ConfigurationError where it is none, and
    what `json_object` raises.
    """
    not_found = response.status_code == 404  # noqa: PLR2004 - HTTP's
    document = {"error": "HTTP 404"} if not_found else json_object(response)
    problem, fix = f"has no discovery document at {response.url}", f"Check {settings}"
    if "error" not in document:
        if isinstance(document.get("issuer"), str):
            return document
        raise connection.unavailable(f"{problem}: it names no issuer", fix=f"{fix}.", finding="discovery-missing")
    refusal = explained(str(document["error"]), str(document.get("error_description") or ""))
    if refusal.code in REFUSALS:
        raise ConfigurationError(
            f"The provider {connection.provider} {problem}: {refusal}.",
            fix=refusal.fix or f"{fix}.",
            issuer=connection.provider,
            finding=refusal.finding or "discovery-missing",
        )
    raise connection.unavailable(
        f"{problem}: {refusal}", fix=f"{fix}, or the provider's own status page.", finding="discovery-missing"
    )


def _endpoint(document: Mapping[str, Any], name: str, connection: Connection) -> str | None:
    address = document.get(name)
    if address is None:
        return None
    if not is_safe(address, connection.provider) or "#" in str(address):  # RFC 6749, section 3.1: no fragment
        raise connection.unavailable(f"names an address that is not https, or not an endpoint's, as its {name}")
    return str(address)
