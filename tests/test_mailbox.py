"""The mailbox: what is expected comes once, to the one who waits; nothing else is written, shown or kept."""

import contextlib
import errno
import json
import os
import secrets
import stat
import sys
import threading
import time
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from jupyter_core.paths import jupyter_runtime_dir

from jupyter_federation.errors import ConfigurationError, SourceUnavailableError
from jupyter_federation.mailbox import LONGEST, SERVER_VARIABLE, Mailbox

MINUTE = timedelta(minutes=1)
OVER = timedelta(seconds=-1)
REDIRECT = "http://localhost:8888/jupyter-federation/callback"

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")


@pytest.fixture
def mailbox(tmp_path):
    return Mailbox(tmp_path / "runtime" / "box")


@pytest.fixture
def state():
    return secrets.token_urlsafe(32)


def answer(state, **more):
    return {"code": "the-code", "state": state, **more}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def files(mailbox):
    return sorted(path.suffix for path in mailbox.directory.iterdir())


def of_other_version(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"protocol": 2}))


def test_an_expected_answer_arrives(mailbox, state):
    """What the provider sent comes to the kernel, iss included, and nothing that it does not know."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        assert expectation.collect() is None
        assert mailbox.deliver(answer(state, iss="https://idp.example", session_state="x"))
        assert answer(state, iss="https://idp.example") == expectation.collect()


def test_it_is_collected_once_and_leaves_nothing(mailbox, state):
    """Answer and expectation are gone as soon as the answer was read."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        mailbox.deliver(answer(state))
        expectation.collect()
        assert [] == files(mailbox)
        assert expectation.collect() is None


def test_an_error_is_an_answer(mailbox, state):
    """What a provider refuses comes to the kernel as well."""
    refusal = {"state": state, "error": "access_denied", "error_description": "No."}
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        assert mailbox.deliver(refusal)
        assert refusal == expectation.collect()


def test_who_stops_waiting_leaves_nothing(mailbox, state):
    """An interrupt removes the expectation, and an answer that came in the meantime."""
    with contextlib.suppress(KeyboardInterrupt), mailbox.expect(state, lifetime=MINUTE):
        mailbox.deliver(answer(state))
        raise KeyboardInterrupt
    assert [] == files(mailbox)
    assert not mailbox.deliver(answer(state))


def test_who_is_interrupted_right_behind_the_first_file_leaves_nothing(mailbox, state, monkeypatch):
    """It lands when the marker is there and before anybody waits."""
    written = Mailbox._write

    def interrupted(*arguments, **content):
        written(*arguments, **content)
        raise KeyboardInterrupt

    monkeypatch.setattr(Mailbox, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt), mailbox.expect(state, lifetime=MINUTE):
        pass
    assert [] == list(mailbox.directory.iterdir())


@posix
def test_directory_and_files_are_the_users_alone(mailbox, state):
    """0700 and 0600, whatever the umask is and whatever the directory was."""
    mailbox.directory.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        with mailbox.expect(state, lifetime=MINUTE):
            assert 0o700 == mode(mailbox.directory)
            assert [0o600] == [mode(path) for path in mailbox.directory.iterdir()]
            mailbox.deliver(answer(state))
            assert [(".answer", 0o600)] == [(path.suffix, mode(path)) for path in mailbox.directory.iterdir()]
    finally:
        os.umask(before)


def test_an_unknown_state_writes_nothing(mailbox, state):
    """Without a kernel that waits there is no file, not even the directory."""
    assert not mailbox.deliver(answer(state))
    assert not mailbox.directory.exists()


def test_a_replay_is_refused(mailbox, state):
    """A second answer to one state does not replace the first, before it is collected or after."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        assert mailbox.deliver(answer(state))
        assert not mailbox.deliver({"code": "another", "state": state})
        assert answer(state) == expectation.collect()
        assert not mailbox.deliver(answer(state))
        assert expectation.collect() is None


def test_an_expired_expectation_takes_nothing(mailbox, state):
    """An answer that comes too late is refused."""
    with mailbox.expect(state, lifetime=OVER) as expectation:
        assert not mailbox.deliver(answer(state))
        assert expectation.collect() is None


def test_an_uncollected_answer_expires_with_its_expectation(mailbox, state, monkeypatch):
    """A code does not lie about longer than somebody waits for it."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        mailbox.deliver(answer(state))
        later = time.time() + 61
        monkeypatch.setattr(time, "time", lambda: later)
        assert expectation.collect() is None


