"""The user's own AWS files, which are never changed: where their default profile outranks the sign-in, and what to do.

Every AWS SDK reads ``~/.aws/credentials`` and ``~/.aws/config`` before it asks the container endpoint.  boto3 in this
process is reached directly, so only other tools are concerned.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from botocore.configloader import raw_config_parse
from botocore.exceptions import BotoCoreError

FILES = {  # the variable that names it, and where it is without
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
}
_DEFAULT = ("default", "profile default")  # sections; the second form stands in the config file alone
# Each is enough for an SDK to find credentials (AWS SDKs and Tools Reference Guide, "Settings reference").
_GIVES_CREDENTIALS = {
    "aws_access_key_id",
    "credential_process",
    "login_session",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "web_identity_token_file",
}


# What was measured (tests/tools): these read the files before they ask the endpoint, ...
_TOOLS = ("aiobotocore", "s3fs", "pandas", "pyarrow", "DuckDB", "the aws command", "rclone", "AWS's JavaScript SDK")
# ... but those over AWS's C++ SDK take no role from there, and DuckDB looks for keys in one file, for a process in the
# other.
_PASSED_OVER = {
    ("pyarrow", "AWS_SHARED_CREDENTIALS_FILE"): {"role_arn"},
    ("pyarrow", "AWS_CONFIG_FILE"): {"role_arn"},
    ("DuckDB", "AWS_SHARED_CREDENTIALS_FILE"): _GIVES_CREDENTIALS - {"aws_access_key_id"},
    ("DuckDB", "AWS_CONFIG_FILE"): {"role_arn", "aws_access_key_id"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outranking:
    """A file whose default profile gives credentials: the variable that would name another, and who heeds it."""

    variable: str
    file: str
    tools: tuple[str, ...]


def outranking(environment: Mapping[str, str] | None = None) -> tuple[Outranking, ...]:
    """The files in which some tools find other credentials than those of the sign-in."""
    environment = os.environ if environment is None else environment
    found = []
    for variable, usual in FILES.items():
        file = environment.get(variable) or usual
        settings = _giving_credentials(os.path.expanduser(file))  # noqa: PTH111 - no home is no error
        if settings:
            tools = tuple(tool for tool in _TOOLS if settings - _PASSED_OVER.get((tool, variable), set()))
            found.append(Outranking(variable=variable, file=file, tools=tools))
    return tuple(found)


def sentence(files: Sequence[Outranking]) -> str:
    """What a person should know of ``files``, as `outranking` gives them, with what mends it."""
    *tools, last = (tool for tool in _TOOLS if any(tool in each.tools for each in files))
    lines = " and ".join(f"%env {each.variable}={os.devnull}" for each in files)
    return (
        f"Your AWS files outrank this sign-in for {', '.join(tools)} and {last}: they act with the credentials under "
        f"[default] in {' and '.join(each.file for each in files)}. To have them act as you signed in, run {lines} "
        "before you use them; %federate looks again."
    )


def _giving_credentials(path: str) -> set[str]:
    """The settings under [default] that give some."""
    try:
        sections = raw_config_parse(path)
    except BotoCoreError:  # not there, or not to be read: no tool finds credentials in it either
        return set()
    return _GIVES_CREDENTIALS & {setting for name in _DEFAULT for setting in sections.get(name, {})}
