"""``penstock migrate``: a cluster moves from Flux to penstock, or back, without an object being made anew.

side.py        the cluster, and the plane's name for it
survey.py      what Flux owns there, what moves, what stays and why
moving.py      inventories, field managers, Flux's own objects: each by compare-and-swap
from_flux.py   the order of the steps, so that a kill at any point is harmless
to_flux.py     and back (survey_back.py: what goes back)
text.py        the plan, and what to do afterwards
"""

import argparse
import sys
from collections.abc import Sequence

from penstock.cli.client import seconds_of
from penstock.cli.migrate.from_flux import move_from_flux
from penstock.cli.migrate.side import ROOT, Side, add_cluster_flags, open_side
from penstock.cli.migrate.survey import survey
from penstock.cli.migrate.survey_back import survey_back
from penstock.cli.migrate.text import after_from_flux, after_to_flux, back_lines, plan_lines
from penstock.cli.migrate.to_flux import move_to_flux
from penstock.core.errors import Terminal
from penstock.core.messages import ReconcileDue
from penstock.wiring import Runtime, open_runtime

_DRY = "nothing was changed: --yes does it"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "migrate",
        help="move a cluster from Flux to penstock, or back",
        description="Without --yes the plan is printed, and nothing is changed. A migration that was cut off goes on "
        "where it was when it is run again (docs/migrate.md).",
    )
    commands = parser.add_subparsers(metavar="DIRECTION", dest="direction", required=True)
    there = commands.add_parser(
        "from-flux",
        help="take over what Flux's Kustomizations own, and suspend them",
        epilog="example: penstock migrate from-flux --cluster production",
    )
    there.add_argument("--root", default="", metavar="NS/NAME", help="Flux's Kustomization for the cluster's path")
    back = commands.add_parser(
        "to-flux",
        help="give everything back to Flux, and resume it",
        epilog="example: penstock migrate to-flux --cluster production",
    )
    for each in (there, back):
        add_cluster_flags(each)
        each.add_argument("--yes", action="store_true", help="do it; default: print the plan alone")
        each.add_argument("--dry-run", action="store_true", help="print the plan alone, whatever else is said")
        each.add_argument("--timeout", default="5m", help="to wait for Flux's runs and sources (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Plan, or do it. Raises what stands in the way of it."""
    timeout = seconds_of(args.timeout, "--timeout")
    runtime = open_runtime(args.data_dir)
    try:
        side = open_side(args, runtime)
        wanted = args.yes and not args.dry_run
        if (wanted or args.direction == "to-flux") and not side.uid:
            raise Terminal("say which cluster of the Plane it is: --cluster NAME (`penstock cluster list`)")
        if args.direction == "to-flux":
            return _to_flux(side, runtime, wanted=wanted, timeout=timeout)
        return _from_flux(side, runtime, args.root, wanted=wanted, timeout=timeout)
    finally:
        runtime.close()


def _from_flux(side: Side, runtime: Runtime, root: str, *, wanted: bool, timeout: float) -> int:
    found = survey(side, root)
    _print(plan_lines(found))
    if not wanted:
        _print(["", _DRY])
        return 0
    print()
    problems = move_from_flux(side, found, runtime.deps("api"), timeout=timeout)
    namespace, _, name = ROOT.partition("/")
    runtime.publish([ReconcileDue(cluster=side.name, namespace=namespace, name=name, why="request")])
    _print(after_from_flux(found))
    return _status(problems)


def _to_flux(side: Side, runtime: Runtime, *, wanted: bool, timeout: float) -> int:
    deps = runtime.deps("api")
    found = survey_back(side, deps)
    _print(back_lines(found))
    if not wanted:
        _print(["", _DRY])
        return 0
    print()
    problems = move_to_flux(side, found, deps, timeout=timeout)
    _print(after_to_flux(side.name))
    return _status(problems)


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _status(problems: Sequence[str]) -> int:
    """Objects whose fields could not change hands are no disaster: whoever applies them next takes the fields over."""
    for problem in problems:
        print(f"penstock: not handed over: {problem}", file=sys.stderr)
    return 1 if problems else 0
