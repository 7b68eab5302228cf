"""Whether a role's trust policy, read from a file, lets in whom it should, and nobody else.

The rules are AWS's own: IAM user guide, "Available keys for AWS web identity federation" and "IAM JSON policy elements:
Condition operators"; Cognito developer guide, "IAM roles" (role trust and permissions).
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jupyter_federation.assembly import GOOGLE
from jupyter_federation.config import Profile
from jupyter_federation.doctor.finding import Finding, found
from jupyter_federation.doctor.patient import Asks, Patient
from jupyter_federation.openid.entra import PUBLIC_CLOUD
from jupyter_federation.tokens import IdToken

COGNITO = "cognito-identity.amazonaws.com"

_WEB_IDENTITY = "sts:assumerolewithwebidentity"
_OIDC = re.compile(r"arn:aws[\w-]*:iam::\d{12}:oidc-provider/(?!https?://)(\S+)")
_KNOWN_TO_AWS = ("accounts.google.com", "www.amazon.com", "graph.facebook.com", COGNITO)
_AUDIENCE_KEYS = {
    "accounts.google.com": ("aud", "oaud"),
    "www.amazon.com": ("app_id",),
    "graph.facebook.com": ("app_id",),
}
# One issuer and one audience for everybody: there, only the subject says whose the token is.
_FOR_EVERYBODY = ("token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io")
_EVERYBODY_S_AUDIENCE = "sts.amazonaws.com"
_SUBJECTS = re.compile(r"repo:|project_path:|organization:|system:serviceaccount:")  # the owner stands behind it
_LARGEST = 1_000_000  # bytes of a file
_LONGEST = 50_000  # characters of it but blanks; IAM takes 4096 for a trust policy, and what is printed has more in it
_ABOUT_A_TOKEN = ("aud", "oaud", "azp", "sub", "amr", "app_id")
_TAGS = "https://aws.amazon.com/tags"  # the claim, or with /principal_tags/NAME behind it one for each tag
_REQUEST_TAG = "aws:requesttag/"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Condition:
    """One key under one operator: ``operator`` without its set prefix and ``IfExists``, all in small letters.

    ``said`` is the key as it is written.
    """

    operator: str
    key: str
    said: str
    values: tuple[str, ...]
    if_exists: bool
    for_all_values: bool

    @property
    def holds(self) -> bool:
        """Whether it lets in only who has the key, with a value that fits."""
        positive = self.operator in {"stringequals", "stringequalsignorecase", "stringlike"}
        return positive and not self.if_exists and not self.for_all_values

    @property
    def demanded_tag(self) -> str | None:
        """The session tag without which it cannot hold; None where there is none."""
        not_null = self.operator == "null" and not self.if_exists and {*map(str.lower, self.values)} == {"false"}
        if not self.key.startswith(_REQUEST_TAG) or not (self.holds or not_null):
            return None
        return self.said[len(_REQUEST_TAG) :]


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """Whose tokens the role is for: the provider as IAM calls it, and the audience; None where that is not known.

    ``tags`` are the names of the session tags that a token carries, None where there is no token, or none is needed.
    """

    provider: str | None = None
    audience: str | None = None
    guests: bool = False
    tags: frozenset[str] | None = None


def trusted(patient: Patient) -> Iterator[Finding | Asks]:
    """Lint the file that was given."""
    if patient.trust_policy is None:
        return
    file = str(patient.trust_policy)
    try:
        document = json.loads(_content(patient.trust_policy.expanduser()))
    except (OSError, ValueError, RuntimeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is not JSON"
        yield found("trust-policy-unreadable", f"{file} cannot be read: {reason}. Give a file of JSON.", where=file)
        return
    yield from read(document, expected_of(patient.profile), where=file, profile=patient.profile)


def tagged(patient: Patient) -> Iterator[Finding | Asks]:
    """Whether the token that is known carries what session tags the file demands; what else it says, `trusted` does."""
    token = patient.token
    if patient.trust_policy is None or token is None:
        return
    try:
        document = json.loads(_content(patient.trust_policy.expanduser()))
    except (OSError, ValueError, RuntimeError, RecursionError):
        return
    expected = expected_of(patient.profile, token)
    yield from _tags(_allowing(document) or [], expected, str(patient.trust_policy))


def _content(path: Path) -> str:
    """Of a plain file that a policy can stand in; a FIFO would keep its reader waiting, a device never end."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "this is no plain file")
        text = file.read(_LARGEST + 1).decode("utf-8-sig")
    if len(text) > _LARGEST or len("".join(text.split())) > _LONGEST:
        raise OSError(errno.EFBIG, "this is longer than any trust policy")
    return text


