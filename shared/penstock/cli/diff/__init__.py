"""``penstock diff kustomization NAME``: what a local directory would change, for one Kustomization of a plane.

subject.py   the Kustomization, as the plane knows it (from its api)
local.py     the directory, and the commit that was applied last
compare.py   both rendered and compared, by the reconcile stage's own code
outcome.py, printed.py   what was found, as JSON and for people
build.py     ``penstock build kustomization NAME``: the render alone
"""

import argparse
import json
import sys
from pathlib import Path

from penstock.cli.client import add_plane_flags, open_client
from penstock.cli.diff.compare import offline, online
from penstock.cli.diff.local import Local, open_local
from penstock.cli.diff.outcome import Outcome, exit_status, value
from penstock.cli.diff.printed import lines
from penstock.cli.diff.subject import fetch_subject, ignore_of, name_of, with_document
from penstock.cli.plan.command import open_clusters
from penstock.core.errors import NotFound, PenstockError
from penstock.core.flux.kustomization import KIND
from penstock.stages.reconcile.attempt import Attempt
from penstock.wiring import settings_from

FAILED = 2
_EXITS = "exit status: 0 no changes, 1 changes, 2 something failed (as flux diff kustomization)"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "diff",
        help="what a local directory would change, for one Kustomization",
        usage="penstock diff kustomization NAME [--path DIR] [options]",
        description="Renders a local directory as a Kustomization of the plane would be rendered, and prints what an "
        "apply of it would change in the cluster: a unified diff for each object. Writes nothing.",
        epilog=_EXITS,
    )
    parser.add_argument("object", nargs="+", metavar="kustomization NAME", help="or kustomization/NAME")
    parser.add_argument(
        "--path",
        default=".",
        metavar="DIR",
        help="the repository, or what spec.path names in it (default: %(default)s)",
    )
    add_subject_flags(parser)
    parser.add_argument("--kubeconfig", default="", help="default: as kubectl finds it")
    parser.add_argument("--context", default="", help="default: the kubeconfig's current one")
    parser.add_argument(
        "--offline", action="store_true", help="ask no cluster: compare with the revision that was applied last"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    add_plane_flags(parser)


def add_subject_flags(parser: argparse.ArgumentParser) -> None:
    """Which Kustomization."""
    parser.add_argument("-n", "--namespace", default="flux-system", help="default: %(default)s")
    parser.add_argument("--cluster", default="", help="needed where several clusters have it")
    parser.add_argument(
        "--kustomization-file", default="", metavar="FILE", help="take the Kustomization itself from here"
    )


def run(args: argparse.Namespace) -> int:
    """Compare and print; the exit status."""
    try:
        found = _found(args)
    except PenstockError as error:
        print(f"penstock: {error}", file=sys.stderr)
        return FAILED
    if args.output == "json":
        print(json.dumps(value(found), indent=2, default=str))
    else:
        colour = sys.stdout.isatty() and not settings_from(data_dir=args.data_dir).no_color
        for line in lines(found, colour=colour):
            print(line)
    return exit_status(found)


def _found(args: argparse.Namespace) -> Outcome:
    name, client = name_of(args.object), open_client(args)
    cluster = args.cluster or client.cluster_of(KIND, args.namespace, name)
    subject = fetch_subject(client, cluster, args.namespace, name)
    if args.kustomization_file:
        subject = with_document(subject, Path(args.kustomization_file))

    def local(attempt: Attempt) -> Local:
        return open_local(args.path, attempt.kustomization.directory, ignore_of(attempt))

    if args.offline:
        return offline(subject, local, client.masking_key)
    clusters, why = open_clusters(args, settings_from(data_dir=args.data_dir))
    if clusters is None:
        raise NotFound(f"no cluster to compare with ({why}): name one, or compare with --offline")
    return online(subject, clusters, local, client.masking_key)
