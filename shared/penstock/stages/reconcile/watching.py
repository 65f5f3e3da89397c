"""Looking at objects until they are healthy: a LIST, and a watch from there on. Other ways where those are refused."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.core.errors import NotFound, PenstockError, Refused
from penstock.core.flux.kustomization import API_GROUP, SourceRef
from penstock.core.health.exprs import HealthRules
from penstock.core.health.facts import Health, Status
from penstock.core.reconcile.render import Rendered
from penstock.core.records import KustomizationStatus
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of, ref_of
from penstock.core.sources.kinds import FETCHED
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import KIND, Attempt, load_status, read_object, source_status
from penstock.stages.reconcile.live import indexed
from penstock.stages.reconcile.ready import with_status

FIRST_LOOK = 0.1
LONGEST_PAUSE = 1.0
MOST_WATCHES = 4
"""Watches of one check: where they end at once, it goes on by looking now and then."""
_OVER = frozenset({Status.CURRENT, Status.FAILED})


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthFacts:
    """What the check starts from: the render, and the API server's last word on each object.

    ``left_alone``: rendered objects that are not applied.
    """

    rendered: Rendered
    last: Mapping[ObjectRef, Manifest]
    selector: str
    left_alone: frozenset[ObjectRef] = frozenset()
    rules: HealthRules = field(default_factory=HealthRules)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Objects of one kind. ``ours``: all of them carry the owner labels; ``version``: of the LIST, "" without one."""

    gvk: Gvk
    refs: Sequence[ObjectRef]
    ours: bool
    version: str = ""

    @property
    def namespace(self) -> str:
        """Where they all are, "" for several places."""
        found = {ref.namespace for ref in self.refs}
        return next(iter(found)) if len(found) == 1 else ""


class Watched:
    """The objects that a check waits for.

    ``known``: their health, kept up to date by each ``look``; ``live``: the API server's last word on each.
    """

    def __init__(
        self, *, attempt: Attempt, cluster: Cluster, facts: HealthFacts, known: dict[ObjectRef, Health | None]
    ) -> None:
        self.attempt, self.cluster, self.facts, self.known = attempt, cluster, facts, known
        self.live: dict[ObjectRef, Manifest] = {ref: facts.last[ref] for ref in known if ref in facts.last}
        self._versions = {ref_of(m): gvk_of(m).version for m in facts.rendered.apply}
        self._pause, self._watches = FIRST_LOOK, 0

    def look(self, waiting: Sequence[ObjectRef], seconds: float) -> None:
        """Look at all of ``waiting`` after a moment; then watch one kind of those that are not there yet.

        Returns after ``seconds`` at the latest, sooner when that kind has come to an end.
        """
        clock = self.attempt.deps.clock
        end = clock.monotonic() + seconds
        clock.sleep(min(self._pause, seconds))
        self._pause = min(self._pause * 1.5, LONGEST_PAUSE)
        for group in [self._read(group) for group in self._groups(waiting)]:
            left = end - clock.monotonic()
            if group.version and self._left(group) and left > 0 and self._watches < MOST_WATCHES:
                self._watches += 1
                self._watch(group, left)
                return

    def _groups(self, waiting: Sequence[ObjectRef]) -> list[_Group]:
        found: dict[Gvk, list[ObjectRef]] = defaultdict(list)
        for ref in waiting:
            if ref.group.endswith(".fluxcd.io"):
                self.known[ref] = own_status(self.attempt, ref, self.facts.rules)
                continue
            served = self.cluster.resource_type(ref.group, ref.kind, self._versions.get(ref, ""))
            if served is not None:
                found[served.gvk].append(ref)
        return [
            _Group(gvk=gvk, refs=refs, ours=all(ref in self._versions for ref in refs)) for gvk, refs in found.items()
        ]

    def _read(self, group: _Group) -> _Group:
        """One LIST; a GET for what it does not hold. The group with the LIST's version."""
        found: dict[ObjectRef, Manifest] = {}
        version = ""
        if group.ours or len(group.refs) > 1:
            try:
                page = self.cluster.list(group.gvk, namespace=group.namespace, label_selector=self.facts.selector)
                found, version = indexed(group.gvk, page.items), page.resource_version
            except (Refused, NotFound):
                found = {}
        for ref in group.refs:
            live = found[ref] if ref in found else self.cluster.get(group.gvk, ref.namespace, ref.name)
            self._take(ref, live)
        return _Group(gvk=group.gvk, refs=group.refs, ours=group.ours, version=version if group.ours else "")

    def _take(self, ref: ObjectRef, live: Manifest | None) -> None:
        self.known[ref] = self.facts.rules.assess(live, now=self.cluster.server_time)
        self.live.pop(ref, None)
        if live is not None:
            self.live[ref] = live

    def _left(self, group: _Group) -> bool:
        return any(health is None or health.status not in _OVER for health in map(self.known.get, group.refs))

    def _watch(self, group: _Group, seconds: float) -> None:
        """Take in what happens, until all of the group have come to an end. A watch that fails is no harm."""
        clock = self.attempt.deps.clock
        end = clock.monotonic() + seconds
        try:
            events = self.cluster.watch(
                group.gvk,
                namespace=group.namespace,
                resource_version=group.version,
                timeout=seconds,
                label_selector=self.facts.selector,
            )
            for event in events:
                if event.type != "BOOKMARK":
                    (ref, live), *_ = indexed(group.gvk, [event.object]).items()
                    if ref in group.refs:
                        self._take(ref, None if event.type == "DELETED" else live)
                if not self._left(group) or clock.monotonic() > end:
                    return
        except PenstockError:
            self._watches = MOST_WATCHES


def own_status(attempt: Attempt, ref: ObjectRef, rules: HealthRules) -> Health:
    """The health of a Flux object is the plane's own status; those that have none are healthy."""
    if ref.kind in FETCHED:
        return _source_health(attempt, ref)
    if (ref.group, ref.kind) != (API_GROUP, KIND):
        return Health(status=Status.CURRENT)
    status: KustomizationStatus = load_status(attempt.deps, attempt.cluster, ref.namespace, ref.name)
    record = read_object(attempt.deps, attempt.cluster, KIND, f"{ref.namespace}/{ref.name}")
    if record is None:
        return Health(status=Status.NOT_FOUND, message="Resource not found")
    if rules.covers(ref.group, ref.kind):
        return rules.assess(with_status(record, status))
    if status.ready() and status.observed_generation == record.generation:
        return Health(status=Status.CURRENT)
    ready = status.condition("Ready")
    return Health(status=Status.IN_PROGRESS, message=ready.message if ready else "waiting to be reconciled")


def _source_health(attempt: Attempt, ref: ObjectRef) -> Health:
    """A source is there when its newest document has an artifact; no retry mends one that is stalled."""
    record = read_object(attempt.deps, attempt.cluster, ref.kind, f"{ref.namespace}/{ref.name}")
    if record is None:
        return Health(status=Status.NOT_FOUND, message="Resource not found")
    source = SourceRef(kind=ref.kind, namespace=ref.namespace, name=ref.name)
    status = source_status(attempt.deps, attempt.cluster, source)
    found = {each.type: each for each in status.conditions} if status is not None else {}
    tried = status is not None and (record.implicit or status.generation == record.generation)
    ready = found.get("Ready")
    if ready is None or not tried:
        return Health(status=Status.IN_PROGRESS, message=ready.message if ready else "waiting to be fetched")
    if ready.status == "True":
        return Health(status=Status.CURRENT)
    return Health(status=Status.FAILED if "Stalled" in found else Status.IN_PROGRESS, message=ready.message)
