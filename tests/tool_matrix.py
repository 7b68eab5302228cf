"""Which tools there are, and how each fares beside a sign-in, measured on an AWS that verifies everything.

The kernel's side of it is tools/kernel_side.py, in an environment of its own; here is what is tried, and who acted by
the account of the AWS that was asked.
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import boto3

from jupyter_federation.demo.account import ACCOUNT_ID, Role
from jupyter_federation.demo.servers import BUCKET, REGION

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-tools" / "bin" / "python"
KERNEL_SIDE = ROOT / "tests" / "tools" / "kernel_side.py"
NODE_MODULES = ROOT / "tests" / "tools" / "node_modules"

LIFETIME = 8  # seconds for which credentials live; more where the machine is slow
EXPIRIES = 6  # after so many, whoever still reads has asked again
AN_HOUR = {"duration_seconds": 3600}  # tools that re-ask minutes ahead of the end hold on to these


@dataclass(frozen=True, kw_only=True)
class Tool:
    """``title`` names it in the documentation, ``copies`` where it lives on, ``files`` where AWS files outrank us."""

    title: str
    package: str | None = None
    copies: str | None = None
    files: str | None = None
    program: bool = False  # each time a new process
    line: str = "nothing"


TOOLS = {
    "boto3": Tool(title="boto3", package="boto3"),
    "boto3_session": Tool(title="boto3.Session()", package="boto3"),
    "awswrangler": Tool(title="awswrangler", package="awswrangler"),
    "pyathena": Tool(title="PyAthena", package="PyAthena"),
    "aiobotocore": Tool(title="aiobotocore", package="aiobotocore", files="aiobotocore"),
    "s3fs": Tool(title="s3fs", package="s3fs", files="s3fs"),
    "pandas": Tool(title="pandas", package="pandas", files="pandas"),
    "pyiceberg_fsspec": Tool(title="pyiceberg over s3fs", package="pyiceberg", files="s3fs"),
    "pyiceberg_pyarrow": Tool(title="pyiceberg", package="pyiceberg", copies="pyarrow", files="pyarrow"),
    "pyarrow": Tool(title="pyarrow", package="pyarrow", copies="pyarrow", files="pyarrow"),
    "polars": Tool(title="polars", package="polars", copies="polars"),
    "polars_storage_options": Tool(title="polars with `storage_options`", package="polars", copies="polars"),
    "deltalake": Tool(title="deltalake", package="deltalake", copies="deltalake"),
    "obstore": Tool(title="obstore", package="obstore", copies="obstore"),
    "duckdb": Tool(title="DuckDB", package="duckdb", copies="DuckDB", files="DuckDB", line="its `CREATE SECRET`"),
    "awscli_1": Tool(title="AWS CLI 1", package="awscli", files="the aws command", program=True),
    "awscli_2": Tool(title="AWS CLI 2", files="the aws command", program=True),
    "rclone": Tool(title="rclone", files="rclone", program=True, line="`AWS_SDK_LOAD_CONFIG=1`"),
    "javascript": Tool(
        title="`@aws-sdk/client-s3`, a process", copies="another tool or process", files="AWS's JavaScript SDK"
    ),
}

_INTRUDER = "arn:aws:iam::{account}:user/intruder-{name}"
_KEYS = (
    "aws_access_key_id = {key.access_key_id}\n"
    "aws_secret_access_key = {key.secret_access_key}\n"
    "aws_session_token = {key.session_token}\n"
)

# Set before the kernel starts: variables, and AWS files.
COMPETING = {
    "static keys": (
        {
            "AWS_ACCESS_KEY_ID": "{key.access_key_id}",
            "AWS_SECRET_ACCESS_KEY": "{key.secret_access_key}",
            "AWS_SESSION_TOKEN": "{key.session_token}",
            "AWS_SECURITY_TOKEN": "{key.session_token}",
            "AWS_CREDENTIAL_EXPIRATION": "2030-01-01T00:00:00Z",
        },
        {},
    ),
    "a web identity": (
        {
            "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/process.json",
            "AWS_ROLE_ARN": "{role.arn}",
            "AWS_ROLE_SESSION_NAME": "intruder",
        },
        {},
    ),
    "a container's relative URI": ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/intruder"}, {}),
    "AWS_PROFILE": ({"AWS_PROFILE": "work"}, {"credentials": "[work]\n" + _KEYS}),
    "AWS_PROFILE without that profile": ({"AWS_PROFILE": "gone", "AWS_DEFAULT_PROFILE": "gone"}, {}),
}

# What a person has in ~/.aws: file, then its text.
FILES = {
    "keys in credentials": {"credentials": "[default]\n" + _KEYS},
    "keys in config": {"config": f"[default]\nregion = {REGION}\n" + _KEYS},
    "credential_process in credentials": {"credentials": "[default]\ncredential_process = cat {home}/process.json\n"},
    "credential_process in config": {"config": "[default]\ncredential_process = cat {home}/process.json\n"},
    "role_arn in config": {
        "credentials": "[base]\n" + _KEYS,
        "config": f"[default]\nregion = {REGION}\nrole_arn = {{role.arn}}\nsource_profile = base\n"
        "role_session_name = intruder-{name}\n",
    },
}

MENDED = ("keys in credentials", "credential_process in config", "role_arn in config")


def missing():
    """The tools that are not here, and how to get them."""
    absent = {}
    if not Path("/usr/bin/aws").exists():
        absent["awscli_2"] = "AWS CLI 2 is not in /usr/bin: sudo apt-get install awscli"
    if shutil.which("rclone") is None:
        absent["rclone"] = "rclone is not here: sudo apt-get install rclone"
    if shutil.which("node") is None or not (NODE_MODULES / "@aws-sdk" / "client-s3").exists():
        absent["javascript"] = "AWS's JavaScript SDK is not here: make tests/tools/node_modules/.installed"
    return absent


@dataclass(frozen=True, kw_only=True)
class Fared:
    """How one attempt to read ended: what went wrong, and as whom AWS let it in (the names of principals)."""

    error: str | None
    who: frozenset[str]

    @property
    def read(self):
        return self.error is None


class Kernel:
    """A kernel's side that was started: it signs in, and has tools read."""

    def __init__(self, world, name, environment):
        self._world = world
        self._name = name
        self.ada = f"ada-{name}"  # the names of sessions, which AWS knows them by
        self.grace = f"grace-{name}"
        self.intruder = f"intruder-{name}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [PYTHON, KERNEL_SIDE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def ask(self, do, **what):
        self._process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            raise AssertionError(self._errors.read().decode()[-2000:])
        return json.loads(answer)

    def federate(self, who, **options):
        answer = self.ask("federate", profile="demo-sts", role_session_name=who, **options)
        assert "error" not in answer, answer
        return answer

    def read(self, tools=None, *, anew=False):
        """Have tools read, all at the same time; how each fared."""
        tools = self._world.tools if tools is None else tools
        begun = len(self._world.servers.aws.calls)
        answers = self.ask("read", tools=list(tools), anew=anew)
        fared = {tool: Fared(error=answers[tool], who=self._world.who(begun, tool, self._name)) for tool in tools}
        duckdb = fared.get("duckdb")
        if duckdb and duckdb.who and "ExpiredToken" in (duckdb.error or ""):
            # It had opened the file, and the credentials expired before it read: it gives up, and needs its line again.
            return fared | self.read(["duckdb"], anew=True)
        return fared

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
        self._process.stdout.close()
        self._errors.close()