def expected_of(profile: Profile | None, token: IdToken | None = None) -> Expected:
    """What the role of ``profile`` has to trust; what ``token`` says of itself, where the profile does not."""
    expected = _expected_of(profile)
    if token is None or not token.is_jwt or expected.provider == COGNITO:  # an identity pool makes the tags itself
        return expected
    the_one = token.audience[0] if len(token.audience) == 1 else None  # of several AWS takes none without `azp`
    return replace(
        expected,
        provider=expected.provider or (token.issuer or "").partition("://")[2] or None,
        audience=expected.audience or token.authorized_party or the_one,
        tags=session_tags(token.claims),
    )


def session_tags(claims: Mapping[str, Any]) -> frozenset[str]:
    """The names of the session tags that AWS takes from a token: in one claim, or in one for each."""
    flat, nested = f"{_TAGS}/principal_tags/", claims.get(_TAGS)
    names = nested.get("principal_tags") if isinstance(nested, dict) else None
    return frozenset(
        [*(names if isinstance(names, dict) else ()), *(each[len(flat) :] for each in claims if each.startswith(flat))]
    )


def _expected_of(profile: Profile | None) -> Expected:
    if profile is None:
        return Expected()
    if profile.identity_pool_id is not None:
        return Expected(provider=COGNITO, audience=profile.identity_pool_id, guests=profile.provider == "guest")
    match profile.source:
        case "entra":
            issuer: str | None = f"{(profile.authority or PUBLIC_CLOUD).rstrip('/')}/{profile.tenant}/v2.0"
            if not re.fullmatch(r"[0-9a-fA-F-]{36}", profile.tenant or ""):
                issuer = None  # a domain: only Entra knows the tenant's id
        case "google":
            issuer = GOOGLE
        case _:
            issuer = profile.issuer
    return Expected(provider=None if issuer is None else issuer.partition("://")[2], audience=profile.client_id)


def read(document: object, expected: Expected, *, where: str, profile: Profile | None = None) -> Iterator[Finding]:
    """What is wrong with a policy, with what ``aws iam get-role`` prints, or with an identity pool's description."""
    if isinstance(document, dict) and "IdentityPoolId" in document:
        yield from _pool(document, expected, where)
        return
    role = document.get("Role") if isinstance(document, dict) else None
    if isinstance(role, dict):
        longest, wanted = role.get("MaxSessionDuration"), None if profile is None else profile.duration_seconds
        if isinstance(longest, int) and wanted is not None and wanted > longest:
            yield found(
                "duration-too-long",
                f"`duration_seconds` is {wanted}, and the role allows {longest}. Ask for less, or have it raised.",
                where=where,
            )
    statements = _allowing(document)
    if statements is None:
        yield found(
            "trust-policy-unreadable",
            f"{where} is no trust policy: it has no Statement. Give the role's, as `aws iam get-role` prints it.",
            where=where,
        )
        return
    yield from dict.fromkeys(_policy(statements, expected, where))


def _allowing(document: object) -> list[Mapping[str, Any]] | None:
    """The statements of a policy, or of what ``aws iam get-role`` prints, that allow; None where it is none."""
    role = document.get("Role") if isinstance(document, dict) else None
    if isinstance(role, dict):
        document = role.get("AssumeRolePolicyDocument")
        if isinstance(document, str):
            document = _json(unquote(document))
    statements = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        return None
    return [each for each in statements if each.get("Effect") == "Allow"]


def _pool(document: Mapping[str, Any], expected: Expected, where: str) -> Iterator[Finding]:
    pool = str(document["IdentityPoolId"])
    if document.get("AllowClassicFlow") is True:
        yield found(
            "classic-flow-on",
            "The identity pool has the basic (classic) flow switched on: whoever signs in may choose among all roles "
            'that trust the pool. Switch it off, unless profiles say "flow": "classic".',
            where=where,
            identity_pool_id=pool,
        )
    if document.get("AllowUnauthenticatedIdentities") is True and not expected.guests:
        yield found(
            "guests-admitted",
            "The identity pool admits guests, who have signed in nowhere. Switch it off, unless guests are wanted.",
            where=where,
            identity_pool_id=pool,
        )


