"""What functions/<stage>/main.py call: from what the platform hands over to a stage's run, and back.

The runtime is made at the first request and kept, so that a warm instance reuses its connections.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.core.errors import Terminal
from penstock.core.http import HttpResponse, problem
from penstock.core.messages import Envelope, decode
from penstock.wiring.http import to_response
from penstock.wiring.lazy import Once
from penstock.wiring.runtime import Runtime, open_runtime

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from werkzeug.wrappers import Request, Response

runtime: Once[Runtime] = Once(open_runtime)


def http_function(stage: str, request: "Request") -> "Response":
    """One request to an HTTP stage."""
    return runtime().serve_http(stage, request)


def schedule_function(stage: str, request: "Request") -> "Response":
    """One POST of the scheduler: 204, or 503 where it should call again."""
    if request.method != "POST":
        return to_response(problem(405, "POST only"))
    outcome = runtime().run_tick(stage)
    return to_response(problem(503, "try again") if outcome.again else HttpResponse(status=204))


def topic_function(stage: str, event: "CloudEvent") -> None:
    """One message. Returns where it is done (or will never be); raises 503 where it must be delivered again."""
    from werkzeug.exceptions import ServiceUnavailable  # noqa: PLC0415 - loaded by functions-framework anyway

    try:
        envelope = envelope_of(event)
    except Terminal as error:
        runtime().port("telemetry").record("message refused", stage=stage, outcome="failed", error=str(error))
        return
    if runtime().run_message(stage, envelope).again:
        raise ServiceUnavailable("try again")


def envelope_of(event: "CloudEvent") -> Envelope:
    """The message in a CloudEvent: Pub/Sub's wrapping of ours (base64), or ours itself. Raises Terminal."""
    data: Any = event.get_data()
    if str(event["type"]).startswith("dev.penstock."):
        return decode(json.dumps({**event.get_attributes(), "data": data}).encode())
    wrapped = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(wrapped, Mapping):
        raise Terminal("neither a message of this plane nor Pub/Sub's wrapping of one")
    try:
        body = base64.b64decode(str(wrapped.get("data", "")), validate=True)
        attempt = int(data.get("deliveryAttempt") or 1)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Terminal("Pub/Sub's wrapping holds no base64 data") from error
    return decode(body, attempt=attempt)
