"""The loopback endpoint answers what an AWS SDK sends with the token, and refuses everything else, in HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from container_client import KEYS, Client, Holding, answer_of
from hypothesis import given
from hypothesis import strategies as st

from jupyter_federation.delivery import endpoint as room
from jupyter_federation.delivery import token_file
from jupyter_federation.delivery.container_protocol import TOKEN, TOKEN_FILE, URI, refusal
from jupyter_federation.delivery.endpoint import LoopbackEndpoint
from jupyter_federation.errors import DeliveryError, SourceUnavailableError


@pytest.fixture
def holding():
    return Holding()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files go."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.fixture
def endpoint(holding, temporary):
    made = LoopbackEndpoint(holding)
    yield made
    made.stop()
    assert [] == [each for each in threading.enumerate() if each.name == room._THREAD]
    assert [] == list(temporary.iterdir())


@pytest.fixture
def client(endpoint):
    """A client of an endpoint that serves; a good request beside all that the test did is answered in time."""
    client = Client(endpoint.start())
    yield client
    assert min(client.milliseconds() for _ in range(3)) < 100


def test_an_sdk_gets_the_credentials(client):
    """The protocol's four fields, with an expiry that ends in Z, and nothing that a cache may keep."""
    answer = client.ask()
    assert (200, KEYS) == (answer.status, answer.content)
    assert ("application/json", "no-store") == (answer.headers["content-type"], answer.headers["cache-control"])
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_address_is_a_number_of_this_machine_and_the_file_holds_the_token_alone(client, endpoint):
    """SDKs take plain http from a loopback address, and send the file's whole content."""
    variables = endpoint.start()
    assert variables[URI] == f"http://127.0.0.1:{client.port}/credentials"
    assert Path(variables[TOKEN_FILE]).read_bytes() == variables[TOKEN].encode()
    assert len(variables[TOKEN]) >= 43, "fewer than 256 bits"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no POSIX permissions")
def test_only_this_user_can_read_the_token(client):
    """0600 in 0700, whatever the umask."""
    file = Path(client.token_file)
    assert (0o600, 0o700) == tuple(stat.S_IMODE(each.stat().st_mode) for each in (file, file.parent))


ENDS_WITHOUT_A_WORD = """
import os, signal
from container_client import Holding
from jupyter_federation.delivery.endpoint import LoopbackEndpoint
endpoint = LoopbackEndpoint(Holding())
endpoint.start()
if os.fork():
    os.kill(os.getpid(), signal.SIGTERM)
print("forked", flush=True)
signal.pause()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no POSIX locks and signals")
def test_what_a_process_has_left_that_was_killed_is_taken_away_and_nobody_else_s(endpoint, holding, temporary):
    """Also where a child that it had forked lives on; what is another host's or is being made just now is let be."""
    killed = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", ENDS_WITHOUT_A_WORD],
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[1])},
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    alive = LoopbackEndpoint(holding)
    try:
        assert b"forked\n" == killed.stdout.readline()  # the child has let go of what it had of its parent's
        assert -signal.SIGTERM == killed.wait(30)
        [left] = temporary.iterdir()
        alive.start()
        here, _, _ = left.name.rpartition("-")
        prefix = "jupyter-federation-endpoint-"
        assert here.startswith(prefix)
        fresh, is_open = (temporary / f"{here}-{name}" for name in ("fresh", "open"))
        aged = [temporary / f"{name}-x" for name in ("jupyter-federation-demo", f"{here}1", f"{prefix}elsewhere")]
        others = [fresh, is_open, *aged]
        for each in others:
            each.mkdir(mode=0o700)
        is_open.chmod(0o755)
        [living] = set(temporary.iterdir()) - {left, *others}
        for each in (left, living, is_open, *aged):
            os.utime(each, (time.time() - 60, time.time() - 60))
        assert (left / "token").exists()
        endpoint.start()
        assert not left.exists()
        assert (living / "token").exists()
        for each in others:
            each.rmdir()
    finally:
        alive.stop()
        os.killpg(killed.pid, signal.SIGKILL)
        killed.stdout.close()


