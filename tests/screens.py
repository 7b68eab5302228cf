"""A notebook in a tab, as a person sees it: the status item, its popup, the panel."""

import json
import time
from pathlib import Path

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"
CONTRAST = """element => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const over = (colours) => {
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const grounds = [];
    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const light = colour => {
        const [r, g, b] = colour.map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [a, b] = [over(grounds), over([...grounds, getComputedStyle(element).color])].map(light).sort();
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


class Screen:
    """A notebook whose first cell has opened the comm, as a person sees it."""

    def __init__(self, notebook):
        self.notebook = notebook
        self.tab = notebook.tab
        self.asked_file = notebook.directory / "asked"
        self.item = self.tab.locator(".jf-status-button")
        self.popup = self.tab.locator(".jf-popup")
        self.panel = self.tab.locator(".jp-OutputArea .jf-panel")

    def run(self, number):
        """Run the cell ``number``, from 0."""
        self.tab.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".jp-InputArea-prompt").click()
        self.tab.keyboard.press("Control+Enter")

    def command(self, name, **arguments):
        """As from the palette."""
        self.tab.evaluate("([name, it]) => { jupyterapp.commands.execute(name, it) }", [name, arguments])

    def save(self, what="jf-saved"):
        """File > Save until ``what`` is in it; the text of the file."""
        end = time.monotonic() + 120
        while what not in (text := self.notebook.path.read_text()):
            assert time.monotonic() < end, text
            self.tab.keyboard.press("Control+s")
            time.sleep(0.3)
        return text

    def asked(self):
        """The requests that have come to the kernel, but for those that only look."""
        lines = self.asked_file.read_text().splitlines() if self.asked_file.exists() else []
        return [request for request in map(json.loads, lines) if request["action"] != "state"]

    def awaits(self, *expected):
        """Until the kernel has been asked this; how long it took, in seconds."""
        begin = time.monotonic()
        while [request["action"] for request in self.asked()] != list(expected):
            assert time.monotonic() < begin + 120, self.asked()
            time.sleep(0.02)
        return time.monotonic() - begin

    def violations(self, *where):
        """What axe-core finds wrong."""
        self.tab.add_script_tag(path=AXE)
        found = self.tab.evaluate("where => axe.run({ include: where }).then(found => found.violations)", list(where))
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
