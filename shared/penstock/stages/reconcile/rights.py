"""Rights, before anything is written: a right that is missing is named as verb, resource, namespace and identity.

Dry-runs would find most of it, but only stage by stage, and deletions have none. So whatever a plan needs that has
not been seen to work is asked of the API server first (SelfSubjectAccessReviews, a few at a time; one for everything
where the identity may do everything). After an attempt that was refused, all of it: one message names all that is
missing.
"""

import contextlib

from penstock.core.errors import PenstockError, Refused, Terminal
from penstock.core.reconcile.inventory import NAMESPACE, inventory_name
from penstock.core.reconcile.plan import ChangeSet
from penstock.core.reconcile.rights import Need, needed, told
from penstock.core.resources import Gvk
from penstock.ports.cluster import FIELD_MANAGER, Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.parallel import parallel
from penstock.stages.reconcile.target import Target

MOST_ASKED = 60
"""Rights (verb, kind and namespace) that are asked for before a run; what is beyond is left to dry-runs."""
MOST_NAMES = 10
_ALL = Gvk(group="*", version="*", kind="*")
_SERVICE_ACCOUNT = Gvk(version="v1", kind="ServiceAccount")
_OWN = (Gvk(version="v1", kind="ConfigMap"), Gvk(group="coordination.k8s.io", version="v1", kind="Lease"))
_OWN_VERBS = ("create", "update", "delete")


def check_rights(attempt: Attempt, target: Target, changes: ChangeSet, *, first: bool) -> None:
    """Raise Refused (``AccessDenied``) where a right that the plan needs is missing. Nothing has been written then.

    ``first``: no inventory stands in the cluster yet, so the rights to that are asked for, too.
    """
    before = attempt.found.condition("Ready")
    refused = before is not None and before.reason == Refused.reason
    wanted = needed(changes, FIELD_MANAGER, everything=refused, overridden=attempt.policy.override_managers)
    missing = [_missing(target.cluster, wanted)]
    if first or refused:
        missing.append(_missing(target.keeper, _own(attempt)))
    texts = [text for text in missing if text]
    if texts:
        raise Refused(f"{'; '.join(texts)}: nothing was changed{_advice(attempt, target, texts)}")


def explained(attempt: Attempt, error: PenstockError) -> PenstockError:
    """The error, which says so where the account that was impersonated does not exist."""
    account = attempt.account
    if not isinstance(error, Refused) or error.reason != Refused.reason or not account:
        return error
    if attempt.kustomization.kube_config is not None or account not in str(error):
        return error
    namespace, name = account.split(":")[2:4]
    with contextlib.suppress(PenstockError):  # it is a help, no more
        if attempt.home().get(_SERVICE_ACCOUNT, namespace, name) is None:
            return Refused(f"{error} (there is no ServiceAccount {namespace}/{name})", reason=error.reason)
    return error


def _own(attempt: Attempt) -> tuple[Need, ...]:
    name = inventory_name(attempt.owner.namespace, attempt.owner.name)
    return tuple(Need(verb=verb, gvk=gvk, namespace=NAMESPACE, names=(name,)) for gvk in _OWN for verb in _OWN_VERBS)


def _missing(cluster: Cluster, wanted: tuple[Need, ...]) -> str:
    """A sentence, or ""."""
    plurals = {}
    for need in wanted:
        served = cluster.resource_type(need.gvk.group, need.gvk.kind, need.gvk.version)
        if served is not None:  # else its definition comes with the plan
            plurals[need.gvk] = served.plural
    asked = [need for need in wanted if need.gvk in plurals][:MOST_ASKED]
    try:
        if not asked or cluster.can_i("*", _ALL):
            return ""
        answers = parallel(asked, lambda need: _may(cluster, need))
    except Terminal:
        return ""  # it does not answer such questions: dry-runs tell
    missing = [need for need, allowed in zip(asked, answers, strict=True) if not allowed]
    return told(missing, plurals, cluster.identity) if missing else ""


def _may(cluster: Cluster, need: Need) -> bool:
    """Whether it is allowed for all of the kind there, or else for each of the objects by its name."""
    if cluster.can_i(need.verb, need.gvk, namespace=need.namespace):
        return True
    if len(need.names) > MOST_NAMES:
        return False
    return all(cluster.can_i(need.verb, need.gvk, namespace=need.namespace, name=name) for name in need.names)


def _advice(attempt: Attempt, target: Target, texts: list[str]) -> str:
    if attempt.account and any(target.cluster.identity in text for text in texts):
        return ". Give these rights to that account in a Role or ClusterRole"
    return f". `penstock cluster add {attempt.cluster} --print-rbac` prints what the plane needs"
