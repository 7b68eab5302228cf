"""The panel: one set of plain widgets for each kernel, shown as often as one likes, up to date by subscription.

What it holds is saved with a notebook on request, so it is profile, state and times; while a sign-in is open that was
begun without the JupyterLab extension, its page and code too, which are worth nothing once it has ended.  Person,
account and role are filled in by the extension, which finds its way by these classes
(docs/decisions/0011-front-end.md):

- ``jf-panel`` on the outermost box;
- ``jf-action-refresh``, ``-clear``, ``-clear-sign-out``, ``-sign-in``, ``-cancel``, ``-answer`` on the buttons, and
  ``jf-profile`` on the chooser;
- ``time.jf-countdown`` with ``datetime``, a time that counts down;
- ``span.jf-place-subject``, ``-account``, ``-role``, ``-region``, ``-identity``, ``-key`` and
  ``div.jf-place-sign-in``, which it fills; ``jf-without-extension``, which it hides.

For a stylesheet besides: ``jf-state`` and on the same element ``jf-is-none``, ``-valid``, ``-expired``, ``-needs-you``,
``-cleared``, ``-refreshing``; in it ``jf-headline``, ``jf-badge`` and rows ``jf-row jf-row-<what>`` (who, where,
identity, credentials, renewal, profile, set-aside, beside, remark, error) of a ``jf-label`` and a
``jf-value``; ``jf-hint`` on what stands for account and role while they are not known, ``jf-actions`` around the
buttons, ``jf-notice`` on what a click was refused for.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_federation.front_end.controls import Controls, shared
from jupyter_federation.front_end.protocol import PANEL, PROTOCOL
from jupyter_federation.markup import escaped, linked, moment, time_tag
from jupyter_federation.session_status import SessionStatus, without_persons

if TYPE_CHECKING:
    import ipywidgets

MIME = "application/vnd.jupyter-federation.panel+json"
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

_COLOURS = {
    "none": "var(--jp-info-color1, #1976d2)",
    "valid": "var(--jp-success-color1, #388e3c)",
    "needs-you": "var(--jp-warn-color1, #f57c00)",
    "expired": "var(--jp-error-color1, #d32f2f)",
}
_NO_PROFILE = "(no profile)"  # the choice that repeats a sign-in that came without one
_MUTED = "color: var(--jp-ui-font-color2, #616161)"


class Panel:
    """What displays the panel; it is no widget itself, so that it has a text and HTML that are complete."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._lock = threading.Lock()
        self._widgets: _Widgets | None = None

    def __repr__(self) -> str:
        return str(self._controls.status())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002 - IPython's
        status = self._controls.status()
        live = self.bundle() if _kernel() is not None else {}
        return {**live, "text/html": status._repr_html_(), "text/plain": str(status)}

    def bundle(self) -> dict[str, Any]:
        """The MIME types of a live view; nothing where ipywidgets cannot be imported."""
        try:
            model = self._shown().model_id
        except ImportError:
            return {}
        view = {"version_major": 2, "version_minor": 0, "model_id": model}
        return {MIME: {"panel": PANEL}, _WIDGET_VIEW: view}

    def close(self) -> None:
        """Take the panel away, wherever it is shown."""
        widgets, self._widgets = self._widgets, None
        if widgets is not None:
            widgets.close()

    def _shown(self) -> _Widgets:
        with self._lock:
            if self._widgets is None or self._widgets.is_closed:  # closed by Widget.close_all(), too
                self.close()
                self._widgets = _Widgets(self._controls)
            return self._widgets


