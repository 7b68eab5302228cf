"""The embedded AWS's one account: its providers, roles, pools and keys, and how AWS says no."""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jupyter_federation.demo.web_identity import OpaqueLogin, OpenIdProvider

ACCOUNT_ID = "123456789012"


class AwsError(Exception):
    """An error answer: AWS's code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(kw_only=True, eq=False)
class Role:
    """An IAM role.

    ``trusts`` is its trust policy for web identities: name of the provider → audiences, an empty tuple meaning a
    policy without a condition on ``aud``.  ``principals`` are ARNs of the roles that may assume it, ``*`` is any.

    ``tags_sessions``: the trust policy allows sts:TagSession, without which a token with session tags is refused;
    ``needs_tag`` is the session tag that it insists on (a condition on ``aws:RequestTag``), ``without_slash`` that its
    value holds none, ``only_tags`` are all that there may be (on ``aws:TagKeys``).  ``objects`` is all that its
    sessions may touch, in S3, as a policy's Resource before the last ``*``:
    ``laboratory/${aws:PrincipalTag/person}/``; None is everything everywhere.
    """

    name: str
    trusts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    principals: tuple[str, ...] = ()
    longest_session: timedelta = timedelta(hours=1)
    tags_sessions: bool = False
    needs_tag: str | None = None
    without_slash: bool = False
    only_tags: tuple[str, ...] | None = None
    objects: str | None = None

    def trusts_tags(self, tags: Mapping[str, str]) -> bool:
        """Whether a session may have these tags."""
        value = None if self.needs_tag is None else tags.get(self.needs_tag, "")
        return (
            (self.tags_sessions or not tags)
            and value != ""
            and not (self.without_slash and "/" in (value or ""))
            and (self.only_tags is None or tags.keys() <= set(self.only_tags))
        )

    def objects_of(self, tags: Mapping[str, str]) -> str | None:
        """What a session with ``tags`` may touch; nothing ("") where a variable has no value, as AWS has it."""
        try:
            return self.objects and re.sub(
                r"\$\{aws:PrincipalTag/([^}]+)}", lambda variable: tags[variable[1]], self.objects
            )
        except KeyError:
            return ""

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return f"arn:aws:iam::{ACCOUNT_ID}:role/{self.name}"

    def session_arn(self, session_name: str) -> str:
        """The ARN of whoever has assumed it."""
        return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.name}/{session_name}"


@dataclass(kw_only=True, eq=False)
class IdentityPool:
    """A Cognito identity pool; it takes guests where ``unauthenticated_role`` is set.

    ``providers`` are logins keys: names of registered OpenID providers, ``graph.facebook.com``, ``www.amazon.com``,
    ARNs of SAML providers.  The roles need no trust in the pool for the enhanced flow; for the classic one they do.
    ``principal_tags`` are the session tags of the enhanced flow: tag → claim.
    """

    providers: tuple[str, ...] = ()
    authenticated_role: Role | None = None
    unauthenticated_role: Role | None = None
    classic_flow: bool = False
    developer_provider: str | None = None
    principal_tags: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"eu-west-1:{uuid.uuid4()}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """Temporary credentials, whose they are, and what they may touch (`Role.objects_of`)."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    principal: str
    expires_at: datetime
    identity_id: str | None = None
    objects: str | None = None

    @property
    def for_boto3(self) -> dict[str, str]:
        """As keyword arguments of ``boto3.client`` and ``boto3.Session``."""
        return {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }


class Account:
    """What an AWS account holds.

    ``lifetime`` is that of Cognito's keys, and of a role's where the caller names none (where one is named, AWS and
    botocore insist on 15 minutes at least).  ``clock_grace`` is how long past its expiry a web identity token is still
    taken.  ``opaque_logins`` holds the tokens that are looked up instead of verified, by logins key and token.
    """

    def __init__(self, *, lifetime: timedelta, clock_grace: timedelta) -> None:
        self._durations = lifetime, clock_grace
        self.empty()

    def empty(self) -> None:
        """Drop everything that was added and minted; the durations are the constructor's again."""
        self.lifetime, self.clock_grace = self._durations
        self.roles: dict[str, Role] = {}
        self.pools: dict[str, IdentityPool] = {}
        self.providers: dict[str, OpenIdProvider] = {}
        self.keys: dict[str, Key] = {}
        self.opaque_logins: dict[tuple[str, str], OpaqueLogin] = {}

    def now(self) -> datetime:
        """The time by AWS's clock."""
        raise NotImplementedError

    def add(self, *things: OpenIdProvider | Role | IdentityPool) -> None:
        """Register providers, roles and pools; a pool's roles come with it."""
        for thing in things:
            if isinstance(thing, OpenIdProvider):
                self.providers[thing.name] = thing
            elif isinstance(thing, Role):
                self.roles[thing.arn] = thing
            else:
                self.pools[thing.id] = thing
                self.add(*(role for role in (thing.authenticated_role, thing.unauthenticated_role) if role))

    def mint(
        self,
        principal: str = f"arn:aws:iam::{ACCOUNT_ID}:user/administrator",
        *,
        lifetime: timedelta | None = None,
        identity_id: str | None = None,
        objects: str | None = None,
    ) -> Key:
        """Keys of ``principal``, without asking anybody."""
        key = Key(
            access_key_id="ASIA" + base64.b32encode(secrets.token_bytes(10)).decode(),
            secret_access_key=base64.b64encode(secrets.token_bytes(30)).decode(),
            session_token="IQoJb3JpZ2luX2Vj" + base64.b64encode(secrets.token_bytes(240)).decode(),
            principal=principal,
            expires_at=(self.now() + (lifetime or self.lifetime)).replace(microsecond=0),
            identity_id=identity_id,
            objects=objects,
        )
        self.keys[key.access_key_id] = key
        return key


def constrain(
    name: str,
    value: str | int,
    pattern: str | None = None,
    *,
    at_least: int = 0,
    at_most: int,
    code: str = "ValidationError",
) -> None:
    """AWS's validation of one parameter: the length of a text and its pattern, or the size of a number."""
    size, what = (value, "value") if isinstance(value, int) else (len(value), "length")
    problem = None
    if size < at_least:
        problem = f"Member must have {what} greater than or equal to {at_least}"
    elif size > at_most:
        problem = f"Member must have {what} less than or equal to {at_most}"
    elif pattern is not None and not re.fullmatch(pattern, str(value), re.ASCII):
        problem = f"Member must satisfy regular expression pattern: {pattern}"
    if problem is not None:
        shown = "Value" if "oken" in name or name == "logins" else f"Value '{value}'"  # a token is not repeated
        raise AwsError(
            code, f"1 validation error detected: {shown} at '{name}' failed to satisfy constraint: {problem}"
        )
