"""Each rung, from a person's browser to a bucket of the strict AWS, and which of them are there."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta, timezone

import boto3
import pytest
from openid_clients import both
from people import behind

from jupyter_federation.demo.loopback import Fault, Response
from jupyter_federation.errors import (
    ConfigurationError,
    InvalidTokenError,
    LoginFailedError,
    LoginRequiredError,
    SourceUnavailableError,
)
from jupyter_federation.offer import Offer
from jupyter_federation.openid.sign_in import OpenIdSignIn
from jupyter_federation.sign_in import browser as browser_rung
from jupyter_federation.sign_in.device_code import DeviceCodeRung
from jupyter_federation.sign_in.receiver import taken
from jupyter_federation.sign_in.rung import DeviceCode
from jupyter_federation.tokens import IdToken

LADDER = {
    "browser": ({}, {}),
    "paste": ({"no_browser": True}, {}),
    "paste, elsewhere": ({}, {"here": False}),
    "device code": ({"use_device_code": True}, {}),
}


@both
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
    for said in (provider.issuer, "notebook", "The offer stands "):
        assert said in text
        assert said in html


@both
def test_the_window_that_was_opened_says_that_it_can_be_closed(kernel, person):
    """And keeps the code out of its address bar."""
    kernel.federate(prompt=person)
    assert "You can close this window" in person.pages[0]
    assert "history.replaceState" in person.pages[0]


@both
def test_the_pasted_address_is_asked_for_as_a_secret_and_nothing_listens(kernel, person):
    """It holds a code."""
    kernel.federate(prompt=person, no_browser=True)
    assert "neither shown nor saved" in person.questions[0]
    with pytest.raises(OSError, match="refused"):
        person.follow(person.redirects[0])


@both
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


@both
def test_taken_ports_lead_to_the_next_rung_with_the_reason(kernel, person, provider):
    """Not to the paste: another notebook would get its answer.  The person reads which ports, and what to do."""
    provider.device_interval = 1
    with browser_rung.Receiver() as one, browser_rung.Receiver() as two:
        kernel.options = {"redirect_ports": (one.port, two.port)}
        assert "valid" == kernel.federate(prompt=person).credentials
    text, html = person.shown[0]
    assert text.count(f"cannot come to port {one.port} or {two.port} of 127.0.0.1: they are taken") == 2
    assert "often by another notebook that waits for a sign-in" in html
    assert "The code is " in text
    assert [] == person.questions == person.redirects


def test_of_several_ports_the_paste_takes_one_on_which_nothing_listens(kernel, person):
    """Or another notebook's sign-in would meet ours."""
    with browser_rung.Receiver() as one, browser_rung.Receiver() as two:
        free = two.port
        two.__exit__(None, None, None)
        kernel.options = {"redirect_ports": (one.port, free)}
        kernel.federate(prompt=person, no_browser=True)
    assert f"127.0.0.1:{free}/" in person.redirects[0]


def test_what_listens_beside_the_kernel_is_nothing_to_a_browser_elsewhere(kernel, person):
    """The port in the pasted address is that of the browser's machine."""
    with browser_rung.Receiver() as other:
        kernel.options = {"here": False, "redirect_ports": (other.port,)}
        person.follow = lambda redirect: None
        assert "valid" == kernel.federate(prompt=person, no_browser=True).credentials
    assert f"127.0.0.1:{other.port}/" in person.redirects[0]


