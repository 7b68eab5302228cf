"""What would act as somebody else than the person who signed in: the environment and the AWS files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from botocore.configloader import raw_config_parse
from botocore.exceptions import BotoCoreError, ConfigNotFound

from jupyter_federation.delivery import aws_files
from jupyter_federation.delivery.environment import OUTRANKING, REGION
from jupyter_federation.doctor.finding import Finding, found
from jupyter_federation.doctor.patient import Asks, Patient


def outranked(patient: Patient) -> Iterator[Finding | Asks]:
    """Whether a variable or a [default] section wins over the sign-in, for the tools that read it."""
    environment = patient.environment
    yield from _variables(patient, [name for name in OUTRANKING if environment.get(name)])
    broken = list(_broken(environment))
    yield from broken
    files = () if broken else aws_files.outranking(environment)
    if files:
        yield found("aws-files-outrank", aws_files.sentence(files), where=" and ".join(each.file for each in files))
    yield from _profile(environment)
    wanted = None if patient.profile is None else patient.profile.region
    named = {environment[name] for name in REGION if environment.get(name) and not _is_lent(patient, name)}
    if wanted is not None and (others := sorted(named - {wanted})):
        yield found(
            "region-differs",
            f"The federation profile works in {wanted}, and the environment names {' and '.join(others)} "
            "(AWS_REGION, AWS_DEFAULT_REGION): that is where clients without a region of their own go.",
            where="the kernel's environment",
        )


def _variables(patient: Patient, names: list[str]) -> Iterator[Finding]:
    if patient.signed_in is None:
        if names:
            patient.tell("set aside at sign-in", ", ".join(names))
        return
    names = [name for name in names if not _is_lent(patient, name)]
    if names:
        yield found(
            "environment-outranks",
            f"{', '.join(names)} came into the environment after the sign-in: tools other than boto3, and what the "
            "notebook starts, act as whoever is named there, not as you. Remove it (%env shows what is set), or run "
            "%federate again.",
            where="the kernel's environment",
        )


def _is_lent(patient: Patient, name: str) -> bool:
    """Whether the variable is as the living sign-in has set it."""
    return patient.signed_in is not None and patient.signed_in.lent.get(name) == patient.environment.get(name)


def _broken(environment: Mapping[str, str]) -> Iterator[Finding]:
    for file in _files(environment):
        try:
            raw_config_parse(str(file))
        except ConfigNotFound:
            continue
        except BotoCoreError as error:
            yield found(
                "aws-files-broken",
                f"{file} cannot be read ({type(error).__name__}), and boto3 fails on it. Mend it.",
                where=str(file),
            )


def _profile(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        wanted = environment.get(name)
        if wanted and wanted not in _profiles(environment):
            yield found(
                "aws-profile-unknown",
                f"{name} is {wanted!r}, and the AWS files have no such profile: until you sign in, boto3 and the AWS "
                "command line fail. Remove the variable.",
                where=name,
            )


def _profiles(environment: Mapping[str, str]) -> set[str]:
    found_: set[str] = set()
    for file in _files(environment):
        try:
            found_ |= {name.removeprefix("profile ") for name in raw_config_parse(str(file))}
        except BotoCoreError:  # said above, or not there
            continue
    return found_


def _files(environment: Mapping[str, str]) -> list[Path]:
    named = [environment.get(variable) or usual for variable, usual in aws_files.FILES.items()]
    return [Path(os.path.expanduser(name)) for name in named]  # noqa: PTH111 - no home is no error
