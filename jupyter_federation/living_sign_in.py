"""What the doctor is told of the sign-in that lives in the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jupyter_federation.profile import Profile
from jupyter_federation.session_status import SessionStatus
from jupyter_federation.tokens import IdToken


@dataclass(frozen=True, kw_only=True, slots=True)
class LivingSignIn:
    """Whose it is and how it stands; ``lent`` are the variables by which tools find region and endpoint."""

    profile: Profile
    token: IdToken | None = field(repr=False)
    status: SessionStatus
    lent: Mapping[str, str] = field(default_factory=dict, repr=False)
