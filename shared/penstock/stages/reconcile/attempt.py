"""One attempt at one Kustomization: what was read before anything was decided."""

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any

from penstock.core.errors import PenstockError, Terminal
from penstock.core.flux.kustomization import Kustomization, SourceRef, parse_kustomization
from penstock.core.flux.plane import Plane, Policy, parse_plane
from penstock.core.messages import LEFT_OUT, Event, Outgoing, ReconcileDue
from penstock.core.reconcile.inventory import Owner
from penstock.core.reconcile.outbox import events_of
from penstock.core.reconcile.render import Rendered
from penstock.core.reconcile.unrendered import tried
from penstock.core.records import (
    PLANE_KEY,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    object_key,
    status_key,
)
from penstock.core.sources.index import indexed_key
from penstock.core.sources.wakeups import ROOT
from penstock.ports.cluster import Cluster
from penstock.ports.deps import Deps
from penstock.ports.state import Record
from penstock.ports.telemetry import Span
from penstock.stages.reconcile.index import ensure_index
from penstock.stages.reconcile.opening import Opening, home_of, read_opening, source_among, source_keys
from penstock.stages.reconcile.shared import SharedReads

KIND = "Kustomization"
MOST_GETS = 32
"""So many records are read by name; above that, all of their kind by one list."""
LOOKS_AFRESH = ("interval", "request", LEFT_OUT)
"""Reasons of a run to read again what nobody announces: Secrets, index entries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A Kustomization to reconcile, as the records have it, and the ports.

    ``found``: the status as it was before this attempt wrote any; ``root``: the root's as this attempt began;
    ``opening``: what was read then;
    ``adopting``: what another plane owns becomes ours;
    ``started``: UTC; ``account``: what it is impersonated as (``system:serviceaccount:ns:name``), "" for the plane's
    own identity; ``shared``: reads of the sweep that this is part of; ``said``: the events of this run so far, and of
    earlier ones that may not have come to publish theirs: each status that is written keeps them.
    """

    deps: Deps
    message: ReconcileDue
    plane: Plane
    uid: str
    record: ObjectRecord
    kustomization: Kustomization
    status: KustomizationStatus
    found: KustomizationStatus
    root: KustomizationStatus
    started: datetime
    opening: Opening
    shared: SharedReads | None = None
    adopting: bool = False
    said: list[Event] = field(default_factory=list)

    @property
    def cluster(self) -> str:
        """The cluster's name in the Plane."""
        return self.message.cluster

    @property
    def ref(self) -> str:
        """``namespace/name``."""
        return f"{self.message.namespace}/{self.message.name}"

    @property
    def is_root(self) -> bool:
        """Whether it renders the cluster's own path."""
        return self.ref == ROOT

    @property
    def owner(self) -> Owner:
        """Whose inventory this is."""
        return Owner(plane=self.uid, cluster=self.cluster, namespace=self.message.namespace, name=self.message.name)

    @property
    def policy(self) -> Policy:
        """What holds for this cluster; stricter where the repository sets Flux's own flags so."""
        flags = (self.status if self.is_root else self.root).summary.get("flags") or {}
        return with_flags(self.plane.policy_for(self.cluster), flags)

    @property
    def account(self) -> str:
        """Who applies.

        Where a platform's own Kustomization names Flux's account (a lockdown has it so), the plane stands in its
        place: Flux is not installed, and that account has no rights.
        """
        name = self.kustomization.service_account_name
        if (self.is_root and not name) or stands_for_flux(self.message.namespace, name):
            return ""
        if name:
            return f"system:serviceaccount:{self.message.namespace}:{name}"
        if self.record.account:
            return self.record.account
        default = self.policy.default_service_account
        return f"system:serviceaccount:{self.message.namespace}:{default}" if default else ""

    def home(self) -> Cluster:
        """The plane's own connection to the cluster where the Kustomization would live under Flux."""
        return self.deps.clusters.connect(self.cluster)

    def step(self, name: str) -> AbstractContextManager[Span]:
        """An expensive step of this attempt, for whoever traces it."""
        return self.deps.telemetry.span(name)

    def now(self) -> datetime:
        """UTC."""
        return self.deps.clock.now()


