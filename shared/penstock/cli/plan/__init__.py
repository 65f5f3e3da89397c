"""``penstock plan``: what a fleet repository would change on a cluster. No plane, no webhook, no configuration.

command.py           from the arguments to the whole plan (progress.py: what it says meanwhile)
source.py            a directory or a Git URL -> the tree that Flux would see
rehearsal.py         every Kustomization rendered, on a plane in memory (sources.py: from which tree; reading.py and
                     settings.py: with which ConfigMaps, Secrets and keys)
planner.py           each compared with the cluster, read-only (guest.py), in the reconcile stage's own code
removed.py           Kustomizations that the repository does not hold any more
shown.py             what is said of each
fields.py            what differs inside an object
outlook.py           what waits on what
kustomize_binary.py  --compare-with kustomize
report.py, text.py   the outcome, as JSON and for people
"""

import argparse
import json
import sys

from penstock.cli.plan.command import make
from penstock.cli.plan.progress import Progress
from penstock.cli.plan.report import exit_status, value
from penstock.cli.plan.text import lines
from penstock.core.errors import PenstockError

FAILED = 2
_EXITS = "exit status: 0 no changes, 1 changes, 2 something failed (as flux diff)"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "plan",
        help="what a fleet repository would change on a cluster; writes nothing",
        description="Renders every Kustomization from a cluster's path downwards, and compares each with the cluster. "
        "Only GET, LIST and dry-run PATCH are sent.",
        epilog=_EXITS,
    )
    parser.add_argument(
        "--source", required=True, metavar="DIR|URL", help="a directory, or the URL of a Git repository"
    )
    parser.add_argument("--path", required=True, help="the cluster's path in it, such as clusters/production")
    parser.add_argument("--branch", default="", help="of a URL (default: main)")
    parser.add_argument("--kubeconfig", default="", help="default: as kubectl finds it")
    parser.add_argument("--context", default="", help="default: the kubeconfig's current one")
    parser.add_argument("--no-cluster", action="store_true", help="render only")
    parser.add_argument(
        "--enable-remote-bases",
        action="store_true",
        help="fetch remote bases and files, as a Plane with policy.noRemoteBases: false does",
    )
    parser.add_argument("--compare-with", choices=("kustomize",), default="", help="also build with this binary")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--details", action="store_true", help="every document, every field, whole values")


def run(args: argparse.Namespace) -> int:
    """Plan and print; the exit status."""
    try:
        report = make(args, Progress(sys.stderr))
    except PenstockError as error:
        print(f"penstock: {error}", file=sys.stderr)
        return FAILED
    if args.output == "json":
        print(json.dumps(value(report), indent=2, default=str))
    else:
        for line in lines(report, details=args.details):
            print(line)
    return exit_status(report)
