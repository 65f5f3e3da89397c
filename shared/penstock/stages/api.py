"""The api stage: reconcile, plan, suspend, resume, approve and status on demand, over HTTPS with a bearer token.

Answers are JSON, errors problem+json (RFC 9457). What takes time is asynchronous: 202 with a ``location`` under which
the outcome appears; ``?wait=30s`` waits for it, and answers 202 while it is not known, never a false 200.

| request | body | answer |
| --- | --- | --- |
| POST /reconcile[?plan=1][&wait=30s] | cluster, kind, namespace, name | 202, or the outcome |
| POST /suspend | cluster, namespace, name, who, why, until | 200 |
| POST /resume | cluster, namespace, name, who | 200 |
| POST /approve | cluster, namespace, name, prune (digest), who | 200 |
| GET /status[?cluster=…] | | 200: every source and Kustomization with its conditions |
| GET /requests/<id> | | 200: the outcome, 202 while it is not known |
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from penstock.core.errors import Conflict, InvalidDocument, NotFound
from penstock.core.flux.fields import Fields, Where, parse_duration
from penstock.core.http import HttpRequest, HttpResponse, json_response, problem
from penstock.core.messages import PLANE, Outgoing, ReconcileDue, SourceChanged
from penstock.core.records import (
    PLANE_KEY,
    Approval,
    KustomizationStatus,
    ObjectRecord,
    SourceStatus,
    Suspension,
    approval_key,
    object_key,
    status_key,
)
from penstock.core.secrets.names import secret_name
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT

TOKEN_SECRET = secret_name(PLANE, "penstock-system", "api-token")
LONGEST_WAIT = 50.0
POLL = 0.05
_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = r"sha256:[0-9a-f]{64}"

Answer = tuple[HttpResponse, list[Outgoing]]


def run(request: HttpRequest, deps: Deps) -> Answer:
    """The answer to a request, and what it publishes. ``settle`` may wait for the outcome afterwards.

    Raises NotFound for what the plane does not know, InvalidDocument for a wrong body.
    """
    refused = _unauthorized(request, deps)
    if refused is not None:
        return refused, []
    return _route(request, deps)


def settle(request: HttpRequest, response: HttpResponse, deps: Deps) -> HttpResponse:
    """After publishing: wait for the outcome as long as the caller asked for, else the same response."""
    location = response.headers.get("location", "")
    seconds = _wait_seconds(request)
    if response.status != 202 or not location.startswith("/requests/") or seconds <= 0:
        return response
    end = deps.clock.monotonic() + seconds
    while True:
        outcome = _outcome(location.removeprefix("/requests/"), deps)
        if outcome.status != 202 or deps.clock.monotonic() >= end:
            return outcome
        deps.clock.sleep(POLL)


def _route(request: HttpRequest, deps: Deps) -> Answer:
    if request.method == "GET":
        if request.path == "/status":
            return _status(request, deps), []
        if request.path.startswith("/requests/"):
            return _outcome(request.path.removeprefix("/requests/"), deps), []
        return problem(404, "Not Found", "see /status"), []
    actions: dict[str, Callable[[Fields, HttpRequest, Deps], Answer]] = {
        "/reconcile": _reconcile,
        "/suspend": _suspend,
        "/resume": _resume,
        "/approve": _approve,
    }
    action = actions.get(request.path)
    if action is None:
        return problem(404, "Not Found", f"one of {', '.join(actions)}, /status"), []
    if request.method != "POST":
        return replace(problem(405, "Method Not Allowed"), headers={"allow": "POST"}), []
    return action(_body(request), request, deps)


def _unauthorized(request: HttpRequest, deps: Deps) -> HttpResponse | None:
    """None where the bearer token is right. No token configured means that nobody may."""
    held = (deps.secrets.get(TOKEN_SECRET) or {}).get("token", b"").strip()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(held, given.strip().encode())
    if held and scheme.lower() == "bearer" and right:
        return None
    refused = problem(401, "Unauthorized", "send Authorization: Bearer <the plane's api token>")
    return replace(refused, headers={**refused.headers, "www-authenticate": "Bearer"})


def _body(request: HttpRequest) -> Fields:
    where = Where(document="request")
    try:
        return Fields(json.loads(request.body or b"{}"), where=where)
    except ValueError as error:
        raise InvalidDocument("is not JSON", document="request") from error


def _reconcile(fields: Fields, request: HttpRequest, deps: Deps) -> Answer:
    query = parse_qs(request.query)
    plan = query.get("plan", ["0"])[0] in ("1", "true")
    kind = fields.string("kind", default="Kustomization", one_of=("Kustomization", "GitRepository"))
    cluster, namespace, name = _target(fields)
    fields.done()
    record = _record(deps, cluster, kind, namespace, name)
    identity = deps.clock.new_id()
    if kind == "GitRepository":
        if plan:
            raise InvalidDocument("a plan is made of a Kustomization", path="kind", document="request")
        source = SourceChanged(cluster=PLANE if record.implicit else cluster, kind=kind, namespace=namespace, name=name)
        return json_response(202, {"published": str(source.key)}), [Outgoing(message=source)]
    due = ReconcileDue(
        cluster=cluster,
        kind=kind,
        namespace=namespace,
        name=name,
        why="plan" if plan else "request",
        request=identity,
    )
    location = f"/requests/{identity}"
    return json_response(202, {"request": identity}, headers={"location": location}), [Outgoing(message=due)]


def _suspend(fields: Fields, _request: HttpRequest, deps: Deps) -> Answer:
    cluster, namespace, name = _target(fields)
    until = fields.string("until", default="", longest=40)
    suspension = Suspension(
        who=fields.string("who", longest=256),
        why=fields.string("why", default="", longest=1024),
        until=until,
        since=deps.clock.now().isoformat(timespec="seconds"),
    )
    fields.done()
    if until:
        _check_moment(until)
    _record(deps, cluster, "Kustomization", namespace, name)
    _switch(deps, cluster, namespace, name, suspension)
    return json_response(200, {"suspended": f"{namespace}/{name}", "who": suspension.who, "until": until}), []


def _resume(fields: Fields, _request: HttpRequest, deps: Deps) -> Answer:
    cluster, namespace, name = _target(fields)
    fields.string("who", longest=256)
    fields.done()
    _record(deps, cluster, "Kustomization", namespace, name)
    _switch(deps, cluster, namespace, name, None)
    due = ReconcileDue(cluster=cluster, namespace=namespace, name=name, why="request")
    return json_response(200, {"resumed": f"{namespace}/{name}"}), [Outgoing(message=due)]


def _approve(fields: Fields, _request: HttpRequest, deps: Deps) -> Answer:
    cluster, namespace, name = _target(fields)
    approval = Approval(
        digest=fields.string("prune", pattern=_DIGEST),
        who=fields.string("who", longest=256),
        when=deps.clock.now().isoformat(timespec="seconds"),
    )
    fields.done()
    _record(deps, cluster, "Kustomization", namespace, name)
    deps.state.put(approval_key(cluster, namespace, name), approval.to_value(), expected=None)
    due = ReconcileDue(cluster=cluster, namespace=namespace, name=name, why="request")
    return json_response(200, {"approved": approval.digest, "who": approval.who}), [Outgoing(message=due)]


def _target(fields: Fields) -> tuple[str, str, str]:
    return (
        fields.name("cluster"),
        fields.name("namespace", default="flux-system"),
        fields.name("name"),
    )


def _record(deps: Deps, cluster: str, kind: str, namespace: str, name: str) -> ObjectRecord:
    found = deps.state.get(object_key(cluster, kind, namespace, name))
    if found is None:
        raise NotFound(f"{kind} {namespace}/{name} is not known in cluster {cluster}: GET /status lists what is")
    return ObjectRecord.from_value(found.value)


def _switch(deps: Deps, cluster: str, namespace: str, name: str, suspension: Suspension | None) -> None:
    key = status_key(cluster, "Kustomization", namespace, name)
    for _ in range(8):
        current = deps.state.get(key)
        known = KustomizationStatus.from_value(current.value) if current else KustomizationStatus()
        try:
            deps.state.put(
                key,
                replace(known, suspension=suspension).to_value(),
                expected=current.version if current else ABSENT,
                due=current.due if current else None,
            )
        except Conflict:
            continue
        return
    raise Conflict(f"the status of {namespace}/{name} is being written all the time: try again")


def _status(request: HttpRequest, deps: Deps) -> HttpResponse:
    wanted = parse_qs(request.query).get("cluster", [""])[0]
    plane = deps.state.get(PLANE_KEY)
    found = [
        _row(record.key, record.value, deps)
        for kind in ("GitRepository", "Kustomization")
        for record in deps.state.list(f"object/{wanted}/{kind}/" if wanted else "object/")
        if record.key.split("/")[2] == kind
    ]
    uid = plane.value.get("uid") if plane else None
    return json_response(200, {"plane": uid, "objects": found})


def _row(key: str, value: Mapping[str, Any], deps: Deps) -> dict[str, Any]:
    _, cluster, kind, namespace, name = key.split("/")
    record = ObjectRecord.from_value(value)
    held = deps.state.get(
        status_key(PLANE if record.implicit and kind == "GitRepository" else cluster, kind, namespace, name)
    )
    row: dict[str, Any] = {"cluster": cluster, "kind": kind, "namespace": namespace, "name": name}
    if kind == "GitRepository":
        source = SourceStatus.from_value(held.value) if held else SourceStatus()
        return row | {"revision": source.revision, "conditions": [_condition(c) for c in source.conditions]}
    status = KustomizationStatus.from_value(held.value) if held else KustomizationStatus()
    suspended = bool((record.document.get("spec") or {}).get("suspend")) or status.suspension is not None
    return row | {
        "revision": status.last_applied_revision,
        "attempted": status.last_attempted_revision,
        "suspended": suspended,
        "conditions": [_condition(c) for c in status.conditions],
        "inventory": len(status.inventory),
        "waitingFor": list(status.waiting_for),
        "due": held.due if held else None,
    }


def _condition(condition: Any) -> dict[str, str]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "since": condition.since,
    }


def _outcome(identity: str, deps: Deps) -> HttpResponse:
    if not _REQUEST_ID.fullmatch(identity):
        return problem(404, "Not Found")
    found = deps.state.get(f"request/{identity}")
    if found is None:
        headers = {"location": f"/requests/{identity}", "retry-after": "1"}
        return json_response(202, {"request": identity, "outcome": "not known yet"}, headers=headers)
    return json_response(200, {k: v for k, v in found.value.items() if k != "format"})


def _wait_seconds(request: HttpRequest) -> float:
    text = parse_qs(request.query).get("wait", ["0s"])[0]
    try:
        return min(parse_duration(text).total_seconds(), LONGEST_WAIT)
    except ValueError:
        return 0.0


def _check_moment(text: str) -> None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDocument("is not an RFC 3339 time", path="until", document="request") from error
    if moment.tzinfo is None:
        raise InvalidDocument("needs a time zone, such as Z", path="until", document="request")
