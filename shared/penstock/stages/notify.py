"""notify: tells the Providers of the Alerts that ask for an event. Publishes nothing, so nothing here goes in circles.

At least once: each Alert is claimed before it is told and marked afterwards, so a redelivery tells nobody twice; only
an invocation that dies between the Provider's answer and the mark makes the next one tell again. What may go away
(429, 5xx, no connection, a Secret that is not there yet) is raised as Transient after all the others were told; what
will not (4xx, a wrong document) is recorded and left.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from penstock.core.errors import Conflict, PenstockError, Terminal, Transient
from penstock.core.flux.alert import Alert, parse_alert
from penstock.core.flux.provider import Provider, parse_provider
from penstock.core.messages import PLANE, Event, Outgoing
from penstock.core.notify import ledger
from penstock.core.notify.match import asks_for, forbids_cross_namespace, invalid_patterns, own_failure, passes_lists
from penstock.core.notify.notification import notification, repeat_key
from penstock.core.notify.services import SERVICES
from penstock.core.notify.target import target
from penstock.core.records import PLANE_KEY, DeliveryRecord, ObjectRecord, PlaneRecord, object_key, status_key
from penstock.core.resources import Manifest
from penstock.core.secrets.names import NOTIFY, secret_name
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record

_AT_ONCE = 8
"""Providers told at the same time: one that hangs does not hold up the others."""

_SECRET_WAIT = 10.0
"""Seconds until a Secret that the store does not have yet is looked for again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One event, and what all its Alerts share."""

    event: Event
    deps: Deps
    plane: PlaneRecord | None
    document: Callable[[], Manifest | None] = field(repr=False)

    @property
    def now(self) -> float:
        return self.deps.clock.now().timestamp()

    def metadata(self, name: str) -> dict[str, str] | None:
        """``labels`` or ``annotations`` of the event's object; None where the plane has none such."""
        document = self.document()
        return None if document is None else dict(document["metadata"].get(name) or {})


def run(event: Event, deps: Deps) -> list[Outgoing]:
    """Tells everyone whom the event concerns. Raises Transient where somebody is to be tried again."""
    if own_failure(event):
        deps.telemetry.record("event not told", trace=deps.trace, reason="OwnFailure", detail=event.message)
        return []
    case = _Case(event=event, deps=deps, plane=_plane(deps), document=cache(lambda: _document(event, deps)))
    concerned = [(cluster, alert) for cluster in _clusters(case) for alert in _alerts(cluster, case)]
    if not concerned:
        return []
    if _repeated(case):
        deps.telemetry.record("event not told", trace=deps.trace, reason="Repeated", cluster=event.cluster)
        return []
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(concerned))) as pool:
        outcomes = list(pool.map(lambda pair: _told(pair[0], pair[1], case), concerned))
    failures = [each for each in outcomes if isinstance(each, Transient)]
    if all(isinstance(each, Terminal) for each in outcomes):
        _settle(lambda: _unsay(case), case)
    _sweep(deps)
    if failures:
        waits = [each.retry_after for each in failures if each.retry_after is not None]
        raise Transient(
            f"{len(failures)} of {len(concerned)} notifications could not be sent: {failures[0]}",
            reason=failures[0].reason,
            retry_after=max(waits, default=None),
        )
    return []


def _plane(deps: Deps) -> PlaneRecord | None:
    record = deps.state.get(PLANE_KEY)
    return PlaneRecord.from_value(record.value) if record else None


def _document(event: Event, deps: Deps) -> Manifest | None:
    if not event.namespace:
        return None
    record = deps.state.get(object_key(event.cluster, event.kind, event.namespace, event.name))
    return ObjectRecord.from_value(record.value).document if record else None


def _clusters(case: _Case) -> Iterable[str]:
    """The event's cluster; every one of them where it is about the plane's own source or stages."""
    if case.event.cluster not in ("", PLANE):
        return (case.event.cluster,)
    spec = case.plane.document.get("spec") if case.plane else None
    return tuple(str(each["name"]) for each in (spec or {}).get("clusters") or ())