def test_without_a_port_to_be_had_it_is_said_so():
    """No number is to blame then."""
    assert "Nothing can listen on 127.0.0.1" in str(taken(()))
    assert "port 80 of 127.0.0.1: it is taken, " in str(taken((80,)))
    assert "--redirect-port PORT" in str(taken((80,)))


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
    with pytest.raises(ConfigurationError, match=r"what was asked for is paste.*Leave --no-browser"):
        kernel.federate(prompt=person, no_browser=True)
    with pytest.raises(ConfigurationError, match="what was asked for is token"):
        kernel.federate(prompt=person, token_prompt=True)
    assert "valid" == kernel.federate(prompt=person).credentials


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("JUPYTER_FEDERATION_SERVER", "No Jupyter server with the sign-in callback is running"),
        ("JUPYTER_RUNTIME_DIR", "comes from the Jupyter server cannot be used: File name too long"),
    ],
)
def test_a_mailbox_that_cannot_be_looked_at_is_in_nobody_s_way(kernel, person, monkeypatch, variable, said):
    """But in that of the sign-in through the Jupyter server, which says so and lets the next way follow."""
    monkeypatch.setenv(variable, "/" + 300 * "x" + "/y")
    kernel.options = {"here": False}
    assert "valid" == kernel.federate(prompt=person).credentials
    assert said in " ".join(person.offers[-1].steps)


@pytest.mark.parametrize("asked", ["no_browser", "use_device_code"])
def test_a_way_that_is_not_allowed_is_not_swapped_for_another(kernel, person, provider, asked):
    """Asked for a code, nobody is shown a field for a token."""
    kernel.options = {"allowed": ("browser", "token")}
    with pytest.raises(ConfigurationError, match="by browser or token alone"):
        kernel.federate(prompt=person, **{asked: True})
    assert [] == person.shown == provider.calls


def test_a_policy_that_allows_nothing_says_so(kernel, person):
    """As a sentence."""
    kernel.options = {"allowed": (), "allowed_by": "/etc/jupyter/policy.json"}
    with pytest.raises(ConfigurationError, match=r"allows no way of signing in \(/etc/jupyter/policy.json\)"):
        kernel.federate(prompt=person)


FAILING = {  # how it was tried, what the policy allows, and what is offered next
    "browser": ({}, None, "%federate research --no-browser."),
    "browser, without the paste": ({}, ("browser", "device-code"), "%federate research --use-device-code."),
    "browser, the token left": ({}, ("browser", "token"), "%federate research --token-prompt."),
    "browser alone": ({}, ("browser",), None),
    "paste": ({"no_browser": True}, None, "%federate research --use-device-code."),
    "device code": ({"use_device_code": True}, None, "%federate research --token-prompt."),
    "token": ({"token_prompt": True}, None, None),
}


@both
@pytest.mark.parametrize("way", FAILING)
def test_a_rung_that_fails_offers_the_next_that_is_allowed(kernel, person, provider, way):
    """As a line that can be typed, with the profile's name in it; the last has nothing to offer."""
    manner, allowed, offered = FAILING[way]
    provider.device_interval, person.user, person.brings = 1, "", " "
    kernel.options = {"allowed": allowed}
    with pytest.raises(LoginFailedError, match="access_denied" if way != "token" else "No token was pasted") as failed:
        kernel.federate(prompt=person, **manner)
    assert failed.value.fix.partition(" Or another way: ")[2] == (offered or "")


WAYS_BACK = {
    "%federate research": "%federate research --no-browser",
    "your %federate line": "your %federate line with --no-browser",
    "jf.session('prod')": None,
}


@both
@pytest.mark.parametrize("way_back", WAYS_BACK)
def test_what_to_run_is_what_leads_back_to_this_identity(make_source, person, provider, way_back):
    """In the offer, in a failure, after a refusal: a bare %federate would sign in to the default profile."""
    instead, source = WAYS_BACK[way_back], make_source(way_back=way_back)
    source.login(person)
    assert (instead is None) == ("--no-browser" not in person.shown[0][0])
    assert instead is None or f"cancel the sign-in and run {instead}." in person.shown[0][0]
    provider.revoke_all()
    with pytest.raises(LoginRequiredError) as ended:
        source._renew(source._grant)
    assert f"Run {way_back} to sign in again." == ended.value.fix
    person.user = ""
    with pytest.raises(LoginFailedError) as denied:
        source.login(person)
    other = "" if instead is None else f" Or another way: {instead}."
    assert denied.value.fix.endswith(f"Run {way_back} to try again.{other}")
    source.forget()
    with pytest.raises(LoginRequiredError) as nobody:
        source.token()
    said = " ".join(map(str, (ended.value, denied.value, nobody.value)))
    assert "%federate" not in said.replace(instead or way_back, "").replace(way_back, "")


