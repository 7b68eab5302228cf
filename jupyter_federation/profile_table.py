"""The federation profiles as a small table, for a notebook and for a terminal."""

from __future__ import annotations

import html

from jupyter_federation.assembly import region_of
from jupyter_federation.config import Configuration
from jupyter_federation.errors import ConfigurationError, visible, without_home
from jupyter_federation.options import did_you_mean
from jupyter_federation.profile import Profile
from jupyter_federation.redaction import without_tokens

_CELL = 'style="text-align: left; white-space: nowrap"'  # JupyterLab's own: to the right, and "eu-" over "west-1"
_FILE = 'style="text-align: left; min-width: 16em; overflow-wrap: anywhere"'  # a path has no spaces to break at
_HEADINGS = ("federation profile", "source", "signs in to", "region", "file")


class ProfileTable:
    """Displays a configuration's profiles, and what is wrong with one; of a role it shows the name, not the account."""

    def __init__(self, configuration: Configuration) -> None:
        wrong = {name: _why_unusable(configuration, name) for name in configuration.profiles}
        rows = [
            (
                _named(name, configuration),
                profile.source or "",
                _destination(profile),
                profile.region or "",
                ", ".join(map(without_home, dict.fromkeys(profile.origins.values())))
                + (" (locked)" * bool(profile.locked_by))
                + (" (not usable as it is, see below)" * (wrong[name] is not None)),
            )
            for name, profile in configuration.profiles.items()
        ]
        rows += [(_named(name, configuration), "broken", "", "", "see below") for name in configuration.broken]
        self._rows = [tuple(map(visible, row)) for row in rows]
        broken = map(str, configuration.broken.values())
        self._below = [
            visible(without_home(each)) for each in (*wrong.values(), *broken, _no_such_default(configuration)) if each
        ]
        looked_in = ", ".join(without_home(str(each)) for each in configuration.directories)
        own = without_home(str(configuration.own_file))
        self._empty = (
            f"No federation profile in {looked_in}. One would stand in {own}; jupyter federation docs profiles has an "
            "example, and jupyter federation doctor prints what to ask your administrator for."
        )

    def __repr__(self) -> str:
        if not self._rows:
            return "\n".join([self._empty, *self._below])
        widths = [max(map(len, column)) for column in zip(_HEADINGS, *self._rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (_HEADINGS, *self._rows)
        ]
        return "\n".join([*lines, *self._below])

    def _repr_html_(self) -> str:
        below = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self._below)
        if not self._rows:
            return f"<p>{html.escape(self._empty)}</p>{below}"
        head = "".join(f"<th {_CELL}>{each}</th>" for each in _HEADINGS)
        body = "".join(
            "<tr>"
            + "".join(f"<td {_CELL}>{html.escape(each)}</td>" for each in cells)
            + f"<td {_FILE}>{html.escape(file)}</td></tr>"
            for *cells, file in self._rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _named(name: str, configuration: Configuration) -> str:
    return f"{name} (default)" if name == configuration.default_profile else name


def _why_unusable(configuration: Configuration, name: str) -> str | None:
    """What ``%federate`` would say before anything is sent, with the profile's name; None where it can be used."""
    try:
        region_of(configuration.profile(name))
    except ConfigurationError as error:
        return str(error) if repr(name) in error.problem else f"{name}: {error}"
    return None


def _no_such_default(configuration: Configuration) -> str | None:
    """A sentence where the default is none of the profiles."""
    name, names = configuration.default_profile, (*configuration.profiles, *configuration.broken)
    if name is None or name in names:
        return None
    file = (
        ""
        if configuration.default_profile_from is None
        else f" ({without_home(str(configuration.default_profile_from))})"
    )
    meant = did_you_mean(name, names)
    return f"The default {without_tokens(name)!r}{file} does not exist.{'' if meant is None else f' {meant}'}"


def _destination(profile: Profile) -> str:
    pool = f"identity pool {profile.identity_pool_id}" if profile.identity_pool_id else ""
    role = f"role {profile.role_arn.rpartition('/')[2]}" if profile.role_arn else ""
    return ", ".join(filter(None, (pool, role)))
