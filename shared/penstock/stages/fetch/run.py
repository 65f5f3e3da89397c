"""One wake-up of fetch: which source it means, what its remote has now, and who hears of it.

The payload of a webhook is only a hint: the head is resolved here. A newer observation that somebody else writes
meanwhile wins: then everything is read and resolved again.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from penstock.core.errors import Conflict, InvalidDocument, PenstockError, Terminal, Transient
from penstock.core.flux import artifactgenerator, gitrepository
from penstock.core.flux.gitrepository import GitRepository, parse_git_repository, unserved
from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord, object_key, status_key
from penstock.core.sources.artifact import decode, encode
from penstock.core.sources.commit import CommitTree
from penstock.core.sources.ignore import apply_ignore
from penstock.core.sources.include import overlay
from penstock.core.sources.outcome import BACKSTOP, Look, Outcome, failed, new_artifact_message, stored
from penstock.core.sources.wakeups import source_key
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.git import Head, Limits, Remote
from penstock.stages.fetch.announce import event_of
from penstock.stages.fetch.generators import derive_all, run_generator
from penstock.stages.fetch.includes import digests, included_by, includers
from penstock.stages.fetch.ledger import Held, load, rest, save
from penstock.stages.fetch.remote import remote_of
from penstock.stages.fetch.wake import Opened, clusters_of, follows, wake

_TRIES = 5
_AT_ONCE = 16
"""Clusters looked at together: with a remote state port each takes a few round trips."""
_LIMITS = Limits(bytes=256 * 1024 * 1024)
"""A clone is held in memory three times over while it becomes an artifact; a function has 1 GiB."""
_UNKNOWN_INTERVAL = timedelta(minutes=10)
_CHECKOUT = "failed to checkout and determine revision"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Visit:
    """One look at one source: the message (its cluster is where the source stands), its record, what was held."""

    message: SourceChanged
    record: ObjectRecord
    held: Held
    look: Look
    deps: Deps


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What a look found. ``tree``: the artifact's files, None where they did not have to be fetched."""

    outcome: Outcome
    tree: MemoryTree | None = None
    included: tuple[str, ...] | None = None


def run(message: SourceChanged, deps: Deps) -> list[Outgoing]:
    """Look at a source. Returns events, wake-ups of Kustomizations, and its own retry.

    Failures of the remote are recorded and retried, not raised. Raises Transient where state, storage or secrets
    cannot be reached, or others write the same record all the time.
    """
    if message.kind == artifactgenerator.KIND:
        return run_generator(message, deps)
    if message.kind != gitrepository.KIND:
        deps.telemetry.record("source kind not served", kind=message.kind, cluster=message.cluster, name=message.name)
        return []
    for _ in range(_TRIES):
        meant, record = _meant(message, deps)
        if record is None or record.tombstone:
            deps.state.delete(status_key(meant.cluster, meant.kind, meant.namespace, meant.name), expected=None)
            return []
        try:
            return _visited(_visit(meant, record, deps))
        except Conflict:
            continue
    raise Conflict(f"the status of {message.key} is being written by others all the time")


def _meant(message: SourceChanged, deps: Deps) -> tuple[SourceChanged, ObjectRecord | None]:
    """The source that a message means (the plane's own, where a cluster only has an alias of it), and its record."""
    found = deps.state.get(object_key(message.cluster, message.kind, message.namespace, message.name))
    record = ObjectRecord.from_value(found.value) if found else None
    if record is None or not record.implicit or message.cluster == PLANE:
        return message, record
    return _meant(replace(message, cluster=PLANE), deps)


def _visit(message: SourceChanged, record: ObjectRecord, deps: Deps) -> _Visit:
    held = load(deps, status_key(message.cluster, message.kind, message.namespace, message.name))
    look = Look(key=held.key, generation=record.generation, now=deps.clock.now(), interval=_UNKNOWN_INTERVAL)
    return _Visit(message=message, record=record, held=held, look=look, deps=deps)


def _visited(visit: _Visit) -> list[Outgoing]:
    """Look, record, tell. Raises Conflict where somebody else recorded a look meanwhile."""
    try:
        repository = parse_git_repository(visit.record.document)
        _check_served(repository)
    except InvalidDocument as error:
        return _recorded(visit, _Found(outcome=failed(visit.held.status, visit.look, error, stalled=True)))
    if repository.suspend:
        rest(visit.deps, visit.held)
        return []
    timed = replace(visit, look=replace(visit.look, interval=repository.interval))
    return _recorded(timed, _look(timed, repository))


def _check_served(repository: GitRepository) -> None:
    fields = unserved(repository)
    if fields:
        name = f"{gitrepository.KIND}/{repository.namespace}/{repository.name}"
        raise InvalidDocument("is not served yet", path=fields[0], document=name)


