"""A run's turn under the Lease, from taking it to giving it back.

A Lease that could not be given back (the API server went away) would hold up the next run until its end. So it is
written down that its holder has ended, and the next run need not wait.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.core.errors import PenstockError
from penstock.core.records import FORMAT, lease_key
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.attempt import Attempt


@dataclass(kw_only=True, slots=True)
class Turn:
    """``again``: somebody asked for another run meanwhile (known when the turn has ended)."""

    claim: lease.Claim
    again: bool = False


@contextlib.contextmanager
def turn(attempt: Attempt, keeper: Cluster, *, first: bool = False) -> Iterator[Turn]:
    """Hold the Lease within the block. Raises what ``lease.acquire`` raises; an error of the block comes first.

    ``first``: see there.
    """
    deps, key = attempt.deps, lease_key(attempt.cluster, attempt.message.namespace, attempt.message.name)
    known = deps.state.get(key)
    ended = str(known.value.get("ended") or "") if known else ""
    holder = lease.Holder(name=deps.clock.new_id(), ended=ended)
    how = lease.How(first=first, adopting=attempt.adopting)
    held = Turn(claim=lease.acquire(keeper, attempt.owner, holder, deps.clock, how))
    if known:
        deps.state.delete(key, expected=None)
    try:
        yield held
    finally:
        try:
            held.again = lease.release(keeper, held.claim)
        except PenstockError:
            held.again = True
            deps.state.put(key, {"format": FORMAT, "ended": held.claim.holder}, expected=None)