def test_the_directory_is_its_host_s_without_naming_it(holding, temporary, monkeypatch):
    """A notebook keeps the path that an export shows."""
    prefixes = []
    for name in ("", "node-1.example.org", "node", 255 * "\u00e9", "\udcff"):
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        endpoint = LoopbackEndpoint(holding)
        directory = Path(Client(endpoint.start()).token_file).parent
        endpoint.stop()
        assert temporary == directory.parent
        assert not name or name not in directory.name
        prefixes.append(directory.name[: len("jupyter-federation-endpoint-12345678-")])
    assert 5 == len(set(prefixes))


HOSTS = {
    "none": "",
    "localhost": "Host: localhost:{port}",
    "a page's name": "Host: evil.example:{port}",
    "without the port": "Host: 127.0.0.1",
    "another port": "Host: 127.0.0.1:8888",
    "a dot behind": "Host: 127.0.0.1.:{port}",
    "another way to write it": "Host: 127.1:{port}",
    "in hexadecimal": "Host: 0x7f000001:{port}",
    "IPv6": "Host: [::1]:{port}",
    "mapped to IPv6": "Host: [::ffff:127.0.0.1]:{port}",
    "every address": "Host: 0.0.0.0:{port}",
    "a user before it": "Host: a@127.0.0.1:{port}",
    "a list": "Host: 127.0.0.1:{port}, evil.example",
    "zero before the port": "Host: 127.0.0.1:0{port}",
    "empty": "Host:",
    "twice the right one": "Host: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}",
    "the wrong one first": "Host: evil.example\r\nHost: 127.0.0.1:{port}",
    "the wrong one last": "Host: 127.0.0.1:{port}\r\nhOST: evil.example",
}


@pytest.mark.parametrize("case", HOSTS)
def test_another_host_is_refused(client, case):
    """A page that has rebound its own name to this machine sends that name."""
    assert 403 == client.send(client.head(host=HOSTS[case].format(port=client.port))).status


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Origin: null",
            "Origin: http://127.0.0.1",
            "oRiGiN:",
            "Referer: http://127.0.0.1/",
            "Cookie: a=b",
            "Cookie:",
        ),
        *("Sec-Fetch-Site: none", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Sec-CH-UA: x", "Sec-GPC: 1"),
        *("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: a", "X-Forwarded-Proto: http", "X-Forwarded-Context: /"),
        *("Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1", "Upgrade: websocket", "Upgrade: h2c"),
        *("Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Access-Control-Request-Method: GET"),
        *("X-Forwarded-Prefix: /proxy/1", "X-ProxyContextPath: /proxy/1", "Proxy-Connection: keep-alive"),
    ],
)
def test_what_browsers_and_proxies_add_is_refused(client, header):
    """Whatever else they bring, the token too."""
    assert 403 == client.send(client.head(header)).status


