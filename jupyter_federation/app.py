"""``jupyter federation``: what people type in a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jupyter_federation.errors import FederationError, InvalidStateError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 for an error that is said in a sentence, or argparse's 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return _run(arguments)
    except FederationError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell has it for an interrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jupyter federation", description="AWS in Jupyter with the login you have.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="try it out with an embedded identity provider and an embedded AWS; nothing leaves this machine"
    )
    demo.add_argument("--execute", action="store_true", help="run the quickstart notebook here and print what happens")
    demo.add_argument("--no-browser", action="store_true", help="print JupyterLab's address only")
    commands.add_parser("profiles", help="list the federation profiles and the files they come from")
    commands.add_parser("doctor")  # reserved; without help, it is not listed
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "doctor":
        raise InvalidStateError(
            "The doctor is not in this release yet.",
            fix="`jupyter federation profiles` shows what is configured, and the error of %federate names the fix.",
        )
    if arguments.command == "profiles":
        from jupyter_federation.config import load
        from jupyter_federation.profile_table import ProfileTable

        sys.stdout.write(f"{ProfileTable(load())}\n")
        return 0
    from jupyter_federation.demo import quickstart

    return quickstart.execute() if arguments.execute else quickstart.open_lab(browser=not arguments.no_browser)
