"""Where ``spec.kubeConfig.configMapRef`` leads, and as whom: the ConfigMap and the operator's policy.

The ConfigMap belongs to whoever may write it in the Kustomization's namespace of the home cluster, so it is not
trusted. It takes the identity of a ServiceAccount of that namespace; the plane's own only where the operator has
named the cluster for that (``policy.ownIdentityClusters``).
"""

from penstock.core.clusters.access import ClusterAccess, access_from_config_map
from penstock.core.errors import InvalidDocument, NotFound, Refused
from penstock.core.resources import Gvk
from penstock.ports.cluster import RemoteCluster
from penstock.ports.identity import Account
from penstock.stages.reconcile.attempt import Attempt

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
_FAILED = "ReconciliationFailed"


def remote_cluster(attempt: Attempt, name: str) -> RemoteCluster:
    """The cluster that the ConfigMap ``name`` describes.

    Raises NotFound where there is none, InvalidDocument naming its key, Refused where it would take the plane's own
    identity and may not.
    """
    namespace = attempt.message.namespace
    found = attempt.home().get(CONFIG_MAP, namespace, name)
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
        account=_account(attempt, access, document),
        allowed_hosts=attempt.policy.allowed_hosts,
    )


def _account(attempt: Attempt, access: ClusterAccess, document: str) -> Account | None:
    """Whose identity is taken; None is the plane's own."""
    name = access.service_account or attempt.policy.default_kube_config_service_account
    if name:
        return Account(
            home=attempt.home,
            cluster=attempt.cluster,
            namespace=attempt.message.namespace,
            name=name,
            gke=attempt.plane.cluster(attempt.cluster).kube_config.gke,
            audiences=access.audiences,
        )
    if access.provider == "generic":
        raise Refused(
            f"{document}: data.serviceAccountName is required for provider generic: the plane has no ServiceAccount"
            " of its own",
            reason=_FAILED,
        )
    if not access.cluster or not attempt.policy.own_identity_for(access.cluster):
        raise Refused(
            f"{document}: without data.serviceAccountName it would take the plane's own identity, which"
            f" policy.ownIdentityClusters does not allow for {access.cluster or access.address}",
            reason="AccessDenied",
        )
    return None
