"""Which copies a cluster may have in the plane's own store: what nobody refers to any more is found without a listing.

``copies/<cluster>`` is written by compare-and-swap before a copy is made, and looked at again when one was: so a copy
that is there is named, whoever was killed or forgot it (forgetting.py) in between.
"""

from collections.abc import Collection

from penstock.core.errors import Conflict
from penstock.core.records import CopiesRecord, copies_key
from penstock.ports.state import ABSENT, Record
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.opening import copies_in

TRIES = 5


def remember(attempt: Attempt, copies: Collection[str], *, afresh: bool = False, anew: bool = False) -> None:
    """These (names of the store) are there, or about to be. Raises Conflict where others write it all the time.

    ``afresh``: look at the record as it is now. ``anew``: write it, whatever it says: whoever is about to forget one of
    these finds that.
    """
    opening = attempt.opening
    if not copies or (not afresh and not anew and opening.copies.issuperset(copies)):
        return
    for _ in range(TRIES):
        found = read_copied(attempt)
        opening.copies = copies_in(found)
        there = opening.copies.issuperset(copies) and not anew
        if there or write_copied(attempt, found, opening.copies.union(copies)):
            return
    raise Conflict(f"the list of copies for {attempt.cluster} is being written by others all the time")


def read_copied(attempt: Attempt) -> Record | None:
    """The record, as it is now."""
    return attempt.deps.state.get(copies_key(attempt.cluster))


def write_copied(attempt: Attempt, found: Record | None, names: Collection[str]) -> bool:
    """Put these names in the place of a record that was read; False where somebody has written it meanwhile."""
    value = CopiesRecord(names=tuple(sorted(names))).to_value()
    version = found.version if found is not None else ABSENT
    try:
        attempt.deps.state.put(copies_key(attempt.cluster), value, expected=version)
    except Conflict:
        return False
    attempt.opening.copies = frozenset(names)
    return True