def test_another_identity_s_failure_leads_back_to_it(kernel, person):
    """Not to the notebook's own, which would be replaced."""
    person.user = ""
    with pytest.raises(LoginFailedError, match=r"Run jf\.session\('research'\) to try again\.$"):
        kernel.session("research", prompt=person)


def test_a_browser_that_does_not_open_is_said(kernel, person):
    """The address was there before, and the person opens it themselves."""
    person.opens = False

    def read(text):
        if "No browser could be opened" in text:
            person.opens = True
            person.open(person.offers[-1].address)

    person.read = read
    assert "valid" == kernel.federate(prompt=person).credentials
    assert "A browser window opens on this machine." in person.shown[0][0]
    assert person.offers[0].address == person.offers[1].address


def test_an_answer_without_a_code_is_a_sentence(make_source, person):
    """Pasted with everything else that belongs into it."""
    person.amend = lambda query: {name: value for name, value in query.items() if name != "code"}
    with pytest.raises(LoginFailedError, match="holds no code"):
        make_source(no_browser=True).login(person)


@both
def test_a_token_that_is_pasted_signs_in_at_the_profile_s_provider(kernel, person, provider, aws):
    """It is asked for as a secret, costs no token request, and is not renewable, which is said once."""
    person.brings = f"  {provider.id_token('ada')}\n"
    status = kernel.federate(prompt=person, token_prompt=True)
    boto3.client("sts").get_caller_identity()
    assert ("valid", "not_renewable", provider.issuer) == (status.credentials, status.sign_in, status.provider)
    assert (0, 1) == (provider.count("token"), aws.count("AssumeRoleWithWebIdentity"))
    assert ["Paste the token (it is neither shown nor saved): "] == person.questions
    assert ["nothing renews it" in line for line in str(status).splitlines()].count(True) == 1
    assert "gave no refresh token" not in str(status)
    assert None is kernel.sources[0]._grant.held.refresh_token
    text, html = person.shown[0]
    assert all(said in text and said in html for said in (provider.issuer, "notebook", "Nothing renews it"))
    assert "<a " not in html


PASTED = {
    "another issuer's": ({"iss": "https://elsewhere.example"}, "names the issuer https://elsewhere.example"),
    "another client's": ({"aud": "other"}, "is for the client other, not for notebook"),
    "given to another": ({"azp": "other"}, r"was given to other \(azp\)"),
    "of several": ({"aud": ["notebook", "other"]}, r"one of several clients \(azp\)"),
    "expired": ({"exp": 1_700_000_000}, "expired at 2023-11-14"),
    "of the future": ({"iat": int(time.time()) + 3600}, "minutes in this machine's future"),
    "without a time": ({"iat": None}, "lacks one of iss, sub, aud, exp and iat"),
}


@both
@pytest.mark.parametrize("case", PASTED)
def test_a_token_that_is_pasted_gets_the_checks_of_any(make_source, person, provider, case):
    """Nothing is held afterwards, and the blame is where it belongs: on what was pasted."""
    claims, said = PASTED[case]
    person.brings = provider.id_token("ada", **claims)
    source = make_source(token_prompt=True)
    with pytest.raises(InvalidTokenError, match=said) as refused:
        source.login(person)
    assert "gave" not in str(refused.value)
    assert None is source._grant


@both
def test_a_pasted_token_has_no_nonce_to_match(make_source, person, provider):
    """It belongs to whatever sign-in it was made for; one that has a nonce is as good."""
    person.brings = provider.id_token("ada", nonce="of somewhere else")
    assert "ada@example.org" == make_source(token_prompt=True).login(person).name


