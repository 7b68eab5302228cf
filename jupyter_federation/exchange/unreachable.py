"""What keeps AWS from being reached, in sentences that say what to change: network, DNS, proxy, certificates."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_federation.addresses import PROXY_FORM
from jupyter_federation.errors import ConfigurationError, ExchangeError, FederationError
from jupyter_federation.exchange.refusals import quoted
from jupyter_federation.redaction import without_user

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trouble:
    """The sentences for botocore's error class ``error`` where the innermost reason matches ``reason``.

    Format strings over ``endpoint``, ``proxy``, ``operation`` and ``reason``; ``finding`` is the doctor's code for it.
    """

    finding: str
    error: str
    reason: str = ""
    problem: str
    fix: str
    retryable: bool = True


_NO_NETWORK = rf"\[\w+ ({errno.ENETUNREACH}|{errno.EHOSTUNREACH}|{errno.ENETDOWN}|{int(socket.EAI_AGAIN)})\]"
_UNREADABLE = r"^\w+$"  # the name of an error alone, that of an address which is none

_TROUBLES = (
    _Trouble(
        finding="certificate-untrusted",
        error="SSLError",
        reason="CERTIFICATE_VERIFY_FAILED",
        problem="The certificate of {endpoint} is not trusted on this machine.",
        fix="Behind a proxy that opens TLS, set AWS_CA_BUNDLE to the file with its CA certificates (PEM).",
    ),
    _Trouble(
        finding="ca-bundle-unreadable",
        error="SSLError",
        reason=r"^(FileNotFoundError|IsADirectoryError|PermissionError):|X509: ",
        problem="The file of CA certificates that is configured cannot be read.",
        fix="Correct AWS_CA_BUNDLE (or REQUESTS_CA_BUNDLE, or ca_bundle in ~/.aws/config).",
        retryable=False,
    ),
    _Trouble(
        finding="tls-refused",
        error="SSLError",
        problem="There is no TLS connection to {endpoint}: {reason}.",
        fix="Check HTTPS_PROXY and AWS_ENDPOINT_URL: what answers there may speak plain HTTP.",
    ),
    _Trouble(
        finding="proxy-refuses",
        error="BotoCoreError",
        reason=_UNREADABLE,
        problem="The address of the proxy, or of AWS, cannot be read.",
        fix=f"Correct HTTPS_PROXY (or AWS_ENDPOINT_URL): {PROXY_FORM}.",
        retryable=False,
    ),
    _Trouble(
        finding="proxy-refuses",
        error="ProxyConnectionError",
        problem="The proxy {proxy} does not let the request for AWS through: {reason}.",
        fix=f"Check HTTPS_PROXY: {PROXY_FORM}; where AWS is reached without it, list its hosts in NO_PROXY.",
    ),
    _Trouble(
        finding="no-answer",
        error="ConnectTimeoutError",
        problem="{endpoint} did not take the connection in time.",
        fix="Check the network. Behind a firewall set HTTPS_PROXY; where a proxy is not for AWS, NO_PROXY.",
    ),
    _Trouble(
        finding="no-answer",
        error="ReadTimeoutError",
        problem="{endpoint} took the request and did not answer in time.",
        fix="Try again in a while. If it stays so, check the network and HTTPS_PROXY.",
    ),
    _Trouble(
        finding="unreachable",
        error="ConnectionClosedError",
        problem="{endpoint} closed the connection without an answer.",
        fix="Try again in a while. If it stays so, check HTTPS_PROXY and AWS_ENDPOINT_URL.",
    ),
    _Trouble(
        finding="no-network",
        error="EndpointConnectionError",
        reason=_NO_NETWORK,
        problem="There is no network: {endpoint} cannot be reached from this machine.",
        fix="Connect to the network, then try again.",
    ),
    _Trouble(
        finding="dns-unresolved",
        error="EndpointConnectionError",
        reason="gaierror",
        problem="The name in {endpoint} cannot be resolved (DNS).",
        fix="Check `region` (of a pool: the start of `identity_pool_id`) and the network; behind a proxy, HTTPS_PROXY.",
    ),
    _Trouble(
        finding="unreachable",
        error="EndpointConnectionError",
        problem="{endpoint} refused the connection.",
        fix="Check AWS_ENDPOINT_URL if it is set, and the network; behind a proxy, HTTPS_PROXY.",
    ),
    _Trouble(
        finding="unreachable",
        error="BotoCoreError",
        problem="The request for {operation} could not be sent: {reason}.",
        fix="Check the network, HTTPS_PROXY and AWS_CA_BUNDLE.",
    ),
)


def unreachable(
    error: BotoCoreError, *, operation: str, about: Mapping[str, Any], secrets: tuple[str, ...] = ()
) -> FederationError:
    """What botocore could not send, or got no answer to, as an error with a sentence of its own.

    A parameter that botocore itself refuses is a ConfigurationError, all else an ExchangeError.  botocore's error is
    not kept: it, or one inside it, holds the request with the token.
    """
    kinds = {each.__name__ for each in type(error).__mro__}
    if "ParamValidationError" in kinds:
        return ConfigurationError(
            f"A setting does not fit {operation}: {quoted(str(error.kwargs.get('report')), secrets)}",
            fix="Correct the setting that is named.",
            finding="parameter-refused",
            **about,
        )
    *_, innermost = _reasons(error)
    kind = type(innermost).__name__
    # A ValueError is about an address, and repeats a part of its password (a certificate's is an OSError too); urllib3
    # before 2.1 has an AttributeError for it.
    about_an_address = isinstance(innermost, (ValueError, AttributeError)) and not isinstance(innermost, OSError)
    words: dict[str, Any] = {
        "endpoint": without_user(quoted(error.kwargs.get("endpoint_url", "AWS"), secrets)),
        "proxy": without_user(str(error.kwargs.get("proxy_url"))),
        "operation": operation,
        "reason": kind if about_an_address else quoted(f"{kind}: {innermost}", secrets).rstrip("."),
    }
    trouble = next(each for each in _TROUBLES if each.error in kinds and re.search(each.reason, words["reason"]))
    return ExchangeError(
        trouble.problem.format(**words),
        fix=trouble.fix.format(**words),
        retryable=trouble.retryable,
        operation=operation,
        reason=words["reason"],
        endpoint=words["endpoint"],
        finding=trouble.finding,
        **about,
    )


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, from the outside in: botocore's, urllib3's, the system's."""
    inner: Any = error
    seen: list[BaseException] = []
    while isinstance(inner, BaseException) and inner not in seen:
        seen.append(inner)
        yield inner
        wrapped = getattr(inner, "kwargs", {}).get("error") or getattr(inner, "original_error", None)
        inner = wrapped or inner.__cause__ or next((each for each in inner.args if isinstance(each, Exception)), None)
