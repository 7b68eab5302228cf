"""``jupyter federation``: what people type in a terminal."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_federation.errors import FederationError

if TYPE_CHECKING:
    from jupyter_federation.doctor.live import LiveReport
    from jupyter_federation.doctor.report import Report

_OURS = "jupyter-aws-federation"
_IN_A_NOTEBOOK = ("status", "whoami", "refresh", "clear", "panel", "export")  # the words after %federate alone


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 for what is wrong and said in a sentence, or argparse's 2.

    Nothing on the way to the doctor needs the package's own ``__init__``, which a stub may have overwritten; Python
    executes the one that is there before this.
    """
    parser = _parser()
    typed = sys.argv[1:] if argv is None else argv
    if typed and typed[0] in _IN_A_NOTEBOOK:
        parser.error(f"{typed[0]} is for a notebook, where the sign-in is: %federate {typed[0]}")
    arguments = parser.parse_args(typed)
    if arguments.command == "doctor" and arguments.live and (arguments.no_exchange or arguments.trust_policy):
        parser.error("doctor: --live goes the whole way, and takes neither --no-exchange nor --trust-policy")
    if arguments.command is None and not arguments.version:
        parser.print_help()
        return 0
    try:
        return _run(arguments)
    except FederationError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell has it for an interrupt
    except BrokenPipeError:  # the demo's reader
        _nobody_reads()
        return 0


def _say(text: str) -> None:
    """Print ``text``; whoever reads may have enough of it before its end, and that changes no exit status."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _nobody_reads()


def _nobody_reads() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jupyter federation", description="AWS in Jupyter with the login you have.")
    parser.add_argument("--version", action="store_true", help="print the version that is installed")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, said: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=said, description=f"{said[0].upper()}{said[1:]}.")

    demo = add("demo", "try it out with an embedded identity provider and an embedded AWS; nothing leaves this machine")
    demo.add_argument("--execute", action="store_true", help="run the quickstart notebook here and print what happens")
    demo.add_argument("--no-browser", action="store_true", help="print JupyterLab's address only")
    add("profiles", "list the federation profiles and the files they come from")
    doctor = add("doctor", "find out why it does not work; nobody is asked or signed in, but by --live")
    doctor.add_argument(
        "profile",
        nargs="?",
        metavar="PROFILE",
        help="a federation profile (without it, the default); or a code of the doctor's, which is explained",
    )
    doctor.add_argument("--no-exchange", action="store_true", help="exchange no token at AWS")
    doctor.add_argument("--trust-policy", metavar="FILE", help="a role's trust policy to check, as IAM prints it")
    doctor.add_argument("--json", action="store_true", help="print a JSON object")
    doctor.add_argument(
        "--live",
        action="store_true",
        help="sign in, exchange, whoami, list buckets, refresh, clear, and report it as a table to be pasted",
    )
    docs = add("docs", "print a page of the documentation, or a file for AWS or a JupyterHub; without one, their names")
    docs.add_argument("page", nargs="?", metavar="PAGE", help="aws, identity-providers, jupyterhub, profiles, ...")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.version:
        from importlib import metadata

        try:
            version = metadata.version(_OURS)
        except metadata.PackageNotFoundError:  # run from its source
            version = "without metadata"
        _say(f"{_OURS} {version}\n")
        return 0
    if arguments.command == "docs":
        from jupyter_federation import documentation

        said = documentation.contents() if arguments.page is None else documentation.page(arguments.page)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # the same bytes in a file, whatever the terminal's encoding is
        _say(said)
        return 0
    if arguments.command == "doctor":
        return _doctor(arguments)
    if arguments.command == "profiles":
        from jupyter_federation.config import load
        from jupyter_federation.profile_table import ProfileTable

        _say(f"{ProfileTable(load())}\n")
        return 0
    from jupyter_federation.demo import quickstart

    return quickstart.execute() if arguments.execute else quickstart.open_lab(browser=not arguments.no_browser)


def _doctor(arguments: argparse.Namespace) -> int:
    report: Report | LiveReport
    if not (arguments.live or arguments.no_exchange or arguments.trust_policy or arguments.json):
        from jupyter_federation.doctor.explanation import explain

        explanation = explain(arguments.profile)
        if explanation is not None:
            _say(f"{explanation.text()}\n")
            return 0
    if arguments.live:
        from contextlib import closing

        from jupyter_federation.doctor.live import verify
        from jupyter_federation.notebook_prompt import NotebookPrompt

        with closing(NotebookPrompt()) as prompt:
            report = verify(arguments.profile, prompt=prompt)
    else:
        from jupyter_federation.doctor.examination import examine

        report = examine(arguments.profile, exchange=not arguments.no_exchange, trust_policy=arguments.trust_policy)
    _say(f"{report.to_json() if arguments.json else report.text()}\n")
    return report.exit_status