@both
def test_what_is_pasted_and_is_no_id_token_is_refused_without_being_shown(make_source, person):
    """An access token that names nobody cannot be checked."""
    person.brings = "opaque-access-token"
    with pytest.raises(InvalidTokenError, match="The token that was pasted lacks") as refused:
        make_source(token_prompt=True).login(person)
    assert "opaque" not in str(refused.value)
    assert "Paste the ID token" in refused.value.fix


@both
def test_a_pasted_token_lasts_no_longer_than_the_policy_lets_it(make_source, person, provider):
    """max_session_hours counts from the sign-in, however it was done."""
    person.brings = provider.id_token("ada", lifetime=timedelta(hours=9))
    source = make_source(token_prompt=True, longest=timedelta(hours=1))
    source.login(person)
    assert timedelta(minutes=59) < source.renew_at - datetime.now(timezone.utc) <= timedelta(hours=1)


@pytest.mark.slow
def test_nobody_comes_back_from_the_browser(make_source, person):
    """The wait ends, and shows life until then."""
    rung = browser_rung.BrowserRung(open_browser=lambda address: True, patience=timedelta(seconds=2))
    sign_in = OpenIdSignIn(make_source()._client)
    with pytest.raises(LoginFailedError, match=r"Nobody signed in .* within 2 s"):
        rung.climb(sign_in, person)
    assert 2 == len(person.waits)


@both
def test_an_interrupt_leaves_nothing_behind(kernel, person):
    """Neither a receiver nor a sign-in."""
    listening = []

    def interrupt(address):
        listening.append(behind(address))
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


@both
@pytest.mark.slow
def test_a_code_that_nobody_types_expires(make_source, person, provider, monkeypatch):
    """With a sentence, and after no more polls than the provider wants."""
    provider.device_interval = 1
    person.type_code = lambda text: None
    monkeypatch.setattr("jupyter_federation.demo.identity_provider._DEVICE_CODE_LIFETIME", timedelta(seconds=2))
    with pytest.raises(LoginFailedError, match="expired"):
        make_source(use_device_code=True).login(person)


@both
def test_polling_slows_down_when_told_and_survives_an_outage(make_source, person, provider):
    """slow_down, then a dropped connection, then the tokens."""
    pauses = []
    provider.device_interval = 1
    slow = b'{"error": "slow_down"}'
    provider.inject("token", Fault(response=Response(status=400, body=slow)))
    provider.inject("token", Fault(response=Response(status=503)))
    sign_in = OpenIdSignIn(make_source()._client)
    tokens = DeviceCodeRung(pause=pauses.append).climb(sign_in, person)
    assert "ada@example.org" == IdToken.parse(tokens.id_token).name
    assert [1.0, 6.0, 12.0] == [sum(pauses[:1]), sum(pauses[1:7]), sum(pauses[7:])]


def test_an_outage_makes_no_polling_quicker_than_the_provider_wants_it(make_source, person, provider, monkeypatch):
    """However long the interval is that it gave."""
    pauses = []
    monkeypatch.setattr(provider, "device_interval", 90)
    provider.inject("token", Fault(response=Response(status=503)))
    assert DeviceCodeRung(pause=pauses.append).climb(OpenIdSignIn(make_source()._client), person)
    assert 180 == sum(pauses)


@both
@pytest.mark.parametrize("other", [{}, {"use_device_code": True}, {"token_prompt": True}])
def test_the_way_in_is_not_part_of_the_identity(kernel, person, provider, other):
    """Signed in by pasting, a %federate that would do it otherwise changes nothing and asks nobody."""
    kernel.federate(prompt=person, no_browser=True)
    calls = len(provider.calls)
    assert "Already signed in" in kernel.federate(prompt=person, **other).happened
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


