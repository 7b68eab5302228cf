"""The callback page."""

from __future__ import annotations

import base64
import hashlib
import traceback
from html import escape
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httputil import url_concat

from jupyter_federation.errors import ConfigurationError, FederationError
from jupyter_federation.mailbox import Mailbox
from jupyter_federation.redaction import Secret

_STYLE = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_HELD = "jupyter-federation-answer"  # a cookie of this page alone
_HELD_DAYS = 10 / (24 * 60)  # ten minutes for a login; codes live no longer (RFC 6749, 4.1.2)


def _page(title: str, text: str) -> str:
    title, text = escape(title), escape(text)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{_STYLE}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


def _failure(method: str | None, status: int) -> tuple[str, str]:
    """Title and text for what was not even looked at."""
    if method == "GET" and status == HTTPStatus.FORBIDDEN:
        who = "You are logged in here as somebody who may not run code on this server."
        return "You may not sign in here", f"{who} Log in as its user, then sign in in the notebook again."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        what = "Something failed here, and the Jupyter server's log says what."
        return "The sign-in did not reach the notebook", f"{what} Sign in in the notebook again."
    return "This is not the way back from a sign-in", "Sign in in the notebook again."


def _parameters(query: str) -> dict[str, str]:
    """What is there once (RFC 6749, 3.1); nothing of a query that is not UTF-8 or has no end of members."""
    try:
        pairs = parse_qsl(query, errors="strict", max_num_fields=100)
    except ValueError:
        return {}
    names = [name for name, _ in pairs]
    return {name: Secret(value) for name, value in pairs if names.count(name) == 1}


class CallbackHandler(JupyterHandler):
    """``GET <base_url>/jupyter-federation/callback``: a provider's answer (RFC 6749, 4.1.2), in the query.

    Where the browser has no login cookie for this server, Jupyter's login page comes first, and then this one again.
    The answer waits in a cookie meanwhile, because the login page's address is logged whole when a login goes wrong.
    Every other method is refused: by Jupyter's own check of the origin (403), or because there is none (405).
    """

    def initialize(self, mailbox: Mailbox) -> None:
        """``mailbox`` is where the answer goes."""
        self._mailbox = mailbox

    @property
    def content_security_policy(self) -> str:
        """Nothing but the page's own style; in no frame."""
        return (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )

    def set_default_headers(self) -> None:
        """The address holds a code: it is not to be kept or sent on."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")

    def get_login_url(self) -> str:
        """Jupyter's login page, which then comes back to here."""
        url: str = super().get_login_url()
        if "?" in url or urlsplit(url).scheme:
            return url  # JupyterHub's, which itself keeps this address in a cookie; or somebody else's
        if self.request.query:
            secure = self.request.protocol == "https"
            path = self.request.path
            self.set_signed_cookie(
                _HELD, self.request.query, expires_days=None, path=path, httponly=True, secure=secure, samesite="Lax"
            )
        return url_concat(url, {"next": self.request.path})

    @web.authenticated
    @authorized(action="execute", resource="kernels")  # who may run code in a kernel may hand it a sign-in
    async def get(self) -> None:
        """Leave the answer for the kernel, and tell the person where to go."""
        held = self.get_signed_cookie(_HELD, max_age_days=_HELD_DAYS)
        if self.get_cookie(_HELD):
            self.clear_cookie(_HELD, path=self.request.path)
        parameters = _parameters(self.request.query or (held or b"").decode())
        try:
            delivered = self._mailbox.deliver(parameters)
        except FederationError as error:
            self._show(409 if isinstance(error, ConfigurationError) else 503, "The sign-in stops here", str(error))
            return
        if not delivered:  # and nothing of the query is shown: anybody can write a link to here
            self._show(
                404,
                "No notebook waits for this sign-in",
                "It was interrupted, took too long or was completed before. Sign in in the notebook again.",
            )
        elif "error" in parameters:
            reason = parameters.get("error_description") or parameters["error"]
            self._show(200, "You are not signed in", f"The provider says: {reason} Go back to your notebook.")
        else:
            self._show(200, "You can close this page", "Your notebook goes on, and says how the sign-in went.")

    def _show(self, status: int, title: str, text: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(_page(title, text))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page of this one's kind: tornado's message may quote the query."""
        del kwargs
        self._show(status_code, *_failure(self.request.method, status_code))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """The kind of failure and the place: tornado's own line holds the address with the code."""
        if isinstance(value, web.HTTPError):
            self.log.warning("The sign-in callback answers %s.", value.status_code)
        else:
            place = "".join(traceback.format_tb(tb))
            self.log.error("The sign-in callback failed with %s:\n%s", typ.__name__ if typ else None, place)
