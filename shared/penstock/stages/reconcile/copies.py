"""One copy in the plane's own store, for the stage that its name says (core.secrets.names)."""

from collections.abc import Mapping

from penstock.core.secrets.names import OWN, WEBHOOK, for_reader
from penstock.core.secrets.rotation import TOKEN, rotated
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.copied import remember


def put_copy(attempt: Attempt, stored_as: str, data: Mapping[str, bytes]) -> bool:
    """Store it; whether the store changed. Of a Receiver's token the one before is kept for a while.

    Before names had a reader there was one copy for all stages, under what is the plane's own name now: the first copy
    under a reader's takes over what that one remembers, and removes it.
    """
    secrets = attempt.deps.secrets
    held = secrets.get(stored_as)
    if held is None:
        remember(attempt, (stored_as,), anew=True)
        former = for_reader(OWN, stored_as)
        held = secrets.get(former)
        secrets.delete(former, owner=attempt.uid)
    elif held.get(TOKEN) != data.get(TOKEN):  # this process may still know the one before last
        held = secrets.get(stored_as, newest=True)
    if stored_as.startswith(f"{WEBHOOK}_") and attempt.policy.receiver_token_grace:
        data = rotated(held, data)
    changed = secrets.put(stored_as, data, owner=attempt.uid)
    attempt.opening.stored |= changed
    return changed
