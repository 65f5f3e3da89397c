"""notify: tells the Providers of the Alerts that ask for an event. Publishes nothing, so nothing here goes in circles.

At least once: each Alert is claimed before it is told and marked afterwards, so a redelivery tells nobody twice; only
an invocation that dies between the Provider's answer and the mark makes the next one tell again. What may go away
(429, 5xx, no connection, a Secret that is not there yet) is raised as Transient after all the others were told; what
will not (4xx, a wrong document) is recorded and left.

What telling asks of the records is read at once when it is known who is told; a write names the version that was read,
and where somebody else has written since, the record is read again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
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
from penstock.core.secrets.names import NOTIFY, secret_name
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record, Value

_AT_ONCE = 8
"""Providers told at the same time: one that hangs does not hold up the others."""

_SECRET_WAIT = 10.0
"""Seconds until a Secret that the store does not have yet is looked for again."""

_Concerned = tuple[str, Alert]
"""A cluster, and an Alert of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One event, and what all its Alerts share. ``records``: what was read in this run, by key; None is not there."""

    event: Event
    deps: Deps
    records: dict[str, Record | None] = field(default_factory=dict, repr=False)

    @property
    def now(self) -> float:
        return self.deps.clock.now().timestamp()

    @property
    def plane(self) -> PlaneRecord | None:
        record = self.get(PLANE_KEY)
        return PlaneRecord.from_value(record.value) if record else None

    def get(self, key: str) -> Record | None:
        """A record, as this run has read it first."""
        self.read([key])
        return self.records[key]

    def read(self, keys: Collection[str]) -> None:
        """Read those that this run has not read yet, together."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.records]
        if missing:
            found = self.deps.state.read(missing).records
            self.records.update({key: found.get(key) for key in missing})

    def metadata(self, name: str) -> dict[str, str] | None:
        """``labels`` or ``annotations`` of the event's object; None where the plane has none such."""
        event = self.event
        if not event.namespace:
            return None
        record = self.get(_subject_key(event))
        if record is None:
            return None
        return dict(ObjectRecord.from_value(record.value).document["metadata"].get(name) or {})


def run(event: Event, deps: Deps) -> list[Outgoing]:
    """Tells everyone whom the event concerns. Raises Transient where somebody is to be tried again."""
    if own_failure(event):
        deps.telemetry.record("event not told", trace=deps.trace, reason="OwnFailure", detail=event.message)
        return []
    case = _Case(event=event, deps=deps)
    concerned = list(_concerned(case))
    if not concerned:
        return []
    case.read(_keys(case, concerned))
    repeated, outcomes = _tell_all(concerned, case)
    if repeated:
        deps.telemetry.record("event not told", trace=deps.trace, reason="Repeated", cluster=event.cluster)
        return []
    failures = [each for each in outcomes if isinstance(each, Transient)]
    if all(isinstance(each, Terminal) for each in outcomes):
        _settle(lambda: _unsay(case), case)
    _sweep(case)
    if failures:
        waits = [each.retry_after for each in failures if each.retry_after is not None]
        raise Transient(
            f"{len(failures)} of {len(concerned)} notifications could not be sent: {failures[0]}",
            reason=failures[0].reason,
            retry_after=max(waits, default=None),
        )
    return []


def _tell_all(concerned: Sequence[_Concerned], case: _Case) -> tuple[bool, list[PenstockError | None]]:
    """Whether another event has said the same; if not, the outcome of each Alert.

    That this one says it now is written down while the Alerts are claimed: nobody is told before both are certain.
    """
    found = case.get(_repeats_key(case))
    if _is_other(found, case):
        return True, []
    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(concerned) + 1)) as pool:
        lost = pool.submit(_said_by_other, found, case)
        outcomes = list(pool.map(lambda pair: _told(pair[0], pair[1], lost, case), concerned))
    return lost.result(), outcomes


def _keys(case: _Case, concerned: Sequence[_Concerned]) -> list[str]:
    """What telling these asks for."""
    keys = [PLANE_KEY, _repeats_key(case), ledger.SWEPT_KEY]
    keys += [_subject_key(case.event)] if case.event.namespace else []
    for cluster, alert in concerned:
        keys += [_sent_key(cluster, alert, case), _provider_key(cluster, alert), _outcome_key(cluster, alert)]
    return keys


def _subject_key(event: Event) -> str:
    return object_key(event.cluster, event.kind, event.namespace, event.name)


def _repeats_key(case: _Case) -> str:
    return ledger.repeat_record_key(_day(case), repeat_key(case.event))


