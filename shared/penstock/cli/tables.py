"""Rows about the plane's objects, read from its records, and Flux's way to print them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.flux.alert import parse_alert
from penstock.core.flux.provider import parse_provider, unserved
from penstock.core.flux.receiver import parse_receiver, problems
from penstock.core.messages import PLANE
from penstock.core.notify.match import forbids_cross_namespace
from penstock.core.printable import printable
from penstock.core.records import (
    PLANE_KEY,
    DeliveryRecord,
    ObjectRecord,
    PlaneRecord,
    ReceiverRecord,
    delivery_key,
    status_key,
)
from penstock.ports.state import State, Value

WAITING = ("False", "waiting to be reconciled")
_DIGEST = re.compile(r"\b[0-9a-f]{40,128}\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One object: its record, and its status as the status record holds it ({} where there is none)."""

    cluster: str
    record: ObjectRecord
    status: Value

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return str(self.record.document["metadata"].get("namespace") or "")

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.record.document["metadata"]["name"])

    def suspended(self) -> str:
        """``True`` or ``False``: by the document, or by the plane's own switch while it is in force."""
        spec = self.record.document.get("spec") or {}
        switch = self.status.get("suspension")
        until = str(switch.get("until") or "") if switch else ""
        held = bool(switch) and (not until or datetime.now(UTC) < datetime.fromisoformat(until))
        return str(spec.get("suspend") is True or held)

    def ready(self) -> tuple[str, str] | None:
        """Status and message of the Ready condition."""
        for each in self.status.get("conditions") or ():
            if each.get("type") == "Ready":
                return str(each.get("status")), str(each.get("message"))
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A kind and what is shown of it. ``columns``: after NAMESPACE and NAME; ``cells``: one item's, in that order."""

    kind: str
    columns: tuple[str, ...]
    cells: Callable[[Item], Sequence[str]]


def items(state: State, kind: str, *, cluster: str = "") -> Iterator[Item]:
    """Every object of a kind, by cluster, namespace and name; ``cluster`` "" is all of them."""
    for each in [cluster] if cluster else clusters(state):
        found = {held.key: ObjectRecord.from_value(held.value) for held in state.list(f"object/{each}/{kind}/")}
        names = {key: key.split("/")[3:] for key, record in found.items() if not record.tombstone}
        # an alias has no status of its own
        keys = {key: status_key(PLANE if found[key].implicit else each, kind, *name) for key, name in names.items()}
        known = state.read([*keys.values()]).records
        for key, at in keys.items():
            yield Item(cluster=each, record=found[key], status=known[at].value if at in known else {})


def clusters(state: State) -> list[str]:
    """The plane's clusters; those that have objects, where there is no Plane document."""
    record = state.get(PLANE_KEY)
    if record is None:
        return sorted({found.key.split("/")[1] for found in state.list("object/")} - {PLANE})
    spec = PlaneRecord.from_value(record.value).document.get("spec") or {}
    return [str(each["name"]) for each in spec.get("clusters") or ()]


def receivers(state: State) -> list[ReceiverRecord]:
    """The index of webhook paths, without those of tokens that were replaced."""
    found = (ReceiverRecord.from_value(each.value) for each in state.list("receiver/"))
    return [record for record in found if not record.until]


def shorten(text: str) -> str:
    """Digests cut to eight characters and newlines made spaces, as Flux's tables have them."""
    return _DIGEST.sub(lambda found: found[0][:8], " ".join(text.split()))


