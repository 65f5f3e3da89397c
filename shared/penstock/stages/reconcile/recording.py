"""Writing a Kustomization's status record: what a run has found, and what stands beside that.

Beside it stand the events of runs that may not have been published, the plane's own switch, and what a suspended one
would apply: whoever writes one of these leaves the others as they are.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from penstock.core.errors import Conflict, Transient
from penstock.core.messages import Event, Outgoing, ReconcileDue
from penstock.core.reconcile.outbox import KEPT, with_events
from penstock.core.reconcile.standing import Standing
from penstock.core.records import KustomizationStatus, object_key, status_key
from penstock.core.resources import Manifest
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record, TooLarge
from penstock.stages.reconcile.attempt import (
    KIND,
    LOOKS_AFRESH,
    Attempt,
    load_status,
    overtaken,
    status_of,
    still_current,
    tried_in_vain,
    unpublished,
)
from penstock.stages.reconcile.index import status_entries, verify_entries, write_indexed
from penstock.stages.reconcile.orphaned import forget_orphaned

TRIES = 5
Change = Callable[[KustomizationStatus], KustomizationStatus | None]
"""The status as it stands -> as it is to be; None leaves it alone."""


def save_status(attempt: Attempt, status: KustomizationStatus, *, due: float, whole_run: bool = False) -> None:
    """Write the status with its index entries and events; what people have set meanwhile is kept.

    Raises Conflict where a newer observation has been written: this attempt is not the newest any more.
    ``whole_run``: it tells how the run ended; where somebody else has written the status meanwhile, that must have been
    about the same document, or Conflict is raised.
    """

    def change(known: KustomizationStatus) -> KustomizationStatus:
        if overtaken(attempt, status, known):
            raise Conflict(f"a newer observation ({known.observation}) of {attempt.ref} has been reconciled")
        if whole_run and not attempt.opening.alone and not still_current(attempt):
            raise Conflict(f"Kustomization {attempt.ref} has another spec now")
        return replace(status, suspension=known.suspension, excused=known.excused if status.failed_at else "")

    _amend(attempt, change, due=due)
    _verify(attempt, status)


def save_events(attempt: Attempt) -> None:
    """Write down this run's events and nothing else: the status is a newer run's, or stands already.

    Where that cannot be, they are published all the same: what is kept is for those who are killed before that.
    """
    if attempt.said:
        with suppress(Transient):
            _amend(attempt, lambda known: known)


def save_rest(attempt: Attempt, *, due: float) -> None:
    """A suspended one waits for nothing any more, and is looked at again at ``due``: nothing else is written.

    See save_resting.
    """
    rest = partial(replace, pending={}, waiting_for=())
    _amend(attempt, lambda known: rest(known) if _at_rest(attempt, known) else None, due=due)
    _verify(attempt, attempt.found)


def save_resting(attempt: Attempt, made: Standing, *, due: float) -> None:
    """Write down what a suspended one renders, beside what its last run has found.

    Nothing is written where it was resumed, or has run, meanwhile: that run's word is newer. Raises Conflict where
    others write the status all the time, Terminal where a record has no room for it.
    """

    def change(known: KustomizationStatus) -> KustomizationStatus | None:
        rests = _at_rest(attempt, known)
        return replace(known, resting=made.beside(known), failed_at="", excused="") if rests else None

    _amend(attempt, change, due=due)


def save_in_vain(attempt: Attempt, *, due: float) -> None:
    """Write down that a suspended one cannot be rendered: nothing else, and only while it is suspended as it was."""

    def change(known: KustomizationStatus) -> KustomizationStatus | None:
        return replace(known, failed_at=tried_in_vain(attempt)) if _at_rest(attempt, known) else None

    _amend(attempt, change, due=due)


def _at_rest(attempt: Attempt, known: KustomizationStatus) -> bool:
    """Whether the status is still that of the suspended one that this attempt has found."""
    last, found = (
        (each.suspension, each.observed_generation, each.observation, each.inputs_digest, each.rendered)
        for each in (known, attempt.found)
    )
    return last == found


def _amend(attempt: Attempt, change: Change, *, due: float | None = None) -> None:
    """Write the newest status with a change, its index entries, and this run's events.

    ``due``: None leaves the time that it has; where there is no record none is made then, for it would never be due.
    """
    deps, message, opening = attempt.deps, attempt.message, attempt.opening
    key = status_key(message.cluster, KIND, message.namespace, message.name)
    for number in range(TRIES):
        if number:  # what this run had read last has been written since
            opening.seen(deps.state.get(key))
        current = opening.status
        known = status_of(current)
        status = change(known)
        if status is None or (current is None and due is None):
            return
        version, stands = (current.version, current.due) if current else (ABSENT, None)
        put = partial(deps.state.put, key, expected=version, due=stands if due is None else due)
        whole = replace(status, outbox=with_events(known.outbox, attempt.said, attempt.now().timestamp()))
        adds, removes = status_entries(message.cluster, attempt.ref, known, whole, attempt.record.generation)
        try:
            opening.status = write_indexed(deps.state, adds=adds, removes=removes, write=partial(_put, put, whole))
        except Conflict:
            continue
        return
    raise Conflict(f"the status of {attempt.ref} is being written by others all the time")


def _put(put: Callable[[Manifest], Record], status: KustomizationStatus) -> Record:
    """Write it; what can be done without gives way where a record has no room for it."""
    try:
        return put(status.to_value())
    except TooLarge:
        return put(replace(status, outbox=(), same=()).to_value())


def _verify(attempt: Attempt, status: KustomizationStatus) -> None:
    if attempt.message.why in LOOKS_AFRESH:
        verify_entries(attempt.deps, attempt.cluster, attempt.ref, status, attempt.record.generation)


def forget_status(message: ReconcileDue, deps: Deps) -> list[Outgoing]:
    """Of what is gone: the events of its end that may not have been published, and its status goes, too.

    A run that was overtaken by a removal may have written one, which would be due each minute.
    """
    if deps.state.get(object_key(message.cluster, KIND, message.namespace, message.name)) is not None:
        return []
    if forget_orphaned(message.cluster, deps):
        return []
    known = load_status(deps, message.cluster, message.namespace, message.name)
    drop_status(message, deps)
    return [Outgoing(message=each) for each in unpublished(message, known, deps)]


def drop_status(message: ReconcileDue, deps: Deps, said: Sequence[Event] = ()) -> None:
    """Delete a Kustomization's status, and the index entries that it stood for.

    ``said``: events of its end. They, and those of runs before it, are kept in its place until they are certainly
    published.
    """
    key = status_key(message.cluster, KIND, message.namespace, message.name)
    found = deps.state.get(key)
    declared = object_key(message.cluster, KIND, message.namespace, message.name)
    if (found is None and not said) or deps.state.get(declared) is not None:
        return  # it was declared again
    known = status_of(found)
    ref, now = f"{message.namespace}/{message.name}", deps.clock.now().timestamp()
    _, removes = status_entries(message.cluster, ref, known, KustomizationStatus(), 0)
    version = found.version if found else ABSENT
    write: Callable[[], object] = partial(deps.state.delete, key, expected=version)
    kept = with_events(known.outbox, said, now)
    if kept:
        left = KustomizationStatus(outbox=kept).to_value()
        write = partial(deps.state.put, key, left, expected=version, due=now + KEPT)
    with suppress(Conflict):  # it was declared again, and has run
        write_indexed(deps.state, adds=(), removes=removes, write=write)
