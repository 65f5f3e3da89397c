"""Who refers to Secrets (Receivers, Providers, sources), to which, and what their copies are called."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.names import FETCH, NOTIFY, WEBHOOK, account_token_name, pull_secrets_name, secret_name
from penstock.core.sources.kinds import FETCHED
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.pull_secrets import pulls_as
from penstock.stages.reconcile.source_identity import logs_in_as

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Referring:
    """An object (``namespace/name``) that refers to Secrets. ``is_new``: its record does not say so yet.

    ``leaves``: its record says so still, but it is not rendered any more.
    """

    kind: str
    name: str
    record: ObjectRecord
    is_new: bool = False
    leaves: bool = False

    @property
    def namespace(self) -> str:
        """Of the object, and so of what it refers to."""
        return self.name.partition("/")[0]

    def secrets(self) -> Iterator[str]:
        """The Secrets (``namespace/name``) that it names."""
        for path in _FIELDS:
            found: Any = self.record.document.get("spec")
            for step in (*path, "name"):
                found = found.get(step) if isinstance(found, Mapping) else None
            if found:
                yield f"{self.namespace}/{found}"

    def copies(self, cluster: str) -> Iterator[str]:
        """The store's names of all that is copied for it."""
        reader = READERS[self.kind]
        for secret in self.secrets():
            yield secret_name(reader, cluster, *secret.split("/"))
        pulls = pulls_as(self.record.document)
        if pulls:
            yield secret_name(FETCH, cluster, self.namespace, pull_secrets_name(pulls))
        provider, account = logs_in_as(self.record.document) if self.kind in FETCHED else ("", "")
        if provider:
            yield secret_name(FETCH, cluster, self.namespace, account_token_name(provider, account))

    def published(self, cluster: str) -> Outgoing:
        """Of a source: look at it."""
        namespace, _, leaf = self.name.partition("/")
        home = PLANE if self.record.implicit else cluster
        return Outgoing(message=SourceChanged(cluster=home, kind=self.kind, namespace=namespace, name=leaf))


def refers_to_secrets(attempt: Attempt, coming: Sequence[Manifest]) -> bool:
    """Whether this Kustomization has objects that refer to Secrets; the root stands for all of them."""
    if attempt.is_root or any(ref_of(document).kind in READERS for document in coming):
        return True
    return any(kind in READERS for kind, _ in attempt.opening.children)


def referring(attempt: Attempt, coming: Sequence[Manifest]) -> list[Referring]:
    """The objects of the cluster as they will stand when ``coming`` is stored, and those that leave with that."""
    known = {(each.kind, each.name): each for each in stored_referring(attempt)}
    wanted = {(ref.kind, f"{ref.namespace}/{ref.name}"): each for each, ref in _with_refs(coming)}
    found = []
    for key, each in known.items():
        if key in wanted and not each.record.implicit:
            continue
        leaves = key not in wanted and each.record.parent == attempt.ref
        found.append(Referring(kind=each.kind, name=each.name, record=each.record, leaves=leaves))
    for key, document in wanted.items():
        before = known.get(key)
        if before is not None and before.record.implicit:
            continue
        is_new = before is None or before.record.document != document
        record = ObjectRecord(document=document, parent=attempt.ref)
        found.append(Referring(kind=key[0], name=key[1], record=record, is_new=is_new))
    return found


def _with_refs(documents: Sequence[Manifest]) -> Iterator[tuple[Manifest, Any]]:
    for document in documents:
        ref = ref_of(document)
        if ref.kind in READERS:
            yield document, ref


def stored_referring(attempt: Attempt) -> list[Referring]:
    """The objects of the cluster as they are stored now, read at once."""
    prefixes = {kind: f"object/{attempt.cluster}/{kind}/" for kind in READERS}
    lists = attempt.deps.state.read(prefixes=list(prefixes.values())).lists
    return [
        Referring(kind=kind, name=each.key.removeprefix(prefix), record=ObjectRecord.from_value(each.value))
        for kind, prefix in prefixes.items()
        for each in lists[prefix]
    ]


def copies_of(attempt: Attempt, objects: Iterable[Referring]) -> frozenset[str]:
    """The store's names of all that is copied for these."""
    return frozenset(name for each in objects for name in each.copies(attempt.cluster))
