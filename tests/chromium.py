"""A real Chromium, driven by Playwright, which finds this machine and no other."""

from __future__ import annotations

import contextlib
import shutil

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def patient(opened):
    """A context or a page that waits for what it is to wait for: three minutes, which a quick machine never takes."""
    opened.set_default_timeout(180_000)
    return opened


@contextlib.contextmanager
def launched(*names, flags=()):
    """The browser with ``flags`` of its own, until the block ends; ``names`` (patterns) lead to this machine too."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "there is no Chromium: `make browser` installs it, or says how"
    here = (*(f"MAP {name} 127.0.0.1" for name in names), "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1", "EXCLUDE localhost")
    args = [*FLAGS, *flags, f"--host-resolver-rules={', '.join(here)}"]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=args) as browser:
        yield browser