def _sent_key(cluster: str, alert: Alert, case: _Case) -> str:
    return ledger.sent_key(_day(case), case.event, cluster, f"{alert.namespace}/{alert.name}")


def _provider_key(cluster: str, alert: Alert) -> str:
    return object_key(cluster, "Provider", alert.namespace, alert.provider)


def _outcome_key(cluster: str, alert: Alert) -> str:
    return status_key(cluster, "Alert", alert.namespace, alert.name)


def _concerned(case: _Case) -> Iterable[_Concerned]:
    """The Alerts that ask for the event."""
    places = {f"object/{cluster}/Alert/": cluster for cluster in _clusters(case)}
    for place, records in case.deps.state.read(prefixes=list(places)).lists.items():
        yield from ((places[place], alert) for alert in _alerts(places[place], records, case))


def _clusters(case: _Case) -> Iterable[str]:
    """The event's cluster; every one of them where it is about the plane's own source or stages."""
    if case.event.cluster not in ("", PLANE):
        return (case.event.cluster,)
    spec = _plane_document(case).get("spec")
    return tuple(str(each["name"]) for each in (spec or {}).get("clusters") or ())


def _alerts(cluster: str, records: Iterable[Record], case: _Case) -> Iterable[Alert]:
    for record in records:
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
    event = case.event
    if event.namespace not in ("", alert.namespace) and forbids_cross_namespace(_plane_document(case), cluster):
        message = f"spec.eventSources: {event.kind} {event.namespace}/{event.name} is of another namespace"
        _report(cluster, alert, case, Terminal(f"{message}, and the plane forbids that", reason="AccessDenied"))
        return False
    for path in invalid_patterns(alert):
        _report(cluster, alert, case, Terminal(f"{path} is no RE2 expression", reason="InvalidConfig"))
    return passes_lists(alert, event.message)


def _plane_document(case: _Case) -> Mapping[str, Any]:
    plane = case.plane
    return plane.document if plane else {}


def _is_other(found: Record | None, case: _Case) -> bool:
    """Whether another event said the same within five minutes."""
    event = case.event
    return found is not None and found.value.get("event") != event.id and ledger.is_repeat(found.value, event, case.now)


def _said_by_other(found: Record | None, case: _Case) -> bool:
    """Write down that this event says it now; whether another one was quicker."""
    state, event, key = case.deps.state, case.event, _repeats_key(case)
    if found is not None and found.value.get("event") == event.id:
        return False
    try:
        state.put(key, ledger.repeat_value(event, case.now), expected=_version(found))
    except Conflict:
        found = state.get(key)
        return found is not None and ledger.is_repeat(found.value, event, case.now)
    return False


def _unsay(case: _Case) -> None:
    """Nobody could be told: the next event that says the same is no repetition."""
    found = case.deps.state.get(_repeats_key(case))
    if found is not None and found.value.get("event") == case.event.id:
        case.deps.state.delete(found.key, expected=found.version)


def _told(cluster: str, alert: Alert, lost: "Future[bool]", case: _Case) -> PenstockError | None:
    """None where the Alert is done with; Transient where it is to be tried again, Terminal where it cannot be told.

    ``lost``: whether another event has said the same meanwhile; then nobody is told.
    """
    try:
        claim = _claim(_sent_key(cluster, alert, case), case)
        if claim is None or isinstance(claim, Terminal):
            return claim
        return None if _given_up(claim, lost, case) else _tell(cluster, alert, claim, case)
    except Transient as error:
        _report(cluster, alert, case, error)
        return error


def _given_up(claim: Record, lost: "Future[bool]", case: _Case) -> bool:
    """Whether the claim was given back, for another event has said the same. Raises what writing that down raised."""
    is_lost = True
    try:
        is_lost = lost.result()
    finally:
        if is_lost:
            _settle(lambda: case.deps.state.delete(claim.key, expected=claim.version), case)
    return is_lost


def _claim(key: str, case: _Case) -> Record | Terminal | None:
    """The claim; None where the Alert was told already, Terminal where it was found that it cannot be.

    Raises Transient while another invocation is at it.
    """
    found = case.get(key)
    if found is not None:
        if found.value.get("state") == ledger.FAILED:
            return Terminal("an earlier delivery could not tell it")
        if found.value.get("state") != ledger.CLAIMED:
            return None
        wait = ledger.look_again(found.value, case.now)
        if wait > 0:
            raise Transient("another invocation is telling it", reason="Claimed", retry_after=wait)
    value = ledger.outcome_value(ledger.CLAIMED, case.now)
    return case.deps.state.put(key, value, expected=_version(found))


