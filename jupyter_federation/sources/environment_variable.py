"""A token in an environment variable, as CI systems and container platforms give it."""

from __future__ import annotations

import os

from jupyter_federation.errors import SourceUnavailableError
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, TokenSource, token_at


class EnvironmentVariableSource(TokenSource):
    """Reads the token from the environment variable ``name`` each time one is asked for.

    It does not count as renewable: nothing outside this process can change its environment.  A token that the
    notebook itself puts there (``os.environ[name] = ...``) is taken at the next refresh all the same.
    """

    renewable = False

    def __init__(self, name: str) -> None:
        self._name = name

    def token(self) -> IdToken:
        """The token that stands in the variable now.

        Raises SourceUnavailableError where the variable is not set, InvalidTokenError where it holds no token.
        """
        if self._name not in os.environ:
            raise SourceUnavailableError(
                f"The environment variable {self._name} is not set in this kernel.",
                fix="Set it before Jupyter starts, or name another one (`--token-env NAME`, `variable` in a profile).",
                finding="token-missing",
            )
        return token_at(f"The environment variable {self._name}", Secret(os.environ[self._name]))
