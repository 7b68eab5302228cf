"""Is the provider reached, and does it know the client, its redirect URI and its scopes?  Nobody is signed in by it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import html
import re
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from jupyter_federation.assembly import client_of
from jupyter_federation.doctor.finding import Finding, found, of_error
from jupyter_federation.doctor.patient import Asks, Patient
from jupyter_federation.errors import FederationError
from jupyter_federation.mailbox import Mailbox
from jupyter_federation.openid.aadsts import explained
from jupyter_federation.openid.connection import Connection
from jupyter_federation.openid.refusal import RefusedError, shown
from jupyter_federation.profile import SIGN_INS, Profile
from jupyter_federation.redaction import Secret
from jupyter_federation.sign_in.browser import browser_is_here

_USUAL_PORT = 8400  # docs/identity-providers.md's, where the profile names none: any free one is taken then
_LONGEST = 200_000  # characters of a page that are looked at
_SAID = 20_000  # of what it says, without its markup
# What providers write on the page that they show in a redirect's place, or into the address of one of their own:
# "Invalid parameter: redirect_uri", "Callback URL mismatch", "Unregistered redirect_uri", "redirect_uri did not match".
_TAG = re.compile(r"<[^<>]*>")
_UNSAID = re.compile(r"(?i)<(/?)(script|style)\b")
_REDIRECT = r"(?:redirect|callback|reply)[ _]?(?:ur[il]s?|address(?:es)?)"
_BAD = r"(?:invalid|unknown|unregistered|illegal|mismatch\w*|not|must|wrong)"
_ABOUT_THE_REDIRECT = re.compile(
    rf"(?i)\bredirect(?:_uri)?_mismatch|invalid_redirect|\b{_BAD}\W{{1,3}}(?:\w+\W{{1,3}}){{0,4}}{_REDIRECT}"
    rf"|{_REDIRECT}\W{{1,4}}(?:\w+\W{{1,3}}){{0,5}}{_BAD}\b"
)
_ABOUT_THE_CLIENT = re.compile(
    r"(?i)invalid_client|unauthorized_client|\b(?:invalid|unknown)[ _]client(?:[ _]id)?\b|\bclient(?:[ _]id)?\W{1,3}"
    r"(?:\w+\W{1,3}){0,2}(?:invalid|unknown|not found)\b"
)


def known(patient: Patient) -> Iterator[Finding | Asks]:
    """Discovery, then the authorization endpoint by a request without a person, then the token endpoint."""
    profile = patient.profile
    if profile is None or profile.source not in SIGN_INS:
        return
    client: Any = client_of(profile)
    yield Asks(client.issuer)
    try:
        client.endpoints()
        uses, others = _redirect_uris(client, profile)
        for each in (*uses, *others):
            patient.tell("redirect URI to register", each)
        for redirect_uri in uses:
            wrong = _authorization(patient, client, redirect_uri)
            if wrong is not None:
                yield wrong
                return
        yield from _token_endpoint(client, authorized=bool(uses))
    except FederationError as error:
        yield _reason(error, client)


def _redirect_uris(client: Any, profile: Profile) -> tuple[list[str], list[str]]:
    """Those that a sign-in from here uses, and those that it would fall back on."""
    if profile.use_device_code or profile.token_prompt:
        return [], []
    loopback = [client.loopback(port) for port in profile.redirect_port or (_USUAL_PORT,)]
    try:
        callback = Mailbox.default().redirect_uri()
    except FederationError:  # the check of the server says so
        callback = None
    if callback is None:
        return loopback, []
    return (loopback, [callback]) if browser_is_here() else ([callback], loopback)


def _authorization(patient: Patient, client: Any, redirect_uri: str) -> Finding | None:
    """Ask for a sign-in without a person (``prompt=none``; OpenID Connect Core 1.0, 3.1.2.1), which nobody gets.

    Who is sent back to the redirect URI, with whatever error, has proved that it and the client are registered.
    """
    asked = urlsplit(client.authorization_request(redirect_uri).address)
    query = {**dict(parse_qsl(asked.query)), "prompt": "none"}
    address = asked._replace(query=urlencode(query)).geturl()
    ca_bundle = client.settings.ca_bundle
    connection = Connection(provider=client.issuer, ca_bundle=ca_bundle)

    def look(session: Any) -> tuple[int, str, str, str]:
        answer = session.get(address, headers={"Accept": "text/html"}, **connection.options)
        headers = answer.headers
        answer.encoding = answer.encoding or "utf-8"  # where it names none, guessing takes long
        page = answer.text[:_LONGEST] if answer.status_code != 200 or "AADSTS" in answer.text[:_LONGEST] else ""  # noqa: PLR2004 - HTTP's
        return answer.status_code, headers.get("Location", ""), headers.get("Date", ""), page

    from requests import Session

    status, location, date, page = connection.ask(Session, look, lambda _error: None)
    patient.hear_date(client.issuer, date)
    if location.startswith(redirect_uri):
        return _sent_back(dict(parse_qsl(urlsplit(location).query)), client)
    said = _error_in(location) if location else _said_by(page)
    problem = explained("invalid_request", said)
    if problem.finding is not None:
        return _refused(problem, client, redirect_uri=redirect_uri)
    if status < 400 and not said.strip():  # noqa: PLR2004 - HTTP's
        return None  # it did not heed prompt=none, and had nothing against the request
    if _ABOUT_THE_REDIRECT.search(said) and not _ABOUT_THE_CLIENT.search(said):
        return _found(
            client,
            "redirect-uri-not-registered",
            f"{client.issuer} does not know the redirect URI {redirect_uri} for the application {client.client_id}. "
            "Have it registered, spelled exactly so.",
            redirect_uri=redirect_uri,
        )
    if _ABOUT_THE_CLIENT.search(said):
        said = f"{client.issuer} does not know the application {client.client_id}. Check `client_id`."
        return _found(client, "client-unknown", said)
    return None


def _said_by(page: str) -> str:
    """The text of a page, without scripts and styles; it is gone through once, whatever it is."""
    said, since, inside = [], 0, ""
    for tag in _UNSAID.finditer(page):
        name = tag[2].lower()
        if tag[1] and name == inside:
            since, inside = tag.start(), ""
        elif not tag[1] and not inside:
            said.append(page[since : tag.start()])
            inside = name
    if not inside:
        said.append(page[since:])
    return html.unescape(_TAG.sub(" ", " ".join(said)))[:_SAID]


def _sent_back(answer: dict[str, str], client: Any) -> Finding | None:
    """What an error that came back to the redirect URI says; most say only that nobody is signed in."""
    problem = explained(answer.get("error", ""), answer.get("error_description", ""))
    if problem.finding not in (None, "sign-in-ended", "second-factor"):
        return _refused(problem, client)
    if problem.code == "invalid_scope":
        said = f"does not give the application {client.client_id} what `scopes` asks for: {problem}"
        return _found(client, "scope-unknown", f"{client.issuer} {said}.")
    if problem.code in {"unauthorized_client", "unsupported_response_type"}:
        said = f"does not let the application {client.client_id} sign people in by a code: {problem}"
        return _found(client, "client-kind", f"{client.issuer} {said}.")
    return None


def _token_endpoint(client: Any, *, authorized: bool) -> Iterator[Finding]:
    """Show it a refresh token that is none: a client that it takes hears of the token, any other of itself."""
    try:
        client.refresh(Secret("none-this-is-the-doctor"))
    except RefusedError as error:
        if error.finding not in (None, "sign-in-ended"):
            yield _refused(error, client)
        elif error.code == "invalid_client" or "client_secret" in error.description:  # unauthorized_client: no renewal
            secret = client.settings.client_secret is not None
            why = "does not take its secret" if secret else "wants a secret of it, and none is set"
            code = "client-secret" if authorized else "client-unknown"
            said = f"{client.issuer} knows the application {client.client_id} and {why} ({shown(error.code)})."
            yield _found(client, code, said)
    except FederationError as error:
        yield of_error(error, "client-secret", where=client.issuer, client_id=client.client_id)


def _refused(problem: RefusedError, client: Any, **known: str) -> Finding:
    said = f"{client.issuer} refuses the sign-in: {problem}. {problem.fix or ''}".strip()
    return _found(client, problem.finding or "setting-wrong", said, **known)


def _found(client: Any, code: str, sentence: str, **known: str) -> Finding:
    return found(code, sentence, where=client.issuer, client_id=client.client_id, **known)


def _reason(error: FederationError, client: Any) -> Finding:
    """Why the provider was not reached; a name that is not resolved is told apart from a host that does not answer."""
    if error.facts.get("finding") == "unreachable" and not {"https", "all"} & urllib.request.getproxies().keys():
        host = urlsplit(client.issuer).hostname or ""
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            return found(
                "dns-unresolved",
                f"The name {host} cannot be resolved (DNS). Check `issuer` (Entra: `authority`) and the network.",
                where=host,
            )
    return of_error(error, "provider-down", where=client.issuer, client_id=client.client_id)


def _error_in(location: str) -> str:
    """What the address of a provider's own error page says; Google's holds it in base64.  Not so of a login page's."""
    query = dict(parse_qsl(urlsplit(location).query))
    said = [query.get(name, "") for name in ("error", "error_description", "error_subtype")]
    google = query.get("authError", "")
    with contextlib.suppress(binascii.Error, ValueError):
        said.append(base64.urlsafe_b64decode(google + "=" * (-len(google) % 4)).decode("utf-8", "replace"))
    return " ".join(said)
