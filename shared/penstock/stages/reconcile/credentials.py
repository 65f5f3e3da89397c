"""Copies for the lean stages: what Receivers, Providers and sources refer to, in the plane's own store.

``webhook``, ``fetch`` and ``notify`` read only that store, each what stands there for it, and hold no cluster
credential: a Secret that several of them need is copied once for each. Values come from the Secrets that this very run
applied, else from the home cluster.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from penstock.core.errors import PenstockError
from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.names import FETCH, NOTIFY, WEBHOOK, secret_name
from penstock.core.sources.kinds import FETCHED
from penstock.stages.reconcile.attempt import LOOKS_AFRESH, Attempt, objects
from penstock.stages.reconcile.context import decoded, secret_data
from penstock.stages.reconcile.copies import put_copy
from penstock.stages.reconcile.pull_secrets import copy_pull_secrets, pulls_as
from penstock.stages.reconcile.source_identity import copy_token, logs_in_as

READERS = {"Receiver": WEBHOOK, "Provider": NOTIFY, **dict.fromkeys(FETCHED, FETCH)}
"""Kinds that refer to Secrets, and the stage that reads those."""
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
    """Bring the store's copies up to date.

    ``applied``: the v1 Secrets of this run by ``namespace/name``; ``coming``: Flux objects that are about to be
    stored: whoever finds a Provider must find its Secret. Where a source's credentials changed, that source
    is published. One unreadable Secret stops nothing; whoever needs it says so.
    """
    messages: list[Outgoing] = []
    refers = refers_to_secrets(attempt, coming)
    if not refers and not applied:
        return []
    reread = refers and attempt.message.why in LOOKS_AFRESH
    known = {kind: _known(attempt, kind, coming) for kind in READERS}
    copies = _Copies(attempt=attempt, applied=applied, reread=reread)
    for kind, records in known.items():
        for name, record in records.items():
            changed = [copies.bring(READERS[kind], secret) for secret in _names(name, record)]
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
    copies.look_again()
    return messages


def refers_to_secrets(attempt: Attempt, coming: Sequence[Manifest]) -> bool:
    """Whether this Kustomization has objects that refer to Secrets; the root stands for all of them."""
    if attempt.is_root or any(ref_of(document).kind in READERS for document in coming):
        return True
    return any(kind in READERS for kind, _ in attempt.opening.children)


def _known(attempt: Attempt, kind: str, coming: Sequence[Manifest]) -> dict[str, ObjectRecord]:
    """The objects of a kind, as they will stand when this run ends."""
    known = objects(attempt.deps, attempt.cluster, kind)
    for document in coming:
        ref = ref_of(document)
        name = f"{ref.namespace}/{ref.name}"
        if ref.kind == kind and not (name in known and known[name].implicit):
            known[name] = ObjectRecord(document=document, parent=attempt.ref)
    return known


def _names(name: str, record: ObjectRecord) -> Iterator[str]:
    """The Secrets (``namespace/name``) that an object (``namespace/name``) refers to."""
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
    """Brings Secrets (``namespace/name``) into the store.

    ``known``: what has been brought in this run, and whether it changed: all who share it hear the same. ``read``: what
    was found in the home cluster; ``written``: its copies that were changed by that.
    """

    attempt: Attempt
    applied: Mapping[str, Manifest]
    reread: bool
    known: dict[Hashable, bool] = field(default_factory=dict)
    read: dict[str, Mapping[str, bytes] | None] = field(default_factory=dict, repr=False)
    written: dict[str, list[str]] = field(default_factory=dict)

    def once(self, key: Hashable, bring: Callable[[], bool]) -> bool:
        """What ``bring`` says, which is called for the first who asks."""
        if key not in self.known:
            self.known[key] = bring()
        return self.known[key]

    def bring(self, reader: str, secret: str) -> bool:
        """Copy one Secret for a stage; whether its copy changed."""
        return self.once((reader, secret), lambda: self._bring(reader, secret))

    def _bring(self, reader: str, secret: str) -> bool:
        attempt = self.attempt
        namespace, _, name = secret.partition("/")
        stored_as = secret_name(reader, attempt.cluster, namespace, name)
        fresh = self.applied.get(secret)
        if fresh is not None:
            return put_copy(attempt, stored_as, decoded(fresh))
        if not self.reread and attempt.deps.secrets.get(stored_as) is not None:
            return False
        try:
            return self._from_home(secret, stored_as)
        except PenstockError as error:
            attempt.deps.telemetry.record(
                "secret not copied", cluster=attempt.cluster, namespace=namespace, name=name, reason=error.reason
            )
            return False

    def _from_home(self, secret: str, stored_as: str) -> bool:
        """Copy what the home cluster has; whether the copy changed."""
        attempt, data = self.attempt, self._at_home(secret)
        if data is not None:
            changed = put_copy(attempt, stored_as, data)
        else:
            changed = attempt.deps.secrets.get(stored_as) is not None
            if changed:
                attempt.deps.secrets.delete(stored_as, owner=attempt.uid)
        if changed:
            self.written.setdefault(secret, []).append(stored_as)
        return changed and data is not None

    def look_again(self) -> None:
        """Another run may have applied a Secret, and copied it, between our look and our copy: the last look counts."""
        for secret, names in self.written.items():
            before = self.read.pop(secret)
            with suppress(PenstockError):
                now = self._at_home(secret)
                if now is None or now == before:
                    continue
                for stored_as in names:
                    put_copy(self.attempt, stored_as, now)

    def _at_home(self, secret: str) -> Mapping[str, bytes] | None:
        """Its data in the home cluster, read once for all stages; None where there is none."""
        if secret not in self.read:
            namespace, _, name = secret.partition("/")
            self.read[secret] = secret_data(self.attempt.home(), namespace, name)
        return self.read[secret]
