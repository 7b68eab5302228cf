"""A token in a file that somebody else keeps fresh: a Kubernetes projected token, a CI job's, a login tool's."""

from __future__ import annotations

from pathlib import Path

from jupyter_federation.errors import FederationError, InvalidTokenError, SourceUnavailableError
from jupyter_federation.redaction import Secret
from jupyter_federation.tokens import IdToken, Prompt, TokenSource

_LARGEST = 65_536  # bytes; AWS takes 50,000 characters at most


class FileSource(TokenSource):
    """Reads the token from the file at ``path`` each time one is asked for; ``~`` is the user's home.

    The file holds the bare token as UTF-8 text; white space around it is dropped.  Anything but a regular file is
    refused, because reading a pipe could wait for ever.
    """

    renewable = True

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def token(self) -> IdToken:
        """The token that stands in the file now.

        Raises SourceUnavailableError where the file cannot be read, InvalidTokenError where it holds no token.
        """
        text = self._text()
        try:
            return IdToken.parse(text)
        except InvalidTokenError as error:
            raise error.restated(problem=f"The token file {self._path}: {error.problem}") from None

    def login(self, prompt: Prompt) -> IdToken:  # noqa: ARG002 - the protocol's; a file needs no person
        """The same as `token`."""
        return self.token()

    def forget(self) -> None:
        """Nothing is held."""

    def _text(self) -> Secret:
        try:
            path = self._path.expanduser()
            if not path.is_file():
                raise self._unavailable("is not a regular file" if path.exists() else "does not exist")
            with path.open("rb") as file:
                return Secret(self._checked(file.read(_LARGEST + 1)), "utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidTokenError(
                f"The token file {self._path} is not UTF-8 text.",
                fix="Write the bare token into it as plain text (in PowerShell: Set-Content -Encoding ascii).",
            ) from None  # the cause would quote the bytes
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no home for ~; ValueError: a NUL inside
            reason = error.strerror if isinstance(error, OSError) else None
            raise self._unavailable(f"cannot be read: {reason or type(error).__name__}") from error

    def _checked(self, content: bytes) -> bytes:
        if len(content) > _LARGEST:
            raise InvalidTokenError(
                f"The token file {self._path} is larger than {_LARGEST:,} bytes: it holds more than a token.",
                fix="Name a file that holds the bare token and nothing else.",
            )
        return content

    def _unavailable(self, problem: str) -> FederationError:
        return SourceUnavailableError(
            f"The token file {self._path} {problem}.",
            fix="Check the path (`--token-file PATH`, `path` in a profile) and what writes the file.",
        )
