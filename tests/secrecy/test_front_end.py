"""Everything that crosses from a kernel to its front end while a person signs in, works and leaves."""

from __future__ import annotations

import json

import nbformat
import pytest
from front_ends import within
from nbclient import NotebookClient
from secrecy.scanner import Scanner, jwt_secrets, key_secrets

pytestmark = pytest.mark.slow

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def openid(profiles, provider, role, aws_environment, monkeypatch):
    """The profile openid, which signs in at ``provider``, and refused, whose role AWS refuses; the tokens issued."""
    common = {"source": "oidc", "client_id": "notebook", "region": "eu-west-1", "issuer": provider.issuer}
    profiles(openid=common | {"role_arn": role.arn}, refused=common | {"role_arn": f"{role.arn}2"})
    issued, sign = [], provider._sign

    def recording(*arguments, **options):
        issued.append(sign(*arguments, **options))
        return issued[-1]

    monkeypatch.setattr(provider, "_sign", recording)
    return issued


def sign_in(front_end, browser, profile, *, amend=str):
    """Begin by the button, paste the address as ``amend`` leaves it, and wait for the end; what was pasted."""
    within(10, lambda: front_end.ask("sign_in", profile=profile)["ok"], front_end.said)  # one a second

    def later(condition):
        within(20, lambda: condition(front_end.ask("state")["state"]), front_end.said)
        return front_end.ask("state")["state"]

    asking = later(lambda each: each["sign_in"]["question"])["sign_in"]
    pasted = amend(browser(asking["offer"]["address"]))
    assert front_end.ask("answer", text=pasted)["ok"]
    later(lambda each: each["status"]["is_federated"] or "error" in each["sign_in"])
    return pasted


def secrets_of(aws, provider, issued, pasted):
    """All that must not cross: what AWS and the provider gave out, what was pasted, and the verifier."""
    found = {f"code {number}": each.partition("code=")[2].partition("&")[0] for number, each in enumerate(pasted)}
    verifiers = [each.parameters["code_verifier"] for each in provider.calls if "code_verifier" in each.parameters]
    found |= {f"verifier {number}": each for number, each in enumerate(verifiers)}
    found |= {f"refresh token {number}": each for number, each in enumerate(provider._grants)}
    for number, token in enumerate(issued):
        found |= jwt_secrets(token, f"token {number}")
    return found | key_secrets(aws)


def test_nothing_secret_crosses(openid, start_kernel, browser, aws, provider):
    """Comm, control, shell and iopub, with the panel shown: a sign-in, two that fail, refresh, clear; nor the log."""
    front_end = start_kernel("--log-level=DEBUG")
    front_end.run("%load_ext jupyter_federation\n%federate panel")
    pasted = [sign_in(front_end, browser, "refused")]
    pasted += [sign_in(front_end, browser, "openid", amend=lambda each: each.replace("state=", "state=x"))]
    assert "error" in front_end.ask("state")["state"]["sign_in"]
    pasted += [sign_in(front_end, browser, "openid")]
    assert front_end.ask("refresh")["ok"]
    front_end.until(lambda each: each["event"] == "refreshed")
    cell = front_end.start("%federate")
    front_end.end(cell)
    assert VIEW in front_end.displayed(cell)[0]
    assert front_end.ask("clear", sign_out=True)["ok"]
    front_end.until(lambda each: each["event"] == "cleared")
    front_end.run("%federate panel")

    secrets = secrets_of(aws, provider, openid, pasted)
    heard = {each["msg_type"] for each in front_end.heard}
    assert {"comm_open", "comm_msg", "federation_reply", "execute_result"} <= heard
    assert {"code 2", "verifier 0", "refresh token 0", "token 0, payload", "session token 1"} <= secrets.keys()
    scanner = Scanner(secrets)
    assert set() == scanner.found(*(repr(each) for each in list(front_end.heard)))
    opened = {each["content"]["comm_id"] for each in front_end.heard if each["msg_type"] == "comm_open"}
    widgets = opened - {front_end.channel}  # whose state a notebook may save
    saved = [repr(each["content"]) for each in front_end.heard if each["content"].get("comm_id") in widgets]
    assert any("Last error" in each or "role=" in each for each in saved)
    assert set() == Scanner({"e-mail": "ada@example.org", "account": "123456789012"}).found(*saved)
    assert set() == scanner.found(front_end.said())


CARELESS = """
import comm, ipywidgets
kernel = get_ipython().kernel
channel = comm.create_comm(target_name="careless", data={"token": TOKEN})
box = ipywidgets.Text(value=TOKEN)
kernel.control_handlers["careless_request"] = lambda stream, ident, parent: kernel.session.send(
    stream, "careless_reply", {"token": TOKEN}, parent=parent, ident=ident)
"""


def test_a_careless_kernel_is_seen_on_every_way(start_kernel, provider):
    """A token in a comm, in a widget and in a reply by control is found the same way."""
    token = provider.id_token("ada")
    front_end = start_kernel()
    front_end.run(f"TOKEN = {token!r}\n{CARELESS}")
    sent = front_end.send("control", "careless_request", {})
    within(5, lambda: sent in front_end.replies, front_end.said)
    scanner = Scanner(jwt_secrets(token))
    ways = {
        "comm": [each for each in front_end.heard if each["content"].get("target_name") == "careless"],
        "widget": [each for each in front_end.heard if each["content"].get("target_name") == "jupyter.widget"],
        "control": [each for each in front_end.heard if each["msg_type"] == "careless_reply"],
    }
    assert dict.fromkeys(ways, 2) == {name: len(scanner.found(*map(repr, each))) for name, each in ways.items()}


ALIVE = """
import jupyter_federation as jf
get_ipython().kernel._allow_stdin = True  # as a front end with a person before it says of each cell
who = jf.whoami()
jf.federate()
"""


def test_a_saved_panel_names_nobody(provider, role, profiles, aws_environment, tmp_path):
    """What nbconvert --execute saves, widget state included, holds profile, state and times."""
    token_file = tmp_path / "token"
    token_file.write_text(provider.id_token("ada"))
    profiles(research={"source": "file", "path": str(token_file), "role_arn": role.arn, "region": "eu-west-1"})
    cells = ["%load_ext jupyter_federation\n%federate", ALIVE, "%federate panel"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    NotebookClient(notebook, timeout=60, store_widget_state=True).execute()

    saved = nbformat.writes(notebook)
    alone, alive, panel = (cell.outputs[0].data for cell in notebook.cells)
    assert (False, True, True) == tuple(VIEW in each for each in (alone, alive, panel))
    state = json.dumps(notebook.metadata.widgets)
    assert "jf-countdown" in state
    assert "jf-place-account" in state
    personal = Scanner({"e-mail": "ada@example.org", "account": "123456789012", "role": role.arn})
    secret = Scanner(jwt_secrets(token_file.read_text()))
    assert set() == personal.found(saved) | secret.found(saved)
