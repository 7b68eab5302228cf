"""The extension itself: its address, and the entry by which kernels find them."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import IOLoop, PeriodicCallback
from traitlets import Unicode

from jupyter_federation.errors import FederationError
from jupyter_federation.mailbox import SERVER_VARIABLE, Mailbox
from jupyter_federation.server.handlers import CallbackHandler

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

CALLBACK = "jupyter-federation/callback"
ANNOUNCED_FOR = timedelta(seconds=60)  # after a kill, kernels believe in the server for that long
ANNOUNCED_EVERY = timedelta(seconds=20)

# Jupyter masks code and state.  `next` is what a foreign login page gets, with the code in it; the others are answers
# of providers that do something else than they were asked for.
SCRUBBED = ("next", "response", "SAMLResponse", "assertion", "jwt", "ticket")

# The front end asks the kernel on the control channel.  JupyterLab takes the status that ipykernel reports around that
# for the running cell's, and the server for a person's activity, unless the type is in the server's list.
CONTROL_MESSAGES = ("federation_request", "federation_reply")


class SignInCallback(ExtensionApp):
    """Takes a sign-in's redirect and leaves it in the user's mailbox, where a kernel waits for it.

    Kernels find this server by its entry in the mailbox directory, which lives as long as the server renews it, so that
    it is seen from other hosts too, and by the entry's path in their environment, so that each finds its own.
    """

    name = "jupyter_federation_callback"
    redirect_uri = Unicode(
        "",
        config=True,
        help="The callback page's address as browsers see it and as it is registered with the identity provider. "
        "Needed behind a proxy that JupyterHub did not set up, and on a hub that does not know its public URL.",
    )
    _entry: Path | None = None

    def initialize_settings(self) -> None:
        """Mask in the server's log what else can hold a code; leave the front end's questions out of the status."""
        already = self.settings.get("extra_log_scrub_param_keys", [])  # the server's settings, at this point
        self.settings["extra_log_scrub_param_keys"] = [*already, *SCRUBBED]
        kernels = getattr(self.serverapp, "kernel_manager", None)
        if kernels is not None and hasattr(kernels, "untracked_message_types"):  # a gateway's manager has none
            kernels.untracked_message_types = [*kernels.untracked_message_types, *CONTROL_MESSAGES]

    def initialize_handlers(self) -> None:
        """Register the address and, once the port is known, announce it."""
        self._mailbox = Mailbox.default()
        self.handlers.append((rf"/{CALLBACK}", CallbackHandler, {"mailbox": self._mailbox}))
        self._name, self._since = secrets.token_hex(8), time.time()
        os.environ[SERVER_VARIABLE] = str(self._mailbox.directory / f"{self._name}.server")  # for kernels to come
        self._renewal = PeriodicCallback(self._announce, ANNOUNCED_EVERY)
        IOLoop.current().add_callback(self._announce)
        self._renewal.start()

    def _announce(self) -> None:
        address = self.redirect_uri or callback_address(self.serverapp, os.environ)
        if address is None:
            self._renewal.stop()
            self.log.info("Kernels are not told of the sign-in callback: set c.SignInCallback.redirect_uri.")
            return
        try:
            self._entry = self._mailbox.announce(self._name, address, since=self._since, lifetime=ANNOUNCED_FOR)
        except FederationError as error:
            self.log.warning("Kernels are not told of the sign-in callback. %s", error)

    async def stop_extension(self) -> None:
        """Take the announcement back."""
        self._renewal.stop()
        if self._entry is not None:
            with contextlib.suppress(OSError):  # it expires anyway; the server must stop
                self._entry.unlink()


def callback_address(server: ServerApp | None, environment: Mapping[str, str]) -> str | None:
    """The callback page as the browser reaches it, or None where that is not known.

    On JupyterHub it is one address for all users, because a provider compares it with the registered one letter by
    letter: the hub sends the browser on to the user's own server, and keeps the query.
    """
    if environment.get("JUPYTERHUB_SERVICE_PREFIX"):
        public = environment.get("JUPYTERHUB_PUBLIC_HUB_URL") or environment.get("JUPYTERHUB_HOST")
        base = environment.get("JUPYTERHUB_BASE_URL", "/")
        path = f"{base}hub/user-redirect/{CALLBACK}"
    elif server is None:
        return None
    else:
        public, path = server.public_url, f"{server.base_url}{CALLBACK}"
    parts = urlsplit(public or "")
    return f"{parts.scheme}://{parts.netloc}{path}" if parts.scheme in {"http", "https"} else None