def _policy(statements: list[Mapping[str, Any]], expected: Expected, where: str) -> Iterator[Finding]:
    known: dict[str, Any] = {"logins_key": expected.provider, "audience": expected.audience, "where": where}
    web = []
    for statement in statements:
        if _open(statement):
            yield found(
                "trust-principal-open",
                "The trust policy's Principal is everybody (*, or NotPrincipal): whoever fulfils the rest may take the "
                "role. Name the provider.",
                **known,
            )
        elif _is_for_tokens(statement):
            web.append(statement)
    if not web:
        yield from _nothing_for_tokens(statements, known)
        return
    principals = [(statement, each, _name(each)) for statement in web for each in _federated(statement)]
    names = [name for _, _, name in principals if name is not None]
    wrong = [each for _, each, name in principals if name is None]
    if wrong:
        yield found(
            "trust-principal-wrong",
            f"The Principal {wrong[0]!r} is not how IAM names an OpenID provider: it is "
            "arn:aws:iam::ACCOUNT:oidc-provider/ISSUER without https://, or one of Cognito, Google, Amazon, Facebook.",
            **known,
        )
    elif expected.provider is not None and expected.provider.lower() not in map(str.lower, names):
        yield found(
            "trust-principal-wrong",
            f"The trust policy trusts {' and '.join(names)}, and the tokens of this federation profile come "
            f"by {expected.provider}.",
            **known,
        )
    for statement, _, name in principals:
        if name is not None:
            yield from _statement(statement, name, expected, where)
    yield from _tags(statements, expected, where)


def _nothing_for_tokens(statements: list[Mapping[str, Any]], known: Mapping[str, Any]) -> Iterator[Finding]:
    if any(_open(each) for each in statements):
        return
    if any(_grants(each) for each in statements):
        yield found(
            "trust-principal-wrong",
            "The trust policy allows sts:AssumeRoleWithWebIdentity to a Principal that is no OpenID provider: it has "
            'to stand under "Federated".',
            **known,
        )
        return
    said = sorted({str(action) for each in statements for action in _list(each.get("Action"))})
    yield found(
        "trust-no-web-identity",
        f"Nothing in the trust policy lets in a token: what it allows is {', '.join(said) or 'nothing'}, and a token "
        "comes by sts:AssumeRoleWithWebIdentity.",
        **known,
    )


def _statement(statement: Mapping[str, Any], name: str, expected: Expected, where: str) -> Iterator[Finding]:
    """What is wrong with the conditions on the tokens of the provider ``name``."""
    ours = expected.provider is None or name.lower() == expected.provider.lower()
    audience = expected.audience if ours else None
    known: dict[str, Any] = {"logins_key": name, "audience": audience, "where": where}
    if any("*" in str(action) for action in _list(statement.get("Action"))) or "NotAction" in statement:
        yield found(
            "trust-action-wide",
            "The trust policy allows more than to come with a token (an action with a *, or NotAction). Name the "
            "actions.",
            **known,
        )
    conditions = list(_conditions(statement))
    holding = [each for each in conditions if each.holds]
    foreign = _foreign_keys(holding, name)
    if foreign:  # none of this provider's tokens is let in, so nothing below could be a hole
        others = {_name(each) for each in _federated(statement)} - {name, None}
        if not ours or (expected.provider is None and any(not _foreign_keys(holding, str(each)) for each in others)):
            return  # the statement is for another of its principals
        yield found(
            "trust-key-wrong",
            f"The condition on {foreign[0]!r} can never hold: for the Principal {name} its keys begin with {name}, "
            "without https://, to the last slash.",
            **known,
        )
        return
    keys = [f"{name}:{each}".lower() for each in _AUDIENCE_KEYS.get(name, ("aud",))]
    yield from _audience([each for each in conditions if each.key in keys], audience, known)
    if name == COGNITO:
        yield from _amr([each for each in conditions if each.key == f"{COGNITO}:amr"], expected, known)
        return
    shared = name in _FOR_EVERYBODY or any(
        _EVERYBODY_S_AUDIENCE in each.values for each in conditions if each.key in keys
    )
    subject = [each for each in conditions if each.key == f"{name}:sub".lower()]
    yield from _subject(subject, known, has_to_be_named=shared)


