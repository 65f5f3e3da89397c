"""webhook: a signed POST to ``/hook/<digest>`` becomes wake-ups of what the Receiver names.

What the sender learns is a status: 202, 200 for a ping, or 400, 401, 404, 405, 415, 503 with the same few bytes for
every cause. Why a delivery was refused stands in the Receiver's delivery record, for ``penstock get receivers``.
Several clusters' Receivers may share a path (same token, name and namespace): each is verified and served by itself.

Raises Transient where the index or the secrets cannot be read: the caller answers 503 and the sender tries again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from penstock.core.cel.expression import EvaluationFailed, InvalidExpression
from penstock.core.errors import Conflict, PenstockError
from penstock.core.flux.receiver import EVERY, unsupported_type, webhook_digest
from penstock.core.http import HttpRequest, HttpResponse, json_response, problem
from penstock.core.messages import OWN_SOURCE, PLANE, Outgoing, SourceChanged
from penstock.core.records import DeliveryRecord, ObjectRecord, ReceiverRecord, delivery_key, object_key
from penstock.core.resources import Manifest
from penstock.core.secrets.names import WEBHOOK, for_reader
from penstock.core.secrets.rotation import PREVIOUS, TOKEN, ended
from penstock.core.webhooks.delivery import Refusal, WebhookDelivery
from penstock.core.webhooks.filters import has_filter, lets_through, request_data
from penstock.core.webhooks.senders import SENDERS
from penstock.core.webhooks.wake import Wakeup, accepts, wakeups
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record, State

_PATH = re.compile(r"/hook/([0-9a-f]{64})")
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}
_kept: WeakKeyDictionary[State, dict[str, Record]] = WeakKeyDictionary()
"""Delivery records as this process wrote them last: the next one names the version, and need not ask for it."""
_MOST_KEPT = 1_000
_PRECEDENCE = (400, 401, 415, 503)
"""Which refusal the sender sees where the Receivers of one path give several: the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What became of the delivery at one Receiver."""

    receiver: ReceiverRecord
    delivery: WebhookDelivery | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer(HttpResponse):
    """The answer, and what is to be recorded of the delivery when it has been published."""

    outcomes: tuple[_Outcome, ...] = field(default=(), repr=False)


def run(request: HttpRequest, deps: Deps) -> tuple[HttpResponse, list[Outgoing]]:
    """The answer, and what to publish before it is given."""
    path = _PATH.fullmatch(request.path)
    if path is None or request.query:  # as Flux: the whole request URI must be the path
        return _refused(404), []
    if request.method != "POST":
        return replace(_refused(405), headers={**_refused(405).headers, "allow": "POST"}), []
    receivers = _receivers(path[1], deps)
    if not receivers:
        return _refused(404), []
    outcomes = [_deliver(receiver, request, deps) for receiver in receivers]
    for outcome in outcomes:
        _tell(outcome, deps)
    answer, messages = _answer(outcomes, request, deps)
    return _Answer(status=answer.status, headers=answer.headers, body=answer.body, outcomes=tuple(outcomes)), messages


def settle(_request: HttpRequest, response: HttpResponse, deps: Deps) -> HttpResponse:
    """Write the delivery records when the wake-ups are on the bus: nobody's change waits for them."""
    for outcome in response.outcomes if isinstance(response, _Answer) else ():
        _record(outcome, deps)
    return response


def _answer(outcomes: Sequence[_Outcome], request: HttpRequest, deps: Deps) -> tuple[HttpResponse, list[Outgoing]]:
    served = [outcome for outcome in outcomes if outcome.delivery is not None]
    if not served:
        statuses = {outcome.refusal.status for outcome in outcomes if outcome.refusal is not None}
        return _refused(next(status for status in _PRECEDENCE if status in statuses)), []
    woken = [each for outcome in served for each in _wakeups(outcome, request, deps)]
    if len(served) > 1:
        woken = [_shared_source(each, deps) for each in woken]
    messages = {each.key: each for each in woken}
    ping = all(outcome.delivery is not None and outcome.delivery.ping for outcome in served)
    answer = json_response(200 if ping else 202, {"accepted": len(messages), "trace": deps.trace})
    return answer, [Outgoing(message=message) for message in messages.values()]


def _receivers(digest: str, deps: Deps) -> list[ReceiverRecord]:
    return [ReceiverRecord.from_value(record.value) for record in deps.state.list(f"receiver/{digest}/")]


def _deliver(receiver: ReceiverRecord, request: HttpRequest, deps: Deps) -> _Outcome:
    try:
        return _Outcome(receiver=receiver, delivery=_verified(receiver, request, deps))
    except Refusal as refusal:
        return _Outcome(receiver=receiver, refusal=refusal)


def _verified(receiver: ReceiverRecord, request: HttpRequest, deps: Deps) -> WebhookDelivery:
    if receiver.suspended:
        raise Refusal(503, "the Receiver is suspended", reason="Suspended")
    read = SENDERS.get(receiver.type)
    if read is None:
        raise Refusal(503, unsupported_type(receiver.type), reason="UnsupportedType")
    if not receiver.resources:
        raise Refusal(503, "none of the Receiver's resources can be served", reason="UnsupportedKind")
    delivery = read(request, _token(receiver, deps))
    if not delivery.ping and not accepts(receiver, delivery.event):
        raise Refusal(400, f"event {delivery.event} is not in spec.events", reason="EventNotListed")
    return delivery


