"""``%federate``: parses a line, calls `jupyter_federation.calls`, and returns what displays itself.

Loading costs next to nothing, so whatever reads files or knows AWS is imported when a line needs it.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import sys
import textwrap
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.redaction import MASK, holds_a_token, without_tokens

# Options that say in one word where the token comes from: the source, and the key that takes their value.
_TOKEN_OPTIONS = {
    "--token-file": ("file", "path"),
    "--token-env": ("env", "variable"),
    "--token-var": ("var", "variable"),
}
_HELP = """\
%federate                         sign in with the default federation profile
%federate PROFILE [options]       with a named one; options change it for this once
%federate TOKEN TARGET [options]  without a profile

%federate status                  how things stand, without asking anybody
%federate whoami                  who AWS says you are
%federate refresh                 renew the credentials now
%federate clear [PROFILE]         sign out, of one identity or all; --sign-out at the provider too
%federate panel                   a panel that stays up to date, with buttons
%federate export                  the line that gives a terminal on this machine the same identity
%federate profiles                the federation profiles and the files they come from
%federate doctor [PROFILE]        why it does not work; --no-exchange, --trust-policy FILE, --json
%federate doctor CODE             what a code of the doctor's means

TOKEN, one of; never the token itself: the notebook would keep it
  --token-file PATH               a file that holds it, read again at each renewal
  --token-env NAME                an environment variable
  --token-var NAME                a Python variable: a string, or a callable that gives a fresh one
  --token-prompt                  asks for it, hidden; a profile with a sign-in of its own checks it
TARGET, one of
  --identity-pool-id POOL         a Cognito identity pool
  --role-arn ARN                  a role, by AWS STS

