"""The plan: what a run will do to a cluster, decided before anything is done.

``plan`` compares what was rendered with what is live and what was applied before. The ChangeSet is the only currency
afterwards: applying, pruning, diff, events, logs and the inventory all derive from it. An unchanged object costs no
write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from penstock.core.drift.compare import OWNERSHIP, Verdict
from penstock.core.drift.ignore import IgnoreRule, compare_ignoring
from penstock.core.reconcile.equal import KnownEqual, Rules, mark
from penstock.core.reconcile.inventory import holds_inventories
from penstock.core.reconcile.managers import applied_fields, as_taken_over, taken_over
from penstock.core.reconcile.normalise import NAME_LABEL, NAMESPACE_LABEL
from penstock.core.reconcile.order import deletion_order, rank
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of

SWITCHES = "kustomize.toolkit.fluxcd.io/"
TERMINATING = "it is being deleted"
"""Why a rendered object is skipped that somebody has deleted, and that its finalizers still hold."""


TAKEN_OVER = "its values are right, and some of its fields are on record as others': they become ours"
LET_GO = "its values are right, and what is on record as ours is not what is applied: that is mended"
"""Why an object is configured though nothing of it differs: once."""


class Action(Enum):
    """What happens to one object, in Flux's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One object's part of the plan.

    ``desired``: what to apply; ``live``: what to delete or compare with; ``paths``: fields that differ; ``reason``:
    why it is skipped, or what made it differ; ``doubt``: only a server-side dry-run can tell whether it changes;
    ``keep``: it stays in the inventory although it left the render; ``handed_to``: who is about to take it over;
    ``ignore``: the rules of fields that others decide; ``dropped``: undeclared fields that ``desired`` is without;
    ``after``: what a plan's dry-run would make of it; ``mark``: stands for the comparison that was in doubt.
    """

    ref: ObjectRef
    version: str
    action: Action
    desired: Manifest | None = None
    live: Manifest | None = None
    paths: tuple[str, ...] = ()
    reason: str = ""
    doubt: bool = False
    keep: bool = False
    handed_to: str = ""
    ignore: tuple[IgnoreRule, ...] = ()
    dropped: tuple[str, ...] = ()
    after: Manifest | None = None
    mark: str = ""

    def __str__(self) -> str:
        """``Kind/namespace/name action``: one line of Flux's change events."""
        return f"{self.ref} {self.action.value}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Collision:
    """An object that another Kustomization owns and still renders."""

    ref: ObjectRef
    owner: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeSet:
    """Applies in the order of applying, then deletions in theirs."""

    changes: tuple[Change, ...] = ()
    collisions: tuple[Collision, ...] = ()

    def of(self, *actions: Action) -> tuple[Change, ...]:
        """The changes of these kinds."""
        return tuple(change for change in self.changes if change.action in actions)

    @property
    def writes(self) -> tuple[Change, ...]:
        """What would be sent to the API server."""
        return self.of(Action.CREATED, Action.CONFIGURED, Action.DELETED)

    @property
    def deletions(self) -> tuple[Change, ...]:
        """What would be deleted."""
        return self.of(Action.DELETED)

    @property
    def moving(self) -> tuple[Change, ...]:
        """What others are about to take over."""
        return tuple(change for change in self.changes if change.handed_to)

    def without_deletions(self) -> "ChangeSet":
        """The same with every deletion left out (they stay in the inventory)."""
        return replace(self, changes=tuple(c for c in self.changes if c.action is not Action.DELETED))

    def counts(self) -> dict[str, int]:
        """How many of each action."""
        return {action.value: len(self.of(action)) for action in Action}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ownership:
    """Whose run this is, and what else is known to own.

    ``claimed``: objects that other Kustomizations of the same cluster rendered last -> ``namespace/name`` of theirs;
    ``taken``: those that are safe in the inventory of another one that is ready; ``elsewhere``: the same of those with
    another kubeConfig alone: had they been given ours, it would carry their labels; ``abandoned``: those whose labels
    name one that neither renders nor remembers them; ``ignore``: fields left to others; ``overridden``: managers whose
    fields become ours, beside kubectl and Flux; ``equal``: pairs that need not be compared again; ``same``: marks of
    doubts that a dry-run has resolved: it would change nothing.
    """

    namespace: str
    name: str
    manager: str
    claimed: Mapping[ObjectRef, str]
    taken: frozenset[ObjectRef] = frozenset()
    elsewhere: frozenset[ObjectRef] = frozenset()
    abandoned: frozenset[ObjectRef] = frozenset()
    ignore: tuple[IgnoreRule, ...] = ()
    overridden: tuple[str, ...] = ()
    equal: KnownEqual = field(default_factory=KnownEqual)
    same: frozenset[str] = frozenset()

    @property
    def rules(self) -> Rules:
        """What a comparison goes by, beside the two objects."""
        return self.ignore, self.overridden


