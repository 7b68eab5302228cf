"""Whether tools other than boto3 get the living sign-in's credentials, as they ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_federation.delivery.container_protocol import TOKEN_FILE, URI
from jupyter_federation.doctor.finding import Finding, found
from jupyter_federation.doctor.patient import Asks, Patient

_PATIENCE = 3  # seconds; it is on this machine


def handed_out(patient: Patient) -> Iterator[Finding | Asks]:
    """Ask the endpoint by what the environment names, as an AWS SDK does; what it gives is not read."""
    if patient.signed_in is None:
        return
    lent, environment = patient.signed_in.lent, patient.environment
    if URI not in lent:
        patient.tell("credentials for other tools", "none: no endpoint listens (%federate status says why)")
        return
    gone = [name for name in (URI, TOKEN_FILE) if not environment.get(name)]
    if gone:
        yield _no_credentials(f"{' and '.join(gone)} has gone from the environment", "the kernel's environment")
        return
    if environment[URI] != lent[URI] or environment[TOKEN_FILE] != lent[TOKEN_FILE]:
        return  # somebody else's: that outranks us, and is said there
    place = urlsplit(lent[URI])
    yield Asks(place.netloc)
    connection = HTTPConnection(place.netloc, timeout=_PATIENCE)  # past any proxy, as NO_PROXY has tools do
    try:
        token = Path(lent[TOKEN_FILE]).read_text(encoding="ascii")
        connection.request("GET", place.path, headers={"Authorization": token})
        status = connection.getresponse().status
    except (OSError, ValueError, HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        yield _no_credentials(f"the endpoint does not answer ({reason or type(error).__name__})", place.netloc)
        return
    finally:
        connection.close()
    if status != 200:  # noqa: PLR2004 - HTTP's
        yield _no_credentials(f"the endpoint refuses what its own file holds (HTTP {status})", place.netloc)
        return
    patient.tell("credentials for other tools", "handed out")


def _no_credentials(why: str, where: str) -> Finding:
    return found(
        "endpoint-unreachable",
        f"Tools other than boto3, and what the notebook starts, get no credentials: {why}. Run %federate again.",
        where=where,
    )
