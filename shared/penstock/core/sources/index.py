"""Index entries beside the records: who reads what of a source, who is whose child, who waits for whom.

A push, a parent's run and the end of a run find those whom they concern by these, not by reading every record. An
entry is a record of its own, ``{"format": 1}``, whose key says everything:

| key | says |
| --- | --- |
| ``reads/<cluster>/<source>/<place>/<namespace>/<name>`` | its last render read something there |
| ``reads/<cluster>/<source>/~/<namespace>/<name>`` | its last attempt failed, or it had none: every push concerns it |
| ``child/<cluster>/<parent>/<Kind>/<namespace>/<name>`` | that Kustomization rendered this Flux object |
| ``waits/<cluster>/<awaited>/<namespace>/<name>`` | it waits for the end of that Kustomization's run |

``source`` is ``Kind/namespace/name``, ``parent`` and ``awaited`` ``namespace/name``; ``place``: see ``places``, hashed.
Entries are written before the record that they stand for and deleted after it: there may be one too many, never one too
few, and whoever finds one looks at the record.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from penstock.core.records import KustomizationStatus
from penstock.core.tree import Inputs, MemoryTree

ENTRY: Mapping[str, Any] = {"format": 1}
FAMILIES = ("reads/", "child/", "waits/", "indexed/")
ANY = "~"


def indexed_key(cluster: str) -> str:
    """The record that says that the entries of a cluster are complete; without it all records are read."""
    return f"indexed/{cluster}"


def reads_prefix(cluster: str, source: str, place: str = "") -> str:
    """Below it stand those who read of a source: at a place (ANY: wherever), or all of them."""
    below = f"{hashed(place)}/" if place else ""
    return f"reads/{cluster}/{source}/{below}"


def child_prefix(cluster: str, parent: str) -> str:
    """Below it stand the children of a Kustomization (``namespace/name``)."""
    return f"child/{cluster}/{parent}/"


def child_key(cluster: str, parent: str, kind: str, name: str) -> str:
    """The entry of a child; ``name``: ``namespace/name``."""
    return f"{child_prefix(cluster, parent)}{kind}/{name}"


def waits_prefix(cluster: str, awaited: str) -> str:
    """Below it stand those who wait for a Kustomization (``namespace/name``)."""
    return f"waits/{cluster}/{awaited}/"


def named(key: str) -> str:
    """``namespace/name`` at the end of an entry's key."""
    return "/".join(key.split("/")[-2:])


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


def names_of(entries: Iterable[_Keyed]) -> frozenset[tuple[str, str]]:
    """(kind, ``namespace/name``) of ``child/`` entries."""
    return frozenset((entry.key.split("/")[-3], named(entry.key)) for entry in entries)


def any_key(cluster: str, source: str, ref: str) -> str:
    """The entry of a Kustomization that every push of its source concerns."""
    return f"{reads_prefix(cluster, source, ANY)}{ref}"


def settled(status: KustomizationStatus, generation: int) -> bool:
    """Whether what a Kustomization has read tells whom a push concerns.

    Not after a failed attempt (its inputs are those of the success before it), nor before its newest document was
    tried.
    """
    ready = status.condition("Ready")
    tried = bool(status.inputs_digest) and status.observed_generation == generation
    return tried and ready is not None and ready.status != "False"


def entries_of(cluster: str, ref: str, status: KustomizationStatus, generation: int) -> frozenset[str]:
    """The keys of all entries that a status stands for."""
    found = {f"{waits_prefix(cluster, awaited)}{ref}" for awaited in status.waiting_for}
    if status.observed_source:
        read = places(status.inputs)
        found |= {f"{reads_prefix(cluster, status.observed_source, each)}{ref}" for each in read}
        if not settled(status, generation):
            found.add(any_key(cluster, status.observed_source, ref))
    return frozenset(found)


def places(inputs: Inputs) -> frozenset[str]:
    """Where something was read: ``directory/`` for what was read, listed or looked for in it, else ``path``.

    A path that was looked for stands for itself where nothing else was read beside it: most look whether their own
    directory is there, and are no readers of the one above.
    """
    read = frozenset((*map(_above, inputs.files), *(f"{path}/" for path in inputs.listings)))
    return read | {above if (above := _above(path)) in read else path for path in inputs.absences}


def changed_places(before: MemoryTree, after: MemoryTree) -> frozenset[str]:
    """Where a reader may find something else than before.

    Inputs whose digest differs between the two trees have one of these among their ``places``.
    """
    old, new = ({path: found.id for path, found in tree.items()} for tree in (before, after))
    changed = {_above(path) for path, _ in old.items() ^ new.items()}
    for path in old.keys() ^ new.keys():
        other = after if path in old else before
        changed.add(path)
        directory = _above(path)[:-1]
        while directory and not other.is_dir(directory):  # it came or went with the file, which its parent shows
            changed |= {directory, _above(directory)}
            directory = _above(directory)[:-1]
    return frozenset(changed)


def hashed(place: str) -> str:
    """A place as it stands in a key."""
    return place if place == ANY else hashlib.sha256(place.encode()).hexdigest()[:24]


def place_of(key: str) -> str:
    """The hashed place in the key of a ``reads/`` entry."""
    return key.split("/")[-3]


def _above(path: str) -> str:
    return f"{path.rpartition('/')[0]}/"
