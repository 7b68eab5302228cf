"""What a sign-in gives to tools other than boto3, and takes back."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from container_client import Client

import jupyter_federation as jf
from jupyter_federation import calls
from jupyter_federation.delivery import tool_caches
from jupyter_federation.delivery.boto3 import Boto3Delivery
from jupyter_federation.delivery.endpoint import TOKEN, TOKEN_FILE, URI
from jupyter_federation.errors import DeliveryError, InvalidStateError

WHO = """
import boto3
session = boto3.Session()
session.client("sts").get_caller_identity()
print(session.get_credentials().access_key[-4:])
"""


@pytest.fixture(autouse=True)
def signed_out_afterwards(profiles, aws_environment):
    boto3.DEFAULT_SESSION = None
    yield
    jf.clear()
    boto3.DEFAULT_SESSION = None
    assert [] == [name for name in (URI, TOKEN_FILE, TOKEN) if name in os.environ]


@pytest.fixture
def policy(tmp_path):
    """``policy(endpoint=False)`` puts a policy into the user's file."""

    def policy(**settings):
        file = tmp_path / "jupyter" / "jupyter_federation_config.json"
        content = json.loads(file.read_text())
        content["Federation"]["policy"] = settings
        file.write_text(json.dumps(content))
        return file

    return policy


def who():
    """The end of the key that signs in another process, which knows nothing of this package; AWS has taken it."""
    asked = subprocess.run([sys.executable, "-c", WHO], check=False, capture_output=True, text=True, timeout=60)
    return asked.stdout.strip() or asked.stderr.strip().splitlines()[-1]


def listens(uri):
    with socket.socket() as client:
        return client.connect_ex((urlsplit(uri).hostname, urlsplit(uri).port)) == 0


@pytest.mark.slow
def test_another_process_acts_as_the_notebook_until_it_is_cleared():
    """By two variables that hold neither a key nor the token; a switch reaches it too."""
    jf.federate("ada")
    ada, uri = who(), os.environ[URI]
    assert jf.status().access_key_suffix == ada
    jf.federate("grace")
    assert uri == os.environ[URI]
    assert jf.status().access_key_suffix == who() != ada
    jf.clear()
    assert not listens(uri)
    assert "Unable to locate credentials" in who()


def test_a_switch_that_fails_leaves_tools_what_they_had(monkeypatch):
    """boto3 cannot be given the new identity: the endpoint goes on with the one before."""
    jf.federate("ada")
    uri, install, faults = os.environ[URI], Boto3Delivery.install, [OSError("broken")]

    def fail_once(delivery, credentials):
        if faults:
            raise faults.pop()
        install(delivery, credentials)

    monkeypatch.setattr(Boto3Delivery, "install", fail_once)
    with pytest.raises(DeliveryError, match="broken"):
        jf.federate("grace")
    assert ("ada", uri) == (jf.status().profile, os.environ[URI])
    assert listens(uri)


def test_the_variables_name_the_endpoint_and_a_file():
    """The token is in the file alone."""
    jf.federate("ada")
    token = Path(os.environ[TOKEN_FILE]).read_text()
    assert [] == [name for name, value in os.environ.items() if token in value]
    assert TOKEN not in os.environ


def test_a_policy_puts_the_token_into_the_environment_too(policy):
    """For tools that know no file; what stands there is what the file holds."""
    policy(endpoint_token_variable=True)
    jf.federate("ada")
    assert Path(os.environ[TOKEN_FILE]).read_text() == os.environ[TOKEN]
    policy(endpoint_token_variable=False)
    jf.federate("grace")
    assert TOKEN not in os.environ


def test_what_the_policy_says_now_counts_at_the_next_line(policy):
    """Signed in already, %federate takes it in; nobody is asked."""
    jf.federate("ada")
    policy(endpoint_token_variable=True)
    assert "nobody was asked" in jf.federate("ada").happened
    assert TOKEN in os.environ
    policy(endpoint=False)
    uri = os.environ[URI]
    jf.federate("ada")
    assert not listens(uri)


def test_an_endpoint_that_tools_cannot_find_is_back_with_the_next_renewal():
    """The token's directory has become something else: the variables follow."""
    jf.federate("ada")
    file = Path(os.environ[TOKEN_FILE])
    file.unlink()
    file.parent.rmdir()
    file.parent.touch()
    try:
        jf.refresh()
        end = time.monotonic() + 10
        while os.environ.get(TOKEN_FILE) == str(file) and time.monotonic() < end:
            time.sleep(0.05)
        assert Path(os.environ[TOKEN_FILE]).exists()
    finally:
        file.parent.unlink()