The other options are the same as a profile's keys.
"""
_HELP_WIDTH = 96  # characters; JupyterLab breaks a line that is longer than its output within a word
_VALUES = dict.fromkeys(("list", "integers"), " ({}, with spaces between)") | {
    "flag": ""
}  # of the other kinds: " ({})"
# --token, --id-token and the like with what follows, but not --token-file.
_TOKEN_ON_THE_LINE = re.compile(
    r"(?<!-)(--(?:\w[\w-]{0,40}[_-])?(?:token|secret|password|access[_-]key))(?:\s*=\s*|\s+|$)\S*"
)
_OPTION_AND_EQUALS = re.compile(r"(?<!-)(--\w[\w-]{0,60})=")
_COMPLETED_LINE = re.compile(r"\s*(?:[\w.,\s]+=\s*)?%federate\s+(.*)")
_MAGIC = "federate"


def register(shell: InteractiveShell) -> None:
    """Put ``%federate`` into ``shell``, complete it, and keep tokens on its line out of the history."""
    unregister(shell)
    FederateMagic(shell).install()


def unregister(shell: InteractiveShell) -> None:
    """Take ``%federate`` out of ``shell`` and clear what is signed in; without it, nothing happens."""
    magic = shell.magics_manager.magics["line"].get(_MAGIC)
    if magic is None:
        return
    magic.__self__.remove()
    panel, calls = (sys.modules.get(f"jupyter_federation.{name}") for name in ("front_end.panel", "calls"))
    if panel is not None:
        panel.of_this_kernel().close()
    if calls is not None:
        before = calls.status()
        calls.clear()
        if before.is_federated or before.beside:
            sys.stdout.write(
                "Signed out of AWS, because the extension was unloaded; load it and run %federate again.\n"
            )


class FederateMagic:
    """``%federate`` in one shell, with its completion and its guard over the history."""

    def __init__(self, shell: Any) -> None:  # an InteractiveShell, whose own annotations have gaps
        self._shell = shell
        self._history = shell.history_manager
        self._plain_store_inputs = self._history.store_inputs
        self._close_channel: Callable[[], object] = lambda: None

    def install(self) -> None:
        """Hook into the shell."""
        self._shell.register_magic_function(self.federate, magic_kind="line", magic_name=_MAGIC)
        self._shell.Completer.custom_matchers.append(self.complete)
        self._history.store_inputs = self._store_inputs
        if hasattr(getattr(self._shell, "kernel", None), "control_handlers"):  # ipykernel, and not a terminal
            from jupyter_federation.front_end.channel import Channel

            channel = Channel(self._shell.kernel, _load_controls)
            channel.open()
            self._close_channel = channel.close

    def remove(self) -> None:
        """Leave the shell as it was."""
        del self._shell.magics_manager.magics["line"][_MAGIC]
        self._shell.Completer.custom_matchers.remove(self.complete)
        if self._history.store_inputs == self._store_inputs:  # else somebody has wrapped it since
            self._history.store_inputs = self._plain_store_inputs
        self._close_channel()

    @no_var_expand
    def federate(self, line: str) -> Any:
        """See `_HELP`, which ``%federate?`` shows too."""
        if _shows_a_token(line):
            raise ConfigurationError(
                "There is a token on the %federate line, or something that looks like one; it was not used.",
                fix="Remove it from the cell. It stands in the notebook's source now, so treat it as disclosed and get "
                "a new one; bring that by --token-file PATH, --token-env NAME or --token-var NAME. If it is a path, "
                "write it as an absolute one.",
            )
        line = self._shell.var_expand(line, depth=2)  # over this frame and run_line_magic's to the cell's
        if _shows_a_token(line):
            raise ConfigurationError(
                "A $variable or {expression} put a token on the %federate line; it was not used.",
                fix="Write the variable's bare name: --token-var NAME.",
            )
        return _run(_words(line))

    federate.__doc__ = f"Sign in to AWS with the login you already have, and stay signed in.\n\n{_HELP}"

    def _store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        """Store a cell in the history; IPython does so before the cell runs, hence before a token can be refused."""
        raw = source if source_raw is None else source_raw
        self._plain_store_inputs(line_num, self._for_history(source), self._for_history(raw))

    def _for_history(self, source: str) -> str:
        """``source`` as it is stored: unchanged, unless it speaks of federate, or an alias, and holds a token."""
        magics = self._shell.magics_manager.magics["line"].items()
        aliases = (name for name, each in magics if getattr(each, "magic_name", None) == _MAGIC)
        if not any(name in source for name in (_MAGIC, *aliases)) or not _shows_a_token(source):
            return source
        return without_tokens(_OPTION_AND_EQUALS.sub(r"\1 ", _TOKEN_ON_THE_LINE.sub(rf"\1 {MASK}", source)))

    @context_matcher()  # type: ignore[untyped-decorator]
    def complete(self, context: CompletionContext) -> dict[str, Any]:
        """Complete options, subcommands, profiles and values that are words; the rest is IPython's."""
        found = _COMPLETED_LINE.fullmatch(context.text_until_cursor)
        if found is None:
            return {"completions": []}
        *before, fragment = re.split(r"\s+", found[1])
        if fragment.startswith("--") and "=" in fragment:
            option, _, fragment = fragment.partition("=")
            before.append(option)
        try:
            words = _candidates(before, fragment)
        except Exception:  # noqa: BLE001 - IPython would print a traceback under the person's typing
            words = ()
        return {
            "completions": [SimpleCompletion(text=word, type="magic") for word in words if word.startswith(fragment)],
            "matched_fragment": fragment,
            "suppress": True,
        }


def _shows_a_token(line: str) -> bool:
    return bool(_TOKEN_ON_THE_LINE.search(line)) or holds_a_token(_OPTION_AND_EQUALS.sub(r"\1 ", line))


def _words(line: str, *, escape: str = "" if os.name == "nt" else "\\") -> deque[str]:
    """The words of a line up to a comment; quotes hold one together, a backslash in a Windows path is itself."""
    lexer = shlex.shlex(line.rstrip("; "), posix=True)  # notebooks end a line with ; to hide its result
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", escape
    try:
        words = list(lexer)
    except ValueError:
        raise ConfigurationError(
            "A quote on the %federate line is not closed.", fix="Close it; a lone apostrophe needs double quotes."
        ) from None
    comment = next((number for number, word in enumerate(words) if word.startswith("#")), None)
    return deque(words[:comment])


