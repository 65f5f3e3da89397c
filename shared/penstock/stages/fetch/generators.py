"""ArtifactGenerators: their ExternalArtifacts follow from their sources' artifacts, and are kept like those.

Derived in the same run that stores a source, so that a push wakes once whoever it touches; and when a generator's own
document changes. What an ExternalArtifact is stands in ``status/<cluster>/ExternalArtifact/<namespace>/<name>``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from penstock.core.errors import Conflict, InvalidDocument, NotFound, Refused, Terminal
from penstock.core.flux import artifactgenerator
from penstock.core.flux.artifactgenerator import (
    ArtifactGenerator,
    GeneratorSource,
    OutputArtifact,
    parse_artifact_generator,
    unserved,
)
from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord, SourceStatus, object_key, status_key
from penstock.core.sources.artifact import decode, encode
from penstock.core.sources.generate import generate
from penstock.core.sources.kinds import EXTERNAL_ARTIFACT
from penstock.core.sources.outcome import Look, failed, generated, revision_words, stored
from penstock.core.sources.wakeups import source_key
from penstock.ports.deps import Deps
from penstock.ports.state import Record
from penstock.stages.fetch.announce import events, saying
from penstock.stages.fetch.ledger import load, save
from penstock.stages.fetch.opened import Opened
from penstock.stages.fetch.remote import policy_of
from penstock.stages.fetch.wake import concerned_in, wake

_TRIES = 5
_HOUR = timedelta(hours=1)
_FAILED = "SourceFetchFailed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """``opened``: ExternalArtifacts by ``source_key``; ``messages``: events, and generators further down the line."""

    opened: Mapping[str, Opened] = field(default_factory=dict)
    messages: list[Outgoing] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """One generator's run. ``given``: sources by ``source_key`` whose trees are at hand already.

    ``certain``: what was made before has woken whom it concerned.
    """

    cluster: str
    record: ObjectRecord
    given: Mapping[str, Opened]
    deps: Deps
    certain: bool = False

    @property
    def name(self) -> tuple[str, str, str]:
        metadata = self.record.document["metadata"]
        return artifactgenerator.KIND, str(metadata.get("namespace") or ""), str(metadata["name"])


def run_generator(message: SourceChanged, deps: Deps) -> list[Outgoing]:
    """Derive one generator's artifacts anew, and wake whom they concern."""
    found = deps.state.get(object_key(message.cluster, message.kind, message.namespace, message.name))
    record = ObjectRecord.from_value(found.value) if found else None
    if record is None or record.tombstone:
        deps.state.delete(status_key(message.cluster, message.kind, message.namespace, message.name), expected=None)
        _forget(message.cluster, message.namespace, message.name, frozenset(), deps)
        return []
    derived = _derive(_Run(cluster=message.cluster, record=record, given={}, deps=deps))
    return derived.messages + wake([concerned_in(message.cluster, derived.opened, deps)], deps)


def derive_all(
    cluster: str, given: Mapping[str, Opened], deps: Deps, generators: Iterable[Record], *, certain: bool
) -> Derived:
    """The artifacts of every generator of a cluster that uses one of these sources.

    ``generators``: all of the cluster; ``certain``: the wake-ups of what they made before have gone out.
    """
    made: dict[str, Opened] = {}
    messages: list[Outgoing] = []
    for record in _users(generators, given.keys()):
        derived = _derive(_Run(cluster=cluster, record=record, given=given, deps=deps, certain=certain))
        made.update(derived.opened)
        messages += derived.messages
    return Derived(opened=made, messages=messages)


def _users(generators: Iterable[Record], keys: Iterable[str]) -> Iterable[ObjectRecord]:
    """Those that use one of these sources."""
    wanted = frozenset(keys)
    for held in generators:
        record = ObjectRecord.from_value(held.value)
        if record.tombstone:
            continue
        try:
            sources = parse_artifact_generator(record.document).sources
        except InvalidDocument:  # its own run says so
            continue
        if wanted & {str(each) for each in sources}:
            yield record


