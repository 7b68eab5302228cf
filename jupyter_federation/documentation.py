"""The pages of docs/, which an installation brings along: what a message names can be read without a checkout."""

from __future__ import annotations

import re
from pathlib import Path

from jupyter_federation.errors import ConfigurationError

_PACKED = Path(__file__).with_name("docs")
_ROOT = _PACKED if _PACKED.exists() else Path(__file__).parents[1] / "docs"
_CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n+", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]*)\)")


def pages() -> dict[str, Path]:
    """The file behind each name: a page's is bare, a template's has its folder and its ending.

    They are what users and administrators read; the decisions are for who changes the code.  With the templates goes
    the package's own hub.py, which runs by itself too.
    """
    templates = {file.relative_to(_ROOT).as_posix(): file for file in sorted(_ROOT.glob("deploy/*.yaml"))}
    hub = {"deploy/hub.py": Path(__file__).with_name("hub.py")}
    return {file.stem: file for file in sorted(_ROOT.glob("*.md"))} | hub | templates


def page(name: str) -> str:
    """The text of a page, in Markdown, with its links as `readable` has them; or a template as it stands.

    Raises ConfigurationError for a name that is none.
    """
    known = pages()
    file = known.get(_name(name.removeprefix("docs/")))
    if file is None:
        raise ConfigurationError(
            f"There is no page {name!r}.", fix=f"Type jupyter federation docs and one of {', '.join(known)}."
        )
    text = file.read_text(encoding="utf-8")
    return readable(text) if file.suffix == ".md" else text


def readable(markdown: str) -> str:
    """``markdown`` without a checkout: a link to a page is its label and the command that prints the page.

    Of a link to what is not there to be read, or to a place on the same page, the label is left; comments are left out,
    and code stays as it is.
    """
    prose_and_code = _CODE.split(markdown)
    prose_and_code[::2] = [_LINK.sub(_readable, _COMMENT.sub("", prose)) for prose in prose_and_code[::2]]
    return "".join(prose_and_code)


def contents() -> str:
    """A line for each page: its name, and a page's title."""
    return "".join(
        f"{name:20}{file.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}\n"
        if file.suffix == ".md"
        else f"{name}\n"
        for name, file in pages().items()
    )


def _readable(link: re.Match[str]) -> str:
    label, address = link.groups()
    name = _name(address)
    if "://" in address:
        return link[0]
    if name not in pages():
        return label
    command = f"`jupyter federation docs {name}`"
    is_name = "-".join(label.lower().split()) in {name, name.removeprefix("deploy/")}
    return command if is_name else f"{label} ({command})"


def _name(address: str) -> str:
    """The name of the page to which an address within docs/ leads, if to any."""
    return address.partition("#")[0].removesuffix(".md")
