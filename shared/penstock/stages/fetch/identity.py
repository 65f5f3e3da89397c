"""As whom a source of a cloud is fetched: a ServiceAccount of its namespace, or the plane itself.

In Flux a source without serviceAccountName is fetched with the controller's identity. One plane has one identity for
many clusters and tenants: who may write a source could read with it what the plane may read, another tenant's too. So
that is for sources that the operator lists (``policy.ownIdentitySources``): names, not a switch, since a switch would
open all for one.
"""

from penstock.core.errors import Refused
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.source_fields import SourceDocument
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.ports.deps import Deps
from penstock.ports.identity import Account, CloudIdentity
from penstock.stages.fetch.remote import policy_of
from penstock.stages.fetch.visit import Visit


def identity_of(visit: Visit, source: SourceDocument) -> CloudIdentity:
    """The identity. Raises Refused where it would be the plane's own, and the operator has not listed the source."""
    kind, cluster, deps = visit.message.kind, visit.message.cluster, visit.deps
    if source.service_account:
        return CloudIdentity(provider=source.provider, who=_account(cluster, source, deps))
    named = f"{kind}/{source.namespace}/{source.name}"
    if cluster != PLANE and named not in policy_of(cluster, deps).own_identity_sources:
        raise Refused(
            f"provider {source.provider} without secretRef and serviceAccountName would take the plane's own identity: "
            f"name one of them, or the operator lists {named} in policy.ownIdentitySources",
            reason="AuthenticationFailed",
        )
    return CloudIdentity(provider=source.provider)


def _account(cluster: str, source: SourceDocument, deps: Deps) -> Account:
    if cluster == PLANE:
        raise Refused("the plane's own source has no cluster with ServiceAccounts", reason="AuthenticationFailed")
    found = deps.state.get(PLANE_KEY)
    plane = parse_plane(PlaneRecord.from_value(found.value).document) if found else None
    return Account(
        home=lambda: deps.clusters.connect(cluster),
        cluster=cluster,
        namespace=source.namespace,
        name=source.service_account,
        gke=plane.cluster(cluster).kube_config.gke if plane else "",
    )
