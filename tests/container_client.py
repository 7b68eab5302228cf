"""A client of the container endpoint that sends exactly what a test says, and what it is answered."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.delivery.container_protocol import TOKEN, TOKEN_FILE, URI
from jupyter_federation.redaction import Secret

EXPIRES_AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
KEYS = {
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": "planted-secret-key-0123456789",
    "Token": "planted-session-token-0123456789",
    "Expiration": "2030-01-02T03:04:05Z",
}


class Holding:
    """Credentials that are there, or not, and how long it takes until that is known."""

    def __init__(self):
        self.held = AwsCredentials(
            access_key_id=KEYS["AccessKeyId"],
            secret_access_key=Secret(KEYS["SecretAccessKey"]),
            session_token=Secret(KEYS["Token"]),
            expires_at=EXPIRES_AT + timedelta(microseconds=7),
        )
        self.reads = self.asked = 0
        self.comes = self.at_once

    def at_once(self):
        self.reads += 1
        return self.held

    def credentials(self):
        self.asked += 1
        return self.comes()


@dataclass(frozen=True)
class Answer:
    """``status`` is None where the connection ended without a word."""

    status: int | None
    headers: dict[str, str]
    body: bytes

    @property
    def content(self):
        return json.loads(self.body)


class Client:
    """Speaks to the endpoint that ``variables`` name."""

    def __init__(self, variables):
        self.address = urlsplit(variables[URI])
        self.authority = self.address.netloc
        self.port = self.address.port
        self.token_file = variables[TOKEN_FILE]
        self.token = variables.get(TOKEN) or self.read_token()

    @classmethod
    def of_the_environment(cls):
        return cls({name: os.environ[name] for name in (URI, TOKEN_FILE)})

    def read_token(self):
        with open(self.token_file, encoding="ascii") as file:  # noqa: PTH123 - no Path where a child has no right to it
            return file.read()

    def head(self, *more, request="GET /credentials HTTP/1.1", host=None, authorization=None):
        """The head of a request as an SDK sends it; a part that is "" is left out, ``more`` stands behind."""
        host = f"Host: {self.authority}" if host is None else host
        authorization = f"Authorization: {self.token}" if authorization is None else authorization
        lines = [each for each in (request, host, authorization, *more) if each]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def connect(self, seconds=10):
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def send(self, *pieces, pause=0.0, end=False):
        """The answer to ``pieces`` of bytes; ``end`` says that no more will come."""
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            return answer_of(connection)

    def ask(self):
        """The answer to a good request."""
        return self.send(self.head())

    def milliseconds(self):
        """How long a good request takes."""
        started = time.perf_counter()
        answer = self.ask()
        assert 200 == answer.status, answer
        return (time.perf_counter() - started) * 1000


def answer_of(connection):
    """What comes until the end."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first:
        return Answer(None, {}, b"")
    assert first.startswith("HTTP/1.1 "), received
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert int(headers["content-length"]) == len(body), received
    return Answer(int(first.split()[1]), headers, body)
