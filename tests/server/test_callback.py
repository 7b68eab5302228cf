"""The callback page in a real Jupyter server, with real kernels: the way of a code, and every way that is refused."""

import json
import secrets
import time
from datetime import timedelta

import pytest

from jupyter_federation.mailbox import Mailbox

pytestmark = pytest.mark.slow  # a server takes seconds to start
MINUTE = timedelta(minutes=1)
CODE = "code-" + secrets.token_hex(16)

WAITING_CELL = """
import time, datetime
from jupyter_federation.mailbox import Mailbox
mailbox = Mailbox.default()
with mailbox.expect({state!r}, lifetime=datetime.timedelta(minutes=1)) as expectation:
    print(mailbox.redirect_uri(), flush=True)
    while (answer := expectation.collect()) is None:
        time.sleep(0.1)
print(answer == {{"code": {code!r}, "state": {state!r}, "iss": "https://idp.example"}}, answer)
"""


@pytest.fixture
def state():
    return "state-" + secrets.token_urlsafe(32)


@pytest.fixture
def waiting(server, state):
    """A kernel (this process) that waits for ``state``."""
    with Mailbox.default().expect(state, lifetime=MINUTE) as expectation:
        yield expectation


def test_a_code_arrives_while_a_cell_waits(server, state):
    """The kernel's one thread is busy in its cell, and has the code within a second of the redirect."""
    with server.kernel() as kernel:
        kernel.start(WAITING_CELL.format(state=state, code=CODE))
        assert f"{server.url}jupyter-federation/callback" == kernel.printed()
        before = time.monotonic()
        answer = server.callback(code=CODE, state=state, iss="https://idp.example", session_state="x")
        printed = kernel.printed()
        took = time.monotonic() - before
    assert (200, True) == (answer.status, "You can close this page" in answer.text)
    assert "True {'code': '***', 'state': '***', 'iss': '***'}" == printed
    assert took < 1