REQUESTS = {
    405: [
        *(f"{method} /credentials HTTP/1.1" for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")),
        *(f"{method} /credentials HTTP/1.1" for method in ("TRACE", "PROPFIND", "BREW")),
    ],
    404: [
        *("GET / HTTP/1.1", "GET /credentials/ HTTP/1.1", "GET //credentials HTTP/1.1", "GET /Credentials HTTP/1.1"),
        *("GET /credentials? HTTP/1.1", "GET /credentials?a=b HTTP/1.1", "GET /credentials# HTTP/1.1"),
        *("GET /./credentials HTTP/1.1", "GET /a/../credentials HTTP/1.1", "GET /credential%73 HTTP/1.1"),
        *("GET /credentials%00 HTTP/1.1", "GET /credentials;a HTTP/1.1", "GET \\credentials HTTP/1.1"),
        *("GET credentials HTTP/1.1", "GET http://127.0.0.1/credentials HTTP/1.1", "OPTIONS * HTTP/1.1"),
        *("GET http://evil.example/credentials HTTP/1.1", "CONNECT 127.0.0.1:80 HTTP/1.1"),
    ],
    400: [
        *("GET /credentials\0 HTTP/1.1", "GET /credentials\xe9 HTTP/1.1", "get /credentials HTTP/1.1"),
        *("GET /credentials", "GET /credentials HTTP/0.9", "GET /credentials HTTP/2.0", "GET /credentials HTTP/1.1 "),
        *("GET  /credentials HTTP/1.1", "GET\t/credentials HTTP/1.1", " GET /credentials HTTP/1.1", "\0", "GET"),
        *("GET /credentials http/1.1", "GET /credentials HTTP/1.1x", "GET /credentials HTTP/1.2", "PRI * HTTP/2.0"),
    ],
}


@pytest.mark.parametrize(("status", "request_line"), [(s, each) for s, many in REQUESTS.items() for each in many])
def test_another_request_is_refused(client, status, request_line):
    """One method, one path, and no other way to write them."""
    answer = client.send(client.head(request=request_line))
    assert status == answer.status
    assert ("GET" if status == 405 else None) == answer.headers.get("allow")


def test_http_1_0_is_answered(client):
    """Some SDK may speak it."""
    assert 200 == client.send(client.head(request="GET /credentials HTTP/1.0")).status


@pytest.mark.parametrize(
    "header",
    [
        *(
            " Accept: */*",
            "\tAccept: */*",
            "Accept : */*",
            "Accept",
            ": a",
            "Acc\0ept: a",
            "Accept: a\0",
            "Accept: \x7f",
        ),
        *("Accept: a\nX: b", "Accept: a\rX: b", "Accept: \xe9", "Acc\xe9pt: a", "Acc_ept: a", "\n", "\r"),
        *("GET /credentials HTTP/1.1",),
    ],
)
def test_a_header_that_is_none_is_refused(client, header):
    """Nothing is guessed: two readers of one request must not read two things."""
    assert 400 == client.send(client.head(header)).status


def near_misses(token):
    flipped = chr(ord(token[0]) ^ 1)
    return {
        "none": None,
        "empty": "",
        "another": "x" * len(token),
        "all but the last character": token[:-1],
        "all but the first": token[1:],
        "one more": f"{token}x",
        "one bit": f"{flipped}{token[1:]}",
        "the other case": token.swapcase(),
        "a scheme": f"Bearer {token}",
        "basic": f"Basic {token}",
        "in quotes": f'"{token}"',
        "twice": f"{token},{token}",
        "a space inside": f"{token[:5]} {token[5:]}",
        "in percents": f"%{ord(token[0]):02X}{token[1:]}",
    }


@pytest.mark.parametrize("case", near_misses("token"))
def test_a_token_that_is_not_quite_the_token_is_refused(client, case):
    """Nothing is trimmed, added or decoded."""
    sent = near_misses(client.token)[case]
    head = client.head(authorization=f"Authorization: {sent}")
    if sent is None:
        head = head.replace(b"Authorization: None\r\n", b"")
    answer = client.send(head)
    assert 401 == answer.status
    assert TOKEN_FILE in answer.content["message"]


@pytest.mark.parametrize(("line", "told"), [("X-Other: x", True), ("Authorization: x", False)])
def test_a_tool_that_sends_no_authorization_is_told_what_it_needs(client, line, told):
    """An AWS CLI before 2.15 shows the answer; a wrong token is another matter."""
    answer = client.send(client.head(authorization=line))
    assert 401 == answer.status
    assert told == ("endpoint_token_variable" in answer.content["message"])


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (401, "Authorization: {token}\r\nAuthorization: {token}"),
        (401, "Authorization: {token}\r\nauthorization: x"),
        (401, "Authorization: x\r\nAUTHORIZATION: {token}"),
        (401, "X-Authorization: {token}"),
        (403, "Proxy-Authorization: {token}"),
        (400, "Authorization:\r\n {token}"),
        (400, "Authorization: {token}\r\n "),
        (400, "Authorization: {token}\xa0"),
        (400, "Authorization: {token}\u00e9"),
        (400, "Authorization: {token}\0"),
        (400, "Authorization:\x0b{token}"),
    ],
)
def test_authorization_stands_there_once_and_on_one_line(client, status, lines):
    """Twice, folded over two lines or with another character it is none."""
    assert status == client.send(client.head(authorization=lines.format(token=client.token))).status


