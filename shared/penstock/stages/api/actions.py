"""What a POST does: each action reads its body, writes at most one record, and publishes whom that wakes.

Who suspended, resumed or approved is said in an event, so that it is heard of where the fleet's Alerts go.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from penstock.core.errors import Conflict, InvalidDocument, NotFound
from penstock.core.flux.fields import Fields
from penstock.core.flux.kustomization import API_VERSION, KIND
from penstock.core.flux.plane import NAME, NAMESPACE
from penstock.core.http import HttpRequest, HttpResponse, json_response, problem
from penstock.core.messages import PLANE, Event, Outgoing, ReconcileDue, SourceChanged
from penstock.core.reconcile.unrendered import render_mark
from penstock.core.records import (
    Adoption,
    Approval,
    KustomizationStatus,
    ObjectRecord,
    Suspension,
    adoption_key,
    approval_key,
    object_key,
    status_key,
)
from penstock.core.sources.kinds import FETCHED
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT
from penstock.stages.api.query import read_query
from penstock.stages.api.requests import remember
from penstock.stages.api.status import is_in_force, is_suspended, suspended_in_source

Answer = tuple[HttpResponse, list[Outgoing]]
Target = tuple[str, str, str]
"""Cluster, namespace, name."""

Change = Callable[[KustomizationStatus], KustomizationStatus]

DEFAULT_NAMESPACE = "flux-system"
ATTEMPTS = 8
"""Of a compare-and-swap, against whoever reconciles at the same time."""

_DIGEST = r"sha256:[0-9a-f]{64}"


def reconcile(fields: Fields, request: HttpRequest, deps: Deps) -> Answer:
    """Look at a source or a Kustomization now; with ``?plan=1`` only say what a reconcile would do."""
    query = read_query(request, "plan", "wait")
    kind = fields.string("kind", default=KIND, one_of=(KIND, *FETCHED))
    target = _target(fields, kind)
    fields.done()
    cluster, namespace, name = target
    record = _record(deps, kind, target)
    if kind in FETCHED:
        if query.plan:
            raise InvalidDocument("a plan is made of a Kustomization", path="kind", document="request")
        source = SourceChanged(cluster=PLANE if record.implicit else cluster, kind=kind, namespace=namespace, name=name)
        return json_response(202, {"published": source.key}), [Outgoing(message=source)]
    if not query.plan and is_suspended(record, _switch(deps, target), deps.clock.now()):
        return problem(409, "Conflict", f"{namespace}/{name} is suspended: resume it first, or ask for a plan"), []
    identity = deps.clock.new_id()
    why = "plan" if query.plan else "request"
    due = ReconcileDue(cluster=cluster, namespace=namespace, name=name, why=why, request=identity)
    headers = {"location": remember(identity, deps)}
    return json_response(202, {"request": identity}, headers=headers), [Outgoing(message=due)]


def suspend(fields: Fields, _request: HttpRequest, deps: Deps) -> Answer:
    """Leave a Kustomization alone until somebody resumes it, or until a time."""
    target = _target(fields)
    until = fields.string("until", default="", longest=40)
    switch = Suspension(
        who=fields.string("who", longest=256),
        why=fields.string("why", default="", longest=1024),
        until=_moment(until, deps.clock.now()) if until else "",
        since=_now(deps),
    )
    fields.done()
    _record(deps, KIND, target)
    set_switch(deps, target, switch)
    told = f"suspended by {switch.who}" + (f" until {switch.until}" if switch.until else "")
    event = _event(deps, target, "Suspended", told + (f": {switch.why}" if switch.why else ""))
    answer = {"suspended": f"{target[1]}/{target[2]}", "who": switch.who, "until": switch.until}
    return json_response(200, answer), [event]


def resume(fields: Fields, _request: HttpRequest, deps: Deps) -> Answer:
    """End the switch, and reconcile. 409 where ``spec.suspend`` holds it still: only its source can end that."""
    target = _target(fields)
    who = fields.string("who", longest=256)
    fields.done()
    cluster, namespace, name = target
    record = _record(deps, KIND, target)
    before = set_switch(deps, target, None)
    events = [_event(deps, target, "Resumed", f"resumed by {who}")] if is_in_force(before, deps.clock.now()) else []
    if suspended_in_source(record):
        detail = f"spec.suspend of {namespace}/{name} is true in its source: set it to false there"
        return problem(409, "Conflict", detail), events
    due = ReconcileDue(cluster=cluster, namespace=namespace, name=name, why="request")
    return json_response(200, {"resumed": f"{namespace}/{name}", "who": who}), [Outgoing(message=due), *events]


def approve(fields: Fields, _request: HttpRequest, deps: Deps) -> Answer:
    """Allow exactly one set of deletions, once, and reconcile; or let others go on without what it cannot render."""
    target = _target(fields)
    if fields.boolean("withoutRender", default=False):
        return _excuse(target, fields, deps)
    approval = Approval(
        digest=fields.string("prune", pattern=_DIGEST),
        who=fields.string("who", longest=256),
        when=_now(deps),
    )
    fields.done()
    _record(deps, KIND, target)
    cluster, namespace, name = target
    deps.state.put(approval_key(*target), approval.to_value(), expected=None)
    due = ReconcileDue(cluster=cluster, namespace=namespace, name=name, why="request")
    event = _event(deps, target, "PruneApproved", f"deletions {approval.digest} approved by {approval.who}")
    answer = {"approved": approval.digest, "who": approval.who}
    return json_response(200, answer), [Outgoing(message=due), event]


def _excuse(target: Target, fields: Fields, deps: Deps) -> Answer:
    """Nobody waits for its render, until it has one. 409 where it has not failed: then it is about to give its word."""
    who = fields.string("who", longest=256)
    fields.done()
    _record(deps, KIND, target)
    cluster, namespace, name = target
    known = _amend(deps, target, lambda found: replace(found, excused=render_mark(found)) if found.failed_at else found)
    if not known.failed_at:
        detail = f"{namespace}/{name} has not failed: who waits for its render gets it, or learns that there is none"
        return problem(409, "Conflict", detail), []
    due = ReconcileDue(cluster=cluster, namespace=namespace, name=name, why="request")
    event = _event(deps, target, "PruneApproved", f"nobody waits for its render, until it has one: said by {who}")
    return json_response(200, {"withoutRender": f"{namespace}/{name}", "who": who}), [Outgoing(message=due), event]


def adopt(fields: Fields, request: HttpRequest, deps: Deps) -> Answer:
    """Let a Kustomization take over what another plane owns, once, and reconcile; without a name, all of a cluster."""
    read_query(request, "wait")
    cluster, namespace = fields.name("cluster"), fields.name("namespace", default=DEFAULT_NAMESPACE)
    name = fields.name("name", default="")
    adoption = Adoption(who=fields.string("who", longest=256), when=_now(deps))
    fields.done()
    target = (cluster, namespace, name) if name else (cluster, NAMESPACE, NAME)
    _record(deps, KIND, target)
    deps.state.put(adoption_key(*target) if name else adoption_key(cluster), adoption.to_value(), expected=None)
    identity = deps.clock.new_id()
    due = ReconcileDue(cluster=cluster, namespace=target[1], name=target[2], why="request", request=identity)
    told = "it" if name else f"everything on cluster {cluster}"
    event = _event(deps, target, "AdoptionAsked", f"{adoption.who} gave {told} to this plane, whoever has it")
    headers = {"location": remember(identity, deps)}
    return json_response(202, {"request": identity}, headers=headers), [Outgoing(message=due), event]


def _target(fields: Fields, kind: str = KIND) -> Target:
    own = kind in FETCHED and fields.raw("cluster") == PLANE
    cluster = PLANE if own else fields.name("cluster")
    return cluster, fields.name("namespace", default=DEFAULT_NAMESPACE), fields.name("name")


def _record(deps: Deps, kind: str, target: Target) -> ObjectRecord:
    cluster, namespace, name = target
    found = deps.state.get(object_key(cluster, kind, namespace, name))
    if found is None:
        raise NotFound(f"{kind} {namespace}/{name} is not known in cluster {cluster}: GET /status lists what is")
    return ObjectRecord.from_value(found.value)


def _switch(deps: Deps, target: Target) -> Suspension | None:
    cluster, namespace, name = target
    held = deps.state.get(status_key(cluster, KIND, namespace, name))
    return KustomizationStatus.from_value(held.value).suspension if held else None


def set_switch(deps: Deps, target: Target, switch: Suspension | None) -> Suspension | None:
    """Write the switch beside what reconcile writes; what it was. Raises Conflict."""
    return _amend(deps, target, lambda status: replace(status, suspension=switch)).suspension


def _amend(deps: Deps, target: Target, change: Change) -> KustomizationStatus:
    """Change a status beside what reconcile writes; what it was. Raises Conflict."""
    cluster, namespace, name = target
    key = status_key(cluster, KIND, namespace, name)
    for _ in range(ATTEMPTS):
        current = deps.state.get(key)
        known = KustomizationStatus.from_value(current.value) if current else KustomizationStatus()
        changed = change(known)
        if changed == known:
            return known
        expected, due = (current.version, current.due) if current else (ABSENT, None)
        try:
            deps.state.put(key, changed.to_value(), expected=expected, due=due)
        except Conflict:
            continue
        return known
    raise Conflict(f"the status of {namespace}/{name} is being written all the time: try again")


def _moment(text: str, now: datetime) -> str:
    """An RFC 3339 time to come, in UTC. Raises InvalidDocument."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDocument("is not an RFC 3339 time", path="until", document="request") from error
    if moment.tzinfo is None:
        raise InvalidDocument("needs a time zone, such as Z", path="until", document="request")
    if moment <= now:
        raise InvalidDocument(f"has passed: it is {now:%Y-%m-%dT%H:%M:%SZ}", path="until", document="request")
    return _stamp(moment.astimezone(UTC))


def _event(deps: Deps, target: Target, reason: str, message: str) -> Outgoing:
    cluster, namespace, name = target
    event = Event(
        id=deps.clock.new_id(),
        cluster=cluster,
        api_version=API_VERSION,
        kind=KIND,
        namespace=namespace,
        name=name,
        severity="info",
        reason=reason,
        message=message,
        timestamp=_now(deps),
    )
    return Outgoing(message=event)


def _now(deps: Deps) -> str:
    return _stamp(deps.clock.now())


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
