"""What a Kustomization stands for by its newest render: that of its last run, or one that a suspended one wrote down.

A suspended one applies nothing, but others must know what has moved to it before they delete anything. So it renders
when it is asked, and keeps the answer (``KustomizationStatus.resting``) beside what its last run has found: as the
difference to that, for a record has room for one render of many objects, and not for two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from penstock.core.records import KustomizationStatus
from penstock.core.tree import Inputs

CHILDREN_DUE = "childrenDue"
"""In a status's summary: what it renders of Flux objects differs from what is stored, so far."""
_PATHS = tuple(each.name for each in fields(Inputs))


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """``generation``: of the document that was rendered; ``inputs``, ``digest``: what was read, "" before the first.

    ``rendered``: inventory ids; ``interpreted``: ``Kind/namespace/name`` of its Flux objects, both sorted;
    ``children_due``: those are not stored as they were rendered.
    """

    generation: int = 0
    inputs: Inputs = field(default_factory=Inputs)
    digest: str = ""
    rendered: tuple[str, ...] = ()
    interpreted: tuple[str, ...] = ()
    children_due: bool = False

    def beside(self, status: KustomizationStatus) -> dict[str, Any]:
        """``resting`` of a status whose last run has written down what stands in it: JSON-ready, see ``standing``."""
        last = _of_last_run(status)
        return {
            "generation": self.generation,
            "digest": self.digest,
            "children_due": self.children_due,
            "inputs": {name: _difference(getattr(last.inputs, name), getattr(self.inputs, name)) for name in _PATHS},
            "rendered": _difference(last.rendered, self.rendered),
            "interpreted": _difference(last.interpreted, self.interpreted),
        }


def standing(status: KustomizationStatus) -> Standing:
    """By a Kustomization's status."""
    last, value = _of_last_run(status), status.resting
    if not value:
        return last
    return Standing(
        generation=int(value["generation"]),
        inputs=Inputs(**{name: _with(getattr(last.inputs, name), value["inputs"][name]) for name in _PATHS}),
        digest=str(value["digest"]),
        rendered=_with(last.rendered, value["rendered"]),
        interpreted=_with(last.interpreted, value["interpreted"]),
        children_due=bool(value["children_due"]),
    )


def _of_last_run(status: KustomizationStatus) -> Standing:
    return Standing(
        generation=status.observed_generation,
        inputs=status.inputs,
        digest=status.inputs_digest,
        rendered=status.rendered,
        interpreted=tuple(sorted(str(each) for each in status.summary.get("interpreted") or ())),
        children_due=bool(status.summary.get(CHILDREN_DUE)),
    )


def _difference(before: Sequence[str], after: Sequence[str]) -> dict[str, list[str]]:
    return {"more": sorted({*after} - {*before}), "less": sorted({*before} - {*after})}


def _with(before: Sequence[str], difference: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({*before, *difference["more"]} - {*difference["less"]}))
