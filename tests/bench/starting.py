"""What loading the extension and signing in cost, each sample in a fresh process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.servers import REGION, Servers
from tests.bench.table import Row

SAMPLES = 11
OURS, PLAIN, SNIPPET = "ours", "two plain POSTs", "boto3 snippet"

_LOAD = """
import gc, json, sys, time
from ipykernel import zmqshell
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
gc.collect()
started = time.perf_counter()
shell.run_line_magic("load_ext", sys.argv[1])
took = time.perf_counter() - started
print(json.dumps({"ms": took * 1e3, "loaded": sorted({"boto3", "botocore", "msal", "ipywidgets"} & set(sys.modules))}))
"""

_KERNEL = """
import gc, json, os, sys, time
import boto3
from ipykernel import zmqshell
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance()
token, issuer, pool, region = (os.environ[f"BENCH_{name}"] for name in ("TOKEN", "ISSUER", "POOL", "REGION"))
gc.collect()
started = time.perf_counter()
"""

_SIGN_IN = {
    OURS: """
import jupyter_federation as jf
jf.federate_to_identity_pool(token, identity_pool_id=pool)
""",
    SNIPPET: """
client = boto3.client("cognito-identity", region_name=region)
logins = {issuer: token}
identity = client.get_id(IdentityPoolId=pool, Logins=logins)["IdentityId"]
keys = client.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
boto3.setup_default_session(
    aws_access_key_id=keys["AccessKeyId"],
    aws_secret_access_key=keys["SecretKey"],
    aws_session_token=keys["SessionToken"],
    region_name=region,
)
""",
    PLAIN: """
import http.client, urllib.parse
connection = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc)
def post(operation, **parameters):
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AWSCognitoIdentityService.{operation}"}
    connection.request("POST", "/", json.dumps({**parameters, "Logins": {issuer: token}}), headers)
    return json.loads(connection.getresponse().read())
identity = post("GetId", IdentityPoolId=pool)["IdentityId"]
keys = post("GetCredentialsForIdentity", IdentityId=identity)["Credentials"]
""",
}

# What proves that it worked: the default session holds keys that AWS gave out.
_PROOF = """
took = time.perf_counter() - started
session = boto3.DEFAULT_SESSION
key = session.get_credentials().get_frozen_credentials().access_key if session else keys["AccessKeyId"]
print(json.dumps({"ms": took * 1e3, "key": key[:4]}))
"""


def loading_the_extension(_servers: Servers) -> Row:
    """Milliseconds of ``%load_ext jupyter_federation`` on top of those of an empty extension.

    In fresh processes, in turn, after what a kernel has imported anyway (ipykernel's shell, without widgets); bytecode
    is warm.  The difference is taken of the medians.
    """
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "empty_extension.py").write_text("def load_ipython_extension(shell):\n    pass\n")
        ours, empty, loaded = [], [], set()
        for number in range(SAMPLES + 1):
            for name, took in (("jupyter_federation", ours), ("empty_extension", empty)):
                answer = _run(_LOAD, name, PYTHONPATH=directory)
                if number:  # the first pair writes the bytecode
                    took.append(answer["ms"])
                    loaded.update(answer["loaded"])
    extra = statistics.median(ours) - statistics.median(empty)
    heavy = f"loaded {', '.join(sorted(loaded))}" if loaded else "none of the four loaded"
    return Row(
        number=7,
        what="%load_ext jupyter_federation; boto3, botocore, msal, ipywidgets not loaded by it",
        ours=f"{extra:+.1f} ms; {heavy}",
        alternatives={"empty extension": f"{statistics.median(empty):.2f} ms: the zero of this row"},
        bar="<= 10 ms more than empty, none loaded",
        reached=extra <= 10 and not loaded,
        how=f"difference of medians, {SAMPLES} fresh processes each, interleaved.",
        figures={"ours_ms": ours, "empty_ms": empty, "loaded": sorted(loaded)},
    )


def signing_in(servers: Servers) -> Row:
    """Milliseconds of a whole sign-in in excess of two plain POSTs, token in hand, in a kernel that has boto3.

    Fresh processes, in turn; boto3 and ipykernel's shell are imported and garbage is collected before the clock starts,
    so that whose allocation happens to start the next full collection (13 ms) does not decide.  Ours counts the import
    of the package, its client, GetId, GetCredentialsForIdentity and the delivery into boto3's default session; the
    boto3 snippet counts the same steps as people write them; the plain POSTs go over one ``http.client`` connection to
    the same server and deliver nothing.  Fair: nobody looks for other credentials (there is no instance metadata here).
    """
    from jupyter_federation.tokens import IdToken

    servers.lifetime(3600)
    took: dict[str, list[float]] = {name: [] for name in _SIGN_IN}
    for number in range(SAMPLES + 1):
        for name, steps in _SIGN_IN.items():
            token = servers.token()
            environment = {
                "BENCH_TOKEN": token,
                "BENCH_ISSUER": (IdToken.parse(token).issuer or "").partition("://")[2],
                "BENCH_POOL": servers.at.identity_pool_id,
                "BENCH_REGION": REGION,
            }
            answer = _run(_KERNEL + steps + _PROOF, **environment)
            if answer["key"] != "ASIA":
                raise RuntimeError(f"{name} did not sign in")
            if number:
                took[name].append(answer["ms"])
    median = {name: statistics.median(each) for name, each in took.items()}
    extra = {name: value - median[PLAIN] for name, value in median.items()}
    return Row(
        number=8,
        what="a sign-in with the token in hand, boto3 imported",
        ours=f"{extra[OURS]:+.1f} ms ({median[OURS]:.1f} ms in all, fastest {min(took[OURS]):.1f})",
        alternatives={
            SNIPPET: f"{extra[SNIPPET]:+.1f} ms ({median[SNIPPET]:.1f} ms in all), and it is never renewed",
            PLAIN: f"{median[PLAIN]:.1f} ms: the zero of this row",
        },
        bar="<= 75 ms more than two plain POSTs",
        reached=extra[OURS] <= 75,
        how=f"difference of medians, {SAMPLES} fresh processes each, interleaved.",
        figures={"ms": took},
    )


def _run(script: str, *arguments: str, **environment: str) -> dict:
    command = [sys.executable, "-c", script, *arguments]
    kernel = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | environment
    done = subprocess.run(command, env=kernel, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a measured process failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
