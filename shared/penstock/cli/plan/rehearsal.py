"""Every Kustomization of a fleet rendered by the reconcile stage's own code, on a plane that exists in memory only.

The root first, then what it renders, and so on. What a Kustomization renders is what the next one may read: a
ConfigMap of this very plan stands in front of the cluster's.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from penstock.cli.plan.in_memory import memory_deps
from penstock.cli.plan.reading import Reading
from penstock.cli.plan.settings import Settings, SettingsClusters
from penstock.cli.plan.source import UNKNOWN_URL, FleetSource, without_login
from penstock.cli.plan.sources import CLUSTER, Sources
from penstock.core.errors import NotFound, PenstockError
from penstock.core.flux.kustomization import Kustomization
from penstock.core.flux.plane import API_VERSION, KIND, NAME, NAMESPACE, parse_plane
from penstock.core.flux.plane_records import plane_records
from penstock.core.messages import PLANE, ReconcileDue, SourceChanged
from penstock.core.reconcile.render import Rendered, render
from penstock.core.records import status_key
from penstock.core.resources import ObjectRef, ref_of
from penstock.core.sources.wakeups import ROOT
from penstock.ports.cluster import Clusters
from penstock.stages import fetch
from penstock.stages.reconcile.attempt import Attempt, objects, open_attempt
from penstock.stages.reconcile.children import check_children, store_children
from penstock.stages.reconcile.ready import check_expressions
from penstock.stages.reconcile.rendering import record_at_rest, record_render
from penstock.stages.reconcile.source import Source, open_source

UID = "0" * 32
_KINDS_OF_SETTINGS = {("", "ConfigMap"), ("", "Secret")}
_ROOT_TRIES = 4
_ANYWHERE = ["0.0.0.0/0", "0::/0"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One Kustomization of the plan.

    ``problem``: why it could not be rendered, or ""; ``outside``: why it is nothing that this plan can render (another
    repository, a kind of source that is not supported, suspended), or "". ``encrypted``: objects left as ciphertext.
    """

    ref: str
    kustomization: Kustomization
    parent: str = ""
    source: Source | None = None
    rendered: Rendered | None = None
    problem: str = ""
    outside: str = ""
    encrypted: frozenset[ObjectRef] = frozenset()
    notes: tuple[str, ...] = ()
    final: bool = True


