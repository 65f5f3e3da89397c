"""Finds the subcommand, loads its module alone, and turns the project's errors into one line each."""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from penstock.core.errors import PenstockError
from penstock.version import __version__


class Subcommand(Protocol):
    """What a module of a subcommand offers."""

    def add_parser(self, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Declare flags and help."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """``module``: of penstock.cli; ``help``: one line for the list of commands."""

    module: str
    help: str


COMMANDS = {
    "build": Entry(module="build", help="build a kustomization, as kustomize build"),
    "plan": Entry(module="plan", help="what a fleet repository would change on a cluster; writes nothing"),
    "diff": Entry(module="diff", help="what a local directory would change, for one Kustomization"),
    "demo": Entry(module="demo", help="a signed push changes a cluster, end to end, on this machine"),
    "serve": Entry(module="serve", help="run a whole plane in one process"),
    "plane": Entry(module="plane", help="show or change the Plane document"),
    "cluster": Entry(module="cluster", help="add, remove and list the plane's clusters"),
    "get": Entry(module="get", help="sources, kustomizations, receivers, alerts and how they are"),
    "status": Entry(module="status", help="how the plane is"),
    "reconcile": Entry(module="reconcile", help="reconcile now"),
    "suspend": Entry(module="suspend", help="stop reconciling something"),
    "resume": Entry(module="resume", help="reconcile something again"),
    "approve": Entry(module="approve", help="allow deletions that the prune guard has stopped"),
    "migrate": Entry(module="migrate", help="move a cluster from Flux to penstock, or back"),
    "uninstall": Entry(module="uninstall", help="remove what penstock keeps on a cluster"),
    "dead-letters": Entry(module="dead_letters", help="messages that were given up: look, try again, drop"),
    "webhook": Entry(module="webhook", help="a Receiver's URL; send it a signed push"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``penstock`` with these arguments (``sys.argv`` by default); the exit status.

    0: done; 1: an error, printed as ``penstock: <message>`` on stderr; 2: wrong arguments; 130: interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = next((a for a in arguments if not a.startswith("-")), "")
    brief = argv is None and name == "build"  # a process of its own that ends soon: looking for garbage is in vain
    if brief:
        gc.disable()
    try:
        module = _load(name) if name in COMMANDS else None
        parser = _parser(name, module, alone=module is not None and arguments[0] == name)
        args = parser.parse_args(arguments)
        if module is None:
            parser.print_help()
            return 2
        return module.run(args)
    except PenstockError as error:
        print(f"penstock: {error}", file=sys.stderr)
        return 1
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `penstock … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the exit flushes stdout once more
        return 1
    finally:
        if brief:
            gc.freeze()  # the interpreter's end looks once more, whatever is disabled


def _load(name: str) -> Subcommand:
    path = f"penstock.cli.{COMMANDS[name].module}"
    try:
        return cast("Subcommand", importlib.import_module(path))
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise PenstockError(f"this release has no `penstock {name}`") from error


class _Help(argparse.HelpFormatter):
    """Help as wide as the terminal. argparse's own asks by means of shutil, which takes milliseconds to load."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", "0")) or os.get_terminal_size().columns
        except (OSError, ValueError):
            columns = 80
        super().__init__(prog, width=columns - 2)


class _Parser(argparse.ArgumentParser):
    """A parser whose help, and that of its subcommands, is as wide as the terminal."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", _Help)
        super().__init__(**settings)


def _parser(name: str, module: Subcommand | None, *, alone: bool = False) -> argparse.ArgumentParser:
    """The parser of one subcommand. ``alone``: it comes first, so nobody asks for the others."""
    parser: argparse.ArgumentParser = _Parser(
        prog="penstock", description="GitOps that runs only when something happens."
    )
    parser.add_argument("--version", action="version", version=f"penstock {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", prog="penstock")
    if module is not None:
        module.add_parser(subparsers)
    for other, entry in COMMANDS.items():
        if other != name and not alone:
            subparsers.add_parser(other, help=entry.help)
    return parser
