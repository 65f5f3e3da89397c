"""Whom a changed source wakes: those that it touches, parents before children.

`fetch` asks this for all Kustomizations of a cluster when a source has a new artifact; `reconcile` asks it for the
descendants of a Kustomization after that one's success. Both pass every source that matters as a tree, so that the
two answers fit together: whoever is held back here because of an ancestor is among the descendants that the
ancestor's own run looks at when it ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from penstock.core.records import KustomizationStatus, ObjectRecord, SourceStatus
from penstock.core.tree import Inputs, Tree

ROOT = "flux-system/flux-system"
"""The Kustomization that renders a cluster's own path; it has no parent."""


def source_key(kind: str, namespace: str, name: str) -> str:
    """``Kind/namespace/name``: how candidates and trees name a source within one cluster."""
    return f"{kind}/{namespace}/{name}"


def source_of(record: ObjectRecord) -> str:
    """``Kind/namespace/name`` of the source that a Kustomization's document names."""
    ref = (record.document.get("spec") or {}).get("sourceRef") or {}
    namespace = str(ref.get("namespace") or record.document["metadata"].get("namespace") or "")
    return source_key(str(ref.get("kind") or ""), namespace, str(ref.get("name") or ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A Kustomization that a new tree may touch.

    ``ref``/``parent``: ``namespace/name`` (parent "" for the root); ``source``: see ``source_key``; ``inputs`` and
    ``inputs_digest``: of its last successful render (digest "" before the first); ``succeeded``: its last attempt
    ended ready; ``changed``: its own document is newer than its last attempt; ``suspended``: it does not reconcile
    now; ``tombstone``: it left its parent's render.
    """

    ref: str
    parent: str = ""
    source: str = ""
    inputs: Inputs = field(default_factory=Inputs)
    inputs_digest: str = ""
    succeeded: bool = False
    changed: bool = False
    suspended: bool = False
    tombstone: bool = False


def candidate(record: ObjectRecord, status: KustomizationStatus | None, *, now: datetime) -> Candidate:
    """A Kustomization's records as a Candidate. ``now``: UTC, ends a suspension that has an ``until``."""
    metadata = record.document["metadata"]
    namespace = str(metadata.get("namespace") or "")
    known = status or KustomizationStatus()
    return Candidate(
        ref=f"{namespace}/{metadata['name']}",
        parent=record.parent,
        source=source_of(record),
        inputs=known.inputs,
        inputs_digest=known.inputs_digest,
        succeeded=known.ready(),
        changed=record.generation != known.observed_generation,
        suspended=is_suspended(record, known, now),
        tombstone=record.tombstone,
    )


def touched(item: Candidate, trees: Mapping[str, Tree | None]) -> bool:
    """Whether these trees give a Kustomization work.

    ``trees``: each source that matters, by ``source_key``; None where it has no artifact yet (then only a changed
    document, or an attempt that failed, is work). A candidate of another source is never touched.
    """
    if item.suspended or item.tombstone or item.source not in trees:
        return False
    if item.changed or not item.succeeded or not item.inputs_digest:
        return True
    tree = trees[item.source]
    return tree is not None and item.inputs.digest(tree) != item.inputs_digest


def to_wake(candidates: Sequence[Candidate], trees: Mapping[str, Tree | None]) -> tuple[Candidate, ...]:
    """Those whom the trees touch and none of whose ancestors of the same source is touched too, in the order given.

    An ancestor that is suspended, a tombstone, of another source, or not among the candidates holds nobody back.
    """
    parents = {item.ref: item.parent for item in candidates}
    awake = {item.ref: item.source for item in candidates if touched(item, trees)}
    return tuple(
        item
        for item in candidates
        if item.ref in awake and all(awake.get(each) != item.source for each in ancestors(item.ref, parents))
    )


def descendants(candidates: Sequence[Candidate], ref: str) -> tuple[Candidate, ...]:
    """All below ``ref`` (children, their children, …) in the order given; not ``ref`` itself."""
    parents = {item.ref: item.parent for item in candidates}
    return tuple(item for item in candidates if ref in ancestors(item.ref, parents))


def ancestors(ref: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    """Parent, its parent, …; ends at the root, and before anybody is met twice (``ref`` included)."""
    found: list[str] = []
    seen = {ref}
    while (ref := parents.get(ref, "")) and ref not in seen:
        seen.add(ref)
        found.append(ref)
    return tuple(found)


def first_in_line(ref: str, names: Collection[str], parents: Mapping[str, str], late: Collection[str]) -> list[str]:
    """Of ``names`` that ``ref`` awaits, and of all above who may bury them: the highest of each line that are late.

    ``ref`` and those above it are not meant. Sorted.
    """
    mine = {ref, *ancestors(ref, parents)}
    lines = [
        [each for each in (name, *ancestors(name, parents)) if each in late and each not in mine] for name in names
    ]
    return sorted({line[-1] for line in lines if line})


def derived_revision(status: KustomizationStatus, source: SourceStatus, tree: Tree) -> str:
    """The revision at which a Kustomization counts as applied.

    The source's, where its last attempt was ready and nothing that it reads differs in ``tree`` (the source's
    artifact): such a push is not written to its record. Otherwise what it applied last.
    """
    if status.ready() and status.inputs_digest and status.inputs.digest(tree) == status.inputs_digest:
        return source.revision
    return status.last_applied_revision


def is_suspended(record: ObjectRecord, status: KustomizationStatus, now: datetime) -> bool:
    """Whether its manifest, or somebody through the plane, has switched it off for now (UTC)."""
    return held_by_switch(status, now) or bool((record.document.get("spec") or {}).get("suspend"))


def held_by_switch(status: KustomizationStatus, now: datetime) -> bool:
    """Whether somebody has switched it off through the plane, and that has not ended (UTC)."""
    held = status.suspension
    return held is not None and (not held.until or now < datetime.fromisoformat(held.until))
