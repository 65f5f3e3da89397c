"""A diff for people: a line an object, as ``flux diff kustomization`` has it, and a unified diff below it."""

from collections.abc import Iterator

from penstock.cli.diff.outcome import Entry, Outcome
from penstock.core.drift.owners import told
from penstock.core.printable import printable
from penstock.core.reconcile.plan import Action
from penstock.stages.reconcile.shown_plan import WRITES, counts, difference

_BOLD, _RED, _GREEN, _CYAN, _PLAIN = "\033[1m", "\033[31m", "\033[32m", "\033[36m", "\033[0m"
_COLOURS = {"+++": _BOLD, "---": _BOLD, "@@": _CYAN, "+": _GREEN, "-": _RED}


def lines(found: Outcome, *, colour: bool) -> Iterator[str]:
    """All of it."""
    for entry in found.entries:
        yield from _entry(entry, found, colour=colour)
    yield from (printable(f"note: {note}") for note in found.notes)
    yield summary(found)


def summary(found: Outcome) -> str:
    """The last line."""
    number = counts(entry.change for entry in found.entries)
    told_counts = ", ".join(f"{number[action.value]} {action.value}" for action in WRITES)
    changes = sum(number[action.value] for action in WRITES)
    return f"{changes} change{'' if changes == 1 else 's'} ({told_counts}) in {found.name}, against {found.against}"


def _entry(entry: Entry, found: Outcome, *, colour: bool) -> Iterator[str]:
    change = entry.change
    if change.action is Action.SKIPPED and change.reason.startswith("it is gone"):
        return
    reason = f" ({change.reason})" if change.reason else ""
    yield _coloured(f"► {change.ref} {change.action.value}{reason}", _BOLD if colour else "")
    if entry.error:
        yield _coloured(f"  refused: {entry.error}", _RED if colour else "")
    if entry.drift:
        yield printable(f"  drift: {told(entry.drift)}")
    if change.action not in WRITES:
        return
    shown = difference(change, found.mask)
    if not shown and change.paths:
        yield printable(f"  the same, but not owned by penstock: {', '.join(change.paths[:5])}")
    for line in shown:
        colours = (code for start, code in _COLOURS.items() if line.startswith(start))
        yield _coloured(line, next(colours, "") if colour else "")


def _coloured(text: str, code: str) -> str:
    text = printable(text)
    return f"{code}{text}{_PLAIN}" if code else text
