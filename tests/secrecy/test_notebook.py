"""A whole notebook through a real kernel: what it saves, sends, logs, passes on and leaves behind."""

from __future__ import annotations

import json
import sqlite3
import sys

import pytest
from secrecy.notebook_run import LOG_EVERYTHING, run, servers
from secrecy.scanner import Scanner, jwt_secrets, key_secrets

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FEDERATE = "%federate --token-file $TOKEN_FILE --role-arn $ROLE --region eu-west-1"
NAMES = "import os, jupyter_federation as jf, boto3\nTOKEN_FILE, ROLE = os.environ['TOKEN_FILE'], os.environ['ROLE']"
LOOK = """
def look():
    shell = get_ipython()
    for name, value in list(shell.user_ns.items()):
        print(name, repr(value), repr(vars(value)) if hasattr(value, "__dict__") and name != "__builtins__" else "")
    print(repr(shell.user_ns.get("Out")), repr(shell.user_ns.get("_oh")), repr(In))
"""
CHILD = """
import subprocess, sys, json
code = '''
import json, os
files = ["/proc/self/environ", f"/proc/{os.getppid()}/environ", f"/proc/{os.getppid()}/cmdline", "/proc/self/cmdline"]
print(json.dumps([dict(os.environ), [open(each, errors="replace").read() for each in files if os.path.exists(each)]]))
'''
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
!ps -ef 2>/dev/null | grep -c . ; env; cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '
"""
REQUESTS = """
from botocore.exceptions import ClientError
s3 = boto3.client("s3")
s3.create_bucket(Bucket="a-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_object(Bucket="a-bucket", Key="k", Body=b"content")
print(s3.get_object(Bucket="a-bucket", Key="k")["Body"].read())
"""
OBJECTS = """
session = jf.fetch_auth_session()
credentials = session.credentials
frozen = boto3.DEFAULT_SESSION.get_credentials().get_frozen_credentials()
kernel = __import__("jupyter_federation.calls").calls._kernel
[session, credentials, frozen, kernel, boto3.DEFAULT_SESSION, boto3.DEFAULT_SESSION.get_credentials(),
 vars(boto3.DEFAULT_SESSION.get_credentials()), vars(kernel)]
"""
DEBUGGER = """
import pdb, sys, io
try:
    s3.get_object(Bucket="a-bucket", Key="absent")
except Exception as error:
    trace = error.__traceback__
    while trace:
        print(trace.tb_frame.f_code.co_name, {k: repr(v) for k, v in trace.tb_frame.f_locals.items()})
        trace = trace.tb_next
print(repr(getattr(sys, "last_value", None)), repr(getattr(sys, "last_exc", None)))
"""
CHAIN = """
try:
    jf.federate(source="file", path="absent", role_arn=ROLE)
except Exception as e:
    raise ValueError("my own") from e
"""

CELLS = [
    ("setup", LOG_EVERYTHING),
    ("names", NAMES),
    ("load", "%load_ext jupyter_federation"),
    ("federate", FEDERATE),
    ("again", FEDERATE),
    ("status", "%federate status"),
    ("call", "jf.status()"),
    ("requests", REQUESTS),
    ("failing", 's3.get_object(Bucket="a-bucket", Key="absent")'),
    ("verbose", "%xmode Verbose"),
    ("failing", 's3.get_object(Bucket="a-bucket", Key="absent")'),
    ("tb", "%tb"),
    ("chain", CHAIN),
    ("refused", 'jf.federate(source="file", path=TOKEN_FILE, role_arn=ROLE + "2", region="eu-west-1")'),
    ("tb", "%tb"),
    ("refresh", "%federate refresh"),
    ("whoami", "%federate whoami"),
    ("objects", OBJECTS),
    ("session", "session"),
    ("credentials", "credentials"),
    ("frozen", "frozen"),
    ("table", "import pandas as pd\ndisplay(pd.DataFrame({'a': [session, credentials, kernel]}, dtype=object))"),
    ("debugger", DEBUGGER),
    ("look", LOOK + "look()"),
    ("whos", "%whos"),
    ("child", CHILD),
    ("history", "%history -n -o\n%history -g -f everything.txt"),
    ("threads", "import threading\nprint([(each.name, repr(each)) for each in threading.enumerate()], sys.argv)"),
    ("fault", "import faulthandler\nfaulthandler.dump_traceback(open('dump.txt', 'w'))"),
    ("clear", "%federate clear"),
    ("cleared", 's3.get_object(Bucket="a-bucket", Key="k")'),
    ("look again", "look()"),
]
FAILING = {"failing", "tb", "chain", "refused", "cleared"}


