"""From the command's arguments to the whole plan."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from penstock.cli.plan.guest import World
from penstock.cli.plan.kustomize_binary import KustomizeBinary
from penstock.cli.plan.outlook import outlooks
from penstock.cli.plan.planner import Planner, reachable
from penstock.cli.plan.progress import Progress
from penstock.cli.plan.rehearsal import Rehearsal, Section
from penstock.cli.plan.report import Report
from penstock.cli.plan.shown import Planned
from penstock.cli.plan.source import open_fleet
from penstock.ports.cluster import Clusters
from penstock.wiring import Settings, settings_from


def make(args: argparse.Namespace, progress: Progress) -> Report:
    """The plan. Raises what stands in the way of making one at all."""
    progress("reading", args.source)
    source = open_fleet(args.source, args.branch)
    clusters: Clusters | None = None
    why = "none (--no-cluster): rendered only"
    if not args.no_cluster:
        clusters, why = open_clusters(args, settings_from())
    world = World()
    rehearsal = Rehearsal(
        source, args.path, clusters, lambda name: progress("rendering", name), remote_bases=args.enable_remote_bases
    )
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


def _compare(sections: Sequence[Section], progress: Progress) -> dict[str, str]:

    found = {}
    with KustomizeBinary() as binary:
        for section in sections:
            progress("kustomize builds", section.ref)
            found[section.ref] = binary.difference(section)
    return found


def open_clusters(args: argparse.Namespace, settings: Settings) -> tuple[Clusters | None, str]:
    """Connections to the one cluster that ``--kubeconfig`` and ``--context`` name; without one, None and why."""
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
