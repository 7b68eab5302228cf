"""Each rung, from a person's browser to a bucket of the strict AWS, and which of them are there."""

from __future__ import annotations

import time
from datetime import timedelta

import boto3
import pytest

from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import ConfigurationError, LoginFailedError, LoginRequiredError
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in import browser as browser_rung
from jupyter_federation.sign_in.device_code import DeviceCodeRung
from jupyter_federation.tokens import IdToken

LADDER = {
    "browser": ({}, {}),
    "paste": ({"no_browser": True}, {}),
    "paste, elsewhere": ({}, {"here": False}),
    "device code": ({"use_device_code": True}, {}),
}


@pytest.mark.parametrize("way", LADDER)
def test_every_rung_signs_in_and_lists_a_bucket(kernel, provider, person, aws, way):
    """One token request, one exchange, and boto3 works; the offer named issuer, client and its end."""
    provider.device_interval = 1
    options, kernel.options = LADDER[way]
    status = kernel.federate(prompt=person, **options)
    boto3.client("sts").get_caller_identity()
    assert ("valid", "ok", provider.issuer) == (status.credentials, status.sign_in, status.provider)
    assert (1, 1) == (
        sum(call.operation == "token" and call.status == 200 for call in provider.calls),
        aws.count("AssumeRoleWithWebIdentity"),
    )
    text, html = person.shown[0]
    for said in (provider.issuer, "notebook", "The offer stands until"):
        assert said in text
        assert said in html


def test_the_window_that_was_opened_says_that_it_can_be_closed(kernel, person):
    """And keeps the code out of its address bar."""
    kernel.federate(prompt=person)
    assert "You can close this window" in person.pages[0]
    assert "history.replaceState" in person.pages[0]


def test_the_pasted_address_is_asked_for_as_a_secret_and_nothing_listens(kernel, person):
    """It holds a code."""
    kernel.federate(prompt=person, no_browser=True)
    assert "neither shown nor saved" in person.questions[0]
    with pytest.raises(OSError, match="refused"):
        person.follow(person.redirects[0])


def test_without_a_person_and_without_a_browser_it_ends_within_a_second(kernel, person, provider):
    """With the way out, and without a single request to the provider."""
    kernel.options, person.reaches_somebody = {"here": False}, False
    began = time.monotonic()
    with pytest.raises(LoginRequiredError, match=r"nobody can be asked here.*--token-file"):
        kernel.federate(prompt=person)
    assert time.monotonic() - began < 1
    assert [] == provider.calls


def test_without_a_person_no_browser_is_opened_either(kernel, person, provider):
    """A scheduled notebook on somebody's desktop opens no window and waits for nobody."""
    person.reaches_somebody = False
    with pytest.raises(LoginRequiredError, match="nobody can be asked here"):
        kernel.federate(prompt=person)
    assert [] == person.redirects == provider.calls


def test_a_taken_port_leads_to_the_next_rung(kernel, person):
    """A rung that cannot begin gives way by itself."""
    with browser_rung.Receiver() as other:
        kernel.options = {"redirect_ports": (other.port,)}
        assert "valid" == kernel.federate(prompt=person).credentials
    assert len(person.questions) == 1


def test_of_several_ports_the_first_that_is_free_is_taken(kernel, person):
    """Okta and Auth0 match ports exactly."""
    with browser_rung.Receiver() as one, browser_rung.Receiver() as two:
        free = two.port
        two.__exit__(None, None, None)
        kernel.options = {"redirect_ports": (one.port, free)}
        kernel.federate(prompt=person)
    assert f"127.0.0.1:{free}/" in person.redirects[0]


def test_the_policy_decides_which_rungs_exist(kernel, person):
    """What it does not allow cannot be asked for, and the message names the policy."""
    kernel.options = {"allowed": ("browser",), "allowed_by": "/etc/jupyter/policy.json"}
    with pytest.raises(ConfigurationError, match=r"by browser alone \(/etc/jupyter/policy.json\)"):
        kernel.federate(prompt=person, use_device_code=True)
    with pytest.raises(ConfigurationError, match="paste or device-code"):
        kernel.federate(prompt=person, no_browser=True)
    assert "valid" == kernel.federate(prompt=person).credentials


def test_a_rung_that_fails_offers_the_next_that_is_allowed(kernel, person):
    """Paste after the browser, the device code where the policy leaves that out."""
    person.user = ""
    with pytest.raises(LoginFailedError, match=r"access_denied.*%federate --no-browser"):
        kernel.federate(prompt=person)
    kernel.options = {"allowed": ("browser", "device-code")}
    with pytest.raises(LoginFailedError, match=r"access_denied.*%federate --use-device-code"):
        kernel.federate(prompt=person)


