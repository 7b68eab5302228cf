"""One of the kernel's identities: who has signed in by which profile, what is known of them, and what comes after."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jupyter_federation.config import same_sign_in
from jupyter_federation.errors import InvalidStateError
from jupyter_federation.exchange.answers import text_from
from jupyter_federation.exchange.aws_clients import AwsClients
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.profile import UNATTENDED, USER_POOL, Profile
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.signed_in import AuthSession, CallerIdentity, CurrentUser
from jupyter_federation.tokens import IdToken

_BROUGHT = (*UNATTENDED, "var", None)  # sources of tokens for which nobody is asked


@dataclass(slots=True, eq=False)
class Identity:
    """A federation profile with the session that came of it; ``account_id`` is there once AWS was asked."""

    profile: Profile
    session: FederatedSession
    account_id: str | None = None

    # What is known of who it is

    def told(self, status: SessionStatus) -> SessionStatus:
        """The session's ``status`` with what the profile says, and AWS has said."""
        return replace(
            status,
            profile=self.profile.name,
            provider=status.provider or self.profile.provider,
            interactive=self.profile.source not in _BROUGHT,
            account_id=status.account_id or self.account_id,
            region=self.profile.working_region,
        )

    def caller(self, region: str) -> CallerIdentity:
        """Who AWS says it is; one call in ``region``, STS GetCallerIdentity.  Raises ExchangeError, TokenError."""
        operation, signed_by = "GetCallerIdentity", self.session.credentials()
        answer = AwsClients().call("sts", operation, {}, region=region, about={}, signed_by=signed_by)
        account, arn, user_id = (
            str(text_from(answer, name, operation=operation)) for name in ("Account", "Arn", "UserId")
        )
        self.account_id = account
        return CallerIdentity(account=account, arn=arn, user_id=user_id, subject=self.session.status().subject)

    def auth_session(self) -> AuthSession:
        """Amplify's view: the cached credentials, renewed where they have expired; raises why that failed."""
        got = self.session.credentials()
        return AuthSession(is_federated=True, identity_id=got.identity_id, credentials=got, expires_at=got.expires_at)

    def user(self) -> CurrentUser:
        """The user-pool user.  Raises InvalidStateError where the identity comes from elsewhere."""
        token = self.session.token
        if token is None or self.profile.source != USER_POOL:
            raise InvalidStateError(
                "You are federated to an identity pool or a role, and no user pool knows you.",
                fix="Use jf.whoami() for who AWS says you are, or %federate clear and sign in through the user pool.",
            )
        return CurrentUser(user_id=token.subject or "", username=token.name or "")

    # What comes after it

    def serves(self, profile: Profile) -> bool:
        """Whether it is what a sign-in with ``profile`` would give, so that nobody need be asked."""
        if not same_sign_in(self.profile, profile):
            return False
        status = self.session.status()
        is_good = status.credentials == "valid" and status.sign_in != "needs_you"
        return is_good and not self.session.has_another_token()

    def kept_for(self, profile: Profile) -> tuple[IdToken, str] | None:
        """Its token and Cognito identity id, if ``profile`` asks the same pool for the same provider."""
        kept = self.session.cognito_identity
        if kept is None or profile.identity_id is not None:  # a developer-provided id wins over a known one
            return None
        same_pool = self.profile.identity_pool_id == profile.identity_pool_id
        same_provider = self.profile.provider == profile.provider or kept[0].is_jwt
        return kept if same_pool and same_provider else None

    def followed_by(self, other: Identity) -> str | None:
        """What ``other`` in its place changes for the clients that exist."""
        if self.profile.name != other.profile.name:
            one, another = (
                repr(each.profile.name) if each.profile.name else "a sign-in without a profile"
                for each in (self, other)
            )
            return (
                f"The notebook's identity was {one} and is {another} now: the clients that followed it act with the "
                "new one."
            )
        earlier, token = self.session.token, other.session.token
        if earlier and token and (earlier.issuer, earlier.subject) != (token.issuer, token.subject):
            return "Another person is signed in now: the clients that you hold act as them."
        if not same_sign_in(self.profile, other.profile):
            return "Signed in anew with other options: the clients that you hold go on with them."
        return None
