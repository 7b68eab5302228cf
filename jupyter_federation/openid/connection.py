"""How a provider is reached: what it is trusted by, how long it may take, and what is said when it does not answer."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from jupyter_federation.addresses import PROXY_FORM, is_loopback
from jupyter_federation.errors import ConfigurationError, FederationError, SourceUnavailableError
from jupyter_federation.openid.aadsts import explained
from jupyter_federation.openid.refusal import REFUSALS, RefusedError
from jupyter_federation.redaction import masked
from jupyter_federation.sign_in.rung import Tokens

if TYPE_CHECKING:
    from requests import Session

    from jupyter_federation.openid.bounded import Bounded

S = TypeVar("S", bound="Session")
T = TypeVar("T")

_TIMEOUT = (3.05, 5.0)  # seconds to connect, and between two bytes of the answer
_DEADLINE = 8.0  # seconds for a request as a whole; a renewal has ten for everything
_DOWN = "provider-down"  # what the doctor calls it


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """The way to the provider that is called ``provider`` (an address) in messages.

    ``ca_bundle`` is a file of certificates (PEM); without it, REQUESTS_CA_BUNDLE counts.
    """

    provider: str
    ca_bundle: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What each of requests' requests is given: a session's own are not heeded everywhere (requests#3829)."""
        how: dict[str, Any] = {"timeout": _TIMEOUT, "allow_redirects": False}  # a code goes where discovery says
        return how if self.ca_bundle is None else {**how, "verify": self.ca_bundle}

    @property
    def trusts_environment(self) -> bool:
        """Proxies come from the environment, but none leads to this machine."""
        return not is_loopback(self.provider)

    def ask(
        self,
        session: Callable[[], S],
        request: Callable[[S], T],
        meaning: Callable[[Exception], Exception | None],
    ) -> T:
        """What ``request(session())`` gives, within `_DEADLINE`.

        It runs on a thread of its own.  The frames of an interrupt here, and of what is raised here, therefore hold
        nothing of what is sent: the libraries hold it in plain strings.  When the waiting ends, so does the request.
        ``meaning(error)`` is what a library's own error means, None: what `failure` says.
        """
        from jupyter_federation.openid.bounded import Bounded

        bounded, outcomes = Bounded(), queue.SimpleQueue[tuple[T | None, Exception | None]]()

        def run() -> None:
            try:
                outcomes.put((self._sent(session(), bounded, request), None))
            except Exception as error:  # noqa: BLE001 - whatever a library makes of what a provider says
                outcomes.put((None, _afresh(meaning(error) or self.failure(error))))

        end = time.monotonic() + _DEADLINE
        try:
            threading.Thread(target=run, name="jupyter-federation-provider", daemon=True).start()
            while (left := end - time.monotonic()) > 0:
                with contextlib.suppress(queue.Empty):
                    answer, failed = outcomes.get(timeout=min(left, 1.0))  # Windows: an interrupt waits for its end
                    break
            else:
                failed = self.unavailable("does not answer in time", finding="no-answer")
        finally:
            bounded.cut()
        if failed is not None:
            raise failed
        return answer  # type: ignore[return-value]

    def _sent(self, session: S, bounded: Bounded, request: Callable[[S], T]) -> T:
        with session:
            session.trust_env = self.trusts_environment
            session.auth = lambda prepared: prepared  # or a password of ~/.netrc would go to the provider
            for scheme in ("https://", "http://"):
                session.mount(scheme, bounded)
            return request(session)

    def tokens(self, answer: Mapping[str, Any]) -> Tokens:
        """The tokens in a token endpoint's answer.  Raises what `refusal` makes of an error."""
        if "error" in answer:
            raise self.refusal(answer["error"], answer.get("error_description"))
        if "access_token" not in answer:  # which every answer holds; the libraries let a gateway's JSON pass
            raise self.unavailable("answers with something that is not OpenID's")
        given: list[Any] = [answer.get(name) for name in ("id_token", "refresh_token")]
        id_token, refresh_token = (value if value and isinstance(value, str) else None for value in given)
        return Tokens(id_token=id_token, refresh_token=refresh_token)

    def refusal(self, error: object, description: object) -> RefusedError | FederationError:
        """What an OAuth error is: a no, or an outage that passes by itself (SourceUnavailableError)."""
        refusal = explained(str(error), str(description or ""))
        return refusal if refusal.code in REFUSALS else self.unavailable(f"does not serve now: {refusal}")

    def failure(self, error: Exception) -> Exception:
        """A request that did not come to an answer, in words; OSError is what requests' own errors are."""
        from requests import exceptions

        if isinstance(error, (FederationError, RefusedError)):  # in words already
            return error
        if isinstance(error, exceptions.HTTPError) and error.response is not None:
            return self.unavailable(f"answers with HTTP {error.response.status_code}")
        if (unasked := self._unasked(error)) is not None:
            return unasked
        trusting, no_proxy = "Name what to trust: `ca_bundle`.", "Check HTTPS_PROXY and NO_PROXY."
        for kind, problem, fix, finding in (
            (exceptions.SSLError, "shows a certificate that is not trusted here", trusting, "certificate-untrusted"),
            (exceptions.ProxyError, "cannot be reached through the proxy", no_proxy, "proxy-refuses"),
            (exceptions.Timeout, "does not answer in time", "", "no-answer"),
            (exceptions.ConnectionError, "cannot be reached", "", "unreachable"),
            ((exceptions.RequestException, ValueError), "answers with something that is not OpenID's", "", _DOWN),
        ):
            if isinstance(error, kind):
                return self.unavailable(problem, fix=fix, finding=finding)
        return self._beyond_requests(error)

    def _unasked(self, error: Exception) -> FederationError | None:
        """Why nothing was sent, where an address is at fault: the provider's or the proxy's."""
        if not _is_address(self.provider):
            problem = "has no address that could be asked"
            fix = "Correct `issuer` (of Entra: `authority`)."
            return self.unavailable(problem, fix=fix, finding="profile-broken")
        if _is_of_a_proxy(error):
            problem = "cannot be reached: the proxy's address cannot be read"
            return self.unavailable(problem, fix=f"Write HTTPS_PROXY as {PROXY_FORM}.", finding="proxy-refuses")
        return None

    def _beyond_requests(self, error: Exception) -> FederationError:
        """What is no error of requests' own: what the libraries make of JSON as it comes, or a file's."""
        if not isinstance(error, OSError):
            return self.unavailable("answers with something that is not OpenID's")
        named = "`ca_bundle`", self.ca_bundle  # requests' error for a bundle that is not there
        if self.ca_bundle is None:
            variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
            named = next(((name, os.environ[name]) for name in variables if os.environ.get(name)), ("", None))
        if named[1] is None:
            return self.unavailable("cannot be reached", finding="unreachable")
        return ConfigurationError(
            f"{named[0]} is {named[1]}, and no certificates can be read from there.",
            fix="Give the path of a PEM file.",
            finding="ca-bundle-unreadable",
        )

    def unavailable(self, problem: str, *, fix: str = "", finding: str = _DOWN) -> FederationError:
        """The provider's not being of use at the moment."""
        return SourceUnavailableError(
            f"The provider {self.provider} {problem}.",
            fix=fix or "Check the network, the proxy (HTTPS_PROXY, NO_PROXY) and the provider's own status page.",
            issuer=self.provider,
            finding=finding,
        )


def _is_address(url: str) -> bool:
    """Whether requests takes it for one."""
    from requests import Request, exceptions

    try:
        Request("GET", url).prepare()
    except (exceptions.RequestException, ValueError):
        return False
    return True


def _is_of_a_proxy(error: Exception) -> bool:
    """Whether it comes of a proxy's address that cannot be read, or not used: socks:// needs PySocks."""
    from urllib.request import getproxies

    from requests import exceptions

    proxies = getproxies()
    if isinstance(error, (exceptions.InvalidURL, exceptions.InvalidSchema, UnicodeEncodeError)):
        return bool(proxies)
    return type(error) is ValueError and not all(map(_can_be_split, proxies.values()))


def _can_be_split(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:  # a bracket in a password
        return False
    return True


def _afresh(error: Exception) -> Exception:
    """Without the frames that it was raised in."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def json_object(response: Any) -> Mapping[str, Any]:
    """The JSON object of requests' answer, masked, an OAuth error too.  Raises requests' HTTPError, or ValueError."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or (not response.ok and "error" not in answer):
        response.raise_for_status()
        raise ValueError("not a JSON object")
    return masked(answer)  # type: ignore[no-any-return]
