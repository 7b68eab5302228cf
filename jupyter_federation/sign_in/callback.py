"""The rung for a kernel whose browser is elsewhere: the browser comes back to a page of the Jupyter server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from jupyter_federation.errors import FederationError, LoginFailedError
from jupyter_federation.mailbox import Expectation, Mailbox
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.rung import PATIENCE, OutOfReachError, SignIn, Tokens, query_of
from jupyter_federation.tokens import Prompt

_EVERY = 0.1  # seconds between two looks into the mailbox


class CallbackRung:
    """Shows the address and waits at the mailbox, in which the server's callback page leaves the answer.

    Without ``mailbox`` it is the user's own.  ``instead`` is what the person runs where the provider refuses the
    redirect URI, None: nothing.
    """

    name = "browser"
    option = None

    def __init__(self, mailbox: Mailbox | None, *, patience: timedelta = PATIENCE, instead: str | None = None) -> None:
        self._mailbox = mailbox
        self._patience = patience
        self._instead = instead

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """See `Rung.climb`."""
        mailbox = self._mailbox or Mailbox.default()
        redirect_uri = _redirect_uri(mailbox)
        address = sign_in.address(redirect_uri)
        state = query_of(address)["state"]
        with contextlib.ExitStack() as stack:
            with _begins():
                expectation = stack.enter_context(mailbox.expect(state, lifetime=self._patience))
            offer = Offer(
                issuer=sign_in.issuer,
                client_id=sign_in.client_id,
                steps=("Open this where you use Jupyter, and sign in; the last page says when to come back here.",),
                otherwise=self._otherwise(redirect_uri),
                address=address,
                until=datetime.now(timezone.utc) + self._patience,
            )
            prompt.show(offer)
            answer = self._wait(expectation, prompt)
        if answer is None:
            raise LoginFailedError(
                f"Nobody came back from {sign_in.issuer} within {self._patience.total_seconds():.0f} s; if its page "
                f"refused it, the redirect URI to register for `client_id` {sign_in.client_id} is {redirect_uri}.",
                fix="Finish the newest sign-in page.",
            )
        return sign_in.redeem(answer)

    def _otherwise(self, redirect_uri: str) -> str:
        meanwhile = "" if self._instead is None else f"; until then, cancel and run {self._instead}"
        return f"If that page refuses: have the redirect URI {redirect_uri} registered{meanwhile}."

    def _wait(self, expectation: Expectation, prompt: Prompt) -> Mapping[str, str] | None:
        """The answer, None where none came in time; an interrupt ends it at once."""
        began, said = time.monotonic(), 0.0
        while (passed := time.monotonic() - began) < self._patience.total_seconds():
            answer = expectation.collect()
            if answer is not None:
                return answer
            if passed >= said + 1:
                said = passed
                prompt.waiting("Waiting for your sign-in in the browser", passed)
            time.sleep(_EVERY)
        return None


def _redirect_uri(mailbox: Mailbox) -> str:
    with _begins():
        found = mailbox.redirect_uri()
    if found is None:
        raise OutOfReachError(
            "No Jupyter server with the sign-in callback is running for this kernel.",
            fix="Install jupyter-aws-federation[server] in the server's environment too, and restart the server.",
        )
    return found


@contextlib.contextmanager
def _begins() -> Iterator[None]:
    """A mailbox that is of no use is no failure: another way needs none."""
    try:
        yield
    except FederationError as error:
        raise OutOfReachError(error.problem, fix=error.fix, **error.facts) from None
