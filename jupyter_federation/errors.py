"""What can go wrong, as one tree.

::

    FederationError
    ├── ConfigurationError          a setting, a profile or an option is wrong or missing
    ├── TokenError                  the identity provider's side
    │   ├── SourceUnavailableError  the source could not be tried (no file, no variable, no provider)
    │   ├── LoginRequiredError      the source needs a person, and none was asked
    │   ├── LoginFailedError        a person was asked, and the sign-in did not succeed
    │   ├── InvalidTokenError       there is a token, and it cannot be used
    │   └── OutOfReachError         a way of signing in cannot begin here (`sign_in.rung`'s own; the next one may)
    ├── ExchangeError               AWS refused, or could not be reached
    ├── InvalidStateError           the call does not fit what is signed in
    ├── DeliveryError               credentials are there and cannot be handed on
    └── SessionClearedError         a client went on after clear (also botocore's NoCredentialsError)

Every error is built from a ``problem`` and a ``fix``, so that none can be raised without saying what to do
next.  Neither may hold a secret: no token, no key, no code.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """``text`` with a mark in place of what moves a terminal's cursor, turns what is read, or goes into no message."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def without_home(text: str) -> str:
    """``text`` with ``~`` for the home directory, whose path names the person: a notebook may save it."""
    home = os.path.expanduser("~").rstrip(os.sep)  # noqa: PTH111 - pathlib raises where there is none
    return re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w-]|\.\w)", "~", text) if os.path.isabs(home) else text  # noqa: PTH117


class FederationError(Exception):
    """Base of all errors of this package.

    ``problem`` and ``fix`` are sentences for the person.  ``facts`` are names and values that help to find the
    cause (an issuer, a logins key, a file); they are shown by `diagnostics` and never hold a secret.  The one called
    ``finding`` is the doctor's code, which ``%federate doctor CODE`` and docs/doctor.md explain.
    """

    def __init__(self, problem: str, *, fix: str, **facts: object) -> None:
        Exception.__init__(self, problem)  # not super(): SessionClearedError is a botocore error as well
        self.problem = problem
        self.fix = fix
        self.facts: dict[str, object] = {name: value for name, value in facts.items() if value is not None}

    def __str__(self) -> str:
        """The problem, then what to do next; a name out of a file is part of it, whatever it is made of."""
        return visible(without_home(f"{self.problem} {self.fix}"))

    def diagnostics(self) -> str:
        """Everything known about the failure, a line for each fact; no secret."""
        lines = [f"{type(self).__name__}: {self.problem}", f"What to do: {self.fix}"]
        lines += [f"{name.replace('_', ' ')}: {value}" for name, value in self.facts.items()]
        if self.__cause__ is not None:
            lines.append(f"cause: {type(self.__cause__).__name__}")
        return "\n".join(map(visible, lines))

    def restated(self, *, problem: str | None = None, fix: str | None = None) -> Self:
        """The same error as a new instance, perhaps in other words: one instance must not be raised by many threads."""
        error = type(self).__new__(type(self))  # not its constructor: a subclass may have another one
        error.__dict__.update(self.__dict__, problem=problem or self.problem, fix=fix or self.fix)
        error.args = (error.problem,)
        error.__cause__ = self.__cause__
        return error

    def _render_traceback_(self) -> list[str]:
        """What IPython prints: the sentence and what explains it; a source line or a frame may hold a token."""
        finding = self.facts.get("finding")
        return [f"{type(self).__name__}: {self}", *([f"%federate doctor {finding} explains it."] if finding else [])]

    def __reduce__(self) -> tuple[Any, ...]:
        """Keyword-only arguments survive pickling, so that a Dask worker or a process pool can report them."""
        return _rebuild, (type(self), self.problem, self.fix, self.facts)


def _rebuild(cls: type[FederationError], problem: str, fix: str, facts: dict[str, object]) -> FederationError:
    return cls(problem, fix=fix, **facts)


class ConfigurationError(FederationError):
    """A setting, a profile or an option is wrong or missing; nothing was sent."""


class TokenError(FederationError):
    """The identity provider's side: there is no usable token."""


class SourceUnavailableError(TokenError):
    """The source could not be tried: no such file, no such variable, no answer from the provider."""


class LoginRequiredError(TokenError):
    """The source needs a person to sign in, and nobody was (or could be) asked."""


class LoginFailedError(TokenError):
    """A person was asked, and the sign-in did not succeed."""


class InvalidTokenError(TokenError):
    """There is a token, and it cannot be used: malformed, expired, or from a clock that disagrees."""


class ExchangeError(FederationError):
    """AWS refused the token, or could not be reached.

    ``aws_code`` is AWS's error code (``NotAuthorizedException``), or None where AWS did not answer.
    ``retryable`` says whether the same request can succeed later without anybody's help.
    ``retry_after`` is the number of seconds that AWS asked to wait, or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        fix: str,
        aws_code: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        **facts: object,
    ) -> None:
        super().__init__(problem, fix=fix, aws_code=aws_code, retryable=retryable, retry_after=retry_after, **facts)
        self.aws_code = aws_code
        self.retryable = retryable
        self.retry_after = retry_after


class InvalidStateError(FederationError):
    """The call does not fit what is signed in at the moment."""


class DeliveryError(FederationError):
    """The credentials are there, and something that should use them cannot get them."""


def __getattr__(name: str) -> Any:
    if name == "SessionClearedError":  # it is a botocore error too, so it lives where botocore is known
        from jupyter_federation.delivery.live import SessionClearedError

        return SessionClearedError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
