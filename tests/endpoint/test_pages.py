"""A page in a real Chromium tries everything that a page can do, with the token in hand, and gets nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from chromium import launched, patient
from container_client import KEYS

pytestmark = [pytest.mark.slow, pytest.mark.browser]

REBOUND = "rebound.example"
TRIES = """
async ({address, token}) => {
  const got = {};
  const read = async (name, url, options) => {
    try {
      const answer = await fetch(url, {signal: AbortSignal.timeout(3000), ...options});
      got[name] = `${answer.type} ${answer.status} ${await answer.text()}`;
    } catch (error) { got[name] = String(error); }
  };
  const headers = {Authorization: token};
  await read("plain", address);
  await read("with the token", address, {headers});
  await read("no-cors", address, {mode: "no-cors"});
  await read("no-cors with the token", address, {mode: "no-cors", headers});
  await read("same-origin", address, {mode: "same-origin", headers});
  await read("with cookies", address, {credentials: "include", headers});
  await read("without a referrer", address, {referrerPolicy: "no-referrer", headers});
  await read("POST", address, {method: "POST", mode: "no-cors", body: `Authorization: ${token}`});
  await read("kept alive", address, {keepalive: true, mode: "no-cors"});
  await read("the token as a user", address.replace("//", `//${token}@`));
  const host = new URL(address).host, end = "\\r\\n";
  const smuggled = ["", "", "GET /credentials HTTP/1.1", `Host: ${host}`, `Authorization: ${token}`, "", ""].join(end);
  await read("smuggled", address, {method: "POST", mode: "no-cors", body: smuggled});
  const load = (name, tag, attributes) => new Promise((done) => {
    const element = Object.assign(document.createElement(tag), attributes);
    const end = (event) => { got[name] = `${event.type} ${element.contentDocument?.body?.textContent ?? ""}`; done(); };
    element.onload = element.onerror = end;
    setTimeout(() => end({type: "silent"}), 2000);
    document.body.append(element);
  });
  await load("image", "img", {src: address});
  await load("script", "script", {src: address});
  await load("module", "script", {src: address, type: "module"});
  await load("frame", "iframe", {src: address});
  await load("object", "object", {data: address});
  await load("prefetch", "link", {rel: "prefetch", href: address});
  const sink = Object.assign(document.createElement("iframe"), {name: "sink"});
  document.body.append(sink);
  for (const method of ["GET", "POST"]) {
    const form = Object.assign(document.createElement("form"),
      {action: address, method, target: "sink", enctype: "text/plain"});
    form.append(Object.assign(document.createElement("input"), {name: "Authorization", value: token}));
    document.body.append(form);
    await new Promise((done) => { sink.onload = done; setTimeout(done, 2000); form.submit(); });
    try { got[`form ${method}`] = sink.contentDocument?.body?.textContent ?? "closed"; }
    catch (error) { got[`form ${method}`] = String(error); }
  }
  got.beacon = String(navigator.sendBeacon(address, token));
  const open = (name, make) => new Promise((done) => {
    try {
      const made = make();
      made.onmessage = (event) => { got[name] = event.data; done(); };
      made.onerror = made.onclose = () => { got[name] = "error"; done(); };
      setTimeout(() => { got[name] ??= "silent"; made.close(); done(); }, 2000);
    } catch (error) { got[name] = String(error); done(); }
  });
  await open("events", () => new EventSource(address));
  await open("socket", () => new WebSocket(address.replace("http", "ws")));
  return got;
}
"""


class Page(BaseHTTPRequestHandler):
    """An empty page, at any address."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page</title><body></body>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    """Where the page comes from."""
    server = HTTPServer(("127.0.0.1", 0), Page)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server.server_port
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture(scope="module")
def rebinding_chromium():
    """A browser for which a name of the page's owner leads here, without its own guard over this machine's ports."""
    unguarded = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
    with launched(REBOUND, flags=(unguarded,)) as browser:
        yield browser


def nothing_of(got):
    return not [name for name, text in got.items() if any(value in text for value in KEYS.values())]


@pytest.mark.parametrize("origin", ["127.0.0.1", "localhost", REBOUND])
@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", REBOUND])
def test_a_page_gets_nothing(rebinding_chromium, site, client, holding, origin, target):  # noqa: PLR0917
    """Scripts, forms, images, frames and sockets; also one whose name was rebound, which is then of one origin."""
    tab = patient(rebinding_chromium.new_page())
    tab.goto(f"http://{origin}:{site}/")
    address = f"http://{target}:{client.port}/credentials"
    got = tab.evaluate(TRIES, {"address": address, "token": client.token})
    tab.close()
    assert len(got) > 20
    assert nothing_of(got), got
    assert 0 == holding.reads, got
    assert 200 == client.ask().status


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", REBOUND])
def test_a_page_of_the_endpoint_s_own_origin_gets_nothing(rebinding_chromium, client, holding, target):
    """As after a rebinding of the name: the browser sees one origin, and shows the page every answer."""
    tab = patient(rebinding_chromium.new_page())
    base = f"http://{target}:{client.port}"
    page = "<!doctype html><title>the page from before</title><body></body>"
    tab.route(f"{base}/", lambda route: route.fulfill(body=page, content_type="text/html"))
    tab.goto(f"{base}/")
    got = tab.evaluate(TRIES, {"address": f"{base}/credentials", "token": client.token})
    tab.close()
    assert '"code"' in got["with the token"], "a control: it is of one origin and reads the endpoint's answers"
    assert nothing_of(got), got
    assert 0 == holding.reads, got


def test_a_person_who_opens_the_address_sees_a_refusal(rebinding_chromium, client, holding):
    """A link in a page leads there, or its address is typed."""
    tab = patient(rebinding_chromium.new_page())
    tab.goto(f"http://127.0.0.1:{client.port}/credentials")
    assert "Browsers and proxies get nothing here." in tab.locator("body").inner_text()
    tab.close()
    assert 0 == holding.reads
