"""The index of Receivers: by the last part of a webhook's path, what the webhook has to know of it.

A token that was replaced keeps its path for a while (policy.receiverTokenGrace): the sender has to be told the new one.

Runs of several Kustomizations of a cluster may be at it at once. ``hooked/<cluster>`` names the entries that there are,
or are being written or deleted, and is written by compare-and-swap around that. It is read before the Receivers are,
and those are stored before it is written: who has seen too little finds it written by somebody else, and looks again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from penstock.core.errors import Conflict, PenstockError
from penstock.core.flux.receiver import index_entry, parse_receiver
from penstock.core.records import FORMAT, ObjectRecord, ReceiverRecord, hooked_key, receiver_key
from penstock.core.resources import ref_of
from penstock.core.secrets.names import WEBHOOK, secret_name
from penstock.core.secrets.rotation import PREVIOUS, TOKEN, ended, ends
from penstock.ports.state import ABSENT, Record, State
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.index import write_indexed

KIND = "Receiver"
TRIES = 5


def index_receivers(attempt: Attempt, gone: Collection[str] = ()) -> None:
    """``receiver/<digest>/…`` for each Receiver whose token is known; entries of old tokens and Receivers vanish.

    To be called when this run's children are stored. ``gone``: the ``child/`` entries of Receivers whose records are
    gone. They go last: who finds one after a kill calls this again. Raises Conflict where others write it all the time.
    """
    write_indexed(attempt.deps.state, adds=(), removes=gone, write=partial(_index, attempt))


def _index(attempt: Attempt) -> None:
    state, key = attempt.deps.state, hooked_key(attempt.cluster)
    hooked = attempt.opening.records.get(key)
    for _ in range(TRIES):
        try:
            return _bring_up_to_date(attempt, hooked)
        except Conflict:
            hooked = state.get(key)
    raise Conflict(f"the index of Receivers of {attempt.cluster} is being written by others all the time")


def _bring_up_to_date(attempt: Attempt, hooked: Record | None) -> None:
    """One try; without a write where nothing is new. Raises Conflict where somebody else has written meanwhile."""
    state, prefix = attempt.deps.state, f"object/{attempt.cluster}/{KIND}/"
    keys = _entry_keys(attempt, hooked)
    reads = state.read(keys, [prefix])
    known = {key: ReceiverRecord.from_value(record.value) for key, record in reads.records.items()}
    receivers = [ObjectRecord.from_value(each.value) for each in reads.lists[prefix]]
    wanted = _wanted(attempt, receivers, known, newest=False)
    if wanted != known:  # the token may be one that this process remembers, and another has replaced
        wanted = _wanted(attempt, receivers, known, newest=True)
    hooked = _write_hooked(attempt, hooked, known.keys() | wanted.keys())
    for key in sorted(known.keys() - wanted.keys()):
        state.delete(key, expected=reads.records[key].version)
    _write_entries(state, {key: entry for key, entry in wanted.items() if known.get(key) != entry})
    _write_hooked(attempt, hooked, wanted)


def _write_entries(state: State, entries: Mapping[str, ReceiverRecord]) -> None:
    """Entries that are new, or other than they were; one may be there unnamed (see _entry_keys)."""
    there = state.read(sorted(entries)).records if entries else {}
    for key, entry in sorted(entries.items()):
        state.put(key, entry.to_value(), expected=there[key].version if key in there else ABSENT)


def _entry_keys(attempt: Attempt, hooked: Record | None) -> list[str]:
    """The keys of the cluster's entries; found among all clusters' where nobody wrote them down.

    A release without ``hooked/`` that was put back for a while may have written others.
    """
    if hooked is not None:
        return [str(key) for key in hooked.value["entries"]]
    everywhere = attempt.deps.state.list("receiver/")
    return [each.key for each in everywhere if each.key.split("/")[2] == attempt.cluster]


def _write_hooked(attempt: Attempt, hooked: Record | None, keys: Iterable[str]) -> Record:
    """The record as it stands, with these keys: written where it says something else. Raises Conflict."""
    value = {"format": FORMAT, "entries": sorted(keys)}
    if hooked is not None and hooked.value == value:
        return hooked
    version = hooked.version if hooked is not None else ABSENT
    return attempt.deps.state.put(hooked_key(attempt.cluster), value, expected=version)


def _wanted(
    attempt: Attempt, receivers: list[ObjectRecord], known: Mapping[str, ReceiverRecord], *, newest: bool
) -> dict[str, ReceiverRecord]:
    """The entries that there should be, by key. ``newest``: the secrets as they are in their store now."""
    wanted = {}
    for record in receivers:
        for entry in _entries(attempt, record, newest=newest):
            key = receiver_key(entry.digest, attempt.cluster, entry.namespace, entry.name)
            if entry.until:
                before = known[key].until if key in known else ""
                entry = replace(entry, until=before or entry.until)  # noqa: PLW2901 - the same one
                if ended(entry.until, attempt.now()) and _forget_token(attempt, entry.secret):
                    continue
            wanted[key] = entry
    return wanted


def _entries(attempt: Attempt, record: ObjectRecord, *, newest: bool) -> Iterator[ReceiverRecord]:
    """The Receiver's entry, and the one for the token before where the store still has it."""
    receiver = parse_receiver(record.document)
    reference = (record.document.get("spec") or {}).get("secretRef") or {}
    ref = ref_of(record.document)
    stored_as = secret_name(WEBHOOK, attempt.cluster, ref.namespace, str(reference.get("name", "")))
    held = attempt.deps.secrets.get(stored_as, newest=newest) or {}
    if not held.get(TOKEN):
        attempt.deps.telemetry.record(
            "receiver without token", cluster=attempt.cluster, namespace=ref.namespace, name=ref.name
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
