"""The user's own AWS files, which are never changed: where their default profile outranks the sign-in, and what to do.

Every AWS SDK reads ``~/.aws/credentials`` and ``~/.aws/config`` before it asks the container endpoint.  boto3 in this
process is reached directly, so only other tools are concerned.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

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


def outranking(environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The files whose default profile gives credentials: the variable that would name another, and the file's name."""
    environment = os.environ if environment is None else environment
    named = {variable: environment.get(variable) or usual for variable, usual in FILES.items()}
    return {variable: file for variable, file in named.items() if _gives_credentials(Path(file).expanduser())}


def sentence(files: Mapping[str, str]) -> str:
    """What a person should know of ``files``, as `outranking` gives them, with what mends it."""
    lines = " and ".join(f"%env {variable}={os.devnull}" for variable in files)
    return (
        "Your AWS files outrank this sign-in for tools other than boto3 (s3fs, pyarrow, deltalake, DuckDB, the aws "
        f"command and others): they act with the credentials under [default] in {' and '.join(files.values())}. To "
        f"have them act as you signed in, run {lines}."
    )


def _gives_credentials(path: Path) -> bool:
    try:
        sections = raw_config_parse(str(path))
    except BotoCoreError:  # not there, or not to be read: no tool finds credentials in it either
        return False
    return any(_GIVES_CREDENTIALS & set(sections.get(name, {})) for name in _DEFAULT)
