"""One wake-up of fetch: which source it means, what its remote has now, and who hears of it.

The payload of a webhook is only a hint: the head is resolved here. A newer observation that somebody else writes
meanwhile wins: then everything is read and resolved again.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from penstock.core.errors import Conflict, InvalidDocument
from penstock.core.flux import artifactgenerator, bucket, gitrepository, ocirepository
from penstock.core.flux.source_fields import API_VERSION
from penstock.core.messages import OWN_SOURCE, PLANE, Outgoing, SourceChanged
from penstock.core.records import PLANE_KEY, ObjectRecord, PlaneRecord, object_key, status_key
from penstock.core.resources import Manifest
from penstock.core.sources.index import indexed_key
from penstock.core.sources.outcome import BACKSTOP, Look, Outcome, failed
from penstock.core.sources.wakeups import source_key
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, delete_beside
from penstock.stages.fetch import bucket_source, git_source, oci_source
from penstock.stages.fetch.announce import events, saying
from penstock.stages.fetch.generators import derive_all, run_generator
from penstock.stages.fetch.includes import includers
from penstock.stages.fetch.ledger import held_of, rest, save
from penstock.stages.fetch.opened import Opened, kept, tree_of
from penstock.stages.fetch.reread import looked
from penstock.stages.fetch.survey import Survey, survey_of
from penstock.stages.fetch.visit import Found, Known, Visit
from penstock.stages.fetch.wake import clusters_of, concerned_in, wake

_TRIES = 5
_AT_ONCE = 16
LOT = 25
"""Clusters whose records are read together; so many lots at once."""
_UNKNOWN_INTERVAL = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """How a kind of source is read and looked at. ``parse`` gives what ``look`` takes."""

    parse: Callable[[Manifest], Any]
    look: Callable[[Visit, Any], Found]


_KINDS = {
    gitrepository.KIND: _Kind(parse=gitrepository.parse_git_repository, look=git_source.look),
    ocirepository.KIND: _Kind(parse=ocirepository.parse_oci_repository, look=oci_source.look),
    bucket.KIND: _Kind(parse=bucket.parse_bucket, look=bucket_source.look),
}


def run(message: SourceChanged, deps: Deps) -> list[Outgoing]:
    """Look at a source. Returns events, wake-ups of Kustomizations, and its own retry.

    Failures of the remote are recorded and retried, not raised. Raises Transient where state, storage or secrets
    cannot be reached, or others write the same record all the time.
    """
    if message.kind == artifactgenerator.KIND:
        return run_generator(message, deps)
    if message.kind not in _KINDS:
        deps.telemetry.record("source kind not served", kind=message.kind, cluster=message.cluster, name=message.name)
        return []
    for _ in range(_TRIES):
        meant, records = _meant(message, deps)
        declared, stands = _keys(meant)
        found = records.get(declared)
        record = ObjectRecord.from_value(found.value) if found else None
        if record is None or record.tombstone:
            delete_beside(deps.state, stands, of=declared)
            return []
        try:
            return _visited(_visit(meant, record, records, deps))
        except Conflict:
            continue
    raise Conflict(f"the status of {message.key} is being written by others all the time")


def _meant(message: SourceChanged, deps: Deps) -> tuple[SourceChanged, Known]:
    """The source that a message means (the plane's own, where a cluster only has an alias of it), and what is known.

    Read at once: its document and status wherever they stand, the Plane, and whether the cluster has an index.
    """
    name = (message.kind, message.namespace, message.name)
    homes = (message.cluster, PLANE) if name == OWN_SOURCE else (message.cluster,)
    keys = [make(home, *name) for home in homes for make in (object_key, status_key)]
    keys += [PLANE_KEY, indexed_key(message.cluster)]
    read = deps.state.read(keys).records
    records = {key: read.get(key) for key in keys}
    found = records.get(object_key(message.cluster, *name))
    if found is None or message.cluster == PLANE or not ObjectRecord.from_value(found.value).implicit:
        return message, records
    return replace(message, cluster=PLANE), records


def _visit(message: SourceChanged, record: ObjectRecord, records: Known, deps: Deps) -> Visit:
    _, key = _keys(message)
    held, plane = held_of(deps, key, records.get(key)), records.get(PLANE_KEY)
    return Visit(
        message=message,
        record=record,
        plane=PlaneRecord.from_value(plane.value) if plane else None,
        held=held,
        known=records,
        look=Look(key=held.key, generation=record.generation, now=deps.clock.now(), interval=_UNKNOWN_INTERVAL),
        deps=deps,
    )


def _visited(visit: Visit) -> list[Outgoing]:
    """Look, record, tell. Raises Conflict where somebody else recorded a look meanwhile."""
    kind = _KINDS[visit.message.kind]
    try:
        source = kind.parse(visit.record.document)
        if source.suspend:
            rest(visit.deps, visit.held)
            return []
        timed = replace(visit, look=replace(visit.look, interval=source.interval))
        with visit.deps.telemetry.span("look at source"):
            found = looked(timed, lambda given: kind.look(given, source))
    except InvalidDocument as error:
        return _recorded(visit, Found(outcome=failed(visit.held.status, visit.look, error, stalled=True)))
    return _recorded(timed, found)


def _recorded(visit: Visit, found: Found) -> list[Outgoing]:
    """Write the outcome, then say what is due: of this look, and of one before that may have been cut short."""
    deps, found = visit.deps, replace(found, outcome=_counted(found.outcome, visit.message.above))
    outcome = found.outcome
    held = saying(visit.held, outcome, (visit.message.cluster, API_VERSION, *_name(visit)), deps)
    save(deps, held, outcome, visit.look, found.included)
    if visit.held.version == ABSENT and _is_gone(visit):  # else whoever removed it had to wait for this write
        return []
    deps.telemetry.record(
        "source looked at",
        cluster=visit.message.cluster,
        kind=visit.message.kind,
        namespace=visit.message.namespace,
        name=visit.message.name,
        revision=outcome.status.revision,
        outcome="failed" if outcome.status.error else "changed" if outcome.changed else "unchanged",
        reason=outcome.status.error,
        hint=visit.message.hint,
        trace=deps.trace,
    )
    woken = (outcome.changed or held.pending) and outcome.status.artifact
    return (_wake_all(visit, found) if woken else []) + events(held) + _retry(visit, outcome)


def _counted(outcome: Outcome, above: int) -> Outcome:
    """The outcome of a head that was resolved, which counts higher than what a cluster holds."""
    status = outcome.status
    if status.error or not above or status.observation > above:
        return outcome
    return replace(outcome, status=replace(status, observation=above + 1))


def _is_gone(visit: Visit) -> bool:
    """Whether the source was removed before its first status was written, which goes, too."""
    declared, stands = _keys(visit.message)
    if visit.deps.state.get(declared) is not None:
        return False
    delete_beside(visit.deps.state, stands, of=declared)
    return True


def _wake_all(visit: Visit, found: Found) -> list[Outgoing]:
    """Wake-ups in every cluster that the source belongs to, by its own tree and by the artifacts derived from it."""
    deps, status = visit.deps, found.outcome.status
    tree = found.tree or tree_of(status.artifact, deps)
    if tree is None:
        return []
    before = _trees_before(visit)
    kept.keep(status.artifact, tree)
    name = _name(visit)
    opened = Opened(status=status, tree=tree, before=before)
    clusters = clusters_of(visit.message.cluster, visit.plane)
    survey = survey_of(clusters, name, opened, deps, visit.known)
    if visit.message.cluster == PLANE:
        clusters = tuple(cluster for cluster in clusters if survey.follows(cluster, name))
    lots = [clusters[start : start + LOT] for start in range(0, len(clusters), LOT)]
    with ThreadPoolExecutor(max_workers=max(1, min(_AT_ONCE, len(lots)))) as pool:
        each = pool.map(lambda lot: _wake_in(lot, visit, opened, survey), lots)
        return [message for messages in each for message in messages]


def _trees_before(visit: Visit) -> tuple[MemoryTree, ...] | None:
    """See Opened."""
    held, deps = visit.held, visit.deps
    if not held.announced or not (held.pending or deps.attempt == 1):
        return None
    found = [tree_of(digest, deps) for digest in (held.announced, *held.since)]
    trees = tuple(tree for tree in found if tree is not None)
    return trees if len(trees) == len(found) else None


def _wake_in(clusters: Sequence[str], visit: Visit, opened: Opened, survey: Survey) -> list[Outgoing]:
    deps, name = visit.deps, _name(visit)
    messages: list[Outgoing] = []
    concerned = []
    for cluster in clusters:
        given = {source_key(*name): opened}
        derived = derive_all(cluster, given, deps, survey.generators(cluster), certain=not visit.held.pending)
        messages += derived.messages + includers(cluster, *name[1:], survey.repositories(cluster, name))
        concerned.append(concerned_in(cluster, {**given, **derived.opened}, deps, survey))
    return messages + wake(concerned, deps)


def _retry(visit: Visit, outcome: Outcome) -> list[Outgoing]:
    """A failing source's next try, where it comes sooner than `tick` would look."""
    if not outcome.status.error or outcome.due is None:
        return []
    delay = outcome.due - visit.look.now.timestamp()
    return [Outgoing(message=replace(visit.message, hint=""), delay=delay)] if delay < BACKSTOP else []


def _keys(message: SourceChanged) -> tuple[str, str]:
    """Of the source's document, and of its status."""
    name = (message.cluster, message.kind, message.namespace, message.name)
    return object_key(*name), status_key(*name)


def _name(visit: Visit) -> tuple[str, str, str]:
    return visit.message.kind, visit.message.namespace, visit.message.name
