"""Carrying out a plan: stage by stage, each first as a dry-run, then for real; then the deletions.

A stage whose dry-run is refused is not applied at all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from penstock.core.errors import PenstockError, Transient
from penstock.core.reconcile.order import STAGES, stage_of
from penstock.core.reconcile.plan import Action, Change, ChangeSet
from penstock.core.resources import Manifest
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.parallel import parallel
from penstock.stages.reconcile.write import Writer, apply_one, delete_one, dry_run_one

T = TypeVar("T")

SETTLE_WITHIN = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """``changes``: what was done, in order; ``objects``: the answers of the API server, as the changes' ``live``."""

    changes: tuple[Change, ...] = ()
    failed: PenstockError | None = None


def apply_all(writer: Writer, changes: ChangeSet) -> Applied:
    """Apply everything that is created or configured. The first failure ends it; what was done before is returned."""
    done: list[Change] = []
    for number in range(STAGES):
        stage = [
            c
            for c in changes.changes
            if c.action is not Action.DELETED and stage_of(c.ref, writer.stage_kinds) == number
        ]
        stage = [c for c in stage if c.desired is not None or c.action is Action.SKIPPED]
        try:
            checked = stage if _needs_no_dry_run(stage) else dry_run(writer, stage)
            for group in _by_kind(checked):
                _apply_group(writer, group, done)
            _settle(writer, number, done)
        except PenstockError as error:
            return Applied(changes=tuple(done), failed=error)
    return Applied(changes=tuple(done))


def _apply_group(writer: Writer, group: Sequence[Change], done: list[Change]) -> None:
    """Apply all of it and add to ``done`` what was; then raise the first refusal, if there was one."""

    def tried(change: Change) -> Change | PenstockError:
        try:
            return apply_one(writer, change)
        except PenstockError as error:
            return error

    outcomes = _each_write(group, tried)
    done += [each for each in outcomes if isinstance(each, Change)]
    for each in outcomes:
        if isinstance(each, PenstockError):
            raise each


def _needs_no_dry_run(stage: Sequence[Change]) -> bool:
    """A single write is refused as a whole anyway; only where it is in doubt, or may recreate, a dry-run tells more."""
    writes = [c for c in stage if c.action in (Action.CREATED, Action.CONFIGURED)]
    return not writes or (len(writes) == 1 and not writes[0].doubt)


def dry_run(writer: Writer, changes: Sequence[Change]) -> list[Change]:
    """The same changes after the API server's word: a configured one that changes nothing becomes unchanged.

    Raises Terminal, naming the object, where the API server refuses one; nothing has been written then.
    """
    return _each_write(changes, lambda change: dry_run_one(writer, change))


def _each_write(changes: Sequence[Change], work: Callable[[Change], T]) -> list[Change | T]:
    """``work`` on those that write, a few at a time; the others as they are, in their places."""
    writes = [c for c in changes if c.desired is not None and c.action in (Action.CREATED, Action.CONFIGURED)]
    worked = dict(zip(map(id, writes), parallel(writes, work), strict=True))
    return [worked.get(id(change), change) for change in changes]


def prune_all(writer: Writer, deletions: Sequence[Change]) -> tuple[list[Change], list[tuple[Change, PenstockError]]]:
    """Delete, in order. What could not be deleted is returned with its error, the others go on."""
    done: list[Change] = []
    failed: list[tuple[Change, PenstockError]] = []
    for change in deletions:
        try:
            writer.check()
            done.append(delete_one(writer, change))
        except PenstockError as error:
            failed.append((change, error))
    return done, failed


def _settle(writer: Writer, stage: int, done: Iterable[Change]) -> None:
    """After definitions: their kinds must be served before anything of the next stage is tried."""
    made = [c for c in done if stage_of(c.ref) == stage and c.ref.kind == "CustomResourceDefinition"]
    if not any(c.action in (Action.CREATED, Action.CONFIGURED) for c in made):
        return
    end = writer.clock.monotonic() + SETTLE_WITHIN
    waiting = [c for c in made if c.action in (Action.CREATED, Action.CONFIGURED)]
    while True:
        writer.cluster.refresh_discovery()
        waiting = [c for c in waiting if not _all_served(writer.cluster, c.desired)]
        if not waiting:
            return
        if writer.clock.monotonic() > end:
            raise Transient(f"{waiting[0].ref} is not served {SETTLE_WITHIN:.0f} s after it was applied")
        writer.clock.sleep(0.1)


def _all_served(cluster: Cluster, crd: Manifest | None) -> bool:
    spec = (crd or {}).get("spec") or {}
    kind, group = spec.get("names", {}).get("kind", ""), spec.get("group", "")
    versions = [v["name"] for v in spec.get("versions") or () if v.get("served")]
    return all(cluster.resource_type(group, kind, version) is not None for version in versions)


def _by_kind(changes: Sequence[Change]) -> list[list[Change]]:
    """Runs of equal kinds, in order: within one, order doesn't matter."""
    groups: list[list[Change]] = []
    for change in changes:
        if groups and groups[-1][0].ref.kind == change.ref.kind:
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups
