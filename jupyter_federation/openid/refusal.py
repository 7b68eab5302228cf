"""A provider's no, and its words, fit to be shown."""

from __future__ import annotations

from jupyter_federation.redaction import printable, without_tokens

# What only a person can change: RFC 6749 (5.2), RFC 8628 (3.5), OpenID Connect Core 1.0 (3.1.2.6).  Anything else, as
# temporarily_unavailable or a gateway's too_many_requests, may pass.  The last line is what Entra says besides.
REFUSALS = (
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "authorization_pending", "slow_down", "access_denied", "expired_token"),
    *("interaction_required", "login_required", "account_selection_required", "consent_required"),
    *("authorization_declined", "bad_verification_code", "invalid_resource", "invalid_tenant"),
)


class RefusedError(Exception):
    """The provider said no: ``code`` of RFC 6749, section 5.2, and what it adds, both fit to be shown.

    ``fix`` says what to do, where that is known better than for any refusal; ``finding`` is the doctor's code for it.
    """

    def __init__(
        self, code: str, description: str | None = None, *, fix: str | None = None, finding: str | None = None
    ) -> None:
        super().__init__(code)
        self.code = shown(code)
        self.description = shown(description or "")
        self.fix = fix
        self.finding = finding

    def __str__(self) -> str:
        """The code, with the description where there is one."""
        return f"{self.code} ({self.description})" if self.description else self.code


def shown(text: str) -> str:
    """What a provider says, fit to be shown: one line, not long, without anything like a token."""
    return without_tokens(printable(text))[:200]
