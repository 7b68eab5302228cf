"""Signing in from JupyterLab, in a real Chromium, at a provider that the OpenID Foundation has certified.

Each test is a person: they open a notebook of their own, run all cells, do what the offer says, and look at what the
last cell prints.  Afterwards no secret stands in what is left: the saved notebook, the logs at DEBUG, the history.
With JF_ARTEFACTS in the environment, each offer's picture is kept in that directory.
"""

from __future__ import annotations

import json
import sys
import time

import boto3
import pytest
from certified_provider import CertifiedProvider, FormBrowser
from chromium import patient
from openid_clients import TENANT, client_of, is_entra
from people import Person
from secrecy.scanner import Scanner, key_secrets

from jupyter_federation.demo.aws import Role
from jupyter_federation.sign_in.ladder import Ladder, Manner
from jupyter_federation.sources.openid import OpenIdSource

pytestmark = [pytest.mark.slow, pytest.mark.browser]

BY_CODE = {"code", "code_verifier", "state", "nonce", "id_token", "access_token", "refresh_token"}
BUCKET = "observations"
# What BROWSER names: hands the address to the test, which opens it in Chromium.
BROWSER = (
    "import os, sys; open(sys.argv[1] + '.new', 'w').write(sys.argv[2]); os.rename(sys.argv[1] + '.new', sys.argv[1])"
)
LOG_EVERYTHING = """
import logging, os
logging.basicConfig(filename="{log}", level=0, force=True,
                    format="%(name)s %(levelname)s %(threadName)s %(message)s %(args)r")
for name in ("botocore", "boto3", "urllib3", "asyncio", "jupyter_federation", "traitlets", "IPKernelApp", "msal"):
    logging.getLogger(name).setLevel(0)
os.environ["BROWSER"] = {browser!r}
"""
LIST = """
import boto3
print([each["Key"] for each in boto3.client("s3").list_objects_v2(Bucket="observations")["Contents"]])
"""


@pytest.fixture(scope="module", params=[{"path": "/realms/research"}, {"tenant": TENANT}], ids=["any", "Entra"])
def _certified(request, certificates):
    loopback = ("http://127.0.0.1/", "http://localhost")
    callback = "http://127.0.0.1/lab-of-ada/jupyter-federation/callback"
    with CertifiedProvider(certificates, redirect_uris=(*loopback, callback), **request.param) as server:
        yield server


@pytest.fixture
def provider(_certified):
    """Where Ada signs in."""
    _certified.forget()
    return _certified


@pytest.fixture
def aws(_aws, provider):
    """The strict AWS, which knows ``provider``, and a bucket in it."""
    _aws.reset()
    _aws.add(provider.registration)
    _aws.add(Role(name="Researcher", trusts={provider.name: ("notebook",)}))
    administrator = _aws.mint().for_boto3
    s3 = boto3.Session().client("s3", region_name="eu-west-1", endpoint_url=_aws.url, **administrator)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key in ("spring.csv", "autumn.csv"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"curlew,14")
    return _aws


@pytest.fixture
def profile(provider, certificates):
    """The keys of the person's federation profile."""
    where = {"source": "oidc", "issuer": provider.issuer}
    if is_entra(provider):
        where = {"source": "entra", "tenant": TENANT, "authority": provider.url}  # msal speaks to it
    return where | {
        "client_id": "notebook",
        "ca_bundle": str(certificates.ca),
        "role_arn": "arn:aws:iam::123456789012:role/Researcher",
        "region": "eu-west-1",
    }


@pytest.fixture
def federate(open_notebook, lab, aws, profile, tmp_path):
    """``federate(line)``: a notebook that signs in with ``line`` and lists the bucket, begun.

    With ``browser``, the kernel has one: the address that it is told stands in the file ``opened``.
    """
    config = {"Federation": {"default_profile": "research", "profiles": {"research": profile}}}
    (lab.home / "jupyter_config_dir" / "jupyter_federation_config.json").write_text(json.dumps(config))

    def begin(line, *, browser=False):
        told = f'{sys.executable} -c "{BROWSER}" {tmp_path / "opened"} %s' if browser else ""
        setup = LOG_EVERYTHING.format(log=tmp_path / "kernel.log", browser=told)
        notebook = open_notebook(setup, f"%load_ext jupyter_federation\n{line}", LIST)
        notebook.run()
        notebook.offer = notebook.outputs(1).locator(".jf-offer")
        notebook.opened = tmp_path / "opened"
        return notebook

    return begin


def sign_in(tab):
    """What Ada does at the provider: name and password, then consent."""
    tab.get_by_placeholder("Enter any login").fill("ada")
    tab.get_by_placeholder("and password").fill("any")
    tab.get_by_role("button", name="Sign-in").click()
    tab.get_by_role("button", name="Continue").click()


def address_bar(tab):
    """What stands there, also of a page that did not load."""
    history = tab.context.new_cdp_session(tab).send("Page.getNavigationHistory")
    return history["entries"][history["currentIndex"]]["url"]


