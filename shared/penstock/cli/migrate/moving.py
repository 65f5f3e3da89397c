"""What both directions do: inventories, field managers and Flux's own objects, each by compare-and-swap.

Every step may be killed and made again: what is as it should be is not written.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from penstock.cli.migrate.side import Side
from penstock.cli.migrate.survey import Move, stored_inventory
from penstock.core.errors import Conflict, PenstockError, Transient
from penstock.core.reconcile.inventory import Inventory, Owner, Shown, to_config_map
from penstock.core.reconcile.managers import handed_over, with_managed_fields
from penstock.core.reconcile.plan import owner_of
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile import lease
from penstock.stages.reconcile.home import create_at_home
from penstock.stages.reconcile.parallel import parallel

ATTEMPTS = 5
HELD_FOR = 180.0
T = TypeVar("T")


def under_lease(side: Side, target: Cluster, owner: Owner, work: Callable[[], T]) -> T:
    """``work`` while no run of the plane can write for this Kustomization. Raises Transient where one goes on long."""
    end = side.clock.monotonic() + HELD_FOR
    while True:
        try:
            claim = lease.acquire(target, owner, lease.Holder(name=side.clock.new_id()), side.clock)
        except lease.Held:
            if side.clock.monotonic() > end:
                raise
            side.clock.sleep(2.0)
            continue
        try:
            return work()
        finally:
            lease.release(target, claim)


def store_union(target: Cluster, owner: Owner, entries: Mapping[ObjectRef, str], revision: str) -> bool:
    """Our inventory holds ``entries``, beside what it held; whether that took a write.

    Raises Refused (``OwnedByOther``), Terminal where what is stored cannot be read.
    """
    for _ in range(ATTEMPTS):
        known = stored_inventory(target, owner)
        if known is not None and set(entries) <= set(known.entries):
            return False
        before = known or Inventory(owner=str(owner), revision=revision)
        wanted = replace(before, entries={**before.entries, **entries})
        manifest = to_config_map(wanted, owner, Shown(message="moved here from Flux", last_applied_revision=revision))
        try:
            target.replace(manifest) if known is not None else create_at_home(target, manifest)
        except Conflict:
            continue
        return True
    raise Transient(f"the inventory of {owner.namespace}/{owner.name} is being written by others all the time")


def change(cluster: Cluster, live: Manifest, wanted: Callable[[Manifest], Manifest | None]) -> bool:
    """Replace an object by what ``wanted`` makes of it as it stands now; None or the same is no write, gone neither."""
    for _ in range(ATTEMPTS):
        made = wanted(live)
        if made is None or made == live:
            return False
        try:
            cluster.replace(made)
        except Conflict:
            fresh = cluster.get(gvk_of(live), str(live["metadata"].get("namespace") or ""), live["metadata"]["name"])
            if fresh is None:
                return False
            live = fresh
            continue
        return True
    raise Transient(f"{ref_of(live)} is changed by others all the time")


def hand_over(move: Move, *, owner: str, giver: str, taker: str) -> tuple[int, list[str]]:
    """Make the fields that ``giver`` holds of a Kustomization's objects ``taker``'s; how many, and what was refused.

    ``owner``: only of objects that carry its labels: others have a new owner already.
    """

    def mine(live: Manifest) -> Manifest | None:
        entries = handed_over(live, giver=giver, taker=taker)
        if entries is None or owner_of(live) != owner:
            return None
        return with_managed_fields(live, entries)

    def one(live: Manifest) -> bool | PenstockError:
        try:
            return change(move.target, live, mine)
        except PenstockError as error:
            return error

    found = parallel([live for live in move.objects.values() if live is not None], one)
    return sum(each is True for each in found), [str(each) for each in found if isinstance(each, PenstockError)]