def _tags(statements: Sequence[Mapping[str, Any]], expected: Expected, where: str) -> Iterator[Finding]:
    """A session tag that each statement for the expected token demands, and that it does not carry."""
    if expected.tags is None or any(_open(each) and _grants(each) for each in statements):
        return
    carried = {each.lower() for each in expected.tags}  # in a condition's key, IAM takes large letters for small ones
    ours = [each for each in statements if _is_for_tokens(each) and _admits(each, expected)]
    demanded = [[each.demanded_tag for each in _conditions(statement)] for statement in ours]
    missing = [[tag for tag in tags if tag is not None and tag.lower() not in carried] for tags in demanded]
    if missing and all(missing):
        tag = missing[0][0]
        yield found(
            "trust-tag-missing",
            f"The trust policy demands the session tag {tag!r}, and the token carries none of that name, so AWS "
            "refuses it. Have the provider put it into the ID token, or use another role.",
            where=where,
            audience=expected.audience,
            tag=tag,
        )


def _admits(statement: Mapping[str, Any], expected: Expected) -> bool:
    """Whether it is for tokens of the expected provider and audience, as far as these are known."""
    names = [name for name in map(_name, _federated(statement)) if name is not None]
    ours = [name for name in names if expected.provider is None or name.lower() == expected.provider.lower()]
    keys = {f"{name}:{claim}".lower() for name in ours for claim in _AUDIENCE_KEYS.get(name, ("aud",))}
    holding = [each for each in _conditions(statement) if each.key in keys and each.holds]
    audience = expected.audience
    return bool(ours) and (
        audience is None or all(any(_fits(audience, value, each) for value in each.values) for each in holding)
    )


