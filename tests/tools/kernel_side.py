"""The kernel's side of these tests: signs in, and has each tool read one object when it is told to.

A program of the environment that holds the tools.  It reads a request on each line of its input, a JSON object with
``do`` and what that takes, and answers on a line of its output.
"""

import asyncio
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jupyter_federation as jf
from jupyter_federation.errors import FederationError

HERE = Path(__file__).parent
URL = os.environ["AWS_ENDPOINT_URL"]
BUCKET = os.environ["TOOLS_BUCKET"]
PATIENCE = 120  # seconds for one operation
LOADED = (  # first of all, one after the other
    *("boto3", "aiobotocore.session", "s3fs", "pandas", "pyarrow.fs", "polars", "deltalake", "obstore.store", "duckdb"),
    *("pyiceberg.io.pyarrow", "pyiceberg.io.fsspec", "awswrangler", "pyathena"),
)


def boto3():
    import boto3

    return _object_of(boto3.client("s3"), "tools/boto3/spring.csv")


def boto3_session():
    import boto3

    return _object_of(boto3.Session().client("s3"), "tools/boto3_session/spring.csv")


def _object_of(client, key):
    def read():
        return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    return read


def aiobotocore():
    import aiobotocore.session

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    session = aiobotocore.session.get_session()

    async def read():
        async with session.create_client("s3") as client:
            answer = await client.get_object(Bucket=BUCKET, Key="tools/aiobotocore/spring.csv")
            return await answer["Body"].read()

    return lambda: asyncio.run_coroutine_threadsafe(read(), loop).result(PATIENCE)


def s3fs():
    import s3fs

    system = s3fs.S3FileSystem()
    return partial(system.cat, f"{BUCKET}/tools/s3fs/spring.csv")


def pandas():
    import pandas as pd

    return lambda: pd.read_csv(f"s3://{BUCKET}/tools/pandas/spring.csv")


def pyarrow():
    import pyarrow.fs

    system = pyarrow.fs.S3FileSystem(endpoint_override=URL.partition("//")[2], scheme="http")
    return lambda: system.open_input_stream(f"{BUCKET}/tools/pyarrow/spring.csv").read()


def polars():
    import polars as pl

    return lambda: pl.scan_csv(f"s3://{BUCKET}/tools/polars/spring.csv").collect()


def polars_storage_options():
    import polars as pl

    options = {"aws_endpoint_url": URL}
    file = f"s3://{BUCKET}/tools/polars_storage_options/spring.csv"
    return lambda: pl.scan_csv(file, storage_options=options).collect()


def polars_elsewhere():
    import polars as pl

    return lambda: pl.scan_csv(f"s3://{BUCKET}-2/tools/polars_elsewhere/spring.csv").collect()


def deltalake():
    import deltalake

    table = deltalake.DeltaTable(f"s3://{BUCKET}/tools/deltalake")
    return table.update_incremental


def obstore():
    from obstore.store import S3Store

    store = S3Store(BUCKET)
    return lambda: store.get("tools/obstore/spring.csv").bytes()


def pyiceberg_pyarrow():
    from pyiceberg.io.pyarrow import PyArrowFileIO

    files = PyArrowFileIO({"s3.endpoint": URL})
    return lambda: files.new_input(f"s3://{BUCKET}/tools/pyiceberg_pyarrow/spring.csv").open().read()


def pyiceberg_fsspec():
    from pyiceberg.io.fsspec import FsspecFileIO

    files = FsspecFileIO({})
    return lambda: files.new_input(f"s3://{BUCKET}/tools/pyiceberg_fsspec/spring.csv").open().read()


def awswrangler():
    import awswrangler

    return lambda: awswrangler.s3.read_csv(f"s3://{BUCKET}/tools/awswrangler/spring.csv")


def pyathena():
    import pyathena

    connection = pyathena.connect(s3_staging_dir=f"s3://{BUCKET}/results/", poll_interval=0.01)
    return lambda: connection.cursor().execute("SELECT '/tools/pyathena/'")