def scanner_of(there):
    return Scanner(jwt_secrets(there.token) | key_secrets(there.aws))


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The run and its scanner."""
    with servers(tmp_path_factory.mktemp("token")) as there:
        done = run(tmp_path_factory.mktemp("run"), there, CELLS)
        done.scanner = scanner_of(there)
        done.personal = Scanner({"e-mail": "ada@example.org", "account": "123456789012", "role ARN": there.role.arn})
        yield done


def test_the_notebook_did_what_it_is_scanned_for(notebook):
    """Every cell that should have worked has, and the others have failed: an empty notebook leaks nothing."""
    failed = {
        cell.metadata.tags[0]: cell.outputs
        for cell in notebook.notebook.cells
        if any(each.output_type == "error" for each in cell.outputs)
    }

    assert FAILING == failed.keys(), {tag: each for tag, each in failed.items() if tag not in FAILING}
    assert "content" in notebook.text("requests")
    assert 4 <= len(notebook.scanner.secrets)


def test_the_saved_notebook_holds_no_secret(notebook):
    """Source, outputs, widget state and metadata of the saved notebook."""
    saved = notebook.directory / "cwd" / "saved.ipynb"

    assert "Signed in to AWS" in saved.read_text()
    assert set() == notebook.scanner.found(saved)
    assert set() == notebook.scanner.found(repr(notebook.notebook.metadata))


def test_a_second_client_sees_no_secret(notebook):
    """Every message on iopub, comm messages and buffers included, as another client of the kernel gets it."""
    kinds = {each["msg_type"] for each in notebook.messages}

    assert {"execute_input", "execute_result", "error", "stream", "status"} <= kinds
    assert len(CELLS) == sum(each["msg_type"] == "execute_input" for each in notebook.messages)
    assert set() == notebook.scanner.found(*(repr(each) for each in notebook.messages))


def test_the_history_holds_no_secret(notebook):
    """history.sqlite, In, %history and the file that %history -g writes."""
    with sqlite3.connect(notebook.history) as history:
        lines = history.execute("select source_raw from history").fetchall()
    history.close()

    assert any("%federate" in line for (line,) in lines)
    assert set() == notebook.scanner.found(notebook.history, repr(lines), notebook.outputs("history"))
    assert set() == notebook.scanner.found(notebook.directory / "cwd" / "everything.txt")


def test_the_namespace_holds_no_secret(notebook):
    """The repr of every variable and of what it consists of, Out, In and %whos, before and after clear."""
    shown = notebook.outputs("look") + notebook.outputs("look again") + notebook.outputs("whos")

    assert "AuthSession" in shown
    assert "Federation" in shown
    assert set() == notebook.scanner.found(shown)


def test_a_child_process_gets_no_secret(notebook):
    """The environment and the arguments of what the notebook starts, and of the kernel itself."""
    environment, files = json.loads(notebook.text("child").splitlines()[0])

    assert environment["AWS_ENDPOINT_URL"] in notebook.text("child")
    assert 4 == len(files) or sys.platform != "linux"
    assert set() == notebook.scanner.found(notebook.outputs("child"), environment, files)


def test_the_logs_hold_no_secret(notebook):
    """The kernel's own log and everything that any logger says, at DEBUG."""
    everything, kernel = (each.read_text() for each in notebook.logs)

    assert "botocore.endpoint DEBUG" in everything
    assert "Sending http request" in everything
    assert "IPKernelApp" in kernel
    assert set() == notebook.scanner.found(*notebook.logs)


def test_tracebacks_hold_no_secret(notebook):
    """Default and Verbose tracebacks, %tb, and the local variables of all frames of a failed request."""
    shown = (
        notebook.outputs("failing") + notebook.outputs("chain") + notebook.outputs("refused") + notebook.outputs("tb")
    )

    assert "_make_api_call" in notebook.outputs("debugger")
    assert "NoSuchKey" in shown
    assert set() == notebook.scanner.found(shown, notebook.outputs("debugger"), notebook.outputs("cleared"))


def test_files_that_others_can_read_hold_no_secret(notebook):
    """Whatever stands under the home, the temporary and the working directory and is not for its owner alone."""
    files = notebook.open_files()

    assert {"saved.ipynb", "everything.log"} <= {each.name for each in files}
    assert set() == notebook.scanner.found(files)


def test_displays_name_nobody(notebook):
    """What %federate, status, refresh and clear leave in the notebook names no person, account or role."""
    for tag in ("federate", "again", "status", "call", "refresh", "clear"):
        assert set() == notebook.personal.found(notebook.outputs(tag)), tag
    assert {"account"} <= notebook.personal.found(notebook.outputs("whoami"))


WIDGET = """
from comm import create_comm
names = {"_model_name": "PasswordModel", "_model_module": "@jupyter-widgets/controls", "_model_module_version": "2.0.0"}
create_comm(target_name="jupyter.widget", data={"state": {"value": token, **names}}, metadata={"version": "2.1.0"})
"""  # what ipywidgets.Password(value=token) sends

LEAKS = [
    ("setup", LOG_EVERYTHING),
    ("names", NAMES),
    ("token", "token = open(TOKEN_FILE).read().strip()"),
    ("print", "print(token)"),
    ("out", "token"),
    ("log", "logging.getLogger('mine').debug('token %s', token)"),
    ("environment", "os.environ['MY_TOKEN'] = token"),
    ("child", CHILD),
    ("file", "open('token.txt', 'w').write(token)"),
    ("verbose", "%xmode Verbose"),
    ("failing", "int(token)"),
    ("look", LOOK + "look()"),
    ("history", "get_ipython().run_cell('kept = ' + repr(token), store_history=True)\n%history -n -o"),
    ("widget", WIDGET),
]


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    """The run of a notebook that leaks into every sink."""
    with servers(tmp_path_factory.mktemp("token")) as there:
        done = run(tmp_path_factory.mktemp("run"), there, LEAKS)
        done.scanner = scanner_of(there)
        yield done


def test_a_careless_notebook_is_seen_in_every_sink(careless):
    """Each sink above, looked into the same way, shows a leak that is planted there."""
    sinks = {
        "saved": [careless.directory / "cwd" / "saved.ipynb"],
        "printed": [careless.outputs("print")],
        "Out": [careless.outputs("out")],
        "iopub": [repr(each) for each in careless.messages],
        "history": [careless.history],
        "In": [careless.outputs("history")],
        "namespace": [careless.outputs("look")],
        "child": [careless.outputs("child")],
        "log": careless.logs[:1],
        "traceback": [careless.outputs("failing")],
        "files": [each for each in careless.open_files() if each.name == "token.txt"],
        "widget state": [json.dumps(careless.notebook.metadata.get("widgets", {}))],
    }
    blind = [name for name, sink in sinks.items() if "ID token, payload" not in careless.scanner.found(sink)]

    assert [] == blind
