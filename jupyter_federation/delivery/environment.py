"""The environment of the kernel and of what it starts: lent while signed in, given back on clear."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping

from jupyter_federation.redaction import Secret

OUTRANKING = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
"""Variables by which a tool would act as somebody else than the person who signed in."""

REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables that name a region: boto3 reads the second, other tools the first."""

NO_PROXY = ("NO_PROXY", "no_proxy")
"""Variables that name hosts to be reached without a proxy: each is the one that some tool reads."""

_PROXY = {"http_proxy", "all_proxy"}


class EnvironmentDelivery:
    """Sets variables aside and lends others; what the user changes in between stays the user's."""

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._set_aside: dict[str, Secret] = {}
        self._lent: dict[str, str] = {}
        self._appended_to: dict[str, str] = {}

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Names of the variables that are given back on `give_back`."""
        return tuple(self._set_aside)

    def put_aside(self) -> None:
        """Take every outranking variable out of the environment and keep it; what is lent here stays."""
        for name in OUTRANKING:
            if self._is_the_users(name):
                self._set_aside[name] = Secret(self._environment[name])  # first the copy, then the removal
                del self._environment[name]

    def lend(self, variables: Mapping[str, str]) -> None:
        """Set ``variables`` until `give_back`."""
        for name, value in variables.items():
            self._lent[name] = self._environment[name] = value

    def lend_region(self, region: str) -> None:
        """Name ``region`` to every tool, unless the user's environment names one."""
        self.take_back(REGION, but=region)
        if not any(self._is_the_users(name) for name in REGION):
            self.lend(dict.fromkeys(REGION, region))

    def lend_no_proxy(self, host: str) -> None:
        """Name ``host`` as one that is reached without a proxy, where the environment names a proxy.

        (Where it names none this would change something: Python then asks no operating system for its proxy.)
        """
        if not any(name.lower() in _PROXY and value for name, value in self._environment.items()):
            return
        values = [self._environment.get(name, "") for name in NO_PROXY]
        for name, value, other in zip(NO_PROXY, values, reversed(values), strict=True):
            hosts = [each.strip() for each in (value or other).split(",") if each.strip()]
            if value and {host, "*"} & set(hosts):
                continue
            if name in self._environment:
                self._appended_to[name] = value
            self.lend({name: ",".join(hosts if "*" in hosts or host in hosts else [*hosts, host])})

    def lent(self, names: Iterable[str]) -> dict[str, str]:
        """Those of ``names`` that are lent now, with their values."""
        return {name: self._lent[name] for name in names if name in self._lent}

    def take_back(self, names: Iterable[str], *, but: str | None = None) -> None:
        """Lend ``names`` no longer, unless with the value ``but``; what the user has put there meanwhile stays."""
        for name in names:
            if name not in self._lent or self._lent[name] == but:
                continue
            value, before = self._lent.pop(name), self._appended_to.pop(name, None)
            if self._environment.get(name) == value:
                if before is None:
                    del self._environment[name]
                else:
                    self._environment[name] = before

    def give_back(self) -> None:
        """Put everything back as it was, except where the user has set something else meanwhile."""
        self.take_back(tuple(self._lent))
        while self._set_aside:
            name, value = next(iter(self._set_aside.items()))
            self._environment.setdefault(name, value)
            del self._set_aside[name]

    def _is_the_users(self, name: str) -> bool:
        return name in self._environment and self._environment[name] != self._lent.get(name)