def _load_controls() -> Any:
    """What a front end sees and asks of this kernel."""
    from jupyter_federation.front_end import controls

    # They have the kernel's federation, and take boto3 with them.
    controls.shared.serve(lambda: importlib.import_module("jupyter_federation.calls"))
    return controls.shared


def _run(words: deque[str]) -> Any:
    from jupyter_federation.config import SUBCOMMANDS

    if {"--help", "-h"} & set(words):
        sys.stdout.write(_help(words[0]))
        return None
    first = words.popleft() if words and not words[0].startswith("-") else None
    if first in SUBCOMMANDS:
        return _run_subcommand(first, words)
    profile, options = _parse(first, words)
    from jupyter_federation import calls

    return calls.federate(profile, **options)


def _run_subcommand(command: str, words: deque[str]) -> Any:
    if command == "doctor":
        return _doctor(words)
    sign_out = command == "clear" and "--sign-out" in words
    names = [word for word in words if not (sign_out and word == "--sign-out")]
    options, plain = ([name for name in names if name.startswith("-") is dashed] for dashed in (True, False))
    if surplus := [*options, *plain[command == "clear" :]]:
        usage = "clear [PROFILE] [--sign-out]" if command == "clear" else command
        raise ConfigurationError(f"%federate {command} does not take {surplus[0]!r}.", fix=f"Type %federate {usage}.")
    if command == "profiles":
        from jupyter_federation.config import load
        from jupyter_federation.profile_table import ProfileTable

        return ProfileTable(load())
    from jupyter_federation import calls

    if command == "clear":
        return calls.clear(sign_out=sign_out, profile=names[0] if names else None)
    return getattr(calls, command)()


def _doctor(words: deque[str]) -> Any:
    """What ``%federate doctor`` shows: of a code, what it means; of a sign-in that lives, it takes the token."""
    name, trust_policy, flags = None, None, set()
    while words:
        said = words.popleft()
        word, equals, value = said.partition("=")
        if word == "--trust-policy":
            trust_policy = str(value if equals else _value(word, words, several=False))
        elif word in {"--no-exchange", "--json"} and not equals:
            flags.add(word)
        elif name is None and not word.startswith("-"):
            name = word
        else:
            raise ConfigurationError(
                f"%federate doctor does not take {said!r}.",
                fix="Type %federate doctor [PROFILE or CODE] [--no-exchange] [--trust-policy FILE] [--json]; --live "
                "is for a terminal: jupyter federation doctor --live.",
            )
    if trust_policy is None and not flags:
        from jupyter_federation.doctor.explanation import explain

        explanation = explain(name)
        if explanation is not None:
            return explanation
    from jupyter_federation.doctor.examination import examine

    calls = sys.modules.get("jupyter_federation.calls")  # otherwise nobody has signed in
    report = examine(
        name,
        exchange="--no-exchange" not in flags,
        trust_policy=trust_policy,
        signed_in=None if calls is None else calls.living_sign_in(),
        notebook=vars(sys.modules["__main__"]),
    )
    if "--json" in flags:
        sys.stdout.write(f"{report.to_json(saved=True)}\n")
        return None
    return report


def _parse(profile: str | None, words: deque[str]) -> tuple[str | None, dict[str, Any]]:
    """The federation profile, which may stand behind options too, and the options under their keys."""
    from jupyter_federation.options import did_you_mean
    from jupyter_federation.profile import OPTIONS

    keys = _keys()
    parsed: dict[str, Any] = {}
    while words:
        word = words.popleft()
        if not word.startswith("-"):
            profile = _behind_options(word, profile)
            continue
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            raise ConfigurationError(
                f"%federate has no option {name}: they begin with --.", fix="%federate --help lists them all."
            )
        if name not in keys:
            near = did_you_mean(name, (*keys, "--profile"))
            if near == did_you_mean("--profile", ("--profile",)):
                raise ConfigurationError("A federation profile needs no option.", fix="Type %federate NAME.")
            raise ConfigurationError(f"%federate has no option {name}.", fix=near or "%federate --help lists them all.")
        source, key = _TOKEN_OPTIONS.get(name, (None, keys[name]))
        said: dict[str, Any]
        if OPTIONS[key].kind == "flag":
            if equals or (words and words[0].lower() in {"true", "false"}):
                raise ConfigurationError(f"{name} takes no value.", fix=f"Write {name} alone, or leave it out.")
            said = {key: True}
        else:
            said = {key: value if equals else _value(name, words, several=OPTIONS[key].kind in {"list", "integers"})}
        if source is not None:
            said["source"] = source
        if "source" in said and parsed.get("source", said["source"]) != said["source"]:
            raise ConfigurationError(
                f"{name} says anew where the token comes from.", fix="Keep one of the two options."
            )
        parsed |= said
    return profile, parsed


