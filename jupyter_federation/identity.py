"""One of the kernel's identities: who has signed in by which profile, and what another sign-in makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_federation.config import same_sign_in
from jupyter_federation.federated_session import FederatedSession
from jupyter_federation.profile import Profile
from jupyter_federation.tokens import IdToken


@dataclass(slots=True, eq=False)
class Identity:
    """A federation profile with the session that came of it; ``account_id`` is there once AWS was asked."""

    profile: Profile
    session: FederatedSession
    account_id: str | None = None

    def serves(self, profile: Profile) -> bool:
        """Whether it is what a sign-in with ``profile`` would give, so that nobody need be asked."""
        if not same_sign_in(self.profile, profile):
            return False
        status = self.session.status()
        is_good = status.credentials == "valid" and status.sign_in != "needs_you"
        return is_good and not self.session.has_another_token()

    def kept_for(self, profile: Profile) -> tuple[IdToken, str] | None:
        """Its token and Cognito identity id, if ``profile`` asks the same pool for the same provider."""
        kept = self.session.identity
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
