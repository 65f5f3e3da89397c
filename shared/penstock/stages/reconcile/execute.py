"""Carrying out a plan under the Lease: union inventory, apply, prune, shrunk inventory."""

from dataclasses import dataclass, replace

from penstock.core.errors import Conflict, PenstockError, Terminal
from penstock.core.reconcile.inventory import Inventory
from penstock.core.reconcile.plan import Action, Change, kept_entries, owner_of
from penstock.core.records import status_key
from penstock.core.resources import Gvk, ObjectRef
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.adoption import use_up
from penstock.stages.reconcile.afresh import refuse_outdated
from penstock.stages.reconcile.apply import apply_all, prune_all
from penstock.stages.reconcile.approval import used_up
from penstock.stages.reconcile.attempt import KIND, Attempt, document_key, is_current, status_of
from penstock.stages.reconcile.children import source_known
from penstock.stages.reconcile.ledger import Ledger, digest_of, store_ledger, union
from penstock.stages.reconcile.opening import source_keys
from penstock.stages.reconcile.outcome import BACKSTOP, shown
from penstock.stages.reconcile.planning import Planned
from penstock.stages.reconcile.recording import save_status
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.target import Target
from penstock.stages.reconcile.turn import turn
from penstock.stages.reconcile.waits import suspended
from penstock.stages.reconcile.write import Writer

