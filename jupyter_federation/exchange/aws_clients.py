"""The botocore clients that exchanges call AWS with, and the one way to call.

They come from a botocore session of our own that looks for no credentials at all: no IMDS, no SSO, no
credential_process.  The calls that take a token are unsigned, and that is how botocore is told so.  Everything else of
botocore's configuration (AWS_ENDPOINT_URL*, AWS_CA_BUNDLE, proxies, use_fips, the section of AWS_PROFILE) counts as
always.  botocore is imported with the first client, because `%load_ext` must stay light.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jupyter_federation.addresses import is_loopback
from jupyter_federation.credentials import AwsCredentials
from jupyter_federation.errors import ConfigurationError, FederationError
from jupyter_federation.exchange.answers import malformed
from jupyter_federation.redaction import Secret, masked, quiet_wire, without_tokens

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.loaders import Loader
    from botocore.session import Session

CONNECT_TIMEOUT = 3
"""Seconds."""
READ_TIMEOUT = 8
"""Seconds between two bytes; the deadline over all of an exchange is the session's to keep."""

_SERVICES = ["cognito-identity", "sts"]


class AwsClients:
    """Clients for Cognito identity pools and STS, made when first needed and kept.

    One object belongs to one exchange, so that a new sign-in reads botocore's configuration anew; so does the next
    call after AWS could not be reached.  Safe to use from several threads, and in a forked child.
    """

    def __init__(self) -> None:
        self._process = _Process()
        self._profile: str | None = None

    def call(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        region: str,
        about: Mapping[str, Any],
        signed_by: AwsCredentials | None = None,
    ) -> Mapping[str, Any]:
        """What AWS answers to ``operation`` (``GetId``), its strings masked; nothing of it is logged.

        One attempt: who calls retries.  ``about`` is what an error may tell: settings, issuer, logins key.  The call
        is unsigned unless ``signed_by`` is given.  Raises ExchangeError where AWS refuses, cannot be reached or does
        not answer as it should, ConfigurationError where botocore's configuration is broken.
        """
        with self._locked() as process:
            client = self._client(process, service, region, signed_by)
        answer = _ask(client, operation, dict(parameters), about, _secrets(parameters, signed_by))
        if signed_by is not None:
            client.close()
        if isinstance(answer, FederationError):
            if getattr(answer, "aws_code", None) is None:
                self._process = _Process()
            raise answer
        return answer

    def region(self) -> str | None:
        """The region that botocore's configuration names: AWS_REGION, AWS_DEFAULT_REGION, ~/.aws/config."""
        with self._locked() as process:
            configured: str | None = self._session(process).get_config_variable("region")
        return os.environ.get("AWS_REGION") or configured  # botocore itself does not read AWS_REGION

    def warm(self, service: str, region: str | None) -> None:
        """Make the client now, for instance while a person signs in.  Raises nothing: the call will say it."""
        with contextlib.suppress(FederationError):
            region = region or self.region()
            if region is not None:
                with self._locked() as process:
                    self._client(process, service, region, None)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[_Process]:
        """What belongs to this process, for one thread: botocore's sessions are not safe to share."""
        process = self._process
        if process.id != os.getpid():  # forked: the sockets are the parent's, and its lock may be held for ever
            process = self._process = _Process()
        with process.lock:
            yield process

    def _session(self, process: _Process) -> Session:
        if process.session is None:
            try:
                process.session = _credential_free_session(self._profile)
            except Exception as error:  # noqa: BLE001 - botocore raises what it likes over a broken file
                raise _broken_configuration(error) from None
            self._profile = process.session.get_config_variable("profile")
        return process.session

    def _client(self, process: _Process, service: str, region: str, signed_by: AwsCredentials | None) -> BaseClient:
        client = process.clients.get((service, region)) if signed_by is None else None
        if client is None:
            try:
                client = _new_client(self._session(process), service, region, signed_by)
            except FederationError:
                raise
            except Exception as error:  # noqa: BLE001 - a wrong region, endpoint or bundle: many types, all of them said
                raise _broken_configuration(error) from None
            if signed_by is None:
                process.clients[service, region] = client
        return client


class _Process:
    """What cannot be taken over a fork."""

    def __init__(self) -> None:
        self.id = os.getpid()
        self.lock = threading.Lock()
        self.session: Session | None = None
        self.clients: dict[tuple[str, str], BaseClient] = {}


def _ask(
    client: BaseClient,
    operation: str,
    parameters: dict[str, Any],
    about: Mapping[str, Any],
    secrets: tuple[str, ...],
) -> Mapping[str, Any] | FederationError:
    """The answer, or the failure as a value: raised here, it would hold botocore's frames, and they hold the token."""
    from botocore import xform_name
    from botocore.exceptions import BotoCoreError, ClientError

    with quiet_wire():
        try:
            answer = getattr(client, xform_name(operation))(**parameters)
        except ClientError as error:
            from jupyter_federation.exchange.refusals import refused  # sentences that a success needs not

            return refused(error, operation=operation, about=about, secrets=secrets)
        except BotoCoreError as error:
            from jupyter_federation.exchange.unreachable import unreachable

            return unreachable(error, operation=operation, about=about, secrets=secrets)
        except Exception as error:  # noqa: BLE001 - what botocore's parsers raise over a malformed answer is not specified
            return malformed(operation, f"it cannot be read ({type(error).__name__})")
    return masked(answer) if isinstance(answer, dict) else malformed(operation, "it is empty")