def test_what_expired_is_swept(mailbox, state):
    """What killed kernels and servers left goes with the next expectation; what lives, and is not ours, stays."""
    mailbox.announce("dead", REDIRECT, since=0, lifetime=OVER)
    mailbox.announce("alive", REDIRECT, since=0, lifetime=MINUTE)
    (mailbox.directory / "old.new").write_text('{"half')
    os.utime(mailbox.directory / "old.new", (0, 0))
    (mailbox.directory / "young.new").write_text('{"half')
    (mailbox.directory / "note.txt").write_text("mine")
    with mailbox.expect(state, lifetime=MINUTE):
        left = {path.name for path in mailbox.directory.iterdir() if path.suffix != ".pending"}
    assert {"alive.server", "young.new", "note.txt"} == left


def test_of_many_deliveries_at_once_one_succeeds(mailbox):
    """Eight servers with an answer to one state: one is told yes, and its answer is the one that is collected."""
    for _ in range(50):
        state, start, winners = secrets.token_urlsafe(32), threading.Barrier(8), []

        def deliver(number, state=state, start=start, winners=winners):
            start.wait()
            if mailbox.deliver({"code": str(number), "state": state}):
                winners.append(str(number))

        with mailbox.expect(state, lifetime=MINUTE) as expectation:
            threads = [threading.Thread(target=deliver, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert winners == [expectation.collect()["code"]]
        assert [] == files(mailbox)


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"code": "c"},
        {"state": "STATE"},
        {"state": "STATE", "code": ""},
        {"state": "STATE", "iss": "https://idp.example"},
        {"state": "", "code": "c"},
        {"state": "STATE", "code": "c" * (LONGEST + 1)},
        {"state": "STATE", "code": "c", "error_description": "d" * (LONGEST + 1)},
        {"state": "../../STATE", "code": "c"},
        {"state": "STATE\0", "code": "c"},
        {"state": "\ud800", "code": "c"},
        {"STATE": "STATE", "code": "c"},
    ],
    ids=lambda hostile: repr(hostile)[:60],
)
def test_what_is_no_answer_is_refused(mailbox, state, hostile):
    """It uses up no expectation, and writes nothing anywhere."""
    hostile = {name: value.replace("STATE", state) for name, value in hostile.items()}
    with mailbox.expect(state, lifetime=MINUTE):
        assert not mailbox.deliver(hostile)
        assert [".pending"] == files(mailbox)
        assert [mailbox.directory] == list(mailbox.directory.parent.iterdir())
        assert mailbox.deliver(answer(state))


def test_an_answer_put_there_by_name_is_refused(mailbox, state):
    """Who can only read the names of the files cannot pass an answer off."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        mailbox.deliver(answer(state))
        forged = json.loads(expectation.answer.read_text())
        forged["parameters"]["state"] = "guessed"
        expectation.answer.write_text(json.dumps(forged))
        assert expectation.collect() is None


def test_a_kernel_of_another_version_is_named(mailbox, state):
    """The server says that it is the kernel's version that does not fit, and leaves the expectation."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        of_other_version(expectation.pending)
        with pytest.raises(ConfigurationError, match=r"The kernel that waits has a version .* this Jupyter server\."):
            mailbox.deliver(answer(state))
        assert [".pending"] == files(mailbox)


def test_a_server_of_another_version_is_named(mailbox, state):
    """The kernel says that it is the server's version that does not fit, at the start or at the end."""
    entry = mailbox.announce("new", REDIRECT, since=0, lifetime=MINUTE)
    of_other_version(entry)
    with pytest.raises(ConfigurationError, match="The Jupyter server has a version") as raised:
        mailbox.redirect_uri()
    assert "its protocol: 2" in raised.value.diagnostics()
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        mailbox.deliver(answer(state))
        of_other_version(expectation.answer)
        with pytest.raises(ConfigurationError, match="The Jupyter server has a version"):
            expectation.collect()


