"""What a plan goes by is looked at again under the Lease, where somebody has had that since the plan was made.

Such a run may have written the inventory. It may also have made what the plan found not there, or made ours again what
was nobody's: whoever forgot that would leave it behind.
"""

from collections.abc import Iterable

from penstock.core.errors import Conflict
from penstock.core.reconcile.plan import Action, Change, owner_of
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.lease import Claim
from penstock.stages.reconcile.ledger import Ledger, inventory_version
from penstock.stages.reconcile.live import Reading, read_live
from penstock.stages.reconcile.target import Target


def refuse_outdated(attempt: Attempt, target: Target, ledger: Ledger, claim: Claim, stale: Iterable[Change]) -> None:
    """Raise Conflict where the inventory is another one now, or where something is ours that was to be forgotten.

    ``stale``: what becomes of the objects that left the render.
    """
    version = ledger.inventory.resource_version
    if claim.untouched_since(version):
        return
    if inventory_version(target.keeper, attempt) != version:
        raise Conflict(f"the inventory of {attempt.ref} was written meanwhile")
    forgotten = {change.ref: change.version for change in stale if _forgotten(attempt, change)}
    live = read_live(target.cluster, forgotten, Reading(owner=attempt.ref)).objects if forgotten else {}
    made = [str(ref) for ref, found in live.items() if found is not None and owner_of(found) == attempt.ref]
    if made:
        raise Conflict(f"{', '.join(made[:3])} was made meanwhile")


def _forgotten(attempt: Attempt, change: Change) -> bool:
    """Whether it leaves the inventory because it was not there, or not ours."""
    ours = change.live is not None and owner_of(change.live) == attempt.ref
    return change.action is Action.SKIPPED and not change.keep and not ours
