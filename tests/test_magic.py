"""``%federate`` in a real IPython shell, mostly over a federation that only writes down what it is asked."""

from __future__ import annotations

import atexit
import functools
import gc
import json
import sqlite3
import subprocess
import sys
import time
import types
from collections import deque

import nbclient
import nbformat
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_federation import magic
from jupyter_federation.config import SUBCOMMANDS
from jupyter_federation.errors import ConfigurationError, FederationError

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
OPAQUE = "EAAG" + "b0uZ" * 20  # as long as Facebook's access tokens are
KEY = "AKIAIOSFODNN7EXAMPLE"
POOL = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def bare_shell(tmp_path):
    """A shell of its own, with a history on disk."""
    history = {"hist_file": str(tmp_path / "history.sqlite"), "db_cache_size": 0}
    shell = InteractiveShell(config=Config(HistoryManager=history), ipython_dir=str(tmp_path / "ipython"))
    gc.freeze()  # a shell that ends collects garbage, and need not look at what was there before it
    yield shell
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()
    gc.unfreeze()


@pytest.fixture
def shell(bare_shell):
    """A shell with the extension."""
    bare_shell.run_line_magic("load_ext", "jupyter_federation")
    yield bare_shell
    magic.unregister(bare_shell)


class Result(str):
    """What a call gives, with some of a SessionStatus's attributes."""

    __slots__ = ("beside", "is_federated")


@pytest.fixture
def federation(monkeypatch):
    """Stands in for jupyter_federation.calls; ``calls`` holds (name, arguments, keywords)."""
    stand_in = types.ModuleType("jupyter_federation.calls")
    stand_in.calls = []

    def recorder(name):
        result = Result(f"result of {name}")
        result.is_federated, result.beside = False, ()
        return lambda *args, **keywords: stand_in.calls.append((name, args, keywords)) or result

    for name in ("federate", "status", "whoami", "refresh", "clear", "panel", "export"):
        setattr(stand_in, name, recorder(name))
    monkeypatch.setitem(sys.modules, "jupyter_federation.calls", stand_in)
    monkeypatch.setattr(sys.modules["jupyter_federation"], "calls", stand_in, raising=False)
    return stand_in