def _tell(cluster: str, alert: Alert, claim: Record, case: _Case) -> Terminal | None:
    """What makes it impossible, if anything does. Raises Transient."""
    error = None
    try:
        sent = _send(cluster, alert, case)
    except Transient:
        _settle(lambda: case.deps.state.delete(claim.key, expected=claim.version), case)
        raise
    except Terminal as refused:
        sent, error = 1, refused
    value = ledger.outcome_value(ledger.FAILED if error else ledger.SENT, case.now)
    with ThreadPoolExecutor(max_workers=1) as pool:
        marked = pool.submit(_settle, lambda: case.deps.state.put(claim.key, value, expected=claim.version), case)
        if sent:
            _report(cluster, alert, case, error)
    marked.result()
    return error


def _send(cluster: str, alert: Alert, case: _Case) -> int:
    """How many requests went out. Raises Transient or Terminal."""
    provider = _provider(cluster, alert, case)
    if provider.suspend:
        return 0
    if case.event.metadata.get("commit_status") == "update" and not SERVICES[provider.type].updates:
        return 0
    held = _secret(cluster, provider, case)
    try:
        return _post(provider, held, alert, case)
    except Terminal:  # what is cached may be the address or token before, and no longer taken
        newest = _secret(cluster, provider, case, newest=True)
        if newest == held:
            raise
    return _post(provider, newest, alert, case)


def _post(provider: Provider, secret: Mapping[str, bytes], alert: Alert, case: _Case) -> int:
    """As ``_send``."""
    where, service = target(provider, secret), SERVICES[provider.type]
    plane = case.plane.uid if case.plane else ""
    told = notification(case.event, alert, case.metadata("annotations") or {}, plane)
    requests = service.requests(told, where)
    for request in requests:
        with case.deps.telemetry.span("deliver", provider=provider.type, alert=f"{alert.namespace}/{alert.name}"):
            service.check(request, case.deps.notifier.send(request))
    return len(requests)


def _provider(cluster: str, alert: Alert, case: _Case) -> Provider:
    record = case.get(_provider_key(cluster, alert))
    stored = ObjectRecord.from_value(record.value) if record else None
    if stored is None or stored.tombstone:
        message = f"spec.providerRef.name: there is no Provider {alert.namespace}/{alert.provider}"
        raise Terminal(message, reason="NotFound")
    return parse_provider(stored.document)


def _secret(cluster: str, provider: Provider, case: _Case, *, newest: bool = False) -> Mapping[str, bytes]:
    if not provider.secret:
        return {}
    stored_as = secret_name(NOTIFY, cluster, provider.namespace, provider.secret)
    data = case.deps.secrets.get(stored_as, newest=newest)
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
    key = _outcome_key(cluster, alert)
    found = case.get(key)
    try:
        case.records[key] = case.deps.state.put(key, _after(found, case, error), expected=_version(found))
    except Conflict:  # another event's outcome was written meanwhile
        found = case.deps.state.get(key)
        case.deps.state.put(key, _after(found, case, error), expected=_version(found))


def _version(found: Record | None) -> str:
    return found.version if found else ABSENT


def _after(found: Record | None, case: _Case, error: PenstockError | None) -> Value:
    before = DeliveryRecord.from_value(found.value) if found else DeliveryRecord()
    now = case.deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    after = DeliveryRecord(
        delivered_at=before.delivered_at if error else now,
        delivered_event=before.delivered_event if error else case.event.reason,
        refused_at=now if error else before.refused_at,
        refused_reason=f"{error.reason}: {error}" if error else before.refused_reason,
    )
    return after.to_value()


def _settle(write: Callable[[], object], case: _Case) -> None:
    """A record whose loss only costs a repetition: the notification itself is not undone for it."""
    try:
        write()
    except PenstockError as error:
        case.deps.telemetry.record("notification not recorded", reason=error.reason, detail=str(error))


def _day(case: _Case) -> str:
    return ledger.day_of(case.event, case.deps.clock.now().date())


def _sweep(case: _Case) -> None:
    """Once a day, the records that no redelivery can ask for any more go."""
    deps = case.deps
    today = deps.clock.now().date()
    try:
        swept = case.get(ledger.SWEPT_KEY)
        days = ledger.days_to_sweep(swept.value if swept else None, today)
        for day in days:
            for record in deps.state.list(f"sent/{day}/"):
                deps.state.delete(record.key, expected=None)
        if days:
            value, expected = ledger.swept_value(today), swept.version if swept else ABSENT
            deps.state.put(ledger.SWEPT_KEY, value, expected=expected)
    except Transient as error:
        deps.telemetry.record("notifications not swept", reason=error.reason, detail=str(error))
