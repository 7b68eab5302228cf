"""A real kernel, run by nbclient: what is saved, and what happens where nobody is."""

from __future__ import annotations

import json
import sys
import textwrap

import nbformat
import pytest
from nbclient import NotebookClient
from openid_clients import TENANT, both, is_entra

pytestmark = pytest.mark.slow

# What BROWSER starts: a person who signs in as ada, with cookies and redirects.
PERSON = textwrap.dedent("""
    import html, re, sys, urllib.request
    page = urllib.request.urlopen(sys.argv[1]).read().decode()  # leads on to the provider
    address = html.unescape(re.search(r'content="0; url=([^"]+)"', page)[1])
    open(sys.argv[0] + ".argv", "w").write(" ".join(sys.argv))
    with urllib.request.urlopen(urllib.request.Request(address, data=b"user=ada"), timeout=10) as page:
        open(sys.argv[0] + ".last", "w").write(page.geturl() + page.read().decode())
""")
SIGN_IN = """
import logging, io
log = io.StringIO()
logging.basicConfig(level=logging.DEBUG, stream=log)
%load_ext jupyter_federation
get_ipython().kernel._allow_stdin = True  # as a front end with a person before it says of each cell
%federate
"""
WORK = """
import boto3, re
print(boto3.client("sts").get_caller_identity()["Arn"].rpartition(":")[2])
from jupyter_federation import calls
held = calls._kernel._current.session._source._grant.held
print([name for name in ("refresh_token", "token") if str.__str__(getattr(held, name, "") or "-" if name != "token"
       else held.token.raw) in log.getvalue()])
"""
ALONE = """
import time
%load_ext jupyter_federation
start = time.monotonic()
try:
    get_ipython().run_line_magic("federate", "")
except Exception as error:
    print(type(error).__name__, "--token-file" in str(error), time.monotonic() - start < 1)
"""


@pytest.fixture
def notebook(aws_environment, role, provider, private_ca, isolated_home, monkeypatch):  # noqa: PLR0917
    """Runs cells in a kernel whose default profile signs in at ``provider``; the notebook as it would be saved."""
    profile = {"source": "oidc", "issuer": provider.issuer}
    if is_entra(provider):
        profile = {"source": "entra", "authority": provider.url, "tenant": TENANT, "ca_bundle": str(private_ca.path)}
        monkeypatch.setenv(
            "SSL_CERT_FILE", str(private_ca.path)
        )  # the person's browser; msal's requests do not heed it
    profile |= {"client_id": "notebook", "role_arn": role.arn, "region": "eu-west-1"}
    directory = isolated_home / "jupyter_config_dir"
    directory.mkdir()
    (directory / "jupyter_federation_config.json").write_text(
        json.dumps({"Federation": {"default_profile": "research", "profiles": {"research": profile}}})
    )
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)

    def run(*cells):
        content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        NotebookClient(content, timeout=60, kernel_name="python3").execute()
        return nbformat.writes(content), content

    return run


@both
def test_a_sign_in_by_the_browser_leaves_nothing_in_the_notebook(notebook, tmp_path, monkeypatch, provider):
    """Neither the address with its state nor a code, and no token in the log at DEBUG."""
    script = tmp_path / "person.py"
    script.write_text(PERSON)
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script} %s")
    saved, content = notebook(SIGN_IN, WORK)
    last = (tmp_path / "person.py.last").read_text()
    argv = (tmp_path / "person.py.argv").read_text()  # which everybody on the machine can read
    assert "file://" in argv
    assert "You can close this window" in last
    assert "assumed-role/Researcher/" in content.cells[1].outputs[0]["text"]
    assert "[]" in content.cells[1].outputs[0]["text"]
    parameters = [call.parameters for call in provider.calls]
    secrets = [each[name] for each in parameters for name in ("code", "code_verifier", "state") if name in each]
    assert len(secrets) >= 3
    assert not [secret for secret in secrets if secret in saved or secret in argv]
    assert "code_challenge" not in argv
    assert "code_challenge" not in saved


def test_a_notebook_that_runs_by_itself_is_told_within_a_second(notebook, provider):
    """And starts no sign-in; neither does opening it."""
    _saved, content = notebook(ALONE)
    assert "LoginRequiredError True True" == content.cells[0].outputs[0]["text"].strip()
    assert [] == provider.calls