def plan(
    desired: Sequence[Manifest],
    live: Mapping[ObjectRef, Manifest | None],
    inventory: Mapping[ObjectRef, str],
    ownership: Ownership,
    *,
    prune: bool,
) -> ChangeSet:
    """What to do so that the cluster holds ``desired`` and nothing of the ``inventory`` beside it.

    ``desired``: normalised objects; ``live``: every desired or inventoried object, None where it doesn't exist.
    """
    applies: list[Change] = []
    collisions: list[Collision] = []
    rendered = set()
    for manifest in sorted(desired, key=lambda m: rank(ref_of(m))):
        ref = ref_of(manifest)
        rendered.add(ref)
        current = live.get(ref)
        other = _other_owner(current, ownership)
        if other and ownership.claimed.get(ref) == other:
            collisions.append(Collision(ref=ref, owner=other))
        else:
            applies.append(_apply_change(manifest, current, ownership))
    stale = [ref for ref in inventory if ref not in rendered]
    applied = {_uid(live.get(ref)) for ref in rendered} - {""}
    deletions = [
        _same_object(ref, inventory[ref], live.get(ref))
        if _uid(live.get(ref)) in applied
        else _stale_change(ref, inventory[ref], live.get(ref), ownership, prune=prune)
        for ref in deletion_order(stale)
    ]
    return ChangeSet(changes=(*applies, *deletions), collisions=tuple(collisions))


def owner_of(manifest: Manifest) -> str:
    """``namespace/name`` of the Kustomization that the owner labels name, or ""."""
    labels = manifest["metadata"].get("labels") or {}
    name, namespace = labels.get(NAME_LABEL), labels.get(NAMESPACE_LABEL)
    return f"{namespace}/{name}" if name and namespace else ""


def switch(manifest: Manifest | None, key: str) -> str:
    """The lower-case value of an object's switch (annotation or label, flux-core §2.9), or ""."""
    if manifest is None:
        return ""
    metadata = manifest["metadata"]
    for holder in (metadata.get("annotations"), metadata.get("labels")):
        if holder and SWITCHES + key in holder:
            return str(holder[SWITCHES + key]).lower()
    return ""


def _other_owner(live: Manifest | None, ownership: Ownership) -> str:
    if live is None:
        return ""
    owner = owner_of(live)
    return owner if owner != f"{ownership.namespace}/{ownership.name}" else ""


def _apply_change(manifest: Manifest, live: Manifest | None, ownership: Ownership) -> Change:
    ref, version = ref_of(manifest), gvk_of(manifest).version
    skipped = _why_not_applied(manifest, live)
    if skipped:
        return Change(ref=ref, version=version, action=Action.SKIPPED, live=live, reason=skipped)
    if live is None:
        return Change(ref=ref, version=version, action=Action.CREATED, desired=manifest, ignore=ownership.ignore)
    return _compared_change(manifest, live, ownership)


def _compared_change(manifest: Manifest, live: Manifest, ownership: Ownership) -> Change:
    ref, version = ref_of(manifest), gvk_of(manifest).version
    unchanged = Change(ref=ref, version=version, action=Action.UNCHANGED, desired=manifest, live=live)
    if ownership.equal.holds(manifest, live, ownership.rules):
        return unchanged
    ours = compared(manifest, live, ownership.manager, ownership.overridden)
    found = compare_ignoring(manifest, ours, ownership.ignore, manager=ownership.manager)
    taking = not merges(manifest, live) and taken_over(live, ownership.manager, ownership.overridden)
    configured = replace(unchanged, action=Action.CONFIGURED, paths=found.paths, ignore=ownership.ignore)
    if found.verdict is Verdict.EQUAL:
        if taking:
            return replace(configured, paths=(OWNERSHIP,), reason=TAKEN_OVER)
        ownership.equal.remember(manifest, live, ownership.rules)
        return unchanged
    if found.verdict is Verdict.DOUBT:
        doubted = mark(manifest, live, ownership.rules)
        known = doubted in ownership.same and not taking
        return replace(unchanged, mark=doubted) if known else replace(configured, doubt=True, mark=doubted)
    others = found.paths == (OWNERSHIP,) and applied_fields(live, ownership.manager) is not None
    return replace(configured, reason=TAKEN_OVER) if others else configured


