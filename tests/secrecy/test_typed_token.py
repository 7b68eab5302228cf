"""A token typed where none belongs, in a real kernel: refused, not repeated, and kept out of the history.

The cell's own source holds it, in the notebook and in the message that announces the cell: the refusal says so.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess

import pytest
from jupyter_client.manager import start_new_kernel
from jupyter_core.utils import ensure_event_loop
from secrecy.notebook_run import run, servers
from secrecy.scanner import Scanner, jwt_secrets, key_secrets

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TYPED = {
    "--token": "%federate --token {token}",
    "--token=": "%federate --token={token} --role-arn {role}",
    "--token-file": "%federate --token-file {token} --role-arn {role}",
    "--token-file and quotes": '%federate --token-file="{token}" --role-arn {role}',
    "alone": "%federate {token}",
    "assigned": "status = %federate --token-env {token}",
    "among other lines": "a = 1\nb = 2\n%federate --token-prompt {token}\nc = 3",
    "run_line_magic": "get_ipython().run_line_magic('federate', '--token {token}')",
    "a variable expanded": "%federate --token-file $secret_variable --role-arn {role}",
    "payload alone": "%federate --token-var {payload}",
    "Python": "import jupyter_federation as jf\njf.federate_to_identity_pool('{token}', identity_pool_id='x')",
    "Python provider": "jf.federate_to_identity_pool('abc', '{token}')",
}
LOOK = """
shell = get_ipython()
stored = {name: value for name, value in shell.user_ns.items() if name.startswith("_") and isinstance(value, str)}
print(stored, In, _ih, shell.history_manager.input_hist_raw, repr(shell.user_ns.get("Out")))
"""


@pytest.fixture(scope="module", params=["Context", "Verbose"])
def typed(request, tmp_path_factory):
    """A notebook in which a token was typed in every place, in two of IPython's traceback modes."""
    with servers(tmp_path_factory.mktemp("token")) as there:
        words = {"token": there.token, "payload": there.token.split(".")[1], "role": there.role.arn}
        cells = [
            ("load", "%load_ext jupyter_federation"),
            ("mode", f"%xmode {request.param}"),
            ("variable", f"secret_variable = open({str(there.token_file)!r}).read()"),
            *((tag, source.format(**words)) for tag, source in TYPED.items()),
            ("delete", "del secret_variable"),
            ("look", LOOK),
            ("history", "%history -n -t\n%history -g"),
            ("tb", "%tb"),
        ]
        done = run(tmp_path_factory.mktemp("run"), there, cells)
        done.scanner = Scanner(jwt_secrets(there.token) | key_secrets(there.aws))
        done.calls = list(there.aws.calls)
        yield done


def test_every_typed_token_is_refused(typed):
    """Wherever a token was typed, the cell fails before anything was sent."""
    failed = {c.metadata.tags[0] for c in typed.notebook.cells if any(o.output_type == "error" for o in c.outputs)}

    assert {*TYPED, "tb"} - failed <= {"tb"}
    assert [] == typed.calls


def test_no_output_repeats_a_typed_token(typed):
    """No output of any cell holds it: not the refusal, not its traceback in either mode, not %tb, not Out."""
    shown = {cell.metadata.tags[0]: typed.outputs(cell.metadata.tags[0]) for cell in typed.notebook.cells}
    leaky = [tag for tag, outputs in shown.items() if typed.scanner.found(outputs)]

    assert [] == leaky


def test_no_message_but_the_source_holds_a_typed_token(typed):
    """On iopub it stands where the cell itself is announced, and nowhere else."""
    others = [repr(each["content"]) for each in typed.messages if each["msg_type"] != "execute_input"]

    assert set() == typed.scanner.found(others)
    assert typed.scanner.secrets.keys() == typed.scanner.found(repr(typed.messages))


def test_no_history_holds_a_typed_token(typed):
    """Neither In, _i, _ih, %history nor history.sqlite holds it, and the rest of each cell is there."""
    with sqlite3.connect(typed.history) as history:
        lines = history.execute("select source, source_raw from history").fetchall()
    history.close()

    assert len(TYPED) <= sum("***" in raw or "secret_variable" in raw for _, raw in lines)
    assert set() == typed.scanner.found(typed.history, repr(lines), typed.outputs("look"), typed.outputs("history"))


def test_no_log_but_that_of_requests_holds_a_typed_token(typed):
    """At DEBUG the kernel logs each request as it comes, with the cell's source; no other line of its log holds it."""
    lines = typed.logs[1].read_text().splitlines()
    others = [line for line in lines if "execute_request: {" not in line and "Content: {'code'" not in line]

    assert len(others) > len(lines) / 2
    assert set() == typed.scanner.found(others)


def test_a_pasted_token_is_seen_by_nobody_else(tmp_path):
    """A token pasted at the prompt goes to the kernel alone: not to iopub, outputs, history, In or the namespace."""
    seen = []
    with servers(tmp_path) as there:
        environment = os.environ | {"AWS_ENDPOINT_URL": there.aws.url, "NO_PROXY": "127.0.0.1"}
        history = tmp_path / "history.sqlite"
        manager, client = start_new_kernel(
            env=environment, extra_arguments=[f"--HistoryManager.hist_file={history}"], stderr=subprocess.DEVNULL
        )
        try:
            for source in (
                "%load_ext jupyter_federation",
                f"%federate --token-prompt --role-arn {there.role.arn} --region eu-west-1",
                "%federate status",
                LOOK,
                "print(dict(globals())); %history -g",
            ):
                client.execute_interactive(
                    source,
                    store_history=True,
                    timeout=30,
                    output_hook=seen.append,
                    stdin_hook=lambda _message: client.input(there.token),
                )
        finally:
            client.stop_channels()
            manager.shutdown_kernel()
            ensure_event_loop().close()
        scanner = Scanner(jwt_secrets(there.token) | key_secrets(there.aws))

    assert "Signed in to AWS" in repr(seen)
    assert set() == scanner.found(history, *(repr(each) for each in seen))
