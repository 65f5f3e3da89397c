"""The two ends of a migration: a cluster as the operator's kubeconfig reaches it, and the plane's name for it."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.cli.plane import stored_plane
from penstock.core.errors import NotFound, Terminal
from penstock.core.flux.kustomization import KIND, KubeConfigRef, Kustomization
from penstock.core.flux.plane import NAME, NAMESPACE, Plane, Policy, parse_plane
from penstock.core.reconcile.inventory import Owner
from penstock.core.records import KustomizationStatus, status_key
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster, Clusters
from penstock.ports.state import State
from penstock.stages.reconcile.attempt import with_flags
from penstock.stages.reconcile.remote import Origin, gke_of, remote_cluster
from penstock.stages.reconcile.target import secret_kubeconfig
from penstock.wiring import Runtime

ROOT = f"{NAMESPACE}/{NAME}"


@dataclass(frozen=True, kw_only=True)
class Side:
    """``uid``: the plane's, "" where there is none (then one can only look); ``name``: the cluster's in the Plane.

    ``path``: the cluster's path in the source, or None; ``say``: one line of progress; ``identities``: the
    plane's own connections, for what is reached by identity (kubeConfig.configMapRef); ``policy``, ``gke``: what
    holds for that.
    """

    clusters: Clusters
    clock: Clock
    uid: str = ""
    name: str = ""
    path: str | None = None
    say: Callable[[str], None] = print
    identities: Callable[[], Clusters] | None = None
    policy: Policy = field(default_factory=Policy)
    gke: str = ""
    targets: dict[tuple[str, str, str], Cluster] = field(default_factory=dict)

    @property
    def home(self) -> Cluster:
        """The cluster in which Flux's objects stand."""
        return self.clusters.connect(self.name)

    def owner(self, name: str) -> Owner:
        """Whose the inventory of ``namespace/name`` is, or will be."""
        namespace, _, leaf = name.partition("/")
        return Owner(plane=self.uid, cluster=self.name, namespace=namespace, name=leaf)

    def target(self, kustomization: Kustomization) -> Cluster:
        """Where a Kustomization applies.

        Raises NotFound where its kubeConfig is missing, Refused for an unsafe one, and what remote_cluster raises.
        """
        given = kustomization.kube_config
        if given is None:
            return self.home
        key = (kustomization.namespace, given.secret or f"ConfigMap/{given.config_map}", given.key)
        if key not in self.targets:
            self.targets[key] = self._remote(kustomization, given)
        return self.targets[key]

    def _remote(self, kustomization: Kustomization, given: KubeConfigRef) -> Cluster:
        namespace = kustomization.namespace
        if given.secret:
            data = secret_kubeconfig(self.home, namespace, given)
            return self.clusters.connect_kubeconfig(data, name=f"{namespace}/{kustomization.name}")
        origin = Origin(
            home=lambda: self.home, cluster=self.name, namespace=namespace, policy=self.policy, gke=self.gke
        )
        clusters = self.identities() if self.identities is not None else self.clusters
        return clusters.connect_remote(remote_cluster(origin, given.config_map))


def add_cluster_flags(parser: argparse.ArgumentParser) -> None:
    """Which cluster, and how to reach it."""
    parser.add_argument("--cluster", default="", metavar="NAME", help="a cluster of the Plane")
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="to reach it by; default: the Plane's")
    parser.add_argument("--context", default="", help="of that kubeconfig; default: its current one")
    parser.add_argument("--data-dir", default="", help="the plane's data directory")


def open_side(args: argparse.Namespace, runtime: Runtime, *, gone: bool = False) -> Side:
    """The cluster that the flags name.

    ``gone``: it may have left the Plane already. Raises NotFound where the plane has no such cluster, Terminal where
    the flags name none.
    """
    clock: Clock = runtime.port("clock")
    own = _own_clusters(args, runtime)
    if not args.cluster:
        if own is None:
            raise Terminal("name a cluster: --cluster NAME of the Plane, or --kubeconfig and --context to look only")
        return Side(clusters=own, clock=clock, identities=lambda: _planes_own(runtime))
    state: State = runtime.port("state")
    held = stored_plane(state)
    plane = parse_plane(held.document)
    path = _path(plane, args.cluster)
    if path is None and not gone:
        plane.cluster(args.cluster)
    if path is None and own is None:
        raise NotFound(f"the plane has no cluster {args.cluster} any more: say how to reach it with --kubeconfig")
    return Side(
        clusters=own or _planes_own(runtime),
        clock=clock,
        uid=held.uid,
        name=args.cluster,
        path=path,
        identities=lambda: _planes_own(runtime),
        policy=with_flags(plane.policy_for(args.cluster), _flags(state, args.cluster)),
        gke=gke_of(plane, args.cluster),
    )


def _planes_own(runtime: Runtime) -> Clusters:
    clusters: Clusters = runtime.port("clusters")
    return clusters


def _flags(state: State, cluster: str) -> Mapping[str, Any]:
    """Of the repository's own Flux, as the cluster's root found them last."""
    found = state.get(status_key(cluster, KIND, NAMESPACE, NAME))
    flags: Mapping[str, Any] = (KustomizationStatus.from_value(found.value).summary.get("flags") if found else {}) or {}
    return flags


def _path(plane: Plane, name: str) -> str | None:
    return next((each.path for each in plane.clusters if each.name == name), None)


def _own_clusters(args: argparse.Namespace, runtime: Runtime) -> Clusters | None:
    """Connections by the kubeconfig that the flags name, whatever the cluster is called."""
    if not args.kubeconfig and not args.context:
        return None
    from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig  # noqa: PLC0415 - heavy
    from penstock.adapters.cluster.proxies import proxy_from  # noqa: PLC0415 - see above

    settings = runtime.settings
    default = (str(Path("~/.kube/config").expanduser()),)
    paths = (args.kubeconfig,) if args.kubeconfig else settings.kubeconfig or default
    given = Kubeconfig(paths=paths, context=args.context)
    return KubeClusters(lambda _name: given, proxy_for=proxy_from(settings.proxies))
