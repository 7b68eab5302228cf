"""`make picture`: docs/quickstart.png and docs/panel.png, from the real demo in a real Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.chromium import launched

DOCS = Path(__file__).parents[1] / "docs"


def take(url: str) -> None:
    """Run the quickstart up to its table, and take both pictures."""
    with launched() as browser:
        tab = browser.new_page(viewport={"width": 1120, "height": 1500})
        tab.goto(url)
        tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        news = tab.get_by_role("button", name="No", exact=True)  # JupyterLab asks whether to show its news
        if news.count():
            news.click()
        tab.locator(".jp-Cell").first.click()
        tab.keyboard.press("Escape")
        cells = tab.locator(".jp-CodeCell")
        for number in range(5):
            cells.nth(number).locator(".jp-InputArea-prompt").click()
            tab.keyboard.press("Control+Enter")
            cells.nth(number).locator(".jp-InputPrompt").get_by_text(f"[{number + 1}]:").wait_for(timeout=60_000)
        tab.locator(".jp-OutputArea .jf-panel").get_by_text("ada@example.org").wait_for()
        first, last = cells.nth(0).bounding_box(), cells.nth(4).bounding_box()
        assert first
        assert last
        whole = {"x": first["x"], "y": first["y"], "width": first["width"]}
        tab.screenshot(path=DOCS / "quickstart.png", clip={**whole, "height": last["y"] + last["height"] - first["y"]})
        tab.set_viewport_size({"width": 1120, "height": 660})
        cells.nth(1).evaluate("cell => cell.scrollIntoView()")  # its panel above the popup
        tab.locator(".jf-status-button").click()
        tab.locator(".jf-popup").get_by_text("ada@example.org").wait_for()
        tab.screenshot(path=DOCS / "panel.png")


def main() -> None:
    """Start the demo, take the pictures, end it."""
    command = [str(Path(sys.executable).with_name("jupyter-federation")), "demo", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            take(next(found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\S+", line))))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


if __name__ == "__main__":
    main()
