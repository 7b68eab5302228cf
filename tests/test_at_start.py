"""Signed in when the kernel starts, without a line of the person's; in real kernels, beside the embedded AWS."""

from __future__ import annotations

import json
import threading
from concurrent import futures

import boto3
import nbformat
import pytest
from doubles import Nobody
from nbclient import NotebookClient

from jupyter_federation.assembly import source_of
from jupyter_federation.delivery.live import SessionClearedError
from jupyter_federation.errors import DeliveryError, InvalidStateError
from jupyter_federation.federation import Federation

WHO = "import boto3\nsts = boto3.client('sts')\nprint(sts.get_caller_identity()['Arn'].rpartition('/')[2])"
TELL = """
try:
    sts.get_caller_identity()
except Exception as error:
    print(type(error).__name__, error)
"""
STATUS = "import jupyter_federation as jf\nprint(jf.status().sign_in, jf.status().credentials, jf.status().last_error)"


@pytest.fixture
def configured(isolated_home, token_file, role, aws_environment, monkeypatch):
    """As an administrator ships it: the profile, and IPython's line; ``configured(**keys)`` changes the profile."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    kernels = isolated_home / "ipythondir" / "profile_default"
    kernels.mkdir(parents=True)
    line = 'c.InteractiveShellApp.extensions.append("jupyter_federation.at_start")\n'
    (kernels / "ipython_kernel_config.py").write_text(line)
    directory = isolated_home / "jupyter_config_dir"
    directory.mkdir()

    def write(**keys):
        profile = {"source": "file", "path": str(token_file), "role_arn": role.arn, "region": "eu-west-1"} | keys
        profile = {key: value for key, value in profile.items() if value is not None}
        section = {"Federation": {"default_profile": "research", "profiles": {"research": profile}}}
        (directory / "jupyter_federation_config.json").write_text(json.dumps(section))

    write()
    return write


def run(*cells):
    """What each cell of a notebook printed, that nobody is in front of."""
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(content, timeout=60).execute()
    return ["".join(each.get("text", "") for each in cell.outputs).strip() for cell in content.cells]


@pytest.mark.slow
def test_the_first_cell_is_signed_in(configured):
    """It runs at once, in a notebook without anybody; the line that people write all the same changes nothing."""
    who, loaded, again, after = run(WHO, "%load_ext jupyter_federation", "status = %federate\nprint(status)", WHO)
    assert "" != who == after
    assert loaded.startswith("The jupyter_federation extension is already loaded.")
    assert again.startswith("Already signed in")


@pytest.mark.slow
def test_nothing_is_said_until_somebody_asks(configured, token_file):
    """A sign-in that fails prints nothing; a client says why, the status too, and the client goes on after a mend."""
    token = token_file.read_text()
    token_file.unlink()
    mend = f"open({str(token_file)!r}, 'w').write({token!r})"
    said = run("1 + 1", "import boto3; sts = boto3.client('sts')" + TELL, STATUS, f"_ = {mend}\n_ = %federate", WHO)
    assert "" == said[0]
    assert said[1].startswith("SourceUnavailableError The sign-in at the kernel's start: ")
    assert str(token_file) in said[1]
    assert said[2].startswith("none none ")
    assert str(token_file) in said[2]
    assert said[4]


@pytest.mark.slow
def test_a_broken_file_signs_nobody_else_in(configured, monkeypatch):
    """Keys that stand in the environment are not used in place of what an administrator meant."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0000000000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of somebody else")
    configured(role="no such key")
    (said,) = run("import boto3; sts = boto3.client('sts')" + TELL)
    assert "ConfigurationError The sign-in at the kernel's start: " in said
    assert "there is no setting `role`" in said


@pytest.mark.slow
def test_a_broken_library_is_no_noise(configured, isolated_home):
    """boto3 cannot be loaded: the kernel starts without a word, and %federate tells."""
    startup = isolated_home / "ipythondir" / "profile_default" / "startup"
    startup.mkdir()
    (startup / "broken.py").write_text("import sys\nsys.modules['boto3'] = None\n")
    tell = "try:\n    get_ipython().run_line_magic('federate', '')\nexcept Exception as error:\n    print(error)"
    slept, said = run("import time; time.sleep(2)", tell)
    assert "" == slept
    assert "boto3" in said


@pytest.mark.slow
def test_a_source_that_asks_a_person_waits_for_the_person(configured):
    """Nothing happens at the start, and %federate is loaded."""
    configured(source="prompt", path=None)
    assert ["none none None", "Not signed in to AWS. Run %federate to sign in."] == run(STATUS, "print(jf.status())")


