"""A run that applies nothing for now: it waits for dependencies, for others, for another run, or for the head."""

from collections.abc import Mapping
from dataclasses import replace

from penstock.core.messages import Outgoing
from penstock.core.records import discovered_key, hooked_key
from penstock.core.sources.wakeups import first_in_line
from penstock.stages.reconcile.alerts import change_events, stuck_event
from penstock.stages.reconcile.attempt import Attempt, everybody, wake_up
from penstock.stages.reconcile.behind import Behind
from penstock.stages.reconcile.due import Awaits
from penstock.stages.reconcile.endings.looking_again import ask, itself, look_at, patience, wake
from penstock.stages.reconcile.execute import Done
from penstock.stages.reconcile.outcome import BACKSTOP, Said, event, with_conditions
from penstock.stages.reconcile.recording import save_events, save_status
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.telling import answer, tell
from penstock.stages.reconcile.waits import unready_dependencies

SOON = 5.0


def waits_for_dependencies(
    attempt: Attempt, source: Source, waiting: Mapping[str, str], *, rendered: bool = False
) -> list[Outgoing]:
    """Nothing was applied: the end of a dependency's run wakes this one again; a backstop stands in the due index.

    ``rendered``: this run wrote down a new render. Only then is there news for those who wait for this one (two that
    wait for each other would wake each other for ever).
    """
    message = "Dependencies do not meet ready condition: " + "; ".join(waiting.values())
    said = Said(ready="False", reason="DependencyNotReady", message=message)
    status = with_conditions(replace(attempt.status, waiting_for=tuple(sorted(waiting))), said, attempt.now())
    news = attempt.found.waiting_for != status.waiting_for
    messages = [event(attempt, "info", said.reason, message)] if news else []
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    answer(attempt, status)  # whoever asked hears what it waits for: a dependency's end says nothing of the request
    tell(attempt, status)
    messages += wake(attempt) if rendered or attempt.message.why == "request" else []
    if not unready_dependencies(attempt, source):  # it became ready between the look and the record
        messages.append(itself(attempt, "dependency"))
    return messages


def waits_for_others(attempt: Attempt, awaits: Awaits) -> list[Outgoing]:
    """Nothing was applied: what is here is still somebody's who has not rendered this revision, and will."""
    said = Said(ready="Unknown", reason="Progressing", message=str(awaits))
    status = with_conditions(replace(attempt.status, waiting_for=awaits.names), said, attempt.now())
    messages = stuck_event(attempt, said.message, stuck=awaits.stuck)
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    tell(attempt, status)
    found = attempt.found
    news = (found.rendered, found.rendered_revision) != (status.rendered, status.rendered_revision)
    messages += [ask(attempt, name) for name in awaits.asks]
    messages += wake(attempt) if news else []
    records, known = everybody(attempt.deps, attempt.cluster)
    late = {n for n, each in known.items() if each.last_attempted_revision != status.last_attempted_revision}
    parents = {name: record.parent for name, record in records.items()}
    below = first_in_line(attempt.ref, set(awaits.names) - set(awaits.asks), parents, late)
    messages += [wake_up(attempt, name, "parent") for name in below]  # nobody else may do that
    if all(known[name].rendered_revision == status.rendered_revision for name in awaits.names if name in known):
        messages.append(itself(attempt, "dependency"))  # they rendered it between the look and the record
    return messages


def held(attempt: Attempt) -> list[Outgoing]:
    """Another run is at it. It sees the mark and publishes when it ends; a look later on, should it never end.

    What it publishes answers nobody: whoever asked for this run through the api is waiting, and gets a look soon.
    """
    return [itself(attempt, "held", delay=SOON if attempt.message.request else BACKSTOP)]


def asks_source(attempt: Attempt, old: Behind) -> list[Outgoing]:
    """The cluster holds a newer observation than the plane's records: the head is resolved before anything is written.

    So a store that was restored from a backup brings no old revision back.
    """
    message = (
        f"the cluster holds {old.held.revision} (observation {old.held.observation}), the plane's records know of "
        f"{old.observation}: looking at the head of {old.ref} again"
    )
    removed, status = attempt.record.tombstone, attempt.status
    if not (removed and attempt.kustomization.suspend):  # see removal.py
        said = Said(ready="Unknown", reason="Progressing", message=f"removal: {message}" if removed else message)
        status = with_conditions(status, said, attempt.now())
    save_status(attempt, status, due=attempt.now().timestamp() + BACKSTOP)
    for mark in (discovered_key(attempt.cluster), hooked_key(attempt.cluster)):  # of old records: see discovery.py
        attempt.deps.state.delete(mark, expected=None)
    look = look_at(attempt, old.ref, above=old.held.observation)
    return [look, itself(attempt, "again", delay=2 * patience(attempt, "Unknown"))]


def outlives(attempt: Attempt, seconds: float) -> list[Outgoing]:
    """A removal has deleted everything; who has lost the Lease may still make some of it for so long: see unsure.py."""
    message = "removal: an earlier run has lost its Lease, and may still be writing: looking again when it has ended"
    said = Said(ready="Unknown", reason="Progressing", message=message)
    status = with_conditions(replace(attempt.status, waiting_for=()), said, attempt.now())
    save_status(attempt, status, due=attempt.now().timestamp() + seconds)
    return []


def superseded(attempt: Attempt, done: Done | None = None) -> list[Outgoing]:
    """A newer revision, or somebody else's write, came in between: look again at the newest.

    ``done``: what this run had done by then; people hear of it all the same.
    """
    messages = change_events(attempt, done.changes) if done is not None else []
    save_events(attempt)
    return [*messages, itself(attempt, "again", delay=0.2)]
