"""``jupyter federation`` in a terminal."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from jupyter_federation import __version__, app, documentation
from jupyter_federation.config import SUBCOMMANDS
from jupyter_federation.demo import quickstart
from jupyter_federation.errors import ConfigurationError


def test_profiles_are_listed(capsys, tmp_path, monkeypatch):
    """With the file that each comes from."""
    content = {"Federation": {"profiles": {"research": {"source": "env", "variable": "TOKEN"}}}}
    (tmp_path / "jupyter_federation_config.json").write_text(json.dumps(content))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    assert app.main(["profiles"]) == 0
    assert "research" in capsys.readouterr().out


def test_an_error_is_a_sentence_and_an_exit_status(capsys, tmp_path, monkeypatch):
    """No traceback in a terminal."""
    (tmp_path / "jupyter_federation_config.json").write_text("{")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    assert app.main(["profiles"]) == 1
    assert capsys.readouterr().err.startswith("ConfigurationError: ")


def test_without_a_command_the_help_is_shown(capsys):
    """What there is."""
    assert app.main([]) == 0
    shown = capsys.readouterr().out
    assert all(each in shown for each in ("demo", "profiles", "doctor", "docs", "--version"))


def test_the_version_is_the_installed_one(capsys):
    """Which is the package's own."""
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"jupyter-aws-federation {__version__}\n"


