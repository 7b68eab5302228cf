"""The Security Token Service (API version 2011-06-15): who may become which role, and for how long."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from jupyter_federation.demo.account import ACCOUNT_ID, Account, AwsError, Role, constrain
from jupyter_federation.demo.loopback import Call
from jupyter_federation.demo.web_identity import TokenRefusedError, unverified_claims

_SAYS = {
    "malformed": (
        "InvalidIdentityToken",
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    ),
    "incomplete": ("InvalidIdentityToken", "Missing a required claim: {claim}"),
    "signature": ("InvalidIdentityToken", "Couldn't verify signed token."),
    "unreachable": ("IDPCommunicationError", "Couldn't retrieve verification key from your identity provider."),
    "expired": (
        "ExpiredTokenException",
        "Token expired: current date/time {now} must be before the expiration date/time {exp}",
    ),
    "audience": ("InvalidIdentityToken", "Incorrect token audience"),
}
_TAGS = "https://aws.amazon.com/tags"
_TAG_VALUE = r"""[^!"#$%&'()*,;<>?[\\\]^`{|}~]*"""  # letters of all languages, digits, spaces and _.:/=+-@
_CHAINED = timedelta(hours=1)  # a role assumed by a role, whatever its own maximum


class Sts:
    """The service; ``operations`` are its calls by name, each from a call to the members of its result."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.operations: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
            "AssumeRoleWithWebIdentity": self._assume_role_with_web_identity,
            "AssumeRole": self._assume_role,
            "GetCallerIdentity": self._get_caller_identity,
        }

    def _assume_role_with_web_identity(self, call: Call) -> Mapping[str, Any]:
        given = call.parameters
        token = given.get("WebIdentityToken", "")
        constrain("webIdentityToken", token, at_least=4, at_most=20_000)
        if provider_id := given.get("ProviderId"):  # an access token of Facebook or Login with Amazon
            login = self.account.opaque_logins.get((provider_id, token))
            if login is None or (login.expires_at is not None and login.expires_at <= self.account.now()):
                raise AwsError("InvalidIdentityToken", "The web identity token is not valid")
            provider, subject, audience, tags = provider_id, login.subject, "", {}
        else:
            provider, claims = self._verify(token)
            subject, audience, tags = claims["sub"], claims.get("azp") or claims["aud"], _session_tags(claims)
        role = self.account.roles.get(given.get("RoleArn", ""))
        trusted = role.trusts.get(provider) if role else None
        if role is None or trusted is None or (trusted and audience not in trusted):
            raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        if not role.trusts_tags(tags):
            what = "AssumeRoleWithWebIdentity" if role.tags_sessions else "TagSession"
            raise AwsError("AccessDenied", f"Not authorized to perform sts:{what}", 403)
        return {
            **self._session(role, given, tags),
            "SubjectFromWebIdentityToken": subject,
            "Audience": audience,
            "Provider": f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{provider}",
        }

    def _verify(self, token: str) -> tuple[str, Mapping[str, Any]]:
        """Name of the token's provider, and its claims."""
        try:
            issuer = str(unverified_claims(token).get("iss"))
            provider = self.account.providers.get(issuer.partition("://")[2])
            if provider is None or provider.issuer != issuer:
                message = f"No OpenIDConnect provider found in your account for {issuer}"
                raise AwsError("InvalidIdentityToken", message)
            return provider.name, provider.verify(token, now=self.account.now(), grace=self.account.clock_grace)
        except TokenRefusedError as refused:
            code, message = _SAYS[refused.reason]
            raise AwsError(code, message.format(**refused.facts)) from None

    def _assume_role(self, call: Call) -> Mapping[str, Any]:
        caller, wanted = call.principal or "", call.parameters.get("RoleArn", "")
        role = self.account.roles.get(wanted)
        if role is None or not {"*", caller, _role_arn(caller)} & set(role.principals):
            message = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {wanted}"
            raise AwsError("AccessDenied", message, 403)
        return self._session(role, call.parameters, {}, chained=_is_session(caller))

    def _get_caller_identity(self, call: Call) -> Mapping[str, Any]:
        principal = call.principal or ""
        return {"Arn": principal, "UserId": _user_id(principal), "Account": ACCOUNT_ID}

    def _session(
        self, role: Role, given: Mapping[str, Any], tags: Mapping[str, str], *, chained: bool = False
    ) -> Mapping[str, Any]:
        """Keys for ``role``, once session name, duration and policy are in order."""
        name = given.get("RoleSessionName", "")
        constrain("roleSessionName", name, r"[\w+=,.@-]*", at_least=2, at_most=64)
        longest = min(role.longest_session, _CHAINED) if chained else role.longest_session
        lifetime = min(self.account.lifetime, longest)
        if "DurationSeconds" in given:
            seconds = int(given["DurationSeconds"])
            constrain("durationSeconds", seconds, at_least=900, at_most=43_200)
            lifetime = timedelta(seconds=seconds)
        if lifetime > longest:
            limit = (
                "the 1 hour session limit for roles assumed by role chaining"
                if chained
                else "the MaxSessionDuration set for this role."
            )
            raise AwsError("ValidationError", f"The requested DurationSeconds exceeds {limit}")
        try:
            json.loads(given.get("Policy", "{}"))
        except ValueError:
            raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from None
        key = self.account.mint(role.session_arn(name), lifetime=lifetime, objects=role.objects_of(tags))
        return {
            "Credentials": {
                "AccessKeyId": key.access_key_id,
                "SecretAccessKey": key.secret_access_key,
                "SessionToken": key.session_token,
                "Expiration": f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}",
            },
            "AssumedRoleUser": {"Arn": key.principal, "AssumedRoleId": _user_id(key.principal)},
            "PackedPolicySize": len(given.get("Policy", "")) * 100 // 2048,
        }


def _session_tags(claims: Mapping[str, Any]) -> dict[str, str]:
    """The session tags of a verified token: in one claim, or in one for each where a provider makes no objects."""
    flat = f"{_TAGS}/principal_tags/"
    try:
        nested = dict(claims.get(_TAGS, {}).get("principal_tags", {}))
        tags = {name: value for name, (value,) in nested.items()}
        tags |= {name.removeprefix(flat): value for name, value in claims.items() if name.startswith(flat)}
        "".join(tags.values())  # texts, all of them
        for name, value in tags.items():
            constrain("tags.key", name, at_least=1, at_most=128)
            constrain("tags.value", value, _TAG_VALUE, at_most=256)
    except (AttributeError, TypeError, ValueError):
        raise AwsError("InvalidIdentityToken", "The session tags of the token are not valid") from None
    return tags


def _is_session(principal: str) -> bool:
    return ":assumed-role/" in principal


def _role_arn(session_arn: str) -> str:
    """The ARN of the role that ``session_arn`` is a session of."""
    return session_arn.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]


def _user_id(principal: str) -> str:
    """``AROA…:session name``, the first part the same for each session of a role; ``AIDA…`` for a user."""
    owner, suffix = (
        (_role_arn(principal), f":{principal.rpartition('/')[2]}") if _is_session(principal) else (principal, "")
    )
    digest = base64.b32encode(hashlib.sha256(owner.encode()).digest()).decode()[:17]
    return f"{'AROA' if suffix else 'AIDA'}{digest}{suffix}"
