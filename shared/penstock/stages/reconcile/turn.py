"""A run's turn under the Lease, from taking it to giving it back.

A Lease that could not be given back (the API server went away), or that was taken without our hearing of it, would hold
up the next run until its end. So it is written down that its holder has ended, and the next run need not wait. Nor for
one that an earlier life of a process held which works alone (ports.deps.Lives): it was killed.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.core.errors import PenstockError, Transient
from penstock.core.records import FORMAT, lease_key
from penstock.core.resources import Manifest
from penstock.ports.cluster import Cluster
from penstock.ports.state import Record
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.attempt import Attempt

MOST_ENDED = 16
"""Holders to be remembered: each try that fails adds one, and the Lease names one of the last."""


@dataclass(kw_only=True, slots=True)
class Turn:
    """``again``: somebody asked for another run meanwhile (known when the turn has ended)."""

    claim: lease.Claim
    again: bool = False


@contextlib.contextmanager
def turn(attempt: Attempt, keeper: Cluster, *, first: bool = False, existed: bool = False) -> Iterator[Turn]:
    """Hold the Lease within the block. Raises what ``lease.acquire`` raises; an error of the block comes first.

    ``first``, ``existed``: see there.
    """
    deps, key = attempt.deps, lease_key(attempt.cluster, attempt.message.namespace, attempt.message.name)
    known = attempt.opening.records.get(key)

    def ended(name: str) -> bool:
        nonlocal known
        if deps.lives.ended(name):
            return True
        if name not in _ended(known):  # it may have ended since this run began
            known = deps.state.get(key)
        return name in _ended(known)

    holder = lease.Holder(name=deps.lives.sign(deps.clock.new_id()), ended=ended)
    how = lease.How(first=first, existed=existed, adopting=attempt.adopting)
    try:
        held = Turn(claim=lease.acquire(keeper, attempt.owner, holder, deps.clock, how))
    except lease.Held:
        raise
    except Transient:  # it may have been taken all the same: the answer alone was lost
        deps.state.put(key, _value(*_ended(deps.state.get(key)), holder.name), expected=None)
        raise
    if known:
        deps.state.delete(key, expected=None)
    try:
        yield held
    finally:
        try:
            held.again = lease.release(keeper, held.claim)
        except PenstockError:
            held.again = True
            deps.state.put(key, _value(held.claim.holder), expected=None)


def _ended(record: Record | None) -> list[str]:
    """The holders that are known to have ended; one release wrote a single name."""
    found = record.value.get("ended") if record else None
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str) and each]


def _value(*ended: str) -> Manifest:
    return {"format": FORMAT, "ended": list(ended[-MOST_ENDED:])}
