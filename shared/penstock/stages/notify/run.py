"""notify: tells the Providers of the Alerts that ask for an event. Publishes nothing, so nothing here goes in circles.

At least once: each Alert is claimed before it is told and marked afterwards, so a redelivery tells nobody twice; only
an invocation that dies between the Provider's answer and the mark makes the next one tell again. What may go away
(429, 5xx, no connection, a Secret that is not there yet) is raised as Transient after all the others were told; what
will not (4xx, a wrong document) is recorded and left.

What telling asks of the records is read at once when it is known who is told; a write names the version that was read,
and where somebody else has written since, the record is read again.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from penstock.core.errors import PenstockError, Terminal, Transient
from penstock.core.messages import Event, Outgoing
from penstock.core.notify import ledger
from penstock.core.notify.match import own_failure
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT
from penstock.stages.notify.case import Case, Concerned, keys_of, repeats_key
from penstock.stages.notify.claims import is_open, is_other, said_by_other, unsay
from penstock.stages.notify.concerned import concerned
from penstock.stages.notify.telling import told

_AT_ONCE = 8
"""Providers told at the same time: one that hangs does not hold up the others."""
MOST_SWEPT = 200
"""Records that one run deletes: it has its own work to end in time."""


def run(event: Event, deps: Deps) -> list[Outgoing]:
    """Tells everyone whom the event concerns. Raises Transient where somebody is to be tried again."""
    if own_failure(event):
        deps.telemetry.record("event not told", trace=deps.trace, reason="OwnFailure", detail=event.message)
        return []
    case = Case(event=event, deps=deps)
    asking = list(concerned(case))
    if not asking:
        return []
    case.read(keys_of(case, asking))
    repeated, outcomes = _tell_all(asking, case)
    if repeated:
        deps.telemetry.record("event not told", trace=deps.trace, reason="Repeated", cluster=event.cluster)
        return []
    failures = [each for each in outcomes if isinstance(each, Transient)]
    if all(isinstance(each, Terminal) for each in outcomes):
        unsay(case)
    _sweep(case)
    if failures:
        waits = [each.retry_after for each in failures if each.retry_after is not None]
        raise Transient(
            f"{len(failures)} of {len(asking)} notifications could not be sent: {failures[0]}",
            reason=failures[0].reason,
            retry_after=max(waits, default=None),
        )
    return []


def _tell_all(asking: Sequence[Concerned], case: Case) -> tuple[bool, list[PenstockError | None]]:
    """Whether another event has said the same; if not, the outcome of each Alert.

    That this one says it now is written down while the Alerts are claimed: nobody is told before both are certain. A
    delivery that finds all of them told already says nothing, or it would hide another event's words.
    """
    found = case.get(repeats_key(case))
    if is_other(found, case):
        return True, []
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(asking) + 1)) as pool:
        says = any(is_open(cluster, alert, case) for cluster, alert in asking)
        lost = pool.submit(lambda: says and said_by_other(found, case))
        outcomes = list(pool.map(lambda pair: told(pair[0], pair[1], lost, case), asking))
    return lost.result(), outcomes


def _sweep(case: Case) -> None:
    """Once a day, the records that no redelivery can ask for any more go; some of them with each run."""
    deps = case.deps
    today = deps.clock.now().date()
    try:
        swept = case.get(ledger.SWEPT_KEY)
        days = ledger.days_to_sweep(swept.value if swept else None, today)
        left = MOST_SWEPT
        for day in days:
            for record in islice(deps.state.scan(f"sent/{day}/"), left):
                deps.state.delete(record.key, expected=None)
                left -= 1
        if days and left:
            value, expected = ledger.swept_value(today), swept.version if swept else ABSENT
            deps.state.put(ledger.SWEPT_KEY, value, expected=expected)
    except Transient as error:
        deps.telemetry.record("notifications not swept", reason=error.reason, detail=str(error))
