"""The rung that needs nothing but a browser anywhere: the person pastes the address on which they ended."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence

from jupyter_federation.errors import LoginFailedError
from jupyter_federation.offer import Offer
from jupyter_federation.sign_in.receiver import HOST, taken
from jupyter_federation.sign_in.rung import SignIn, Tokens, query_of
from jupyter_federation.tokens import Prompt


class PasteRung:
    """Sends the browser to a loopback port on which nothing listens, so that its address bar keeps the answer."""

    name = "paste"
    option = "--no-browser"

    def __init__(self, ports: Sequence[int] = (), *, browser_is_here: bool = False) -> None:
        self._ports = ports
        self._browser_is_here = browser_is_here

    def climb(self, sign_in: SignIn, prompt: Prompt) -> Tokens:
        """See `Rung.climb`."""
        with _silent_port(self._ports, browser_is_here=self._browser_is_here) as port:
            redirect_uri = sign_in.loopback(port)
            offer = Offer(
                issuer=sign_in.issuer,
                client_id=sign_in.client_id,
                steps=(
                    f"Open this in any browser and sign in. The last page, at {redirect_uri}, will not load.",
                    "Copy that page's whole address, and paste it here within a minute of its coming.",
                ),
                address=sign_in.address(redirect_uri),
            )
            prompt.show(offer)
            pasted = prompt.ask_secret("The address of the last page (it is neither shown nor saved): ")
        return sign_in.redeem(_query(pasted, redirect_uri))


def _query(pasted: str, redirect_uri: str) -> dict[str, str]:
    """The query of an address."""
    answer: dict[str, str] = {}
    with contextlib.suppress(ValueError):  # it would quote what was pasted
        answer = query_of(pasted.strip())
    if "state" not in answer:
        raise LoginFailedError(
            "What was pasted is not the address of the last page: it should begin with "
            f"{redirect_uri} and hold code= and state=.",
            fix="Copy the whole address, from http to its end.",
        )
    return answer


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


@contextlib.contextmanager
def _silent_port(ports: Sequence[int], *, browser_is_here: bool) -> Iterator[int]:
    """A loopback port on which nothing listens: the first such of ``ports``, or one that is held free meanwhile.

    Where the browser is elsewhere it is the first of them: what listens on this machine does not matter then.
    """
    if ports:
        port = next((port for port in ports if not (browser_is_here and _is_taken(port))), None)
        if port is None:  # another notebook's receiver, as a rule: it would get our answer
            raise taken(ports)
        yield port
        return
    with socket.socket() as held:
        held.bind((HOST, 0))  # without listen(): the browser is refused, and nobody else can take it
        yield held.getsockname()[1]