def _audience(conditions: list[_Condition], expected: str | None, known: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _literal_wildcards(conditions, known)
    holding = [each for each in conditions if each.holds]
    if not holding:
        yield from _nothing_holds(
            conditions,
            "trust-no-audience",
            "The trust policy has no condition on the audience: a token made for any client of the provider (of an "
            "identity pool: for any pool in the world) opens the role.",
            known,
        )
        return
    exact = [each for each in holding if each.operator != "stringlike"]
    likened = [each for each in holding if each.operator == "stringlike"]
    if not exact and any(_has_wildcard(value) for each in likened for value in each.values):
        yield found(
            "trust-audience-wildcard",
            "The trust policy takes an audience with a wildcard: tokens made for other clients open the role.",
            **known,
        )
    elif not exact:
        yield found(
            "trust-audience-like",
            "The trust policy compares the audience by StringLike. It means the same without a *, and one slip makes a "
            "hole of it: use StringEquals.",
            **known,
        )
    if expected is not None and not all(any(_fits(expected, value, each) for value in each.values) for each in holding):
        said = ", ".join(value for each in holding for value in each.values)
        yield found(
            "trust-audience-mismatch",
            f"The trust policy wants the audience {said}, and this federation profile's tokens are for {expected}.",
            **known,
        )


def _amr(conditions: list[_Condition], expected: Expected, known: Mapping[str, Any]) -> Iterator[Finding]:
    """How somebody signed in to the pool: ``authenticated`` or ``unauthenticated``, and by which provider."""
    holding = [each for each in conditions if each.holds]
    if not holding:
        yield from _nothing_holds(
            conditions,
            "trust-no-amr",
            "The trust policy has no condition on amr: a guest of the identity pool, who has signed in nowhere, may "
            "take the role.",
            known,
        )
    elif not expected.guests and all(
        any(fnmatch.fnmatchcase("unauthenticated", value) for value in each.values) for each in holding
    ):
        yield found(
            "trust-guests",
            "The trust policy's condition on amr lets in guests too (unauthenticated, or a *).",
            **known,
        )


def _subject(conditions: list[_Condition], known: Mapping[str, Any], *, has_to_be_named: bool) -> Iterator[Finding]:
    yield from _literal_wildcards(conditions, known)
    holding = [each for each in conditions if each.holds]
    if not has_to_be_named:
        return
    if not holding:
        yield from _nothing_holds(
            conditions,
            "trust-no-subject",
            "The provider makes tokens for everybody with this audience, and the trust policy does not name whose "
            "(sub): anybody's token opens the role.",
            known,
        )
    elif all(any(map(_fits_everybody, each.values)) for each in holding):
        yield found(
            "trust-subject-wildcard",
            "The trust policy's condition on sub fits everybody: its wildcard stands where the owner or the namespace "
            "has to be named.",
            **known,
        )


def _nothing_holds(
    conditions: list[_Condition], code: str, sentence: str, known: Mapping[str, Any]
) -> Iterator[Finding]:
    """There is no condition that holds: perhaps one that only looks like it."""
    if any(each.if_exists for each in conditions):
        code = "trust-if-exists"
        sentence = (
            "The trust policy compares by an operator with IfExists, which holds for a token without the claim: leave "
            "IfExists out."
        )
    elif any(each.for_all_values for each in conditions):
        code = "trust-for-all-values"
        sentence = (
            "The trust policy compares by ForAllValues, which holds for a token without the claim: use ForAnyValue, or "
            "for aud and sub neither."
        )
    yield found(code, sentence, **known)


def _literal_wildcards(conditions: list[_Condition], known: Mapping[str, Any]) -> Iterator[Finding]:
    for each in conditions:
        if (
            each.holds
            and each.operator != "stringlike"
            and each.values
            and all(_has_wildcard(value) for value in each.values)
        ):
            yield found(
                "trust-wildcard-literal",
                f"The trust policy compares {each.key.rpartition(':')[2]} by StringEquals with {each.values[0]!r}: the "
                "* is a letter there, so nobody is let in.",
                **known,
            )


def _foreign_keys(conditions: list[_Condition], principal: str) -> list[str]:
    """Keys about a token's claims that are not those of ``principal``'s tokens."""
    split = [(each.key, *each.key.rpartition(":")[::2]) for each in conditions]
    return [
        key
        for key, name, claim in split
        if claim in _ABOUT_A_TOKEN and name != principal.lower() and ("." in name or "/" in name)
    ]


def _conditions(statement: Mapping[str, Any]) -> Iterator[_Condition]:
    block = statement.get("Condition")
    for operator, keys in block.items() if isinstance(block, dict) else ():
        plain = str(operator).lower()
        if_exists, for_all = plain.endswith("ifexists"), plain.startswith("forallvalues:")
        for key, values in keys.items() if isinstance(keys, dict) else ():
            yield _Condition(
                operator=plain.removesuffix("ifexists").rpartition(":")[2],
                key=str(key).lower(),
                said=str(key),
                values=tuple(map(str, _list(values))),
                if_exists=if_exists,
                for_all_values=for_all,
            )


def _open(statement: Mapping[str, Any]) -> bool:
    """Whether everybody is its principal, and nothing but conditions on tokens could keep them out."""
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    named = [principal] if not isinstance(principal, dict) else [*_list(principal.get("AWS")), *_federated(statement)]
    return "*" in named and (not statement.get("Condition") or _grants(statement))


def _is_for_tokens(statement: Mapping[str, Any]) -> bool:
    return _grants(statement) and any(":saml-provider/" not in each for each in _federated(statement))


def _grants(statement: Mapping[str, Any]) -> bool:
    """Whether it allows AssumeRoleWithWebIdentity."""
    if "NotAction" in statement:
        return not any(_covers(action) for action in _list(statement["NotAction"]))
    return any(_covers(action) for action in _list(statement.get("Action")))


def _covers(action: object) -> bool:
    return fnmatch.fnmatchcase(_WEB_IDENTITY, str(action).lower())


def _federated(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    return list(map(str, _list(principal.get("Federated")))) if isinstance(principal, dict) else []


def _name(principal: str) -> str | None:
    """How conditions call a federated principal; None for what is none."""
    if principal in _KNOWN_TO_AWS:
        return principal
    arn = _OIDC.fullmatch(principal)
    return None if arn is None else arn[1]


def _fits(expected: str, value: str, condition: _Condition) -> bool:
    if condition.operator == "stringlike":
        return fnmatch.fnmatchcase(expected, value)
    if condition.operator == "stringequalsignorecase":
        return expected.lower() == value.lower()
    return expected == value


def _fits_everybody(subject: str) -> bool:
    """Whether its wildcard stands where the owner has to be named: only wildcards and separators come behind."""
    kind = _SUBJECTS.match(subject)
    rest = subject[kind.end() :] if kind else subject
    owner = rest.rstrip("*?:/")
    return not {"/", ":"} & set(owner) and rest[len(owner) :].startswith(("*", "?"))


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
