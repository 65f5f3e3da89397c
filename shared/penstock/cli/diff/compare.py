"""From a local directory to what would change: rendered and planned by the reconcile stage's own code."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from penstock.cli.diff.local import Local, tree_at
from penstock.cli.diff.outcome import Entry, Outcome
from penstock.cli.diff.subject import Subject, ignore_of, includes_of, known_source
from penstock.cli.plan.guest import GuestClusters, World
from penstock.cli.plan.planner import ENCRYPTED, quiet
from penstock.cli.plan.reading import Reading
from penstock.cli.plan.settings import Settings, SettingsClusters
from penstock.core.errors import NotFound, Refused
from penstock.core.reconcile.masked import Mask
from penstock.core.reconcile.plan import Action, Change
from penstock.core.reconcile.render import Rendered, render
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of
from penstock.core.tree import MemoryTree
from penstock.ports.cluster import Clusters
from penstock.stages.reconcile.attempt import Attempt, objects
from penstock.stages.reconcile.children import check_children
from penstock.stages.reconcile.parentage import PARSERS, own_documents
from penstock.stages.reconcile.preview import Preview, against
from penstock.stages.reconcile.ready import check_expressions
from penstock.stages.reconcile.shown_plan import drift_of, shown_changes
from penstock.stages.reconcile.source import Source
from penstock.stages.reconcile.target import open_target


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A render. ``encrypted``: objects left as ciphertext; ``notes``: sentences for people."""

    attempt: Attempt
    source: Source
    rendered: Rendered
    encrypted: frozenset[ObjectRef]
    notes: tuple[str, ...]


OpenLocal = Callable[[Attempt], Local]


def built(subject: Subject, clusters: Clusters | None, open_local: OpenLocal) -> tuple[Built, Local]:
    """The local directory, rendered as the Kustomization would be. ``clusters`` None: offline."""
    reading = _Reader(subject, clusters)
    local = open_local(reading.attempt)
    notes = ["its source includes others: they are not in this directory"] if includes_of(reading.attempt) else []
    made = reading.render(local.source.tree, local.directory, local.source.revision)
    return replace(made, notes=(*local.source.notes, *notes, *made.notes)), local


def online(subject: Subject, clusters: Clusters, open_local: OpenLocal, key: bytes) -> Outcome:
    """Compared with what is live, by server-side dry-runs. Raises as a reconcile would."""
    made, _ = built(subject, clusters, open_local)
    world = World(beside_flux=False)
    attempt = replace(made.attempt, deps=replace(made.attempt.deps, clusters=GuestClusters(clusters, world)))
    target = open_target(attempt)
    kept = tuple(quiet(m) if ref_of(m) in made.encrypted else m for m in made.rendered.apply)
    found = against(attempt, made.source, replace(made.rendered, apply=kept), target)
    _check_cluster(attempt, found)
    entries = [_entry(each, found, made.encrypted) for each in shown_changes(found)]
    entries += [Entry(change=each) for each in _children(attempt, made.rendered, key)]
    held = (found.planned.why_held,) if found.planned and found.planned.why_held else ()
    return _outcome(made, entries, f"the cluster, as {target.cluster.identity}", key, held)


def offline(subject: Subject, open_local: OpenLocal, key: bytes) -> Outcome:
    """Compared with the render of the revision that was applied last, out of the clone; no cluster is asked."""
    made, local = built(subject, None, open_local)
    status = made.attempt.status
    revision = status.last_applied_revision or known_source(made.attempt).revision
    if not revision:
        raise NotFound(f"{made.attempt.ref} has not been applied yet: there is nothing to compare with offline")
    reader = _Reader(subject, None)
    tree = tree_at(local, revision, ignore_of(reader.attempt))
    before = reader.render(tree, reader.attempt.kustomization.directory, revision)
    entries = [Entry(change=each) for each in _between(before.rendered, made.rendered)]
    entries += [Entry(change=each) for each in _children(made.attempt, made.rendered, key)]
    return _outcome(made, entries, f"the render of {revision}", key)