def _alerts(cluster: str, case: _Case) -> Iterable[Alert]:
    for record in case.deps.state.list(f"object/{cluster}/Alert/"):
        try:
            stored = ObjectRecord.from_value(record.value)
            alert = parse_alert(stored.document)
        except Terminal as error:
            case.deps.telemetry.record(
                "alert not usable", cluster=cluster, outcome="failed", reason=error.reason, detail=str(error)
            )
            continue
        if stored.tombstone or not asks_for(alert, case.event, lambda: case.metadata("labels")):
            continue
        if _passes(cluster, alert, case):
            yield alert


def _passes(cluster: str, alert: Alert, case: _Case) -> bool:
    """Whether the plane's policy and the Alert's lists let the event pass; what is wrong with them is reported."""
    event, document = case.event, case.plane.document if case.plane else {}
    if event.namespace not in ("", alert.namespace) and forbids_cross_namespace(document, cluster):
        message = f"spec.eventSources: {event.kind} {event.namespace}/{event.name} is of another namespace"
        _report(cluster, alert, case, Terminal(f"{message}, and the plane forbids that", reason="AccessDenied"))
        return False
    for path in invalid_patterns(alert):
        _report(cluster, alert, case, Terminal(f"{path} is no RE2 expression", reason="InvalidConfig"))
    return passes_lists(alert, event.message)


def _repeated(case: _Case) -> bool:
    """Whether another event said the same within five minutes; if not, this one has now."""
    state, event = case.deps.state, case.event
    key = ledger.repeat_record_key(_day(case), repeat_key(event))
    found = state.get(key)
    if found is not None and (found.value.get("event") == event.id or ledger.is_repeat(found.value, event, case.now)):
        return found.value.get("event") != event.id
    try:
        state.put(key, ledger.repeat_value(event, case.now), expected=found.version if found else ABSENT)
    except Conflict:
        found = state.get(key)
        return found is not None and ledger.is_repeat(found.value, event, case.now)
    return False


def _unsay(case: _Case) -> None:
    """Nobody could be told: the next event that says the same is no repetition."""
    found = case.deps.state.get(ledger.repeat_record_key(_day(case), repeat_key(case.event)))
    if found is not None and found.value.get("event") == case.event.id:
        case.deps.state.delete(found.key, expected=found.version)


def _told(cluster: str, alert: Alert, case: _Case) -> PenstockError | None:
    """None where the Alert is done with; Transient where it is to be tried again, Terminal where it cannot be told."""
    key = ledger.sent_key(_day(case), case.event, cluster, f"{alert.namespace}/{alert.name}")
    try:
        claim = _claim(key, case)
        return claim if claim is None or isinstance(claim, Terminal) else _tell(cluster, alert, claim, case)
    except Transient as error:
        _report(cluster, alert, case, error)
        return error


def _claim(key: str, case: _Case) -> Record | Terminal | None:
    """The claim; None where the Alert was told already, Terminal where it was found that it cannot be.

    Raises Transient while another invocation is at it.
    """
    found = case.deps.state.get(key)
    if found is not None:
        if found.value.get("state") == ledger.FAILED:
            return Terminal("an earlier delivery could not tell it")
        if found.value.get("state") != ledger.CLAIMED:
            return None
        wait = ledger.look_again(found.value, case.now)
        if wait > 0:
            raise Transient("another invocation is telling it", reason="Claimed", retry_after=wait)
    value = ledger.outcome_value(ledger.CLAIMED, case.now)
    return case.deps.state.put(key, value, expected=found.version if found else ABSENT)


def _tell(cluster: str, alert: Alert, claim: Record, case: _Case) -> Terminal | None:
    """What makes it impossible, if anything does. Raises Transient."""
    refused = None
    try:
        sent = _send(cluster, alert, case)
    except Transient:
        _settle(lambda: case.deps.state.delete(claim.key, expected=claim.version), case)
        raise
    except Terminal as error:
        _report(cluster, alert, case, error)
        refused, outcome = error, ledger.FAILED
    else:
        if sent:
            _report(cluster, alert, case, None)
        outcome = ledger.SENT
    value = ledger.outcome_value(outcome, case.now)
    _settle(lambda: case.deps.state.put(claim.key, value, expected=claim.version), case)
    return refused


