"""Federation profiles and the policy, from Jupyter's configuration path.

Read are, in each directory of ``jupyter --paths``, first the files of ``jupyter_federation_config.d/`` in the order of
their names and then ``jupyter_federation_config.json``, as Jupyter does with its own; the directory that stands first
wins.  They are merged by profile and key::

    {"Federation": {"default_profile": "research", "profiles": {"research": {...}}, "policy": {...}}}

``"locked": true`` in a profile or in the policy holds against every other directory and against options.  It is
heeded in system directories: those that Jupyter itself calls system (``/etc/jupyter``, ``/usr/local/etc/jupyter``) or
environment (``etc/jupyter`` beside the running Python).  Which they are is told by their place, not by their owner:
inside a container everybody may be root.  A lock is guidance; the boundary is IAM.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from jupyter_core import paths

from jupyter_federation.errors import ConfigurationError
from jupyter_federation.options import Option, did_you_mean, option, options_of, read_option, with_settings
from jupyter_federation.profile import OPTIONS, SIGN_INS, Profile, check_complete, overlay
from jupyter_federation.redaction import without_tokens

__all__ = ["SUBCOMMANDS", "Configuration", "Policy", "Profile", "load", "same_sign_in"]

SUBCOMMANDS = ("status", "whoami", "refresh", "clear", "panel", "profiles", "doctor", "export")
"""The words after ``%federate`` that are no profile's name."""

_Settings = TypeVar("_Settings", bound=Any)  # a Profile or the Policy