def _derive(run: _Run) -> Derived:
    """One generator's artifacts, stored; its status, and an event where it has news.

    Begins again where a source got a newer observation meanwhile: an older one never has the last word.
    """
    for _ in range(_TRIES):
        held = load(run.deps, status_key(run.cluster, *run.name))
        look = Look(key=held.key, generation=run.record.generation, now=run.deps.clock.now(), interval=_HOUR)
        made: dict[str, Opened] = {}
        try:
            changed = _make(run, made)
        except Conflict:
            continue
        except Terminal as error:
            outcome = failed(held.status, look, error, stalled=isinstance(error, InvalidDocument))
            outcome = replace(outcome, due=None)  # a source's next artifact, or a new document, is the next try
        else:
            outcome = generated(held.status, look, count=len(made), changed=changed)
        held = saying(held, outcome, (run.cluster, artifactgenerator.API_VERSION, *run.name), run.deps)
        try:
            save(run.deps, held, outcome, look)
        except Conflict:
            continue
        messages = events(held)
        return Derived(opened=made, messages=messages + _further(run, made) if outcome.changed else messages)
    raise Conflict(f"the artifacts of {'/'.join(run.name)} are being written by others all the time")


def _make(run: _Run, made: dict[str, Opened]) -> tuple[str, ...]:
    """Fill ``made``; what changed, for people. Raises Conflict where a source moved on, Terminal where it can't be."""
    generator = _readable(run.record)
    if generator.disabled:
        return ()
    _check_circle(run, generator)
    sources = {each.alias: _opened(run, each) for each in generator.sources}
    changed = []
    for artifact in generator.artifacts:
        opened, is_new = _store(run, generator, artifact, sources)
        made[source_key(EXTERNAL_ARTIFACT, generator.namespace, artifact.name)] = opened
        if is_new:
            changed.append(f"{generator.namespace}/{artifact.name} ({opened.status.artifact})")
    for each in generator.sources:
        if _status(run, each).observation != sources[each.alias].status.observation:
            raise Conflict(f"source {each} moved on")
    _forget(run.cluster, *run.name[1:], keep=frozenset(each.name for each in generator.artifacts), deps=run.deps)
    return tuple(changed)


def _check_circle(run: _Run, generator: ArtifactGenerator) -> None:
    """Raises Refused where a generator uses, in the end, what it makes: each artifact would make the next."""
    made = {source_key(EXTERNAL_ARTIFACT, generator.namespace, each.name) for each in generator.artifacts}
    makers = {source: sources for each in _all(run) for source, sources in _made_from(each).items()}
    pending, seen = {str(each) for each in generator.sources}, set[str]()
    while pending:
        if pending & made:
            raise Refused("spec.sources leads back to an artifact of this generator", reason="ValidationFailed")
        seen |= pending
        pending = {source for key in pending for source in makers.get(key, ())} - seen


def _all(run: _Run) -> Iterable[ArtifactGenerator]:
    for held in run.deps.state.list(f"object/{run.cluster}/{artifactgenerator.KIND}/"):
        try:
            yield parse_artifact_generator(ObjectRecord.from_value(held.value).document)
        except InvalidDocument:  # its own run says so
            continue


def _made_from(generator: ArtifactGenerator) -> dict[str, tuple[str, ...]]:
    """Each artifact that a generator makes, and the sources it uses, by ``source_key``."""
    sources = tuple(str(each) for each in generator.sources)
    return {source_key(EXTERNAL_ARTIFACT, generator.namespace, each.name): sources for each in generator.artifacts}


def _readable(record: ObjectRecord) -> ArtifactGenerator:
    generator = parse_artifact_generator(record.document)
    fields = unserved(generator)
    if fields:
        name = f"{artifactgenerator.KIND}/{generator.namespace}/{generator.name}"
        raise InvalidDocument("is not served yet", path=fields[0], document=name)
    return generator


