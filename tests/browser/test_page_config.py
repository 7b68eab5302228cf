"""What JupyterLab is told by the server of the extension's messages."""

import html
import json
import re

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_the_front_ends_questions_count_neither_as_a_cells_status_nor_as_activity(lab):
    """JupyterLab leaves the status around them alone, so a running cell stays busy."""
    config = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', lab.request("GET", "lab").text, re.DOTALL)[1]
    untracked = json.loads(html.unescape(config))["untracked_message_types"]
    assert {"federation_request", "federation_reply", "debug_request"} <= set(
        json.loads(untracked) if isinstance(untracked, str) else untracked
    )