def _secrets(parameters: Mapping[str, Any], signed_by: AwsCredentials | None) -> tuple[str, ...]:
    """The secrets that go out with the call, which AWS may quote in an error (SignatureDoesNotMatch does)."""
    found = [value for value in parameters.values() if isinstance(value, Secret)]
    found += [token for value in parameters.values() if isinstance(value, dict) for token in value.values()]
    if signed_by is not None:
        found += [Secret(signed_by.secret_access_key), Secret(signed_by.session_token)]
    return tuple(found)


def _credential_free_session(profile: str | None) -> Session:
    """A botocore session that finds no credentials because it does not look.

    ``profile`` is the one that an earlier session took from AWS_PROFILE, which is set aside while signed in.  A
    profile that the AWS configuration does not have is left out: it is often a stale AWS_PROFILE, and all that could
    be taken from it is settings.
    """
    from botocore.credentials import CredentialResolver
    from botocore.tokens import TokenProviderChain

    session = _session_of_our_services()()
    session.register_component("credential_provider", CredentialResolver(providers=[]))
    session.register_component("token_provider", TokenProviderChain(providers=[]))  # else SSO's configuration is read
    name = profile or session.get_config_variable("profile")
    if name in session.available_profiles:
        session.set_config_variable("profile", name)
    else:
        session.session_var_map["profile"] = (None, None, None, None)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


@functools.cache
def _session_of_our_services() -> type[Session]:
    """A botocore session without what botocore registers with each one for other services and for documentation.

    That is nearly all: 112 of 127 handlers, each of which it inspects, and copies for each client; 4 ms of a sign-in.
    """
    import botocore.session

    class OfOurServices(botocore.session.Session):
        def register(self, event_name: str, *args: Any, **kwargs: Any) -> None:
            kind, *service = event_name.split(".")[:2]
            if kind != "docs" and {*service} <= {*_SERVICES, "*"}:
                super().register(event_name, *args, **kwargs)

    return OfOurServices


@functools.cache
def _loader(data_path: str | None) -> Loader:
    """The service descriptions of botocore, read once in a process.

    Before it loads one, botocore's own loader lists the folders of all services to see whether it is there: 27 of the
    45 ms that a first client takes, and far more on a network file system.  Ours are there.  Nor are the addresses of
    all services read: 1.2 MB of JSON, which in a kernel are 18 ms and, for good, 7 MB of memory.  Ours bring rules of
    their own that say where they are.  An ``endpoints.json`` of the user's counts as it does for botocore.
    """
    from botocore.loaders import Loader, create_loader

    class KnownServices(Loader):
        def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
            return _SERVICES

        def load_data_with_path(self, name: str) -> tuple[Any, str]:
            own = (os.path.join(path, name) for path in self.search_paths if path != self.BUILTIN_DATA_PATH)  # noqa: PTH118 - botocore asks for a str
            if name == "endpoints" and not any(map(self.file_loader.exists, own)):
                return {"partitions": []}, self.BUILTIN_DATA_PATH
            return super().load_data_with_path(name)

    return KnownServices(extra_search_paths=create_loader(data_path).search_paths, include_default_search_paths=False)


def _new_client(session: Session, service: str, region: str, signed_by: AwsCredentials | None) -> BaseClient:
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 1},  # the session retries, and nobody below it
        defaults_mode="legacy",  # type: ignore[arg-type] # the stub is wrong; with "auto" botocore would ask IMDS
    )
    keys: dict[str, Any] = {}
    if signed_by is None:
        config = config.merge(Config(signature_version=UNSIGNED))
    else:
        keys = {
            "aws_access_key_id": signed_by.access_key_id,
            "aws_secret_access_key": signed_by.secret_access_key,
            "aws_session_token": signed_by.session_token,
        }

    def make(config: Config) -> BaseClient:
        return session.create_client(service, region_name=region, config=config, **keys)

    client = make(config)
    if is_loopback(client.meta.endpoint_url) and urllib.request.getproxies():
        client = make(config.merge(Config(proxies={})))  # nothing on this machine is reached through a proxy
    return client


def _broken_configuration(error: Exception) -> ConfigurationError:
    # An error of Python's own repeats an address that is none, or a part of its password.
    said = "a number or an address in it cannot be read." if type(error) is ValueError else without_tokens(str(error))
    return ConfigurationError(
        f"botocore cannot work with its configuration: {said}",
        fix="Check `region`, AWS_ENDPOINT_URL, AWS_CA_BUNDLE, the proxy settings and ~/.aws/config.",
        finding="aws-files-broken",
    )