def test_blanks_around_a_header_are_not_part_of_it(client):
    """As HTTP says (RFC 9110, 5.5)."""
    head = client.head(authorization=f"authorization:  \t{client.token} \t")
    assert 200 == client.send(head).status


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (405, ["Content-Length: 4"], b"abcd"),
        (405, ["Content-Length: 0", "Content-Length: 4"], b"abcd"),
        (405, ["Content-Length: 4", "Content-Length: 0"], b"abcd"),
        (405, ["Content-Length: +0"], b""),
        (405, ["Content-Length: 0, 0"], b""),
        (403, ["Transfer-Encoding: chunked"], b"4\r\nabcd\r\n0\r\n\r\n"),
        (403, ["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\nGET /credentials HTTP/1.1\r\n\r\n"),
        (403, ["Content-Length: 0", "Transfer-Encoding:\tchunked"], b"GET / HTTP/1.1\r\n\r\n"),
    ],
)
def test_a_request_with_a_body_is_refused(client, status, headers, body):
    """However it says how long the body is."""
    assert status == client.send(client.head(*headers) + body).status


def test_a_refusal_arrives_although_a_long_body_was_under_way(client):
    """A reset would destroy it: the rest is taken, and thrown away."""
    answer = client.send(client.head("Content-Length: 4000000", request="POST /credentials HTTP/1.1"), b"x" * 4_000_000)
    assert 405 == answer.status


@pytest.mark.parametrize("authorization", [None, "Authorization: x"])
def test_one_connection_is_one_request(client, authorization):
    """What is sent behind it is not looked at, good or bad."""
    first = client.head(authorization=authorization)
    assert (200 if authorization is None else 401) == client.send(first + client.head() + client.head()).status


def test_bytes_may_come_one_by_one(client):
    """TCP has no messages."""
    assert 200 == client.send(*(bytes([each]) for each in client.head())).status


@pytest.mark.parametrize("size", [8 * 1024, 100_000, 3_000_000])
def test_a_head_that_is_too_long_is_refused(client, size):
    """As soon as that is known, whether it ends or not."""
    assert 431 == client.send(client.head(f"X: {'x' * size}")).status
    assert 431 == client.send(b"G" * (size + 1)).status


def test_a_head_of_a_size_that_sdks_never_reach_is_read(client):
    """The limit is not in anybody's way."""
    assert 200 == client.send(client.head(f"User-Agent: {'x' * 7000}")).status


def test_lines_that_end_without_a_carriage_return_are_refused(client):
    """At once: nobody waits for an end that has come."""
    assert 400 == client.send(client.head().replace(b"\r\n", b"\n")).status
    assert 400 == client.send(client.head().replace(b"\r\n\r\n", b"\r\n\n")).status


def test_http_0_9_and_half_a_request_are_refused_at_their_end(client):
    """A peer that has closed its side will not say the rest."""
    assert 400 == client.send(b"GET /credentials\r\n", end=True).status
    assert 400 == client.send(client.head()[:-2], end=True).status
    assert 400 == client.send(client.head()[:-4], end=True).status


def test_what_is_no_http_gets_no_credentials(client):
    """The beginnings of TLS and of HTTP/2, and noise."""
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(194)
    for sent in (hello, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(range(256)) * 4, b"\xff" * 9000):
        assert client.send(sent, end=True).status in {400, 431}


def test_a_peer_that_says_nothing_gets_nothing(client):
    """A port scanner that connects and goes."""
    assert None is client.send(end=True).status


def test_a_request_that_does_not_end_is_answered_and_ended(client, monkeypatch):
    """Byte by byte is not a way to stay; a connection without a word is ended too."""
    monkeypatch.setattr(room, "_SILENCE", 0.3)
    with client.connect() as silent:
        assert 408 == client.send(*(b"GET /cred",), pause=0.1).status
        assert None is answer_of(silent).status


def descriptors():
    """How many this process has open; 0 where nobody knows."""
    known = Path("/proc/self/fd")
    return len(list(known.iterdir())) if known.is_dir() else 0


@pytest.mark.parametrize("idle", [64, 1000])
def test_a_good_request_beside_idle_ones_is_answered_within_100_ms(client, idle):
    """Half-open connections are held by the hundred, and the oldest of more are ended."""
    before = descriptors()
    with contextlib.ExitStack() as close:
        for number in range(idle):
            connection = close.enter_context(client.connect())
            if number % 2:
                connection.sendall(b"GET /credentials HTTP/1.1\r\n")
        assert min(client.milliseconds() for _ in range(5)) < 100
        assert descriptors() - before - idle <= 257
    assert min(client.milliseconds() for _ in range(5)) < 100