def test_a_sign_in_without_a_home_is_one(monkeypatch):
    """An arbitrary user of a container has no entry anywhere, and the AWS files none that could be found."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "~nobody-of-that-name/config")
    assert "valid" == jf.federate("ada").credentials


def test_two_threads_that_sign_in_at_once_say_who_followed_whom():
    """Whoever comes second says what followed, and neither is without a word."""
    with ThreadPoolExecutor(2) as threads:
        happened = [each.happened for each in threads.map(jf.federate, ["ada", "grace"])]
    assert 1 == happened.count(None)
    assert jf.status().profile in next(each for each in happened if each)


def test_a_policy_turns_the_endpoint_off(policy):
    """Nothing listens and no variable is lent, also where there was one before."""
    jf.federate("ada")
    uri = os.environ[URI]
    policy(endpoint=False)
    jf.federate("grace")
    assert not listens(uri)
    assert URI not in os.environ


def test_a_switch_that_fails_takes_nothing_from_other_tools(monkeypatch):
    """The identity before stays for them as for boto3."""
    jf.federate("ada")
    boto3_delivery = calls._kernel._delivery._boto3
    install = boto3_delivery.install

    def fail_once(_live):
        monkeypatch.setattr(boto3_delivery, "install", install)
        raise OSError

    monkeypatch.setattr(boto3_delivery, "install", fail_once)
    with pytest.raises(DeliveryError):
        jf.federate("grace")
    assert 200 == Client.of_the_environment().ask().status


def test_the_rest_of_a_clear_ends_no_sign_in_that_came_meanwhile(monkeypatch):
    """A click clears on a thread of its own, while the next cell signs in."""
    jf.federate("ada")
    report = calls._kernel._report

    def reported(event):
        monkeypatch.setattr(calls._kernel, "_report", report)
        jf.federate("grace")
        report(event)

    monkeypatch.setattr(calls._kernel, "_report", reported)
    jf.clear()
    assert 200 == Client.of_the_environment().ask().status


@pytest.mark.parametrize("name", ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", URI, TOKEN_FILE, "AWS_ACCESS_KEY_ID"])
def test_what_outranks_is_named_once_and_given_back(monkeypatch, name):
    """After two sign-ins in a row, too: the endpoint's own variables are not the user's."""
    monkeypatch.setenv(name, "before")
    assert (name,) == jf.federate("ada").set_aside
    assert (name,) == jf.federate("grace").set_aside
    jf.clear()
    assert "before" == os.environ[name]
    monkeypatch.delenv(name)


def test_a_sign_in_without_a_port_is_one_all_the_same(monkeypatch):
    """boto3 has what it needs, and the status says what is missing and what to do."""

    def refuse(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "create_server", refuse)
    status = jf.federate("ada")
    assert "valid" == status.credentials
    assert "Tools other than boto3 get no credentials, because nothing could listen for them" in str(status)
    assert "Too many open files" in str(status)
    assert URI not in os.environ


def test_the_sign_in_says_where_the_users_files_outrank_it(isolated_home):
    """And goes on saying so in the status, until the line that it names was run."""
    (isolated_home / ".aws").mkdir()
    (isolated_home / ".aws" / "credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert "[default] in ~/.aws/credentials" in str(jf.federate("ada"))
    assert "[default] in ~/.aws/credentials" in str(jf.status())
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    assert "[default]" not in str(jf.federate("ada"))
    del os.environ["AWS_SHARED_CREDENTIALS_FILE"]


def test_a_clear_says_until_when_a_copy_lives(monkeypatch):
    """With the tools loaded here that may hold one."""
    monkeypatch.setattr(tool_caches, "_KEEP_COPIES", {"json": "pyarrow"})
    until = jf.federate("ada").credentials_expire_at
    said = str(jf.clear())
    assert f"What another tool or process has copied lives until {until:%Y-%m-%d %H:%M:%S} UTC." in said
    assert "Loaded in this notebook, pyarrow may still hold credentials." in said
    assert "copied" not in str(jf.clear())


def test_a_switch_says_which_tools_go_on_as_before(monkeypatch):
    """And until when; the same profile again changes nothing, and is no news."""
    monkeypatch.setattr(tool_caches, "_KEEP_COPIES", {"json": "pyarrow"})
    until = jf.federate("ada").credentials_expire_at
    assert "go on as before" not in str(jf.federate("ada"))
    assert f"pyarrow may go on as before until {until:%Y-%m-%d %H:%M:%S} UTC." in str(jf.federate("grace"))


@pytest.mark.parametrize("name", ["export", "endpoint"])
def test_a_policy_turns_the_export_off(policy, name):
    """The error names the setting and its file."""
    file = policy(**{name: False})
    jf.federate("ada")
    with pytest.raises(InvalidStateError, match=f"'{name}' is false in {file}"):
        calls.export()


def test_what_has_outlived_a_clear_is_named_at_the_next_sign_in(monkeypatch):
    """A tool may act as who was signed in before, although a clear lies between."""
    monkeypatch.setattr(tool_caches, "_KEEP_COPIES", {"json": "pyarrow"})
    until = jf.federate("ada").credentials_expire_at
    jf.clear()
    assert f"pyarrow may go on as before until {until:%Y-%m-%d %H:%M:%S} UTC." in str(jf.federate("grace"))


def test_the_longest_of_all_that_were_here_is_what_is_named(monkeypatch, aws):
    """Not that of the last one, whose credentials may end sooner."""
    monkeypatch.setattr(tool_caches, "_KEEP_COPIES", {"json": "pyarrow"})
    until = f"until {jf.federate('ada').credentials_expire_at:%Y-%m-%d %H:%M:%S} UTC."
    aws.lifetime = timedelta(minutes=15)
    jf.federate("grace")
    assert f"pyarrow may go on as before {until}" in str(jf.federate("ada"))
    assert f"copied lives {until}" in str(jf.clear())


def test_the_endpoint_is_reached_past_a_proxy_in_a_terminal_too(monkeypatch):
    """Lent with the rest, and gone with it."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:3128")
    jf.federate("ada")
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "127.0.0.1,localhost"
    assert "no_proxy=127.0.0.1,localhost" in calls.export().for_posix_shell()
    jf.clear()
    assert "no_proxy" not in os.environ


def test_the_region_of_a_file_that_is_passed_over_is_lent(isolated_home, monkeypatch):
    """Whoever runs the line that the sign-in gives turns away from the region in that file, too."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    (isolated_home / ".aws").mkdir()
    (isolated_home / ".aws" / "config").write_text("[default]\nregion = eu-north-1\nrole_arn = arn:aws:iam::1:role/R\n")
    jf.federate("ada")
    assert "eu-north-1" == os.environ["AWS_REGION"] == os.environ["AWS_DEFAULT_REGION"]
    jf.clear()
    assert "AWS_REGION" not in os.environ
