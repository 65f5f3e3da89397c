"""What a push asks of every cluster that it may concern, in one read for all of them.

Read after the source's new observation was written: whoever began before that, and has read the one before, has its
index entries already; whoever begins after it reads the new one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from penstock.core.flux import artifactgenerator, gitrepository
from penstock.core.records import ObjectRecord, object_key
from penstock.core.sources.index import ANY, changed_places, hashed, indexed_key, named, place_of, reads_prefix
from penstock.core.sources.wakeups import source_key
from penstock.ports.deps import Deps
from penstock.ports.state import Reads, Record
from penstock.stages.fetch.opened import Opened
from penstock.stages.fetch.visit import Known

MOST_LISTS = 64
"""So many places are looked up one by one; above that, all entries of the source by one list."""

Name = tuple[str, str, str]
"""Kind, namespace and name of a source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where the entries of those stand whom a source's new tree may concern, in any cluster.

    ``below``: as in a key, hashed; None: all entries of the source are listed, and those at ``wanted`` count
    (None: every one).
    """

    source: str
    below: tuple[str, ...] | None = None
    wanted: Collection[str] | None = None

    def prefixes(self, cluster: str) -> list[str]:
        """What is listed."""
        if self.below is None:
            return [reads_prefix(cluster, self.source)]
        return [reads_prefix(cluster, self.source, place) for place in self.below]

    def readers(self, cluster: str, reads: Reads) -> frozenset[str]:
        """``namespace/name`` of each, of what was listed."""
        found = (held.key for prefix in self.prefixes(cluster) for held in reads.lists[prefix])
        return frozenset(named(key) for key in found if self.wanted is None or place_of(key) in self.wanted)


def places_of(source: str, opened: Opened) -> Places:
    """Where a new tree differs from those whose wake-ups have gone out, and whom every push concerns."""
    if opened.before is None:
        return Places(source=source)
    changed = sorted({ANY}.union(*(changed_places(before, opened.tree) for before in opened.before)))
    if len(changed) <= MOST_LISTS:
        return Places(source=source, below=tuple(changed))
    return Places(source=source, wanted=frozenset(map(hashed, changed)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """``places``: of the source that was looked at; ``reads``: what was found of each cluster."""

    places: Places
    reads: Reads

    def follows(self, cluster: str, source: Name) -> bool:
        """Whether a cluster has an alias of the plane's own source, not one of its own."""
        found = self.reads.records.get(object_key(cluster, *source))
        return found is not None and ObjectRecord.from_value(found.value).implicit

    def indexed(self, cluster: str) -> bool:
        """Whether the index entries of a cluster are complete."""
        return indexed_key(cluster) in self.reads.records

    def readers(self, cluster: str) -> frozenset[str]:
        """Who has read what is different now, and whom every push concerns."""
        return self.places.readers(cluster, self.reads)

    def generators(self, cluster: str) -> tuple[Record, ...]:
        """The ArtifactGenerators of a cluster."""
        return self.reads.lists[_generators(cluster)]

    def repositories(self, cluster: str, source: Name) -> tuple[Record, ...]:
        """The GitRepositories that may include a source."""
        return self.reads.lists[_beside(cluster, source)]


def survey_of(clusters: Sequence[str], source: Name, opened: Opened, deps: Deps, known: Known) -> Survey:
    """Ask the records of these clusters what a new tree of a source needs to know.

    ``known``: what was read as the look began. Who had an alias and an index then is not asked again: an index stays,
    and a source of the cluster's own in the alias's place has a look of its own.
    """
    places = places_of(source_key(*source), opened)
    keys = [key for cluster in clusters for key in (object_key(cluster, *source), indexed_key(cluster))]
    prefixes = [
        prefix
        for cluster in clusters
        for prefix in (_generators(cluster), _beside(cluster, source), *places.prefixes(cluster))
    ]
    reads = deps.state.read([key for key in keys if known.get(key) is None], prefixes)
    records = {key: found for key in keys if (found := known.get(key)) is not None}
    return Survey(places=places, reads=replace(reads, records={**records, **reads.records}))


def _generators(cluster: str) -> str:
    return f"object/{cluster}/{artifactgenerator.KIND}/"


def _beside(cluster: str, source: Name) -> str:
    return f"object/{cluster}/{gitrepository.KIND}/{source[1]}/"
