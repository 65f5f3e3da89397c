"""The schedules of faults can fail: of each of these broken engines one is found that ends badly.

What is broken is one promise at a time; each begins with a schedule that is known to find it, and how many more it may
take is bounded. Not found in 60 schedules, because something else keeps the promise, too: a Lease without compare-and-swap, an
old plan carried out, deletions without preconditions, one of the two looks at another plane's owner.
"""

from dataclasses import replace
from unittest import mock

import pytest
from tests.chaos.faults.decisions import KINDS
from tests.chaos.faults.shrink import run

from penstock.core.notify import ledger as sent
from penstock.core.reconcile.inventory import Inventory
from penstock.stages.fetch import wake
from penstock.stages.notify import claims as notify_claims
from penstock.stages.reconcile import attempt, due, execute, planning
from penstock.stages.tick import putting_off

MOST = 200


def patched(module, name, made):
    """``made``: what stands in the place of a function, made of it."""
    return mock.patch.object(module, name, made(getattr(module, name)))


def inventory_after_the_apply(original):
    return lambda attempt, source, target, planned: planned.ledger


def claims_of_nobody(original):
    """notify sends whatever comes, as often as it comes."""

    def made(key, case):
        value = sent.outcome_value(sent.CLAIMED, case.now)
        return case.deps.state.put(key, value, expected=None)

    return made


def nobody_waited_for(original):
    """What left a render is deleted at once, though others may render it now."""
    return lambda *arguments: due.Due()


def nothing_handed_over(original):
    """What others render is not looked at."""
    return lambda *arguments: replace(original(*arguments), claimed={}, taken=frozenset())


def an_inventory_without_what_failed(original):
    """What could not be deleted is forgotten."""
    return lambda planned, undeleted: Inventory(
        owner=planned.ledger.inventory.owner,
        entries=dict(planned.wanted),
        resource_version=planned.ledger.inventory.resource_version,
        uid=planned.ledger.inventory.uid,
    )


def a_clock_that_finds_nothing(original):
    return lambda turn, wanted: []


def who_never_ran_not_expected(original):
    return lambda *arguments: None


def silence_of_the_killed(original):
    """What a killed run had written down to tell is not told by the next delivery."""
    return lambda *arguments: []


def suspended_ones_not_asked(original):
    """What moved to a suspended Kustomization counts as nobody's."""

    def made(attempt, *arguments, **options):
        due = original(attempt, *arguments, **options)
        others = [tuple(name for name in names if name not in due.resting) for names in (due.unrendered, due.everybody)]
        return replace(due, unrendered=others[0], everybody=others[1])

    return made


def believed_inventory(original):
    """What the cluster's inventory says is all there is, whoever has emptied it."""

    def made(*arguments):
        found = original(*arguments)
        return found if found.trusted else replace(found, trusted=True, inventory=replace(found.inventory, entries={}))

    return made


BROKEN = {
    "the inventory is written after the apply": (execute, "_store_union", inventory_after_the_apply, 1023),
    "notify has no idempotency key": (notify_claims, "claim", claims_of_nobody, 1023),
    "deletions wait for nobody's render": (planning, "renders_due", nobody_waited_for, 98618),
    "nothing is handed over": (planning, "ownership", nothing_handed_over, 113140),
    "what could not be deleted is forgotten": (execute, "_after", an_inventory_without_what_failed, 17940),
    "tick publishes nothing": (putting_off.Turn, "put_off", a_clock_that_finds_nothing, 151784),
    "who never ran is not in the due index": (wake, "_expect", who_never_ran_not_expected, 209924),
    "what a killed run had to tell is not told": (attempt, "unpublished", silence_of_the_killed, 168302),
    "an emptied inventory is believed": (planning, "load_ledger", believed_inventory, 1048864),
    "what moves to a suspended one is deleted": (due, "_due", suspended_ones_not_asked, 138),
}


def hunted(most):
    """Schedules of all sorts, spread over the combinations."""
    return [(number * 389) % (1 << len(KINDS)) for number in range(1, most + 1)]


def found(broken, most=MOST):
    """(schedules that it took, the last one's number, what did not hold); None where nothing was found."""
    module, name, made, *known = broken
    with patched(module, name, made):
        for number, seed in enumerate([*known, *hunted(most)], 1):
            failure = run(seed)
            if failure is not None:
                return number, seed, failure.problem
    return None


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_engine_is_found(what):
    assert found(BROKEN[what]) is not None
