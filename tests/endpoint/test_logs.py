"""Nothing that the endpoint does, and nothing that is done to it, puts a secret into a log, a warning or stderr."""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading

import pytest
from botocore.utils import ContainerMetadataFetcher
from container_client import Client
from secrecy.scanner import Scanner

from jupyter_federation.delivery.container_protocol import TOKEN_FILE, URI

pytestmark = pytest.mark.slow


def attack(client):
    """Good and bad requests, cut off at every point, each with the token in it."""
    heads = [
        client.head(),
        client.head("Origin: http://evil.example"),
        client.head(host="Host: evil.example"),
        client.head(request="POST /credentials HTTP/1.1"),
        client.head(request=f"GET /credentials?token={client.token} HTTP/1.1"),
        client.head(authorization=f"Authorization: Bearer {client.token}"),
        client.head(f"X: {client.token * 300}"),
        client.head(f"broken {client.token}"),
        client.token.encode() + b"\xff\0" + client.head(),
    ]
    for head in heads:
        client.send(head, end=True)
        for part in (head[: len(head) // 2], head):
            connection = client.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(part)
            connection.close()


def scanner_of(signing, client):
    return Scanner({**signing.scanner().secrets, "endpoint's token": client.token})


def test_nothing_secret_is_logged(signing, log, capfd, recwarn):
    """At DEBUG of everybody: attacks, botocore's own client in this process, a renewal and a clear."""
    logging.getLogger("asyncio").setLevel(logging.DEBUG)
    signing.sts()
    client = Client.of_the_environment()
    fetcher = ContainerMetadataFetcher()
    got = fetcher.retrieve_full_uri(os.environ[URI], headers={"Authorization": client.token})
    assert client.ask().content == got, "a control: botocore's client is answered"
    attack(client)
    signing.jf.refresh()
    attack(client)
    secrets = scanner_of(signing, client)
    signing.jf.clear()
    assert {"secret access key 0", "endpoint's token"} & secrets.found(str(got), client.token)
    assert set() == secrets.found(log(), *capfd.readouterr())
    assert [] == list(recwarn)


def test_it_says_nothing_on_stderr(signing, capfd):
    """Not of broken pipes, resets, floods or a clear in the midst of them."""
    signing.sts()
    client = Client.of_the_environment()
    attacking = [threading.Thread(target=outlived, args=(client,)) for _ in range(4)]
    for each in attacking:
        each.start()
    signing.jf.clear()
    for each in attacking:
        each.join()
    assert TOKEN_FILE not in os.environ
    assert ("", "") == capfd.readouterr()


def outlived(client):
    try:
        attack(client)
    except OSError:  # the endpoint has ended meanwhile
        return


def test_a_logged_token_is_seen(signing, log):
    """A control: what the first test looks for is found where somebody logs it."""
    signing.sts()
    client = Client.of_the_environment()
    logging.getLogger("asyncio").debug("got %s", client.token)
    assert {"endpoint's token"} == scanner_of(signing, client).found(log())
