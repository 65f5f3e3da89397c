"""As whom a source of a cloud is fetched: a ServiceAccount of its namespace, or the plane itself.

In Flux a source without serviceAccountName is fetched with the controller's identity. One plane has one identity for
many clusters and tenants: who may write a source could read with it what the plane may read, another tenant's too. So
that is for sources that the operator lists (``policy.ownIdentitySources``): names, not a switch, since a switch would
open all for one.

`fetch` reaches no cluster: the ServiceAccount's token is what `reconcile` has copied (its source_identity.py).
"""

import json
from collections.abc import Mapping, Sequence

from penstock.core.errors import Refused
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.source_fields import SourceDocument
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.resources import Gvk, Manifest
from penstock.core.secrets.names import FETCH, account_token_name, secret_name
from penstock.ports.deps import Deps
from penstock.ports.identity import Account, CloudIdentity, ServiceAccountToken
from penstock.stages.fetch.remote import policy_of
from penstock.stages.fetch.visit import Visit

_DENIED = "AuthenticationFailed"


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
            reason=_DENIED,
        )
    return CloudIdentity(provider=source.provider)


def _account(cluster: str, source: SourceDocument, deps: Deps) -> Account:
    if cluster == PLANE:
        raise Refused("the plane's own source has no cluster with ServiceAccounts", reason=_DENIED)
    name = account_token_name(source.provider, source.service_account)
    held = deps.secrets.get(secret_name(FETCH, cluster, source.namespace, name))
    who = f"ServiceAccount {source.namespace}/{source.service_account}"
    if held is None:
        raise Refused(f"there is no token of {who}: does it exist, and may the plane ask for one?", reason=_DENIED)
    found = deps.state.get(PLANE_KEY)
    plane = parse_plane(PlaneRecord.from_value(found.value).document) if found else None
    return Account(
        home=lambda: _Held(held, who, deps.clock.now().timestamp()),
        cluster=cluster,
        namespace=source.namespace,
        name=source.service_account,
        gke=plane.cluster(cluster).kube_config.gke if plane else "",
    )


class _Held:
    """What `reconcile` has copied of a ServiceAccount, as its cluster would give it to whoever exchanges its token."""

    def __init__(self, held: Mapping[str, bytes], who: str, now: float) -> None:
        self._held, self._who, self._now = held, who, now

    def get(self, _gvk: Gvk, _namespace: str, _name: str, /) -> Manifest:
        """The ServiceAccount as it was when its token was asked for."""
        account: Manifest = json.loads(self._held["account"])
        return account

    def request_token(
        self,
        namespace: str,  # noqa: ARG002 - it holds that of one account, made for its exchange
        name: str,  # noqa: ARG002 - see above
        *,
        audiences: Sequence[str] = (),  # noqa: ARG002 - see above
        seconds: int = 3600,  # noqa: ARG002 - see above
    ) -> ServiceAccountToken:
        """The token. Raises Refused where it has ended."""
        expires = float(self._held["expires"])
        if expires <= self._now:
            raise Refused(f"the token of {self._who} has ended: the next reconcile brings another", reason=_DENIED)
        return ServiceAccountToken(token=self._held["token"].decode(), expires=expires)
