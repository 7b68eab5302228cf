"""What the screens of a notebook write alike: moments, and sentences with links."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from datetime import datetime


def moment(at: datetime) -> str:
    """A time (UTC), as text."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def time_tag(at: datetime, attributes: str = "") -> str:
    """The same as an element of its own."""
    return f'<time{attributes} style="white-space: nowrap" datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{moment(at)}</time>'


def linked(text: str, *, pages: Iterable[str] = (), moments: Iterable[datetime] = ()) -> str:
    """``text`` escaped, with the addresses ``pages`` as links and the ``moments`` as elements.

    Each place is one thing: an address may hold another, and two times may be the same.
    """
    made = {moment(at): time_tag(at) for at in moments} | {page: link(page) for page in pages}
    if not made:
        return html.escape(text, quote=False)
    longest_first = sorted(made, key=len, reverse=True)
    between = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
    return "".join(made.get(part) or html.escape(part, quote=False) for part in between)


def link(page: str) -> str:
    """A link that leaves the notebook open."""
    return f'<a href="{html.escape(page)}" target="_blank" rel="noopener noreferrer">{html.escape(page)}</a>'