def render(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell and separated by tabs. ``header`` may be empty."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows) if line]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "\t".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _source_cells(item: Item) -> Sequence[str]:
    return (shorten(str(item.status.get("revision") or "")), item.suspended(), *_ready(item))


def _kustomization_cells(item: Item) -> Sequence[str]:
    return (shorten(str(item.status.get("last_applied_revision") or "")), item.suspended(), *_ready(item))


def _ready(item: Item) -> tuple[str, str]:
    status, message = item.ready() or WAITING
    return status, shorten(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Webhooks:
    """What the table of Receivers needs beside each Receiver. ``index``: by (cluster, namespace, name)."""

    state: State
    public_url: str
    index: Mapping[tuple[str, str, str], ReceiverRecord]
    plane: Mapping[str, Any]

    def cells(self, item: Item) -> Sequence[str]:
        """One Receiver's."""
        key = (item.cluster, item.namespace, item.name)
        entry = self.index.get(key)
        found = self.state.get(delivery_key(*key))
        last = DeliveryRecord.from_value(found.value) if found else DeliveryRecord()
        events = (item.record.document.get("spec") or {}).get("events") or ["*"]
        return (
            item.suspended(),
            *self._ready(item, entry),
            f"{self.public_url.rstrip('/')}/hook/{entry.digest}" if entry else "",
            ",".join(str(each) for each in events),
            f"{last.delivered_at} {last.delivered_event}".strip(),
            f"{last.refused_at} {last.refused_reason}".strip(),
        )

    def _ready(self, item: Item, entry: ReceiverRecord | None) -> tuple[str, str]:
        allowed = not forbids_cross_namespace(self.plane, item.cluster)
        try:
            wrong = problems(parse_receiver(item.record.document), cross_namespace=allowed)
        except InvalidDocument as error:
            return "False", shorten(str(error))
        if wrong:
            return "False", shorten("; ".join(sentence for _, sentence in wrong))
        ready = item.ready()
        if ready is not None:
            return ready[0], shorten(ready[1])
        return ("True", "Receiver initialized") if entry else ("False", _no_token(item))


def _no_token(item: Item) -> str:
    secret = ((item.record.document.get("spec") or {}).get("secretRef") or {}).get("name", "")
    return f"waiting for key token of Secret {item.namespace}/{secret}: it is read when its Kustomization is reconciled"


def _webhooks(state: State, public_url: str) -> _Webhooks:
    index = {(each.cluster, each.namespace, each.name): each for each in receivers(state)}
    plane = state.get(PLANE_KEY)
    document = PlaneRecord.from_value(plane.value).document if plane else {}
    return _Webhooks(state=state, public_url=public_url, index=index, plane=document)


def _alert_cells(item: Item) -> Sequence[str]:
    last = DeliveryRecord.from_value({**DeliveryRecord().to_value(), **item.status})
    try:
        parse_alert(item.record.document)
        ready = ("True", "Alert is Ready")
    except InvalidDocument as error:
        ready = ("False", shorten(str(error)))
    sent = f"{last.delivered_at} {last.delivered_event}".strip()
    return (item.suspended(), *ready, sent, shorten(f"{last.refused_at} {last.refused_reason}".strip()))


def _provider_cells(item: Item) -> Sequence[str]:
    try:
        wrong = unserved(parse_provider(item.record.document))
    except InvalidDocument as error:
        return ("False", shorten(str(error)))
    if wrong:
        return ("False", "; ".join(sentence for _, sentence in wrong))
    return ("True", "Provider is Ready")


def tables(state: State, public_url: str) -> dict[str, Table]:
    """Every table, by the name under which ``penstock get`` knows it, in the order of ``get all``."""
    reconciled = ("REVISION", "SUSPENDED", "READY", "MESSAGE")
    hooked = ("SUSPENDED", "READY", "MESSAGE", "URL", "EVENTS", "LAST DELIVERY", "LAST REFUSAL")
    alerted = ("SUSPENDED", "READY", "MESSAGE", "LAST SENT", "LAST FAILURE")
    return {
        "sources git": Table(kind="GitRepository", columns=reconciled, cells=_source_cells),
        "sources oci": Table(kind="OCIRepository", columns=reconciled, cells=_source_cells),
        "sources bucket": Table(kind="Bucket", columns=reconciled, cells=_source_cells),
        "kustomizations": Table(kind="Kustomization", columns=reconciled, cells=_kustomization_cells),
        "receivers": Table(kind="Receiver", columns=hooked, cells=_webhooks(state, public_url).cells),
        "alerts": Table(kind="Alert", columns=alerted, cells=_alert_cells),
        "alert-providers": Table(kind="Provider", columns=("READY", "MESSAGE"), cells=_provider_cells),
    }
