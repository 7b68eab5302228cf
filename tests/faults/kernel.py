"""A process of its own with a Federation in it, for what cannot be done to the process of the tests.

Run as ``python kernel.py TASK``, with what it needs in the environment: see `test_interrupts.py`, `test_ends.py`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3
import botocore.credentials
from botocore.signers import RequestSigner
from container_client import Client

from jupyter_federation import refresher as background
from jupyter_federation.config import Configuration
from jupyter_federation.delivery.container_protocol import TOKEN_FILE, URI
from jupyter_federation.errors import FederationError, SessionClearedError
from jupyter_federation.federation import Federation
from jupyter_federation.profile import Profile
from jupyter_federation.sources.variable import VariableSource

OWN = {"AWS_ACCESS_KEY_ID": "AKIAOWN", "AWS_SECRET_ACCESS_KEY": "own", "AWS_PROFILE": "own"}
LENT = (URI, TOKEN_FILE)


class Nobody:
    """A prompt with nobody behind it."""

    def ask_secret(self, question):
        raise AssertionError(question)

    def waiting(self, what, seconds):
        pass


class Kernel:
    """Two profiles, a and b; the variables of a user who has keys; what background threads raised."""

    def __init__(self):
        self.prompt = Nobody()
        self.tokens = {"ada": lambda: os.environ["TOKEN_A"], "grace": lambda: os.environ["TOKEN_B"]}
        pool = {"identity_pool_id": os.environ["POOL"], "region": "eu-west-1", "source": "var"}
        role = {"role_arn": os.environ["ROLE"], "region": "eu-west-1", "source": "var"}
        profiles = {"a": Profile(name="a", variable="ada", **pool), "b": Profile(name="b", variable="grace", **role)}
        self.federation = Federation(
            load_configuration=lambda: Configuration(profiles=profiles, default_profile="a"),
            make_source=lambda profile, notebook, policy, way_back: VariableSource(profile.variable, self.tokens),
        )
        self.default = boto3._get_default_session()._session
        self.resolver = botocore.credentials.create_credential_resolver
        self.raised = []
        threading.excepthook = lambda args: self.raised.append(f"{args.exc_type.__name__} on {args.thread}")
        sys.unraisablehook = self.on_unraisable

    def on_unraisable(self, args):
        """An interrupt may land in somebody's finalizer on the main thread, which loses it; nowhere else."""
        if args.exc_type is not KeyboardInterrupt or threading.current_thread() is not threading.main_thread():
            self.raised.append(f"unraisable {args.exc_type.__name__} in {args.object}")

    def federate(self, profile):
        self.federation.federate(profile, prompt=self.prompt)

    def operations(self):
        """What is interrupted, by name: each with what comes before it, uninterrupted."""
        federation = self.federation
        return {
            "federate": (federation.clear, lambda: self.federate("a")),
            "refresh": (lambda: self.federate("a"), lambda: federation.refresh(prompt=self.prompt)),
            "clear": (lambda: self.federate("b"), federation.clear),
            "switch": (lambda: self.federate("a"), lambda: self.federate("b")),
            "status": (lambda: self.federate("a"), lambda: [str(federation.status()) for _ in range(200)]),
            "sign": (lambda: self.federate("a"), lambda: [federation._live.access_key for _ in range(2000)]),
        }

    def check(self, *, asking):
        """Signed in whole or not at all; where ``asking``, AWS itself says that the triple is one."""
        signed_in = self.federation.status().is_federated
        lent = {name: os.environ.get(name) for name in OWN}
        patched = botocore.credentials.create_credential_resolver != self.resolver
        signer = "_credentials" in RequestSigner.__dict__
        if signed_in:
            assert dict.fromkeys(OWN) == lent, f"signed in, and the environment has {sorted(filter(None, lent))}"
            assert (True, True) == (patched, signer), "signed in, and botocore is not patched whole"
            assert self.default._credentials is self.federation._live, "signed in, and boto3 does not know"
            if asking:
                assert "assumed-role" in self.federation.whoami(prompt=self.prompt).arn
        else:
            assert lent == OWN, f"signed out, and not given back: {lent}"
            assert (False, False) == (patched, signer), "signed out, and botocore is still patched"
            assert self.default._credentials is not self.federation._live, "signed out, and boto3 still holds ours"
            try:
                self.federation._live.get_frozen_credentials()
            except SessionClearedError:
                pass
            else:
                raise AssertionError("signed out, and the live credentials still sign")
        self.check_endpoint(signed_in=signed_in, asking=asking)
        assert not self.raised, self.raised

    def check_endpoint(self, *, signed_in, asking):
        """Port, thread, files and environment, all or none of them."""
        threads = sum(each.name == "jupyter-federation-endpoint" for each in threading.enumerate())
        files = sorted(each.name for each in Path(tempfile.gettempdir()).rglob("*") if each.is_file())
        lent = [name for name in LENT if name in os.environ]
        if not signed_in:
            assert (0, [], []) == (threads, files, lent), "signed out, and of the endpoint something is left"
            return
        assert (1, ["token"], list(LENT)) == (threads, files, lent), "signed in, and the endpoint is not whole"
        client = Client.of_the_environment()
        if asking:
            assert 200 == client.ask().status


