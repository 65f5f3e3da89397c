"""Which Kustomizations are looked at in one run when their interval is over: those of a cluster that are in order.

They share their reads, which costs the API server a LIST per kind instead of one per kind and Kustomization.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from penstock.core.errors import PenstockError
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.messages import ReconcileDue
from penstock.core.records import KustomizationStatus, ObjectRecord

MOST_TOGETHER = 50
MOST_OBJECTS = 5_000
"""Objects of one sweep by what their Kustomizations rendered last: what is listed together is in memory together."""
EARLY = 60.0
EARLY_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A Kustomization that a sweep may look at. ``objects``: how many it rendered last."""

    message: ReconcileDue
    objects: int


LEFT_FOR = "leftFor"
"""In a status's summary: those among whom it waits for that are suspended, where it waits for nobody else."""


def may_join(status: KustomizationStatus) -> bool:
    """Whether its next run will most likely find nothing to do, and nothing that it waits for and that may come."""
    waits = set(status.waiting_for) - set(status.summary.get(LEFT_FOR) or ())
    return status.ready() and not waits and not status.pending


def early_enough(record: ObjectRecord, seconds: float) -> bool:
    """Whether one whose interval is over in ``seconds`` may come along: a tenth of it before, a minute at most.

    Intervals are spread by a tenth, so those that were looked at together stay together.
    """
    try:
        interval = parse_kustomization(record.document).interval.total_seconds()
    except PenstockError:
        return False
    return not record.tombstone and seconds <= min(EARLY, EARLY_SHARE * interval)


def together(members: Iterable[Member]) -> list[ReconcileDue]:
    """One message for each sweep, in the order given; whoever is alone in its cluster keeps its own."""
    sweeps: dict[str, list[list[Member]]] = defaultdict(list)
    for member in members:
        of_cluster = sweeps[member.message.cluster]
        if not of_cluster or _full(of_cluster[-1], member):
            of_cluster.append([])
        of_cluster[-1].append(member)
    return [_one_message(sweep) for of_cluster in sweeps.values() for sweep in of_cluster]


def _full(sweep: list[Member], member: Member) -> bool:
    objects = sum(each.objects for each in sweep) + member.objects
    return len(sweep) >= MOST_TOGETHER or objects > MOST_OBJECTS


def _one_message(sweep: list[Member]) -> ReconcileDue:
    first, *others = (member.message for member in sweep)
    return replace(first, others=tuple(f"{each.namespace}/{each.name}" for each in others))