def test_each_page_is_listed_and_printed(capsys):
    """By its name, or as a message or a link has it; each page of docs/, each template, and the package's hub.py."""
    root = Path(__file__).parents[1] / "docs"
    assert app.main(["docs"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    files = {file.relative_to(root).as_posix().removesuffix(".md"): file for file in root.glob("*.md")}
    as_they_stand = {file.relative_to(root).as_posix(): file for file in root.glob("deploy/*")}
    as_they_stand["deploy/hub.py"] = Path(app.__file__).with_name("hub.py")
    assert sorted(listed) == sorted(files | as_they_stand)
    for name, file in (files | as_they_stand).items():
        text = file.read_text(encoding="utf-8")
        for asked in (name, f"docs/{name}{'.md' if name in files else ''}"):
            assert app.main(["docs", asked]) == 0
            assert capsys.readouterr().out == (documentation.readable(text) if name in files else text)


def test_of_a_page_only_links_and_comments_are_printed_otherwise():
    """Each is printed as it stands between them, in its order, its code whole; and no link to a file is left."""
    for file in (Path(__file__).parents[1] / "docs").glob("*.md"):
        source, printed = file.read_text(encoding="utf-8"), documentation.page(file.stem)
        between = re.split(r"\[[^\]]+\]\([^)]+\)|<!--.*?-->\n+", source)
        assert re.fullmatch("(.{0,120}?)".join(map(re.escape, between)), printed, re.DOTALL), file.name
        assert re.findall(r"^```.*?^```$", source, re.DOTALL | re.MULTILINE) == re.findall(
            r"^```.*?^```$", printed, re.DOTALL | re.MULTILINE
        )
        assert "<!--" not in printed
        assert all(target.startswith("https://") for target in re.findall(r"\]\(([^)]*)\)", printed))


@pytest.mark.parametrize(
    ("markdown", "printed"),
    [
        ("is on [its own page](aws.md).", "is on its own page (`jupyter federation docs aws`)."),
        ("[Google at\nAWS](aws.md#google)", "Google at\nAWS (`jupyter federation docs aws`)"),
        ("write one ([profiles](profiles.md))", "write one (`jupyter federation docs profiles`)"),
        ("see [AWS](aws.md#google)", "see `jupyter federation docs aws`"),
        ("([identity providers](identity-providers.md))", "(`jupyter federation docs identity-providers`)"),
        ("| [sts.yaml](deploy/sts.yaml) |", "| `jupyter federation docs deploy/sts.yaml` |"),
        ("[a template](deploy/sts.yaml)", "a template (`jupyter federation docs deploy/sts.yaml`)"),
        ("[A notebook](../notebooks/data-stack.ipynb) shows", "A notebook shows"),
        ("[hub.py](../jupyter_federation/hub.py)", "hub.py"),
        ("[why](decisions/0001-patches.md), [Security](../SECURITY.md)", "why, Security"),
        ("see [below](#at-aws)", "see below"),
        ("[the chart](https://z2jh.jupyter.org/)", "[the chart](https://z2jh.jupyter.org/)"),
        ("a\n\n<!-- who\nwrites -->\n\nb <https://x>", "a\n\nb <https://x>"),
        ("```\n[code](aws.md)\n<!-- kept -->\n```\n[b](#b)", "```\n[code](aws.md)\n<!-- kept -->\n```\nb"),
    ],
)
def test_a_link_names_what_prints_its_page(markdown, printed):
    """After its label, or in place of one that is the page's name; no link leads to what an installation lacks."""
    assert documentation.readable(markdown) == printed


def test_a_file_is_printed_byte_for_byte():
    """To be redirected to a file, in a terminal of whatever encoding."""
    hub = Path(app.__file__).with_name("hub.py")
    command = [sys.executable, "-m", "jupyter_federation", "docs", "deploy/hub.py"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert subprocess.run(command, capture_output=True, check=True, env=environment).stdout == hub.read_bytes()


def test_an_address_within_a_page_prints_the_page(capsys):
    """As the doctor's JSON and the pages' own links have it."""
    assert app.main(["docs", "docs/doctor.md#profile-missing"]) == 0
    assert capsys.readouterr().out.startswith("# The doctor\n")


@pytest.mark.parametrize(
    ("words", "status"), [(["docs", "doctor"], 0), (["doctor", "--no-exchange"], 1)], ids=["docs", "doctor"]
)
def test_it_ends_with_its_reader_and_its_exit_status_stays(words, status):
    """`| head` has enough before the end; a gate may show the first lines alone."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "jupyter_federation", *words]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (status, "")


def test_it_is_run_by_python_as_well():
    """In an environment whose commands are not on the path."""
    command = [sys.executable, "-m", "jupyter_federation", "docs", "doctor"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == documentation.page("doctor")


@pytest.mark.parametrize("name", ["nothing", "../README", "decisions/0001-patches", ""])
def test_a_page_that_is_none_is_answered_with_those_that_are(name, capsys):
    """And nothing beside docs/ is read."""
    assert app.main(["docs", name]) == 1
    assert "jupyter federation docs and one of amplify, aws, doctor," in capsys.readouterr().err


def test_each_page_that_a_message_names_is_there():
    """What is said to be typed can be."""
    package = Path(app.__file__).parent
    said = [
        each
        for file in package.rglob("*.py")
        for each in re.findall("jupyter federation docs ([a-z/.-]+[a-z])", file.read_text())
    ]
    assert {"aws", "profiles", "jupyterhub", "identity-providers"} <= set(said)
    assert set(said) - {"and"} <= set(documentation.pages())


@pytest.mark.parametrize("word", sorted({*SUBCOMMANDS} - {"profiles", "doctor"}))
def test_a_word_of_the_magic_leads_to_the_notebook(word, capsys):
    """The sign-in is there, and not in a terminal."""
    with pytest.raises(SystemExit) as caught:
        app.main([word])
    assert caught.value.code == 2
    assert f"{word} is for a notebook, where the sign-in is: %federate {word}\n" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["demmo"], ["demo", "--exec-ute"]])
def test_a_wrong_line_is_argparse_s_business(arguments, capsys):
    """Exit status 2 and a usage line."""
    with pytest.raises(SystemExit) as caught:
        app.main(arguments)
    assert caught.value.code == 2
    assert "usage: jupyter federation" in capsys.readouterr().err


def test_the_demo_names_what_is_not_installed(monkeypatch, capsys):
    """A plain installation has no moto."""
    monkeypatch.setattr(quickstart, "_NEEDS", ("moto", "a_package_that_nobody_has"))
    assert app.main(["demo", "--execute"]) == 1
    message = capsys.readouterr().err
    assert "a_package_that_nobody_has" in message
    assert "pip install 'jupyter-aws-federation[demo]'" in message
    assert ConfigurationError.__name__ in message


@pytest.mark.slow
def test_the_quickstart_runs_headless(tmp_path):
    """`jupyter federation demo --execute` says what happened, and exits with 0."""
    answer = jupyter_federation("demo", "--execute", stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    said, warned = answer.communicate(timeout=100)
    assert answer.returncode == 0, said + warned
    assert warned == ""
    assert len(re.findall(r"s: the key ends in \w{4}", said)) == 1  # one line that is written over
    for text in ("['README.txt', 'birds/autumn.csv', 'birds/spring.csv']", "curlew", "renewed;", "was cleared"):
        assert text in said
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.slow
def test_a_cell_that_fails_is_an_exit_status(tmp_path, monkeypatch, capsys):
    """Non-zero if anything did not happen."""
    notebook = json.loads(quickstart._quickstart().read_text())
    notebook["cells"][1]["source"] = ["1 / 0"]
    broken = tmp_path / "broken.ipynb"
    broken.write_text(json.dumps(notebook))
    monkeypatch.setattr(quickstart, "_quickstart", lambda: broken)
    assert quickstart.execute() == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal here")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_serves_the_quickstart_and_leaves_nothing_behind(tmp_path, end):
    """It prints one URL with which JupyterLab answers; Ctrl-C ends everything."""
    demo = jupyter_federation("demo", "--no-browser", stdout=subprocess.PIPE, TMPDIR=str(tmp_path))
    try:
        url = next(found[0] for line in demo.stdout if (found := re.search(r"http://127\.0\.0\.1:\S+", line)))
        contents = url.replace("/lab/tree/", "/api/contents/")
        with urllib.request.urlopen(contents, timeout=30) as answer:
            assert json.load(answer)["name"] == "quickstart.ipynb"
    finally:
        demo.send_signal(end)
        demo.communicate(timeout=30)
    assert demo.returncode == {signal.SIGINT: 0, signal.SIGTERM: 143}[end]
    assert list(tmp_path.glob("jupyter-federation-demo-*")) == []
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", int(re.search(r":(\d+)/", url)[1]))) != 0


def jupyter_federation(*arguments, stdout, stderr=None, cwd=None, **environment):
    """The command as a shell would start it."""
    command = Path(sys.executable).with_name("jupyter-federation")
    environment = {**os.environ, **environment}
    return subprocess.Popen([command, *arguments], stdout=stdout, stderr=stderr, text=True, cwd=cwd, env=environment)