def wake_up(attempt: Attempt, name: str, why: str) -> Outgoing:
    """A Kustomization of the cluster (``namespace/name``) is to be looked at."""
    namespace, _, leaf = name.partition("/")
    return Outgoing(message=ReconcileDue(cluster=attempt.cluster, kind=KIND, namespace=namespace, name=leaf, why=why))


def with_flags(policy: Policy, flags: Mapping[str, Any]) -> Policy:
    """The policy with what a repository's own Flux has as flags (``flags`` of the root's summary)."""
    return replace(
        policy,
        no_cross_namespace_refs=policy.no_cross_namespace_refs or bool(flags.get("noCrossNamespaceRefs")),
        no_remote_bases=policy.no_remote_bases or bool(flags.get("noRemoteBases")),
        default_service_account=policy.default_service_account or str(flags.get("defaultServiceAccount") or ""),
        default_kube_config_service_account=policy.default_kube_config_service_account
        or str(flags.get("defaultKubeConfigServiceAccount") or ""),
        default_decryption_service_account=policy.default_decryption_service_account
        or str(flags.get("defaultDecryptionServiceAccount") or ""),
        override_managers=(*policy.override_managers, *(flags.get("overrideManagers") or ())),
        stage_kinds=(*policy.stage_kinds, *map(_group_kind, flags.get("customApplyStageKinds") or ())),
    )


def _group_kind(text: str) -> tuple[str, str]:
    group, _, kind = text.rpartition("/")
    return group, kind


def stands_for_flux(namespace: str, account: str) -> bool:
    """Whether it is the account of Flux's own kustomize-controller. A tenant's render may not name it (children.py)."""
    return (namespace, account) == (ROOT.partition("/")[0], "kustomize-controller")


def open_attempt(message: ReconcileDue, deps: Deps) -> Attempt | None:
    """The attempt that a message asks for; None where the plane knows no such Kustomization (any more).

    Raises InvalidDocument where its document is wrong.
    """
    opening = read_opening(message, deps.state)
    plane_record = opening.records.get(PLANE_KEY)
    found = opening.records.get(object_key(message.cluster, KIND, message.namespace, message.name))
    if plane_record is None or found is None:
        return None
    held = PlaneRecord.from_value(plane_record.value)
    record = ObjectRecord.from_value(found.value)
    if indexed_key(message.cluster) not in opening.records:
        ensure_index(deps, message.cluster)
        opening = read_opening(message, deps.state)
    status = status_of(opening.status)
    root = opening.records.get(status_key(message.cluster, KIND, *ROOT.split("/")))
    return Attempt(
        deps=deps,
        message=message,
        plane=parse_plane(held.document),
        uid=held.uid,
        record=record,
        kustomization=parse_kustomization(record.document),
        status=status,
        found=status,
        root=status_of(root),
        started=deps.clock.now(),
        opening=opening,
        said=unpublished(message, status, deps),
    )


def unpublished(message: ReconcileDue, status: KustomizationStatus, deps: Deps) -> list[Event]:
    """What earlier deliveries of this message wrote down, and may have been cut short before they published it."""
    again = deps.attempt > 1 or message.why == LEFT_OUT
    return events_of(status.outbox, deps.clock.now().timestamp()) if again else []


def load_status(deps: Deps, cluster: str, namespace: str, name: str) -> KustomizationStatus:
    """The status record, or an empty one."""
    return status_of(deps.state.get(status_key(cluster, KIND, namespace, name)))


def status_of(found: Record | None) -> KustomizationStatus:
    """A status record's value; an empty one where there is none."""
    return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()