@pytest.fixture
def profiles(monkeypatch, tmp_path):
    """The profiles research (default) and prod, in the user's file."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    names = {"default_profile": "research", "profiles": {"research": {"identity_pool_id": POOL}, "prod": {}}}
    (tmp_path / "jupyter_federation_config.json").write_text(json.dumps({"Federation": names}))


def run(shell, cell):
    """Run a cell as a notebook does; its error is raised."""
    return shell.run_cell(cell, store_history=True)


def stored(shell):
    """Everything that the history keeps of the inputs, on disk and in memory."""
    shell.history_manager.writeout_cache()
    with sqlite3.connect(shell.history_manager.hist_file) as db:
        rows = db.execute("select source, source_raw from history").fetchall()
    db.close()
    inputs = {name: value for name, value in shell.user_ns.items() if name in {"In", "_ih"} or name.startswith("_i")}
    ranges = [list(shell.history_manager.get_range(raw=raw)) for raw in (True, False)]
    return repr((rows, inputs, ranges, shell.history_manager.input_hist_raw))


# What a line calls


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("", ("federate", (None,), {})),
        ("research", ("federate", ("research",), {})),
        ("research --region eu-west-1", ("federate", ("research",), {"region": "eu-west-1"})),
        ("--duration-seconds 900 prod", ("federate", ("prod",), {"duration_seconds": "900"})),
        ("--region=eu-west-1 prod", ("federate", ("prod",), {"region": "eu-west-1"})),
        ("--no-browser prod --region x", ("federate", ("prod",), {"no_browser": True, "region": "x"})),
        ("--token-file /run/token", ("federate", (None,), {"source": "file", "path": "/run/token"})),
        ("--token-env=TOKEN", ("federate", (None,), {"source": "env", "variable": "TOKEN"})),
        ("--token-var token", ("federate", (None,), {"source": "var", "variable": "token"})),
        ("--token-prompt", ("federate", (None,), {"token_prompt": True})),
        ("--token-file 'my token' --source file", ("federate", (None,), {"source": "file", "path": "my token"})),
        ("--token-file my\\ token", ("federate", (None,), {"source": "file", "path": "my token"})),
        ("--scopes a b --no-browser", ("federate", (None,), {"scopes": ["a", "b"], "no_browser": True})),
        ('--policy \'{"Version": "2012-10-17"}\'', ("federate", (None,), {"policy": '{"Version": "2012-10-17"}'})),
        ("--client-secret-env NAME", ("federate", (None,), {"client_secret_env": "NAME"})),
        ("--client-secret-file=~/secret", ("federate", (None,), {"client_secret_file": "~/secret"})),
        ("--role-arn $arn", ("federate", (None,), {"role_arn": "arn:aws"})),
        ("--role-arn {arn}", ("federate", (None,), {"role_arn": "arn:aws"})),
        ("status", ("status", (), {})),
        ("whoami", ("whoami", (), {})),
        ("refresh", ("refresh", (), {})),
        ("clear", ("clear", (), {"sign_out": False, "profile": None})),
        ("clear --sign-out", ("clear", (), {"sign_out": True, "profile": None})),
        ("clear prod", ("clear", (), {"sign_out": False, "profile": "prod"})),
        ("clear --sign-out prod", ("clear", (), {"sign_out": True, "profile": "prod"})),
        ("panel", ("panel", (), {})),
        ("export", ("export", (), {})),
        ("status;", ("status", (), {})),
        ("refresh  # now", ("refresh", (), {})),
    ],
)
def test_a_line_is_one_call_and_its_result(shell, federation, line, call):
    """Options come under their keys, as they were typed; the result displays itself."""
    shell.user_ns["arn"] = "arn:aws"
    assert run(shell, f"%federate {line}").result == f"result of {call[0]}"
    assert [call] == federation.calls


def test_variables_of_a_function_are_expanded(shell, federation):
    """As IPython does for every line magic."""
    run(shell, "def sign_in(arn):\n    %federate --role-arn $arn\nsign_in('arn:local')")
    assert [("federate", (None,), {"role_arn": "arn:local"})] == federation.calls


def test_a_backslash_of_a_windows_path_is_itself():
    """Where the system's paths have them, they escape nothing."""
    assert deque(["--token-file", r"C:\new\token"]) == magic._words(r"--token-file C:\new\token", escape="")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--regoin x", "no option --regoin. Did you mean `--region`?"),
        ("--identity_pool_id x", "Did you mean `--identity-pool-id`?"),
        ("--frobnicate", "%federate --help lists them all"),
        ("--role-arn", "--role-arn needs a value"),
        ("--role-arn --region x", "--role-arn needs a value"),
        ("--token-prompt=x", "--token-prompt takes no value"),
        ("--no-browser=yes", "--no-browser takes no value"),
        ("--no-browser true", "--no-browser takes no value"),
        ("--token-file x --token-env Y", "Keep one of the two options"),
        ("--token-file x --source env", "Keep one of the two options"),
        ("research prod", "'prod' is one too many"),
        ("--region x research prod", "'prod' is one too many"),
        ("research --region x prod", "'prod' is one too many"),
        ("--no-browser status", "status takes none of the options before it. Type %federate status."),
        ("--token-file 'x", "quote on the %federate line is not closed"),
        ("status now", "status does not take 'now'. Type %federate status."),
        ("clear --sign-ou", "clear does not take '--sign-ou'. Type %federate clear [PROFILE] [--sign-out]"),
        ("clear a b", "clear does not take 'b'. Type %federate clear [PROFILE] [--sign-out]"),
        ("--profile prod", "Type %federate NAME"),
        ("--profil prod", "Type %federate NAME"),
        ("-p prod", "no option -p: they begin with --"),
        ("doctor --jsno", "doctor does not take '--jsno'"),
    ],
)
def test_a_wrong_line_is_a_configuration_error_that_says_how(shell, federation, capsys, line, said):
    """It is one short sentence in the notebook, and nothing is called."""
    error = run(shell, f"%federate {line}").error_in_exec
    assert isinstance(error, ConfigurationError)
    assert said in str(error)
    assert capsys.readouterr().out.strip() == f"ConfigurationError: {error}"
    assert federation.calls == []


