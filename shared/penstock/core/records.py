"""What the plane remembers, as values with a version: records of the state port.

Two families share one naming: ``object/<cluster>/<Kind>/<namespace>/<name>`` holds a Flux document as its parent
rendered it (written by the parent's reconcile), ``status/<cluster>/<Kind>/<namespace>/<name>`` what its own stage
found (written by that stage alone, due times included): a parent and a child never fight over a record.

Further keys: ``plane`` (the Plane document and its uid), ``receiver/<digest>/<cluster>/<namespace>/<name>`` (index of
Receivers by the last part of their webhook path), ``delivery/<cluster>/<namespace>/<name>`` (a Receiver's last
delivery and refusal), ``sent/<id>`` (a notification that went out), ``request/<id>`` (an answer that the api waits
for), ``asked/<day>/<id>`` and ``asked-swept`` (so that old answers are forgotten).

Each value carries ``"format": 1``; a higher number is refused (a newer release wrote it).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, cast

from penstock.core.errors import Terminal
from penstock.core.printable import printable
from penstock.core.resources import Manifest
from penstock.core.tree import Inputs

FORMAT = 1
PLANE_KEY = "plane"


def object_key(cluster: str, kind: str, namespace: str, name: str) -> str:
    """Key of the document record."""
    return f"object/{cluster}/{kind}/{namespace}/{name}"


def status_key(cluster: str, kind: str, namespace: str, name: str) -> str:
    """Key of the status record."""
    return f"status/{cluster}/{kind}/{namespace}/{name}"


def receiver_key(digest: str, cluster: str, namespace: str, name: str) -> str:
    """Key of an entry of the Receiver index; list by ``receiver/<digest>/``."""
    return f"receiver/{digest}/{cluster}/{namespace}/{name}"


def hooked_key(cluster: str) -> str:
    """Key of the names of a cluster's entries in the Receiver index: nobody reads those of a thousand clusters."""
    return f"hooked/{cluster}"


def copies_key(cluster: str) -> str:
    """Key of the names of the copies of a cluster's Secrets in the plane's own store."""
    return f"copies/{cluster}"


def delivery_key(cluster: str, namespace: str, name: str) -> str:
    """Key of a Receiver's delivery record."""
    return f"delivery/{cluster}/{namespace}/{name}"


def approval_key(cluster: str, namespace: str, name: str) -> str:
    """Key of the approval of a Kustomization's prune."""
    return f"approval/{cluster}/{namespace}/{name}"


def lease_key(cluster: str, namespace: str, name: str) -> str:
    """Key of the holder of a Lease that has ended without giving it back."""
    return f"lease/{cluster}/{namespace}/{name}"


def discovered_key(cluster: str) -> str:
    """Key of the mark that the inventories of a cluster have been compared with the records."""
    return f"discovered/{cluster}"


def adoption_key(cluster: str, namespace: str = "-", name: str = "-") -> str:
    """Key of the adoption of a Kustomization, or of everything on the cluster."""
    return f"adoption/{cluster}/{namespace}/{name}"


