"""Whether Flux objects that left a render may go: an accident with a parent would take everything below it along."""

import json
from collections.abc import Collection, Iterator, Mapping

from penstock.core.errors import PenstockError
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.reconcile.guard import Stop, departure_stop
from penstock.core.reconcile.inventory import parse_ids
from penstock.core.reconcile.standing import standing
from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.resources import ObjectRef
from penstock.core.sources.wakeups import ancestors
from penstock.stages.reconcile.approval import limits_of
from penstock.stages.reconcile.attempt import KIND, Attempt, everybody
from penstock.stages.reconcile.claims import kube_config_of, rendered_refs

_Place = tuple[str, ObjectRef]
"""An object, and the cluster that it is on."""


def stop_of(attempt: Attempt, names: Collection[str], *, empty: bool) -> Stop | None:
    """Why these (``Kind/namespace/name``) may not go, as far as renders are written down; None where they may.

    ``empty``: the render holds nothing at all.
    """
    records, known = everybody(attempt.deps, attempt.cluster)
    parents = {name: record.parent for name, record in records.items()}
    going = {each.removeprefix(f"{KIND}/") for each in names if each.startswith(f"{KIND}/")}
    below = {name for name in records if attempt.ref in ancestors(name, parents)}
    doomed = _with_descendants(going, below, parents)
    speaking = {name for name, record in records.items() if not record.tombstone and name in known} - doomed
    declared = {text for name in speaking for text in standing(known[name]).interpreted}
    stay = {name for name in doomed - going if f"{KIND}/{name}" in declared}
    doomed -= _with_descendants(stay, below, parents)
    theirs = {name: records[name] for name in doomed if _deletes(records[name])}
    lost = set(_places(theirs, known)) - {
        (_cluster(records[name]), ref)
        for name in records.keys() & known.keys() - doomed
        if not records[name].tombstone
        for ref in rendered_refs(known[name])
    }
    whole = set(_places({name: records[name] for name in {*below, attempt.ref} & records.keys()}, known))
    limits = None if empty else limits_of(attempt)
    return departure_stop(sorted(names), len(doomed), lost=len(lost), whole=len(whole), limits=limits)


def _with_descendants(names: Collection[str], below: Collection[str], parents: Mapping[str, str]) -> set[str]:
    return {name for name in below if name in names or not set(names).isdisjoint(ancestors(name, parents))}


def _deletes(record: ObjectRecord) -> bool:
    try:
        kustomization = parse_kustomization(record.document)
    except PenstockError:
        return True
    return kustomization.deletes and not kustomization.suspend


def _places(records: Mapping[str, ObjectRecord], known: Mapping[str, KustomizationStatus]) -> Iterator[_Place]:
    """What is in the inventories of these."""
    for name in records.keys() & known.keys():
        place = _cluster(records[name])
        yield from ((place, ref) for ref in parse_ids(known[name].inventory))


def _cluster(record: ObjectRecord) -> str:
    """What tells the cluster that it applies to."""
    return json.dumps(kube_config_of(record), sort_keys=True, default=str)
