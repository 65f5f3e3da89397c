"""Where ``spec.kubeConfig.configMapRef`` leads, and as whom: the ConfigMap and the operator's policy.

The ConfigMap belongs to whoever may write it in the Kustomization's namespace of the home cluster, so it is not
trusted. It takes the identity of a ServiceAccount of that namespace; the plane's own only where the operator has
named the cluster for that (``policy.ownIdentityClusters``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.clusters.access import ClusterAccess, access_from_config_map
from penstock.core.errors import InvalidDocument, NotFound, Refused
from penstock.core.flux.plane import Plane, Policy
from penstock.core.resources import Gvk
from penstock.ports.cluster import Cluster, RemoteCluster
from penstock.ports.identity import Account

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
_FAILED = "ReconciliationFailed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a Kustomization with such a ConfigMap stands.

    ``home``: connects to the home cluster, as the plane; ``cluster``: its name in the Plane; ``namespace``: the
    Kustomization's; ``gke``: see Account.
    """

    home: Callable[[], Cluster]
    cluster: str
    namespace: str
    policy: Policy
    gke: str = ""


def gke_of(plane: Plane | None, cluster: str) -> str:
    """The GKE resource name of a cluster of the Plane, "" for others and for those that it does not have."""
    found = next((each for each in plane.clusters if each.name == cluster), None) if plane is not None else None
    return found.kube_config.gke if found is not None else ""


def remote_cluster(origin: Origin, name: str) -> RemoteCluster:
    """The cluster that the ConfigMap ``name`` describes.

    Raises NotFound where there is none, InvalidDocument naming its key, Refused where it would take the plane's own
    identity and may not.
    """
    namespace = origin.namespace
    found = origin.home().get(CONFIG_MAP, namespace, name)
    if found is None:
        raise NotFound(f"kubeConfig ConfigMap '{namespace}/{name}' not found", reason=_FAILED)
    document = f"ConfigMap/{namespace}/{name}"
    try:
        access = access_from_config_map(found.get("data") or {}, document)
    except InvalidDocument as error:
        error.reason = _FAILED
        raise
    return RemoteCluster(
        access=access,
        name=document,
        account=_account(origin, access, document),
        allowed_hosts=origin.policy.allowed_hosts,
    )


def _account(origin: Origin, access: ClusterAccess, document: str) -> Account | None:
    """Whose identity is taken; None is the plane's own."""
    name = access.service_account or origin.policy.default_kube_config_service_account
    if name:
        return Account(
            home=origin.home,
            cluster=origin.cluster,
            namespace=origin.namespace,
            name=name,
            gke=origin.gke,
            audiences=access.audiences,
        )
    if access.provider == "generic":
        raise Refused(
            f"{document}: data.serviceAccountName is required for provider generic: the plane has no ServiceAccount"
            " of its own",
            reason=_FAILED,
        )
    if not access.cluster or not origin.policy.own_identity_for(access.cluster):
        raise Refused(
            f"{document}: without data.serviceAccountName it would take the plane's own identity, which"
            f" policy.ownIdentityClusters does not allow for {access.cluster or access.address}",
            reason="AccessDenied",
        )
    return None