class World:
    """The demo's servers, with something to read for each tool."""

    def __init__(self, servers, directory):
        self.servers = servers
        self.directory = directory
        self.tools = [name for name in TOOLS if name not in missing()]
        self.role = Role(name="Elsewhere", principals=("*",))
        servers.aws.add(self.role)
        administrator = servers.aws.mint(lifetime=timedelta(hours=1))
        s3 = boto3.Session().client("s3", region_name=REGION, endpoint_url=servers.aws.url, **administrator.for_boto3)
        for tool in TOOLS:
            s3.put_object(Bucket=BUCKET, Key=f"tools/{tool}/spring.csv", Body=b"day,species\n2024-03-02,curlew\n")
        s3.create_bucket(Bucket=f"{BUCKET}-2", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=f"{BUCKET}-2", Key="tools/polars_elsewhere/spring.csv", Body=b"day,species\n,curlew\n")
        column = {"name": "species", "type": "string", "nullable": True, "metadata": {}}
        log = (
            {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
            {
                "metaData": {
                    "id": "birds",
                    "format": {"provider": "parquet", "options": {}},
                    "schemaString": json.dumps({"type": "struct", "fields": [column]}),
                    "partitionColumns": [],
                    "configuration": {},
                }
            },
        )
        key = f"tools/deltalake/_delta_log/{0:020}.json"
        s3.put_object(Bucket=BUCKET, Key=key, Body="\n".join(map(json.dumps, log)).encode())

    @contextlib.contextmanager
    def kernel(self, name, *, variables=(), files=(), token_variable=True, proxy=None):
        """A kernel of a person with these settings; ``name`` tells its calls from those of others."""
        name = re.sub(r"\W", "-", name)
        home = Path(tempfile.mkdtemp(dir=self.directory))
        key = self.servers.aws.mint(_INTRUDER.format(account=ACCOUNT_ID, name=name), lifetime=timedelta(hours=1))
        known = {"key": key, "home": home, "role": self.role, "name": name}
        (home / "process.json").write_text(
            json.dumps(
                {
                    "Version": 1,
                    "AccessKeyId": key.access_key_id,
                    "SecretAccessKey": key.secret_access_key,
                    "SessionToken": key.session_token,
                    "Expiration": f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}",
                }
            )
        )
        (home / ".aws").mkdir()
        for file, text in dict(files).items():
            (home / ".aws" / file).write_text(text.format(**known))
        policy = {"Federation": {"policy": {"endpoint_token_variable": token_variable}}}
        (home / "jupyter_federation_config.json").write_text(json.dumps(policy))
        lent = self.servers.environment()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TOOLS_BUCKET": BUCKET,
            "AWS_ALLOW_HTTP": "true",  # what is written in Rust wants to be told
            **lent,
            "JUPYTER_CONFIG_PATH": os.pathsep.join((str(home), lent["JUPYTER_CONFIG_PATH"])),
            **{variable: value.format(**known) for variable, value in dict(variables).items()},
        }
        if proxy is not None:
            for variable in ("NO_PROXY", "no_proxy"):
                del environment[variable]
            environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
        kernel = Kernel(self, name, environment)
        try:
            yield kernel
        finally:
            kernel.stop()

    def who(self, begun, tool, name):
        """As whom ``tool`` was let in since there were ``begun`` calls, of the people of kernel ``name``."""
        people = {}
        for call in self.servers.aws.calls[begun:]:
            asked = urllib.parse.unquote(f"{call.request.uri} {call.request.body.decode(errors='replace')}")
            if f"tools/{tool}/" in asked and call.error is None and (call.status or 500) < 400:
                people[(call.principal or "nobody").rpartition("/")[2]] = None
        return frozenset(each for each in people if each in {f"{who}-{name}" for who in ("ada", "grace", "intruder")})


