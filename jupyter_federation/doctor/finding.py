"""What the doctor may find: each cause once, with its code, how bad it is, and what an administrator does about it.

A code is the name of a section of docs/doctor.md, and what an error of the product calls its ``finding``.  The order
is that of causes: what stands further up brings about what stands further down, so the first finding of a report is
the one to mend first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from jupyter_federation.errors import FederationError, without_home
from jupyter_federation.redaction import printable, without_tokens

Severity = Literal["error", "warning"]


class Cause(NamedTuple):
    """``administrator`` is a format string over what is known: what to set, where, to what."""

    administrator: str
    severity: Severity = "error"


_ENVIRONMENT = "in the environment that is named: pip install --upgrade jupyter-aws-federation, then restart it"
_KERNEL_NETWORK = "on the machine that kernels run on: "
_PROVIDER_CLIENT = "at the provider, application {client_id}: "
_HUB = "in jupyterhub_config.py: "
_CONFIGURE = _HUB + "jupyter_federation.hub.configure(c), then restart the hub; people stop and start their servers"
_POOL = "in Cognito, identity pool {identity_pool_id}: "
_IAM_PROVIDER = "in IAM, identity provider {logins_key}: "
_TRUST = "in IAM, the role's trust policy: "

CAUSES: dict[str, Cause] = {
    # The installation
    "stub-overwrites-us": Cause(
        "in the kernel's environment: pip uninstall -y jupyter-federation; pip install --force-reinstall --no-deps "
        "jupyter-aws-federation; then restart the kernel"
    ),
    "dependency-missing": Cause(
        "in the kernel's environment: pip install --upgrade jupyter-aws-federation; then restart the kernel"
    ),
    "server-protocol-differs": Cause(
        "install the same jupyter-aws-federation into the environments of server and kernel; restart both"
    ),
    "server-extension-missing": Cause(
        "in the server's environment: pip install 'jupyter-aws-federation[server]'; then restart the server", "warning"
    ),
    "runtime-directory-unusable": Cause(
        "give the user the directory that is named, writable; or set JUPYTER_RUNTIME_DIR for server and kernel",
        "warning",
    ),
    "labextension-missing": Cause(
        "in the environment that is named: install jupyter-aws-federation again from where it came (a checkout: make "
        "setup), then reload the page",
        "warning",
    ),
    "labextension-disabled": Cause("jupyter labextension enable jupyter-aws-federation", "warning"),
    "labextension-differs": Cause(_ENVIRONMENT, "warning"),
    # What is set
    "configuration-unreadable": Cause("mend the file that is named; `jupyter --paths` lists where others may stand"),
    "configuration-locked": Cause('take `"locked": true` out of the system\'s file, or write another profile there'),
    "profile-missing": Cause(
        "register a client and a role, and give people the profile: the request that `jupyter federation doctor` "
        "prints says how"
    ),
    "profile-unknown": Cause(
        "put the profile into jupyter_federation_config.d/ in one of the directories that `jupyter --paths` lists"
    ),
    "profile-broken": Cause(
        "mend the key that is named, in the file that is named (`jupyter federation docs profiles`)"
    ),
    "profile-incomplete": Cause("complete the federation profile (`jupyter federation docs profiles`)"),
    "policy-forbids": Cause("raise the `policy` in the system's file, or ask for less in the profile"),
    "region-missing": Cause("set `region` in the federation profile"),
    "provider-unknown": Cause("set `provider` in the federation profile to a name or an issuer, or leave it out"),
    "aws-files-broken": Cause("mend ~/.aws/config, ~/.aws/credentials or the AWS_* variable that is named"),
    # The machine and its way out
    "clock-wrong": Cause(
        _KERNEL_NETWORK + "synchronise the clock (timedatectl set-ntp true; a container has its host's)"
    ),
    "provider-clock-wrong": Cause("synchronise the clock of the provider's machine ({where})"),
    "ca-bundle-unreadable": Cause(
        _KERNEL_NETWORK + "put the PEM file where the setting says, or correct `ca_bundle`, AWS_CA_BUNDLE, "
        "REQUESTS_CA_BUNDLE"
    ),
    "certificate-untrusted": Cause(
        _KERNEL_NETWORK + "name the CA's PEM file: `ca_bundle` for the provider or the hub, AWS_CA_BUNDLE for AWS"
    ),
    "tls-refused": Cause(_KERNEL_NETWORK + "correct the scheme in AWS_ENDPOINT_URL or HTTPS_PROXY (http, https)"),
    "proxy-refuses": Cause(_KERNEL_NETWORK + "let {where} through the proxy, or list its host in NO_PROXY"),
    "dns-unresolved": Cause(_KERNEL_NETWORK + "let {where} be resolved, or set HTTPS_PROXY if a proxy does that"),
    "no-network": Cause(_KERNEL_NETWORK + "allow outgoing connections to {where}, port 443"),
    "unreachable": Cause(_KERNEL_NETWORK + "allow outgoing connections to {where}, or set HTTPS_PROXY"),
    "no-answer": Cause(_KERNEL_NETWORK + "see whether a firewall or proxy swallows what goes to {where}"),
    "network-intercepted": Cause(_KERNEL_NETWORK + "let {where} through the proxy or portal unaltered"),
    # The provider
    "tenant-unknown": Cause("set `tenant` to the directory (tenant) id of Entra's overview page, and `authority`"),
    "issuer-spelled-differently": Cause("set `issuer` to the `issuer` of the provider's discovery document"),
    "discovery-missing": Cause(
        "set `issuer` so that <issuer>/.well-known/openid-configuration is the provider's discovery document"
    ),
    "provider-down": Cause("see the provider's log and its status page ({where})"),
    "client-unknown": Cause("at the provider ({where}): register {client_id}, or set `client_id` to what is there"),
    "client-secret": Cause(
        _PROVIDER_CLIENT + "make it a public client (Entra: Allow public client flows, Yes), or name its secret "
        "(`client_secret_env`, `client_secret_file`)"
    ),
    "client-kind": Cause(_PROVIDER_CLIENT + "a public, native client with code and PKCE (Entra: Mobile and desktop)"),
    "redirect-uri-not-registered": Cause(_PROVIDER_CLIENT + "add the redirect URI {redirect_uri}"),
    "scope-unknown": Cause(_PROVIDER_CLIENT + "allow the scopes, or correct `scopes` in the federation profile"),
    "consent-missing": Cause(_PROVIDER_CLIENT + "grant consent for openid, profile, offline_access"),
    "conditional-access": Cause("in Entra, Conditional Access: the sign-in log names the policy that refuses"),
    "second-factor": Cause("in Entra: let the person enrol for a second factor (aka.ms/mfasetup)"),
    "account-elsewhere": Cause("in Entra: invite the account as a guest, or set `tenant` to its own"),
    "account-blocked": Cause("in Entra: enable and unlock the account; assign it to the enterprise application"),
    "sign-in-ended": Cause("nothing; sign-in frequency and token lifetime policies decide how often it happens"),
    # The hub
    "not-on-a-hub": Cause("give this machine a federation profile with another `source` than jupyterhub"),
    "hub-unreachable": Cause("let single-user servers reach the hub's API ({where}); see the hub's log"),
    "hub-user-unknown": Cause("the user was deleted or renamed at the hub: have them log in again"),
    "hub-scope-missing": Cause(_CONFIGURE),
    "hub-refuses-the-server": Cause(_CONFIGURE),
    "hub-auth-state-missing": Cause(
        _HUB + "c.Authenticator.enable_auth_state = True, and one JUPYTERHUB_CRYPT_KEY that outlives restarts"
    ),
    "hub-token-missing": Cause(_HUB + "an OpenID Connect authenticator with openid among its `scope`"),
    "hub-provider-down": Cause("the hub's log says how its request to the provider's token endpoint failed"),
    "hub-not-renewed": Cause(
        "the hub's log says what the provider answered: often the hub's client or its secret is not what it was"
    ),
    "hub-other-id-token": Cause(
        "at the provider: a refresh gives an ID token of the same iss, sub and aud as the login"
    ),
    "hub-login-ended": Cause("nothing; the provider's session policies decide how long a login lasts"),
    "hub-no-refresh-token": Cause(_HUB + "offline_access among the authenticator's `scope`"),
    "hub-no-id-token": Cause(_HUB + "openid among the authenticator's `scope`, at the provider for refreshes too"),
    "hub-token-stale": Cause(_CONFIGURE),
    # The token
    "token-missing": Cause("see to it that what brings the token (`source`) runs where the kernel does"),
    "token-malformed": Cause("have what brings the token write the bare ID token, whole, and nothing else"),
    "token-expired": Cause("have what brings the token renew it before it ends; compare the clocks"),
    "token-is-access-token": Cause("have what brings the token take `id_token` of the provider's answer"),
    "token-is-no-jwt": Cause("set `provider`, or have what brings the token take `id_token` of the provider's answer"),
    "entra-v1-token": Cause(
        'in Entra, the application\'s manifest: "requestedAccessTokenVersion": 2; or register {issuer} in IAM'
    ),
    "issuer-mismatch": Cause("leave `provider` out, or set it to {issuer}; the pool or IAM must list that issuer"),
    "audience-mismatch": Cause("set `client_id` to {audience}, or have the token made for the profile's client"),
    "developer-token": Cause('set `"provider": "developer"` in the federation profile'),
    # What the role trusts, in a file that was given
    "trust-policy-unreadable": Cause("aws iam get-role --role-name ROLE > role.json, and give that file"),
    "trust-no-web-identity": Cause(_TRUST + 'one statement with "Action": "sts:AssumeRoleWithWebIdentity"'),
    "trust-principal-open": Cause(_TRUST + '"Principal": {{"Federated": "<the provider\'s ARN>"}}, and no *'),
    "trust-principal-wrong": Cause(
        _TRUST + '"Principal": {{"Federated": "arn:aws:iam::ACCOUNT:oidc-provider/{logins_key}"}}'
    ),
    "trust-key-wrong": Cause(_TRUST + "name conditions as the provider in Principal is named, without https://"),
    "trust-no-audience": Cause(_TRUST + '"StringEquals": {{"{logins_key}:aud": "{audience}"}}'),
    "trust-if-exists": Cause(_TRUST + "StringEquals in place of the ...IfExists operator"),
    "trust-for-all-values": Cause(_TRUST + "ForAnyValue: in place of ForAllValues:"),
    "trust-wildcard-literal": Cause(_TRUST + "StringLike where a value has a *; StringEquals takes it for a letter"),
    "trust-audience-wildcard": Cause(_TRUST + '"StringEquals": {{"{logins_key}:aud": "{audience}"}}, without a *'),
    "trust-audience-mismatch": Cause(_TRUST + '"{logins_key}:aud" has to list "{audience}"'),
    "trust-no-amr": Cause(
        _TRUST + '"ForAnyValue:StringLike": {{"cognito-identity.amazonaws.com:amr": "authenticated"}}'
    ),
    "trust-guests": Cause(_TRUST + '"cognito-identity.amazonaws.com:amr" is "authenticated" and nothing else'),
    "trust-no-subject": Cause(_TRUST + 'name the people or repositories: "{logins_key}:sub"'),
    "trust-subject-wildcard": Cause(_TRUST + '"{logins_key}:sub" with a value that not everybody has'),
    "trust-tag-missing": Cause(
        "at the provider, client {audience}: ID tokens with the claim https://aws.amazon.com/tags/principal_tags/{tag} "
        "(a text), or with {tag} under principal_tags in the claim https://aws.amazon.com/tags (`jupyter federation "
        "docs jupyterhub`); or in the profile another `role_arn`, or an identity pool, which makes the tag itself"
    ),
    "trust-action-wide": Cause(
        _TRUST + '"Action": "sts:AssumeRoleWithWebIdentity" (and sts:TagSession for session tags) in place of *',
        "warning",
    ),
    "trust-audience-like": Cause(_TRUST + "StringEquals in place of StringLike for aud", "warning"),
    "classic-flow-on": Cause(_POOL + "User access, Basic (classic) authentication: deactivate it", "warning"),
    "guests-admitted": Cause(_POOL + "User access, Guest access: deactivate it", "warning"),
    # What AWS says
    "provider-not-registered": Cause(
        "in the role's account: aws iam create-open-id-connect-provider --url {issuer} --client-id-list {audience}"
    ),
    "audience-not-registered": Cause(
        _IAM_PROVIDER + "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn ARN "
        "--client-id {audience}"
    ),
    "keys-unreachable": Cause(
        "let {issuer}/.well-known/openid-configuration and its jwks_uri be read from the internet"
    ),
    "token-refused": Cause(_IAM_PROVIDER + "compare URL, audiences and thumbprint with the token's issuer"),
    "provider-unreachable-from-aws": Cause("let {issuer} be reached from the internet", "warning"),
    "pool-unknown": Cause("set `identity_pool_id` to what Cognito shows for the pool, in the region {region}"),
    "pool-lacks-provider": Cause(_POOL + "add the identity provider {logins_key} with the client {audience}"),
    "identity-mismatch": Cause("leave `identity_id` out of the federation profile"),
    "identity-linked": Cause(_POOL + "unlink the login from its other identity"),
    "guests-refused": Cause(_POOL + "guest access, if guests are wanted; or set `source` and `provider`"),
    "classic-flow-off": Cause(_POOL + "activate the basic (classic) flow, or leave `flow` out of the profile"),
    "custom-role-refused": Cause("at the user pool: have cognito:roles name the role, or correct `custom_role_arn`"),
    "pool-roles": Cause(
        "in IAM, the trust policy of the pool's roles: Federated cognito-identity.amazonaws.com, aud {identity_pool_id}"
    ),
    "role-does-not-trust": Cause(
        "in IAM, the trust policy of {role_arn}: Federated .../{logins_key}, StringEquals {logins_key}:aud {audience}; "
        "a sub that fits (jupyter federation doctor --trust-policy FILE reads it)"
    ),
    "further-role-refused": Cause(
        "in IAM: sts:AssumeRole on `assume_role_arn` for the first role, and the first role in its trust policy"
    ),
    "duration-too-long": Cause("aws iam update-role --role-name ROLE --max-session-duration SECONDS; 43200 at most"),
    "session-policy": Cause("correct `policy` and `policy_arns` in the federation profile"),
    "region-disabled": Cause("in the account's settings: activate STS in {region}; or set another `region`"),
    "parameter-refused": Cause("correct the setting that is named in the federation profile"),
    "aws-quota": Cause("in Service Quotas: raise that of Cognito identity pools"),
    "aws-throttles": Cause("nothing, unless it goes on: then look who calls so often", "warning"),
    "aws-fault": Cause("see the AWS Health Dashboard", "warning"),
    "aws-refuses": Cause("CloudTrail has the refused call, with AWS's reason"),
    # Beside a sign-in that works
    "renewal-failing": Cause("see the last error; the credentials that live go on", "warning"),
    "endpoint-unreachable": Cause("leave 127.0.0.1, and the temporary directory (TMPDIR), to the kernels' own user"),
    "environment-outranks": Cause("remove the variables where they are set: a startup file, the image, the notebook"),
    "aws-profile-unknown": Cause("remove AWS_PROFILE, or add the profile to ~/.aws/config", "warning"),
    "aws-files-outrank": Cause("give what the section has a name of its own in place of [default]", "warning"),
    "region-differs": Cause("set `region` and AWS_REGION to the same", "warning"),
    # Any other
    "setting-wrong": Cause("correct the setting that is named"),
    "unforeseen": Cause("please report it: which check it was, and the exception's name"),
}

_LONGEST = 1000  # characters of a text; of AWS or a provider 500 are quoted, and the advice comes behind
_RANK = {code: rank for rank, code in enumerate(CAUSES)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong.

    ``sentence`` is for the person, ``administrator`` for who can set it right; ``where`` is a file, a host or a
    setting.  None of them holds a secret.
    """

    code: str
    severity: Severity
    sentence: str
    administrator: str
    where: str = ""

    @property
    def rank(self) -> tuple[bool, int]:
        """By which findings are sorted: errors first, and causes before what they bring about."""
        return self.severity != "error", _RANK[self.code]