def timed(work, *, after):
    after()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interrupted_at(seconds, work):
    """Do ``work`` with a SIGINT after ``seconds``; whether it came in time."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


def interrupts():
    """SIGINT at random points of each operation; says how many came in time, by operation."""
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    moments = random.Random(int(os.environ["SEED"]))
    kernel = Kernel()
    os.environ.update(OWN)
    landed = {}
    for name, (before, operation) in kernel.operations().items():
        usual = min(timed(operation, after=before) for _ in range(6))  # whatever else this machine does meanwhile
        for number in range(int(os.environ["ROUNDS"])):
            before()
            if interrupted_at(moments.uniform(1e-6, usual * 1.1), operation):
                landed[name] = landed.get(name, 0) + 1
            kernel.check(asking=number % 8 == 0)
            kernel.federate("a")
            kernel.check(asking=False)
            assert "a" == kernel.federation.status().profile
            if number % 8 == 0:
                kernel.federation.refresh(prompt=kernel.prompt)
            kernel.federation.clear()
            kernel.check(asking=False)
    for _ in range(100):  # an interrupt can make two refreshers for a moment: one of them goes when it is woken
        background.shared.wake()
        threads = [each.name for each in threading.enumerate() if each.name.startswith("jupyter-federation")]
        if len(threads) <= 2:
            break
        time.sleep(0.05)
    sys.stdout.write(json.dumps({"landed": landed, "threads": threads}))


def wait_to_be_killed():
    """Sign in and do no more: for ``kill -9``."""
    kernel = Kernel()
    kernel.federate("a")
    kernel.federation.session("b", prompt=kernel.prompt)
    sys.stdout.write("signed in\n")
    sys.stdout.flush()
    signal.pause()


def end_in_flight():
    """End while a renewal hangs in the token callable, and an event is being told."""
    kernel = Kernel()
    kernel.federate("a")
    threading.excepthook, sys.unraisablehook = threading.__excepthook__, sys.__unraisablehook__
    hangs = threading.Event()

    def token():
        hangs.set()
        time.sleep(3600)

    kernel.tokens["ada"] = token
    kernel.federation.subscribe(lambda event, status: time.sleep(3600))
    threading.Thread(target=lambda: kernel.federation.refresh(prompt=kernel.prompt), daemon=True).start()
    hangs.wait()
    if os.environ.get("THEN") == "exit in a cell":
        sys.exit(3)


def limited():
    """No thread can be started: a sign-in says so, and who is signed in renews on the thread that is there."""
    kernel = Kernel()
    start = threading.Thread.start

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    said = []
    threading.Thread.start = refuse
    try:
        kernel.federate("a")
    except FederationError as error:
        said.append(str(error))
    said.append(kernel.federation.status().credentials)
    threading.Thread.start = start
    kernel.federate("a")
    session = kernel.federation._current.session
    while not background.shared._idle:
        time.sleep(0.001)
    threading.Thread.start = refuse
    before = session.credentials()
    session.refresh()
    said.append(before is session.credentials())
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