NAMESPACE = Gvk(version="v1", kind="Namespace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What a run did: ``changes`` with the API server's answers; ``inventory``: what it must hold from now on.

    ``again``: another run was asked for meanwhile, or an expired Lease was taken over and wants verifying.
    """

    planned: Planned
    ledger: Ledger
    inventory: Inventory
    changes: tuple[Change, ...] = ()
    again: bool = False
    verify: bool = False


class ApplyFailed(Terminal):
    """Some of a plan was done, and then something was refused. ``done``: what was."""

    def __init__(self, error: PenstockError, done: tuple[Change, ...]) -> None:
        super().__init__(str(error), reason=error.reason)
        self.cause, self.done = error, done


def unchanged(planned: Planned) -> Done:
    """A run that has nothing to write."""
    inventory = _after(planned, ())
    return Done(planned=planned, ledger=planned.ledger, inventory=inventory, changes=planned.changes.changes)


def forgets(planned: Planned) -> bool:
    """Whether the inventory loses entries though nothing has to be deleted.

    An apply that is on its way may still make such an object: so that is for who has the Lease.
    """
    return not planned.ledger.inventory.entries.keys() <= _after(planned, ()).entries.keys()


def execute(attempt: Attempt, source: Source, target: Target, planned: Planned) -> Done:
    """Apply, then prune. Raises Conflict where a newer revision is there, ApplyFailed with what was done."""
    inventory = planned.ledger.inventory
    with turn(attempt, target.keeper, first=not inventory.resource_version, existed=bool(inventory.entries)) as held:
        _look_again(attempt, source, target, planned, held.claim)
        done = _under_lease(attempt, source, target, planned, held.claim)
    return replace(done, again=held.again, verify=held.claim.taken_over)


def _look_again(attempt: Attempt, source: Source, target: Target, planned: Planned, claim: lease.Claim) -> None:
    """The plan was made before the Lease was ours. Raises Conflict where it is not the plan to make any more."""
    message = attempt.message
    mine = status_key(message.cluster, KIND, message.namespace, message.name)
    found = attempt.deps.state.read([*source_keys(attempt.cluster, source.ref), document_key(attempt), mine]).records
    if not source_known(attempt, source, found):
        raise Conflict(f"{source.ref} has a newer revision")
    if not is_current(attempt, found.get(document_key(attempt))):
        raise Conflict(f"Kustomization {attempt.ref} has another spec now")
    attempt.opening.seen(found.get(mine))
    if suspended(replace(attempt, status=status_of(found.get(mine)))):
        raise Conflict(f"Kustomization {attempt.ref} was suspended meanwhile")
    stale = (change for change in planned.changes.changes if change.ref not in planned.wanted)
    refuse_outdated(attempt, target, planned.ledger, claim, stale)


def _under_lease(attempt: Attempt, source: Source, target: Target, planned: Planned, claim: lease.Claim) -> Done:
    writer = Writer(
        cluster=target.cluster,
        clock=attempt.deps.clock,
        claim=claim,
        force=attempt.kustomization.force,
        drop=attempt.policy.drops_undeclared,
        stage_kinds=attempt.policy.stage_kinds,
        overridden=attempt.policy.override_managers,
    )
    ledger = _store_union(attempt, source, target, planned)
    if attempt.adopting:
        use_up(attempt)
    _make_namespaces(target, planned)
    with attempt.step("apply") as step:
        applied = apply_all(writer, planned.changes)
        if applied.failed is not None:
            step.note(outcome="failed", reason=applied.failed.reason)
    _tell(attempt, applied.changes)
    if applied.failed is not None:
        raise ApplyFailed(applied.failed, applied.changes)
    pruned, failed = _pruned(attempt, writer, planned)
    _tell(attempt, tuple(pruned))
    inventory = _after(planned, tuple(change.ref for change, _ in failed))
    if claim.unsure:
        inventory = replace(inventory, entries={**_may_come(planned), **inventory.entries})
    inventory = replace(inventory, revision=source.revision, observation=source.observation)
    if failed and inventory.entries != ledger.inventory.entries:
        status = replace(attempt.status, inventory=inventory.ids(), inventory_digest=digest_of(inventory))
        save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
        store_ledger(target.keeper, attempt, ledger, inventory, shown(attempt.status, suspended=False))
    if failed:
        told = ";".join(f"{change.ref}: {error}" for change, error in failed[:5])
        raise ApplyFailed(Terminal(f"delete failed, errors: {told}", reason="PruneFailed"), (*applied.changes, *pruned))
    if pruned:
        used_up(attempt)
    return Done(planned=planned, ledger=ledger, inventory=inventory, changes=(*applied.changes, *pruned))


def _pruned(
    attempt: Attempt, writer: Writer, planned: Planned
) -> tuple[list[Change], list[tuple[Change, PenstockError]]]:
    """What was deleted, and what could not be."""
    if not planned.changes.deletions:
        return [], []
    with attempt.step("prune") as step:
        pruned, failed = prune_all(writer, planned.changes.deletions)
        if failed:
            step.note(outcome="failed", reason="PruneFailed")
    return pruned, failed


def _store_union(attempt: Attempt, source: Source, target: Target, planned: Planned) -> Ledger:
    """The inventory holds everything that is about to exist, before any of it does: a kill orphans nothing."""
    ledger = planned.ledger
    before = union(ledger, planned.wanted)
    if before.entries == ledger.inventory.entries and ledger.trusted and ledger.inventory.resource_version:
        return ledger
    before = replace(before, revision=source.revision, observation=source.observation)
    status = replace(attempt.status, inventory=before.ids(), inventory_digest=digest_of(before))
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    return store_ledger(target.keeper, attempt, ledger, before, shown(attempt.status, suspended=False))


def _after(planned: Planned, undeleted: tuple[ObjectRef, ...]) -> Inventory:
    """What is rendered, plus what should be gone and isn't (yet)."""
    known = planned.ledger.inventory.entries
    kept = {ref: known[ref] for ref in (*planned.held, *undeleted) if ref in known}
    kept |= kept_entries(planned.changes.changes, known)
    return replace(planned.ledger.inventory, entries={**kept, **planned.wanted})


def _may_come(planned: Planned) -> dict[ObjectRef, str]:
    """What whoever had the Lease before may still make, or make ours: what is nobody's, not there, or was deleted.

    What others own comes back to them by their own next run.
    """
    known, stale = planned.ledger.inventory.entries, (c for c in planned.changes.changes if c.ref not in planned.wanted)
    may = (c.ref for c in stale if c.action is Action.DELETED or c.live is None or not owner_of(c.live))
    return {ref: known[ref] for ref in may if ref in known}


def _make_namespaces(target: Target, planned: Planned) -> None:
    """Namespaces that Flux's own manifests would have made: others live in them, so they must exist."""
    for manifest in planned.rendered.parts.namespaces:
        name = manifest["metadata"]["name"]
        if target.cluster.get(NAMESPACE, "", name) is None:
            try:
                target.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            except Conflict:
                continue  # somebody was quicker


def _tell(attempt: Attempt, changes: tuple[Change, ...]) -> None:
    for change in changes:
        if change.action in (Action.CREATED, Action.CONFIGURED, Action.DELETED):
            attempt.deps.telemetry.record(
                "object " + change.action.value,
                stage="reconcile",
                cluster=attempt.cluster,
                kustomization=attempt.ref,
                object=str(change.ref),
                fields=", ".join(change.paths[:5]),
            )
