"""Which federation profile counts, where each of its keys comes from, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from jupyter_core import paths

from jupyter_federation.config import SUBCOMMANDS, Configuration, load
from jupyter_federation.doctor.finding import CAUSES, Finding, found, of_error
from jupyter_federation.doctor.patient import Patient
from jupyter_federation.errors import FederationError
from jupyter_federation.options import did_you_mean
from jupyter_federation.profile import OPTIONS
from jupyter_federation.redaction import without_tokens

_IN_A_TERMINAL = ("demo", "profiles", "doctor", "docs")  # the words after `jupyter federation`


def choose(patient: Patient, name: str | None) -> Finding | None:
    """Fill in the patient's profile: the one that is named, else that of the living sign-in, else the default.

    What is returned is why there is none; a trust policy that is to be read needs none.
    """
    signed_in = patient.signed_in
    if signed_in is not None and name in (None, signed_in.profile.name):
        patient.profile = signed_in.profile
        _tell(patient)
        return None
    try:
        configuration = load()
    except FederationError as error:
        return of_error(error, "configuration-unreadable")
    patient.policy = configuration.policy
    for file in configuration.files:
        patient.tell("file read", str(file))
    if name is None and configuration.default_profile is None:
        if patient.trust_policy is None:
            return _no_default(configuration) if _names(configuration) else _missing()
        policy = f"{patient.trust_policy}, by itself: no federation profile says whose tokens it is for"
        patient.tell("trust policy", policy)
        return None
    try:
        patient.profile = configuration.profile(name)
    except FederationError as error:
        return _unusable(configuration, name, error)
    _tell(patient)
    return None


def _unusable(configuration: Configuration, name: str | None, error: FederationError) -> Finding:
    """Why the profile ``name`` cannot be used; without a name, the default one."""
    wanted = name if name is not None else configuration.default_profile
    if wanted in configuration.profiles:
        return of_error(error, "profile-incomplete")
    if wanted in configuration.broken:
        return of_error(error, "profile-broken")
    no_name = None if name is None else _no_name(configuration, name, error)
    if no_name is not None:
        return no_name
    if not _names(configuration):
        return _missing(wanted)
    if name is None:
        file = str(configuration.default_profile_from)
        correct = f"correct `default_profile` in {file}"
        return found("profile-unknown", str(error), where=file, administrator=correct)
    return of_error(error, "profile-unknown")


def _no_name(configuration: Configuration, name: str, error: FederationError) -> Finding | None:
    """What is said of a command, or of a code that is mistyped; None where ``name`` may well be a profile's."""
    if name in (*SUBCOMMANDS, *_IN_A_TERMINAL):
        typed = [f"%federate {name}"] if name in SUBCOMMANDS else []
        typed += [f"in a terminal jupyter federation {name}"] if name in _IN_A_TERMINAL else []
        return found(
            "profile-unknown",
            f"`{name}` is a command of its own, and no federation profile: {', '.join(typed)}.",
            administrator="nothing; what was typed is a command",
        )
    code = did_you_mean(name, CAUSES)
    if code is None or code != did_you_mean(name, (*CAUSES, *_names(configuration))):
        return None
    return found(
        "profile-unknown",
        str(error.restated(fix=f"{code} That is a code of the doctor's. {error.fix}")),
        administrator="nothing; what was typed is nearest to a code of the doctor's",
    )


def _no_default(configuration: Configuration) -> Finding:
    names, file = _names(configuration), str(configuration.files[0])
    return found(
        "profile-unknown",
        f"There is no default federation profile. Name one, {' or '.join(names)}: %federate doctor {names[0]}, "
        f"in a terminal jupyter federation doctor {names[0]}; or set `default_profile`.",
        where=file,
        administrator=f"set `default_profile` in {file}",
    )


def _missing(name: str | None = None) -> Finding:
    """There is no profile at all, whichever was wanted."""
    wanted = "" if name is None else f" {without_tokens(name)!r}, nor any other"
    return found(
        "profile-missing",
        f"There is no federation profile{wanted}: nothing says how you sign in and which role is yours. Send the "
        "request below to your administrator, or bring a token (%federate --help).",
        where=str(Path(paths.jupyter_config_dir()) / "jupyter_federation_config.json"),
    )


def _names(configuration: Configuration) -> tuple[str, ...]:
    return (*configuration.profiles, *configuration.broken)


def _tell(patient: Patient) -> None:
    profile = patient.profile
    if profile is None:
        return
    patient.tell("federation profile", profile.name or "(none: the command said everything)")
    for key, option in OPTIONS.items():
        value = getattr(profile, key)
        if value is not None:
            patient.tell(f"  {key}", "(set)" if option.secret else value, profile.origins.get(key, ""))
    if profile.locked_by is not None:
        patient.tell("  locked by", profile.locked_by)
