"""Where a Kustomization applies, and as whom."""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.errors import NotFound, Refused
from penstock.core.flux.kustomization import KubeConfigRef
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.context import secret_data
from penstock.stages.reconcile.foreign import reconciled_by_flux
from penstock.stages.reconcile.remote import Origin, gke_of, remote_cluster


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """``cluster``: as the account that applies; ``keeper``: as the plane itself, for inventory and Lease."""

    cluster: Cluster
    keeper: Cluster


def open_target(attempt: Attempt) -> Target:
    """Connections to the target cluster.

    Raises NotFound where a kubeconfig is missing, Refused (``OwnedByFlux``) where Flux reconciles the very same
    Kustomization there, and what remote.py raises.
    """
    kube_config, account = attempt.kustomization.kube_config, attempt.account
    if kube_config is None:
        keeper = attempt.home()
        cluster = attempt.deps.clusters.connect(attempt.cluster, impersonate=account) if account else keeper
    else:
        connect = _connector(attempt, kube_config)
        keeper = connect("")
        cluster = connect(account) if account else keeper
    _refuse_flux(attempt, keeper)
    return Target(cluster=cluster, keeper=keeper)


def _connector(attempt: Attempt, kube_config: KubeConfigRef) -> Callable[[str], Cluster]:
    """Account -> a connection by what ``spec.kubeConfig`` names ("" is the plane itself)."""
    clusters = attempt.deps.clusters
    if kube_config.config_map:
        remote = remote_cluster(_origin(attempt), kube_config.config_map)
        return lambda account: clusters.connect_remote(remote, impersonate=account)
    data = secret_kubeconfig(attempt.home(), attempt.message.namespace, kube_config)
    hosts = attempt.policy.allowed_hosts
    return lambda account: clusters.connect_kubeconfig(data, name=attempt.ref, impersonate=account, allowed_hosts=hosts)


def _origin(attempt: Attempt) -> Origin:
    return Origin(
        home=attempt.home,
        cluster=attempt.cluster,
        namespace=attempt.message.namespace,
        policy=attempt.policy,
        gke=gke_of(attempt.plane, attempt.cluster),
    )


def secret_kubeconfig(home: Cluster, namespace: str, given: KubeConfigRef) -> bytes:
    """The kubeconfig that a Kustomization in ``namespace`` names. Raises NotFound where there is none."""
    data = secret_data(home, namespace, given.secret)
    if data is None:
        raise NotFound(f"kubeConfig Secret '{namespace}/{given.secret}' not found", reason="ReconciliationFailed")
    for name in (given.key,) if given.key else ("value", "value.yaml"):
        if name in data:
            return data[name]
    raise NotFound(
        f"kubeConfig Secret '{namespace}/{given.secret}' has no key {given.key or 'value or value.yaml'}",
        reason="ReconciliationFailed",
    )


def _refuse_flux(attempt: Attempt, keeper: Cluster) -> None:
    if reconciled_by_flux(keeper, attempt.ref):
        raise Refused(
            f"Flux reconciles Kustomization {attempt.ref} in this cluster: two engines would fight. Suspend it there, "
            "or move it with `penstock migrate from-flux`; `penstock plan` works beside it",
            reason="OwnedByFlux",
        )
