"""Whom a verified delivery wakes: one message per object that the Receiver names."""

from collections.abc import Callable, Mapping, Sequence

from penstock.core.flux.receiver import EVERY, SOURCE_KINDS
from penstock.core.messages import ReconcileDue, SourceChanged
from penstock.core.records import ReceiverRecord
from penstock.core.resources import Manifest
from penstock.core.webhooks.filters import has_filter

Wakeup = SourceChanged | ReconcileDue
Filter = Callable[[Mapping[str, str], Manifest], bool]
"""(resource of a Receiver, an object) -> whether it may be woken."""


def accepts(receiver: ReceiverRecord, event: str) -> bool:
    """Whether ``spec.events`` lists the event, whatever its case; an empty list takes all."""
    return not receiver.events or event.lower() in {each.lower() for each in receiver.events}


def matches_selector(manifest: Manifest, selector: str) -> bool:
    """Whether the object's labels have each ``key=value`` of a comma-separated selector; an empty one matches none."""
    labels = manifest.get("metadata", {}).get("labels") or {}
    wanted = [pair.partition("=") for pair in selector.split(",") if pair]
    return bool(wanted) and all(labels.get(key) == value for key, _, value in wanted)


def wakeups(
    receiver: ReceiverRecord,
    hint: str,
    objects: Mapping[tuple[str, str], Sequence[Manifest]],
    may_wake: Filter | None = None,
) -> tuple[Wakeup, ...]:
    """The messages, in the Receiver's order, each once.

    ``objects``: for each (kind, namespace) that the Receiver names with ``*`` or filters, what the cluster has of it;
    ``may_wake``: asked of each object of a resource that has a filter.
    """
    found: dict[str, Wakeup] = {}
    for resource in receiver.resources:
        kind, namespace = resource["kind"], resource["namespace"]
        for name in _names(resource, objects.get((kind, namespace), ()), may_wake):
            message = _wakeup(receiver.cluster, kind, (namespace, name), hint)
            found.setdefault(message.key, message)
    return tuple(found.values())


def _names(resource: Mapping[str, str], candidates: Sequence[Manifest], may_wake: Filter | None) -> list[str]:
    filtered = may_wake is not None and has_filter(resource)
    if resource["name"] != EVERY and not filtered:
        return [resource["name"]]
    selector = resource.get("selector", "")
    return [
        str(each["metadata"]["name"])
        for each in candidates
        if (
            matches_selector(each, selector)
            if resource["name"] == EVERY
            else each["metadata"]["name"] == resource["name"]
        )
        and (not filtered or may_wake is None or may_wake(resource, each))
    ]


def _wakeup(cluster: str, kind: str, where: tuple[str, str], hint: str) -> Wakeup:
    namespace, name = where
    if kind in SOURCE_KINDS:
        return SourceChanged(cluster=cluster, kind=kind, namespace=namespace, name=name, hint=hint)
    return ReconcileDue(cluster=cluster, kind=kind, namespace=namespace, name=name, why="request")