def _opened(run: _Run, source: GeneratorSource) -> Opened:
    """A source's newest artifact. Raises NotFound while there is none, Refused where the policy forbids it."""
    _, namespace, _name = run.name
    if source.namespace != namespace and policy_of(run.cluster, run.deps).no_cross_namespace_refs:
        raise Refused(f"cross-namespace reference to source {source} is not allowed", reason="AccessDenied")
    status = _status(run, source)
    given = run.given.get(str(source))
    if given is not None and given.status.artifact == status.artifact:
        return Opened(status=status, tree=given.tree)
    data = run.deps.storage.get(status.artifact) if status.artifact else None
    if data is None:
        raise NotFound(f"get sources failed: source '{source}' is not ready", reason=_FAILED)
    return Opened(status=status, tree=decode(data))


def _status(run: _Run, source: GeneratorSource) -> SourceStatus:
    found = run.deps.state.get(object_key(run.cluster, source.kind, source.namespace, source.name))
    cluster = PLANE if found is not None and ObjectRecord.from_value(found.value).implicit else run.cluster
    return load(run.deps, status_key(cluster, source.kind, source.namespace, source.name)).status


def _store(
    run: _Run, generator: ArtifactGenerator, artifact: OutputArtifact, sources: Mapping[str, Opened]
) -> tuple[Opened, bool]:
    """Store one artifact and its record; whether it is another one than before. Raises Conflict, BuildFailed."""
    tree = generate(artifact, {alias: opened.tree for alias, opened in sources.items()})
    made = encode(tree)
    run.deps.storage.put(made.digest, made.data, cluster=run.cluster)
    held = load(run.deps, status_key(run.cluster, EXTERNAL_ARTIFACT, generator.namespace, artifact.name))
    owner = f"{generator.namespace}/{generator.name}"
    if held.value.get("generator", owner) != owner:
        raise Refused(
            f"ExternalArtifact {generator.namespace}/{artifact.name} is made by ArtifactGenerator "
            f"{held.value['generator']} already: remove it from one of the two",
            reason="AccessDenied",
        )
    revision = sources[artifact.revision].status.revision if artifact.revision else f"latest@{made.digest}"
    look = Look(key=held.key, generation=run.record.generation, now=run.deps.clock.now(), interval=_HOUR)
    outcome = stored(held.status, look, revision, made.digest, revision_words(revision))
    origin = sources[artifact.origin_revision].status.revision if artifact.origin_revision else ""
    value = {**outcome.status.to_value(), "generator": owner, "originRevision": origin}
    if outcome.changed or held.value.get("originRevision") != origin:
        run.deps.state.put(held.key, value, expected=held.version)
    same = run.certain and not outcome.changed
    return Opened(status=outcome.status, tree=tree, before=(tree,) if same else None), outcome.changed


def _forget(cluster: str, namespace: str, name: str, keep: frozenset[str], deps: Deps) -> None:
    """Drop the records of ExternalArtifacts that a generator no longer makes."""
    for held in deps.state.list(f"status/{cluster}/{EXTERNAL_ARTIFACT}/{namespace}/"):
        if held.value.get("generator") == f"{namespace}/{name}" and held.key.rpartition("/")[2] not in keep:
            deps.state.delete(held.key, expected=None)


def _further(run: _Run, made: Mapping[str, Opened]) -> list[Outgoing]:
    """Generators that use these artifacts in turn."""
    found = []
    generators = run.deps.state.list(f"object/{run.cluster}/{artifactgenerator.KIND}/") if made else ()
    for record in _users(generators, made.keys()):
        metadata = record.document["metadata"]
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        if (namespace, name) != run.name[1:]:
            message = SourceChanged(cluster=run.cluster, kind=artifactgenerator.KIND, namespace=namespace, name=name)
            found.append(Outgoing(message=message))
    return found