class Slowly:
    """Makes sources once ``arrives`` is set; by ``federation`` on a thread, until the test is over."""

    def __init__(self):
        self.arrives, self.delivered = threading.Event(), threading.Event()
        self.federation = Federation(make_source=self.source)
        self.thread = threading.Thread(target=self.sign_in)

    def source(self, *details):
        assert threading.current_thread() is not self.thread or self.arrives.wait(20)
        return source_of(*details)

    def sign_in(self):
        self.federation.federate_at_start(prompt=Nobody(), delivered=self.delivered.set)

    def finish(self):
        self.arrives.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def slowly(configured):
    """One whose sign-in at the start is under way: boto3's clients wait."""
    slowly = Slowly()
    slowly.thread.start()
    assert slowly.delivered.wait(20)
    yield slowly
    slowly.finish()
    slowly.federation.clear()


def frozen():
    """What a client of the default session signs with."""
    return boto3.Session().get_credentials().get_frozen_credentials()


def test_a_client_waits_for_the_sign_in(slowly):
    """Until it is through; meanwhile the status says that it is under way."""
    with futures.ThreadPoolExecutor(1) as elsewhere:
        keys = elsewhere.submit(frozen)
        with pytest.raises(futures.TimeoutError):  # the builtin one from Python 3.11 on
            keys.result(0.2)
        assert "The sign-in that began with the kernel is under way." in str(slowly.federation.status())
        slowly.finish()
        assert keys.result(20).access_key
    assert "valid" == slowly.federation.status().credentials


def test_whoever_clears_meanwhile_goes_first(slowly):
    """The late sign-in is dropped: nobody is signed in, and boto3 is as it was."""
    credentials = boto3.Session().get_credentials()
    with futures.ThreadPoolExecutor(1) as elsewhere:
        keys = elsewhere.submit(credentials.get_frozen_credentials)
        assert "Cleared" in slowly.federation.clear().happened
        with pytest.raises(SessionClearedError):
            keys.result(20)
    slowly.finish()
    assert not slowly.federation.status().is_federated
    assert boto3.Session().get_credentials() is None


@pytest.mark.parametrize(("name", "counts"), [("research", True), ("other", False)])
def test_a_clear_of_one_profile_counts_where_it_is_that_one(slowly, name, counts):
    """The late sign-in is dropped by its own profile's clear, and by no other's."""
    slowly.federation.clear(profile=name)
    slowly.finish()
    assert counts is not slowly.federation.status().is_federated


def test_whoever_signs_in_meanwhile_goes_first(slowly, provider, tmp_path):
    """The late sign-in is dropped: the notebook stays with what was typed."""
    theirs = tmp_path / "theirs"
    theirs.write_text(provider.id_token("grace"))
    slowly.federation.federate(path=str(theirs), prompt=Nobody())
    mine = frozen()
    slowly.finish()
    assert "grace@example.org" == slowly.federation.status().subject
    assert frozen() == mine


def test_who_is_signed_in_already_stays(configured, provider, tmp_path):
    """A sign-in at the start that comes late does not even begin."""
    federation, delivered = Federation(), []
    federation.federate(prompt=Nobody())
    before = frozen()
    federation.federate_at_start(prompt=Nobody(), delivered=lambda: delivered.append(1))
    assert ([], before) == (delivered, frozen())
    federation.clear()


def test_who_cannot_be_given_the_credentials_hears_why(slowly, monkeypatch):
    """Signed in, and boto3 cannot follow: its clients are told so, and act as nobody else."""

    def fail(region, policy):
        raise DeliveryError("boto3 is broken.", fix="Mend it.")

    monkeypatch.setattr(slowly.federation._delivery, "deliver", fail)
    slowly.finish()
    with pytest.raises(DeliveryError, match=r"The sign-in at the kernel's start: boto3 is broken\."):
        frozen()
    assert "boto3 is broken. Mend it." == slowly.federation.status().last_error


def test_what_is_unforeseen_is_told(configured, capfd):
    """By its kind alone, to whoever needs credentials; nothing is raised on a thread that nobody watches."""

    def fail(*details):
        raise ZeroDivisionError("secret")

    federation = Federation(make_source=fail)
    federation.federate_at_start(prompt=Nobody(), delivered=lambda: None)
    with pytest.raises(InvalidStateError, match=r"unforeseen way: ZeroDivisionError\. Run %federate"):
        frozen()
    assert "ZeroDivisionError" in federation.status().last_error
    federation.clear()
    assert ("", "") == capfd.readouterr()
