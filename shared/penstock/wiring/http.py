"""Carries HTTP requests to HTTP stages and back: bounds on the body, errors as statuses, publish before answering."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core.errors import InvalidDocument, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.http import HttpRequest, HttpResponse, problem
from penstock.core.messages import Outgoing
from penstock.core.pipeline import Stage
from penstock.ports.bus import Bus
from penstock.ports.deps import Deps
from penstock.ports.telemetry import Field
from penstock.wiring.outcome import outcome_of
from penstock.wiring.run import Cause, begun, stage_module

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

HttpStage = Callable[[HttpRequest, Deps], tuple[HttpResponse, Sequence[Outgoing]]]

BODY_LIMITS = {"webhook": 3 * 1024 * 1024}
"""Bytes; as Flux's Receiver."""
BODY_LIMIT = 1024 * 1024
PUBLIC = frozenset({"webhook"})
"""Stages that anybody on the internet can reach: their answers to errors say nothing, but that one may try again."""

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATUSES = ((Transient, 503), (NotFound, 404), (Refused, 403), (InvalidDocument, 422), (Terminal, 400))
_TITLES = {400: "bad request", 403: "forbidden", 404: "not found", 422: "invalid document", 503: "try again"}


def serve(stage: Stage, request: "Request", deps: Deps, bus: Bus) -> "Response":
    """The stage's answer to a Werkzeug (Flask) request; its messages are on the bus before it leaves.

    413 for a body over the limit, 503 where the bus takes nothing, otherwise errors by their class. Never raises.
    """
    from werkzeug.exceptions import HTTPException  # noqa: PLC0415 - carried by functions that serve HTTP only

    try:
        body = _body(request, BODY_LIMITS.get(stage.name, BODY_LIMIT))
    except HTTPException as error:  # the client went away in the middle of its body
        return to_response(problem(error.code or 400, "the body ended early"))
    if body is None:
        request.stream = io.BytesIO()  # nobody may read the rest, functions-framework would
        return to_response(problem(413, "the body is too large"))
    return to_response(answer(stage, to_request(request, body), deps, bus))


def answer(stage: Stage, request: HttpRequest, deps: Deps, bus: Bus) -> HttpResponse:
    """Run the stage, publish, answer. Never raises.

    A caller's ``traceparent`` is linked to, not gone on with: anybody can send one, before it is known who they are.
    """
    started = deps.clock.monotonic()
    given = request.headers.get("traceparent", "")
    links = (given,) if _TRACEPARENT.fullmatch(given) else ()
    with begun("request", stage, deps, bus, Cause(method=request.method, links=links)) as run:
        fields: dict[str, Field] = {"outcome": "done", "published": 0}
        try:
            module = stage_module(stage.name)
            call: HttpStage = module.run
            response, messages = call(request, run.deps)
            fields["published"] = run.publish(messages)
            response = _settled(module, request, response, run.deps)
        except Exception as error:  # noqa: BLE001 - the one place that maps every error to a status
            outcome = outcome_of(error, attempt=1)
            fields = {"outcome": "failed", "reason": outcome.reason, "error": outcome.error, "where": outcome.where}
            response = _refusal(stage, error)
        took = round((deps.clock.monotonic() - started) * 1000, 1)
        run.finished({"status": response.status, "milliseconds": took, **fields})
        return response


def _settled(module: Any, request: HttpRequest, response: HttpResponse, deps: Deps) -> HttpResponse:
    """A stage may have a ``settle`` that waits for what was just published; where that fails the answer stands."""
    settle: Callable[[HttpRequest, HttpResponse, Deps], HttpResponse] | None = getattr(module, "settle", None)
    try:
        return settle(request, response, deps) if settle else response
    except Transient:
        return response


def _refusal(stage: Stage, error: Exception) -> HttpResponse:
    if not isinstance(error, PenstockError):
        return problem(500, "internal error")
    is_public = stage.name in PUBLIC  # what it refuses it answers itself: what it raises is the plane's own trouble
    status = 503 if is_public else next((code for kind, code in _STATUSES if isinstance(error, kind)), 500)
    response = problem(status, _TITLES.get(status, "error"), "" if is_public else str(error))
    if isinstance(error, Transient) and error.retry_after:
        return replace(response, headers={**response.headers, "retry-after": str(round(error.retry_after))})
    return response


def to_request(request: "Request", body: bytes) -> HttpRequest:
    """The request as a value: lower-case header names, several of one name joined by a comma (RFC 9110)."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return HttpRequest(
        method=request.method,
        path=request.path,
        query=request.query_string.decode("latin-1"),
        headers=headers,
        body=body,
    )


def to_response(response: HttpResponse) -> "Response":
    """The answer on its way out."""
    from werkzeug.wrappers import Response as Answer  # noqa: PLC0415 - see above

    return Answer(response.body, status=response.status, headers=dict(response.headers))


def _body(request: "Request", limit: int) -> bytes | None:
    """The body, or None where it is over the limit: nothing is read where its length says so already."""
    if (request.content_length or 0) > limit:
        return None
    read = bytearray()
    while chunk := request.stream.read(limit + 1 - len(read)):
        read += chunk
        if len(read) > limit:
            return None
    return bytes(read)
