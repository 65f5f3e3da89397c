"""A whole plan as a value, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.cli.plan.fields import ABSENT, FieldChange
from penstock.cli.plan.rehearsal import dependencies
from penstock.cli.plan.shown import Planned, Shown
from penstock.cli.plan.source import FleetSource

FORMAT = 1
_WRITES = ("created", "configured", "deleted")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """``cluster``: a sentence; ``compared``: whether there was one; ``outlooks``: by ``namespace/name``."""

    source: FleetSource
    cluster: str
    compared: bool
    planned: Sequence[Planned]
    outlooks: Mapping[str, str]


def totals(report: Report) -> dict[str, int]:
    """Counts over all Kustomizations; ``failed``: Kustomizations with something that went wrong."""
    counts = {action: sum(p.count(action) for p in report.planned) for action in _WRITES}
    applied = sum(len(p.section.rendered.apply) for p in report.planned if p.section.rendered)
    failed = sum(p.failed for p in report.planned)
    return {"changes": sum(counts.values()), **counts, "applied": applied, "failed": failed}


def exit_status(report: Report) -> int:
    """As ``flux diff``: 0 for no changes, 1 for changes, 2 where something failed."""
    found = totals(report)
    if found["failed"] or any(p.difference for p in report.planned):
        return 2
    return 1 if found["changes"] else 0


def value(report: Report) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "format": FORMAT,
        "source": report.source.where,
        "revision": report.source.revision,
        "notes": list(report.source.notes),
        "cluster": report.cluster,
        "compared": report.compared,
        "kustomizations": [_kustomization(planned, report) for planned in report.planned],
        "totals": totals(report),
    }


def _kustomization(planned: Planned, report: Report) -> dict[str, Any]:
    section = planned.section
    found: dict[str, Any] = {
        "name": section.ref,
        "path": section.kustomization.path,
        "source": str(section.kustomization.source),
        "parent": section.parent,
        "dependsOn": list(dependencies(section)),
        "outlook": report.outlooks.get(section.ref, "removed"),
        "notes": [*section.notes, *planned.notes],
        "changes": [_change(change) for change in planned.changes if change.action != "unchanged" or change.error],
    }
    told = {"outside": section.outside, "problem": section.problem or planned.problem, "kustomize": planned.difference}
    found |= {key: text for key, text in told.items() if text}
    if section.rendered is not None:
        found["summary"] = section.rendered.summary()
    return found


def _change(change: Shown) -> dict[str, Any]:
    found: dict[str, Any] = {"object": change.object, "action": change.action}
    if change.fields:
        found["fields"] = [_field(each) for each in change.fields]
    return found | {key: text for key, text in (("reason", change.reason), ("error", change.error)) if text}


def _field(change: FieldChange) -> dict[str, Any]:
    sides = {"old": change.old, "new": change.new}
    return {"path": change.path, **{key: each for key, each in sides.items() if each is not ABSENT}}
