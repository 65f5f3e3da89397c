"""Which Alerts an event concerns.

Spec: Flux's docs/spec/v1beta3/alerts.md and the notification controller's event handler. One kind is our own:
``Stage``, the plane's report of a message that it gave up (a dead letter). It belongs to no namespace and to no Flux
object, so it goes to Alerts in namespace ``flux-system`` alone: those that name kind ``Stage``, and those that watch
every object of some kind (``name: '*'`` without labels), so that fleets hear of it without a change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.core.flux.alert import Alert
from penstock.core.flux.receiver import EVERY, ObjectSelector
from penstock.core.messages import Event

STAGE_KIND = "Stage"
STAGE_NAMESPACE = "flux-system"
OWN_STAGE = "notify"

Labels = Callable[[], Mapping[str, str] | None]
"""The labels of the event's object; None where the plane has no such object. Called only where an Alert asks."""


def own_failure(event: Event) -> bool:
    """Whether the event reports that notify itself failed: telling that again would never end."""
    return event.kind == STAGE_KIND and event.name == OWN_STAGE


def asks_for(alert: Alert, event: Event, labels: Labels) -> bool:
    """Whether the Alert is not suspended, takes this severity and names a source that the event comes from."""
    if alert.suspend or (alert.severity == "error" and event.severity != "error"):
        return False
    return any(_source_matches(alert, source, event, labels) for source in alert.sources)


def passes_lists(alert: Alert, message: str) -> bool:
    """Whether the message is included (no list, or one of it found) and not excluded (which wins)."""
    if alert.inclusions and not _any_found(alert.inclusions, message):
        return False
    return not _any_found(alert.exclusions, message)


def forbids_cross_namespace(plane: Mapping[str, Any], cluster: str) -> bool:
    """Whether the Plane's document forbids, for a cluster, that an Alert hears of other namespaces' objects.

    Read from the document as stored (``{}`` without one): notifying must not fail over a field of a newer release.
    """
    spec = plane.get("spec") or {}
    own = [each.get("policy") or {} for each in spec.get("clusters") or () if each.get("name") == cluster]
    policy = dict(spec.get("policy") or {})
    for each in own:
        policy |= each
    return policy.get("noCrossNamespaceRefs") is True


def invalid_patterns(alert: Alert) -> tuple[str, ...]:
    """Dotted paths of the expressions that RE2 cannot compile: as in Flux they count as absent, one by one."""
    lists = (("spec.inclusionList", alert.inclusions), ("spec.exclusionList", alert.exclusions))
    return tuple(
        f"{path}[{index}]"
        for path, patterns in lists
        for index, pattern in enumerate(patterns)
        if _found(pattern, "") is None
    )


def _source_matches(alert: Alert, source: ObjectSelector, event: Event, labels: Labels) -> bool:
    if event.kind == STAGE_KIND:
        return alert.namespace == STAGE_NAMESPACE and _stage_matches(source, event)
    if (source.kind, source.namespace) != (event.kind, event.namespace) or source.name not in (EVERY, event.name):
        return False
    if not source.labels:
        return True
    found = labels()
    return found is not None and all(found.get(key) == value for key, value in source.labels.items())


def _stage_matches(source: ObjectSelector, event: Event) -> bool:
    if source.kind == STAGE_KIND:
        return source.name in (EVERY, event.name)
    return source.name == EVERY and not source.labels


def _any_found(patterns: Sequence[str], text: str) -> bool:
    return any(_found(pattern, text) for pattern in patterns)


def _found(pattern: str, text: str) -> bool | None:
    """Whether Go's (RE2's) expression occurs anywhere in the text; None where it is none."""
    import re2  # noqa: PLC0415 - a compiled library that most events never need: cold starts stay short

    options = re2.Options()
    options.log_errors = False  # it would write to stderr by itself
    # lone surrogates, which JSON can carry and UTF-8 cannot, become question marks
    encodable = [part.encode(errors="replace").decode() for part in (pattern, text)]
    try:
        return re2.search(*encodable, options=options) is not None
    except re2.error:
        return None