def refreshing(world, tools=None, *, lifetime, token_variable=False):
    """One kernel past so many expiries, then cleared, signed in again, and as somebody else."""
    with world.kernel(f"refreshing-{token_variable}", token_variable=token_variable) as kernel:
        versions = kernel.ask("versions", packages=sorted({each.package for each in TOOLS.values() if each.package}))
        kernel.federate(kernel.ada)
        begun = time.monotonic()
        first = kernel.read(tools)
        tools = [tool for tool in first if first[tool].read]
        rounds, late = [], []
        while time.monotonic() < begun + EXPIRIES * lifetime + 1:
            _renewed(kernel)  # some tools hold on to what they have to the last moment: nobody reads then
            rounds.append(kernel.read(tools))
            # Signed in time, and arrived a moment too late: then it reads the next time.
            too_late = [tool for tool in tools if "ExpiredToken" in (rounds[-1][tool].error or "")]
            if too_late:
                late += too_late
                rounds[-1] |= kernel.read(too_late)
        cleared = kernel.ask("clear")
        at_once = kernel.read(tools)
        _sleep_past(cleared)
        later = kernel.read(tools)
        kernel.federate(kernel.ada)
        revived = kernel.read(tools)
        until = kernel.ask("status")
        kernel.federate(kernel.grace)
        _sleep_past(until)
        switched = kernel.read(tools)
        return {
            "kernel": kernel,
            "versions": versions,
            "first": first,
            "rounds": rounds,
            "late": late,
            "at once": at_once,
            "later": later,
            "revived": revived,
            "switched": switched,
        }