def test_a_server_of_this_version_is_preferred(mailbox):
    """One server that does not fit does not hide one that does."""
    of_other_version(mailbox.announce("new", REDIRECT, since=2, lifetime=MINUTE))
    mailbox.announce("fits", "http://localhost:1/", since=1, lifetime=MINUTE)
    assert "http://localhost:1/" == mailbox.redirect_uri()


def test_no_server_no_address(mailbox):
    """Where nothing was ever announced, or it has expired, there is no redirect URI."""
    assert mailbox.redirect_uri() is None
    mailbox.announce("killed", REDIRECT, since=0, lifetime=OVER)
    assert mailbox.redirect_uri() is None


def test_a_kernel_finds_its_own_server(mailbox, monkeypatch):
    """The one that started it, where it still runs; else the one that started last."""
    own = mailbox.announce("own", "http://localhost:1/", since=1, lifetime=MINUTE)
    mailbox.announce("old", "http://localhost:2/", since=0, lifetime=MINUTE)
    mailbox.announce("last", "http://localhost:3/", since=2, lifetime=MINUTE)
    assert "http://localhost:3/" == mailbox.redirect_uri()
    monkeypatch.setenv(SERVER_VARIABLE, str(own))
    assert "http://localhost:1/" == mailbox.redirect_uri()
    own.unlink()
    assert "http://localhost:3/" == mailbox.redirect_uri()


def test_the_directory_is_the_servers_or_jupyters_own(tmp_path, monkeypatch):
    """A kernel looks where its server said it is, and otherwise in Jupyter's runtime directory."""
    usual = Path(jupyter_runtime_dir()) / "jupyter-federation"
    assert usual == Mailbox.default().directory
    monkeypatch.setenv(SERVER_VARIABLE, str(tmp_path / "one.server"))
    assert tmp_path == Mailbox.default().directory
    monkeypatch.setenv(SERVER_VARIABLE, str(tmp_path / "gone" / "one.server"))
    assert usual == Mailbox.default().directory


def test_a_directory_that_cannot_be_used_is_named(tmp_path, state):
    """A file in its place, or a full disk, is a sentence with a way out."""
    (tmp_path / "box").write_text("")
    with (
        pytest.raises(SourceUnavailableError, match=r"cannot be used: .* JUPYTER_RUNTIME_DIR"),
        Mailbox(tmp_path / "box").expect(state, lifetime=MINUTE),
    ):
        pass


def test_where_nothing_can_be_removed_the_reason_is_the_first_one(mailbox, state, monkeypatch):
    """A file system that is read-only refuses the entry, and its removal as well."""

    def refuse(path, **_options):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(SourceUnavailableError, match="cannot be used: Read-only file system"),
        mailbox.expect(state, lifetime=MINUTE),
    ):
        pass


@posix
def test_a_link_in_the_directorys_place_is_not_followed(mailbox, state, tmp_path):
    """It may lead to what another user has prepared; the mode of that stays as it is."""
    prepared = tmp_path / "prepared"
    Mailbox(prepared).announce("evil", REDIRECT, since=1.0, lifetime=MINUTE)
    prepared.chmod(0o755)
    mailbox.directory.parent.mkdir()
    mailbox.directory.symlink_to(prepared, target_is_directory=True)
    for use in (mailbox.redirect_uri, lambda: mailbox.expect(state, lifetime=MINUTE).__enter__()):
        with pytest.raises(SourceUnavailableError, match="it is a link"):
            use()
    assert 0o755 == mode(prepared)
    assert [".server"] == [path.suffix for path in prepared.iterdir()]


def no_entries(directory):
    """Files that no version of this package writes, by their names."""
    os.mkfifo(directory / "fifo.server")
    (directory / "link.server").symlink_to("/dev/zero")
    (directory / "nothing.server").touch()
    (directory / "list.server").write_text("[]")
    (directory / "half.server").write_text(json.dumps({"protocol": 1, "expires_at": time.time() + 60}))
    odd = {"protocol": 1, "expires_at": time.time() + 60, "since": "now", "redirect_uri": 5}
    (directory / "odd.server").write_text(json.dumps(odd))
    for number, end in enumerate((None, "later", float("nan"), float("inf"), 10**400)):
        endless = {"protocol": 1, "since": 9.0, "redirect_uri": REDIRECT + "endless"}
        endless |= {} if end is None else {"expires_at": end}
        (directory / f"endless-{number}.server").write_text(json.dumps(endless))


