"""One attempt at one Kustomization: what was read before anything was decided."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from penstock.core.flux.kustomization import Kustomization, SourceRef, parse_kustomization
from penstock.core.flux.plane import Plane, Policy, parse_plane
from penstock.core.messages import LEFT_OUT, PLANE, Event, ReconcileDue
from penstock.core.reconcile.inventory import Owner
from penstock.core.reconcile.outbox import events_of
from penstock.core.reconcile.render import Rendered
from penstock.core.records import (
    PLANE_KEY,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    object_key,
    status_key,
)
from penstock.core.sources.wakeups import ROOT
from penstock.ports.cluster import Cluster
from penstock.ports.deps import Deps
from penstock.ports.state import Record
from penstock.ports.telemetry import Span
from penstock.stages.reconcile.index import children, ensure_index
from penstock.stages.reconcile.shared import SharedReads

KIND = "Kustomization"
MOST_GETS = 32
"""So many records are read one by one; above that, all of their kind by one list."""
LOOKS_AFRESH = ("interval", "request", LEFT_OUT)
"""Reasons of a run to read again what nobody announces: Secrets, index entries."""
_ROOT = ROOT.split("/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A Kustomization to reconcile, as the records have it, and the ports.

    ``found``: the status as it was before this attempt wrote any; ``root``: the root's as this attempt began;
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
    plane_record = deps.state.get(PLANE_KEY)
    found = deps.state.get(object_key(message.cluster, KIND, message.namespace, message.name))
    if plane_record is None or found is None:
        return None
    held = PlaneRecord.from_value(plane_record.value)
    record = ObjectRecord.from_value(found.value)
    ensure_index(deps, message.cluster)
    status = load_status(deps, message.cluster, message.namespace, message.name)
    root = status if f"{message.namespace}/{message.name}" == ROOT else load_status(deps, message.cluster, *_ROOT)
    return Attempt(
        deps=deps,
        message=message,
        plane=parse_plane(held.document),
        uid=held.uid,
        record=record,
        kustomization=parse_kustomization(record.document),
        status=status,
        found=status,
        root=root,
        started=deps.clock.now(),
        said=unpublished(message, status, deps),
    )


def unpublished(message: ReconcileDue, status: KustomizationStatus, deps: Deps) -> list[Event]:
    """What earlier deliveries of this message wrote down, and may have been cut short before they published it."""
    again = deps.attempt > 1 or message.why == LEFT_OUT
    return events_of(status.outbox, deps.clock.now().timestamp()) if again else []


def load_status(deps: Deps, cluster: str, namespace: str, name: str) -> KustomizationStatus:
    """The status record, or an empty one."""
    found = deps.state.get(status_key(cluster, KIND, namespace, name))
    return KustomizationStatus.from_value(found.value) if found else KustomizationStatus()


def still_current(attempt: Attempt) -> bool:
    """Whether the Kustomization's record is the one that this attempt began with."""
    message = attempt.message
    found = attempt.deps.state.get(object_key(message.cluster, KIND, message.namespace, message.name))
    return found is not None and ObjectRecord.from_value(found.value) == attempt.record


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


def health_goes_on(attempt: Attempt) -> bool:
    """Whether this continues a health check of the same revision."""
    return attempt.status.pending.get("revision") == attempt.status.last_attempted_revision


def source_status(deps: Deps, cluster: str, ref: SourceRef) -> SourceStatus | None:
    """What fetch knows of a source: its own status, or the plane's own source where it stands for that.

    None where nobody declares such a source.
    """
    found = deps.state.get(object_key(cluster, ref.kind, ref.namespace, ref.name))
    home = _home(found, cluster)
    status = deps.state.get(status_key(home, ref.kind, ref.namespace, ref.name))
    if status is None:
        return SourceStatus() if found is not None else None
    return SourceStatus.from_value(status.value)


def source_cluster(deps: Deps, cluster: str, ref: SourceRef) -> str:
    """The name under which a source's status stands: the cluster's, or PLANE for the plane's own source."""
    return _home(deps.state.get(object_key(cluster, ref.kind, ref.namespace, ref.name)), cluster)


def _home(found: Record | None, cluster: str) -> str:
    return PLANE if found is not None and ObjectRecord.from_value(found.value).implicit else cluster


def statuses(deps: Deps, cluster: str) -> dict[str, KustomizationStatus]:
    """Every Kustomization's status of a cluster, by ``namespace/name``."""
    prefix = f"status/{cluster}/{KIND}/"
    return {r.key.removeprefix(prefix): KustomizationStatus.from_value(r.value) for r in deps.state.list(prefix)}


def read_objects(
    deps: Deps, cluster: str, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Record, ObjectRecord]]:
    """The documents of these (kind, ``namespace/name``) that there are, as stored and as read."""
    found: list[Record] = []
    for kind in sorted({kind for kind, _ in wanted}):
        names = sorted(name for each, name in wanted if each == kind)
        if len(names) > MOST_GETS:
            found += deps.state.list(f"object/{cluster}/{kind}/")
        else:
            records = (deps.state.get(object_key(cluster, kind, *name.split("/"))) for name in names)
            found += [record for record in records if record is not None]
    parts = ((record, record.key.split("/")) for record in found)
    named = ((record, (kind, f"{namespace}/{name}")) for record, (_, _, kind, namespace, name) in parts)
    keep = set(wanted)
    return {key: (record, ObjectRecord.from_value(record.value)) for record, key in named if key in keep}


def read_object(deps: Deps, cluster: str, kind: str, name: str) -> ObjectRecord | None:
    """The document of ``namespace/name``, or None."""
    found = deps.state.get(object_key(cluster, kind, *name.split("/")))
    return ObjectRecord.from_value(found.value) if found else None


def read_statuses(deps: Deps, cluster: str, names: Collection[str]) -> dict[str, KustomizationStatus]:
    """The statuses of these Kustomizations (``namespace/name``) that there are."""
    if len(names) > MOST_GETS:
        known = statuses(deps, cluster)
        return {name: known[name] for name in names if name in known}
    found = {name: deps.state.get(status_key(cluster, KIND, *name.split("/"))) for name in sorted(names)}
    return {name: KustomizationStatus.from_value(record.value) for name, record in found.items() if record}


def children_of(attempt: Attempt) -> dict[tuple[str, str], ObjectRecord]:
    """The documents that this Kustomization stands behind, tombstones too, by (kind, ``namespace/name``)."""
    found = read_objects(attempt.deps, attempt.cluster, children(attempt.deps, attempt.cluster, attempt.ref))
    return {key: record for key, (_, record) in found.items() if record.parent == attempt.ref}


def objects(deps: Deps, cluster: str, kind: str) -> dict[str, ObjectRecord]:
    """Every interpreted document of a kind in a cluster, by ``namespace/name``."""
    prefix = f"object/{cluster}/{kind}/"
    return {r.key.removeprefix(prefix): ObjectRecord.from_value(r.value) for r in deps.state.list(prefix)}
