"""Copies for the lean stages: what Receivers, Providers and sources refer to, in the plane's own store.

``webhook``, ``fetch`` and ``notify`` read only that store and hold no cluster credential. Values come from the
Secrets that this very run applied, else from the home cluster.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from penstock.core.errors import PenstockError
from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.names import secret_name
from penstock.core.secrets.rotation import rotated
from penstock.core.sources.kinds import FETCHED
from penstock.stages.reconcile.attempt import LOOKS_AFRESH, Attempt, objects
from penstock.stages.reconcile.context import decoded, secret_data
from penstock.stages.reconcile.pull_secrets import copy_pull_secrets, pulls_as
from penstock.stages.reconcile.receivers import index_receivers
from penstock.stages.reconcile.source_identity import copy_token, logs_in_as

REFERRERS = ("Receiver", "Provider", *FETCHED)
_FIELDS = (
    ("secretRef",),
    ("certSecretRef",),
    ("proxySecretRef",),
    ("verify", "secretRef"),
    ("verify", "trustedRootSecretRef"),
    ("sts", "secretRef"),
    ("sts", "certSecretRef"),
)
"""Where in a spec a Secret is named."""


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
    known = {kind: _known(attempt, kind, coming) for kind in REFERRERS}
    copies = _Copies(attempt=attempt, applied=applied, reread=reread, tokens=frozenset(_names(known["Receiver"])))
    for kind, records in known.items():
        for name, record in records.items():
            changed = [copies.bring(secret) for secret in _names({name: record})]
            account = pulls_as(record.document)
            namespace = name.partition("/")[0]
            if account:
                pulls = partial(copy_pull_secrets, attempt, namespace, account, reread=reread)
                changed.append(copies.once(("pull secrets", namespace, account), pulls))
            provider, account = logs_in_as(record.document) if kind in FETCHED else ("", "")
            if provider:
                token = partial(copy_token, attempt, namespace, provider, account, reread=reread)
                changed.append(copies.once(("token", namespace, provider, account), token))
            if kind in FETCHED and any(changed):
                messages.append(Outgoing(message=_source(attempt, kind, name, record)))
    index_receivers(attempt, known["Receiver"])
    return messages


def _refers(attempt: Attempt, coming: Sequence[Manifest]) -> bool:
    """Whether this Kustomization has objects that refer to Secrets; the root stands for all of them."""
    if attempt.is_root or any(ref_of(document).kind in REFERRERS for document in coming):
        return True
    return any(kind in REFERRERS for kind, _ in attempt.opening.children)


def _known(attempt: Attempt, kind: str, coming: Sequence[Manifest]) -> dict[str, ObjectRecord]:
    """The objects of a kind, as they will stand when this run ends."""
    known = objects(attempt.deps, attempt.cluster, kind)
    for document in coming:
        ref = ref_of(document)
        name = f"{ref.namespace}/{ref.name}"
        if ref.kind == kind and not (name in known and known[name].implicit):
            known[name] = ObjectRecord(document=document, parent=attempt.ref)
    return known


def _names(records: Mapping[str, ObjectRecord]) -> Iterator[str]:
    """The Secrets (``namespace/name``) that objects (by ``namespace/name``) refer to."""
    for name, record in records.items():
        for path in _FIELDS:
            found: Any = record.document.get("spec")
            for step in (*path, "name"):
                found = found.get(step) if isinstance(found, Mapping) else None
            if found:
                yield f"{name.partition('/')[0]}/{found}"


def _source(attempt: Attempt, kind: str, name: str, record: ObjectRecord) -> SourceChanged:
    namespace, _, leaf = name.partition("/")
    home = PLANE if record.implicit else attempt.cluster
    return SourceChanged(cluster=home, kind=kind, namespace=namespace, name=leaf)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Copies:
    """Brings Secrets (``namespace/name``) into the store. ``tokens``: those whose token before is kept, too.

    ``known``: what has been brought in this run, and whether it changed: all who share it hear the same.
    """

    attempt: Attempt
    applied: Mapping[str, Manifest]
    reread: bool
    tokens: Collection[str]
    known: dict[Hashable, bool] = field(default_factory=dict)

    def once(self, key: Hashable, bring: Callable[[], bool]) -> bool:
        """What ``bring`` says, which is called for the first who asks."""
        if key not in self.known:
            self.known[key] = bring()
        return self.known[key]

    def bring(self, secret: str) -> bool:
        """Copy one Secret; whether the store changed."""
        return self.once(secret, lambda: self._bring(secret))

    def _bring(self, secret: str) -> bool:
        attempt = self.attempt
        namespace, _, name = secret.partition("/")
        stored_as = secret_name(attempt.cluster, namespace, name)
        fresh = self.applied.get(secret)
        if fresh is not None:
            return self._put(secret, stored_as, decoded(fresh))
        if not self.reread and attempt.deps.secrets.get(stored_as) is not None:
            return False
        try:
            data = secret_data(attempt.home(), namespace, name)
            if data is None:
                attempt.deps.secrets.delete(stored_as, owner=attempt.uid)
                return False
            return self._put(secret, stored_as, data)
        except PenstockError as error:
            attempt.deps.telemetry.record(
                "secret not copied", cluster=attempt.cluster, namespace=namespace, name=name, reason=error.reason
            )
            return False

    def _put(self, secret: str, stored_as: str, data: Mapping[str, bytes]) -> bool:
        deps = self.attempt.deps
        if secret in self.tokens and self.attempt.policy.receiver_token_grace:
            data = rotated(deps.secrets.get(stored_as), data)
        return deps.secrets.put(stored_as, data, owner=self.attempt.uid)
