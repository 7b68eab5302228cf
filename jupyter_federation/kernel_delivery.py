"""The notebook's identity on its way to everything in this kernel that speaks AWS, and back.

The rooms of `delivery/` each know one way; here is what they do together: in which order, what a person should know
of it, and what is given back.  Nobody signs in here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import botocore.session
from botocore.exceptions import BotoCoreError

from jupyter_federation.config import Policy
from jupyter_federation.delivery import aws_files, tool_caches
from jupyter_federation.delivery.boto3 import Boto3Delivery
from jupyter_federation.delivery.container_protocol import TOKEN, TOKEN_FILE, URI
from jupyter_federation.delivery.endpoint import HOST, LoopbackEndpoint
from jupyter_federation.delivery.environment import NO_PROXY, OUTRANKING, REGION, EnvironmentDelivery
from jupyter_federation.delivery.live import LiveCredentials
from jupyter_federation.errors import DeliveryError, InvalidStateError
from jupyter_federation.markup import moment

if TYPE_CHECKING:
    from jupyter_federation.terminal_line import TerminalLine

# What a terminal needs to reach the same AWS: a name of its own for an address or a file, and no secret.
_REACHES = re.compile(r"AWS_(?:DEFAULT_)?REGION|AWS_CA_BUNDLE|AWS_ENDPOINT_URL(?:_[A-Z0-9_]+)?")


class KernelDelivery:
    """Delivers ``live`` to boto3, to the environment and to the endpoint for other tools; takes all of it back.

    Not for several threads at once: whoever holds it has a lock.
    """

    def __init__(self, live: LiveCredentials) -> None:
        self._live = live
        self._environment = EnvironmentDelivery()
        self._boto3 = Boto3Delivery()
        self._endpoint = LoopbackEndpoint(live)
        self._variables: Mapping[str, str] = {}  # by which tools find the endpoint, where it listens
        self._users_region: str | None = None  # of the profile that is set aside
        self._copied_until: datetime | None = None  # when the last of those expire that were here before
        self.remarks: tuple[str, ...] = ()
        """What a person should know of tools other than boto3."""
        self._delivered: tuple[str | None, Policy] | None = None  # the region, and under which policy

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Names of the variables that are given back by `withdraw`."""
        return self._environment.set_aside

    @property
    def lent(self) -> Mapping[str, str]:
        """The region and the endpoint's variables that are lent now, with their values."""
        return self._environment.lent((*REGION, URI, TOKEN_FILE, TOKEN))

    def region(self) -> str | None:
        """The region that boto3 finds by itself."""
        return self._boto3.region()

    def deliver(self, region: str | None, policy: Policy) -> None:
        """Have everything use the live credentials, in ``region`` where none is named.

        Raises DeliveryError where boto3 cannot be given them; other tools are then a remark.
        """
        try:
            self._deliver_to_boto3(region)
            self.remarks = self._deliver_to_tools(policy)
        except Exception as error:  # noqa: BLE001 - whatever boto3 or the user's AWS files make of it
            from jupyter_federation.exchange.refusals import quoted

            raise DeliveryError(
                f"Signed in, but boto3 could not be given the credentials: {type(error).__name__}: "
                f"{quoted(str(error), ())}.",
                fix="Mend what the message names (often a file in ~/.aws), then run %federate again.",
            ) from error.with_traceback(None)
        self._delivered = region, policy

    def again(self, policy: Policy | None = None) -> None:
        """`deliver` as before, under ``policy`` if there is another: what was replaced meanwhile is mended."""
        if self._delivered is not None:
            region, before = self._delivered
            self.deliver(region, policy or before)

    def withdraw(self) -> None:
        """Give everything back; from here on nobody is handed anything.  `settle` does what takes a moment."""
        self._boto3.remove()
        self._environment.give_back()
        self._endpoint.refuse()
        self._variables, self._users_region, self.remarks, self._delivered = {}, None, (), None

    def settle(self) -> None:
        """After `withdraw`: until the endpoint's port is closed, and what tools keep is let go; no lock is needed."""
        self._endpoint.settle()
        tool_caches.let_go()

    def arrived(self) -> None:
        """Somebody has come where nobody was: let tools look again."""
        tool_caches.look_again()

    def switched(self) -> None:
        """Somebody else has come: let tools ask anew."""
        tool_caches.let_go()

    def keep(self) -> bool:
        """See that what tools need is still there; False where it is not, and has to be delivered again."""
        return not self._variables or self._endpoint.keep_file()

    # What may have been copied

    def outlive(self, until: datetime | None) -> None:
        """Remember that somebody may have copied credentials that live ``until`` then."""
        self._copied_until = max(filter(None, (self._copied_until, until)), default=None)

    def what_keeps_acting(self) -> Iterator[str]:
        """Which tools loaded here may act as who was signed in before, and until when."""
        tools, until = tool_caches.that_keep_copies(), self._alive()
        if tools and until is not None:
            yield f"{_listed(tools)} may go on as before until {moment(until)}."

    def what_lives_on(self) -> Iterator[str]:
        """What a clear does not reach, and until when."""
        tools, until = tool_caches.that_keep_copies(), self._alive()
        if until is not None:
            yield f"What another tool or process has copied lives until {moment(until)}."
            if tools:
                yield f"Loaded in this notebook, {_listed(tools)} may still hold credentials."

    def _alive(self) -> datetime | None:
        until = self._copied_until
        return until if until is not None and until > datetime.now(timezone.utc) else None

    # A terminal

    def terminal_line(self, policy: Policy) -> TerminalLine:
        """The line that gives a terminal on this machine the same identity, while it lasts.

        Raises InvalidStateError where the policy turns it off, DeliveryError where nothing could listen.
        """
        from jupyter_federation.terminal_line import TerminalLine

        for name, allowed in (("export", policy.export), ("endpoint", policy.endpoint)):
            if allowed is False:
                raise InvalidStateError(
                    f"The policy turns it off: {name!r} is false in {policy.origins.get(name)}.",
                    fix="Sign in where you need it: a script or a terminal's tool can have a sign-in of its own.",
                )
        if not self._variables:
            raise DeliveryError(
                "There is no endpoint that a terminal could ask.", fix="%federate status says why; then run %federate."
            )
        endpoint = {name: self._variables[name] for name in (URI, TOKEN_FILE)}
        files = {name: os.environ[name] for name in aws_files.FILES if name in os.environ}
        return TerminalLine(
            sets=endpoint
            | {name: value for name, value in os.environ.items() if _REACHES.fullmatch(name) and not _has_secret(value)}
            | self._environment.lent(NO_PROXY)
            | files
            | {each.variable: os.devnull for each in aws_files.outranking()},
            reads={TOKEN: endpoint[TOKEN_FILE]} if policy.endpoint_token_variable else {},
            drops=tuple(name for name in OUTRANKING if name not in endpoint),
        )

    # The ways

    def _deliver_to_boto3(self, region: str | None) -> None:
        # Asked before AWS_PROFILE is set aside, which may be what names one.
        self._users_region = _region_of_the_users_profile() or self._users_region
        region = self._users_region or region
        self._environment.put_aside()  # before boto3, which does nothing where AWS_PROFILE names what is not there
        self._boto3.install(self._live)
        self._environment.take_back(REGION, but=region)  # the one of the sign-in before
        named = self._boto3.region()
        if aws_files.outranking():  # whoever turns away from them turns away from the region that they name, too
            region = named or region
            named = None
        if region is not None and named is None:
            self._environment.lend_region(region)

    def _deliver_to_tools(self, policy: Policy) -> tuple[str, ...]:
        """To what speaks AWS and is not boto3 here; what a person should know of it."""
        self._variables, remarks = {}, []
        if policy.endpoint is False:
            self._endpoint.stop()
        else:
            try:
                self._variables = self._endpoint.start()
            except DeliveryError as error:  # boto3 has what it needs
                remarks.append(str(error))
        lent = dict(self._variables)
        if not policy.endpoint_token_variable:
            lent.pop(TOKEN, None)
        self._environment.take_back({URI, TOKEN_FILE, TOKEN} - lent.keys())
        if lent:
            self._environment.lend_no_proxy(HOST)  # obstore and deltalake would show the endpoint's token to the proxy
        self._environment.lend(lent)
        if lent and (outranking := aws_files.outranking()):
            remarks.append(aws_files.sentence(outranking))
        if {TOKEN, TOKEN_FILE} & set(self.set_aside):
            remarks.append(
                "What was made before with the machine's own container credentials cannot renew those while you are "
                "signed in."
            )
        return tuple(remarks)


def _listed(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _has_secret(address: str) -> bool:
    """Whether a user's name or password stands in it: the line is shown, and saved with the notebook."""
    return "@" in urlsplit(address).netloc


def _region_of_the_users_profile() -> str | None:
    """The region that counts while AWS_PROFILE does: often its section of ~/.aws/config names one."""
    if not any(name in os.environ for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")):
        return None  # the default session knows it then, too
    try:
        region: str | None = botocore.session.Session().get_config_variable("region")
    except BotoCoreError:
        return None
    return region
