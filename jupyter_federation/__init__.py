"""Temporary AWS credentials for a notebook, from the sign-in that its user already has.

In a notebook::

    %load_ext jupyter_federation
    %federate

In Python::

    import jupyter_federation as jf
    jf.federate("research")

Importing this package loads nothing heavy: boto3 comes with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_federation.calls import (
        clear,
        clear_federation_to_identity_pool,
        federate,
        federate_to_identity_pool,
        fetch_auth_session,
        get_current_user,
        panel,
        refresh,
        session,
        status,
        subscribe,
        whoami,
    )

__all__ = [
    "__version__",
    "clear",
    "clear_federation_to_identity_pool",
    "federate",
    "federate_to_identity_pool",
    "fetch_auth_session",
    "get_current_user",
    "load_ipython_extension",
    "panel",
    "refresh",
    "session",
    "status",
    "subscribe",
    "unload_ipython_extension",
    "whoami",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%federate`` (what ``%load_ext jupyter_federation`` calls)."""
    from jupyter_federation.magic import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Clear what is signed in and take ``%federate`` back (what ``%unload_ext jupyter_federation`` calls)."""
    from jupyter_federation.magic import unregister

    unregister(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where the JupyterLab extension is built in a checkout (what ``jupyter-builder develop`` asks for)."""
    return [{"src": "labextension", "dest": "jupyter-aws-federation"}]


if not TYPE_CHECKING:  # a type checker would take any name from it

    def __getattr__(name: str) -> Any:
        if name in __all__:
            from jupyter_federation import calls

            return getattr(calls, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
