"""Copies for the lean stages: what Receivers, Providers and sources refer to, in the plane's own store.

``webhook``, ``fetch`` and ``notify`` read only that store and hold no cluster credential. Values come from the
Secrets that this very run applied, else from the home cluster.
"""

from collections.abc import Iterator, Mapping, Sequence

from penstock.core.errors import PenstockError
from penstock.core.flux.receiver import index_entry, parse_receiver
from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord, receiver_key
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.names import secret_name
from penstock.core.sources.kinds import FETCHED
from penstock.stages.reconcile.attempt import LOOKS_AFRESH, Attempt, objects
from penstock.stages.reconcile.context import decoded, secret_data
from penstock.stages.reconcile.index import children

REFERRERS = ("Receiver", "Provider", *FETCHED)
_FIELDS = ("secretRef", "certSecretRef", "proxySecretRef")


def copy_credentials(
    attempt: Attempt, applied: Mapping[str, Manifest], coming: Sequence[Manifest] = ()
) -> list[Outgoing]:
    """Bring the store's copies and the Receiver index up to date.

    ``applied``: the v1 Secrets of this run by ``namespace/name``; ``coming``: Flux objects that are about to be
    stored: whoever finds a Provider must find its Secret. Where a source's credentials changed, that source
    is published. One unreadable Secret stops nothing; whoever needs it says so.
    """
    messages: list[Outgoing] = []
    refers = _refers(attempt, coming)
    if not refers and not applied:
        return []
    reread = refers and attempt.message.why in LOOKS_AFRESH
    receivers = {}
    for kind in REFERRERS:
        for name, record in _known(attempt, kind, coming).items():
            changed = False
            for secret in _referred(record):
                changed |= _copy(attempt, name.partition("/")[0], secret, applied, reread=reread)
            if kind == "Receiver":
                receivers[name] = record
            elif kind in FETCHED and changed:
                messages.append(Outgoing(message=_source(attempt, kind, name, record)))
    _index_receivers(attempt, receivers)
    return messages


def forget_receiver(attempt: Attempt, name: str) -> None:
    """Take no more deliveries for a Receiver (``namespace/name``) that is not declared any more."""
    for entry in attempt.deps.state.list("receiver/"):
        if entry.key.split("/", 2)[2] == f"{attempt.cluster}/{name}":
            attempt.deps.state.delete(entry.key, expected=None)


def _refers(attempt: Attempt, coming: Sequence[Manifest]) -> bool:
    """Whether this Kustomization has objects that refer to Secrets; the root stands for all of them."""
    if attempt.is_root or any(ref_of(document).kind in REFERRERS for document in coming):
        return True
    return any(kind in REFERRERS for kind, _ in children(attempt.deps, attempt.cluster, attempt.ref))


def _known(attempt: Attempt, kind: str, coming: Sequence[Manifest]) -> dict[str, ObjectRecord]:
    """The objects of a kind, as they will stand when this run ends."""
    known = objects(attempt.deps, attempt.cluster, kind)
    for document in coming:
        ref = ref_of(document)
        name = f"{ref.namespace}/{ref.name}"
        if ref.kind == kind and not (name in known and known[name].implicit):
            known[name] = ObjectRecord(document=document, parent=attempt.ref)
    return known


def _referred(record: ObjectRecord) -> Iterator[str]:
    spec = record.document.get("spec") or {}
    for name in _FIELDS:
        reference = spec.get(name)
        if isinstance(reference, Mapping) and reference.get("name"):
            yield str(reference["name"])


def _source(attempt: Attempt, kind: str, name: str, record: ObjectRecord) -> SourceChanged:
    namespace, _, leaf = name.partition("/")
    home = PLANE if record.implicit else attempt.cluster
    return SourceChanged(cluster=home, kind=kind, namespace=namespace, name=leaf)


def _copy(attempt: Attempt, namespace: str, name: str, applied: Mapping[str, Manifest], *, reread: bool) -> bool:
    """Copy one Secret into the store; whether the store changed."""
    stored_as = secret_name(attempt.cluster, namespace, name)
    fresh = applied.get(f"{namespace}/{name}")
    if fresh is not None:
        return attempt.deps.secrets.put(stored_as, decoded(fresh), owner=attempt.uid)
    if not reread and attempt.deps.secrets.get(stored_as) is not None:
        return False
    try:
        data = secret_data(attempt.home(), namespace, name)
        if data is None:
            attempt.deps.secrets.delete(stored_as, owner=attempt.uid)
            return False
        return attempt.deps.secrets.put(stored_as, data, owner=attempt.uid)
    except PenstockError as error:
        attempt.deps.telemetry.record(
            "secret not copied", cluster=attempt.cluster, namespace=namespace, name=name, reason=error.reason
        )
        return False


def _index_receivers(attempt: Attempt, receivers: Mapping[str, ObjectRecord]) -> None:
    """``receiver/<digest>/…`` for each Receiver whose token is known; entries of old tokens and Receivers vanish."""
    wanted = {}
    for name, record in receivers.items():
        receiver = parse_receiver(record.document)
        reference = (record.document.get("spec") or {}).get("secretRef") or {}
        ref = ref_of(record.document)
        held = attempt.deps.secrets.get(secret_name(attempt.cluster, ref.namespace, str(reference.get("name", ""))))
        token = (held or {}).get("token", b"")
        if not token:
            attempt.deps.telemetry.record(
                "receiver without token", cluster=attempt.cluster, namespace=ref.namespace, name=name
            )
            continue
        entry = index_entry(
            receiver, attempt.cluster, token, cross_namespace=not attempt.policy.no_cross_namespace_refs
        )
        wanted[receiver_key(entry.digest, attempt.cluster, entry.namespace, entry.name)] = entry.to_value()
    state = attempt.deps.state
    for entry_record in state.list("receiver/"):
        if entry_record.key.split("/")[2] == attempt.cluster and entry_record.key not in wanted:
            state.delete(entry_record.key, expected=None)
    for key, value in wanted.items():
        current = state.get(key)
        if current is None or current.value != value:
            state.put(key, value, expected=None)