def test_nobody_comes_back_from_the_browser(make_source, person):
    """The wait ends, and shows life until then."""
    rung = browser_rung.BrowserRung(open_browser=lambda address: True, patience=timedelta(seconds=2))
    sign_in = make_source()._client.begin()
    with pytest.raises(LoginFailedError, match=r"Nobody signed in .* within 2 s"):
        rung.climb(sign_in, person)
    assert 2 == len(person.waits)


def test_an_interrupt_leaves_nothing_behind(kernel, person):
    """Neither a receiver nor a sign-in."""
    listening = []

    def interrupt(address):
        listening.append(address)
        raise KeyboardInterrupt

    person.open = interrupt
    with pytest.raises(KeyboardInterrupt):
        kernel.federate(prompt=person)
    assert "none" == kernel.status().credentials
    with pytest.raises(OSError, match="refused"):
        person.follow(person.redirect_of(listening[0]))


@pytest.mark.parametrize(
    ("environment", "here"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"BROWSER": "code-opens-it"}, True),
        ({"DISPLAY": ":0", "JUPYTERHUB_USER": "ada"}, False),
    ],
)
def test_a_browser_is_here_where_there_is_a_display_and_no_hub(monkeypatch, environment, here):
    """On a server without a display, and on every hub, the browser is elsewhere."""
    monkeypatch.setattr(browser_rung.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "JUPYTERHUB_USER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert here == browser_rung.browser_is_here()


def test_a_code_that_nobody_types_expires(make_source, person, provider, monkeypatch):
    """With a sentence, and after no more polls than the provider wants."""
    provider.device_interval = 1
    person.type_code = lambda text: None
    monkeypatch.setattr("jupyter_federation.demo.identity_provider._DEVICE_CODE_LIFETIME", timedelta(seconds=2))
    with pytest.raises(LoginFailedError, match="expired"):
        make_source(use_device_code=True).login(person)


def test_polling_slows_down_when_told_and_survives_an_outage(make_source, person, provider):
    """slow_down, then a dropped connection, then the tokens."""
    pauses = []
    provider.device_interval = 1
    slow = b'{"error": "slow_down"}'
    provider.inject("token", Fault(response=Response(status=400, body=slow)))
    provider.inject("token", Fault(response=Response(status=503)))
    sign_in = make_source()._client.begin()
    tokens = DeviceCodeRung(pause=pauses.append).climb(sign_in, person)
    assert "ada@example.org" == IdToken.parse(tokens.id_token).name
    assert [1.0, 6.0, 12.0] == [sum(pauses[:1]), sum(pauses[1:7]), sum(pauses[7:])]


def test_the_way_in_is_not_part_of_the_identity(kernel, person, provider):
    """Signed in by pasting, a plain %federate changes nothing and asks nobody."""
    kernel.federate(prompt=person, no_browser=True)
    calls = len(provider.calls)
    assert "Already signed in" in kernel.federate(prompt=person).happened
    assert (calls, 1) == (len(provider.calls), len(person.shown))


def test_a_missing_refresh_token_is_said_at_the_sign_in(kernel, person):
    """Not an hour later: not renewable, with the reason and what to do."""
    kernel.options = {"scopes": ("email",)}
    status = kernel.federate(prompt=person)
    assert "not_renewable" == status.sign_in
    assert "gave no refresh token" in str(status)


@pytest.mark.parametrize("pasted", ["", "no address", "http://127.0.0.1:1/?code=only", "http://[broken?state=a&code=b"])
def test_what_is_pasted_and_is_no_address_is_refused_without_being_shown(make_source, person, pasted):
    """It may hold a code all the same."""
    person.paste = lambda redirect: pasted
    with pytest.raises(LoginFailedError, match="not the address of the last page") as refused:
        make_source(no_browser=True).login(person)
    assert not pasted or pasted not in str(refused.value)


def test_a_device_code_that_is_refused_is_a_failed_sign_in(make_source, person, provider):
    """access_denied, as the provider says it."""
    provider.device_interval, person.user = 1, ""
    with pytest.raises(LoginFailedError, match="access_denied"):
        make_source(use_device_code=True).login(person)


def test_a_provider_without_device_codes_is_out_of_reach(make_source, person, provider, monkeypatch):
    """The message says what is missing, and how a token may come in otherwise."""
    discovery = provider._discovery(None)
    without = discovery.body.replace(b"device_authorization_endpoint", b"x")
    provider.inject("discovery", Fault(response=Response(body=without)))
    with pytest.raises(LoginFailedError, match=r"does not sign in by a device code.*--token-file"):
        make_source(use_device_code=True).login(person)


def test_the_markup_escapes_what_a_provider_says():
    """And names a link and a button."""
    offer = Offer(issuer="<i>", client_id='"c"', steps=("a & b",), address="https://x.example/?a=1&b=2", code="A'B")
    assert "<i>" not in offer.html
    assert 'href="https://x.example/?a=1&amp;b=2" target="_blank"' in offer.html
    assert "navigator.clipboard.writeText(this.dataset.code)" in offer.html
    assert 'data-code="A&#x27;B"' in offer.html
