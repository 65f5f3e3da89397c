"""Where a Kustomization applies, and as whom."""

from dataclasses import dataclass

from penstock.core.errors import NotFound, Refused
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.context import secret_data
from penstock.stages.reconcile.foreign import reconciled_by_flux


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """``cluster``: as the account that applies; ``keeper``: as the plane itself, for inventory and Lease."""

    cluster: Cluster
    keeper: Cluster


def open_target(attempt: Attempt) -> Target:
    """Connections to the target cluster.

    Raises NotFound where a kubeconfig is missing, Refused (``OwnedByFlux``) where Flux reconciles the very same
    Kustomization there.
    """
    kube_config, account = attempt.kustomization.kube_config, attempt.account
    if kube_config is None:
        keeper = attempt.home()
        cluster = attempt.deps.clusters.connect(attempt.cluster, impersonate=account) if account else keeper
    else:
        data = _kubeconfig(attempt, kube_config.secret, kube_config.key)
        connect = attempt.deps.clusters.connect_kubeconfig
        keeper = connect(data, name=attempt.ref)
        cluster = connect(data, name=attempt.ref, impersonate=account) if account else keeper
    _refuse_flux(attempt, keeper)
    return Target(cluster=cluster, keeper=keeper)


def _kubeconfig(attempt: Attempt, secret: str, key: str) -> bytes:
    namespace = attempt.message.namespace
    data = secret_data(attempt.home(), namespace, secret)
    if data is None:
        raise NotFound(f"kubeConfig Secret '{namespace}/{secret}' not found", reason="ReconciliationFailed")
    for name in (key,) if key else ("value", "value.yaml"):
        if name in data:
            return data[name]
    raise NotFound(
        f"kubeConfig Secret '{namespace}/{secret}' has no key {key or 'value or value.yaml'}",
        reason="ReconciliationFailed",
    )


def _refuse_flux(attempt: Attempt, keeper: Cluster) -> None:
    if reconciled_by_flux(keeper, attempt.ref):
        raise Refused(
            f"Flux reconciles Kustomization {attempt.ref} in this cluster: two engines would fight. Suspend it there, "
            "or move it with `penstock migrate from-flux`; `penstock plan` works beside it",
            reason="OwnedByFlux",
        )
