"""A Jupyter server extension: the page to which an identity provider sends the browser back.

``jupyter_server_config.json`` beside this file enables it, and is installed into ``etc/jupyter``.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What Jupyter's extension manager asks for."""
    from jupyter_federation.server.extension import SignInCallback

    return [{"module": "jupyter_federation.server.extension", "app": SignInCallback}]
