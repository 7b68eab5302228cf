"""Plain lines as HTML: what a profile, a provider or AWS says stays text, and addresses and times in it are elements.

One pass over the raw text does it.  A second one over what the first has made would find one address inside the
attribute that holds another, and what a provider calls its address would become markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from datetime import datetime


def moment(at: datetime) -> str:
    """A time (UTC), as text."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def time_tag(at: datetime, attributes: str = "") -> str:
    """The same as an element of its own; ``attributes`` begin with a space."""
    return f'<time{attributes} style="white-space: nowrap" datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{moment(at)}</time>'


def linked(
    text: str,
    *,
    pages: Iterable[str] = (),
    moments: Iterable[datetime] = (),
    tag: Callable[[datetime], str] = time_tag,
) -> str:
    """``text`` escaped; in it the addresses ``pages`` are links, and the ``moments`` (as `moment` writes) a ``tag``."""
    made = {moment(at): tag(at) for at in moments} | {page: _link(page) for page in pages}
    if not made:
        return escaped(text)
    longest_first = sorted(made, key=len, reverse=True)  # one address may begin with another
    parts = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
    return "".join(made.get(part) or escaped(part) for part in parts)


def escaped(text: str) -> str:
    """``text`` in an element or an attribute; half a pair of surrogates, which no message can carry, becomes a "?"."""
    return html.escape(text.encode(errors="replace").decode())


def _link(page: str) -> str:
    return f'<a href="{escaped(page)}" target="_blank" rel="noopener noreferrer">{escaped(page)}</a>'
