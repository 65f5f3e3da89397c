"""Copies that nobody refers to any more leave the plane's own store.

Somebody may come to refer to one in the middle of that: who stores a new object looks at its Secret once more
afterwards, and who forgets looks at the objects once more. Whoever of both is the last brings the copy back.
"""

from penstock.core.messages import Outgoing
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.copied import TRIES, read_copied, write_copied
from penstock.stages.reconcile.credentials import bring_again
from penstock.stages.reconcile.opening import copies_in
from penstock.stages.reconcile.referring import copies_of, stored_referring


def forget_copies(attempt: Attempt) -> list[Outgoing]:
    """Delete those of the cluster that no stored object refers to; sources whose credentials came back meanwhile.

    To be called when this run's children are stored. What it does not get to, the root's next run at its interval does.
    """
    gone: set[str] = set()
    for _ in range(TRIES):
        found = read_copied(attempt)
        unreferred = copies_in(found) - copies_of(attempt, stored_referring(attempt))
        for name in sorted(unreferred):
            attempt.deps.secrets.delete(name, owner=attempt.uid)
        gone |= unreferred
        if not unreferred or write_copied(attempt, found, copies_in(found) - unreferred):
            break
    if not gone:
        return []
    needed = [each for each in stored_referring(attempt) if gone.intersection(each.copies(attempt.cluster))]
    return bring_again(attempt, needed) if needed else []
