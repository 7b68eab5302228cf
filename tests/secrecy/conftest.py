"""A sign-in in this process, whose secrets are known to a scanner."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from secrecy.scanner import Scanner, jwt_secrets, key_secrets

import jupyter_federation as jf
from jupyter_federation import calls, federation


class Signing(SimpleNamespace):
    """Its repr is no leak: a traceback shows what stands in a test's own line."""

    __repr__ = object.__repr__


@pytest.fixture
def signing(aws, provider, role, pool, aws_environment, tmp_path, monkeypatch):  # noqa: PLR0917
    """What signs in: ``token`` and ``token_file``, ``sts()`` and ``cognito()``; and a ``scanner()`` of all secrets."""
    monkeypatch.setattr(calls, "_kernel", federation.Federation())
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    token = provider.id_token("ada")
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(token)
    tokens = {"ID token": token}

    def get_token():
        return token

    def scanner():
        parts = [jwt_secrets(each, name) for name, each in tokens.items()]
        return Scanner({name: value for each in [*parts, key_secrets(aws)] for name, value in each.items()})

    yield Signing(
        jf=jf,
        aws=aws,
        provider=provider,
        role=role,
        pool=pool,
        token=token,
        tokens=tokens,
        token_file=token_file,
        scanner=scanner,
        personal=lambda: Scanner(
            {
                "e-mail": "ada@example.org",
                "account": "123456789012",
                "role ARN": role.arn,
                "role session": f"{role.name}/ada",
                **{f"identity id {n}": key.identity_id for n, key in enumerate(aws.keys.values()) if key.identity_id},
            }
        ),
        sts=lambda **options: jf.federate(
            source="file", path=str(token_file), role_arn=role.arn, region="eu-west-1", **options
        ),
        cognito=lambda: jf.federate_to_identity_pool(get_token, identity_pool_id=pool.id),
    )
    jf.clear()


@pytest.fixture
def s3_client():
    """Makes an S3 client that tries once."""
    clients = []

    def make(**options):
        config = Config(retries={"total_max_attempts": 1}, **options.pop("config", {}))
        clients.append(boto3.client("s3", config=config, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def log():
    """Everything that any logger says, at DEBUG: ``log()`` is the text so far, with each record's arguments."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            exception = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            records.append(f"{record.name} {record.getMessage()} {record.args!r} {record.threadName} {exception}")

    handler, root = Keep(), logging.getLogger()
    named = [root, *(logging.getLogger(name) for name in ("botocore", "boto3", "urllib3", "asyncio"))]
    named += [logging.getLogger("jupyter_federation")]
    levels = [each.level for each in named]
    root.addHandler(handler)
    for each in named:
        each.setLevel(logging.DEBUG)
    yield lambda: "\n".join(records)
    root.removeHandler(handler)
    for each, level in zip(named, levels, strict=True):
        each.setLevel(level)


@pytest.fixture(params=["sts", "cognito"])
def signed_in(request, signing):
    """``signing``, signed in the one way and the other; ``status`` is what that gave."""
    signing.status = getattr(signing, request.param)()
    return signing
