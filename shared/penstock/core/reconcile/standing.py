"""What a Kustomization stands for by its newest render: that of its last run, or one that a suspended one wrote down.

A suspended one applies nothing, but others must know what has moved to it before they delete anything. So it renders
when it is asked, and keeps the answer (``KustomizationStatus.resting``) beside what its last run has found.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from penstock.core.records import KustomizationStatus
from penstock.core.tree import Inputs

CHILDREN_DUE = "childrenDue"
"""In a status's summary: what it renders of Flux objects differs from what is stored, so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """``generation``: of the document that was rendered; ``inputs``, ``digest``: what was read, "" before the first.

    ``rendered``: inventory ids; ``interpreted``: ``Kind/namespace/name`` of its Flux objects; ``children_due``: those
    are not stored as they were rendered.
    """

    generation: int = 0
    inputs: Inputs = field(default_factory=Inputs)
    digest: str = ""
    rendered: tuple[str, ...] = ()
    interpreted: tuple[str, ...] = ()
    children_due: bool = False

    def to_value(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def standing(status: KustomizationStatus) -> Standing:
    """By a Kustomization's status."""
    if status.resting:
        return _from_value(status.resting)
    return Standing(
        generation=status.observed_generation,
        inputs=status.inputs,
        digest=status.inputs_digest,
        rendered=status.rendered,
        interpreted=tuple(str(each) for each in status.summary.get("interpreted") or ()),
        children_due=bool(status.summary.get(CHILDREN_DUE)),
    )


def _from_value(value: Mapping[str, Any]) -> Standing:
    return Standing(
        generation=int(value["generation"]),
        inputs=Inputs(**{name: tuple(paths) for name, paths in value["inputs"].items()}),
        digest=str(value["digest"]),
        rendered=tuple(value["rendered"]),
        interpreted=tuple(value["interpreted"]),
        children_due=bool(value["children_due"]),
    )
