"""What ``penstock uninstall`` takes from a cluster, decided before anything is deleted.

Without more being asked for only what is ours goes: inventories, Leases, our namespace. Workloads go Kustomization by
Kustomization, as their deletionPolicy says, and only as exactly the set that somebody approved by its digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock.core.flux.kustomization import Kustomization
from penstock.core.reconcile.guard import PRECIOUS, deletions_digest
from penstock.core.reconcile.inventory import Inventory
from penstock.core.reconcile.plan import Change, ChangeSet, Ownership, plan
from penstock.core.resources import Manifest, ObjectRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """One inventory of ours.

    ``kustomization``: what it keeps of it, None where it tells too little; ``changes``: its objects' part of the
    plan, empty unless workloads go; ``why``: why they stay all the same, or "".
    """

    name: str
    inventory: Inventory
    parent: str = ""
    kustomization: Kustomization | None = None
    changes: ChangeSet = field(default_factory=ChangeSet)
    why: str = ""


def with_deletions(found: Installed, live: Mapping[ObjectRef, Manifest | None], manager: str) -> Installed:
    """What its removal would delete: as ever only what carries its owner labels and may be pruned."""
    kustomization = found.kustomization
    if kustomization is None:
        return replace(found, why="its inventory does not tell its deletionPolicy: an older release wrote it")
    policy = kustomization.deletion_policy
    if policy == "Orphan" or (policy == "MirrorPrune" and not kustomization.prune):
        return replace(found, why=f"deletionPolicy {policy}" + ("" if kustomization.prune else ", prune: false"))
    namespace, _, name = found.name.partition("/")
    owner = Ownership(namespace=namespace, name=name, manager=manager, claimed={})
    return replace(found, changes=plan((), live, found.inventory.entries, owner, prune=True))


def removal_order(installed: Sequence[Installed]) -> tuple[Installed, ...]:
    """Children and dependents before those that they need; what holds Namespaces and definitions last among equals."""
    known = {each.name: each for each in installed}
    done: dict[str, Installed] = {}

    def needs(each: Installed) -> set[str]:
        depends = each.kustomization.depends_on if each.kustomization else ()
        return {each.parent, *(f"{other.namespace}/{other.name}" for other in depends)} & known.keys()

    while len(done) < len(known):
        left = [each for name, each in sorted(known.items()) if name not in done]
        needed = {name for each in left for name in needs(each) if name != each.name}
        free = [each for each in left if each.name not in needed] or left[:1]  # a cycle has to begin somewhere
        free.sort(key=lambda each: any((r.group, r.kind) in PRECIOUS for r in each.inventory.entries))
        done[free[0].name] = free[0]
    return tuple(done.values())


def deletions(installed: Sequence[Installed]) -> tuple[Change, ...]:
    """Everything that would be deleted, in order."""
    return tuple(change for each in installed for change in each.changes.deletions)


def approval_digest(installed: Sequence[Installed]) -> str:
    """Names exactly these deletions, with the uids of the objects; "" where there are none."""
    found = deletions(installed)
    return deletions_digest(found) if found else ""
