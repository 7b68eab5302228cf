"""An option as a value: what it expects, what it is for, how its value is read.

Options are the fields of a dataclass (`Profile`, `Policy`).  The dataclass is then the one list from which
validation, the magic's options, their completion and their documentation all follow.  An option that is not set
is None.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from jupyter_federation.errors import ConfigurationError, visible
from jupyter_federation.redaction import holds_a_token, without_user

_Settings = TypeVar("_Settings", bound=Any)  # a dataclass of options, with `origins`

_SECRET_KEY = re.compile(r"(?:.*_)?(?:token|password|passphrase|secret|assertion|access_key(?:_id)?)", re.IGNORECASE)
# What is an option of the magic alone, and two settings everywhere else.
_TYPED_ALONE = {
    "token_file": '%federate takes `--token-file`; here it is `source` "file" with `path`.',
    "token_env": '%federate takes `--token-env`; here it is `source` "env" with `variable`.',
    "token_var": '%federate takes `--token-var`; here it is `source` "var" with `variable`.',
}
_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = 120  # an ARN whole: one digit of it may be missing


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One setting.

    ``kind`` is text, list, integer, integers, flag or json.  A text, and each item of a list, matches ``pattern``
    whole; an integer, and each of several, lies in ``bounds``.  ``expects`` completes "it should be ...".  An option
    that is about the token names the ``sources`` that use it, and is ``required`` by all of them or by none.  One that
    makes sense only beside another names those in ``beside``, of which one is enough.  What is ``secret`` is never
    shown.
    """

    help: str
    kind: str
    expects: str
    pattern: str = ""
    bounds: tuple[int, int] = (0, 0)
    choices: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    required: bool = False
    beside: tuple[str, ...] = ()
    secret: bool = False

    def metavar(self, key: str) -> str:
        """What stands for its value where ``key`` is shown as a command's option; nothing for a flag."""
        if self.kind == "flag":
            return ""
        of_kind = {"a path": "PATH", "an https URL": "URL", "a variable's name": "NAME"}
        return of_kind.get(self.expects) or key.rpartition("_")[2].upper()


def option(help_: str, kind: str = "text", *, choices: tuple[str, ...] = (), **parts: Any) -> Any:
    """A dataclass field for an `Option`; from a flag's kind, or from ``choices``, follows what it expects."""
    if kind == "flag":
        parts["expects"] = "true or false"
    elif "expects" not in parts:
        parts["expects"] = f"{'a list' if kind == 'list' else 'one'} of {', '.join(choices)}"
        parts["pattern"] = "|".join(map(re.escape, choices))
    made = Option(help=help_, kind=kind, choices=choices, **parts)
    return field(default=None, repr=not made.secret, metadata={"option": made})


def options_of(cls: type) -> dict[str, Option]:
    """The options among a dataclass's fields, by name."""
    return {each.name: each.metadata["option"] for each in fields(cls) if "option" in each.metadata}


def read_option(options: Mapping[str, Option], key: str, value: object, *, where: str) -> Any:
    """The value to keep for ``key``.  Raises ConfigurationError, beginning with ``where``, if key or value is wrong."""
    if key not in options:
        if _SECRET_KEY.fullmatch(key):
            raise ConfigurationError(
                f"{where}: `{key}` would be a secret, and no secret belongs here.",
                fix='Remove it, and say where the token comes from: `"source": "file"` with `path`, for example.',
            )
        raise ConfigurationError(
            f"{where}: there is no setting `{key}`.",
            fix=_TYPED_ALONE.get(key) or did_you_mean(key, options) or f"Known: {', '.join(options)}.",
        )
    if holds_a_token(str(value)):
        raise ConfigurationError(
            f"{where}: `{key}` holds what looks like a token or a key.",
            fix="Remove it, and treat it as disclosed if it was real. If it is a path, write it as an absolute one.",
        )
    try:
        return _read(options[key], value)
    except (ValueError, RecursionError):
        text = value if isinstance(value, str) and options[key].kind in ("text", "list") else ""
        unseen = next((f"U+{ord(one):04X}" for one in text if not one.isprintable()), None)
        has_user = "://" in text and "@" in text
        shown = "" if options[key].secret else f", not {_SHORTENED.repr(without_user(text) if has_user else value)}"
        if unseen is not None:
            fix = f"Write it without the character {unseen}, which does not show."
        elif has_user:
            fix = "Write it without a user or a password."
        else:
            fix = did_you_mean(str(value), options[key].choices) or f"What `{key}` is: {options[key].help}"
        raise ConfigurationError(f"{where}: `{key}` should be {options[key].expects}{shown}.", fix=fix) from None


def _read(option: Option, value: Any) -> Any:
    """The value to keep; lists may come as one string, numbers as their digits, JSON as text.  Raises ValueError."""
    if option.kind == "list":
        items = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
        if isinstance(items, (list, tuple)) and items and all(_matches(option, item) for item in items):
            return tuple(items)
    elif option.kind == "integer":
        return _integer(option, value)
    elif option.kind == "integers":
        items = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
        if items := items if isinstance(items, (list, tuple)) else [items]:
            return tuple(_integer(option, item) for item in items)
    elif option.kind == "json":
        content = json.loads(value) if isinstance(value, str) else value
        if isinstance(content, dict):
            return json.dumps(content, separators=(",", ":"))
    elif isinstance(value, bool) if option.kind == "flag" else _matches(option, value):
        return value
    raise ValueError


def _integer(option: Option, value: object) -> int:
    number = int(value) if isinstance(value, str) else value
    if type(number) is int and option.bounds[0] <= number <= option.bounds[1]:  # a bool is an int, and not meant
        return number
    raise ValueError


def _matches(option: Option, value: object) -> bool:
    """Whether it is such a text; one that would do something to a terminal is none."""
    return isinstance(value, str) and visible(value) == value and re.fullmatch(option.pattern, value) is not None


def with_settings(before: _Settings, settings: Mapping[str, Any], origin: str) -> _Settings:
    """``before`` with ``settings`` in place of its own, and ``origin`` noted for each of them."""
    return replace(before, **settings, origins={**before.origins, **dict.fromkeys(settings, origin)})


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A question that names the nearest of ``known``, or None where none is near."""
    import difflib

    plain = {each.lower().replace("-", "_"): each for each in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), plain, n=1)
    return f"Did you mean `{plain[near[0]]}`?" if near else None
