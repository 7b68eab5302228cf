"""What would act as somebody else than the person who signed in, tool by tool: the environment and the AWS files."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jupyter_federation.delivery.environment import OUTRANKING
from jupyter_federation.doctor.finding import Finding, found
from jupyter_federation.doctor.patient import Asks, Patient


class Tool(NamedTuple):
    """What finds credentials by itself; ``reads`` are the places that it looks at before ours."""

    name: str
    reads: frozenset[str]


_CHAIN = frozenset({"environment", "credentials file", "config file"})
TOOLS = (
    Tool("boto3 in this notebook", frozenset()),  # ours come first: delivery.boto3
    Tool("the AWS command line", _CHAIN),
    Tool("s3fs and aiobotocore", _CHAIN),
    Tool("pyarrow", _CHAIN),
    Tool("polars, deltalake and obstore", _CHAIN),
    Tool("duckdb", _CHAIN),
    Tool("what the notebook starts", _CHAIN),
)

_IDENTITIES = {
    "aws_access_key_id": "keys",
    "role_arn": "a role",
    "credential_process": "a credential_process",
    "sso_session": "an SSO session",
    "sso_start_url": "an SSO session",
    "web_identity_token_file": "a web identity",
}


def outranked(patient: Patient) -> Iterator[Finding | Asks]:
    """Whether a variable or a [default] section wins over the sign-in, for which tools."""
    environment = patient.environment
    variables = [name for name in OUTRANKING if environment.get(name)]
    if variables and patient.signed_in is None:
        patient.tell("set aside at sign-in", ", ".join(variables))
    elif variables:
        yield found(
            "environment-outranks",
            f"{', '.join(variables)} came into the environment after the sign-in: {_tools('environment')} act as "
            "whoever is named there, not as you. Remove it (%env shows what is set), or run %federate again.",
            where="the kernel's environment",
        )
    yield from _files(environment)
    yield from _profile(environment)
    wanted = None if patient.profile is None else patient.profile.region
    named = {environment[name] for name in ("AWS_REGION", "AWS_DEFAULT_REGION") if environment.get(name)}
    if wanted is not None and named - {wanted}:
        yield found(
            "region-differs",
            f"The federation profile works in {wanted}, and the environment names {' and '.join(sorted(named))} "
            "(AWS_REGION, AWS_DEFAULT_REGION): that is where clients without a region of their own go.",
            where="the kernel's environment",
        )


def _files(environment: Mapping[str, str]) -> Iterator[Finding]:
    for place, file in _places(environment).items():
        sections = _sections(file)
        if isinstance(sections, str):
            yield found(
                "aws-files-broken",
                f"{file} cannot be read ({sections}), and boto3 fails on it. Mend it.",
                where=str(file),
            )
            continue
        default = sections.get("default", {})
        identity = next((what for key, what in _IDENTITIES.items() if key in default), None)
        if identity is not None:
            yield found(
                "aws-files-outrank",
                f"The section [default] of {file} holds {identity}: {_tools(place)} act as that, not as you. "
                "boto3 in the notebook follows the sign-in all the same. Give the section a name of its own.",
                where=str(file),
            )


def _profile(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        wanted = environment.get(name)
        files = _places(environment)
        sections = [_sections(file) for file in files.values()]
        known = {key.removeprefix("profile ") for each in sections if isinstance(each, dict) for key in each}
        if wanted and wanted not in known:
            yield found(
                "aws-profile-unknown",
                f"{name} is {wanted!r}, and the AWS files have no such profile: until you sign in, boto3 and the AWS "
                "command line fail. Remove the variable.",
                where=name,
            )


def _places(environment: Mapping[str, str]) -> dict[str, Path]:
    return {
        "credentials file": _path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        "config file": _path(environment, "AWS_CONFIG_FILE", "config"),
    }


def _path(environment: Mapping[str, str], variable: str, name: str) -> Path:
    return Path(os.path.expanduser(environment.get(variable) or f"~/.aws/{name}"))  # noqa: PTH111 - no home is no error


def _sections(file: Path) -> Mapping[str, Mapping[str, str]] | str:
    """The file's sections; a word about why it cannot be read."""
    parser = configparser.RawConfigParser(strict=False, default_section="\0")
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        return error.strerror or "it is no file"
    except (configparser.Error, UnicodeDecodeError) as error:
        return type(error).__name__
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _tools(place: str) -> str:
    names = [tool.name for tool in TOOLS if place in tool.reads]
    return f"{', '.join(names[:-1])} and {names[-1]}"
