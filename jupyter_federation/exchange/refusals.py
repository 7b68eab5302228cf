"""What AWS refuses, in sentences that say what to change.

Cognito tells a wrong pool, a wrong key, a wrong client and an old token apart by the text of one and the same
NotAuthorizedException; each gets its own sentence here, and names the setting to change.  The error code decides,
never the HTTP status, which AWS does not promise (Amazon Cognito and AWS STS API references, "Errors").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_federation.errors import ExchangeError
from jupyter_federation.redaction import MASK, without_tokens

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


@dataclass(frozen=True, kw_only=True, slots=True)
class _Refusal:
    """The sentences for one error code, where AWS's message matches ``message`` (a regular expression).

    ``problem`` and ``fix`` are format strings over what the exchange knows: the settings by their own names,
    ``issuer``, ``audience``, ``logins_key``, and ``role_setting``, the name of the setting that holds the role.
    ``finding`` is the doctor's code for it.
    """

    finding: str
    codes: tuple[str, ...]
    message: str = ""
    problem: str
    fix: str
    retryable: bool = False


_TRY_AGAIN = "Nothing is wrong with the settings: try again in a moment."

_REFUSALS = (
    # Cognito: the token
    _Refusal(
        finding="token-expired",
        codes=("NotAuthorizedException", "ExpiredTokenException", "ExpiredToken"),
        message=r"(?i)token (is )?expired",
        problem="AWS says that the token from {issuer} has expired.",
        fix="Get a fresh token, then run %federate again. If it is fresh, check this machine's clock (date -u).",
    ),
    _Refusal(
        finding="issuer-mismatch",
        codes=("NotAuthorizedException",),
        message=r"Issuer doesn't match",
        problem="The token's issuer is {issuer}, and it was sent under the logins key {logins_key}, which AWS has "
        "registered for another issuer.",
        fix="Leave `provider` out, so that the logins key follows from the issuer, or set it to that issuer.",
    ),
    _Refusal(
        finding="token-is-access-token",
        codes=("NotAuthorizedException", "InvalidIdentityToken"),
        message=r"(?i)missing a required claim: aud|not a valid JWT|not a valid OpenId Connect",
        problem="AWS does not take the token for an ID token: it is probably an access token.",
        fix="Use the provider's ID token (id_token).",
    ),
    _Refusal(
        finding="audience-not-registered",
        codes=("NotAuthorizedException", "InvalidIdentityToken"),
        message=r"(?i)incorrect token audience|audience",
        problem="AWS has the provider {logins_key} registered without the token's client {audience}.",
        fix="Add {audience} to the provider's audiences (client IDs) in AWS, or set `client_id` to one that is there.",
    ),
    _Refusal(
        finding="keys-unreachable",
        codes=("NotAuthorizedException", "InvalidIdentityToken"),
        message=r"Couldn't (verify signed token|retrieve verification key)",
        problem="AWS could not verify the token with the keys that its issuer {issuer} publishes.",
        fix="Use the token exactly as it was issued. If it is, AWS cannot fetch the issuer's keys: its "
        ".well-known/openid-configuration and jwks_uri must be reachable from the internet.",
    ),
    _Refusal(
        finding="developer-token",
        codes=("NotAuthorizedException",),
        message=r"Can't pass in a Cognito token",
        problem="The token was issued by Cognito itself, for a developer-authenticated identity.",
        fix="Set `provider` to developer: such a token carries its identity id, and none is asked for.",
    ),
    # Cognito: the pool and its identities
    _Refusal(
        finding="pool-lacks-provider",
        codes=("NotAuthorizedException",),
        message=r"not from a supported provider",
        problem="The identity pool {identity_pool_id} has no provider {logins_key} for the client {audience}.",
        fix="Add it to the pool (User access, Add identity provider), or correct `identity_pool_id` or `provider`. The "
        "key must be spelled as it is registered, a slash at its end included.",
    ),
    _Refusal(
        finding="pool-lacks-provider",
        codes=("NotAuthorizedException",),
        message=r"Logins don't match",
        problem="The logins key {logins_key} fits neither the identity nor the identity pool {identity_pool_id}.",
        fix="Check `identity_pool_id` (the pool must have this provider), and `identity_id` if it is set.",
    ),
    _Refusal(
        finding="guests-refused",
        codes=("NotAuthorizedException",),
        message=r"Unauthenticated access is not supported",
        problem="The identity pool {identity_pool_id} does not admit guests.",
        fix="Set `provider` to the one that signs you in, or activate guest access in the identity pool.",
    ),
    _Refusal(
        finding="custom-role-refused",
        codes=("NotAuthorizedException",),
        message=r"(?i)access to role|cognito:roles|CustomRole",
        problem="The token does not entitle to the role of `custom_role_arn`.",
        fix="Set `custom_role_arn` to one of the roles in the token's claim cognito:roles, or leave it out.",
    ),
    _Refusal(
        finding="identity-mismatch",
        codes=("NotAuthorizedException",),
        message=r"Access to Identity",
        problem="The Cognito identity that was asked for does not belong to this login.",
        fix="Leave `identity_id` out, or run %federate clear and %federate again: Cognito then finds the identity.",
    ),
    _Refusal(
        finding="aws-refuses",
        codes=("NotAuthorizedException",),
        problem='Cognito refused the token from {issuer} under the logins key {logins_key}: "{aws_message}".',
        fix="Check `identity_pool_id` and `provider` against the identity providers of the pool.",
    ),
    _Refusal(
        finding="identity-mismatch",
        codes=("ResourceNotFoundException",),
        message=r"Identity '",
        problem="The Cognito identity that was asked for does not exist.",
        fix="Correct `identity_id` or leave it out, or run %federate clear and %federate again.",
    ),
    _Refusal(
        finding="pool-unknown",
        codes=("ResourceNotFoundException",),
        problem="The identity pool {identity_pool_id} does not exist in the region {region}.",
        fix="Correct `identity_pool_id` (and `region`, if it is set).",
    ),
    _Refusal(
        finding="classic-flow-off",
        codes=("InvalidParameterException",),
        message=r"(?i)basic|classic",
        problem="The identity pool {identity_pool_id} does not allow the basic (classic) flow.",
        fix='Leave `flow` out, or activate the basic (classic) flow in the identity pool for "flow": "classic".',
    ),
    _Refusal(
        finding="provider-unknown",
        codes=("InvalidParameterException",),
        message=r"(?i)public provider",
        problem="Cognito knows no identity provider {logins_key}.",
        fix="Correct `provider`: the logins key is the provider as it is registered with the identity pool.",
    ),
    _Refusal(
        finding="parameter-refused",
        codes=("InvalidParameterException",),
        problem='Cognito refused a parameter: "{aws_message}".',
        fix="Check `identity_pool_id`, `provider`, `identity_id` and `custom_role_arn`.",
    ),
    _Refusal(
        finding="pool-roles",
        codes=("InvalidIdentityPoolConfigurationException",),
        problem="The roles of the identity pool {identity_pool_id} cannot be assumed.",
        fix="Whoever administers the pool: choose its roles, and let their trust policies name "
        "cognito-identity.amazonaws.com with this `identity_pool_id` as aud.",
    ),
    _Refusal(
        finding="identity-linked",
        codes=("ResourceConflictException",),
        problem="This login is already linked to another Cognito identity.",
        fix="Leave `identity_id` out, so that Cognito finds the identity of the login, or unlink the login there.",
    ),
    _Refusal(
        finding="aws-quota",
        codes=("LimitExceededException",),
        problem="The AWS account has reached a quota of Cognito.",
        fix="Whoever administers `identity_pool_id`: raise the quota (Service Quotas, Cognito identity pools).",
    ),
    _Refusal(
        finding="provider-unreachable-from-aws",
        codes=("ExternalServiceException",),
        problem="Cognito could not reach the provider {logins_key} to check the token.",
        fix=_TRY_AGAIN,
        retryable=True,
    ),
    # STS
    _Refusal(
        finding="token-expired",
        codes=("ExpiredTokenException", "ExpiredToken"),
        problem="AWS says that the credentials or the token it was given have expired.",
        fix="Run %federate refresh. If they are fresh, check this machine's clock (date -u).",
    ),
    _Refusal(
        finding="provider-not-registered",
        codes=("InvalidIdentityToken",),
        message=r"No OpenIDConnect provider found",
        problem="The AWS account of `role_arn` has no OpenID provider for the issuer {issuer}.",
        fix="Correct `role_arn`, or register {issuer} in IAM as an identity provider, spelled exactly so.",
    ),
    _Refusal(
        finding="token-refused",
        codes=("InvalidIdentityToken",),
        problem='STS refused the token from {issuer}: "{aws_message}".',
        fix="Check the OpenID provider {issuer} in IAM, in the account of `role_arn`: URL, audiences, thumbprint.",
    ),
    _Refusal(
        finding="token-refused",
        codes=("IDPRejectedClaim",),
        problem="The provider {issuer} rejected the token: it was revoked, or has expired.",
        fix="Get a fresh token, then run %federate again.",
    ),
    _Refusal(
        finding="provider-unreachable-from-aws",
        codes=("IDPCommunicationError",),
        problem="STS could not reach the provider {issuer} to check the token.",
        fix=_TRY_AGAIN,
        retryable=True,
    ),
    _Refusal(
        finding="role-does-not-trust",
        codes=("AccessDenied", "AccessDeniedException"),
        message=r"AssumeRoleWithWebIdentity",
        problem="The role of `role_arn` does not trust this token (or does not exist).",
        fix="Correct `role_arn`, or let its trust policy allow sts:AssumeRoleWithWebIdentity for the issuer {issuer} "
        "and the audience {audience}; a condition on sub must fit this person.",
    ),
    _Refusal(
        finding="further-role-refused",
        codes=("AccessDenied", "AccessDeniedException"),
        message=r"sts:AssumeRole\b",
        problem="The first role may not assume the role of `assume_role_arn` (or that does not exist).",
        fix="Correct `assume_role_arn`; the first role's policy must allow sts:AssumeRole on it, and its trust policy "
        "must name the first role.",
    ),
    _Refusal(
        finding="further-role-refused",
        codes=("InvalidContextAssertion",),
        problem="AWS refused a context assertion for the role of `assume_role_arn`; none is sent from here.",
        fix="Take a role for `assume_role_arn` whose trust policy asks for no context of a context provider.",
    ),
    _Refusal(
        finding="duration-too-long",
        codes=("ValidationError",),
        message=r"DurationSeconds",
        problem='AWS refused `duration_seconds` for this role: "{aws_message}".',
        fix="Lower `duration_seconds`, or raise the role's maximum session duration in IAM.",
    ),
    _Refusal(
        finding="parameter-refused",
        codes=("ValidationError",),
        problem='AWS refused a parameter: "{aws_message}".',
        fix="Check `{role_setting}`, `role_session_name`, `policy`, `policy_arns` and `duration_seconds`.",
    ),
    _Refusal(
        finding="session-policy",
        codes=("MalformedPolicyDocument", "MalformedPolicyDocumentException"),
        problem='The session policy in `policy` is not valid: "{aws_message}".',
        fix="Correct `policy`: a policy of IAM, as JSON.",
    ),
    _Refusal(
        finding="session-policy",
        codes=("PackedPolicyTooLarge", "PackedPolicyTooLargeException"),
        problem="The session policies in `policy` and `policy_arns` are too large together.",
        fix="Shorten `policy`, or name fewer `policy_arns`.",
    ),
    _Refusal(
        finding="region-disabled",
        codes=("RegionDisabledException",),
        problem="STS is not active in the region {region} for the account of `{role_setting}`.",
        fix="Set `region` to one that is active, or activate it in the account's settings.",
    ),
    _Refusal(
        finding="clock-wrong",
        codes=("SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"),
        problem="AWS refused the signature of the request: usually this machine's clock is more than 5 minutes off.",
        fix="Set this machine's clock (date -u), then run %federate again.",
    ),
    # AWS itself
    _Refusal(
        finding="aws-throttles",
        codes=(
            "TooManyRequestsException",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "SlowDown",
            "429",
        ),
        problem="AWS receives too many requests at the moment and put this one off.",
        fix=_TRY_AGAIN,
        retryable=True,
    ),
    _Refusal(
        finding="aws-fault",
        codes=(
            "InternalErrorException",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "ServiceFailure",
            "RequestTimeout",
            "RequestTimeoutException",
            *(str(status) for status in range(500, 600)),  # what botocore says for an answer without a code
        ),
        problem="AWS had a fault of its own.",
        fix=_TRY_AGAIN,
        retryable=True,
    ),
)


def refused(
    error: ClientError, *, operation: str, about: Mapping[str, Any], secrets: tuple[str, ...] = ()
) -> ExchangeError:
    """AWS's refusal of ``operation`` as an ExchangeError with a sentence of its own.

    ``about`` is what the exchange knows; ``secrets`` are masked wherever AWS quotes them.  botocore's error is kept
    as the cause, without its frames, which hold the request; it is dropped where it quotes a secret itself.
    """
    response: Mapping[str, Any] = error.response
    code = quoted(str(response.get("Error", {}).get("Code") or "unknown"), secrets)[:64]
    said = quoted(str(response.get("Error", {}).get("Message") or "no message"), secrets)
    metadata = response.get("ResponseMetadata", {})
    refusal = _refusal(code, said)
    words = _Words(about)
    words["aws_message"] = said.rstrip(".")
    words["code"] = code
    words["role_setting"] = "assume_role_arn" if "assume_role_arn" in about else "role_arn"
    failure = ExchangeError(
        refusal.problem.format_map(words),
        fix=refusal.fix.format_map(words),
        aws_code=code,
        retryable=refusal.retryable,
        retry_after=_retry_after(metadata.get("HTTPHeaders", {})),
        operation=operation,
        aws_message=said,
        aws_request_id=quoted(str(metadata.get("RequestId") or ""), secrets)[:64] or None,
        aws_date=quoted(str(metadata.get("HTTPHeaders", {}).get("date") or ""), secrets)[:64] or None,
        finding=refusal.finding,
        **about,
    )
    if not any(secret in f"{error}{response}" for secret in secrets):
        error.__context__ = None
        failure.__cause__ = error.with_traceback(None)
    return failure


class _Words(dict[str, object]):
    """What the sentences speak of; what is not known reads so."""

    def __missing__(self, key: str) -> str:
        return f"({key.replace('_', ' ')} unknown)"


def _refusal(code: str, message: str) -> _Refusal:
    for refusal in _REFUSALS:
        if code in refusal.codes and re.search(refusal.message, message):
            return refusal
    if re.fullmatch(r"[1-4]\d\d", code):  # no error of AWS's: botocore puts the HTTP status in its place
        return _Refusal(
            finding="network-intercepted",
            codes=(code,),
            problem=f"Something between this machine and AWS answered with HTTP status {code}.",
            fix="Check HTTPS_PROXY, NO_PROXY and AWS_ENDPOINT_URL; a firewall or a portal may want a sign-in first.",
        )
    return _Refusal(
        finding="aws-refuses",
        codes=(code,),
        problem='AWS refused with {code}: "{aws_message}".',
        fix="Show this to whoever administers the AWS account; the error's diagnostics() has the rest.",
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date, which RFC 9110 (10.2.3) allows as well, AWS does not send."""
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def quoted(text: str, secrets: tuple[str, ...]) -> str:
    """``text`` of somebody else's, fit to be shown: without ``secrets`` and what looks like one, and not endless."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return "".join(c if c.isprintable() else " " for c in without_tokens(text))[:500]
