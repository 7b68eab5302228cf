"""Where the browser's session at the provider ends: the page, and what a sign-out came to without it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jupyter_federation.tokens import SignedOut


def last_pages(ended: Sequence[SignedOut | None], *, open_them: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pages for what was ``ended``, opened where somebody wants and the browser here is theirs; and sentences."""
    pages = tuple(dict.fromkeys(each.end_session_url for each in ended if each and each.end_session_url))
    opened = [page for page in pages if open_them and _open(page)]
    return pages, tuple(dict.fromkeys(_sentence(each, opened) for each in ended))


def _open(page: str) -> bool:
    """Open ``page`` where that is the person's own browser; whether it went well."""
    from jupyter_federation.sign_in.browser import browser_is_here, open_browser

    return browser_is_here() and open_browser(page)


def _sentence(ended: SignedOut | None, opened: Collection[str]) -> str:
    if ended is None:
        return "The token came from outside the notebook: end the sign-in where it began."
    revoked = "The provider has ended the refresh token. " if ended.revoked else "No refresh token was revoked. "
    if ended.end_session_url is None:
        return f"{revoked}Your browser's session there goes on: sign out on its own page."
    if ended.end_session_url in opened:
        return f"{revoked}A page has opened on which your browser's session there ends: {ended.end_session_url}"
    return f"{revoked}Your browser's session there goes on until you open {ended.end_session_url}"
