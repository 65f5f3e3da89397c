"""Records that count from before what the cluster holds: they were lost, or restored from a backup.

An inventory carries the observation of the source at which it was written. Where that is higher than the records', the
head is resolved anew before anything is written: old records bring no old revision back. Nor do they take away what was
declared since: who deletes asks the inventories of those who declare it, too, for their sources have numbers of their
own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.core.errors import Terminal
from penstock.core.flux.kustomization import SourceRef
from penstock.core.reconcile.inventory import NAMESPACE, Inventory, Owner, from_config_map, inventory_name
from penstock.core.records import KustomizationStatus, ObjectRecord, SourceStatus
from penstock.core.sources.kinds import FETCHED
from penstock.core.sources.wakeups import source_of
from penstock.stages.reconcile.attempt import Attempt, read_kustomizations, source_status
from penstock.stages.reconcile.claims import kube_config_of
from penstock.stages.reconcile.ledger import GVK
from penstock.stages.reconcile.source import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """``observation``: what the records know of a source; ``held``: an inventory in the cluster that knows of more."""

    ref: SourceRef
    observation: int
    held: Inventory


def behind_run(attempt: Attempt, source: Source, held: Inventory, *, takes_away: bool) -> Behind | None:
    """Where a Kustomization's own inventory knows of more than its ``source``, which may not be written over that.

    ``takes_away``: something is deleted, leaves its children, or will be when both copies of the inventory agree: then
    those above are asked about, too, who have another source.
    """
    if (old := _behind(source.ref, source, held)) is not None or not takes_away:
        return old
    return behind_above(attempt, apart=source.key)


def behind_removed(attempt: Attempt, held: Inventory) -> Behind | None:
    """The same of a Kustomization that was removed: it may have been declared again, and have run, since."""
    return _behind_last(attempt, _read_from(attempt.record, attempt.status), held)


def behind_above(attempt: Attempt, *, apart: str = "", itself: bool = False) -> Behind | None:
    """The same of everybody above: whoever declares it may have rendered something else since.

    ``apart``: a source (``Kind/namespace/name``) that is left out; ``itself``: this one is asked about, too.
    """
    for name, record, status in _line(attempt, itself=itself):
        source = _read_from(record, status)
        if source == apart or kube_config_of(record):
            continue
        held = _inventory_at_home(attempt, name)
        if held is not None and (found := _behind_last(attempt, source, held)) is not None:
            return found
    return None


def _read_from(record: ObjectRecord, status: KustomizationStatus) -> str:
    """The source whose number its inventory has: where its document names another one, it has not rendered that yet."""
    return status.observed_source or source_of(record)


def _behind(ref: SourceRef, known: Source | SourceStatus, held: Inventory) -> Behind | None:
    """A lower observation may be written over a higher one where it is of the same revision."""
    if ref.kind not in FETCHED or held.observation <= known.observation or held.revision in ("", known.revision):
        return None
    return Behind(ref=ref, observation=known.observation, held=held)


def _behind_last(attempt: Attempt, source: str, held: Inventory) -> Behind | None:
    kind, namespace, name = source.split("/")
    ref = SourceRef(kind=kind, namespace=namespace, name=name)
    known = source_status(attempt.deps, attempt.cluster, ref)
    if known is None or not known.artifact:  # nobody can ask for its head
        return None
    return _behind(ref, known, held)


def _line(attempt: Attempt, *, itself: bool) -> Iterator[tuple[str, ObjectRecord, KustomizationStatus]]:
    if itself:
        yield attempt.ref, attempt.record, attempt.status
    name, seen = attempt.record.parent, {attempt.ref}
    while name and name not in seen:
        seen.add(name)
        records, known = read_kustomizations(attempt.deps, attempt.cluster, {name})
        if name not in records:
            return
        yield name, records[name], known.get(name, KustomizationStatus())
        name = records[name].parent


def _inventory_at_home(attempt: Attempt, ref: str) -> Inventory | None:
    """This plane's; None where there is none, or nobody can read it."""
    namespace, _, name = ref.partition("/")
    found = attempt.home().get(GVK, NAMESPACE, inventory_name(namespace, name))
    if found is None:
        return None
    try:
        inventory = from_config_map(found)
    except Terminal:  # its own run restores it
        return None
    owner = Owner(plane=attempt.uid, cluster=attempt.cluster, namespace=namespace, name=name)
    return inventory if inventory.owner == str(owner) else None