@pytest.mark.usefixtures("profiles")
def test_profiles_are_listed_without_signing_in(shell, federation):
    """As a table that displays itself."""
    assert f"research (default)          identity pool {POOL}" in repr(run(shell, "%federate profiles").result)
    assert federation.calls == []


def test_help_shows_every_option(shell, capsys):
    """From the one list."""
    run(shell, "%federate --help")
    shown = capsys.readouterr().out
    assert all(
        each in shown
        for each in ("--token-file PATH", "--identity-pool-id", "--assume-role-arn ARN", "--region REGION")
    )
    assert (
        shown.index("Signing in") < shown.index("--tenant TENANT") < shown.index("At AWS") < shown.index("--region R")
    )
    assert "--client-secret " not in shown
    assert "(true or false)" not in shown
    assert "(a list of scopes, with spaces between)" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 100  # an output of JupyterLab breaks longer lines within words


def test_help_as_a_word_leads_to_the_option(shell, capsys, tmp_path, monkeypatch):
    """Where no federation profile is called so."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    run(shell, "%federate help")
    assert "%federate --help shows what there is." in capsys.readouterr().out


@pytest.mark.parametrize("line", ["clear --help", "clear -h", "clear prod --help"])
def test_help_of_a_subcommand_is_its_own(shell, federation, capsys, line):
    """And nothing is called."""
    run(shell, f"%federate {line}")
    (shown,) = capsys.readouterr().out.splitlines()
    assert shown.startswith("%federate clear [PROFILE]")
    assert "--sign-out" in shown
    assert federation.calls == []


def test_every_subcommand_is_offered(shell):
    """By Tab and by %federate?."""
    assert {f"%federate {each}" for each in SUBCOMMANDS} <= set(complete(shell, "%federate "))
    assert [] == [each for each in SUBCOMMANDS if each not in magic.FederateMagic.federate.__doc__]
    options = {"--no-exchange", "--trust-policy", "--json"}
    assert {f"%federate doctor {each}" for each in options} <= set(complete(shell, "%federate doctor "))


@pytest.mark.parametrize("line", ["--live", "a b", "--json=1", "--trust-policy"])
def test_the_doctor_s_line_is_checked(shell, federation, line):
    """A typed error that says what there is."""
    error = run(shell, f"%federate doctor {line}").error_in_exec
    assert isinstance(error, ConfigurationError)
    assert federation.calls == []


# With the real federation


@pytest.mark.usefixtures("aws_environment")
def test_a_line_signs_in_and_a_second_one_changes_nothing(shell, aws, pool, provider, tmp_path):
    """From the token file to credentials, and back by clear."""
    (tmp_path / "token").write_text(provider.id_token("ada"))
    line = f"%federate --token-file {tmp_path}/token --identity-pool-id {pool.id}"
    assert run(shell, line).result.credentials == "valid"
    calls = len(aws.calls)
    assert run(shell, line).result.credentials == "valid"
    assert calls == len(aws.calls)
    run(shell, "%federate clear")
    assert run(shell, "%federate status").result.credentials == "none"


@pytest.mark.slow
def test_a_notebook_that_runs_by_itself_is_told_that_it_needs_a_person():
    """A typed error, and no waiting."""
    cells = ["%load_ext jupyter_federation", f"%federate --token-prompt --identity-pool-id {POOL}"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute()
    (output,) = notebook.cells[1].outputs
    assert output["ename"] == "LoginRequiredError"
    assert "--token-file" in output["traceback"][0]


# An interrupt


@pytest.fixture
def interrupted(monkeypatch):
    """The kernel's federation, whose sign-in a person interrupts."""
    from jupyter_federation import calls

    def sign_in(*_, **__):
        try:
            raise FederationError("Nobody has signed in.", fix="Sign in.")
        except FederationError:
            raise KeyboardInterrupt  # noqa: B904 - as it comes: during the handling of something else

    monkeypatch.setattr(calls._kernel, "_sign_in", sign_in)