class _Widgets:
    """The widgets; made on the main thread, changed on the notifier's, each time only as far as something changed."""

    def __init__(self, controls: Controls) -> None:
        import ipywidgets

        self._controls = controls
        self._state = ipywidgets.HTML()
        self._offer = ipywidgets.HTML()
        self._notice = ipywidgets.HTML()
        self._offer.add_class("jf-without-extension")
        self._notice.add_class("jf-notice")
        self._profile = ipywidgets.Dropdown(
            description="Profile", layout={"width": "auto"}, style={"description_width": "initial"}
        )
        self._profile.add_class("jf-profile")
        self._preferred: str | None = None
        self._sign_in = self._button("sign-in", "Sign in", "Sign in with the federation profile, also while signed in")
        self._cancel = self._button("cancel", "Cancel", "End the sign-in that is open, or dismiss its error")
        self._answer = self._button("answer", "Paste …", "Paste what the sign-in asks for")
        self._refresh = self._button("refresh", "Refresh", "Renew the AWS credentials now")
        self._clear = self._button("clear", "Clear AWS session", "Clients that hold it refuse from then on")
        self._clear_sign_out = self._button("clear-sign-out", "Clear and sign out", "End the provider's session too")
        for each in (self._cancel, self._answer):
            each.add_class("jf-without-extension")  # the offer that it shows has its own
        place = ipywidgets.HTML('<div class="jf-place-sign-in"></div>')
        actions = ipywidgets.HBox(
            [
                self._profile,
                self._sign_in,
                self._answer,
                self._cancel,
                self._refresh,
                self._clear,
                self._clear_sign_out,
            ],
            layout={"flex_flow": "row wrap", "margin": "4px 0 0 14px"},  # below the text
        )
        actions.add_class("jf-actions")
        self._box = ipywidgets.VBox([self._state, actions, place, self._offer, self._notice])
        self._box.add_class("jf-panel")
        controls.read_profiles()
        self._render()
        # As in `channel`: a thread of ours has no context of the kernel's.
        context = contextvars.copy_context()
        self.leave = controls.add(lambda _event: context.copy().run(self._render))

    @property
    def model_id(self) -> str:
        """By which a front end finds the widgets."""
        return str(self._box.model_id)

    @property
    def is_closed(self) -> bool:
        """Whether somebody has closed them."""
        return self._box.comm is None

    def close(self) -> None:
        """Take them away."""
        self.leave()
        for widget in _whole(self._box):
            widget.close()

    def _button(self, action: str, text: str, tooltip: str) -> ipywidgets.Button:
        import ipywidgets

        button = ipywidgets.Button(description=text, tooltip=tooltip, layout={"width": "auto"})
        button.add_class(f"jf-action-{action}")
        button.on_click(lambda _button: self._clicked(action))
        return button

    def _clicked(self, action: str) -> None:
        """A click that no extension has taken; after the cell that runs."""
        if action == "answer":
            self._notice.value = _line(
                "The panel has no field that is not saved: run %federate --no-browser in a cell."
            )
            return
        request: dict[str, Any] = {"protocol": PROTOCOL, "action": action.replace("-", "_")}
        if action.startswith("clear"):
            request |= {"action": "clear", "sign_out": action == "clear-sign-out"}
        elif action == "sign-in":
            chosen = None if self._profile.layout.display == "none" else self._profile.value
            request["profile"] = chosen if chosen in self._controls.profiles else None
        reply = self._controls.request(request, takes_answers=False)
        self._notice.value = "" if reply["ok"] else _line(reply["error"])

    def _render(self) -> None:
        controls = self._controls
        status, sign_in = controls.status(), controls.sign_in
        is_open = sign_in is not None and sign_in.error is None
        has_any = status.is_federated or bool(status.beside)
        self._state.value = markup(status, cleared=controls.is_cleared)
        as_it_is = (_NO_PROFILE,) if status.is_federated and status.profile is None else ()
        choice = (*as_it_is, *controls.profiles)
        preferred = next(iter(as_it_is), status.profile or next(iter(controls.profiles), None))
        if self._profile.options != choice or preferred != self._preferred:  # what was chosen stays else
            self._profile.options, self._preferred = choice, preferred
            if preferred in choice:
                self._profile.value = preferred
        _show(self._profile, visible=len(choice) > 1)
        _show(self._sign_in, visible=not is_open)
        is_well = status.credentials == "valid" and status.sign_in != "needs_you"
        self._sign_in.button_style = "" if is_well else "primary"
        _show(self._cancel, visible=sign_in is not None)
        _show(self._answer, visible=is_open and sign_in is not None and sign_in.prompt.question is not None)
        self._refresh.disabled = not has_any  # not while it refreshes: a button that is disabled loses the focus
        self._clear.disabled = self._clear_sign_out.disabled = not has_any and not is_open
        if sign_in is None:
            self._offer.value = ""
        elif sign_in.error is not None:
            self._offer.value = _line(without_persons(sign_in.error))
        elif sign_in.prompt.takes_answers or sign_in.prompt.offer is None:  # with the extension, the channel tells it
            self._offer.value = _line("The sign-in is open …")
        else:
            self._offer.value = sign_in.prompt.offer.html("press Cancel")