def still_current(attempt: Attempt) -> bool:
    """Whether the Kustomization's record is the one that this attempt began with."""
    return is_current(attempt, attempt.deps.state.get(document_key(attempt)))


def is_current(attempt: Attempt, found: Record | None) -> bool:
    """Whether a Kustomization's record, as it was read just now, is the one that this attempt began with."""
    return found is not None and ObjectRecord.from_value(found.value) == attempt.record


def document_key(attempt: Attempt) -> str:
    """The key of the Kustomization's own record."""
    return object_key(attempt.cluster, KIND, attempt.message.namespace, attempt.message.name)


def overtaken(attempt: Attempt, mine: KustomizationStatus, known: KustomizationStatus) -> bool:
    """Whether ``known`` speaks of a newer observation of the same source than ``mine``.

    A source that was removed and declared again counts from one: its present number is never an old one.
    """
    if known.observed_source != mine.observed_source or known.observation <= mine.observation:
        return False
    now = source_status(attempt.deps, attempt.cluster, attempt.kustomization.source)
    return now is None or now.observation != mine.observation


def applied_mark(attempt: Attempt, rendered: Rendered) -> str:
    """What stands for all that a render applies: it is the same for the same objects."""
    return f"{attempt.record.generation}:{rendered.digest}"


def tried_in_vain(attempt: Attempt) -> str:
    """What this attempt has tried, for a status whose ``failed_at`` says so (core.reconcile.unrendered)."""
    return tried(attempt.record.generation, attempt.opening.tried)


def failed_at(attempt: Attempt, error: PenstockError, before: KustomizationStatus) -> str:
    """``failed_at`` of a status after this error: a passing one leaves it as it was ``before``."""
    return tried_in_vain(attempt) if isinstance(error, Terminal) else before.failed_at


def health_goes_on(attempt: Attempt) -> bool:
    """Whether this continues a health check of the same revision."""
    return attempt.status.pending.get("revision") == attempt.status.last_attempted_revision


def source_status(deps: Deps, cluster: str, ref: SourceRef) -> SourceStatus | None:
    """What fetch knows of a source: its own status, or the plane's own source where it stands for that.

    None where nobody declares such a source.
    """
    return source_among(deps.state.read(source_keys(cluster, ref)).records, cluster, ref)


def opened_source(attempt: Attempt) -> SourceStatus | None:
    """The same of the Kustomization's source, as this attempt began."""
    ref, opening = attempt.kustomization.source, attempt.opening
    if opening.asked.issuperset(source_keys(attempt.cluster, ref)):
        return source_among(opening.records, attempt.cluster, ref)
    return source_status(attempt.deps, attempt.cluster, ref)


def source_cluster(deps: Deps, cluster: str, ref: SourceRef) -> str:
    """The name under which a source's status stands: the cluster's, or PLANE for the plane's own source."""
    return home_of(deps.state.get(object_key(cluster, ref.kind, ref.namespace, ref.name)), cluster)


def everybody(deps: Deps, cluster: str) -> tuple[dict[str, ObjectRecord], dict[str, KustomizationStatus]]:
    """Every Kustomization of a cluster and its status, by ``namespace/name``."""
    objects_at, statuses_at = (f"{family}/{cluster}/{KIND}/" for family in ("object", "status"))
    lists = deps.state.read(prefixes=[objects_at, statuses_at]).lists
    return (
        {r.key.removeprefix(objects_at): ObjectRecord.from_value(r.value) for r in lists[objects_at]},
        {r.key.removeprefix(statuses_at): KustomizationStatus.from_value(r.value) for r in lists[statuses_at]},
    )


def everybody_in_order(deps: Deps, cluster: str) -> tuple[dict[str, ObjectRecord], dict[str, KustomizationStatus]]:
    """The same, for whoever goes by what is *not* written: each status was read before any document.

    What is read together is no snapshot. A parent stores its children, and then says so in its status: read the other
    way round, a child that is new would be in neither.
    """
    said = statuses(deps, cluster)
    return objects(deps, cluster, KIND), said