def _send(cluster: str, alert: Alert, case: _Case) -> int:
    """How many requests went out. Raises Transient or Terminal."""
    provider = _provider(cluster, alert, case)
    if provider.suspend:
        return 0
    where = target(provider, _secret(cluster, provider, case))
    service = SERVICES[provider.type]
    if case.event.metadata.get("commit_status") == "update" and not service.updates:
        return 0
    plane = case.plane.uid if case.plane else ""
    told = notification(case.event, alert, case.metadata("annotations") or {}, plane)
    requests = service.requests(told, where)
    for request in requests:
        with case.deps.telemetry.span("deliver", provider=provider.type, alert=f"{alert.namespace}/{alert.name}"):
            service.check(request, case.deps.notifier.send(request))
    return len(requests)


def _provider(cluster: str, alert: Alert, case: _Case) -> Provider:
    record = case.deps.state.get(object_key(cluster, "Provider", alert.namespace, alert.provider))
    stored = ObjectRecord.from_value(record.value) if record else None
    if stored is None or stored.tombstone:
        message = f"spec.providerRef.name: there is no Provider {alert.namespace}/{alert.provider}"
        raise Terminal(message, reason="NotFound")
    return parse_provider(stored.document)


def _secret(cluster: str, provider: Provider, case: _Case) -> Mapping[str, bytes]:
    if not provider.secret:
        return {}
    stored_as = secret_name(NOTIFY, cluster, provider.namespace, provider.secret)
    data = case.deps.secrets.get(stored_as)
    if data is None:
        message = f"Secret {provider.namespace}/{provider.secret} is not in the plane's store ({stored_as})"
        raise Transient(message, reason="SecretNotFound", retry_after=_SECRET_WAIT)
    return data


def _report(cluster: str, alert: Alert, case: _Case, error: PenstockError | None) -> None:
    """The outcome, for the operator's log and for ``penstock get alerts``."""
    common: dict[str, Any] = {
        "cluster": cluster,
        "kind": "Alert",
        "namespace": alert.namespace,
        "name": alert.name,
        "trace": case.deps.trace,
        "event": case.event.id,
    }
    if error is None:
        case.deps.telemetry.record("notification sent", **common, outcome="ok")
    else:
        outcome = "retry" if isinstance(error, Transient) else "failed"
        case.deps.telemetry.record(
            "notification failed", **common, outcome=outcome, reason=error.reason, detail=str(error)
        )
    _settle(lambda: _write_status(cluster, alert, case, error), case)


def _write_status(cluster: str, alert: Alert, case: _Case, error: PenstockError | None) -> None:
    key = status_key(cluster, "Alert", alert.namespace, alert.name)
    found = case.deps.state.get(key)
    before = DeliveryRecord.from_value(found.value) if found else DeliveryRecord()
    now = case.deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    after = DeliveryRecord(
        delivered_at=before.delivered_at if error else now,
        delivered_event=before.delivered_event if error else case.event.reason,
        refused_at=now if error else before.refused_at,
        refused_reason=f"{error.reason}: {error}" if error else before.refused_reason,
    )
    case.deps.state.put(key, after.to_value(), expected=found.version if found else ABSENT)


def _settle(write: Callable[[], object], case: _Case) -> None:
    """A record whose loss only costs a repetition: the notification itself is not undone for it."""
    try:
        write()
    except PenstockError as error:
        case.deps.telemetry.record("notification not recorded", reason=error.reason, detail=str(error))


def _day(case: _Case) -> str:
    return ledger.day_of(case.event, case.deps.clock.now().date())


def _sweep(deps: Deps) -> None:
    """Once a day, the records that no redelivery can ask for any more go."""
    today = deps.clock.now().date()
    try:
        swept = deps.state.get(ledger.SWEPT_KEY)
        days = ledger.days_to_sweep(swept.value if swept else None, today)
        for day in days:
            for record in deps.state.list(f"sent/{day}/"):
                deps.state.delete(record.key, expected=None)
        if days:
            value, expected = ledger.swept_value(today), swept.version if swept else ABSENT
            deps.state.put(ledger.SWEPT_KEY, value, expected=expected)
    except Transient as error:
        deps.telemetry.record("notifications not swept", reason=error.reason, detail=str(error))