class _Known(dict[str, object]):
    """What a line speaks of; what is not known reads so."""

    def __missing__(self, key: str) -> str:
        return key.upper().replace("_", "-")


def found(code: str, sentence: str, /, *, where: str = "", administrator: str | None = None, **known: Any) -> Finding:
    """A finding of the cause ``code``; ``known`` fills in the administrator's line, unless that is given."""
    cause = CAUSES[code]
    given = {name: value for name, value in known.items() if value}
    line = administrator or cause.administrator.format_map(_Known(where=where or "the host", **given))
    return Finding(
        code=code,
        severity=cause.severity,
        sentence=fit(sentence),
        administrator=fit(line),
        where=fit(where),
    )


def fit(text: str) -> str:
    """``text`` fit to be shown: on one line, not endless, without anything like a token; the home directory is ~."""
    said = printable(without_tokens(without_home(text)))
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def of_error(error: FederationError, fallback: str, *, where: str = "", **known: Any) -> Finding:
    """A finding of an error of the product, under the code that it brings, or else ``fallback``."""
    facts = dict(error.facts)
    code, line = facts.pop("finding", fallback), facts.pop("administrator", None)
    return found(
        str(code) if code in CAUSES else fallback,
        str(error),
        where=where or str(facts.pop("where", None) or facts.get("endpoint") or facts.get("issuer") or ""),
        administrator=None if line is None else str(line),
        **{name: value for name, value in {**facts, **known}.items() if name != "where"},
    )
