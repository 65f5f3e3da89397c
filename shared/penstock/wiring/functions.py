"""What functions/<stage>/main.py call: from what the platform hands over to a stage's run, and back.

The runtime is made at the first request and kept, so that a warm instance reuses its connections.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PenstockError, Terminal, Transient
from penstock.core.http import HttpResponse, problem
from penstock.core.messages import Envelope, decode
from penstock.wiring.http import to_response
from penstock.wiring.lazy import Once
from penstock.wiring.runtime import Runtime, open_function

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

OURS = "dev.penstock."
"""What the types of this plane's messages start with."""

DONE = HttpResponse(status=204)
AGAIN = problem(503, "try again")

runtime: Once[Runtime] = Once(open_function)


def http_function(stage: str, request: "Request") -> "Response":
    """One request to an HTTP stage."""
    with runtime().invocation():
        return runtime().serve_http(stage, request)


def schedule_function(stage: str, request: "Request") -> "Response":
    """One POST of the scheduler, or on Google Cloud a push of a dead letter: 204, or 503 where it did not succeed.

    Who sends is verified before anything of the body is read (Runtime.check_push).
    """
    with runtime().invocation():
        return to_response(_scheduled(stage, request))


def topic_function(stage: str, request: "Request") -> "Response":
    """One push of a message. 204 where it is done (or given up), 503 where it must be delivered again.

    Who sends is verified before anything of the body is read (Runtime.check_push). On Google Cloud, what is given up
    becomes a dead letter (wiring/pubsub_push.py).
    """
    with runtime().invocation():
        return to_response(_pushed(stage, request))


def _scheduled(stage: str, request: "Request") -> HttpResponse:
    refusal = _refusal(stage, request)
    if refusal is None:
        refusal = _told_of_lost(stage, request)
    if refusal is not None:
        return refusal
    # a schedule has no dead letter: its failures show
    return DONE if runtime().run_tick(stage).kind == "done" else AGAIN


def _pushed(stage: str, request: "Request") -> HttpResponse:
    refusal = _refusal(stage, request)
    if refusal is not None:
        return refusal
    body = request.get_data()
    try:
        envelope = envelope_of(_headers(request), body)
    except Terminal as error:
        _record(stage, error)
        return DONE if _given_up(stage, body, f"{error.reason}: {error}", elsewhere=True) else AGAIN
    outcome = runtime().run_message(stage, envelope)
    again = outcome.again
    if again and envelope.attempt >= runtime().pipeline.stage(stage).attempts:
        again = not _given_up(stage, body, f"{outcome.reason}: {outcome.error}", elsewhere=False)
    return AGAIN if again else DONE


def _refusal(stage: str, request: "Request") -> HttpResponse | None:
    """The answer to a request that does not prove who sends it."""
    if request.method != "POST":
        return problem(405, "POST only")
    try:
        runtime().check_push(_headers(request))
    except PenstockError as error:
        _record(stage, error)
        return AGAIN if isinstance(error, Transient) else problem(401, "this push does not prove who sends it")
    return None


def _given_up(stage: str, body: bytes, error: str, *, elsewhere: bool) -> bool:
    """Whether the message in a push is a dead letter now. ``elsewhere``: the answer but on Google Cloud."""
    if runtime().settings.google is None:
        return elsewhere
    from penstock.wiring.pubsub_push import give_up  # noqa: PLC0415 - only where the plane is on Google Cloud

    return give_up(runtime(), stage, body, error)


def _told_of_lost(stage: str, request: "Request") -> HttpResponse | None:
    """The answer to a push of a dead letter; None for the scheduler's call."""
    names = runtime().settings.google
    if names is None:
        return None
    from penstock.wiring.pubsub_push import tell_of_lost  # noqa: PLC0415 - see above

    try:
        return DONE if tell_of_lost(runtime(), names, stage, request.get_data()) else None
    except PenstockError as error:
        _record(stage, error)
        return AGAIN  # a missing right too: told of when it is there


def _headers(request: "Request") -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _record(stage: str, error: PenstockError) -> None:
    runtime().port("telemetry").record("message refused", stage=stage, outcome="failed", error=str(error))


def envelope_of(headers: Mapping[str, str], body: bytes) -> Envelope:
    """The message in a push: Pub/Sub's wrapping of ours (base64), bare or in a CloudEvent, or our own CloudEvent.

    ``headers``: lower-case names. Raises Terminal.
    """
    data: Any = _json(body)
    kind = headers.get("ce-type", "")
    if kind.startswith(OURS):
        return decode(_as_event(headers, data))
    if isinstance(data, Mapping) and str(data.get("type", "")).startswith(OURS):
        return decode(body)
    if isinstance(data, Mapping) and "specversion" in data:
        data = data.get("data")
    return _unwrapped(data)


def _as_event(headers: Mapping[str, str], data: Any) -> bytes:
    """What came in binary mode (its attributes are headers), in structured mode."""
    try:
        return json.dumps({**_attributes(headers), "data": data}).encode()
    except RecursionError:
        raise Terminal("a push that is nested too deeply") from None


def _unwrapped(data: Any) -> Envelope:
    wrapped = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(wrapped, Mapping):
        raise Terminal("neither a message of this plane nor Pub/Sub's wrapping of one")
    try:
        body = base64.b64decode(str(wrapped.get("data", "")), validate=True)
        attempt = int(data.get("deliveryAttempt") or 1)
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise Terminal("Pub/Sub's wrapping holds no base64 data") from error
    return decode(body, attempt=attempt)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Terminal("a push whose body is no JSON") from None


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
