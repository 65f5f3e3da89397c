"""Steps in the words of OpenTelemetry's semantic conventions (messaging, http, faas, vcs, k8s), or ``penstock.…``.

Nothing here knows the SDK: values in, values out.
"""

from collections.abc import Mapping

from penstock.ports.telemetry import Field

Attributes = dict[str, str | bool | int | float]

KINDS = {
    "process": "CONSUMER",
    "send": "PRODUCER",
    "request": "SERVER",
    "resolve head": "CLIENT",
    "checkout": "CLIENT",
    "deliver": "CLIENT",
}
"""Kinds of spans by the name of the step; all others are INTERNAL."""

MESSAGING = ("process", "send")
SYSTEMS = {"google": "gcp_pubsub", "aws": "aws.sns"}
"""``messaging.system`` by backend; the embedded bus is penstock's own."""

ROUTES = {"webhook": "/hook/{digest}"}
"""``http.route`` by stage: paths of requests are not told (who knows a webhook's path knows half of what it takes)."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
FAILED = frozenset({"failed", "retry", "dead"})

_NAMES = {
    "attempt": "penstock.message.attempt",
    "cluster": "k8s.cluster.name",
    "cold": "faas.coldstart",
    "message_id": "messaging.message.id",
    "messages": "messaging.batch.message_count",
    "method": "http.request.method",
    "namespace": "k8s.namespace.name",
    "ref": "vcs.ref.head.name",
    "requestId": "faas.invocation_id",
    "status": "http.response.status_code",
    "topic": "messaging.destination.name",
    "url": "vcs.repository.url.full",
    "reason": "error.type",
}
_LEFT_OUT = frozenset({"trace", "span", "error", "idle", "milliseconds"})
"""Of the span itself, or told as its status and times."""


def title(step: str, fields: Mapping[str, Field]) -> str:
    """The span's name: few of them, whatever is worked on."""
    if step in MESSAGING and fields.get("topic"):
        return f"{step} {fields['topic']}"
    if step == "request":
        stage = str(fields.get("stage", ""))
        return f"{method(fields)} {ROUTES.get(stage, stage)}"
    return step


def attributes(step: str, fields: Mapping[str, Field], *, system: str) -> Attributes:
    """The span's attributes. ``fields`` are redacted already; what is empty is left out."""
    found: Attributes = {
        _NAMES.get(name, f"penstock.{name}"): value
        for name, value in fields.items()
        if name not in _LEFT_OUT and value not in (None, "")
    }
    if step in MESSAGING:
        found |= {"messaging.system": system, "messaging.operation.name": step, "messaging.operation.type": step}
    if step == "process" and "stage" in fields:
        found["messaging.consumer.group.name"] = str(fields["stage"])
    if "method" in fields:
        found["http.request.method"] = method(fields)
        stage = str(fields.get("stage", ""))
        if stage in ROUTES:
            found["http.route"] = ROUTES[stage]
    return found


def method(fields: Mapping[str, Field]) -> str:
    """``http.request.method``: anything may be sent, few are told."""
    given = str(fields.get("method", ""))
    return given if given in METHODS else "_OTHER"


def failed(step: str, fields: Mapping[str, Field]) -> bool:
    """Whether what is noted says that the step failed; a refused request is the caller's failure."""
    status = fields.get("status")
    if step == "request":
        return isinstance(status, int) and status >= 500
    return fields.get("outcome") in FAILED