def read_kustomizations(
    deps: Deps, cluster: str, names: Collection[str]
) -> tuple[dict[str, ObjectRecord], dict[str, KustomizationStatus]]:
    """The same of these (``namespace/name``) that there are."""
    if len(names) > MOST_GETS:
        records, known = everybody(deps, cluster)
        return {n: records[n] for n in names if n in records}, {n: known[n] for n in names if n in known}
    documents = {name: object_key(cluster, KIND, *name.split("/")) for name in sorted(names)}
    own = {name: status_key(cluster, KIND, *name.split("/")) for name in sorted(names)}
    read = deps.state.read([*documents.values(), *own.values()]).records
    return (
        {name: ObjectRecord.from_value(read[key].value) for name, key in documents.items() if key in read},
        {name: KustomizationStatus.from_value(read[key].value) for name, key in own.items() if key in read},
    )


def statuses(deps: Deps, cluster: str) -> dict[str, KustomizationStatus]:
    """Every Kustomization's status of a cluster, by ``namespace/name``."""
    prefix = f"status/{cluster}/{KIND}/"
    return {r.key.removeprefix(prefix): KustomizationStatus.from_value(r.value) for r in deps.state.list(prefix)}


def read_objects(
    deps: Deps, cluster: str, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Record, ObjectRecord]]:
    """The documents of these (kind, ``namespace/name``) that there are, as stored and as read."""
    kinds = Counter(kind for kind, _ in wanted)
    many = {kind: f"object/{cluster}/{kind}/" for kind in sorted(kinds) if kinds[kind] > MOST_GETS}
    named = sorted(f"object/{cluster}/{kind}/{name}" for kind, name in wanted if kind not in many)
    reads = deps.state.read(named, list(many.values()))
    found = [*reads.records.values(), *chain.from_iterable(reads.lists.values())]
    parts = ((record, record.key.split("/")) for record in found)
    by_name = ((record, (kind, f"{namespace}/{name}")) for record, (_, _, kind, namespace, name) in parts)
    keep = set(wanted)
    return {key: (record, ObjectRecord.from_value(record.value)) for record, key in by_name if key in keep}


def read_object(deps: Deps, cluster: str, kind: str, name: str) -> ObjectRecord | None:
    """The document of ``namespace/name``, or None."""
    found = deps.state.get(object_key(cluster, kind, *name.split("/")))
    return ObjectRecord.from_value(found.value) if found else None


def read_statuses(deps: Deps, cluster: str, names: Collection[str]) -> dict[str, KustomizationStatus]:
    """The statuses of these Kustomizations (``namespace/name``) that there are."""
    if len(names) > MOST_GETS:
        known = statuses(deps, cluster)
        return {name: known[name] for name in names if name in known}
    keys = {name: status_key(cluster, KIND, *name.split("/")) for name in sorted(names)}
    found = deps.state.read(list(keys.values())).records
    return {name: KustomizationStatus.from_value(found[key].value) for name, key in keys.items() if key in found}


def children_of(attempt: Attempt) -> dict[tuple[str, str], ObjectRecord]:
    """The documents that this Kustomization stands behind, tombstones too, by (kind, ``namespace/name``)."""
    found = read_objects(attempt.deps, attempt.cluster, attempt.opening.children)
    return {key: record for key, (_, record) in found.items() if record.parent == attempt.ref}


def objects(deps: Deps, cluster: str, kind: str) -> dict[str, ObjectRecord]:
    """Every interpreted document of a kind in a cluster, by ``namespace/name``."""
    prefix = f"object/{cluster}/{kind}/"
    return {r.key.removeprefix(prefix): ObjectRecord.from_value(r.value) for r in deps.state.list(prefix)}