def test_the_page_keeps_and_gives_away_nothing(server, waiting, state):
    """No script, no frame, no cache, no referrer, and neither code nor state in the page."""
    answer = server.callback(code=CODE, state=state)
    policy = answer.headers["Content-Security-Policy"]
    assert ("no-store", "no-referrer") == (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"])
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert not [part for part in ("<script", CODE, state) if part in answer.text]


def test_without_the_login_nothing_is_delivered(server, waiting, state):
    """The browser is sent to Jupyter's login page, whose address holds no code; after the login it is delivered."""
    answer = server.callback(login=False, code=CODE, state=state)
    assert (302, None) == (answer.status, waiting.collect())
    assert "/lab-of-ada/login?next=%2Flab-of-ada%2Fjupyter-federation%2Fcallback" == answer.headers["Location"]
    assert ("no-store", "no-referrer") == (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"])
    cookie, _, attributes = answer.headers["Set-Cookie"].partition("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/lab-of-ada/jupyter-federation/callback"} == set(attributes.split("; "))
    assert 302 == server.callback(login=False, headers={"Cookie": cookie}).status
    assert waiting.collect() is None
    assert 404 == server.callback(headers={"Cookie": cookie[:-1] + "0"}).status  # not what this server signed
    after_login = server.callback(headers={"Cookie": cookie})
    assert (200, CODE) == (after_login.status, waiting.collect()["code"])
    cleared = [line for line in after_login.headers.get_all("Set-Cookie") if line.startswith("jupyter-federation-")]
    assert ['jupyter-federation-answer=""'] == [line.partition(";")[0] for line in cleared]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("login", [True, False])
def test_other_methods_are_refused(server, waiting, state, method, login):
    """Only the query of a GET is an answer."""
    answer = server.callback(method, login=login, code=CODE, state=state)
    assert answer.status in {302, 403, 405} if method == "HEAD" else {403, 405}
    assert waiting.collect() is None


def test_a_cross_origin_post_is_refused(server, waiting, state):
    """form_post from another site, with the login cookie that a browser would add."""
    cookie = server.request("GET", f"?token={server.token}", login=False).headers["Set-Cookie"].partition(";")[0]
    headers = {
        "Origin": "https://evil.example",
        "Cookie": cookie,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert 200 == server.request("GET", "api/kernels", login=False, Cookie=cookie).status  # it is a login
    answer = server.callback("POST", login=False, headers=headers, body=f"code={CODE}&state={state}")
    assert answer.status in {403, 404, 405}
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert waiting.collect() is None


def test_a_second_delivery_is_refused(server, waiting, state):
    """The page says so, and the first answer stands."""
    assert 200 == server.callback(code=CODE, state=state).status
    again = server.callback(code="another", state=state)
    assert (404, True) == (again.status, "No notebook waits" in again.text)
    assert CODE == waiting.collect()["code"]


def test_what_the_provider_says_is_escaped(server, waiting, state):
    """error_description is text, for the page and for the kernel."""
    said = '<script>alert(1)</script>"&{0}'
    answer = server.callback(error="access_denied", error_description=said, state=state)
    assert (200, True) == (answer.status, "You are not signed in" in answer.text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;{0}" in answer.text
    assert "<script" not in answer.text
    assert said == waiting.collect()["error_description"]


def test_a_link_that_nobody_waits_for_shows_nothing_of_itself(server):
    """Whoever makes up a link cannot speak to the person through the page."""
    answer = server.callback(error="x", error_description="Call this number", state="made-up")
    assert (404, False) == (answer.status, "number" in answer.text)


@pytest.mark.parametrize("query", ["code=%ff&state=STATE", "code=a&code=b&state=STATE", "state=STATE", ""])
def test_what_is_no_answer_is_refused(server, waiting, state, query):
    """Not UTF-8, twice the same, half of it: the expectation stays."""
    path = f"jupyter-federation/callback?{query.replace('STATE', state)}"
    assert 404 == server.request("GET", path).status
    assert waiting.collect() is None
    assert 200 == server.callback(code=CODE, state=state).status


def test_a_kernel_of_another_version_is_said_on_the_page(server, waiting, state):
    """The person reads which side to upgrade."""
    waiting.pending.write_text(waiting.pending.read_text().replace('"protocol": 1', '"protocol": 2'))
    answer = server.callback(code=CODE, state=state)
    assert (409, True) == (answer.status, "The kernel that waits has a version" in answer.text)


FAILING = """
from jupyter_federation.mailbox import Mailbox
from jupyter_server.auth import Authorizer

class Some(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return "X-Guest" not in handler.request.headers

def deliver(self, parameters):
    raise ZeroDivisionError(parameters["code"])

Mailbox.deliver = deliver
c.ServerApp.authorizer_class = Some
"""


def test_each_failure_has_words_of_its_own(start_server, state, isolated_home):
    """Whoever may not, what failed here, and what is no way back at all; nothing of the query in any."""
    config = isolated_home / "jupyter_config_dir" / "jupyter_server_config.py"
    config.parent.mkdir(exist_ok=True)
    config.write_text(FAILING)
    server = start_server("failing")
    guest = server.callback(code=CODE, state=state, headers={"X-Guest": "yes"})
    assert (403, True) == (guest.status, "You may not sign in here" in guest.text)
    failed = server.callback(code=CODE, state=state)
    assert (500, True) == (failed.status, "The sign-in did not reach the notebook" in failed.text)
    posted = server.callback("POST", code=CODE, state=state)
    assert (True, True) == (posted.status in {403, 405}, "This is not the way back" in posted.text)
    assert CODE not in guest.text + failed.text + posted.text
    server.stop()
    assert "failed with ZeroDivisionError" in server.said()
    assert CODE not in server.said()


def test_the_log_holds_neither_code_nor_state(start_server, state):
    """DEBUG, with and without login, refused and failing; the control finds a parameter that is not masked."""
    server = start_server("logged")
    mailbox = Mailbox.default()
    with mailbox.expect(state, lifetime=MINUTE) as waiting:
        for method in ("GET", "POST", "PUT", "HEAD"):
            for login in (False, True):
                server.callback(method, login=login, code=CODE, state=state, iss="plain-to-see")
        assert CODE == waiting.collect()["code"]
    login = server.callback(login=False, code=CODE, state=state).headers["Location"]
    for method in ("GET", "POST"):
        server.request(method, login.removeprefix("/lab-of-ada/"), login=False, Referer=f"http://localhost{login}")
    server.request("GET", f"jupyter-federation/callback?code=%ff{CODE}&state={state}")
    server.request("GET", f"jupyter-federation/callback/more?code={CODE}&state={state}")
    mailbox.directory.rename(mailbox.directory.with_name("away"))
    mailbox.directory.write_text("in the way")
    assert 503 == server.callback(code=CODE, state=state).status
    mailbox.directory.unlink()
    server.stop()
    said = server.said()
    assert "plain-to-see" in said
    assert "/login?next=" in said
    assert [] == [line for line in said.splitlines() if CODE in line or state in line]


def test_two_servers_of_one_user(start_server, state):
    """Each kernel has its own server's address; either takes the answer; what stops is gone, and leaves nothing."""
    servers = one, two = start_server("one"), start_server("two")
    for server in servers:
        with server.kernel() as kernel:
            kernel.start("from jupyter_federation.mailbox import Mailbox; print(Mailbox.default().redirect_uri())")
            assert f":{server.url.split(':')[2]}jupyter-federation/callback" in kernel.printed()
    mailbox = Mailbox.default()
    assert ":" + two.url.split(":")[2] in mailbox.redirect_uri()  # of the two, the one that was started last
    with mailbox.expect(state, lifetime=MINUTE) as waiting:
        assert 200 == one.callback(code=CODE, state=state).status
        assert 404 == two.callback(code=CODE, state=state).status
        assert CODE == waiting.collect()["code"]
    two.stop()
    assert ":" + one.url.split(":")[2] in mailbox.redirect_uri()
    one.stop()
    assert mailbox.redirect_uri() is None
    assert [] == list(mailbox.directory.iterdir())


def test_the_administrators_address_is_announced(start_server, isolated_home):
    """Behind a proxy, the setting says what browsers see."""
    address = "https://notebooks.example.org/ada/jupyter-federation/callback"
    config = isolated_home / "jupyter_config_dir" / "jupyter_server_config.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps({"SignInCallback": {"redirect_uri": address}}))
    start_server("proxied")
    assert address == Mailbox.default().redirect_uri()
