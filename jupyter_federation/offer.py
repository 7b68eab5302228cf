"""What the person is shown while a sign-in is open: as text, and as markup that says the same."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime, timezone

# Over plain http there is no `navigator.clipboard`, but for localhost.
_COPY = (
    "getSelection().selectAllChildren(this.previousElementSibling); "
    "document.execCommand('copy'); this.textContent = 'Copied'"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """An invitation to sign in.

    ``steps`` are sentences, and so is ``otherwise``: what to do where the provider refuses.  ``address`` is where the
    browser goes, None where the person needs none from here; ``code`` is what is typed there, where something is.
    ``until`` says when the offer ends (UTC), None where it ends with the answer.
    """

    issuer: str
    client_id: str
    steps: tuple[str, ...]
    otherwise: str | None = None
    address: str | None = None
    code: str | None = None
    until: datetime | None = None

    def text(self, cancel: str = "interrupt the cell") -> str:
        """Complete by itself; ``cancel`` says what ends it."""
        address = () if self.address is None else (self.address,)
        code = () if self.code is None else (f"The code is {self.code}",)
        otherwise = () if self.otherwise is None else (self.otherwise,)
        return "\n".join((self._headline, *self.steps, *address, *code, *otherwise, self._end(cancel)))

    def html(self, cancel: str = "interrupt the cell") -> str:
        """A link that opens the window, and the code with a button that copies it."""
        link = code = ""
        if self.address is not None:
            link = (
                f'<div style="margin: 8px 0"><a href="{html.escape(self.address)}" target="_blank" '
                'rel="noopener noreferrer" style="display: inline-block; padding: 4px 12px; border: 1px solid '
                'currentColor; border-radius: 4px">Open the sign-in page</a></div>'
            )
        if self.code is not None:
            shown = html.escape(self.code)
            code = (
                f'<div>The code is <code style="font-size: 1.3em">{shown}</code> '
                f'<button onclick="{_COPY}">Copy</button></div>'
            )
        said = "".join(f"<div>{html.escape(step)}</div>" for step in self.steps)
        otherwise = "" if self.otherwise is None else f"<div>{html.escape(self.otherwise)}</div>"
        return (
            '<div class="jf-offer" style="padding: 4px 12px">'
            f"<strong>{html.escape(self._headline)}</strong>{said}"
            f"{link}{code}{otherwise}<div>{html.escape(self._end(cancel))}</div></div>"
        )

    @property
    def _headline(self) -> str:
        return f"Sign in at {self.issuer} to the application {self.client_id}."

    def _end(self, cancel: str) -> str:
        if self.until is None:
            return f"The offer stands until you answer or {cancel}."
        minutes = round((self.until - datetime.now(timezone.utc)).total_seconds() / 60)  # UTC is few people's time
        for_how_long = f"for {minutes} minutes, " if minutes > 1 else ""
        return f"The offer stands {for_how_long}until {self.until:%H:%M:%S} UTC; {cancel} to cancel it."
