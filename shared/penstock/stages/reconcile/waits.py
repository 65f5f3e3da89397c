"""What a run has to wait for, and who waits for it. Waiting is not running: the other's end wakes."""

from collections.abc import Iterable, Iterator

from penstock.core.errors import Refused
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.records import KustomizationStatus, ObjectRecord, SourceStatus, status_key
from penstock.core.resources import Manifest
from penstock.core.sources.index import named, waits_prefix
from penstock.core.sources.wakeups import derived_revision, held_by_switch, source_of
from penstock.stages.reconcile.attempt import (
    KIND,
    Attempt,
    read_kustomizations,
    read_object,
    read_statuses,
    status_of,
)
from penstock.stages.reconcile.ready import ready_problem, with_status
from penstock.stages.reconcile.source import Source


def unready_dependencies(attempt: Attempt, source: Source) -> dict[str, str]:
    """``namespace/name`` of each dependency that is not ready with these inputs, and why (flux-core §2.4).

    Raises Refused where the policy forbids to name one: what it tells is somebody else's.
    """
    if not attempt.kustomization.depends_on:
        return {}
    _check_references(attempt)
    names = {f"{each.namespace}/{each.name}" for each in attempt.kustomization.depends_on}
    records, known = read_kustomizations(attempt.deps, attempt.cluster, names)
    waiting: dict[str, str] = {}
    for dependency in attempt.kustomization.depends_on:
        name = f"{dependency.namespace}/{dependency.name}"
        record = records.get(name)
        if record is None or record.tombstone:
            waiting[name] = f"dependency '{name}' not found"
        elif dependency.ready_expr:
            this, other = with_status(attempt.record, attempt.status), _shown(record, known.get(name), source)
            if problem := ready_problem(dependency, this, other):
                waiting[name] = problem
        elif problem := _not_ready(record, known.get(name), source):
            waiting[name] = f"dependency '{name}' {problem}"
    cycle = _cycle(attempt) if waiting else ()
    if cycle:
        return {name: f"circular dependency detected: {' -> '.join(cycle)}" for name in waiting}
    return waiting


def _check_references(attempt: Attempt) -> None:
    namespace = attempt.message.namespace
    others = [each for each in attempt.kustomization.depends_on if each.namespace != namespace]
    if others and attempt.policy.no_cross_namespace_refs:
        name = f"{KIND}/{others[0].namespace}/{others[0].name}"
        raise Refused(f"can't access '{name}', cross-namespace references have been blocked", reason="AccessDenied")


def suspended(attempt: Attempt) -> bool:
    """Whether the manifest, or somebody through the plane, has switched reconciling off for now.

    What has left Git counts as suspended by the plane's own switch alone: it is deleted when somebody resumes it.
    """
    by_manifest = attempt.kustomization.suspend and not attempt.record.tombstone
    return by_manifest or held_by_switch(attempt.status, attempt.started)


def waiting_for(attempt: Attempt) -> tuple[str, ...]:
    """Who stands waiting for this Kustomization, and whose health check covers it: woken at the end of each run."""
    parent, prefix = attempt.record.parent, waits_prefix(attempt.cluster, attempt.ref)
    above = status_key(attempt.cluster, KIND, *parent.split("/")) if parent else ""
    reads = attempt.deps.state.read([above] if above else [], [prefix])
    waiters = {named(record.key) for record in reads.lists[prefix]}
    known = read_statuses(attempt.deps, attempt.cluster, waiters) if waiters else {}
    found = {name for name, status in known.items() if attempt.ref in status.waiting_for}
    if status_of(reads.records.get(above)).pending:
        found.add(parent)
    return tuple(sorted(found - {attempt.ref}))


def _not_ready(record: ObjectRecord, status: KustomizationStatus | None, source: Source) -> str:
    if status is None or not status.ready() or status.observed_generation != record.generation:
        return "is not ready"
    if source_of(record) != source.key:
        return ""
    at = derived_revision(status, SourceStatus(revision=source.revision), source.tree)
    return "" if at == source.revision else "revision is not up to date"


def _shown(record: ObjectRecord, status: KustomizationStatus | None, source: Source) -> Manifest:
    """The dependency with its status; at this revision, too, where nothing that it reads has changed."""
    if status is None or source_of(record) != source.key:
        return with_status(record, status or KustomizationStatus())
    at = derived_revision(status, SourceStatus(revision=source.revision), source.tree)
    return with_status(record, status, revision=at)


def _cycle(attempt: Attempt) -> tuple[str, ...]:
    """The dependency cycle through this Kustomization, or (). A chain may be of any length."""

    def after(name: str) -> Iterator[str]:
        return iter(_dependencies(read_object(attempt.deps, attempt.cluster, KIND, name)))

    trail, rest, seen = [attempt.ref], [after(attempt.ref)], {attempt.ref}
    while rest:
        name = next(rest[-1], "")
        if name == attempt.ref:
            return (*trail, name)
        if not name:
            trail.pop()
            rest.pop()
        elif name not in seen:
            seen.add(name)
            trail.append(name)
            rest.append(after(name))
    return ()


def _dependencies(record: ObjectRecord | None) -> Iterable[str]:
    if record is None:
        return ()
    parsed = parse_kustomization(record.document)
    return tuple(f"{each.namespace}/{each.name}" for each in parsed.depends_on)
