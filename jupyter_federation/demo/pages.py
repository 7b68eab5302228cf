"""The few pages that the identity provider shows to a person; whatever comes from outside is escaped here."""

from __future__ import annotations

import html
import string
from collections.abc import Mapping
from typing import Any

from jupyter_federation.demo.loopback import Response

_PAGE = string.Template("""<!doctype html><html lang="en"><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 12vh auto; max-width: 22rem; padding: 0 1rem; color: #1c2733 }
  @media (prefers-color-scheme: dark) { body { background: #14191f; color: #dfe6ee } }
  h1 { font-size: 1.4rem } footer { margin-top: 2rem; font-size: .8rem; opacity: .7 }
  button, input { font: inherit; width: 100%; box-sizing: border-box; margin: .3rem 0; padding: .6rem .9rem;
    border: 1px solid #8a99a8; border-radius: .5rem; background: none; color: inherit; text-align: left }
  button { cursor: pointer } button:hover, button:focus { border-color: #2f6fde } .no { border: 0; opacity: .7 }
</style>
<h1>$title</h1>$body<footer>A demo identity provider. It runs on this machine only, and asks for no password.</footer>
</html>""")


def page(title: str, body: str, *, status: int = 200) -> Response:
    """A page with this title; ``body`` is markup."""
    text = _PAGE.substitute(title=html.escape(title), body=body)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    }
    return Response(status=status, body=text.encode(), headers=headers)


def login_page(users: Mapping[str, Mapping[str, Any]], purpose: str, *, user_code: str | None = None) -> Response:
    """A form with a button for each user, and a box for a device's code where one is given.

    It posts ``user`` (empty for Cancel) to the URL that it stands at.
    """
    box = ""
    if user_code is not None:
        box = f'<input name="user_code" value="{html.escape(user_code)}" placeholder="ABCD-EFGH" required>'
    buttons = "".join(
        f'<button name="user" value="{html.escape(name)}"><b>{html.escape(str(claims.get("name", name)))}</b>'
        f"<br>{html.escape(str(claims.get('email', '')))}</button>"
        for name, claims in users.items()
    )
    cancel = '<button name="user" value="" class="no" formnovalidate>Cancel</button>'
    form = f'<form method="post">{box}{buttons}{cancel}</form>'
    return page("Who are you today?", f"<p>{html.escape(purpose)}</p>{form}")
