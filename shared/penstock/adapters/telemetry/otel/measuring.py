"""Records -> measurements: which facts count for which metric. Nothing else in a plane counts anything."""

from collections.abc import Callable, Mapping
from typing import Protocol

from penstock.adapters.telemetry.otel import instruments
from penstock.adapters.telemetry.otel.instruments import Instrument
from penstock.adapters.telemetry.otel.semantics import ROUTES, method
from penstock.core.sources.kinds import FETCHED
from penstock.ports.telemetry import Field

SENT, DELIVERED = ("sent", "failed"), ("delivered", "refused")
"""Outcomes of notifications, of deliveries."""

Labels = Mapping[str, str | bool | int | float]
Fields = Mapping[str, Field]


class Meter(Protocol):
    """Takes one measurement."""

    def __call__(self, instrument: Instrument, value: float, labels: Labels) -> None:
        """A counter is raised by ``value``, a histogram gets one more value."""


def measure(name: str, fields: Fields, meter: Meter) -> None:
    """What a record means for metrics."""
    found = _MEASURES.get(name)
    if found is not None:
        found(fields, meter)


def _stage_finished(fields: Fields, meter: Meter) -> None:
    stage, outcome = {"stage": _text(fields, "stage")}, _text(fields, "outcome")
    seconds = _number(fields, "milliseconds") / 1000
    meter(instruments.STAGE_DURATION, seconds, {**stage, "outcome": outcome})
    if fields.get("cold"):
        meter(instruments.COLD_STARTS, 1, stage)
    if fields.get("age") is not None:
        meter(instruments.QUEUE_AGE, _number(fields, "age"), stage)
    if fields.get("requests"):
        meter(instruments.API_REQUESTS, _number(fields, "requests"), stage)
    if "method" in fields:
        labels: dict[str, str | int] = {
            "http.request.method": method(fields),
            "http.response.status_code": int(_number(fields, "status")),
        }
        route = ROUTES.get(_text(fields, "stage"))
        meter(instruments.HTTP_DURATION, seconds, {**labels, **({"http.route": route} if route else {})})
    elif "topic" in fields:
        meter(instruments.ATTEMPT, _number(fields, "attempt"), stage)
        _reconciled(fields, meter, seconds)


def _reconciled(fields: Fields, meter: Meter, seconds: float) -> None:
    """A message of fetch or reconcile; one that came to an end has said for itself what it was."""
    stage = _text(fields, "stage")
    if stage == "fetch":
        meter(instruments.CONTROLLER_SECONDS, seconds, {"controller": _text(fields, "kind").lower()})
        meter(instruments.RECONCILE_DURATION, seconds, _object(fields))
    if stage in ("fetch", "reconcile") and fields.get("outcome") != "done":
        _controlled(_text(fields, "kind"), meter, failed=True)


def _controlled(kind: str, meter: Meter, *, failed: bool) -> None:
    """A reconcile, as controller-runtime counts them."""
    controller = {"controller": kind.lower()}
    meter(instruments.CONTROLLER_RECONCILES, 1, {**controller, "result": "error" if failed else "success"})
    if failed:
        meter(instruments.CONTROLLER_ERRORS, 1, controller)


def _source_looked_at(fields: Fields, meter: Meter) -> None:
    _controlled(_text(fields, "kind"), meter, failed=fields.get("outcome") == "failed")


def _kustomization_reconciled(fields: Fields, meter: Meter) -> None:
    seconds = _number(fields, "milliseconds") / 1000
    _controlled("Kustomization", meter, failed=fields.get("ready") == "False")
    meter(instruments.CONTROLLER_SECONDS, seconds, {"controller": "kustomization"})
    meter(instruments.RECONCILE_DURATION, seconds, _object(fields))
    cluster = {"cluster": _text(fields, "cluster")}
    if fields.get("drifted"):
        meter(instruments.OBJECTS, _number(fields, "drifted"), {**cluster, "action": "drifted"})
    if fields.get("since_push") is not None:
        meter(instruments.PUSH_TO_READY, _number(fields, "since_push"), cluster)


def _object(fields: Fields) -> Labels:
    return {name: _text(fields, name) for name in ("kind", "name", "namespace", "cluster")}


def _object_changed(action: str) -> Callable[[Fields, Meter], None]:
    def count(fields: Fields, meter: Meter) -> None:
        meter(instruments.OBJECTS, 1, {"cluster": _text(fields, "cluster"), "action": action})

    return count


def _counted(instrument: Instrument, **labels: str) -> Callable[[Fields, Meter], None]:
    return lambda _fields, meter: meter(instrument, 1, labels)


def _dead_letter(fields: Fields, meter: Meter) -> None:
    meter(instruments.DEAD_LETTERS, 1, {"stage": _text(fields, "stage")})


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return "" if value is None else str(value)


def _number(fields: Fields, name: str) -> float:
    value = fields.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


_MEASURES: Mapping[str, Callable[[Fields, Meter], None]] = {
    "stage finished": _stage_finished,
    "source looked at": _source_looked_at,
    "kustomization reconciled": _kustomization_reconciled,
    "object created": _object_changed("created"),
    "object configured": _object_changed("configured"),
    "object deleted": _object_changed("deleted"),
    "dead letter": _dead_letter,
    **{f"notification {outcome}": _counted(instruments.NOTIFICATIONS, outcome=outcome) for outcome in SENT},
    **{f"webhook {outcome}": _counted(instruments.DELIVERIES, outcome=outcome) for outcome in DELIVERED},
}

COUNTED_BY: Mapping[str, tuple[tuple[Instrument, Labels], ...]] = {
    "notify": tuple((instruments.NOTIFICATIONS, {"outcome": outcome}) for outcome in SENT),
    "webhook": tuple((instruments.DELIVERIES, {"outcome": outcome}) for outcome in DELIVERED),
    "fetch": tuple((instruments.CONTROLLER_ERRORS, {"controller": kind.lower()}) for kind in FETCHED),
    "reconcile": ((instruments.CONTROLLER_ERRORS, {"controller": "kustomization"}),),
}
"""What a stage counts that may never happen."""
