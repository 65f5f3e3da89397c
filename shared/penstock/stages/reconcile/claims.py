"""Who renders what: what may have moved to another Kustomization is handed over, never deleted (see due.py)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from penstock.core.reconcile.equal import KnownEqual
from penstock.core.reconcile.inventory import parse_ids, parse_object_id
from penstock.core.reconcile.managers import applied_fields
from penstock.core.reconcile.normalise import NAME_LABEL
from penstock.core.reconcile.plan import Ownership, owner_of
from penstock.core.reconcile.standing import standing
from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.resources import Manifest, ObjectRef
from penstock.ports.cluster import FIELD_MANAGER
from penstock.stages.reconcile.attempt import Attempt, everybody, read_kustomizations
from penstock.stages.reconcile.due import NOBODY, Due

_EQUAL = KnownEqual()


def ownership(
    attempt: Attempt,
    desired: Collection[ObjectRef],
    live: Mapping[ObjectRef, Manifest | None],
    inventory: Collection[ObjectRef],
    due: Due = NOBODY,
) -> Ownership:
    """Whose run this is, and what others, but for those who are ``due.leaving``, rendered last of all this.

    Those who are excused lose to whoever renders the same now; what else they rendered last stays theirs.

    What left the render may be anybody's now: then all Kustomizations of the cluster are read. Else only those whose
    labels stand on a desired object.
    """
    wanted = set(desired)
    stale = {ref: found for ref in inventory if ref not in wanted and (found := live.get(ref)) is not None}
    there = [found for ref in wanted if (found := live.get(ref)) is not None]
    owners = {owner_of(found) for found in there} - {"", attempt.ref}
    if stale:
        records, known = everybody(attempt.deps, attempt.cluster)
    else:
        records, known = read_kustomizations(attempt.deps, attempt.cluster, owners) if owners else ({}, {})
    away = {attempt.ref, *due.leaving}
    others = {name: record for name, record in records.items() if name not in away and not record.tombstone}
    claimed, taken, elsewhere = _told(attempt.record, others, known)
    claimed = {ref: name for ref, name in claimed.items() if ref not in wanted or name not in due.excused}
    message = attempt.message
    return Ownership(
        namespace=message.namespace,
        name=message.name,
        manager=FIELD_MANAGER,
        claimed=claimed,
        taken=taken,
        elsewhere=elsewhere,
        abandoned=_abandoned(attempt.record, stale, others, known) - claimed.keys(),
        overridden=attempt.policy.override_managers,
        equal=_EQUAL,
        same=frozenset(() if message.why == "request" else attempt.status.same),
    )


def _told(
    mine: ObjectRecord, others: Mapping[str, ObjectRecord], known: Mapping[str, KustomizationStatus]
) -> tuple[dict[ObjectRef, str], frozenset[ObjectRef], frozenset[ObjectRef]]:
    """``claimed``, ``taken`` and ``elsewhere`` of an Ownership, by what the others have written down.

    Taken is what one has in its inventory that renders it: what another one has there is about to leave it.
    """
    claimed, far = dict[ObjectRef, str](), dict[ObjectRef, str]()
    taken, elsewhere = set[ObjectRef](), set[ObjectRef]()
    here = kube_config_of(mine)
    for name in sorted(others.keys() & known.keys()):
        status, beside = known[name], kube_config_of(others[name]) == here
        refs = frozenset(rendered_refs(status))
        (claimed if beside else far).update(dict.fromkeys(refs, name))
        if status.ready():
            (taken if beside else elsewhere).update(refs & parse_ids(status.inventory).keys())
    return {**far, **claimed}, frozenset(taken), frozenset(elsewhere - claimed.keys())


def _abandoned(
    mine: ObjectRecord,
    stale: Mapping[ObjectRef, Manifest],
    others: Mapping[str, ObjectRecord],
    known: Mapping[str, KustomizationStatus],
) -> frozenset[ObjectRef]:
    """What carries another one's labels, and is in no inventory but ours.

    An apply of the one before can take effect minutes late, after ours, and leave its labels: it had written the object
    down before that, and has forgotten it since. Labels that somebody else wrote stand, and those of one whose
    inventory the plane does not know (records were lost).
    """
    labelled = {
        ref: name for ref, found in stale.items() if (name := owner_of(found)) in others and _labelled_by_us(found)
    }
    if not labelled:
        return frozenset()
    beside = {name for name in others.keys() & known.keys() if kube_config_of(others[name]) == kube_config_of(mine)}
    held = {ref for name in beside for ref in parse_ids(known[name].inventory)}
    sure = {name for name in beside if known[name].inventory_digest}
    return frozenset(ref for ref, name in labelled.items() if name in sure and ref not in held)


def _labelled_by_us(live: Manifest) -> bool:
    _, fields = applied_fields(live, FIELD_MANAGER) or ("", {})
    return f"f:{NAME_LABEL}" in fields.get("f:metadata", {}).get("f:labels", {})


def kube_config_of(record: ObjectRecord) -> tuple[Any, ...]:
    """What tells the cluster that it applies to: its ``kubeConfig`` and where that is looked up; () is at home."""
    given = (record.document.get("spec") or {}).get("kubeConfig")
    return (record.document["metadata"].get("namespace"), given) if given else ()


def rendered_refs(status: KustomizationStatus) -> Iterable[ObjectRef]:
    """What a Kustomization rendered last (see core.reconcile.standing), as the API server may name it.

    kustomize gives a namespace to custom resources of every scope: one of cluster scope has none in the cluster, and
    no namespaced object has that name, so each is listed without one, too.
    """
    for text in standing(status).rendered:
        ref = parse_object_id(text.rpartition("@")[0])
        yield ref
        if ref.namespace:
            yield replace(ref, namespace="")
