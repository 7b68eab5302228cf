"""The line that %federate export shows gives a terminal the notebook's identity, whatever that terminal has set."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from doubles import Nobody

from jupyter_federation.config import Policy
from jupyter_federation.delivery.container_protocol import TOKEN, TOKEN_FILE, URI
from jupyter_federation.errors import InvalidStateError, LoginRequiredError
from jupyter_federation.terminal_line import TerminalLine

SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "busybox")
WHO = "import boto3; print(boto3.Session().client('sts').get_caller_identity()['Arn'])"
HOSTILE = {
    "AWS_ACCESS_KEY_ID": "AKIAHOSTILE",
    "AWS_SECRET_ACCESS_KEY": "hostile",
    "AWS_SESSION_TOKEN": "hostile",
    "AWS_PROFILE": "that-is-not-there",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/Pod",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/none",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/other",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other",
    "AWS_REGION": "ap-south-2",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


def in_a_terminal(shell, line, variables, home):
    """What a fresh process says who it is, in a ``shell`` with ``variables`` where ``line`` was pasted."""
    command = [shutil.which(shell), *(["sh"] if shell == "busybox" else []), "-e"]
    script = f"{line}\n'{sys.executable}' -c \"{WHO}\"\n"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **variables}
    done = subprocess.run(
        command, input=script, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.strip() or done.stderr


def listens(uri):
    with socket.socket() as client:
        return client.connect_ex((urlsplit(uri).hostname, urlsplit(uri).port)) == 0


def under(federation, **policy):
    """Have the files say ``policy`` from now on."""
    configuration = replace(federation._load_configuration(), policy=Policy(**policy))
    federation._load_configuration = lambda: configuration


@pytest.fixture
def awkward(tmp_path, monkeypatch):
    """A directory for temporary files whose name means something to shells."""
    directory = tmp_path / """it's "here" $HOME `id` \\ & ; *"""
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("token_variable", [None, True])
@pytest.mark.parametrize("shell", [each for each in SHELLS if shutil.which(each)])
def test_a_hostile_terminal_gets_the_notebook_s_identity(federation, awkward, tmp_path, shell, token_variable):
    """Static keys, a profile and a pod's role are set there; after clear the line opens nothing any longer."""
    under(federation, endpoint_token_variable=token_variable)
    federation.federate("b", prompt=Nobody())
    line = str(federation.terminal_line())
    home = tmp_path / "terminal"
    home.mkdir()
    assert in_a_terminal(shell, line, HOSTILE, home).endswith("assumed-role/Researcher/grace@example.org")
    federation.clear()
    assert "Researcher" not in in_a_terminal(shell, line, {}, home)


@pytest.mark.slow
@pytest.mark.parametrize("is_mended", [False, True])
def test_files_that_would_outrank_it_are_named_away(federation, isolated_home, monkeypatch, is_mended):
    """The person's [default] keys stand in ~/.aws, also where the notebook has turned away from them."""
    if is_mended:
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    (isolated_home / ".aws").mkdir()
    keys = "[default]\naws_access_key_id = AKIAHOSTILE\naws_secret_access_key = hostile\n"
    (isolated_home / ".aws" / "credentials").write_text(keys)
    federation.federate("b", prompt=Nobody())
    line = str(federation.terminal_line())
    assert in_a_terminal("sh", line, {}, isolated_home).endswith("assumed-role/Researcher/grace@example.org")


def test_the_line_holds_no_secret(federation, aws):
    """Neither the token nor a part of a key; its file and the endpoint are named."""
    federation.federate("a", prompt=Nobody())
    line = federation.terminal_line()
    token = Path(os.environ[TOKEN_FILE]).read_text()
    [key] = aws.keys.values()
    for text in (str(line), repr(line), line.for_powershell(), line.for_posix_shell()):
        for secret in (token, key.access_key_id, key.secret_access_key, key.session_token):
            assert secret not in text
        assert os.environ[URI] in text
        assert "\n" not in text
    assert TOKEN not in line.sets


def test_a_variable_that_is_no_name_and_an_address_with_a_password_stay_out_of_it(federation, monkeypatch):
    """What is put into the notebook's environment runs in no terminal, and is not shown."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_X;touch /tmp/pwned;Y", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://ada:hunter2@s3.example.org")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://sts.example.org")
    federation.federate("a", prompt=Nobody())
    line = federation.terminal_line()
    assert "https://sts.example.org" == line.sets["AWS_ENDPOINT_URL_STS"]
    assert "hunter2" not in str(line)
    assert ";touch" not in str(line)


def test_a_clear_that_comes_first_leaves_nothing_behind(federation, monkeypatch):
    """The line is refused, and nothing listens with nobody signed in."""
    federation.federate("a", prompt=Nobody())
    uri = os.environ[URI]
    load = federation._load_configuration

    def load_and_clear():
        federation.clear()
        return load()

    monkeypatch.setattr(federation, "_load_configuration", load_and_clear)
    with pytest.raises(LoginRequiredError):
        federation.terminal_line()
    assert not listens(uri)
    assert URI not in os.environ


def test_where_the_endpoint_has_moved_the_line_and_the_environment_say_so(federation):
    """Somebody has taken the token's directory: it is not the line alone that follows."""
    federation.federate("a", prompt=Nobody())
    file = Path(os.environ[TOKEN_FILE])
    file.unlink()
    file.parent.rmdir()
    file.parent.touch()
    try:
        line = federation.terminal_line()
        assert str(file) != line.sets[TOKEN_FILE] == os.environ[TOKEN_FILE]
        assert Path(line.sets[TOKEN_FILE]).exists()
    finally:
        file.parent.unlink()


@pytest.mark.parametrize("name", ["export", "endpoint"])
def test_where_the_policy_turns_it_off_the_error_names_the_file(federation, name):
    """An administrator's word: whose, and where it stands."""
    federation.federate("a", prompt=Nobody())
    under(federation, **{name: False}, origins={name: "/etc/jupyter/jupyter_federation_config.json"})
    with pytest.raises(InvalidStateError, match=rf"'{name}' is false in /etc/jupyter/jupyter_federation_config.json"):
        federation.terminal_line()


def test_signed_out_there_is_no_line(federation):
    """The error names the way in."""
    with pytest.raises(LoginRequiredError, match="%federate"):
        federation.terminal_line()


def test_powershell_has_quotes_of_its_own():
    """A quote is doubled, and nothing else means anything between two of them."""
    path = r"C:\Users\Ada O'Neil\Temp\$x`token"
    line = TerminalLine(sets={"A": "b", "C": ""}, reads={"D": path}, drops=("E", "F"))
    assert (
        "Remove-Item Env:E -ErrorAction Ignore; Remove-Item Env:F -ErrorAction Ignore; "
        r"$Env:A = 'b'; $Env:C = ''; $Env:D = Get-Content -Raw -LiteralPath 'C:\Users\Ada O''Neil\Temp\$x`token'"
    ) == line.for_powershell()