def _behind_options(word: str, profile: str | None) -> str:
    """``word``, which is no option's value, as the federation profile, where there is none yet."""
    from jupyter_federation.config import SUBCOMMANDS

    if profile is not None:
        raise ConfigurationError(
            f"%federate takes one word, a federation profile or a subcommand; {word!r} is one too many.",
            fix="Put a value with spaces into quotes; %federate --help shows what there is.",
        )
    if word in SUBCOMMANDS:
        raise ConfigurationError(
            f"%federate {word} takes none of the options before it.", fix=f"Type %federate {word}."
        )
    return word


def _value(name: str, words: deque[str], *, several: bool) -> str | list[str]:
    """What stands behind the option ``name``."""
    values: list[str] = []
    while words and not words[0].startswith("--") and (several or not values):
        values.append(words.popleft())
    if not values:
        raise ConfigurationError(f"{name} needs a value.", fix=f"Write {name} VALUE.")
    return values if several else values[0]


def _keys() -> dict[str, str]:
    """Every option as it is typed, with its key."""
    from jupyter_federation.profile import OPTIONS

    short = {name: key for name, (_, key) in _TOKEN_OPTIONS.items()}
    return short | {f"--{key.replace('_', '-')}": key for key in OPTIONS}


def _candidates(before: list[str], fragment: str) -> Iterable[str]:
    """What may stand after the words ``before``; nothing where IPython knows better, as with a path."""
    from jupyter_federation.config import SUBCOMMANDS, load
    from jupyter_federation.profile import OPTIONS

    if not before and not fragment.startswith("-"):
        return (*SUBCOMMANDS, *load().profiles)
    keys = _keys()
    key = keys.get(before[-1]) if before else None
    if key is not None and OPTIONS[key].kind != "flag":
        return OPTIONS[key].choices
    if before and before[0] in SUBCOMMANDS:
        own = {"clear": ("--sign-out",), "doctor": ("--no-exchange", "--trust-policy", "--json")}
        return (*load().profiles, *own[before[0]]) if len(before) == 1 and before[0] in own else ()
    return [option for option in (*keys, "--help") if option not in before]


def _help(command: str) -> str:
    """What ``%federate --help`` prints; behind a subcommand, its own line."""
    from jupyter_federation.profile import OPTIONS

    own = [line for line in _HELP.splitlines(keepends=True) if line.startswith(f"%federate {command} ")]
    if own:
        return "".join(own)
    groups: dict[str, list[str]] = {"Signing in": [], "At AWS": []}
    for key, option in OPTIONS.items():
        if option.secret or key in {"path", "variable", "token_prompt", "identity_pool_id", "role_arn"}:
            continue  # it stands above, or must not stand on a line
        typed = f"--{key.replace('_', '-')} {option.metavar(key)}".rstrip()
        group = groups["Signing in" if option.sources or key == "source" else "At AWS"]
        said = option.help + _VALUES.get(option.kind, " ({})").format(option.expects)
        group += textwrap.wrap(
            said,
            _HELP_WIDTH,
            initial_indent=f"  {typed:<30}  ",
            subsequent_indent=" " * 34,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return _HELP + "".join("\n".join(("", title, *lines, "")) for title, lines in groups.items())
