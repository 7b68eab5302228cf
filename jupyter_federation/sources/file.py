"""A token in a file that somebody else keeps fresh: a Kubernetes projected token, a CI job's, a login tool's."""

from __future__ import annotations

from pathlib import Path

from jupyter_federation.errors import FederationError, InvalidTokenError, SourceUnavailableError
from jupyter_federation.redaction import Secret, SecretBytes
from jupyter_federation.tokens import IdToken, TokenSource, token_at

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
        return token_at(f"The token file {self._path}", self._text())

    def _text(self) -> Secret:
        try:
            path = self._path.expanduser()
            if not path.is_file():
                raise self._unavailable("is not a regular file" if path.exists() else "does not exist")
            with path.open("rb") as file:
                content = SecretBytes(file.read(_LARGEST + 1))
            if len(content) > _LARGEST:
                raise InvalidTokenError(
                    f"The token file {self._path} is larger than {_LARGEST:,} bytes: it holds more than a token.",
                    fix="Name a file that holds the bare token and nothing else.",
                    finding="token-malformed",
                )
            return Secret(content, "utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidTokenError(
                f"The token file {self._path} is not UTF-8 text.",
                fix="Write the bare token into it as plain text (in PowerShell: Set-Content -Encoding ascii).",
                finding="token-malformed",
            ) from None  # the cause would quote the bytes
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no home for ~; ValueError: a NUL inside
            reason = error.strerror if isinstance(error, OSError) else None
            raise self._unavailable(f"cannot be read: {reason or type(error).__name__}") from error

    def _unavailable(self, problem: str) -> FederationError:
        return SourceUnavailableError(
            f"The token file {self._path} {problem}.",
            fix="Check the path (`--token-file PATH`, `path` in a profile) and what writes the file.",
            finding="token-missing",
        )
