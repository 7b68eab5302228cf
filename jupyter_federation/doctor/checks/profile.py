"""Which federation profile counts, where each of its keys comes from, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from jupyter_core import paths

from jupyter_federation.config import Configuration, load
from jupyter_federation.doctor.finding import CAUSES, Finding, found, of_error
from jupyter_federation.doctor.patient import Patient
from jupyter_federation.errors import FederationError
from jupyter_federation.options import did_you_mean
from jupyter_federation.profile import OPTIONS


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
            return _no_default(configuration)
        policy = f"{patient.trust_policy}, by itself: no federation profile says whose tokens it is for"
        patient.tell("trust policy", policy)
        return None
    named = name if name is not None else configuration.default_profile
    try:
        patient.profile = configuration.profile(name)
    except FederationError as error:
        return _unusable(configuration, named, error)
    _tell(patient)
    return None


def _unusable(configuration: Configuration, name: str | None, error: FederationError) -> Finding:
    if name in configuration.profiles:
        return of_error(error, "profile-incomplete")
    if name in configuration.broken:
        return of_error(error, "profile-broken")
    code = None if name is None else did_you_mean(name, CAUSES)
    meant = f"{code} That is a code of the doctor's. {error.fix}"
    return of_error(error if code is None else error.restated(fix=meant), "profile-unknown")


def _no_default(configuration: Configuration) -> Finding:
    names = [*configuration.profiles, *configuration.broken]
    if names:
        return found(
            "profile-unknown",
            f"There is no default federation profile. Name one, {' or '.join(names)}: %federate doctor {names[0]}, "
            f"in a terminal jupyter federation doctor {names[0]}; or set `default_profile`.",
            where=str(configuration.files[0]),
        )
    return found(
        "profile-missing",
        "There is no federation profile: nothing says how you sign in and which role is yours. Send the request below "
        "to your administrator, or bring a token (%federate --help).",
        where=str(Path(paths.jupyter_config_dir()) / "jupyter_federation_config.json"),
    )


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