def _token(receiver: ReceiverRecord, deps: Deps) -> bytes:
    """The token of this path: the Receiver's, or the one before until its time is over.

    A value that does not give this path is read anew: after a rotation the cached one may be the old one. An entry that
    was written before names of secrets had a reader is as good as any once the token's copy is there.
    """
    over = ended(receiver.until, deps.clock.now())
    stored_as = for_reader(WEBHOOK, receiver.secret)
    data = deps.secrets.get(stored_as, newest=over) if receiver.secret else None
    if data is None and receiver.secret:
        # its cluster was away when the plane started, say: nobody's signature is wrong
        missing = "the plane holds no copy of the Receiver's Secret: runs of the root copy it"
        raise Refusal(503, missing, reason="TokenNotCopied")
    if not (data or {}).get(TOKEN):
        raise Refusal(401, "the Receiver names no Secret, or that has no `token`", reason="TokenNotFound")
    key = _key(receiver, data)
    if not key:
        data = deps.secrets.get(stored_as, newest=True)
        key = _key(receiver, data)
    if not key:
        raise Refusal(401, "the token has changed since, and with it the webhook's URL", reason="TokenChanged")
    if over and key == PREVIOUS:
        raise Refusal(401, f"the token was replaced, and taken until {receiver.until}", reason="TokenExpired")
    return (data or {})[key]


def _key(receiver: ReceiverRecord, data: Mapping[str, bytes] | None) -> str:
    """Under which key the token of the Receiver's path stands; "" for none."""
    held = {key: token for key in (TOKEN, PREVIOUS) if (token := (data or {}).get(key))}
    digests = {key: webhook_digest(token, receiver.name, receiver.namespace) for key, token in held.items()}
    return next((key for key, digest in digests.items() if digest == receiver.digest), "")


def _wakeups(outcome: _Outcome, request: HttpRequest, deps: Deps) -> tuple[Wakeup, ...]:
    receiver, delivery = outcome.receiver, outcome.delivery
    if delivery is None or delivery.ping:
        return ()
    looked_at = [each for each in receiver.resources if each["name"] == EVERY or has_filter(each)]
    objects = {
        (kind, namespace): _documents(f"object/{receiver.cluster}/{kind}/{namespace}/", deps)
        for kind, namespace in sorted({(each["kind"], each["namespace"]) for each in looked_at})
    }
    payload = request_data(request) if any(map(has_filter, looked_at)) else {}

    def may_wake(resource: Mapping[str, str], manifest: Manifest) -> bool:
        try:
            return lets_through(resource, manifest, payload)
        except (EvaluationFailed, InvalidExpression) as error:
            _filter_failed(receiver, error, deps)
            return False

    return wakeups(receiver, delivery.hint, objects, may_wake)


def _filter_failed(receiver: ReceiverRecord, error: PenstockError, deps: Deps) -> None:
    """What cannot be told lets nothing through; the operator learns why, from the log."""
    deps.telemetry.record(
        "webhook filter failed",
        cluster=receiver.cluster,
        kind="Receiver",
        namespace=receiver.namespace,
        name=receiver.name,
        trace=deps.trace,
        reason=error.reason,
        detail=str(error),
    )


def _shared_source(message: Wakeup, deps: Deps) -> Wakeup:
    """The plane's own source in place of a cluster's alias of it: a thousand clusters ask its remote once."""
    if not isinstance(message, SourceChanged) or (message.kind, message.namespace, message.name) != OWN_SOURCE:
        return message
    record = deps.state.get(object_key(message.cluster, message.kind, message.namespace, message.name))
    alias = record is not None and ObjectRecord.from_value(record.value).implicit
    return replace(message, cluster=PLANE) if alias else message


def _documents(prefix: str, deps: Deps) -> list[Manifest]:
    records = [ObjectRecord.from_value(record.value) for record in deps.state.list(prefix)]
    return [record.document for record in records if not record.tombstone]


def _tell(outcome: _Outcome, deps: Deps) -> None:
    receiver, refusal = outcome.receiver, outcome.refusal
    event = outcome.delivery.event if outcome.delivery else ""
    deps.telemetry.record(
        "webhook refused" if refusal else "webhook delivered",
        cluster=receiver.cluster,
        kind="Receiver",
        namespace=receiver.namespace,
        name=receiver.name,
        trace=deps.trace,
        event=event,
        reason=refusal.reason if refusal else "",
        detail=str(refusal or ""),
    )


def _record(outcome: _Outcome, deps: Deps) -> None:
    """Write the delivery record over the one before: whoever loses, or cannot write, leaves the delivery as it is."""
    receiver = outcome.receiver
    key = delivery_key(receiver.cluster, receiver.namespace, receiver.name)
    kept = _kept.setdefault(deps.state, {})
    try:
        try:
            found = kept.pop(key, None) or deps.state.get(key)
            written = _written(key, found, outcome, deps)
        except Conflict:
            written = _written(key, deps.state.get(key), outcome, deps)
        if len(kept) < _MOST_KEPT:
            kept[key] = written
    except PenstockError as error:
        deps.telemetry.record(
            "delivery not recorded",
            cluster=receiver.cluster,
            kind="Receiver",
            namespace=receiver.namespace,
            name=receiver.name,
            reason=error.reason,
            detail=str(error),
        )


def _written(key: str, found: Record | None, outcome: _Outcome, deps: Deps) -> Record:
    refusal, now = outcome.refusal, deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    before = DeliveryRecord.from_value(found.value) if found else DeliveryRecord()
    if refusal:
        after = replace(before, refused_at=now, refused_reason=f"{refusal.status}: {refusal}")
    else:
        event = outcome.delivery.event if outcome.delivery else ""
        after = replace(before, delivered_at=now, delivered_event=event)
    return deps.state.put(key, after.to_value(), expected=found.version if found else ABSENT)


def _refused(status: int) -> HttpResponse:
    return problem(status, _TITLES[status])
