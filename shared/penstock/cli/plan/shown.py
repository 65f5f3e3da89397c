"""What a plan says of one Kustomization and of each of its objects."""

from dataclasses import dataclass

from penstock.cli.plan.fields import FieldChange
from penstock.cli.plan.rehearsal import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One object. ``action``: an Action's value; ``error``: what the API server says against it."""

    object: str
    action: str
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A section and what it would change.

    ``problem``: why it could not be compared, or ""; ``difference``: from kustomize's own build, or "".
    """

    section: Section
    changes: tuple[Shown, ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()
    difference: str = ""

    @property
    def failed(self) -> bool:
        """Whether something went wrong that the user has to know of."""
        return bool(self.section.problem or self.problem or any(c.error for c in self.changes))

    def count(self, action: str) -> int:
        """How many objects have this action."""
        return sum(c.action == action and not c.error for c in self.changes)
