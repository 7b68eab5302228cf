"""Entra's error codes that people meet, and what to do about each.

Microsoft explains them for administrators (learn.microsoft.com/entra/identity-platform/reference-error-codes) and may
add to them at any time: a code only chooses the words here, what happens follows from OAuth's own error.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from jupyter_federation.openid.refusal import RefusedError

_CODE = re.compile(r"AADSTS(\d{1,9})(?!\d)")  # int() refuses what is very long
_TRACE = re.compile(r"Trace ID: ([0-9a-fA-F-]{36})")


class _Advice(NamedTuple):
    """What has happened, what the person does, and what they pass on to their administrator."""

    problem: str
    you: str = ""
    administrator: str = ""


_AGAIN = "Sign in again."
_MORE = _Advice(
    "more than a password is wanted (a second factor)",
    "Sign in in the browser; a device code may not be enough.",
)
_NATIVE = (
    "under Authentication, register the redirect URI under 'Mobile and desktop applications', not under 'Web' or "
    "'Single-page application'"
)
_DEVICE = _Advice(
    "a Conditional Access policy wants a device that the company manages",
    "Sign in in the browser of such a device (--no-browser if the kernel is elsewhere), not by a device code.",
    "a Conditional Access policy wants a compliant or joined device",
)
_ADVICE: dict[int, _Advice] = {
    16000: _Advice("the account that is signed in has no access to this tenant", "Choose another account."),
    50011: _Advice(
        "the redirect URI is not registered",
        "Sign in another way (--no-browser), or pass this on.",
        "add http://localhost, and for a Jupyter server its callback, to the app's redirect URIs; http://localhost "
        "belongs under 'Mobile and desktop applications'",
    ),
    50020: _Advice(
        "the account belongs to another tenant",
        "Sign in with an account of this tenant (a private window keeps the other one out), or check `tenant`.",
        "the account has to be invited as a guest",
    ),
    50034: _Advice("there is no such account in this tenant", "Check the account, and `tenant` in the profile."),
    50053: _Advice("the account is locked, or the address is blocked", "Wait a while, or ask to have it unlocked."),
    50055: _Advice("the password has expired", "Change it at the sign-in page, then sign in again."),
    50057: _Advice("the account is disabled", "", "the account is disabled in the directory"),
    50058: _Advice("nobody is signed in in the browser", _AGAIN),
    50074: _MORE,
    50076: _MORE,
    50078: _MORE,
    50079: _Advice(
        "the account has to be enrolled for a second factor first",
        "Sign in in the browser, which leads you through it.",
    ),
    50097: _DEVICE,
    50105: _Advice(
        "the account is not assigned to the application",
        "",
        "assign the person or a group to it (Enterprise applications, Users and groups)",
    ),
    50158: _MORE,
    50173: _Advice("the sign-in was revoked, by a new password for example", _AGAIN),
    500113: _Advice("the application has no redirect URI", "", _NATIVE),
    53000: _DEVICE,
    53001: _DEVICE,
    53002: _Advice(
        "a Conditional Access policy allows approved applications alone", "", "Conditional Access refused it"
    ),
    53003: _Advice(
        "a Conditional Access policy blocks this sign-in",
        "Sign in in the browser rather than by a device code, from a network and a device that the company knows.",
        "the sign-in log names the policy; many block the device code flow",
    ),
    53004: _Advice(
        "the account has to be enrolled for a second factor, and not from here", "Enrol from a known place."
    ),
    65001: _Advice(
        "nobody has consented to the application",
        "",
        "grant consent for openid, profile and offline_access (API permissions)",
    ),
    65004: _Advice("consent to the application was declined", "Sign in again and accept, if you trust it."),
    70000: _Advice("the sign-in is not good any longer", _AGAIN),
    70008: _Advice("the sign-in has ended, or its code has expired", _AGAIN),
    70011: _Advice("a scope is not known", "Check `scopes` in the profile, or leave it out."),
    70043: _Advice("the company's policy on how often to sign in has ended it", _AGAIN),
    90002: _Advice("there is no such tenant", "Check `tenant` and, outside the public cloud, `authority`."),
    90072: _Advice(
        "the account belongs to another tenant", "Sign in with an account of this tenant.", "invite it as a guest"
    ),
    90094: _Advice("an administrator has to consent to the application", "", "grant consent (API permissions)"),
    90095: _Advice("an administrator has to consent to the application", "", "grant consent (API permissions)"),
    900023: _Advice("`tenant` is neither a tenant's id nor a domain of one", "Check `tenant`."),
    700016: _Advice(
        "there is no such application in this tenant",
        "Check `client_id` (the application id, not the object id) and `tenant`.",
        "the application has to be registered or consented to in this tenant",
    ),
    700025: _Advice(
        "the application is a public client, and takes no secret",
        "Leave `client_secret_env` and `client_secret_file` out.",
    ),
    700082: _Advice("the refresh token was not used for too long", _AGAIN),
    700084: _Advice("the refresh token was a web page's, which lives for a day", _AGAIN, _NATIVE),
    7000215: _Advice(
        "the client secret is wrong",
        "Check that it is the secret's value and not its id (`client_secret_env`/`_file`).",
    ),
    7000218: _Advice(
        "the application wants a client secret",
        "",
        f"{_NATIVE}, and set 'Allow public client flows' to Yes; or name a secret: `client_secret_env`",
    ),
    7000222: _Advice("the client secret has expired", "", "make a new client secret"),
    9002327: _Advice("the redirect URI is registered for a web page", "", _NATIVE),
}

# The doctor's code for each (docs/doctor.md).
_FINDINGS = {
    number: finding
    for finding, numbers in {
        "account-elsewhere": (16000, 50020, 50034, 90072),
        "account-blocked": (50053, 50055, 50057, 50105),
        "client-kind": (700025, 700084, 9002327),
        "client-secret": (7000215, 7000218, 7000222),
        "client-unknown": (700016,),
        "conditional-access": (50097, 50158, 53000, 53001, 53002, 53003, 53004),
        "consent-missing": (65001, 65004, 90094, 90095),
        "redirect-uri-not-registered": (50011, 500113),
        "scope-unknown": (70011,),
        "second-factor": (50074, 50076, 50078, 50079),
        "sign-in-ended": (50058, 50173, 70000, 70008, 70043, 700082),
        "tenant-unknown": (90002, 900023),
    }.items()
    for number in numbers
}


def explained(error: str, description: str) -> RefusedError:
    """The refusal, in words of its own where its code is known; OAuth's ``error`` stays what decides."""
    found = _CODE.search(description)
    advice = _ADVICE.get(int(found[1])) if found else None
    if found is None or advice is None:
        return RefusedError(error, description)
    trace = _TRACE.search(description)
    said = f"{advice.problem}, {found[0]}{f', trace {trace[1]}' if trace else ''}"
    passed_on = f"Tell your administrator: {advice.administrator}." if advice.administrator else ""
    fix = " ".join(part for part in (advice.you, passed_on) if part)
    return RefusedError(error, said, fix=fix or "Ask your administrator.", finding=_FINDINGS[int(found[1])])
