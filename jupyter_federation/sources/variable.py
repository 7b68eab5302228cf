"""A token in a Python variable: a string, or a callable that gives a fresh one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jupyter_federation.errors import FederationError, InvalidTokenError, SourceUnavailableError
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, TokenSource, token_at


class VariableSource(TokenSource):
    """Looks ``name`` up in ``namespace`` each time a token is asked for, and calls what stands there if it can.

    Rebinding the variable therefore changes the token.  A callable is asked once for each token, from a background
    thread, and makes the source renewable; a string does not.
    """

    def __init__(self, name: str, namespace: Mapping[str, object]) -> None:
        self._name = name
        self._namespace = namespace

    @classmethod
    def holding(cls, token: str | Callable[[], str]) -> VariableSource:
        """A source for the ``token`` argument of a Python call."""
        return cls("token", {"token": token if callable(token) else Secret(token)})

    @property
    def renewable(self) -> bool:
        """Whether a callable stands in the variable now."""
        return callable(self._namespace.get(self._name))

    def token(self) -> IdToken:
        """The token that the variable gives now.

        Raises SourceUnavailableError where the variable is not defined or its callable raises, InvalidTokenError
        where what it gives is no token.
        """
        if self._name not in self._namespace:
            raise SourceUnavailableError(
                f"The variable `{self._name}` is not defined in this notebook.",
                fix="Run the cell that defines it, or name another one (`--token-var NAME`, `variable` in a profile).",
                finding="token-missing",
            )
        return token_at(f"The variable `{self._name}`", self._text(self._namespace[self._name]))

    def _text(self, value: object) -> Secret:
        if callable(value):
            try:
                value = value()
            except FederationError:
                raise  # a callable that knows these errors may say that a person is needed
            except Exception as error:  # noqa: BLE001 - it is the notebook's code: anything may come
                raise SourceUnavailableError(
                    f"Calling `{self._name}` for a token raised {type(error).__name__}.",
                    fix=f"Call `{self._name}()` in a cell of its own to see why.",
                    finding="token-missing",
                ) from None  # its text and its frames may hold a secret
        if not isinstance(value, str):
            raise InvalidTokenError(
                f"The variable `{self._name}` gives {type(value).__name__}, not a string.",
                fix="Give a string, or a callable without parameters that returns one.",
                finding="token-malformed",
            )
        return Secret(value)
