"""The embedded AWS and identity provider in a process of their own, so that their GIL is not the one measured."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

REGION = "eu-west-1"
HANDS_OUT = "GetCredentialsForIdentity"
"""The one request of a renewal: the identity is known by then, to ours and to the alternatives."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    aws_url: str
    identity_pool_id: str


class Servers:
    """Both servers, started on free loopback ports and stopped at the end; each method is one round trip to them."""

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")  # a fork would copy what this process has imported
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.at: Addresses = self._pipe.recv()
        self._identities = 0
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, EOFError):  # it has ended already where Ctrl-C reached both
            self._ask("stop")
        self._process.join()
        self._pipe.close()

    def token(self) -> str:
        """An ID token for a person whom nobody has seen before."""
        self._identities += 1
        return self._ask("token", f"person-{os.getpid()}-{self._identities}")

    def lifetime(self, seconds: float) -> None:
        """How long credentials live that are handed out from now on."""
        self._ask("lifetime", seconds)

    def delay(self, seconds: float, *, times: int = 1_000_000) -> None:
        """The next ``times`` renewals are answered this late."""
        self._ask("delay", seconds, times)

    def drop(self) -> None:
        """From now on the connection of each renewal dies without an answer."""
        self._ask("drop")

    def mend(self) -> None:
        """No delay and no drop for what arrives from now on."""
        self._ask("mend")

    def renewals(self) -> Counter[str]:
        """Requests for credentials that have arrived so far, by Cognito identity."""
        return self._ask("renewals")

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


def _serve(pipe: Connection) -> None:
    from jupyter_federation.demo.aws import COGNITO, EmbeddedAws, Fault, IdentityPool, Role
    from jupyter_federation.demo.identity_provider import IdentityProvider
    from jupyter_federation.demo.web_identity import OpenIdProvider

    with IdentityProvider() as provider, EmbeddedAws() as aws:
        pool = IdentityPool(
            providers=(provider.issuer.partition("://")[2],), authenticated_role=Role(name="Researcher")
        )
        pool.authenticated_role.trusts = {COGNITO: (pool.id,)}
        aws.add(OpenIdProvider(issuer=provider.issuer, client_ids=("notebook",)), pool)
        pipe.send(Addresses(aws_url=aws.url, identity_pool_id=pool.id))
        while True:
            try:
                question, *about = pipe.recv()
            except (EOFError, KeyboardInterrupt):  # the bench was ended from outside
                return
            answer = None
            match question:
                case "token":
                    answer = provider.id_token("ada", lifetime=timedelta(hours=2), sub=about[0])
                case "lifetime":
                    aws.lifetime = timedelta(seconds=about[0])
                case "delay":
                    aws.inject(HANDS_OUT, Fault(delay=about[0]), times=about[1])
                case "drop":
                    aws.inject(HANDS_OUT, Fault(drop=True), times=1_000_000)
                case "mend":
                    aws._faults.clear()
                case "renewals":
                    calls = [call for call in aws.calls if call.operation == HANDS_OUT]
                    answer = Counter(call.parameters["IdentityId"] for call in calls)
                case "stop":
                    pipe.send(None)
                    return
            pipe.send(answer)
