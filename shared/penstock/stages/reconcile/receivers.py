"""The index of Receivers: by the last part of a webhook's path, what the webhook has to know of it.

A token that was replaced keeps its path for a while (policy.receiverTokenGrace): the sender has to be told the new one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from penstock.core.errors import PenstockError
from penstock.core.flux.receiver import index_entry, parse_receiver
from penstock.core.records import ObjectRecord, ReceiverRecord, receiver_key
from penstock.core.resources import ref_of
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.core.secrets.rotation import PREVIOUS, TOKEN, ended, ends
from penstock.stages.reconcile.attempt import Attempt


def index_receivers(attempt: Attempt, receivers: Mapping[str, ObjectRecord]) -> None:
    """``receiver/<digest>/…`` for each Receiver whose token is known; entries of old tokens and Receivers vanish."""
    state = attempt.deps.state
    known = {
        each.key: ReceiverRecord.from_value(each.value)
        for each in state.list("receiver/")
        if each.key.split("/")[2] == attempt.cluster
    }
    wanted = {}
    for name, record in receivers.items():
        for entry in _entries(attempt, name, record):
            key = receiver_key(entry.digest, attempt.cluster, entry.namespace, entry.name)
            if entry.until:
                before = known[key].until if key in known else ""
                entry = replace(entry, until=before or entry.until)  # noqa: PLW2901 - the same one
                if ended(entry.until, attempt.now()) and _forget_token(attempt, entry.secret):
                    continue
            wanted[key] = entry
    for key in known.keys() - wanted.keys():
        state.delete(key, expected=None)
    for key, entry in wanted.items():
        if known.get(key) != entry:
            state.put(key, entry.to_value(), expected=None)


def forget_receiver(attempt: Attempt, name: str) -> None:
    """Take no more deliveries for a Receiver (``namespace/name``) that is not declared any more."""
    for entry in attempt.deps.state.list("receiver/"):
        if entry.key.split("/", 2)[2] == f"{attempt.cluster}/{name}":
            attempt.deps.state.delete(entry.key, expected=None)


def _entries(attempt: Attempt, name: str, record: ObjectRecord) -> Iterator[ReceiverRecord]:
    """The Receiver's entry, and the one for the token before where the store still has it."""
    receiver = parse_receiver(record.document)
    reference = (record.document.get("spec") or {}).get("secretRef") or {}
    ref = ref_of(record.document)
    stored_as = secret_name(WEBHOOK, attempt.cluster, ref.namespace, str(reference.get("name", "")))
    held = attempt.deps.secrets.get(stored_as) or {}
    if not held.get(TOKEN):
        attempt.deps.telemetry.record(
            "receiver without token", cluster=attempt.cluster, namespace=ref.namespace, name=name
        )
        return
    policy = attempt.policy
    cross_namespace = not policy.no_cross_namespace_refs
    yield index_entry(receiver, attempt.cluster, held[TOKEN], cross_namespace=cross_namespace)
    if held.get(PREVIOUS):
        before = index_entry(receiver, attempt.cluster, held[PREVIOUS], cross_namespace=cross_namespace)
        yield replace(before, until=ends(attempt.now(), policy.receiver_token_grace))


def _forget_token(attempt: Attempt, secret: str) -> bool:
    """Take the token before out of the store; False where the Secret is not the plane's to change."""
    secrets = attempt.deps.secrets
    held = secrets.get(secret) or {}
    try:
        secrets.put(secret, {key: item for key, item in held.items() if key != PREVIOUS}, owner=attempt.uid)
    except PenstockError:
        return False
    return True