def test_a_flood_of_connections_keeps_no_good_request_from_its_answer(client):
    """A process that connects without pause, while good requests are made."""
    over = threading.Event()

    def flood():
        held = []
        while not over.is_set():
            held.append(client.connect())
            if len(held) > 400:
                held.pop(0).close()
        for each in held:
            each.close()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        answers = [client.ask().status for _ in range(50)]
    finally:
        over.set()
        flooding.join()
    assert [200] * 50 == answers


def test_who_resets_or_leaves_early_harms_nobody(client, capfd):
    """Connections that break at every point leave no word on stderr."""
    for head in (b"", b"GET", client.head()):
        for linger in (struct.pack("ii", 1, 0), None):
            connection = client.connect()
            if linger:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(head)
            connection.close()
    assert 200 == client.ask().status
    assert ("", "") == capfd.readouterr()


def test_without_a_descriptor_left_it_goes_on_when_there_is_one(client, monkeypatch):
    """A process at its limit takes no connection, and does not spin."""
    accept, refused = socket.socket.accept, []

    def at_the_limit(listener):
        refused.append(True)
        if len(refused) > 3:
            monkeypatch.undo()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket.socket, "accept", at_the_limit)
    assert 200 == client.ask().status
    assert 4 == len(refused)
    assert accept is socket.socket.accept


@pytest.mark.parametrize(
    "line", [b"A:" + b" " * 8000 + b"\x01", b"A" * 8000, b":" * 8000, b"GET " * 2000, b"\t " * 4000]
)
def test_no_head_takes_long_to_read(line):
    """Anybody on the machine may send one, and while it is read nothing else of the kernel runs."""
    begin = time.perf_counter()
    refusal(b"GET /credentials HTTP/1.1\r\n" + line, "127.0.0.1:1", "token")
    refusal(line, "127.0.0.1:1", "token")
    assert time.perf_counter() - begin < 0.1


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_are_answered_with_more_than_a_refusal(lines):
    """Whatever they are, nothing is raised: that would end the endpoint."""
    head = b"\r\n".join(lines)
    said = refusal(head, "127.0.0.1:1", "token")
    assert said is not None
    assert b"HTTP/1.1 4" == said[:10]
    _, _, body = said.partition(b"\r\n\r\n")
    assert {"code", "message"} == set(json.loads(body))


# Where nothing is valid