class Rehearsal:
    """``clusters``: read-only, or None; ``progress`` is called with each Kustomization's name before its render.

    ``remote_bases``: whether they are fetched, from wherever this machine can reach.
    """

    def __init__(
        self,
        source: FleetSource,
        path: str,
        clusters: Clusters | None,
        progress: Callable[[str], None],
        *,
        remote_bases: bool = False,
    ) -> None:
        self._source, self._progress = source, progress
        settings = Settings(alone=clusters is None)
        self.deps = memory_deps(SettingsClusters(clusters, settings), remote_bases=remote_bases)
        self._found: dict[str, Section] = {}
        self._settings, self._reading = settings, Reading(clusters, settings)
        self._sources = Sources(source, self.deps)
        self._make_plane(path, {"noRemoteBases": False, "allowedHosts": _ANYWHERE} if remote_bases else {})

    def run(self) -> list[Section]:
        """All Kustomizations, parents and dependencies first."""
        while True:
            rendered = [self._visit(name) for name in self._open()]
            if any(rendered):
                continue
            if self._settings.guess or not self._settings.alone:
                break
            self._settings.guess = True  # what nothing rendered will not come any more
        return [self._found[name] for name in self._ordered()]

    def attempt(self, ref: str, clusters: Clusters) -> Attempt:
        """The attempt at a Kustomization, with its render on record, against ``clusters``."""
        attempt = self._attempt(ref)
        return replace(attempt, deps=replace(attempt.deps, clusters=clusters))

    def _make_plane(self, path: str, policy: dict[str, Any]) -> None:
        url = next((u for u in self._source.urls if u.startswith(("https://", "http://"))), UNKNOWN_URL)
        source = {"url": without_login(url), "ref": {"branch": self._source.branch or "main"}}
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "plan"},
            "spec": {"source": source, "clusters": [{"name": CLUSTER, "path": path}], "policy": policy},
        }
        for key, value in plane_records(parse_plane(document), document, UID, {}).writes.items():
            self.deps.state.put(key, value, expected=None)
        self._sources.offer(status_key(PLANE, "GitRepository", NAMESPACE, NAME), self._source.tree)

    def _open(self) -> list[str]:
        """Those that have not been rendered, and may be now."""
        return [name for name in self._ordered() if name not in self._found or not self._found[name].final]

    def _ordered(self) -> Iterator[str]:
        records = objects(self.deps, CLUSTER, "Kustomization")
        seen: set[str] = set()

        def visit(name: str) -> Iterator[str]:
            record = records.get(name)
            if record is None or name in seen:
                return
            seen.add(name)
            yield from visit(record.parent)
            for each in (record.document.get("spec") or {}).get("dependsOn") or ():
                yield from visit(f"{each.get('namespace') or name.partition('/')[0]}/{each.get('name')}")
            yield name

        for name in (ROOT, *sorted(records)):
            yield from visit(name)

    def _visit(self, ref: str) -> bool:
        """Render one; whether it succeeded."""
        known = self._found.get(ref)
        if known is None:
            self._progress(ref)
        self._found[ref] = self._section(ref)
        return self._found[ref].rendered is not None

    def _attempt(self, ref: str) -> Attempt:
        namespace, _, name = ref.partition("/")
        attempt = open_attempt(ReconcileDue(cluster=CLUSTER, namespace=namespace, name=name, why="plan"), self.deps)
        assert attempt is not None
        return attempt

    def _section(self, ref: str) -> Section:
        attempt = self._attempt(ref)
        section = Section(ref=ref, kustomization=attempt.kustomization, parent=attempt.record.parent)
        if attempt.kustomization.suspend:
            self._rest(attempt)
            return replace(section, outside="it is suspended: nothing is done for it")
        try:
            check_expressions(attempt.kustomization)
            source = open_source(attempt)
        except NotFound as error:
            wanted = attempt.kustomization.source
            outside = self._sources.why_outside(wanted)
            problem = "" if outside else self._sources.why_none(wanted, error)
            return replace(section, outside=outside, problem=problem, final=False)
        except PenstockError as error:
            return replace(section, problem=str(error))
        try:
            return self._rendered(replace(section, source=source), attempt, source)
        except PenstockError as error:
            return replace(section, source=source, problem=str(error), final=not isinstance(error, NotFound))

    def _rest(self, attempt: Attempt) -> None:
        """What a suspended one renders, so that others leave it what has moved to it; they wait where it cannot be."""
        with suppress(PenstockError):
            source, read = open_source(attempt), self._reading.context(attempt)
            record_at_rest(attempt, render(attempt.kustomization, source.tree, read.context))

    def _rendered(self, section: Section, attempt: Attempt, source: Source) -> Section:
        for _ in range(_ROOT_TRIES):
            read = self._reading.context(attempt)
            rendered = render(attempt.kustomization, source.tree, read.context)
            check_children(attempt, rendered.parts.interpreted)
            attempt = record_render(attempt, source, rendered)
            self._take(attempt, source, rendered, read.encrypted)
            attempt = replace(attempt, opening=self._attempt(attempt.ref).opening)
            attempt = record_render(attempt, source, rendered)  # once more: now its children are stored
            again = self._attempt(attempt.ref)
            if again.record.generation == attempt.record.generation:
                break
            attempt = again  # the repository has its own spec for the root: once more, with that
        return replace(
            section,
            kustomization=attempt.kustomization,
            rendered=rendered,
            encrypted=frozenset(read.encrypted),
            notes=(*rendered.warnings, *sorted(read.notes)),
        )

    def _take(self, attempt: Attempt, source: Source, rendered: Rendered, encrypted: set[ObjectRef]) -> None:
        """What others read of this render: settings, sources, generators, children."""
        for manifest in rendered.apply:
            ref = ref_of(manifest)
            if (ref.group, ref.kind) in _KINDS_OF_SETTINGS:
                self._settings.planned[ref] = manifest
        self._settings.encrypted |= encrypted
        self._sources.declare(rendered.parts.interpreted)
        messages = store_children(attempt, source, rendered).messages
        self._sources.offer_all()
        for message in (out.message for out in messages):
            if isinstance(message, SourceChanged) and message.kind == "ArtifactGenerator":
                fetch.run(message, self.deps)


def dependencies(section: Section) -> tuple[str, ...]:
    """``namespace/name`` of each that it depends on."""
    return tuple(f"{each.namespace}/{each.name}" for each in section.kustomization.depends_on)
