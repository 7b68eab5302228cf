"""Asking the person, and not waiting where there is none."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import nbclient
import nbformat
import pytest
from IPython.core.error import StdinNotImplementedError

from jupyter_federation import notebook_prompt
from jupyter_federation.errors import LoginRequiredError
from jupyter_federation.notebook_prompt import NotebookPrompt
from jupyter_federation.offer import Offer
from jupyter_federation.redaction import Secret

ASK = textwrap.dedent("""\
    from jupyter_federation.errors import LoginRequiredError
    from jupyter_federation.notebook_prompt import NotebookPrompt
    try:
        NotebookPrompt().ask_secret("Token: ")
    except LoginRequiredError as error:
        print(error)
""")
OFFER = Offer(issuer="https://login.example.org", client_id="notebook", steps=(), address="https://login.example.org/")


class Kernel:
    """A kernel whose front end types ``answer``, or takes no input."""

    def __init__(self, answer=None):
        self.kernel = self
        self.answer = answer
        self._allow_stdin = answer is not None

    def getpass(self, question):
        if self.answer is None:
            raise StdinNotImplementedError(question)
        return self.answer


class Terminal(io.StringIO):
    """A stdin with a person behind it."""

    def isatty(self):
        return True


def test_the_kernels_front_end_is_asked_and_the_answer_masked(monkeypatch):
    """What it gives is a secret from there on."""
    monkeypatch.setattr(notebook_prompt, "get_ipython", lambda: Kernel("opaque"))
    answer = NotebookPrompt().ask_secret("Token: ")
    assert answer == "opaque"
    assert isinstance(answer, Secret)


def test_a_front_end_that_takes_no_input_is_an_error_with_the_way_out(monkeypatch):
    """As under nbconvert and papermill."""
    monkeypatch.setattr(notebook_prompt, "get_ipython", Kernel)
    with pytest.raises(LoginRequiredError, match=r"nobody can be asked.*--token-file.*--token-env"):
        NotebookPrompt().ask_secret("Token: ")


@pytest.mark.parametrize("stdin", ["pipe", "closed", "none"])
def test_without_a_terminal_nobody_is_waited_for(monkeypatch, stdin):
    """getpass would read from the pipe, or from whatever terminal started the server."""
    stream = io.StringIO("not typed by a person\n")
    if stdin == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stdin", None if stdin == "none" else stream)
    with pytest.raises(LoginRequiredError):
        NotebookPrompt().ask_secret("Token: ")


@pytest.mark.parametrize("ended", [False, True])
def test_a_terminal_is_asked_without_echo(monkeypatch, ended):
    """The end of its input means that nobody is there."""

    def getpass(question):
        if ended:
            raise EOFError
        return question

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(notebook_prompt.getpass, "getpass", getpass)
    if ended:
        with pytest.raises(LoginRequiredError):
            NotebookPrompt().ask_secret("Token: ")
    else:
        assert NotebookPrompt().ask_secret("Token: ") == "Token: "


def test_waiting_shows_one_line_after_a_second_and_takes_it_away(capsys):
    """Each line is written over the one before."""
    prompt = NotebookPrompt()
    for seconds in (0.2, 9, 10.4):
        prompt.waiting("Asking AWS", seconds)
    prompt.waiting("Asking", 11)
    prompt.close()
    prompt.close()
    written = capsys.readouterr().out
    assert written.split("\r") == ["", "Asking AWS: 9 s", "Asking AWS: 10 s", "Asking: 11 s".ljust(16), " " * 12, ""]


def test_nothing_is_written_where_nothing_took_long(capsys):
    """A quick sign-in leaves no trace in the cell."""
    prompt = NotebookPrompt()
    prompt.waiting("Asking AWS", 0.4)
    prompt.close()
    assert capsys.readouterr().out == ""


def test_what_a_terminal_is_shown_is_text(capsys):
    """Complete by itself."""
    prompt = NotebookPrompt()
    prompt.show(OFFER)
    prompt.close()
    assert capsys.readouterr().out == f"{OFFER.text()}\n"


def test_what_was_just_shown_when_an_interrupt_came_goes_too(monkeypatch):
    """It lands behind the display, and before anything else could remember it."""
    displayed = []

    class Handle:
        def display(self, content, *, raw):
            displayed.append(content)
            raise KeyboardInterrupt

        def update(self, content, *, raw):
            displayed.append(content)

    monkeypatch.setattr(notebook_prompt, "get_ipython", lambda: Kernel("yes"))
    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    with pytest.raises(KeyboardInterrupt), contextlib.closing(NotebookPrompt()) as prompt:
        prompt.show(OFFER)
    assert displayed[1:] == [{"text/plain": ""}]


def test_what_a_front_end_is_shown_goes_when_the_call_is_over(monkeypatch):
    """One display, replaced by the next and emptied in the end: a notebook would save it."""
    displayed = []

    class Handle:
        def display(self, content, *, raw):
            displayed.append(content)

        update = display

    monkeypatch.setattr(notebook_prompt, "get_ipython", lambda: Kernel("yes"))
    monkeypatch.setattr("IPython.display.DisplayHandle", Handle)
    prompt = NotebookPrompt()
    prompt.show(OFFER)
    prompt.show(replace(OFFER, code="AB-CD"))
    prompt.ask_secret("?")
    prompt.close()
    prompt.close()
    one = {"text/plain": OFFER.text(), "text/html": OFFER.html()}
    assert displayed[0] == one
    assert "AB-CD" in displayed[1]["text/html"]
    assert displayed[2:] == [{"text/plain": ""}]


@pytest.mark.parametrize(("shell", "reached"), [(Kernel("yes"), True), (Kernel(), False)])
def test_a_kernel_reaches_somebody_where_its_front_end_takes_input(monkeypatch, shell, reached):
    """As JupyterLab does and nbclient does not."""
    monkeypatch.setattr(notebook_prompt, "get_ipython", lambda: shell)
    assert NotebookPrompt().reaches_somebody is reached


@pytest.mark.parametrize(("stdin", "reached"), [(Terminal(), True), (io.StringIO(), False), (None, False)])
def test_a_terminal_reaches_somebody(monkeypatch, stdin, reached):
    """A pipe, or nothing, does not."""
    monkeypatch.setattr(sys, "stdin", stdin)
    assert NotebookPrompt().reaches_somebody is reached


@pytest.mark.slow
@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_ipython_without_a_terminal_never_hangs(stdin):
    """A pipe that stays open and silent is the hardest case."""
    command = [sys.executable, "-m", "IPython", "--no-banner", "-c", ASK]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            output = process.stdout.read()
        finally:
            process.kill()
    assert "--token-file" in output


@pytest.mark.slow
def test_a_notebook_that_runs_by_itself_never_hangs():
    """nbclient's kernel is told within a second, and goes on."""
    clock = "import time; started = time.perf_counter()\n"
    cell = nbformat.v4.new_code_cell(f"{clock}{ASK}print(time.perf_counter() - started < 1)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    began = time.monotonic()
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    assert time.monotonic() - began < 60
    text = cell.outputs[0]["text"]
    assert "--token-file" in text
    assert text.endswith("True\n")
