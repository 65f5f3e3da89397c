"""``penstock plan``: what a fleet repository would change on a cluster. No plane, no webhook, no configuration.

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
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from penstock.core.errors import PenstockError
from penstock.wiring import Settings, settings_from

if TYPE_CHECKING:
    from penstock.cli.plan.rehearsal import Section
    from penstock.cli.plan.report import Report
    from penstock.ports.cluster import Clusters

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
    parser.add_argument("--compare-with", choices=("kustomize",), default="", help="also build with this binary")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--details", action="store_true", help="every document, every field, whole values")


def run(args: argparse.Namespace) -> int:
    """Plan and print; the exit status."""
    from penstock.cli.plan.report import exit_status, value  # noqa: PLC0415 - loads where it is used
    from penstock.cli.plan.text import lines  # noqa: PLC0415 - see above

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


def make(args: argparse.Namespace, progress: "Progress") -> "Report":
    """The plan. Raises what stands in the way of making one at all."""
    from penstock.cli.plan.guest import World  # noqa: PLC0415 - loads where it is used
    from penstock.cli.plan.outlook import outlooks  # noqa: PLC0415 - see above
    from penstock.cli.plan.planner import Planner, reachable  # noqa: PLC0415 - see above
    from penstock.cli.plan.rehearsal import Rehearsal  # noqa: PLC0415 - see above
    from penstock.cli.plan.report import Report  # noqa: PLC0415 - see above
    from penstock.cli.plan.shown import Planned  # noqa: PLC0415 - see above
    from penstock.cli.plan.source import open_fleet  # noqa: PLC0415 - see above

    progress("reading", args.source)
    source = open_fleet(args.source, args.branch)
    clusters, why = _clusters(args, settings_from())
    world = World()
    rehearsal = Rehearsal(source, args.path, clusters, lambda name: progress("rendering", name))
    if clusters is not None:
        planner = Planner(rehearsal, clusters, world, lambda name: progress("comparing", name))
        reachable(planner.cluster)
    sections = rehearsal.run()
    if clusters is None:
        planned, cluster = [Planned(section=section) for section in sections], why
    else:
        planned, cluster = planner.run(sections), _described(args, planner.cluster.identity, world.flux, world.planes)
    if args.compare_with:
        differences = _compare(sections, progress)
        planned = [replace(each, difference=differences.get(each.section.ref, "")) for each in planned]
    progress.done()
    return Report(
        source=source, cluster=cluster, compared=clusters is not None, planned=planned, outlooks=outlooks(sections)
    )


def _compare(sections: "Sequence[Section]", progress: "Progress") -> dict[str, str]:
    from penstock.cli.plan.kustomize_binary import KustomizeBinary  # noqa: PLC0415 - loads where it is used

    found = {}
    with KustomizeBinary() as binary:
        for section in sections:
            progress("kustomize builds", section.ref)
            found[section.ref] = binary.difference(section)
    return found


def _clusters(args: argparse.Namespace, settings: Settings) -> "tuple[Clusters | None, str]":
    """Connections to the one cluster; without one, None and why."""
    if args.no_cluster:
        return None, "none (--no-cluster): rendered only"
    from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig  # noqa: PLC0415 - heavy
    from penstock.adapters.cluster.proxies import proxy_from  # noqa: PLC0415 - see above

    paths = (args.kubeconfig,) if args.kubeconfig else settings.kubeconfig
    default = Path("~/.kube/config").expanduser()
    given: Kubeconfig | None = None
    if paths or args.context or default.is_file():
        given = Kubeconfig(paths=paths or (str(default),), context=args.context)
    elif settings.service_host:
        given = Kubeconfig(service_host=settings.service_host, service_port=settings.service_port)
    if given is None:
        return None, "none: there is no kubeconfig (KUBECONFIG, ~/.kube/config): rendered only"
    return KubeClusters(lambda _name: given, proxy_for=proxy_from(settings.proxies)), ""


def _described(args: argparse.Namespace, identity: str, flux: object, planes: set[str]) -> str:
    text = f"context {args.context}" if args.context else "the kubeconfig's current context"
    text += f", as {identity}"
    if flux:
        text += "; Flux keeps it in sync"
    if planes:
        text += f"; plane {', '.join(sorted(planes))} keeps it in sync"
    return text


class Progress:
    """Says on stderr what is being done: one line that is rewritten on a terminal, else one every few seconds."""

    EVERY = 5.0

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._terminal = stream, stream.isatty()
        self._said, self._count = time.monotonic(), 0

    def __call__(self, doing: str, name: str) -> None:
        """Something begins."""
        self._count += 1
        text = f"{doing} {name}"
        if self._terminal:
            print(f"\r\033[K{text[:100]}", end="", file=self._stream, flush=True)
        elif time.monotonic() - self._said > self.EVERY:
            self._said = time.monotonic()
            print(f"{text} …", file=self._stream, flush=True)

    def done(self) -> None:
        """Nothing more to say: the line is cleared."""
        if self._terminal:
            print("\r\033[K", end="", file=self._stream, flush=True)