@both
@pytest.mark.slow
def test_a_device_code_that_is_refused_is_a_failed_sign_in(make_source, person, provider):
    """access_denied, as the provider says it."""
    provider.device_interval, person.user = 1, ""
    with pytest.raises(LoginFailedError, match="access_denied"):
        make_source(use_device_code=True).login(person)


@both
@pytest.mark.parametrize("status", [400, 503])
def test_a_provider_that_is_down_is_no_client_to_be_allowed(make_source, person, provider, status):
    """At the device endpoint as anywhere: it passes by itself."""
    fault = Response(status=status, body=b'{"error": "temporarily_unavailable"}')
    provider.inject("device_authorization", Fault(response=fault))
    with pytest.raises(SourceUnavailableError):
        make_source(use_device_code=True).login(person)


@pytest.fixture
def without_device_codes(provider):
    """A provider that has none."""
    without = provider._discovery(None).body.replace(b"device_authorization_endpoint", b"x")
    provider.inject("discovery", Fault(response=Response(body=without)))


@both
@pytest.mark.usefixtures("without_device_codes")
def test_a_provider_without_device_codes_is_out_of_reach(make_source, person):
    """The message says what is missing, and how a token may come in otherwise."""
    with pytest.raises(LoginFailedError, match=r"does not sign in by a device code.*--token-file"):
        make_source(use_device_code=True, allowed=("device-code",)).login(person)


@both
@pytest.mark.usefixtures("without_device_codes")
def test_where_there_is_no_other_way_a_token_is_asked_for_with_the_reason(make_source, person, provider):
    """The last rung is one like the others."""
    person.brings = provider.id_token("ada")
    assert "ada@example.org" == make_source(use_device_code=True).login(person).name
    assert "does not sign in by a device code" in person.shown[0][0]


def test_the_markup_escapes_what_a_provider_says():
    """And names a link and a button."""
    offer = Offer(issuer="<i>", client_id='"c"', steps=("a & b",), address="https://x.example/?a=1&b=2", code="A'B")
    assert "<i>" not in offer.html()
    assert 'href="https://x.example/?a=1&amp;b=2" target="_blank"' in offer.html()
    assert "document.execCommand('copy')" in offer.html()  # there over plain http, too
    assert ">A&#x27;B</code>" in offer.html()


class Unanswered:
    """A provider that is away while a device code waits to be typed."""

    issuer, client_id = "https://idp.example", "notebook"

    def __init__(self, seconds, interval):
        self.seconds, self.interval = seconds, interval

    def device_code(self):
        end = datetime.now(timezone.utc) + timedelta(seconds=self.seconds)
        interval = timedelta(seconds=self.interval)
        return DeviceCode(code="c", user_code="u", address=self.issuer, expires_at=end, interval=interval)

    def poll(self, device_code):
        raise SourceUnavailableError("Away.", fix="Wait.")


def test_a_device_code_is_not_waited_for_beyond_its_end(person):
    """However long the interval has become."""
    person.type_code = lambda text: None
    waited = []
    with pytest.raises(LoginFailedError, match="before it expired"):
        DeviceCodeRung(pause=lambda seconds: (waited.append(seconds), time.sleep(seconds))).climb(
            Unanswered(0.3, 3600), person
        )
    assert sum(waited) < 1


def test_an_outage_makes_nobody_wait_longer_than_a_minute_for_the_next_poll(person, monkeypatch):
    """Doubled without end, a short one would cost the rest of the code's life."""
    person.type_code = lambda text: None
    polls, passed = [], []

    class Answers(Unanswered):
        def poll(self, device_code):
            polls.append(sum(passed))
            return "tokens" if len(polls) == 8 else super().poll(device_code)

    assert "tokens" == DeviceCodeRung(pause=passed.append).climb(Answers(3600, 5), person)
    assert 60 == round(max(after - before for before, after in itertools.pairwise(polls)))