def compared(desired: Manifest, live: Manifest, manager: str, overridden: Sequence[str] = ()) -> Manifest:
    """The live object as ours after the takeover from kubectl and Flux; one that we never applied is applied once."""
    entries = live["metadata"].get("managedFields") or ()
    if merges(desired, live) or not any(entry.get("manager") == manager for entry in entries):
        return live
    return as_taken_over(live, manager, overridden)


def merges(desired: Manifest | None, live: Manifest | None) -> bool:
    """Whether fields of other managers are left alone (``ssa: Merge`` on either side)."""
    return "merge" in (switch(desired, "ssa"), switch(live, "ssa"))


def _why_not_applied(desired: Manifest, live: Manifest | None) -> str:
    for side in (desired, live):
        if switch(side, "reconcile") == "disabled":
            return "kustomize.toolkit.fluxcd.io/reconcile is disabled"
        if switch(side, "ssa") == "ignore":
            return "kustomize.toolkit.fluxcd.io/ssa is Ignore"
    if live is not None and switch(desired, "ssa") == "ifnotpresent":
        return "kustomize.toolkit.fluxcd.io/ssa is IfNotPresent, and it exists"
    return TERMINATING if live is not None and live["metadata"].get("deletionTimestamp") else ""


def _uid(live: Manifest | None) -> str:
    return str(live["metadata"].get("uid") or "") if live is not None else ""


def _same_object(ref: ObjectRef, version: str, live: Manifest | None) -> Change:
    """One object that the API server serves under two groups: it was renamed in Git, not removed."""
    reason = "the same object is applied under another API group"
    return Change(ref=ref, version=version, action=Action.SKIPPED, live=live, reason=reason)


def _stale_change(ref: ObjectRef, version: str, live: Manifest | None, ownership: Ownership, *, prune: bool) -> Change:
    """What happens to an object that left the render: deleted only where it is certainly ours."""
    if live is None:
        return Change(ref=ref, version=version, action=Action.SKIPPED, reason="it is gone already")
    skipped = Change(ref=ref, version=version, action=Action.SKIPPED, live=live)
    if owner_of(live) != f"{ownership.namespace}/{ownership.name}" and ref not in ownership.abandoned:
        return replace(skipped, reason=f"it belongs to {owner_of(live) or 'nobody'} now")
    if ref in ownership.claimed and ref not in ownership.elsewhere:
        other = ownership.claimed[ref]
        skipped = replace(skipped, reason=f"{other} renders it now")
        if ref in ownership.taken:
            return skipped
        return replace(skipped, keep=True, handed_to=other)  # until it has it, somebody must remember the object
    forbidden = [
        f"{SWITCHES}{key} is {value}"
        for key, value in (("prune", "disabled"), ("reconcile", "disabled"), ("ssa", "Ignore"))
        if switch(live, key) == value.lower()
    ]
    if holds_inventories(ref):
        forbidden.append("inventories stand in it: it is never pruned")
    if forbidden or not prune:
        return replace(skipped, reason=forbidden[0] if forbidden else "spec.prune is false", keep=not forbidden)
    return replace(skipped, action=Action.DELETED)


def switched_off(changes: Sequence[Change]) -> frozenset[ObjectRef]:
    """Objects that a switch of their own keeps from being applied: nothing is known of them, nothing waits for them."""
    return frozenset(c.ref for c in changes if c.action is Action.SKIPPED and c.reason.startswith(SWITCHES))


def kept_entries(changes: Sequence[Change], inventory: Mapping[ObjectRef, str]) -> dict[ObjectRef, str]:
    """Stale entries that must stay in the inventory although they are not deleted now."""
    return {c.ref: inventory[c.ref] for c in changes if c.keep and c.ref in inventory}