def test_what_is_on_its_way_is_awaited(endpoint, holding):
    """The first sign-in of a notebook, or a renewal of what has expired."""
    held, holding.held = holding.held, None

    def comes():
        time.sleep(0.3)
        holding.held = held

    holding.comes = comes
    client = Client(endpoint.start())
    answers = []
    asking = [threading.Thread(target=lambda: answers.append(client.ask().status)) for _ in range(20)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert ([200] * 20, 1) == (answers, holding.asked)


def test_while_it_is_awaited_nobody_waits_longer_than_botocore_does(endpoint, holding):
    """503 before its 2 s are over, and one thread waits for all of them; those who give up earlier harm nobody."""
    holding.held, over = None, threading.Event()
    holding.comes = lambda: over.wait(30)
    client = Client(endpoint.start())
    try:
        with client.connect() as impatient:
            impatient.sendall(client.head())
            time.sleep(0.1)
        started = time.monotonic()
        first = client.ask()
        took = time.monotonic() - started
        second = client.ask()
        assert 401 == client.send(client.head(authorization="Authorization: x")).status
    finally:
        over.set()
    assert (503, 503, 1) == (first.status, second.status, holding.asked)
    assert "on their way" in first.content["message"]
    assert 1.3 < took < 1.6


def test_why_there_is_nothing_is_said_at_once(endpoint, holding):
    """The person's way back stands in the answer, which SDKs show; whatever else is raised is told by its type."""
    holding.held = None
    client = Client(endpoint.start())

    def signed_out():
        raise SourceUnavailableError("The sign-in has ended.", fix="Run %federate.")

    def broken():
        raise ZeroDivisionError("planted-secret")

    for comes, message in ((signed_out, "Run %federate"), (broken, "ZeroDivisionError")):
        holding.comes = comes
        started = time.monotonic()
        answer = client.ask()
        assert time.monotonic() - started < 1
        assert 503 == answer.status
        assert message in answer.content["message"]
        assert "planted" not in answer.content["message"]


def test_where_no_thread_can_wait_it_says_so_all_the_same(endpoint, holding, monkeypatch):
    """At the limit of threads, and when it is over."""
    held, holding.held = holding.held, None
    client = Client(endpoint.start())
    monkeypatch.setattr(room, "_AWAITED", 0.2)
    with monkeypatch.context() as limit:
        limit.setattr(threading.Thread, "start", no_thread)
        assert 503 == client.ask().status
    assert 0 == holding.asked
    holding.comes = lambda: setattr(holding, "held", held)
    assert 200 == client.ask().status


def no_thread(thread):
    raise RuntimeError("can't start new thread")


# Where it listens, and where the token is


def test_stop_ends_the_port_the_thread_and_the_files(endpoint, temporary):
    """And again it does nothing."""
    client = Client(endpoint.start())
    with client.connect() as open_still:
        endpoint.stop()
        endpoint.stop()
        assert None is answer_of(open_still).status
    assert [] == list(temporary.iterdir())
    with pytest.raises(ConnectionRefusedError):
        client.connect()


def test_who_waits_with_the_token_is_pushed_out_by_nobody_without_it(endpoint, holding):
    """A flood while somebody signs in."""
    held, holding.held, over = holding.held, None, threading.Event()
    holding.comes = lambda: over.wait(30)
    client = Client(endpoint.start())
    with contextlib.ExitStack() as stack:
        waiting = stack.enter_context(client.connect())
        waiting.sendall(client.head())
        while not holding.asked:
            time.sleep(0.01)
        idle = [stack.enter_context(client.connect()) for _ in range(room._most_connections() + 9)]
        assert b"" == idle[0].recv(1), "none was pushed out"
        holding.held = held
        over.set()
        assert 200 == answer_of(waiting).status


def test_stop_does_not_wait_for_who_waits(endpoint, holding):
    """A clear while a tool awaits a renewal that hangs."""
    holding.held, over = None, threading.Event()
    holding.comes = lambda: over.wait(30)
    client = Client(endpoint.start())
    try:
        with client.connect() as waiting:
            waiting.sendall(client.head())
            time.sleep(0.2)
            started = time.monotonic()
            endpoint.stop()
            assert time.monotonic() - started < 1
            assert None is answer_of(waiting).status
    finally:
        over.set()


def test_another_start_is_at_the_same_place_with_another_token(endpoint):
    """What reads the environment once finds it again; what it knew before opens nothing."""
    before = Client(endpoint.start())
    assert before.token == endpoint.start()[TOKEN], "started already"
    endpoint.stop()
    after = Client(endpoint.start())
    assert (before.port, before.token_file) == (after.port, after.token_file)
    assert 401 == after.send(before.head()).status
    assert 200 == after.ask().status


def test_a_start_beside_who_waits_for_the_end_waits_too(endpoint, monkeypatch):
    """A sign-in that comes while a clear waits for the port to be closed has that port."""
    before, close = Client(endpoint.start()), room._Serving.close
    ended = endpoint._serving
    monkeypatch.setattr(room._Serving, "close", lambda serving: (time.sleep(0.2), close(serving)))
    endpoint.refuse()
    assert not ended.keep_file(), "its thread lives, and serves nobody"
    clears = threading.Thread(target=endpoint.settle)
    clears.start()
    time.sleep(0.05)
    after = Client(endpoint.start())
    clears.join()
    assert (before.port, before.token_file) == (after.port, after.token_file)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no descriptors to count")
def test_a_renewal_keeps_the_file_while_a_clear_ends_the_endpoint(endpoint, temporary, monkeypatch):
    """Wherever the one finds the other: the directory is held until it is gone, and no descriptor stays open."""
    before = len(list(Path("/dev/fd").iterdir()))
    endpoint.start()
    serving, is_at, clears = endpoint._serving, token_file._is_at, threading.Thread(target=endpoint.stop)

    def meanwhile(directory, held):
        clears.start()
        while serving.token:
            time.sleep(0.001)
        serving._wake()
        serving._thread.join(5)
        return is_at(directory, held)

    monkeypatch.setattr(token_file, "_is_at", meanwhile)
    assert endpoint.keep_file()
    clears.join()
    assert not serving.keep_file()
    assert [] == list(temporary.iterdir())
    assert before == len(list(Path("/dev/fd").iterdir()))


def test_where_somebody_has_taken_its_place_it_goes_elsewhere(endpoint):
    """Another port, and another directory."""
    before = Client(endpoint.start())
    endpoint.stop()
    Path(before.token_file).parent.mkdir()
    try:
        with socket.create_server(("127.0.0.1", before.port)):
            after = Client(endpoint.start())
        assert before.port != after.port
        assert before.token_file != after.token_file
        assert 200 == after.ask().status
    finally:
        Path(before.token_file).parent.rmdir()


def test_a_token_file_that_was_tidied_away_is_written_again(endpoint):
    """With its directory, and with the same content; what is there is made to look new."""
    client = Client(endpoint.start())
    file = Path(client.token_file)
    os.utime(file, (1, 1))
    endpoint.keep_file()
    assert file.stat().st_mtime > 1
    file.unlink()
    endpoint.keep_file()
    file.unlink()
    file.parent.rmdir()
    assert endpoint.keep_file()
    assert (0o600, client.token) == (stat.S_IMODE(file.stat().st_mode), client.read_token())


def taken_over_by_a_link(directory):
    other = directory.with_name("mine")
    other.mkdir(0o700)
    directory.symlink_to(other)


TAKEN_OVER = {
    "a directory that others can enter": lambda directory: directory.mkdir(0o755),
    "a link to another directory of this user's": taken_over_by_a_link,
    "a file": lambda directory: directory.touch(0o600),
}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no POSIX permissions")
@pytest.mark.parametrize("case", TAKEN_OVER)
def test_a_directory_that_is_not_its_own_is_left_alone(holding, temporary, case):
    """Nothing is written there; the next sign-in has another, and clear removes nothing of it."""
    endpoint = LoopbackEndpoint(holding)
    client = Client(endpoint.start())
    directory = Path(client.token_file).parent
    Path(client.token_file).unlink()
    directory.rmdir()
    TAKEN_OVER[case](directory)
    assert not endpoint.keep_file()
    assert not Path(client.token_file).exists()
    elsewhere = Client(endpoint.start())
    assert directory != Path(elsewhere.token_file).parent
    assert (client.port, 200) == (elsewhere.port, elsewhere.ask().status)
    endpoint.stop()
    assert {directory.name} == {each.name for each in temporary.iterdir()} - {"mine"}


def test_where_it_cannot_listen_it_says_what_is_missing(holding, temporary, monkeypatch):
    """No thread, no socket, no directory, no space: nothing is left, and the next start works."""

    def full(*_):
        raise OSError(28, "No space left on device")

    def no_socket(*_, **__):
        raise OSError(24, "Too many open files")

    def file_on_a_full_disk(descriptor, mode, **options):
        os.close(descriptor)
        return Path("/dev/full").open(mode, **options)

    # As from Python 3.11 on; before, pathlib has a reference of its own.
    monkeypatch.setattr(Path, "mkdir", lambda path, mode: os.mkdir(path, mode))  # noqa: PLW0108, PTH102
    endpoint, before = LoopbackEndpoint(holding), set(room._all)
    for target, name, broken, said in (
        (threading.Thread, "start", no_thread, "can't start new thread"),
        (socket, "create_server", no_socket, "Too many open files"),
        (socket, "socketpair", no_socket, "Too many open files"),
        (os, "mkdir", full, "No space left"),
        *([(os, "fdopen", file_on_a_full_disk, "No space left")] if Path("/dev/full").exists() else []),
    ):
        with monkeypatch.context() as limit:
            limit.setattr(target, name, broken)
            with pytest.raises(DeliveryError, match=said):
                endpoint.start()
        assert [] == list(temporary.iterdir()), name
        assert set() == room._all - before, name
        assert 200 == Client(endpoint.start()).ask().status
        endpoint.stop()


def test_an_endpoint_that_has_died_is_started_anew(endpoint):
    """Whatever ended its thread."""
    endpoint.start()
    endpoint._serving.token = ""
    endpoint._serving._wake()
    endpoint._serving._thread.join(5)
    assert not endpoint.keep_file()
    assert 200 == Client(endpoint.start()).ask().status