def duckdb():
    import duckdb

    database = duckdb.connect()
    for name in ("httpfs", "aws"):
        package = importlib.import_module(f"duckdb_extension_{name}")
        database.load_extension(str(next(Path(package.__file__).parent.rglob(f"{name}.duckdb_extension"))))
    where = f"ENDPOINT '{URL.partition('//')[2]}', USE_SSL false, URL_STYLE 'path'"
    database.sql(f"CREATE SECRET (TYPE s3, PROVIDER credential_chain, REFRESH auto, {where})")
    return lambda: database.sql(f"FROM read_csv('s3://{BUCKET}/tools/duckdb/spring.csv')").fetchall()


def command(*words, **environment):
    """A tool that is a program: each time a process of its own."""

    def read():
        ended = subprocess.run(
            words,
            check=False,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if ended.returncode:
            raise RuntimeError(ended.stderr + ended.stdout)

    return read


def awscli_1():
    aws = str(Path(sys.prefix, "bin", "aws"))
    return command(aws, "s3", "cp", f"s3://{BUCKET}/tools/awscli_1/spring.csv", "-")


def awscli_2():
    return command("/usr/bin/aws", "--endpoint-url", URL, "s3", "cp", f"s3://{BUCKET}/tools/awscli_2/spring.csv", "-")


def rclone():
    remote = f":s3,provider=Other,env_auth,endpoint='{URL}'"
    return command(
        "rclone",
        "--retries=1",
        "--low-level-retries=1",
        "cat",
        f"{remote}:{BUCKET}/tools/rclone/spring.csv",
        AWS_SDK_LOAD_CONFIG="1",
    )


def javascript():
    """A program that goes on: what it holds it holds as a library does."""
    words = ["node", str(HERE / "reads.mjs"), BUCKET, "tools/javascript/spring.csv"]
    program = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read():
        program.stdin.write("\n")
        program.stdin.flush()
        said = program.stdout.readline().strip()
        if said != "read":
            raise RuntimeError(said)

    return read


TOOLS = {
    each.__name__: each
    for each in (
        *(boto3, boto3_session, aiobotocore, s3fs, pandas, pyarrow, polars, polars_storage_options, polars_elsewhere),
        *(
            deltalake,
            obstore,
            pyiceberg_pyarrow,
            pyiceberg_fsspec,
            awswrangler,
            pyathena,
            duckdb,
            awscli_1,
            awscli_2,
            rclone,
            javascript,
        ),
    )
}

PROGRAMS = ("javascript", "awscli_1", "awscli_2", "rclone")

held = {}


def attempt(name, *, anew):
    """Have the tool read, with what it held before unless ``anew``; None where it could, else what it said."""
    try:
        if anew or name not in held:
            held[name] = TOOLS[name]()
        held[name]()
    except Exception as error:  # noqa: BLE001 - whatever a tool raises
        return f"{type(error).__name__}: {error}"


def read(tools, *, anew):
    """All tools, how each fared: programs beside one another, and the kernel's own libraries in turn.

    (All of these at the same time would leave the endpoint's thread no second, and AWS's C++ SDK waits for no longer.)
    """

    def some(names):
        return [(name, attempt(name, anew=anew)) for name in names]

    groups = [*([name] for name in tools if name in PROGRAMS), [name for name in tools if name not in PROGRAMS]]
    with ThreadPoolExecutor(len(groups)) as pool:
        return dict(fared for group in pool.map(some, groups) for fared in group)


def show(status):
    return {
        "text": str(status),
        "remarks": list(status.remarks),
        "set_aside": list(status.set_aside),
        "until": status.credentials_expire_at and status.credentials_expire_at.timestamp(),
    }


ANSWERS = {
    "federate": lambda **options: show(jf.federate(**options)),
    "clear": lambda: show(jf.clear()),
    "status": lambda: show(jf.status()),
    "read": read,
    "environment": lambda: {k: v for k, v in os.environ.items() if k.startswith("AWS_") or "PROXY" in k.upper()},
    "versions": lambda packages: {each: importlib.metadata.version(each) for each in packages},
    "set": lambda **variables: os.environ.update(variables),
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a tool prints
    for module in LOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = ANSWERS[request.pop("do")](**request)
        except FederationError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
    jf.clear()
    os._exit(0)  # an interpreter that ends waits for threads of the tools, and one in a hundred waits for ever