def markup(status: SessionStatus, *, cleared: bool = False) -> str:
    """The state as HTML that does not change while nothing happens: times stand in it, and nothing that runs."""
    look = "needs-you" if status.credentials == "valid" and status.sign_in == "needs_you" else status.credentials
    classes = ["jf-state", f"jf-is-{look}"]
    headline = {
        "none": "Not signed in to AWS",
        "valid": "Signed in to AWS",
        "needs-you": "Signed in to AWS: the sign-in needs you",
        "expired": "The AWS credentials have expired",
    }[look]
    if cleared and not status.is_federated:
        classes.append("jf-is-cleared")
        headline = "The AWS session is cleared"
    badge = ""
    if status.refreshing:
        classes.append("jf-is-refreshing")
        badge = f' <span class="jf-badge" style="{_MUTED}">renewing …</span>'
    rows = "".join(
        f'<div class="jf-row jf-row-{what}" style="display: flex; flex-wrap: wrap; column-gap: 8px">'
        + (f'<span class="jf-label" style="min-width: 9em; {_MUTED}">{label}</span>' if label else "")
        + f'<span class="jf-value" style="flex: 1 1 12em; overflow-wrap: anywhere">{value}</span></div>'
        for what, label, value in _rows(status)
    )
    return (
        f'<div class="{" ".join(classes)}" style="border-left: 4px solid {_COLOURS[look]}; padding: 4px 12px; '
        'line-height: 1.6; font-variant-numeric: tabular-nums">'
        f'<div class="jf-headline"><strong>{headline}</strong>{badge}</div>{rows}</div>'
    )


def _rows(status: SessionStatus) -> Iterator[tuple[str, str, str]]:
    """What stands in the panel: a word for it, its label, its value as HTML."""
    if status.profile is not None:
        yield "profile", "Federation profile", escaped(status.profile)
    if status.is_federated:
        whoami = "<code>%federate whoami</code>"
        yield "who", "Who", f'<span class="jf-place-subject">{whoami} tells</span>'
        places = "".join(f'<span class="jf-place-{place}"></span>' for place in ("account", "role"))
        region = "" if status.region is None else escaped(status.region)
        hint = f'<span class="jf-hint">{"; " if region else ""}account and role: {whoami}</span>'
        yield "where", "Where", f'{places}<span class="jf-place-region">{region}</span>{hint}'
        if status.identity_id is not None:
            place = '<span class="jf-place-identity"><code>jf.status().identity_id</code></span>'
            yield "identity", "Identity", f'<span style="{_MUTED}">{place}</span>'
    yield from _time_rows(status)
    if status.set_aside:
        yield "set-aside", "Set aside", f"{escaped(', '.join(status.set_aside))}: given back on clear"
    if status.beside:
        yield "beside", "Beside it", f"{escaped(', '.join(status.beside))} (jf.session)"
    yield from _said_rows(status)


def _time_rows(status: SessionStatus) -> Iterator[tuple[str, str, str]]:
    """Until when, and what happens then."""
    if status.credentials_expire_at is not None:
        over = "ended" if status.credentials == "expired" else "until"
        key = f'<span class="jf-place-key" style="{_MUTED}; white-space: nowrap"></span>'
        until = f"{over} {_countdown(status.credentials_expire_at)} {key}"
        yield "credentials", "AWS credentials", until
    if status.is_federated:
        moments = [at for at in (status.sign_in_expires_at, status.next_try_at) if at is not None]
        said = status.outlook(datetime.now(timezone.utc))
        yield "renewal", "Renewal", linked(said, moments=moments, tag=_countdown)


def _said_rows(status: SessionStatus) -> Iterator[tuple[str, str, str]]:
    """Sentences."""
    if status.last_error:
        yield "error", "Last error", escaped(without_persons(status.last_error))
    if status.happened is not None:
        yield "remark", "", escaped(status.happened)
    for remark in status.remarks:
        yield "remark", "", f'<span style="{_MUTED}">{linked(remark, pages=status.pages)}</span>'


def _countdown(at: datetime) -> str:
    """The extension shows it in the browser's zone with what is left, and as it is here when pointed at."""
    return time_tag(at, f' class="jf-countdown" role="timer" title="{moment(at)}"')


def _line(text: str) -> str:
    return f'<div style="padding: 4px 12px; line-height: 1.6" role="alert">{escaped(text)}</div>'


def _show(widget: ipywidgets.DOMWidget, *, visible: bool) -> None:
    widget.layout.display = None if visible else "none"


def _whole(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """A widget and all that was made with it: what is in it, and how each looks."""
    for child in getattr(widget, "children", ()):
        yield from _whole(child)
    for part in ("layout", "style"):
        if widget.has_trait(part):
            yield getattr(widget, part)
    yield widget


def _kernel() -> Any:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)


_panel = Panel(shared)


def of_this_kernel() -> Panel:
    """The kernel's panel."""
    return _panel


def beside_a_status() -> dict[str, Any]:
    """The live view of what ``%federate`` returns; nothing where no person is there to see it."""
    return _panel.bundle() if getattr(_kernel(), "_allow_stdin", False) else {}
