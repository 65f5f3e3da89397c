"""``penstock cluster``: the entries of the Plane's ``spec.clusters``, one at a time."""

import argparse
from pathlib import Path
from typing import Any

from penstock.cli import rbac
from penstock.cli.client import add_plane_flags, add_who, open_client, seconds_of, who
from penstock.cli.plane import change_plane, stored_plane
from penstock.cli.reconcile import ask
from penstock.cli.tables import render
from penstock.core.clusters.access import PROVIDERS
from penstock.core.errors import NotFound, Refused, Terminal
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_kubeconfig import ClusterKubeConfig
from penstock.core.resources import Manifest
from penstock.wiring import open_runtime, open_state

_COLUMNS = ("NAME", "PATH", "KUBECONFIG", "CONTEXT", "REGION", "LABELS")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser("cluster", help="add, remove, list and adopt the plane's clusters")
    commands = parser.add_subparsers(metavar="COMMAND", dest="cluster_command", required=True)
    add = commands.add_parser("add", help="reconcile a cluster from a path of the plane's source")
    add.add_argument("name", metavar="NAME", help="a DNS label, such as production")
    add.add_argument("--path", default="", help="in the source, such as clusters/production; required")
    add.add_argument("--kubeconfig", default="", metavar="FILE", help="default: $KUBECONFIG, ~/.kube/config")
    add.add_argument("--context", default="", help="default: the kubeconfig's current context")
    add.add_argument("--provider", default="", choices=PROVIDERS, help="no kubeconfig: the plane's own identity there")
    add.add_argument("--resource", default="", metavar="NAME", help="with --provider: its resource name in the cloud")
    add.add_argument("--region", default="", help="in a cloud: where what is this cluster's stays (default: home)")
    add.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="for people; may be repeated")
    add.add_argument(
        "--print-rbac",
        nargs="?",
        const="admin",
        choices=rbac.PROFILES,
        help="only print an identity for the plane in that cluster and its rights, for kubectl apply -f -: what it "
        "needs to apply anything (admin, the default), to act as accounts (tenant), to look (plan-only), or for "
        "`penstock migrate` and `penstock uninstall`",
    )
    add.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="[NAMESPACE/]NAME",
        help="for --print-rbac=tenant: a service account that Kustomizations act as; may be repeated",
    )
    remove = commands.add_parser("remove", help="stop reconciling a cluster; everything on it stays")
    remove.add_argument("name", metavar="NAME")
    for each in (add, remove):
        each.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
    listed = commands.add_parser("list", help="print the plane's clusters")
    for each in (add, remove, listed):
        each.add_argument("--data-dir", default="", help="the plane's data directory")
    adopt = commands.add_parser(
        "adopt",
        help="take over, once, what another plane owns on a cluster",
        description="For a plane that lost its records, or a cluster that changes hands: the other plane then finds "
        "itself refused (OwnedByOther) and writes nothing. It holds for an hour.",
    )
    adopt.add_argument("name", metavar="NAME")
    adopt.add_argument("--wait", default="", metavar="30s", help="wait so long for the outcome of the cluster's root")
    add_who(adopt)
    add_plane_flags(adopt)


def run(args: argparse.Namespace) -> int:
    """Add, remove, list or adopt. Raises NotFound without a Plane, Refused for a name that is taken."""
    if args.cluster_command == "add" and args.print_rbac:
        accounts = tuple(rbac.account(text) for text in args.account)
        print(rbac.manifests(rbac.Wanted(cluster=args.name, profile=args.print_rbac, accounts=accounts)), end="")
        return 0
    if args.cluster_command == "adopt":
        return _adopt(args)
    if args.cluster_command == "list":
        print(listing(stored_plane(open_state(args.data_dir)).document))
        return 0
    runtime = open_runtime(args.data_dir)
    try:
        document = stored_plane(runtime.port("state")).document
        change = with_cluster(document, entry(args)) if args.cluster_command == "add" else without(document, args.name)
        parse_plane(change)
        for line in change_plane(runtime, change, dry_run=args.dry_run):
            print(line)
    finally:
        runtime.close()
    return 0


def _adopt(args: argparse.Namespace) -> int:
    body = {"cluster": args.name, "who": who(args)}
    outcome = ask(open_client(args), "/adopt", body, seconds=seconds_of(args.wait or "0s", "--wait"))
    if outcome is not None and outcome.get("ready") != "True":
        raise Terminal(f"cluster {args.name}: {outcome.get('reason')}: {outcome.get('message')}")
    print(f"cluster {args.name}: what another plane owns there is taken over; `penstock status` shows how it goes")
    return 0


def entry(args: argparse.Namespace) -> dict[str, Any]:
    """The entry of ``spec.clusters`` that the flags of `add` ask for; a kubeconfig's path is made absolute.

    Raises Terminal without a path.
    """
    if not args.path:
        raise Terminal("--path is required: the directory of the source that describes this cluster")
    path = str(Path(args.kubeconfig).expanduser().absolute()) if args.kubeconfig else ""
    given = {"path": path, "context": args.context, "provider": args.provider, "cluster": args.resource}
    kube_config = {name: value for name, value in given.items() if value}
    fields = {
        "name": args.name,
        "path": args.path,
        "kubeConfig": kube_config,
        "region": args.region,
        "labels": dict(_label(text) for text in args.label),
    }
    return {name: value for name, value in fields.items() if value}


def with_cluster(document: Manifest, cluster: dict[str, Any]) -> Manifest:
    """The document with one more cluster. Raises Refused where there is one of that name."""
    clusters = _clusters(document)
    if any(each.get("name") == cluster["name"] for each in clusters):
        raise Refused(f"the plane has a cluster {cluster['name']} already: remove it first, or apply a Plane document")
    return _replaced(document, [*clusters, cluster])


def without(document: Manifest, name: str) -> Manifest:
    """The document without a cluster. Raises NotFound."""
    clusters = _clusters(document)
    left = [each for each in clusters if each.get("name") != name]
    if len(left) == len(clusters):
        raise NotFound(f"the plane has no cluster {name}: `penstock cluster list` shows those it has")
    return _replaced(document, left)


def listing(document: Manifest) -> str:
    """The table that `list` prints."""
    rows = [
        [
            each.name,
            f"./{each.path}",
            _kubeconfig(each.kube_config),
            each.kube_config.context or "-",
            each.region or "-",
            ",".join(f"{key}={value}" for key, value in sorted(each.labels.items())) or "-",
        ]
        for each in parse_plane(document).clusters
    ]
    return render(_COLUMNS, rows) if rows else "no clusters yet: `penstock cluster add NAME --path PATH` adds one"


def _kubeconfig(given: ClusterKubeConfig) -> str:
    if given.access is not None:
        return f"{given.access.provider} {given.access.cluster or given.access.address}"
    return given.path or (f"secret {given.secret}" if given.secret else "default")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Terminal(f"--label {text}: must be KEY=VALUE")
    return key, value


def _clusters(document: Manifest) -> list[dict[str, Any]]:
    return list(document["spec"].get("clusters") or ())


def _replaced(document: Manifest, clusters: list[dict[str, Any]]) -> Manifest:
    return {**document, "spec": {**document["spec"], "clusters": clusters}}