def _read(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    if value.get("format") != FORMAT:
        raise Terminal(
            f"a record of format {value.get('format')!r} (this release reads {FORMAT}): "
            "a newer release wrote it, upgrade this one"
        )
    known = {f.name for f in fields(kind)}
    return {name: item for name, item in value.items() if name in known}


class _Stored:
    """A record's value as it is stored: its fields, and the format's number."""

    __slots__ = ()

    def to_value(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"format": FORMAT, **asdict(cast("Any", self))}

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Raises Terminal for a format of a newer release."""
        return cls(**_read(cls, value))


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectRecord(_Stored):
    """A Flux document that the plane interprets.

    ``document``: the manifest as rendered; ``parent``: ``namespace/name`` of the Kustomization that rendered it, ""
    for the root and the implicit source; ``generation``: raised when the document changes; ``account``: the service
    account (``system:serviceaccount:ns:name``) it inherits, or ""; ``tombstone``: it left its parent's render.
    ``implicit``: it stands for the Plane's own source; ``discovered``: a tombstone that was made from an inventory in
    the cluster, after the plane's records were lost: nothing is deleted for it without an approval.
    """

    document: Manifest
    parent: str = ""
    generation: int = 1
    account: str = ""
    tombstone: bool = False
    implicit: bool = False
    discovered: bool = False


_REMOVAL_FIELDS = (
    *("deletionPolicy", "dependsOn", "interval", "kubeConfig", "path"),
    *("prune", "serviceAccountName", "sourceRef", "timeout"),
)
"""Of ``spec``: what a removal goes by. No values of substitutions, no patches: those may hold secrets."""


def removal_facts(record: ObjectRecord) -> dict[str, Any]:
    """What an inventory keeps of a Kustomization's record, so that it can be removed when the records are lost."""
    document = record.document
    spec = {name: value for name, value in (document.get("spec") or {}).items() if name in _REMOVAL_FIELDS}
    metadata = {name: document["metadata"][name] for name in ("name", "namespace")}
    kept = {"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": metadata, "spec": spec}
    return {"account": record.account, "document": kept, "parent": record.parent}


def removed_record(facts: Mapping[str, Any]) -> ObjectRecord:
    """The tombstone of what ``removal_facts`` kept. Raises KeyError where these are no such facts."""
    return ObjectRecord(
        document=dict(facts["document"]),
        parent=str(facts["parent"]),
        account=str(facts["account"]),
        tombstone=True,
        discovered=True,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A Kubernetes condition. ``since``: RFC 3339, when ``status`` last changed."""

    type: str
    status: str
    reason: str
    message: str
    since: str = ""
    observed_generation: int = 0

    def __post_init__(self) -> None:
        """Its words go to people: see core.printable."""
        object.__setattr__(self, "message", printable(self.message))


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceStatus(_Stored):
    """What fetch found. ``observation``: raised each time the resolved head (or the artifact) changes.

    ``artifact``: ``sha256:<hex>`` in the storage port, "" before the first. ``last_checked``: RFC 3339.
    ``error``: reason of the present failure, "" when healthy. ``metadata``: what the artifact says of itself (an OCI
    manifest's annotations).
    """

    revision: str = ""
    artifact: str = ""
    observation: int = 0
    generation: int = 0
    conditions: tuple[Condition, ...] = ()
    last_checked: str = ""
    error: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Raises Terminal for a format of a newer release."""
        known = _read(cls, value)
        known["conditions"] = _conditions(known.get("conditions", ()))
        return cls(**known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspension:
    """The plane's own switch. ``until``: RFC 3339 or ""."""

    who: str
    why: str = ""
    until: str = ""
    since: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class KustomizationStatus(_Stored):
    """What reconcile found.

    ``observation``: of ``observed_source`` (``Kind/namespace/name``): numbers of two sources are not compared;
    ``inputs``/``inputs_digest``: what the last successful render read of the tree, and its digest;
    ``spec_digest``: everything else that it used (its own spec, substituted ConfigMaps and Secrets, the renderer's
    version); ``waiting_for``: ``namespace/name`` of dependencies that are not ready; ``pending``: a health check
    that goes on (objects as ``Kind/ns/name``, deadline as POSIX seconds); ``rendered``: inventory ids of the last
    render (for moves between Kustomizations); ``history``: the newest five outcomes; ``applied``: generation and digest
    of what the last whole apply applied; ``drift``: of objects whose drift is only reported (core.drift.report);
    ``outbox``: events that may not have been published (core.reconcile.outbox); ``resting``: what a suspended one
    would apply now, as the difference to its last run (core.reconcile.standing), {} after a run;
    ``same``: marks (core.reconcile.equal) of objects that only a dry-run can compare, and that it found the same;
    ``failed_at``, ``excused``: what it has tried in vain, and who need not wait for it (core.reconcile.unrendered).
    """

    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0
    last_applied_revision: str = ""
    last_attempted_revision: str = ""
    observation: int = 0
    observed_source: str = ""
    inputs: Inputs = field(default_factory=Inputs)
    inputs_digest: str = ""
    spec_digest: str = ""
    waiting_for: tuple[str, ...] = ()
    pending: Mapping[str, Any] = field(default_factory=dict)
    rendered: tuple[str, ...] = ()
    rendered_revision: str = ""
    inventory: tuple[str, ...] = ()
    inventory_digest: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    suspension: Suspension | None = None
    last_handled: str = ""
    applied: str = ""
    drift: Mapping[str, Any] = field(default_factory=dict)
    outbox: tuple[Mapping[str, Any], ...] = ()
    resting: Mapping[str, Any] = field(default_factory=dict)
    same: tuple[str, ...] = ()
    failed_at: str = ""
    excused: str = ""

    def ready(self) -> bool:
        """Whether the last attempt ended ready."""
        return any(c.type == "Ready" and c.status == "True" for c in self.conditions)

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type."""
        return next((c for c in self.conditions if c.type == kind), None)

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Raises Terminal for a format of a newer release."""
        known = _read(cls, value)
        known["conditions"] = _conditions(known.get("conditions", ()))
        known["inputs"] = Inputs(**{name: tuple(paths) for name, paths in known.get("inputs", {}).items()})
        for name in ("waiting_for", "rendered", "inventory", "history", "outbox", "same"):
            known[name] = tuple(known.get(name, ()))
        if known.get("suspension"):
            known["suspension"] = Suspension(**known["suspension"])
        return cls(**known)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverRecord(_Stored):
    """An entry of the Receiver index: all that the webhook needs, and where its token is.

    ``resources``: ``{kind, namespace, name}`` each; ``secret``: a name in the secrets port; ``digest``: the last part
    of ``/hook/<digest>``; ``until``: RFC 3339, of an entry for the token before (core.secrets.rotation).
    """

    cluster: str
    namespace: str
    name: str
    type: str
    digest: str
    secret: str
    events: tuple[str, ...] = ()
    resources: tuple[Mapping[str, str], ...] = ()
    suspended: bool = False
    until: str = ""

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Raises Terminal for a format of a newer release."""
        known = _read(cls, value)
        known["events"], known["resources"] = tuple(known.get("events", ())), tuple(known.get("resources", ()))
        return cls(**known)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryRecord(_Stored):
    """A Receiver's last delivery and last refusal: RFC 3339 times, the event's name, the reason for people."""

    delivered_at: str = ""
    delivered_event: str = ""
    refused_at: str = ""
    refused_reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaneRecord(_Stored):
    """The Plane document and the plane's own uid (32 hex digits, made once)."""

    uid: str
    document: Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval(_Stored):
    """Somebody allowed exactly one set of deletions, once. Key: ``approval/<cluster>/<namespace>/<name>``."""

    digest: str
    who: str
    when: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Adoption(_Stored):
    """Somebody gave what another plane owns to this one. Key: ``adoption_key``.

    ``when``: RFC 3339; ``used``: ``namespace/name`` of those that have moved by it (of a whole cluster's).
    """

    who: str
    when: str
    used: tuple[str, ...] = ()

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Raises Terminal for a format of a newer release."""
        known = _read(cls, value)
        known["used"] = tuple(known.get("used", ()))
        return cls(**known)


def _conditions(values: Any) -> tuple[Condition, ...]:
    return tuple(Condition(**value) for value in values)


@dataclass(frozen=True, kw_only=True, slots=True)
class CopiesRecord(_Stored):
    """What may be of a cluster in the plane's own store. ``names``: as core.secrets.names makes them, sorted."""

    names: tuple[str, ...] = ()

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Self:
        """Raises Terminal for a format of a newer release."""
        return cls(names=tuple(_read(cls, value).get("names", ())))
