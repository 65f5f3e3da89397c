"""A plan as text: what a person reads before a push. One block a Kustomization, one line an object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from penstock.cli.plan.fields import ABSENT, FieldChange
from penstock.cli.plan.report import Report, totals
from penstock.cli.plan.shown import Planned, Shown
from penstock.core.printable import printable
from penstock.core.reconcile.inventory import short_revision
from penstock.core.resources import ref_of

_SIGNS = {"created": "+", "configured": "~", "deleted": "-", "skipped": "=", "unchanged": " "}
_LONGEST = 60
_MOST_FIELDS = 12


def lines(report: Report, *, details: bool) -> Iterator[str]:
    """The whole plan. ``details``: every document by name, every field, whole values."""
    yield from map(printable, _lines(report, details=details))


def _lines(report: Report, *, details: bool) -> Iterator[str]:
    width = max((len(p.section.ref) for p in report.planned), default=0)
    yield f"source   {report.source.where} at {short_revision(report.source.revision)}"
    yield from (f"         {note}" for note in report.source.notes)
    yield f"cluster  {report.cluster}"
    for planned in report.planned:
        yield ""
        yield from _block(planned, report, width, details=details)
    yield ""
    yield summary(report)


def summary(report: Report) -> str:
    """The last line."""
    found = totals(report)
    rendered = sum(p.section.rendered is not None for p in report.planned)
    outside = sum(bool(p.section.outside) for p in report.planned)
    several = f"{rendered} Kustomization{'' if rendered == 1 else 's'}"
    if report.compared:
        changes = f"{found['created']} created, {found['configured']} configured, {found['deleted']} deleted"
        text = f"{found['changes']} change{'' if found['changes'] == 1 else 's'} ({changes}) in {several}"
    else:
        text = f"{several} rendered ({found['applied']} objects), compared with no cluster"
    if outside:
        text += f"; {outside} not of this source"
    if found["failed"]:
        text += f"; {found['failed']} FAILED"
    return text


def _block(planned: Planned, report: Report, width: int, *, details: bool) -> Iterator[str]:
    section = planned.section
    if section.ref in report.outlooks:
        where = f"{section.kustomization.path or '.'}  ({section.kustomization.source})"
        yield f"Kustomization {section.ref:<{width}}  {where}"
    else:
        yield f"Kustomization {section.ref}"
    if section.outside:
        yield f"    not planned: {section.outside}"
        return
    if section.problem:
        yield f"  ! not rendered: {section.problem}"
        return
    if section.rendered is not None:
        yield f"    {report.outlooks[section.ref]}"
        yield f"    {accounted(planned)}"
    if details:
        yield from _documents(planned)
    else:
        yield from _reasons(planned)
    yield from (f"    {note}" for note in (*section.notes, *planned.notes))
    if planned.problem:
        yield f"  ! not compared: {planned.problem}"
    for change in planned.changes:
        yield from _change(change, details=details)
    if planned.difference:
        yield f"  ! kustomize: {planned.difference}"


def accounted(planned: Planned) -> str:
    """How many documents the render holds, and what becomes of them: every one is counted once."""
    rendered = planned.section.rendered
    if rendered is None:
        return ""
    parts = rendered.parts
    counted = (
        (len(rendered.apply), "applied"),
        (len(parts.interpreted), "interpreted"),
        (len(parts.left_out), "left out"),
        (len(parts.unsupported), "unsupported"),
    )
    total = sum(number for number, _ in counted)
    told = ", ".join(f"{number} {name}" for number, name in counted if number)
    return f"{total} document{'' if total == 1 else 's'}" + (f": {told}" if told else "")


def _reasons(planned: Planned) -> Iterator[str]:
    """Each reason once, with how many objects it covers."""
    for sign, entries in _why(planned):
        grouped: dict[str, list[str]] = {}
        for name, reason in entries:
            grouped.setdefault(reason, []).append(name)
        for reason, names in grouped.items():
            shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
            yield f"    {sign}: {shown}: {reason}"


def _documents(planned: Planned) -> Iterator[str]:
    rendered = planned.section.rendered
    if rendered is None:
        return
    yield from (f"    applied: {ref_of(m)}" for m in rendered.apply)
    yield from (f"    interpreted: {ref_of(m)}" for m in rendered.parts.interpreted)
    for sign, entries in _why(planned):
        yield from (f"    {sign}: {name}: {reason}" for name, reason in entries)


def _why(planned: Planned) -> Iterable[tuple[str, Sequence[tuple[str, str]]]]:
    rendered = planned.section.rendered
    if rendered is None:
        return ()
    left_out = [(str(ref), reason) for ref, reason in rendered.parts.left_out]
    unsupported = [(str(ref_of(m)), reason) for m, reason in rendered.parts.unsupported]
    return (("left out", left_out), ("unsupported", unsupported))


def _change(change: Shown, *, details: bool) -> Iterator[str]:
    if change.action == "unchanged" and not (details or change.error):
        return
    if change.action == "skipped" and change.reason.startswith("it is gone"):
        return
    reason = f"  ({change.reason})" if change.reason else ""
    if change.error:
        yield f"  ! {change.object} {change.action}, but refused: {change.error}"
        return
    yield f"  {_SIGNS[change.action]} {change.object} {change.action}{reason}"
    most = len(change.fields) if details else _MOST_FIELDS
    width = max((len(each.path) for each in change.fields[:most]), default=0)
    for each in change.fields[:most]:
        yield from _field(each, min(width, 48), details=details)
    if len(change.fields) > most:
        yield f"        … and {len(change.fields) - most} more fields: --details shows them"


def _field(change: FieldChange, width: int, *, details: bool) -> Iterator[str]:
    old, new = _value(change.old), _value(change.new)
    if "***" in (old, new) and old == new:
        new = "*** (another value)"
    long = "\n" in old + new or len(old) > _LONGEST or len(new) > _LONGEST
    if details and long:
        yield f"        {change.path}:"
        yield from (f"          - {line}" for line in old.splitlines() if change.old is not ABSENT)
        yield from (f"          + {line}" for line in new.splitlines() if change.new is not ABSENT)
        return
    yield f"        {change.path + ':':<{width + 1}} {_short(old)} → {_short(new)}"


def _value(value: Any) -> str:
    if value is ABSENT:
        return "(none)"
    if isinstance(value, Mapping | list):
        text: str = yaml.safe_dump(value, default_flow_style=None, sort_keys=False, width=200)
        return text.strip()
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "null"
    return str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