@pytest.mark.parametrize("profile", ["", " prod"])
@pytest.mark.usefixtures("aws_environment", "interrupted")
def test_an_interrupted_sign_in_is_one_line_that_says_who_is_signed_in(shell, capsys, tmp_path, monkeypatch, profile):
    """A KeyboardInterrupt still, so that it ends all the cells to come; without a frame, or what it came upon."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    prod = {"source": "env", "variable": "TOKEN", "identity_pool_id": POOL}
    content = {"default_profile": "prod", "profiles": {"prod": prod}}
    (tmp_path / "jupyter_federation_config.json").write_text(json.dumps({"Federation": content}))
    error = run(shell, f"%federate{profile}").error_in_exec
    assert isinstance(error, KeyboardInterrupt)
    sentence = f"Sign-in cancelled; nobody is signed in. Run %federate{profile} to sign in."
    assert capsys.readouterr().out.strip() == sentence
    assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.usefixtures("aws_environment")
def test_an_interrupt_on_top_of_a_sign_in_says_that_it_goes_on(shell, pool, provider, tmp_path, monkeypatch):
    """By the profile's name, where there is one: a person's would be saved with the notebook."""
    from jupyter_federation import calls

    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("TOKEN", provider.id_token("ada"))
    demo = {"source": "env", "variable": "TOKEN", "identity_pool_id": pool.id}
    content = {"default_profile": "demo", "profiles": {"demo": demo}}
    (tmp_path / "jupyter_federation_config.json").write_text(json.dumps({"Federation": content}))
    run(shell, "%federate")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(calls._kernel, "_signed_in", interrupt)
    error = run(shell, "%federate --token-file /run/token").error_in_exec
    assert str(error) == "Sign-in cancelled; you are still signed in as 'demo'. Run the line again to sign in."


# A token on the line


@pytest.mark.parametrize("token", [JWT, OPAQUE, KEY])
@pytest.mark.parametrize(
    "cell",
    [
        "%federate {token}",
        "%federate --token {token}",
        "%federate --token={token}",
        "%federate --id-token '{token}'",
        "%federate --token-file={token} --region eu-west-1",
        '%federate --token-var "{token}"',
        "%federate 'unbalanced {token}",
        "a = 1\n%federate --token-env {token}\nb = 2",
        "%time %federate {token}",
        "get_ipython().run_line_magic('federate', '--token-file {token}')",
        "status = %federate {token}",
    ],
)
def test_a_token_on_the_line_is_refused_unrepeated_and_kept_out_of_the_history(shell, federation, capsys, cell, token):
    """Before it is parsed: the person is told to treat it as disclosed; memory and disk hold it nowhere."""
    run(shell, cell.format(token=token))
    shown = "".join(capsys.readouterr())
    assert "treat it as disclosed" in shown
    errors = getattr(shell.history_manager, "exceptions", None)  # IPython 9 keeps what it showed
    assert token not in shown + stored(shell) + repr(errors)
    assert federation.calls == []


@pytest.mark.parametrize("option", ["--token", "--access-token", "--web-identity-token"])
def test_an_option_for_the_token_itself_is_refused_whatever_stands_there(shell, federation, option):
    """There is no such option, and what stands there is meant as a secret."""
    error = run(shell, f"%federate {option} hunter2").error_in_exec
    assert "treat it as disclosed" in error.fix
    assert "hunter2" not in str(error) + stored(shell)
    assert federation.calls == []


@pytest.mark.parametrize("line", ["--token-var $token", "--token-file={token}", "{token}"])
def test_a_variable_that_puts_the_token_on_the_line_is_refused(shell, federation, capsys, line):
    """The name is asked for; what was typed held no secret and stays in the history."""
    shell.user_ns["token"] = JWT
    error = run(shell, f"%federate {line}").error_in_exec
    assert "--token-var NAME" in error.fix
    assert JWT not in capsys.readouterr().out
    assert f"%federate {line}" in stored(shell)
    assert federation.calls == []


@pytest.mark.parametrize(
    "cell",
    [
        f'jf.federate_to_identity_pool("{JWT}", "google")',
        f'import jupyter_federation as jf\njf.federate(\n    token="{OPAQUE}",\n)',
        f"%%federate\n{JWT}",
        f'token = "{JWT}"\n%federate --token-var token',
    ],
)
@pytest.mark.usefixtures("federation")
def test_a_token_in_any_cell_that_federates_is_kept_out_of_the_history(shell, cell):
    """In Python calls, in a cell magic that does not exist, in a variable beside."""
    run(shell, cell)
    assert not [token for token in (JWT, OPAQUE) if token in stored(shell)]
    assert "federate" in stored(shell)


@pytest.mark.parametrize(
    "cell",
    [
        f"digest = '{JWT}'",
        "%federate --token-file /run/token --region=eu-west-1",
        "table = 'abfss://data@acct.dfs.core.windows.net/t'\n%federate status",
        "clone = 'ssh://git@github.com/org/repo'\n%federate status",
        "n, k, v = 7, 2, 1\n%federate status\nlambda: n//k@v",
    ],
)
@pytest.mark.usefixtures("federation")
def test_every_other_cell_is_stored_as_it_is(shell, cell):
    """Only cells that federate are touched, and only where they hold a token."""
    run(shell, cell)
    assert cell == shell.history_manager.input_hist_raw[-1]


def test_without_the_extension_the_token_is_in_the_history(bare_shell):
    """The negative control: what the tests above look for is found where nothing guards."""
    magic.register(bare_shell)
    magic.unregister(bare_shell)
    run(bare_shell, f"%federate --token {JWT}")
    assert stored(bare_shell).count(JWT) > 5


# Coming and going


def test_unloading_leaves_the_shell_as_it_was_and_signs_out(bare_shell, federation):
    """Magic, completion and history; what is signed in is cleared."""

    def state():
        completer, history = bare_shell.Completer, bare_shell.history_manager
        return set(bare_shell.magics_manager.magics["line"]), list(completer.custom_matchers), history.store_inputs

    before = state()
    bare_shell.run_line_magic("load_ext", "jupyter_federation")
    assert before != state()
    bare_shell.run_line_magic("unload_ext", "jupyter_federation")
    assert before == state()
    assert [("status", (), {}), ("clear", (), {})] == federation.calls


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("command", ["unload_ext", "reload_ext"])
def test_an_unloading_that_signs_out_says_so(shell, pool, provider, monkeypatch, capsys, command):  # noqa: PLR0917
    """In one line, once: where nobody is signed in there is none."""
    monkeypatch.setenv("TOKEN", provider.id_token("ada"))
    run(shell, f"%federate --token-env TOKEN --identity-pool-id {pool.id}")
    capsys.readouterr()
    shell.run_line_magic(command, "jupyter_federation")
    assert capsys.readouterr().out.count("Signed out of AWS") == 1
    shell.run_line_magic("reload_ext", "jupyter_federation")
    assert capsys.readouterr().out == ""


def test_loading_twice_is_loading_once(bare_shell):
    """A second registration replaces the first."""
    magic.register(bare_shell)
    magic.register(bare_shell)
    assert len(bare_shell.Completer.custom_matchers) == 1
    magic.unregister(bare_shell)
    magic.unregister(bare_shell)
    assert bare_shell.Completer.custom_matchers == []


def test_a_later_wrapper_of_the_history_survives_unloading(bare_shell):
    """What somebody else put over ours is not ours to remove."""
    magic.register(bare_shell)
    ours = bare_shell.history_manager.store_inputs
    theirs = bare_shell.history_manager.store_inputs = functools.partial(ours)
    magic.unregister(bare_shell)
    assert bare_shell.history_manager.store_inputs is theirs


@pytest.mark.slow
def test_loading_imports_nothing_heavy():
    """Neither AWS nor widgets nor our own rooms below the magic."""
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance();"
        "before = set(sys.modules); shell.run_line_magic('load_ext', 'jupyter_federation');"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {each for each in loaded if not each.startswith("IPython.")} == {
        "jupyter_federation",
        "jupyter_federation.errors",
        "jupyter_federation.magic",
        "jupyter_federation.redaction",
    }


# Completion


def complete(shell, text):
    """What Tab offers at the end of ``text``, as whole lines."""
    with provisionalcompleter():
        return [text[: each.start] + each.text for each in shell.Completer.completions(text, len(text))]


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("%federate pr", ["%federate prod", "%federate profiles"]),
        ("x = %federate st", ["x = %federate status"]),
        ("%federate research --role-", ["%federate research --role-arn", "%federate research --role-session-name"]),
        ("%federate --token-", [f"%federate --token-{each}" for each in ("env", "file", "prompt", "var")]),
        ("%federate research --token-p", ["%federate research --token-prompt"]),
        ("%federate --provider go", ["%federate --provider google"]),
        ("%federate --provider=go", ["%federate --provider=google"]),
        ("%federate --source ju", ["%federate --source jupyterhub"]),
        ("%federate --flow ", ["%federate --flow classic", "%federate --flow enhanced"]),
        ("%federate clear --", ["%federate clear --sign-out"]),
        ("1\n%federate who", ["1\n%federate whoami"]),
    ],
)
def test_tab_completes_the_words_that_are_known(shell, text, lines):
    """Subcommands, profiles, options, and the values of which there are few; nothing else is offered beside them."""
    assert lines == complete(shell, text)


def test_a_path_is_completed_by_ipython(shell, tmp_path):
    """It knows how."""
    (tmp_path / "token.jwt").touch()
    assert complete(shell, f"%federate --token-file {tmp_path}/to") == [f"%federate --token-file {tmp_path}/token.jwt"]


def test_an_option_is_offered_once(shell):
    """What has been said already is left out."""
    assert "%federate --region x --region" not in complete(shell, "%federate --region x --re")


def test_a_broken_configuration_does_not_disturb_typing(shell, monkeypatch, tmp_path, capsys):
    """Tab offers nothing then; the sign-in will say what is wrong."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_federation_config.json").write_text("{")
    assert not [line for line in complete(shell, "%federate st") if "status" in line]
    assert capsys.readouterr() == ("", "")


def test_completion_is_quick(shell):
    """Far under what a person notices, once its modules are there."""
    complete(shell, "%federate ")
    started = time.perf_counter()
    complete(shell, "%federate ")
    assert time.perf_counter() - started < 0.05


def test_our_errors_reach_python_callers_whole(shell, federation, monkeypatch):
    """The magic neither swallows nor rewords what the federation raises."""
    mine = FederationError("Refused.", fix="Ask again.")

    def refuse(*_):
        raise mine

    monkeypatch.setattr(federation, "federate", refuse)
    assert run(shell, "%federate").error_in_exec is mine