class _Reader:
    """Renders one Kustomization with what can be read here."""

    def __init__(self, subject: Subject, clusters: Clusters | None) -> None:
        settings = Settings(alone=clusters is None, guess=clusters is None)
        self._reading = Reading(clusters, settings)
        self.attempt = subject.attempt(SettingsClusters(clusters, settings))

    def render(self, tree: MemoryTree, directory: str, revision: str) -> Built:
        attempt = replace(self.attempt, kustomization=replace(self.attempt.kustomization, path=directory or "./"))
        check_expressions(attempt.kustomization)
        known = known_source(attempt)
        source = Source(
            ref=attempt.kustomization.source,
            revision=revision,
            observation=known.observation,
            artifact=known.artifact,
            tree=tree,
        )
        read = self._reading.context(attempt)
        rendered = render(attempt.kustomization, tree, read.context)
        check_children(attempt, rendered.parts.interpreted)
        return Built(
            attempt=attempt,
            source=source,
            rendered=rendered,
            encrypted=frozenset(read.encrypted),
            notes=(*rendered.warnings, *sorted(read.notes)),
        )


def _entry(change: Change, found: Preview, encrypted: frozenset[ObjectRef]) -> Entry:
    if change.ref in encrypted:
        return Entry(change=replace(change, action=Action.SKIPPED, reason=ENCRYPTED))
    return Entry(change=change, drift=drift_of(found, change), error=found.refused.get(str(change.ref), ""))


def _check_cluster(attempt: Attempt, found: Preview) -> None:
    """A kubeconfig may name another cluster than the plane's: then everything would look new."""
    if found.planned is None or found.planned.ledger.inventory.resource_version or not attempt.status.inventory:
        return
    raise Refused(
        f"this cluster holds no inventory of {attempt.ref}, and cluster {attempt.cluster} of the plane does: "
        "name that one with --context or --kubeconfig"
    )


def _children(attempt: Attempt, rendered: Rendered, key: bytes) -> Iterator[Change]:
    """Flux objects, which the plane stores and never applies: against what it has stored, masked alike."""
    mask = Mask(key=key)
    wanted = {ref_of(each): mask.flux(each) for each in own_documents(attempt, rendered.parts.interpreted)}
    known: dict[ObjectRef, Manifest] = {}
    for kind in PARSERS:
        for record in objects(attempt.deps, attempt.cluster, kind).values():
            if record.parent == attempt.ref and not record.tombstone:
                known[ref_of(record.document)] = record.document
    removed = "the plane carries out its deletionPolicy"
    yield from _changes(known, wanted, reason={"Kustomization": removed})


def _between(before: Rendered, after: Rendered) -> Iterator[Change]:
    old, new = ({ref_of(m): m for m in each.apply} for each in (before, after))
    yield from _changes(old, new)


def _changes(
    old: Mapping[ObjectRef, Manifest], new: Mapping[ObjectRef, Manifest], *, reason: Mapping[str, str] | None = None
) -> Iterator[Change]:
    """``reason``: by kind, of what is deleted."""
    for ref in sorted({*old, *new}, key=str):
        before, after = old.get(ref), new.get(ref)
        if before == after:
            continue
        action = Action.DELETED if after is None else Action.CREATED if before is None else Action.CONFIGURED
        version = gvk_of(after or before or {}).version
        why = (reason or {}).get(ref.kind, "") if after is None else ""
        yield Change(ref=ref, version=version, action=action, desired=after, live=before, after=after, reason=why)


def _outcome(made: Built, entries: list[Entry], compared: str, key: bytes, notes: tuple[str, ...] = ()) -> Outcome:
    attempt = made.attempt
    return Outcome(
        name=attempt.ref,
        cluster=attempt.cluster,
        directory=attempt.kustomization.path,
        revision=made.source.revision,
        against=compared,
        entries=entries,
        mask=made.rendered.mask(key),
        notes=(*made.notes, *notes),
    )