def _look(visit: _Visit, repository: GitRepository) -> _Found:
    """Ask the remote; fetch and store its tree unless the very same is stored already."""
    deps, before, look = visit.deps, visit.held.status, visit.look
    try:
        remote = remote_of(repository, visit.message.cluster, deps)
        included = included_by(repository, visit.message.cluster, deps)
    except Terminal as error:
        return _Found(outcome=failed(before, look, error, stalled=False))
    try:
        head = deps.git.resolve(remote, repository.reference)
    except PenstockError as error:
        return _Found(outcome=failed(before, look, _told(error), stalled=False))
    if _is_stored(visit, head) and visit.held.included == digests(included):
        return _Found(outcome=stored(before, look, revision=head.revision, artifact=before.artifact))
    others = [(each.include, each.tree(deps)) for each in included]
    try:
        head, checked_out = _checkout(remote, head, repository, deps)
        tree = overlay(checked_out, others)
    except PenstockError as error:
        return _Found(outcome=failed(before, look, _told(error), stalled=False))
    subject = checked_out.subject if isinstance(checked_out, CommitTree) else ""
    kept = _keep(visit, head, apply_ignore(tree, repository.ignore), subject)
    return replace(kept, included=digests(included))


def _is_stored(visit: _Visit, head: Head) -> bool:
    """Whether the artifact of this head, under this very document, is in the store."""
    before = visit.held.status
    same = (before.revision, before.generation) == (head.revision, visit.look.generation)
    return same and bool(before.artifact) and visit.deps.storage.get(before.artifact) is not None


def _checkout(remote: Remote, head: Head, repository: GitRepository, deps: Deps) -> tuple[Head, MemoryTree]:
    """The head's files; where it moved on between the two questions, those of the new head."""
    try:
        return head, deps.git.checkout(remote, head, _LIMITS)
    except Transient:
        again = deps.git.resolve(remote, repository.reference)
        if again == head:
            raise
        return again, deps.git.checkout(remote, again, _LIMITS)


def _keep(visit: _Visit, head: Head, tree: MemoryTree, subject: str) -> _Found:
    artifact = encode(tree)
    visit.deps.storage.put(artifact.digest, artifact.data)
    outcome = stored(
        visit.held.status,
        visit.look,
        revision=head.revision,
        artifact=artifact.digest,
        message=new_artifact_message(subject) if subject else "",
    )
    return _Found(outcome=outcome, tree=tree)


def _recorded(visit: _Visit, found: _Found) -> list[Outgoing]:
    """Write the outcome, then say what is due: of this look, and of one before that may have been cut short."""
    deps, held, outcome = visit.deps, visit.held, found.outcome
    save(deps, held, outcome, visit.look, found.included)
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
    told = [each for each in (held.announcement, outcome.announcement) if each is not None]
    address = (visit.message.cluster, gitrepository.API_VERSION, *_name(visit))
    messages = [event_of(each, address, outcome.status, deps) for each in told]
    if (outcome.changed or held.pending) and outcome.status.artifact:
        messages += _wake_all(visit, found)
    return messages + _retry(visit, outcome)


def _wake_all(visit: _Visit, found: _Found) -> list[Outgoing]:
    """Wake-ups in every cluster that the source belongs to, by its own tree and by the artifacts derived from it."""
    deps, status = visit.deps, found.outcome.status
    tree = found.tree
    if tree is None:
        data = deps.storage.get(status.artifact)
        if data is None:
            return []
        tree = decode(data)
    opened = {source_key(*_name(visit)): Opened(status=status, tree=tree)}
    clusters = clusters_of(visit.message.cluster, deps)
    with ThreadPoolExecutor(max_workers=max(1, min(_AT_ONCE, len(clusters)))) as pool:
        each = pool.map(lambda cluster: _wake_in(cluster, visit, opened), clusters)
        return [message for messages in each for message in messages]


def _wake_in(cluster: str, visit: _Visit, opened: Mapping[str, Opened]) -> list[Outgoing]:
    deps = visit.deps
    if visit.message.cluster == PLANE and not follows(cluster, _name(visit), deps):
        return []
    derived = derive_all(cluster, opened, deps)
    messages = derived.messages + includers(cluster, *_name(visit)[1:], deps=deps)
    return messages + wake(cluster, {**opened, **derived.opened}, deps)


def _retry(visit: _Visit, outcome: Outcome) -> list[Outgoing]:
    """A failing source's next try, where it comes sooner than `tick` would look."""
    if not outcome.status.error or outcome.due is None:
        return []
    delay = outcome.due - visit.look.now.timestamp()
    return [Outgoing(message=replace(visit.message, hint=""), delay=delay)] if delay < BACKSTOP else []


def _name(visit: _Visit) -> tuple[str, str, str]:
    return visit.message.kind, visit.message.namespace, visit.message.name


def _told(error: PenstockError) -> PenstockError:
    """A remote's failure in Flux's words."""
    text = f"{_CHECKOUT}: {error}"
    if isinstance(error, Transient):
        return Transient(text, reason=error.reason, retry_after=error.retry_after)
    return Terminal(text, reason=error.reason)
