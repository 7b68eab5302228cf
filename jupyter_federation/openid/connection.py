"""How a provider is reached: what it is trusted by, how long it may take, and what is said when it does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_federation.errors import ConfigurationError, FederationError, SourceUnavailableError
from jupyter_federation.openid.client import is_loopback

_TIMEOUT = (3.05, 5.0)  # seconds to connect, and between two bytes of the answer; a renewal has ten for everything


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

    def failure(self, error: OSError | ValueError) -> FederationError:
        """A request that did not come to an answer, in words; OSError is what requests' own errors are."""
        from requests import exceptions

        if isinstance(error, exceptions.HTTPError) and error.response is not None:
            return self.unavailable(f"answers with HTTP {error.response.status_code}")
        for kind, problem, fix in (
            (exceptions.SSLError, "shows a certificate that is not trusted here", "Name what to trust: `ca_bundle`."),
            (exceptions.ProxyError, "cannot be reached through the proxy", "Check HTTPS_PROXY and NO_PROXY."),
            (exceptions.Timeout, "does not answer in time", ""),
            (exceptions.ConnectionError, "cannot be reached", ""),
            ((exceptions.RequestException, ValueError), "answers with something that is not OpenID's", ""),
        ):
            if isinstance(error, kind):
                return self.unavailable(problem, fix=fix)
        return ConfigurationError(  # requests' for a bundle that is not there
            f"`ca_bundle` is {self.ca_bundle}, and no certificates can be read from there.",
            fix="Give the path of a PEM file.",
        )

    def unavailable(self, problem: str, *, fix: str = "") -> FederationError:
        """The provider's not being of use at the moment."""
        return SourceUnavailableError(
            f"The provider {self.provider} {problem}.",
            fix=fix or "Check the network, the proxy (HTTPS_PROXY, NO_PROXY) and the provider's own status page.",
            issuer=self.provider,
        )


def json_object(response: Any) -> Mapping[str, Any]:
    """The JSON object of requests' answer, an OAuth error too.  Raises requests' HTTPError, or ValueError."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or (not response.ok and "error" not in answer):
        response.raise_for_status()
        raise ValueError("not a JSON object")
    return answer
