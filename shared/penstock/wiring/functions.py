"""What functions/<stage>/main.py call: from what the platform hands over to a stage's run, and back.

The runtime is made at the first request and kept, so that a warm instance reuses its connections.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PenstockError, Refused, Terminal, Transient
from penstock.core.http import HttpResponse, problem
from penstock.core.messages import Envelope, decode
from penstock.wiring.http import to_response
from penstock.wiring.lazy import Once
from penstock.wiring.runtime import Runtime, open_runtime

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

OURS = "dev.penstock."
"""What the types of this plane's messages start with."""

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


def topic_function(stage: str, request: "Request") -> "Response":
    """One push of a message. 204 where it is done (or will never be), 503 where it must be delivered again.

    Who sends is verified before anything of the body is read (Runtime.check_push).
    """
    if request.method != "POST":
        return to_response(problem(405, "POST only"))
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        runtime().check_push(headers)
        envelope = envelope_of(headers, request.get_data())
    except Transient as error:
        return _refused(stage, error, problem(503, "try again"))
    except Refused as error:
        return _refused(stage, error, problem(401, "this push does not prove who sends it"))
    except Terminal as error:
        return _refused(stage, error, HttpResponse(status=204))
    again = runtime().run_message(stage, envelope).again
    return to_response(problem(503, "try again") if again else HttpResponse(status=204))


def _refused(stage: str, error: PenstockError, answer: HttpResponse) -> "Response":
    runtime().port("telemetry").record("message refused", stage=stage, outcome="failed", error=str(error))
    return to_response(answer)


def envelope_of(headers: Mapping[str, str], body: bytes) -> Envelope:
    """The message in a push: Pub/Sub's wrapping of ours (base64), bare or in a CloudEvent, or our own CloudEvent.

    ``headers``: lower-case names. Raises Terminal.
    """
    data: Any = _json(body)
    kind = headers.get("ce-type", "")
    if kind.startswith(OURS):
        return decode(json.dumps({**_attributes(headers), "data": data}).encode())
    if isinstance(data, Mapping) and str(data.get("type", "")).startswith(OURS):
        return decode(body)
    if isinstance(data, Mapping) and "specversion" in data:
        data = data.get("data")
    return _unwrapped(data)


def _unwrapped(data: Any) -> Envelope:
    wrapped = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(wrapped, Mapping):
        raise Terminal("neither a message of this plane nor Pub/Sub's wrapping of one")
    try:
        body = base64.b64decode(str(wrapped.get("data", "")), validate=True)
        attempt = int(data.get("deliveryAttempt") or 1)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Terminal("Pub/Sub's wrapping holds no base64 data") from error
    return decode(body, attempt=attempt)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Terminal("a push whose body is no JSON") from None


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