@pytest.fixture
def check(lab, provider, aws, tmp_path):
    """``check(notebook)``: the bucket was listed, and no secret is anywhere; gives their kinds and the server's log."""
    before = lab.log.stat().st_size

    def check(notebook):
        printed = notebook.outputs(2).locator("pre")
        printed.wait_for()
        assert "['autumn.csv', 'spring.csv']" == printed.inner_text().strip()
        secrets = provider.secrets()
        scanner = Scanner(secrets | key_secrets(aws))
        left = {
            "notebook": notebook.saved(),
            "page": notebook.tab.locator(".jp-Notebook").inner_html(),
            "server's log": lab.log.read_bytes()[before:],  # the kernel's own is in it
            "kernel's log": tmp_path / "kernel.log",
            "history": lab.home / "ipythondir" / "profile_default" / "history.sqlite",
        }
        assert b"[D " in left["server's log"]
        assert b"[IPKernelApp] " in left["server's log"]
        assert "DEBUG" in left["kernel's log"].read_text()
        assert {} == {name: found for name, each in left.items() if (found := scanner.found(each))}
        return {name.partition(" ")[0] for name in secrets}, left["server's log"]

    return check


def test_a_window_on_the_kernels_machine(federate, check):
    """The browser rung: it opens by itself, ends on a page that says so, and the cell goes on."""
    notebook = federate("%federate", browser=True)
    notebook.offer.wait_for()
    while not notebook.opened.exists():
        time.sleep(0.05)
    notebook.picture("browser")
    tab = notebook.tab.context.new_page()
    tab.goto(notebook.opened.read_text())
    sign_in(tab)
    tab.get_by_text("You can close this window").wait_for()
    notebook.picture("browser-last-page", tab)
    assert "?" not in address_bar(tab)
    kinds, _ = check(notebook)
    assert BY_CODE <= kinds


def test_the_offers_link_while_the_cell_waits(federate, check, lab):
    """The callback rung: the link opens a tab, which comes back to the server's page; the cell runs all along."""
    notebook = federate("%federate")
    notebook.offer.wait_for()
    notebook.picture("callback")
    with notebook.tab.context.expect_page() as opened:
        notebook.offer.get_by_role("link").click()
    tab = opened.value
    assert "[*]:" == notebook.tab.locator(".jp-CodeCell").nth(1).locator(".jp-InputPrompt").inner_text()
    sign_in(tab)
    tab.get_by_role("heading", name="You can close this page").wait_for()
    assert tab.url.startswith(f"{lab.url}jupyter-federation/callback?")
    notebook.picture("callback-last-page", tab)
    kinds, log = check(notebook)
    assert BY_CODE <= kinds
    assert b"/jupyter-federation/callback?code=[secret]&" in log
    notebook.picture("callback-end")


def test_the_address_of_the_last_page_is_pasted(federate, check):
    """The paste rung: the last page does not load, and its address goes into the cell's hidden input."""
    notebook = federate("%federate --no-browser")
    notebook.offer.wait_for()
    with notebook.tab.context.expect_page() as opened:
        notebook.offer.get_by_role("link").click()
    sign_in(opened.value)
    opened.value.get_by_text("ERR_CONNECTION_REFUSED").wait_for()
    notebook.tab.bring_to_front()
    field = notebook.tab.locator(".jp-Stdin-input")
    notebook.picture("paste")
    assert "password" == field.get_attribute("type")
    field.fill(address_bar(opened.value))
    field.press("Enter")
    kinds, _ = check(notebook)
    assert BY_CODE <= kinds


def test_a_code_that_is_typed_on_another_device(federate, check, chromium, provider):
    """The device code rung: the code is copied by its button, and typed into the page of another browser."""
    notebook = federate("%federate --use-device-code")
    notebook.offer.wait_for()
    notebook.picture("device-code")
    notebook.offer.get_by_role("button", name="Copy").click()
    code = notebook.tab.evaluate("navigator.clipboard.readText()")
    assert code == notebook.offer.locator("code").inner_text()
    phone = patient(chromium.new_context(ignore_https_errors=True)).new_page()
    phone.goto(f"{provider.issuer}/device")
    phone.get_by_placeholder("Enter code").fill(code)
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_text(code).wait_for()
    phone.get_by_role("button", name="Continue").click()
    sign_in(phone)
    phone.get_by_text("Sign-in Success").wait_for()
    phone.context.close()
    kinds, _ = check(notebook)
    assert {"device_code", "id_token", "access_token", "refresh_token"} <= kinds
    assert code not in notebook.saved()


@pytest.fixture
def token(provider, private_ca, certificates):
    """An ID token of Ada's that she got elsewhere."""
    person = Person(FormBrowser(certificates.ca))
    ladder = Ladder(Manner(), browser_is_here=lambda: True, open_browser=person.open)
    return str.__str__(
        OpenIdSource(client_of(provider, private_ca, ca_bundle=str(certificates.ca)), ladder).login(person).raw
    )


def test_a_token_is_pasted(federate, check, token):
    """Into a hidden input; what is said before names the provider."""
    notebook = federate("%federate --token-prompt")
    field = notebook.tab.locator(".jp-Stdin-input")
    field.wait_for()
    notebook.picture("token-prompt")
    assert "password" == field.get_attribute("type")
    field.fill(token)
    field.press("Enter")
    check(notebook)
