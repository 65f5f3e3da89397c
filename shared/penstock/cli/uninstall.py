"""``penstock uninstall``: what penstock keeps on a cluster goes; workloads stay, unless exactly they are approved."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from penstock.cli.cluster import without
from penstock.cli.migrate.moving import under_lease
from penstock.cli.migrate.side import Side, add_cluster_flags, open_side
from penstock.cli.plane import change_plane, stored_plane
from penstock.cli.tables import render
from penstock.core.errors import NotFound, PenstockError, Refused, Terminal
from penstock.core.flux.kustomization import KIND, parse_kustomization
from penstock.core.reconcile.guard import PRECIOUS
from penstock.core.reconcile.inventory import NAMESPACE, Inventory, from_config_map, inventory_name
from penstock.core.reconcile.plan import Action
from penstock.core.reconcile.uninstall import Installed, approval_digest, deletions, removal_order, with_deletions
from penstock.core.records import ObjectRecord, removed_record
from penstock.core.resources import Gvk, Manifest
from penstock.ports.cluster import FIELD_MANAGER, Cluster
from penstock.ports.state import State
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.apply import prune_all
from penstock.stages.reconcile.live import Reading, read_live
from penstock.stages.reconcile.write import Writer
from penstock.wiring import Runtime, open_runtime

OURS = "app.kubernetes.io/managed-by=penstock"
_CONFIG_MAP, _SECRET = Gvk(version="v1", kind="ConfigMap"), Gvk(version="v1", kind="Secret")
_NAMESPACE = Gvk(version="v1", kind="Namespace")
_EVERY_NAMESPACES = "kube-root-ca.crt"
_SHOWN = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One cluster that holds inventories of ours: the plane's, or one that a Kustomization's kubeConfig names."""

    cluster: Cluster
    installed: tuple[Installed, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """``unreached``: namespace/name of Kustomizations whose cluster could not be looked at, and why."""

    places: tuple[Place, ...]
    unreached: Mapping[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> list[Installed]:
        """What was found, in the order in which it goes."""
        return [each for place in self.places for each in place.installed]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "uninstall",
        help="remove what penstock keeps on a cluster",
        description="Takes the cluster out of the Plane, then removes inventories, Leases and namespace "
        "penstock-system from it. Workloads stay, with their owner labels. Without --yes the plan is printed, and "
        "nothing is changed.",
        epilog="example: penstock uninstall --cluster staging --delete-workloads --prune sha256:… --yes",
    )
    add_cluster_flags(parser)
    parser.add_argument("--delete-workloads", action="store_true", help="delete what was applied, too, as each says")
    parser.add_argument("--prune", default="", metavar="DIGEST", help="exactly these deletions: sha256:… of the plan")
    parser.add_argument(
        "--skip-unreachable",
        action="store_true",
        help="forget Kustomizations whose kubeConfig leads nowhere: what they applied there stays",
    )
    parser.add_argument("--yes", action="store_true", help="do it; default: print the plan alone")


def run(args: argparse.Namespace) -> int:
    """Plan, or do it. Raises Refused where workloads would go that nobody approved."""
    runtime = open_runtime(args.data_dir)
    try:
        side = open_side(args, runtime, gone=True)
        if not side.uid:
            raise Terminal("say which cluster it is: --cluster NAME (`penstock cluster list`)")
        found = survey(side, runtime.port("state"), workloads=args.delete_workloads)
        for line in plan_lines(side, found, workloads=args.delete_workloads):
            print(line)
        digest = approval_digest(found.installed)
        if not args.yes:
            more = f" --prune {digest}" if digest else ""
            print(f"\nnothing was changed: --yes{more} does it")
            return 0
        if digest and args.prune != digest:
            raise Refused(f"these deletions are not approved: look at them, then add --prune {digest}")
        if found.unreached and args.delete_workloads and not args.skip_unreachable:
            raise Refused(
                f"{', '.join(found.unreached)}: not reached, and what would reach them may be among the deletions: "
                "mend their kubeConfig, or leave what they applied where it is with --skip-unreachable"
            )
        _leave_plane(runtime, side)
        return _report(uninstall(side, found, forget=args.skip_unreachable))
    finally:
        runtime.close()


def survey(side: Side, state: State, *, workloads: bool) -> Survey:
    """Everything of this plane and cluster, there and where kubeConfigs lead; nothing is written.

    Raises Terminal where an inventory cannot be read: then nobody knows what it stands for.
    """
    at_home = _installed(side, _held(side.home))
    clusters, unreached = _remotes(side, state, at_home)
    found = [(cluster, _installed(side, held)) for cluster, held in clusters if cluster is not side.home]
    places = [
        Place(cluster=cluster, installed=_ordered(cluster, installed, workloads=workloads))
        for cluster, installed in (*found, (side.home, at_home))
    ]
    return Survey(places=tuple(places), unreached=unreached)


def _remotes(
    side: Side, state: State, at_home: Sequence[Installed]
) -> tuple[list[tuple[Cluster, list[Manifest]]], dict[str, str]]:
    """Where Kustomizations apply to by a kubeConfig of their own, each cluster once, with our ConfigMaps there.

    Those that the plane knows, and those named at home. They come first: what names them at home goes last, so that
    another run finds the rest. And who could not be asked, with the reason.
    """
    records = state.list(f"object/{side.name}/{KIND}/")
    known = [parse_kustomization(ObjectRecord.from_value(record.value).document) for record in records]
    known += [each.kustomization for each in at_home if each.kustomization is not None]
    reached: dict[int, tuple[Cluster, list[Manifest]]] = {}
    unreached: dict[str, str] = {}
    for each in known:
        name = f"{each.namespace}/{each.name}"
        if each.kube_config is None or name in unreached:
            continue
        try:
            cluster = side.target(each)
            if id(cluster) not in reached:
                reached[id(cluster)] = (cluster, _held(cluster))
        except PenstockError as error:
            unreached[name] = str(error)
    return list(reached.values()), unreached


def _held(cluster: Cluster) -> list[Manifest]:
    return list(cluster.list(_CONFIG_MAP, namespace=NAMESPACE, label_selector=OURS).items)


def _installed(side: Side, held: Sequence[Manifest]) -> list[Installed]:
    found = []
    for manifest in held:
        owner = str((manifest.get("data") or {}).get("owner") or "")
        prefix = f"{side.uid}/{side.name}/"
        if not owner.startswith(prefix):
            continue
        try:
            inventory = from_config_map(manifest)
        except PenstockError as error:
            raise Terminal(f"ConfigMap {NAMESPACE}/{manifest['metadata']['name']}: {error}") from error
        found.append(_one(owner.removeprefix(prefix), inventory))
    return found


def _one(name: str, inventory: Inventory) -> Installed:
    try:
        record = removed_record(inventory.removal)
        kustomization = parse_kustomization(record.document)
    except (PenstockError, KeyError, TypeError):
        return Installed(name=name, inventory=inventory)
    return Installed(name=name, inventory=inventory, parent=record.parent, kustomization=kustomization)


def _ordered(cluster: Cluster, found: Sequence[Installed], *, workloads: bool) -> tuple[Installed, ...]:
    ordered = removal_order(found)
    if not workloads:
        return ordered
    made = []
    for each in ordered:
        live = read_live(cluster, each.inventory.entries, Reading(owner=each.name)).objects
        made.append(with_deletions(each, live, FIELD_MANAGER))
    return tuple(made)


def plan_lines(side: Side, found: Survey, *, workloads: bool) -> list[str]:
    """What goes, what stays, and what could not be looked at."""
    every = found.installed
    missing = [f"not reached, so what it applied there stays: {name}: {why}" for name, why in found.unreached.items()]
    if not every and not missing:
        return [f"cluster {side.name}: no inventory of this plane ({side.uid}) is there"]
    rows = []
    for each in every:
        if _only_names(each):
            continue
        gone = len(each.changes.deletions)
        stays = len(each.inventory.entries) - gone - sum(c.live is None for c in each.changes.of(Action.SKIPPED))
        rows.append([each.name, str(gone), str(stays), each.why or "-"])
    lines = render(("KUSTOMIZATION", "DELETED", "STAYS", "WHY"), rows).splitlines()
    lines += ["", *missing, *([""] if missing else [])]
    lines += ["Their inventories and Leases go, and namespace penstock-system, if nothing else is in it."]
    if side.path is not None:
        lines.append(f"Cluster {side.name} leaves the Plane first: nothing reconciles it any more.")
    if not workloads:
        return [*lines, "Every workload stays, with its owner labels (docs/migrate.md)."]
    lines.append("")
    going = deletions(every)
    for change in going[:_SHOWN]:
        precious = (change.ref.group, change.ref.kind) in PRECIOUS
        lines.append(f"{change}{' with all contents' if precious else ''}")
    if len(going) > _SHOWN:
        lines.append(f"and {len(going) - _SHOWN} more")
    return lines


def _only_names(each: Installed) -> bool:
    """Whether it is no inventory, but names one in another cluster (stages/reconcile/pointer.py)."""
    there = each.kustomization is not None and each.kustomization.kube_config is not None
    return there and not each.inventory.entries


def uninstall(side: Side, found: Survey, *, forget: bool = False) -> list[str]:
    """Do it, Kustomization by Kustomization, each under its Lease; what could not be deleted, one line each.

    The first that has a problem is the last: what comes after it may hold the namespace that it lives in. An
    inventory goes only when all of its deletions were made, so that another run goes on from there; what names a
    Kustomization of a cluster that was not reached goes with ``forget`` alone.
    """
    waiting = {} if forget else found.unreached
    for place in found.places:
        for each in place.installed:
            if each.name in waiting and _only_names(each):
                continue
            work = partial(_remove, side, place, each)
            problems = under_lease(side, place.cluster, side.owner(each.name), work)
            lease.drop(place.cluster, inventory_name(*each.name.split("/", 1)))
            if problems:
                return problems
        _drop_namespace(place.cluster)
    return [
        f"{name}: {why}. Run it again when it is reached, with --kubeconfig, or with --skip-unreachable to leave it"
        for name, why in waiting.items()
    ]


def _remove(side: Side, place: Place, each: Installed) -> list[str]:
    name = inventory_name(*each.name.split("/", 1))
    stored = place.cluster.get(_CONFIG_MAP, NAMESPACE, name)
    if stored is None:
        return []
    if from_config_map(stored).entries != each.inventory.entries:
        return [f"{each.name}: its inventory has changed meanwhile: look again, with --kubeconfig"]
    writer = Writer(cluster=place.cluster, clock=side.clock)
    _, failed = prune_all(writer, each.changes.deletions)
    if failed:
        return [f"{change.ref}: {error}" for change, error in failed]
    known = {key: stored["metadata"][key] for key in ("uid", "resourceVersion")}
    metadata = {"name": name, "namespace": NAMESPACE, **known}
    place.cluster.delete({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    side.say(f"{each.name}: {len(each.changes.deletions)} objects deleted, its inventory is gone")
    return []


def _drop_namespace(cluster: Cluster) -> None:
    """Our own namespace, if we made it and nobody keeps anything in it."""
    live = cluster.get(_NAMESPACE, "", NAMESPACE)
    if live is None or (live["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by") != "penstock":
        return
    left: list[Manifest] = [
        item
        for kind in (_CONFIG_MAP, _SECRET, lease.GVK)
        for item in cluster.list(kind, namespace=NAMESPACE).items
        if item["metadata"]["name"] != _EVERY_NAMESPACES
    ]
    if not left:
        cluster.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})


def _leave_plane(runtime: Runtime, side: Side) -> None:
    if side.path is None:
        return  # it has left before
    try:
        document = without(stored_plane(runtime.port("state")).document, side.name)
    except NotFound:
        return
    for line in change_plane(runtime, document):
        print(line)


def _report(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"penstock: not removed: {problem}", file=sys.stderr)
    return 1 if problems else 0
