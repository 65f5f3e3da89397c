"""The api stage over HTTPS with a bearer token: who may ask, which path does what, and how long an answer may take.

Answers are JSON, errors problem+json (RFC 9457). What takes time is asynchronous: 202 with a ``location`` under which
the outcome appears; ``?wait=30s`` waits for it, and answers 202 while it is not known, never a false 200.

| request | body | answer |
| --- | --- | --- |
| POST /reconcile[?plan=1][&wait=30s] | cluster, kind, namespace, name | 202, or the outcome |
| POST /suspend | cluster, namespace, name, who, why, until | 200 |
| POST /resume | cluster, namespace, name, who | 200 |
| POST /approve | cluster, namespace, name, prune (digest) or withoutRender, who | 200 |
| POST /adopt[?wait=30s] | cluster, namespace, name ("" is all of the cluster), who | 202, or the outcome |
| GET /status[?cluster=…] | | 200: every source and Kustomization with its conditions |
| GET /kustomization?cluster=…&namespace=…&name=… | | 200: what a diff starts from |
| GET /requests/<id>[?wait=30s] | | 200: the outcome, 202 while it is not known |
"""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from penstock.core.errors import InvalidDocument, PenstockError
from penstock.core.flux.fields import Fields, Where
from penstock.core.http import HttpRequest, HttpResponse, problem
from penstock.core.secrets.names import API_TOKEN
from penstock.core.secrets.rotation import PREVIOUS, TOKEN
from penstock.ports.deps import Deps
from penstock.stages.api.actions import Answer, adopt, approve, reconcile, resume, suspend
from penstock.stages.api.base import base
from penstock.stages.api.query import read_query
from penstock.stages.api.requests import REQUESTS, outcome
from penstock.stages.api.status import status

TOKEN_SECRET = API_TOKEN
STATUS, BASE = "/status", "/kustomization"
POLLS = (0.05, 0.5)
"""Seconds between two looks for an outcome: the first, and the longest."""

_ACTIONS: dict[str, Callable[[Fields, HttpRequest, Deps], Answer]] = {
    "/reconcile": reconcile,
    "/suspend": suspend,
    "/resume": resume,
    "/adopt": adopt,
    "/approve": approve,
}


def run(request: HttpRequest, deps: Deps) -> Answer:
    """The answer to a request, and what it publishes. ``settle`` may wait for the outcome afterwards.

    Raises NotFound for what the plane does not know, InvalidDocument for a wrong body or query, Conflict where a
    record is written by others all the time.
    """
    try:
        known = _authorized(request, deps)
    except PenstockError as error:  # its words tell of the plane's inside, and nobody knows yet whom
        deps.telemetry.record("token not read", stage="api", outcome="failed", reason=error.reason, error=str(error))
        return _private(problem(503, "Service Unavailable", "try again")), []
    if not known:
        refused = problem(401, "Unauthorized", "send Authorization: Bearer <the plane's api token>")
        return _private(refused, **{"www-authenticate": "Bearer"}), []
    response, messages = _route(request, deps)
    return _private(response), messages


def settle(request: HttpRequest, response: HttpResponse, deps: Deps) -> HttpResponse:
    """After publishing: wait for the outcome as long as the caller asked for, else the same response."""
    location = response.headers.get("location", "")
    if response.status != 202 or not location.startswith(REQUESTS):
        return response
    identity = location.removeprefix(REQUESTS)
    end = deps.clock.monotonic() + read_query(request, "plan", "wait").wait
    pause, longest = POLLS
    while deps.clock.monotonic() < end:
        deps.clock.sleep(min(pause, end - deps.clock.monotonic()))
        found = outcome(identity, deps)
        if found.status != 202:
            return _private(found)
        pause = min(pause * 1.5, longest)
    return response


def _route(request: HttpRequest, deps: Deps) -> Answer:
    if request.path in (STATUS, BASE) or request.path.startswith(REQUESTS):
        if request.method != "GET":
            return _not_allowed("GET"), []
        return _look(request, deps), []
    action = _ACTIONS.get(request.path)
    if action is None:
        return problem(404, "Not Found", f"one of {', '.join(_ACTIONS)}, {STATUS}, {BASE}, {REQUESTS}<id>"), []
    if request.method != "POST":
        return _not_allowed("POST"), []
    return action(_body(request), request, deps)


def _look(request: HttpRequest, deps: Deps) -> HttpResponse:
    if request.path == STATUS:
        return status(read_query(request, "cluster").cluster, deps)
    if request.path == BASE:
        return base(read_query(request, "cluster", "namespace", "name"), deps)
    read_query(request, "wait")
    return outcome(request.path.removeprefix(REQUESTS), deps)


def _authorized(request: HttpRequest, deps: Deps) -> bool:
    """Whether the bearer token is right, compared in constant time. No token configured means that nobody may."""
    credentials = request.headers.get("authorization", "")
    if not credentials:
        return False  # what gives nothing costs no look into the secret store
    scheme, _, given = credentials.partition(" ")
    token = given.strip().encode()
    # what is cached may be the token before: a rotated one is read anew before anybody is refused
    known = any(_is(token, deps.secrets.get(TOKEN_SECRET, newest=newest)) for newest in (False, True))
    return known and scheme.lower() == "bearer"


def _is(token: bytes, data: Mapping[str, bytes] | None) -> bool:
    held = [(data or {}).get(key, b"").strip() for key in (TOKEN, PREVIOUS)]
    return any([hmac.compare_digest(each, token) and bool(each) for each in held])  # noqa: C419 - each is compared


def _body(request: HttpRequest) -> Fields:
    try:
        value = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of brackets
        raise InvalidDocument("is not JSON", document="request") from error
    return Fields(value, where=Where(document="request"))


def _not_allowed(method: str) -> HttpResponse:
    response = problem(405, "Method Not Allowed", f"only {method} is taken here")
    return replace(response, headers={**response.headers, "allow": method})


def _private(response: HttpResponse, **headers: str) -> HttpResponse:
    """The response, never to be kept by a proxy."""
    return replace(response, headers={**response.headers, "cache-control": "no-store", **headers})
