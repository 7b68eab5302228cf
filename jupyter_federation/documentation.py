"""The pages of docs/, which an installation brings along: what a message names can be read without a checkout."""

from __future__ import annotations

from pathlib import Path

from jupyter_federation.errors import ConfigurationError

_PACKED = Path(__file__).with_name("docs")
_ROOT = _PACKED if _PACKED.exists() else Path(__file__).parents[1] / "docs"


def pages() -> dict[str, Path]:
    """The file behind each name: a page's is bare, a template's has its folder and its ending.

    They are what users and administrators read; the decisions are for who changes the code.
    """
    templates = {file.relative_to(_ROOT).as_posix(): file for file in sorted(_ROOT.glob("deploy/*.yaml"))}
    return {file.stem: file for file in sorted(_ROOT.glob("*.md"))} | templates


def page(name: str) -> str:
    """The text of a page, in Markdown, or of a template.

    Raises ConfigurationError for a name that is none.
    """
    known = pages()
    file = known.get(name.partition("#")[0].removeprefix("docs/").removesuffix(".md"))
    if file is None:
        raise ConfigurationError(
            f"There is no page {name!r}.", fix=f"Type jupyter federation docs and one of {', '.join(known)}."
        )
    return file.read_text(encoding="utf-8")


def contents() -> str:
    """A line for each page: its name, and a page's title."""
    return "".join(
        f"{name:20}{file.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}\n"
        if file.suffix == ".md"
        else f"{name}\n"
        for name, file in pages().items()
    )
