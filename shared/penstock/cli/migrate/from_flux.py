"""From Flux: inventories first, then Flux is suspended, then fields change hands. No object is changed otherwise.

The order is what makes a kill at any point harmless: while Flux works, the plane refuses to write; when it does not,
the plane knows already what Flux owned.
"""

from penstock.cli.migrate.moving import change, hand_over, store_union, under_lease
from penstock.cli.migrate.side import Side
from penstock.cli.migrate.survey import Move, Survey, list_flux, survey
from penstock.core.errors import Transient
from penstock.core.flux.live import (
    FLUX_MANAGER,
    applied_revision,
    as_suspended,
    in_flight,
    live_spec,
    moved_by,
    suspended_by_others,
)
from penstock.core.records import Suspension
from penstock.core.resources import Manifest
from penstock.ports.cluster import FIELD_MANAGER
from penstock.ports.deps import Deps
from penstock.stages.api.actions import set_switch

ROUNDS = 4
SETTLE = 3.0
"""Seconds until a controller that has just begun has said so in the object's status."""

POLL = 2.0


def move_from_flux(side: Side, found: Survey, deps: Deps, *, timeout: float) -> list[str]:
    """Do it; what was refused, one line each: those are taken over when they next change.

    Raises Transient where Flux is at work after ``timeout`` seconds still: made again, it goes on from there.
    """
    for _ in range(ROUNDS):
        due = [move for move in found.moves if _to_suspend(move)]
        for move in due:
            _suspend(side, move, deps)
        _wait_until_idle(side, found, timeout=timeout, settle=bool(due))
        found = survey(side, found.root)
        if not any(_to_suspend(move) for move in found.moves):
            return _take_over(side, found)
    raise Transient("somebody resumes Flux's Kustomizations all the time: nothing was handed over; try again")


def _to_suspend(move: Move) -> bool:
    return not live_spec(move.live).get("suspend") or moved_by(move.live) != str(move.owner)


def _suspend(side: Side, move: Move, deps: Deps) -> None:
    """The plane knows what it owns; then Flux leaves it alone.

    A child's manifest in Git can't undo that: its parent, which would apply it, is suspended before it.
    """
    if suspended_by_others(move.live):
        _suspend_here(side, move, deps)

    def work() -> None:
        store_union(move.target, move.owner, move.entries, applied_revision(move.live))
        change(side.home, move.live, lambda live: as_suspended(live, str(move.owner)))

    under_lease(side, move.target, move.owner, work)
    side.say(f"{move.name}: {len(move.entries)} objects are in the plane's inventory, suspended in Flux")


def _suspend_here(side: Side, move: Move, deps: Deps) -> None:
    since = side.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    switch = Suspension(who="penstock migrate", why="it was suspended in Flux", since=since)
    set_switch(deps, (side.name, move.owner.namespace, move.owner.name), switch)


def _wait_until_idle(side: Side, found: Survey, *, timeout: float, settle: bool) -> None:
    """Until no run of kustomize-controller that had begun before goes on."""
    if settle:
        side.clock.sleep(SETTLE)
    end = side.clock.monotonic() + timeout
    names = {move.name for move in found.moves}
    told = False
    while True:
        live: dict[str, Manifest] = list_flux(side.home)
        busy = sorted(name for name in names & live.keys() if in_flight(live[name]))
        if not busy:
            return
        if side.clock.monotonic() > end:
            raise Transient(
                f"Flux is still at work on {', '.join(busy[:5])}: run this again when it has ended, or with a longer "
                "--timeout; what is done so far is safe"
            )
        if not told:
            side.say(f"waiting until Flux has ended its runs of {', '.join(busy[:5])}")
            told = True
        side.clock.sleep(POLL)


def _take_over(side: Side, found: Survey) -> list[str]:
    problems: list[str] = []
    for move in found.moves:
        store_union(move.target, move.owner, move.entries, applied_revision(move.live))
        number, refused = hand_over(move, owner=move.name, giver=FLUX_MANAGER, taker=FIELD_MANAGER)
        problems += [f"{move.name}: {each}" for each in refused]
        side.say(f"{move.name}: the fields of {number} objects are the plane's")
    return problems