@posix
def test_another_users_entry_is_none(mailbox, state, monkeypatch):
    """It may be there since the directory was open to everybody."""
    mailbox.announce("evil", REDIRECT, since=1.0, lifetime=MINUTE)
    assert mailbox.redirect_uri() == REDIRECT
    status = os.fstat
    monkeypatch.setattr(
        os, "fstat", lambda each: os.stat_result([*status(each)[:4], os.geteuid() + 1, *status(each)[5:]])
    )
    monkeypatch.setattr("jupyter_federation.mailbox._make_private", lambda directory: None)  # by fstat too
    assert mailbox.redirect_uri() is None
    with mailbox.expect(state, lifetime=MINUTE):
        assert not mailbox.deliver(answer(state))


@posix
@pytest.mark.parametrize("privileged", [True, False])
def test_another_users_directory_is_not_adopted(mailbox, state, monkeypatch, privileged):
    """By root neither, who could: what is announced in it would lead a code to its owner."""
    mailbox.announce("evil", REDIRECT, since=1.0, lifetime=MINUTE)
    mailbox.directory.chmod(0o755)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 0 if privileged and user else user + 1)
    for use in (mailbox.redirect_uri, lambda: mailbox.expect(state, lifetime=MINUTE).__enter__()):
        with pytest.raises(SourceUnavailableError, match="it is another user's"):
            use()
    with pytest.raises(SourceUnavailableError, match="it is another user's"):
        mailbox.deliver(answer(state))
    assert 0o755 == mode(mailbox.directory)
    assert [".server"] == [path.suffix for path in mailbox.directory.iterdir()]


@pytest.mark.parametrize("end", [None, "later", float("nan"), float("inf"), 10**400], ids=lambda end: str(end)[:9])
def test_an_expectation_without_an_end_takes_nothing(mailbox, state, end):
    """Only half an entry: nobody waits, and the page does not fail."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        entry = json.loads(expectation.pending.read_text()) | {"expires_at": end}
        entry = {name: value for name, value in entry.items() if value is not None}
        expectation.pending.write_text(json.dumps(entry))
        assert not mailbox.deliver(answer(state))


@posix
def test_what_is_no_entry_is_passed_over(mailbox):
    """A FIFO, a link, half an entry: none keeps anybody waiting, and none is taken for another version's."""
    mailbox.directory.mkdir(parents=True)
    no_entries(mailbox.directory)
    assert mailbox.redirect_uri() is None
    mailbox.announce("server", REDIRECT, since=1.0, lifetime=MINUTE)
    assert REDIRECT == mailbox.redirect_uri()


@pytest.mark.parametrize("parameters", [None, [], {}, {"state": 5}])
def test_an_answer_without_its_parameters_is_none(mailbox, state, parameters):
    """The wait goes on."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        mailbox.deliver(answer(state))
        entry = json.loads(expectation.answer.read_text()) | {"parameters": parameters}
        expectation.answer.write_text(json.dumps(entry))
        assert expectation.collect() is None


def test_code_and_state_are_not_shown(mailbox, state):
    """Not in the names of files, in reprs, or in an error with all its frames' variables."""
    with mailbox.expect(state, lifetime=MINUTE) as expectation:
        mailbox.deliver(answer(state))
        shown = [str(path) for path in mailbox.directory.iterdir()]
        of_other_version(expectation.answer)
        try:
            expectation.collect()
        except ConfigurationError as error:
            shown += traceback.TracebackException(*sys.exc_info(), capture_locals=True).format()
            shown += [error.diagnostics(), repr(error.facts)]
        expectation.answer.write_text(expectation.answer.read_text().replace('"protocol": 2', '"protocol": 1'))
        collected = expectation.collect()
        shown += [repr(expectation), repr(vars(expectation)), repr(collected), repr(mailbox)]
    assert "the-code" == collected["code"]
    for secret in (state, "the-code"):
        assert [] == [text for text in shown if secret in text and "test_mailbox.py" not in text]