def _renewed(kernel):
    """Wait until there are newer credentials than now."""
    until = kernel.ask("status")["until"]
    while kernel.ask("status")["until"] == until:
        time.sleep(0.05)


def _sleep_past(status):
    """Until the credentials that ``status`` told of have expired."""
    until = status["until"]
    if until is None:
        (moment,) = re.findall(r"lives until (\S+ \S+) UTC", status["text"])
        until = datetime.fromisoformat(f"{moment}+00:00").timestamp()
    time.sleep(max(0.0, until - time.time()) + 1)


def clearing(world):
    """One kernel with credentials of an hour: another identity, a clear, and another sign-in."""
    with world.kernel("clearing") as kernel:
        kernel.federate(kernel.ada, **AN_HOUR)
        first = kernel.read()
        told_at_switch = kernel.federate(kernel.grace, **AN_HOUR)
        switched = kernel.read()
        elsewhere = kernel.read(["polars_elsewhere"])["polars_elsewhere"]
        told_at_clear = kernel.ask("clear")
        cleared = kernel.read()
        told_again = kernel.federate(kernel.ada, **AN_HOUR)
        return {
            "kernel": kernel,
            "first": first,
            "told at switch": told_at_switch["text"],
            "switched": switched,
            "elsewhere": elsewhere,
            "told at clear": told_at_clear["text"],
            "cleared": cleared,
            "told again": told_again["text"],
            "revived": kernel.read(anew=False),
        }


def competing(world, name):
    """One kernel whose environment held something else before."""
    variables, files = COMPETING[name]
    with world.kernel(name, variables=variables, files=files) as kernel:
        before = kernel.ask("environment")
        told = kernel.federate(kernel.ada)
        signed_in = kernel.read()
        kernel.ask("clear")
        after = kernel.ask("environment")
        returned = kernel.read(["boto3_session"], anew=True)["boto3_session"]
        return {
            "kernel": kernel,
            "before": before,
            "set aside": told["set_aside"],
            "signed in": signed_in,
            "after": after,
            "returned": returned,
        }


def outranked(world, name):
    """One kernel of a person whose AWS files name somebody else; and one in which the line was run that mends it."""
    with world.kernel(name, files=FILES[name]) as kernel:
        told = kernel.federate(kernel.ada, **AN_HOUR)["text"]
        signed_in = kernel.read()
    return {"kernel": kernel, "told": told, "signed in": signed_in}


def mended(world, name):
    """As `outranked`, where the line was run that the sign-in gives for it."""
    with world.kernel(f"{name}, mended", files=FILES[name]) as kernel:
        told = kernel.federate(kernel.ada, **AN_HOUR)["text"]
        kernel.ask("set", **dict(re.findall(r"%env (\w+)=(\S+)", told)))
        return {"kernel": kernel, "signed in": kernel.read()}


def proxied(world):
    """One kernel whose environment names a proxy for everything: how each tool fares, and what the proxy was asked."""
    with Proxy(world.servers.aws.url) as proxy, world.kernel("proxied", proxy=proxy.url) as kernel:
        kernel.federate(kernel.ada, **AN_HOUR)
        signed_in = kernel.read()
        return {"kernel": kernel, "signed in": signed_in, "asked": list(proxy.asked)}


