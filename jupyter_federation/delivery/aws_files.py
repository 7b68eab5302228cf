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

_FILES = {  # the variable that names it, and where it is without
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


def outranking(environment: Mapping[str, str] = os.environ) -> str | None:
    """What a person should know of their AWS files: tools other than boto3 act as their default profile; or None."""
    found = {}
    for variable, usual in _FILES.items():
        named = environment.get(variable) or usual
        if _gives_credentials(Path(named).expanduser()):
            found[variable] = named
    if not found:
        return None
    lines = " and ".join(f"%env {variable}={os.devnull}" for variable in found)
    return (
        f"Your AWS files outrank this sign-in for tools other than boto3 (s3fs, pyarrow, deltalake, DuckDB, the aws "
        f"command and others): {' and '.join(found.values())} has credentials under [default], and they act with "
        f"those. To have them act as you signed in, run {lines}."
    )


def _gives_credentials(path: Path) -> bool:
    try:
        sections = raw_config_parse(str(path))
    except BotoCoreError:  # not there, or not to be read: no tool finds credentials in it either
        return False
    return any(_GIVES_CREDENTIALS & set(sections.get(name, {})) for name in _DEFAULT)
