"""Who tells: each Alert is claimed, and so is what is said, before anybody is told. Twice the same is told once."""

from concurrent.futures import Future

from penstock.core.errors import Conflict, Terminal, Transient
from penstock.core.flux.alert import Alert
from penstock.core.notify import ledger
from penstock.ports.state import Record
from penstock.stages.notify.case import Case, repeats_key, sent_key, settle, version_of

SETTLED = frozenset({ledger.SENT, ledger.FAILED})


def is_open(cluster: str, alert: Alert, case: Case) -> bool:
    """Whether an Alert is still to be told: no earlier delivery has told it, or found that it cannot be."""
    found = case.get(sent_key(cluster, alert, case))
    return found is None or found.value.get("state") not in SETTLED


def is_other(found: Record | None, case: Case) -> bool:
    """Whether another event said the same within five minutes."""
    event = case.event
    return found is not None and found.value.get("event") != event.id and ledger.is_repeat(found.value, event, case.now)


def said_by_other(found: Record | None, case: Case) -> bool:
    """Write down that this event says it now; whether another one was quicker."""
    state, event, key = case.deps.state, case.event, repeats_key(case)
    if found is not None and found.value.get("event") == event.id:
        return False
    try:
        state.put(key, ledger.repeat_value(event, case.now), expected=version_of(found))
    except Conflict:
        found = state.get(key)
        return found is not None and ledger.is_repeat(found.value, event, case.now)
    return False


def unsay(case: Case) -> None:
    """Nobody could be told: the next event that says the same is no repetition.

    Raises Transient: an event that is hidden by one that nobody heard would be lost. The next delivery does it.
    """
    found = case.deps.state.get(repeats_key(case))
    if found is not None and found.value.get("event") == case.event.id:
        case.deps.state.delete(found.key, expected=found.version)


def given_up(claim: Record, lost: "Future[bool]", case: Case) -> bool:
    """Whether the claim was given back, for another event has said the same. Raises what writing that down raised."""
    is_lost = True
    try:
        is_lost = lost.result()
    finally:
        if is_lost:
            settle(lambda: case.deps.state.delete(claim.key, expected=claim.version), case)
    return is_lost


def claim(key: str, case: Case) -> Record | Terminal | None:
    """The claim; None where the Alert was told already, Terminal where it was found that it cannot be.

    Raises Transient while another invocation is at it.
    """
    found = case.get(key)
    if found is not None:
        if found.value.get("state") == ledger.FAILED:
            return Terminal("an earlier delivery could not tell it")
        if found.value.get("state") != ledger.CLAIMED:
            return None
        wait = ledger.look_again(found.value, case.now)
        if wait > 0:
            raise Transient("another invocation is telling it", reason="Claimed", retry_after=wait)
    value = ledger.outcome_value(ledger.CLAIMED, case.now)
    return case.deps.state.put(key, value, expected=version_of(found))