class Proxy:
    """A proxy for ``http`` that leads to one place alone, and knows what it was asked for."""

    def __init__(self, leads_to):
        self.asked = asked = []
        host = leads_to.partition("//")[2]

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments):
                pass

            def pass_on(self):
                asked.append(self.path)
                address = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if address.netloc != host:
                    self.send_response(502)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                with contextlib.closing(http.client.HTTPConnection(host)) as connection:
                    connection.putrequest(
                        self.command, self.path.partition(host)[2], skip_host=True, skip_accept_encoding=True
                    )
                    for name, value in self.headers.items():
                        connection.putheader(name, value)
                    connection.endheaders(body)
                    answer = connection.getresponse()
                    content = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        for method in ("GET", "HEAD", "POST", "PUT", "CONNECT"):
            setattr(Handler, f"do_{method}", Handler.pass_on)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_details):
        self._server.shutdown()
        self._server.server_close()


def everything(world, lifetime):
    """All of it, three kernels at a time; ``lifetime`` is that of the servers' credentials, in seconds."""
    older = [tool for tool in ("awscli_2", "rclone") if tool in world.tools]
    scenarios = {
        "refreshing": lambda: refreshing(world, lifetime=lifetime),
        "refreshing, with the token's variable": lambda: refreshing(
            world, older, lifetime=lifetime, token_variable=True
        ),
        "clearing": lambda: clearing(world),
        "proxied": lambda: proxied(world),
        **{name: lambda name=name: competing(world, name) for name in COMPETING},
        **{name: lambda name=name: outranked(world, name) for name in FILES},
        **{f"{name}, mended": lambda name=name: mended(world, name) for name in MENDED},
    }
    with ThreadPoolExecutor(3) as pool:
        return Measured({name: pool.submit(scenario) for name, scenario in scenarios.items()})


class Measured:
    """What each scenario gave by its name; or what it raised, to whoever wants to know."""

    def __init__(self, ended):
        self._ended = ended

    def __getitem__(self, name):
        return self._ended[name].result()


# The table of the documentation.

_HEAD = ("tool", "works with", "asks again", "after clear", "variables set before", "a `[default]` in AWS files")


def table(measured):
    """Rows of Markdown by tool, each with the tool's version."""
    return {tool: _row(tool, measured) for tool in TOOLS if tool not in missing()}


def running(tool, measured):
    """The run past the expiries in which ``tool`` took part: the plain one, or that with the token's variable."""
    plain = measured["refreshing"]
    return plain if plain["first"][tool].read else measured["refreshing, with the token's variable"]


def head():
    return [_line(_HEAD), _line(["---"] * len(_HEAD))]


def _row(tool, measured):
    this = TOOLS[tool]
    plain, run = measured["refreshing"], running(tool, measured)
    needs = [] if this.line == "nothing" else [this.line]
    if run is not plain:
        needs.append("`endpoint_token_variable`")
    again = all(each[tool].read for each in run["rounds"])
    asks = ("each time it runs" if this.program else "yes") if again else "no"
    clearing = measured["clearing"]
    acted_wrong = [name for name in COMPETING if not _is(measured[name], "signed in", tool, "ada")]
    outranked_by = [name for name in FILES if not _is(measured[name], "signed in", tool, "ada")]
    return _line(
        (
            f"{this.title} {version(tool, plain)}",
            " and ".join(needs) or "nothing",
            asks,
            "goes on until they expire" if clearing["cleared"][tool].read else "stops",
            "acts as you" if not acted_wrong else f"not as you with {', '.join(acted_wrong)}",
            f"outranks you{'' if len(outranked_by) == len(FILES) else ': ' + ', '.join(outranked_by)}"
            if outranked_by
            else "acts as you",
        )
    )


def _is(scenario, phase, tool, who):
    """Whether ``tool`` acted as ``who`` and as nobody else."""
    return scenario[phase][tool] == Fared(error=None, who=frozenset({getattr(scenario["kernel"], who)}))


def _line(cells):
    return f"| {' | '.join(cells)} |"


def version(tool, measured):
    this = TOOLS[tool]
    if this.package is not None:
        return measured["versions"][this.package]
    if tool == "javascript":
        return json.loads((NODE_MODULES / "@aws-sdk" / "client-s3" / "package.json").read_text())["version"]
    words = ["/usr/bin/aws", "--version"] if tool == "awscli_2" else ["rclone", "version"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+\.\d+\.\d+", said)[0]
