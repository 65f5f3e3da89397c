"""``--adopt``: somebody gave ownership to this plane; it moves once, and the other plane then finds itself refused.

The api writes down who asked. Nothing is looked up until a run is refused as ``OwnedByOther``: that same run is made
again with the Lease, the inventory and the objects as ours. It prunes nothing.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from penstock.core.errors import Conflict, PenstockError
from penstock.core.messages import Outgoing
from penstock.core.records import Adoption, adoption_key
from penstock.ports.state import Record
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.lease import OwnedByOther
from penstock.stages.reconcile.outcome import event
from penstock.stages.reconcile.recording import save_events

HOLDS_FOR = timedelta(hours=1)
"""An adoption that was asked for and could not be made is forgotten after this time: nobody expects it any more."""


def adopting(attempt: Attempt, refused: PenstockError) -> Attempt | None:
    """The attempt that takes over, where somebody asked for that; None where the refusal stands."""
    if not isinstance(refused, OwnedByOther) or attempt.adopting or _asked(attempt) is None:
        return None
    return replace(attempt, adopting=True)


def moved(attempt: Attempt, refused: PenstockError) -> list[Outgoing]:
    """The event, after the run: who asked, and whose it was. Nothing where ownership has not moved."""
    if not isinstance(refused, OwnedByOther) or _asked(attempt) is not None:
        return []
    told = f"ownership moved from {refused.owner} to {attempt.owner}, as asked through the api"
    messages = [event(attempt, "info", "Adopted", told)]
    save_events(attempt)
    return messages


def use_up(attempt: Attempt) -> None:
    """Lease and inventory are ours now: who takes them back is not taken from again without being asked."""
    for _ in range(5):
        asked = _asked(attempt)
        if asked is None:
            return
        found, adoption = asked
        try:
            if found.key == _keys(attempt)[0]:
                attempt.deps.state.delete(found.key, expected=found.version)
            else:
                used = replace(adoption, used=tuple(sorted({*adoption.used, attempt.ref})))
                attempt.deps.state.put(found.key, used.to_value(), expected=found.version)
        except Conflict:
            continue
    return


def _asked(attempt: Attempt) -> tuple[Record, Adoption] | None:
    """The record that allows it: of this Kustomization, or of the whole cluster."""
    for key in _keys(attempt):
        found = attempt.deps.state.get(key)
        if found is None:
            continue
        adoption = Adoption.from_value(found.value)
        fresh = attempt.now() < datetime.fromisoformat(adoption.when) + HOLDS_FOR
        if fresh and attempt.ref not in adoption.used:
            return found, adoption
    return None


def _keys(attempt: Attempt) -> tuple[str, str]:
    message = attempt.message
    return adoption_key(message.cluster, message.namespace, message.name), adoption_key(message.cluster)