_NAME = "jupyter_federation_config"
_SECTION = ("default_profile", "profiles", "policy")  # what stands under "Federation"
_MEANT = {
    **dict.fromkeys(("login", "signin", "sign-in", "logon"), "%federate alone signs in."),
    "help": "%federate --help shows what there is.",
    "docs": "The pages are in a terminal: jupyter federation docs.",
    **dict.fromkeys(("logout", "signout", "sign-out", "logoff"), "%federate clear signs out."),
}
# How, not as whom: a lock leaves these free.
_MANNER: dict[str, Any] = dict.fromkeys(("no_browser", "use_device_code", "token_prompt", "redirect_port"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What an administrator allows; None: nothing was said.  ``origins`` and ``locked_by`` as in `Profile`."""

    max_session_hours: int | None = option(
        "The longest time from one sign-in to the next, and the longest life of a role's credentials.",
        "integer",
        expects="hours from 1 to 12",
        bounds=(1, 12),
    )
    allowed_sign_in: tuple[str, ...] | None = option(
        "The ways to sign in.", "list", choices=("browser", "paste", "device-code", "token")
    )
    endpoint: bool | None = option(
        "Whether tools other than boto3, and what the notebook starts, get the credentials (the loopback endpoint).",
        "flag",
    )
    endpoint_token_variable: bool | None = option(
        "Whether the endpoint's token stands in the environment too, and not in its file alone: for tools that know no "
        "file (AWS CLI before 2.15, rclone before 1.66).",
        "flag",
    )
    export: bool | None = option("Whether %federate export gives a terminal the notebook's identity.", "flag")

    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    locked_by: Path | None = field(default=None, compare=False)


_POLICY_OPTIONS = options_of(Policy)


def same_sign_in(one: Profile, other: Profile) -> bool:
    """Whether two profiles sign in the same person in the same way to the same place, by whatever window."""
    return replace(one, **_MANNER) == replace(other, **_MANNER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """What the files say, merged.

    The profiles stand as they were written: `profile` checks that one is complete.  ``broken`` are those of which a key
    or a value is wrong, with what is raised when one is used.  ``directories`` are those that were looked in and
    ``files`` those that were read, the strongest first.
    """

    profiles: Mapping[str, Profile] = field(default_factory=dict)
    broken: Mapping[str, ConfigurationError] = field(default_factory=dict)
    default_profile: str | None = None
    default_profile_from: Path | None = None
    policy: Policy = field(default_factory=Policy)
    directories: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    def profile(self, name: str | None = None, /, **options: object) -> Profile:
        """The federation profile ``name`` with ``options`` laid over it, checked; an option that is None is not set.

        Without a name, options that say what takes the token (``identity_pool_id`` or ``role_arn``) stand alone, and
        any others are laid over the default profile.  Raises ConfigurationError.
        """
        typed = {
            key: read_option(OPTIONS, key, value, where="The command")
            for key, value in options.items()
            if value is not None
        }
        base = self._base(name, typed)
        given = _with_pasted_token(base, typed)
        changed = [key for key, value in given.items() if getattr(base, key) != value and key not in _MANNER]
        if base.locked_by and changed:
            raise ConfigurationError(
                f"The federation profile {base.name!r} is locked by {base.locked_by}, and the command changes "
                f"{', '.join(changed)}.",
                fix="Leave that out, or use another profile.",
                finding="configuration-locked",
            )
        profile = overlay(base, given, "the command")
        check_complete(profile)
        self._check_policy(profile)
        return profile

    def for_identity_pool(self, identity_pool_id: str | None, **options: object) -> Profile:
        """A profile for a token that a Python call brings.

        Without ``identity_pool_id`` the pool, and with it the region, are the default profile's.  Raises
        ConfigurationError where that names none, or is wrong.
        """
        name = self.default_profile
        if identity_pool_id is None and name is not None and name in self._names:
            default = self._named(name)
            identity_pool_id = default.identity_pool_id
            options.setdefault("region", default.region)
        if identity_pool_id is None:
            raise ConfigurationError(
                "No identity pool is configured: neither the call nor the default federation profile names one.",
                fix="Give `identity_pool_id` (REGION:UUID), or put it into the default profile.",
            )
        profile = self.profile(source="var", variable="token", identity_pool_id=identity_pool_id, **options)
        # The argument is no variable that a %federate line could name: such a line is another sign-in.
        return replace(profile, variable=None)

    def _base(self, name: str | None, given: Mapping[str, Any]) -> Profile:
        if name is not None:
            return self._named(name)
        if given.keys() & {"identity_pool_id", "role_arn"}:
            return Profile()
        if self.default_profile is not None:
            return self._named(self.default_profile, f", which {self.default_profile_from} makes the default")
        if given:
            return Profile()
        if self._names:
            raise ConfigurationError(
                "There is no default federation profile.",
                fix=f"Name one: %federate {' | '.join(self._names)}. Or set `default_profile` in {self.own_file}.",
                finding="profile-unknown",
            )
        raise ConfigurationError(
            "There is no federation profile yet.",
            fix="%federate doctor prints what to ask your administrator for; `jupyter federation docs profiles` has an "
            f"example of one, and {self.own_file} is the place for it. With a token that you have: %federate "
            "--token-file PATH --identity-pool-id POOL, or --role-arn ARN --region REGION in the pool's place.",
            finding="profile-missing",
        )

    def _named(self, name: str, why: str = "") -> Profile:
        if name in self.profiles:
            return self.profiles[name]
        if name in self.broken:
            raise self.broken[name].restated()
        if self._names:
            there = f"There are: {', '.join(self._names)} (in {', '.join(map(str, self.files))})."
        else:
            there = f"No federation profile is set up yet; one would stand in {self.own_file}."
        nearest = _MEANT.get(name.lower()) or did_you_mean(name, (*self._names, *SUBCOMMANDS))
        raise ConfigurationError(
            f"There is no federation profile {without_tokens(name)!r}{why}.",
            fix=" ".join(filter(None, (nearest, there))),
            looked_in=", ".join(map(str, self.directories)),
            finding="profile-unknown" if self._names else "profile-missing",
        )

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.profiles, *self.broken)

    @property
    def own_file(self) -> Path:
        """Where the user would write a profile."""
        return Path(paths.jupyter_config_dir()) / f"{_NAME}.json"

    def _check_policy(self, profile: Profile) -> None:
        hours, seconds = self.policy.max_session_hours, profile.duration_seconds
        if hours is not None and seconds is not None and seconds > hours * 3600:
            raise ConfigurationError(
                f"`duration_seconds` is {seconds}, and `max_session_hours` allows {hours} hours "
                f"({self.policy.origins['max_session_hours']}).",
                fix=f"Ask for {hours * 3600} seconds at most.",
                finding="policy-forbids",
            )


def _with_pasted_token(base: Profile, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """``given``, where ``token_prompt`` is more than a manner of signing in: a source of its own."""
    source = given.get("source", base.source)
    if not given.get("token_prompt") or source in SIGN_INS:
        return given
    if given.get("source", "prompt") != "prompt":
        raise ConfigurationError(
            f"The command says `source: {source}` and `token_prompt`: the token comes in from one of them.",
            fix="Keep one of the two.",
        )
    return {**{key: value for key, value in given.items() if key != "token_prompt"}, "source": "prompt"}


def load(directories: Iterable[str | Path] | None = None) -> Configuration:
    """Read the files; cheap enough for every sign-in, so that an edit counts at once.

    ``directories`` are those of Jupyter's configuration path, the strongest first, unless given.  Raises
    ConfigurationError for the first thing that is wrong, naming file and key; what is wrong in one profile is that
    profile's alone, and no stronger file mends it.
    """
    try:
        return _loaded(paths.jupyter_config_path() if directories is None else directories)
    except ConfigurationError as error:
        error.facts.setdefault("finding", "configuration-unreadable")
        raise


def _loaded(directories: Iterable[str | Path]) -> Configuration:
    looked_in = tuple(dict.fromkeys(path for path in map(Path, directories) if path.is_absolute()))  # never the cwd
    files: list[Path] = []
    profiles: dict[str, Profile] = {}
    broken: dict[str, ConfigurationError] = {}
    policy, default_profile, default_profile_from = Policy(), None, None
    for directory in reversed(looked_in):
        for file in _files(directory):
            files.append(file)
            section = _section(file)
            if "default_profile" in section:
                default_profile, default_profile_from = section["default_profile"], file
            settings = _settings(section.get("policy", {}), _POLICY_OPTIONS, f"{file}, `policy`")
            policy = _merged(policy, settings, with_settings, file=file, what="`policy`")
            for name, said in section.get("profiles", {}).items():
                what = f"federation profile {name!r}"
                try:
                    settings = _settings(said, OPTIONS, f"{file}, {what}")
                except ConfigurationError as error:
                    error.facts.setdefault("finding", "profile-broken")
                    broken.setdefault(name, error.with_traceback(None))
                    continue
                before = profiles.get(name, Profile(name=name))
                profiles[name] = _merged(before, settings, overlay, file=file, what=what)
    for profile in profiles.values():
        if profile.name is not None and profile.client_secret is not None and profile.source != "google":
            broken[profile.name] = ConfigurationError(
                f"{profile.origins['client_secret']}, federation profile {profile.name!r}: `client_secret` is for "
                '`"source": "google"` alone.',
                fix="Remove it: no secret belongs in a profile. Register the client as a public one.",
                finding="profile-broken",
            )
    return Configuration(
        profiles={name: profile for name, profile in profiles.items() if name not in broken},
        broken=broken,
        default_profile=default_profile,
        default_profile_from=default_profile_from,
        policy=policy,
        directories=looked_in,
        files=tuple(reversed(files)),
    )


def _files(directory: Path) -> list[Path]:
    """Those to be read, the weakest first; not by `Path.glob`, which keeps some errors to itself."""
    files: list[Path] = []
    folder, own = directory / f"{_NAME}.d", directory / f"{_NAME}.json"
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            files += sorted(each for each in folder.iterdir() if each.suffix == ".json")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            own.stat()
            files.append(own)
    except OSError as error:  # a policy may stand there
        if error.errno == errno.ELOOP:
            raise ConfigurationError(
                f"{error.filename} is a link that leads to itself.", fix="Replace or remove it."
            ) from error
        raise ConfigurationError(
            f"The directory {directory} cannot be looked into: {error.strerror}.",
            fix="Check its permissions, and HOME.",
        ) from error
    return files


def _section(file: Path) -> dict[str, Any]:
    """What stands under "Federation", its shape checked down to the profiles' keys."""
    try:
        if not (file.is_file() or file.is_dir()):  # a pipe would never end
            raise ConfigurationError(f"{file} is not a regular file.", fix="Replace or remove it.")
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{file}, line {error.lineno}, column {error.colno}: this is not JSON ({error.msg}).",
            fix="Mend it; a comma too many and single quotes are the usual causes.",
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text.", fix="Save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise ConfigurationError(f"{file} cannot be read: {type(error).__name__}.", fix="Mend it.") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.", fix="Check its permissions.") from error
    outside = [key for key in _object(content, f"{file}") if key in _SECTION]
    if outside and "Federation" not in content:
        raise ConfigurationError(
            f"{file}: `{outside[0]}` stands outside of `Federation`.",
            fix='Put all of it under `Federation`: {"Federation": {...}}.',
        )
    _check_keys(content, ("Federation",), f"{file}")
    section = _object(content.get("Federation", {}), f"{file}: `Federation`")
    _check_keys(section, _SECTION, f"{file}: `Federation`")
    if not isinstance(section.get("default_profile", ""), str):
        raise ConfigurationError(f"{file}: `default_profile` is not a string.", fix="Give a profile's name.")
    _object(section.get("policy", {}), f"{file}: `policy`")
    for name, keys in _object(section.get("profiles", {}), f"{file}: `profiles`").items():
        _object(keys, f"{file}: the federation profile {name!r}")
        if name in SUBCOMMANDS or not re.fullmatch(r"[^\s-]\S*", name) or not name.isprintable():
            raise ConfigurationError(
                f"{file}: a federation profile cannot be called {name!r}.",
                fix=f"{', '.join(SUBCOMMANDS)} are reserved, and a name has no leading dash, no white space and "
                "nothing else that does not show.",
            )
    return section


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{what} is not a JSON object.", fix='Write {"key": "value", ...}.')
    return value


def _check_keys(value: Any, known: tuple[str, ...], what: str) -> None:
    for key in _object(value, what):
        if key not in known:
            raise ConfigurationError(
                f"{what}: there is no key `{key}`.", fix=did_you_mean(key, known) or f"Known: {', '.join(known)}."
            )


def _settings(keys: Mapping[str, Any], options: Mapping[str, Option], where: str) -> dict[str, Any]:
    """What a file says of a profile or of the policy, each value read; ``locked`` among it."""
    locks = keys.get("locked", False)
    if not isinstance(locks, bool):
        raise ConfigurationError(f"{where}: `locked` should be true or false.", fix="Mend or remove it.")
    settings = {key: read_option(options, key, value, where=where) for key, value in keys.items() if key != "locked"}
    return {**settings, "locked": locks}


def _merged(
    before: _Settings,
    said: Mapping[str, Any],
    lay_over: Callable[[_Settings, Mapping[str, Any], str], _Settings],
    *,
    file: Path,
    what: str,
) -> _Settings:
    """``before`` with what ``file`` says of it laid over it, unless a lock stands between them."""
    where = f"{file}, {what}"
    settings = dict(said)
    locks = settings.pop("locked")
    if locks and not _is_system(file):
        raise ConfigurationError(
            f"{where}: `locked` has no effect here.",
            fix=f"Remove it; it counts in {' and '.join(_system_directories())}.",
            finding="configuration-locked",
        )
    if before.locked_by is not None and _directory(before.locked_by) != _directory(file):
        for key, value in settings.items():
            if getattr(before, key) != value:
                raise _locked(where, key, before.locked_by)
    after = lay_over(before, settings, str(file))
    if not locks:
        return after
    for key, origin in after.origins.items():  # what a weaker file said: the environment may outrank the user
        if not _is_system(Path(origin)):
            raise _locked(f"{origin}, {what}", key, file)
    return replace(after, locked_by=file)


def _locked(where: str, key: str, by: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: this is locked by {by}, and `{key}` would change it.",
        fix="Remove that from the file, or write a profile under another name.",
        finding="configuration-locked",
    )


def _directory(file: Path) -> Path:
    """The directory on Jupyter's path that ``file`` belongs to."""
    return file.parent.parent if file.parent.name == f"{_NAME}.d" else file.parent


def _system_directories() -> list[str]:
    return [*paths.SYSTEM_CONFIG_PATH, *paths.ENV_CONFIG_PATH]


def _is_system(file: Path) -> bool:
    return _directory(file) in map(Path, _system_directories())
