"""What a run reads at once before anything else, and what it need not ask for again (docs/decisions/0032).

All of it is read after the run's message was taken: each record is at least as new as what was written before the
message was published. What guards a write is asked for again before it, or its version is that write's precondition.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from penstock.core.flux.kustomization import KIND, SourceRef
from penstock.core.messages import OWN_SOURCE, PLANE, ReconcileDue
from penstock.core.reconcile.unrendered import ANY
from penstock.core.records import (
    PLANE_KEY,
    CopiesRecord,
    ObjectRecord,
    SourceStatus,
    copies_key,
    hooked_key,
    lease_key,
    object_key,
    status_key,
)
from penstock.core.sources.index import child_prefix, indexed_key, names_of
from penstock.core.sources.wakeups import ROOT
from penstock.ports.state import Record, State


@dataclass(kw_only=True, slots=True)
class Opening:
    """The records of a run's first read, by key; and what has become of its status since.

    ``asked``: the keys that were read, there or not; ``children``: (kind, ``namespace/name``) of what it stood behind;
    ``status``: its status record as this run has read or written it last; ``alone``: nobody else has been seen to write
    that meanwhile; ``stored``: this run has written a child's record, or a copy of a Secret; ``copies``: the names of
    those that the cluster may have, as this run has read or written them last; ``tried``: the artifact that it goes by,
    "" where there is none.
    """

    asked: frozenset[str]
    records: Mapping[str, Record]
    children: frozenset[tuple[str, str]]
    status: Record | None
    alone: bool = True
    stored: bool = False
    copies: frozenset[str] = frozenset()
    copied: bool = False
    tried: str = ANY

    def seen(self, status: Record | None) -> None:
        """The status record was read again."""
        versions = (each.version if each else None for each in (self.status, status))
        self.alone = self.alone and len(set(versions)) == 1
        self.status = status


def read_opening(message: ReconcileDue, state: State) -> Opening:
    """The plane, the Kustomization, its status and the root's, its children's names, and most likely its source."""
    kind, namespace, name = OWN_SOURCE
    cluster, mine = message.cluster, status_key(message.cluster, KIND, message.namespace, message.name)
    keys = frozenset(
        (
            PLANE_KEY,
            object_key(cluster, KIND, message.namespace, message.name),
            mine,
            status_key(cluster, KIND, *ROOT.split("/")),
            indexed_key(cluster),
            hooked_key(cluster),
            copies_key(cluster),
            lease_key(cluster, message.namespace, message.name),
            *source_keys(cluster, SourceRef(kind=kind, namespace=namespace, name=name)),
        )
    )
    below = child_prefix(cluster, f"{message.namespace}/{message.name}")
    reads = state.read(sorted(keys), [below])
    return Opening(
        asked=keys,
        records=reads.records,
        children=names_of(reads.lists[below]),
        status=reads.records.get(mine),
        copies=copies_in(reads.records.get(copies_key(cluster))),
    )


def copies_in(found: Record | None) -> frozenset[str]:
    """The names in the list of a cluster's copies of Secrets."""
    return frozenset(CopiesRecord.from_value(found.value).names) if found is not None else frozenset()


def source_keys(cluster: str, ref: SourceRef) -> Collection[str]:
    """What has to be read to know a source: its document, and its status wherever that stands."""
    name = (ref.kind, ref.namespace, ref.name)
    homes = (cluster, PLANE) if name == OWN_SOURCE else (cluster,)
    return (object_key(cluster, *name), *(status_key(home, *name) for home in homes))


def source_among(records: Mapping[str, Record], cluster: str, ref: SourceRef) -> SourceStatus | None:
    """What ``source_keys`` were read to find: see attempt.source_status."""
    name = (ref.kind, ref.namespace, ref.name)
    found = records.get(object_key(cluster, *name))
    status = records.get(status_key(home_of(found, cluster), *name))
    if status is None:
        return SourceStatus() if found is not None else None
    return SourceStatus.from_value(status.value)


def home_of(found: Record | None, cluster: str) -> str:
    """The name under which a source's status stands: the cluster's, or PLANE where it is the plane's own."""
    return PLANE if found is not None and ObjectRecord.from_value(found.value).implicit else cluster
