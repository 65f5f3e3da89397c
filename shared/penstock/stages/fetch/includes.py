"""What a source includes, and who includes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock.core.errors import InvalidDocument, NotFound, Refused, Transient
from penstock.core.flux import gitrepository
from penstock.core.flux.gitrepository import GitRepository, Include, parse_git_repository
from penstock.core.messages import PLANE, Outgoing, SourceChanged
from penstock.core.records import ObjectRecord, object_key, status_key
from penstock.core.sources.artifact import decode
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.state import Record
from penstock.stages.fetch.ledger import load


@dataclass(frozen=True, kw_only=True, slots=True)
class Included:
    """An include, and the digest of its source's newest artifact."""

    include: Include
    digest: str

    def tree(self, deps: Deps) -> MemoryTree:
        """Its files. Raises Transient where the artifact was replaced and cleared away just now."""
        data = deps.storage.get(self.digest)
        if data is None:
            raise Transient(f"artifact {self.digest} is not in the store any more")
        return decode(data)


def included_by(repository: GitRepository, cluster: str, deps: Deps) -> tuple[Included, ...]:
    """What a source includes, in its order.

    Raises NotFound while one of them has no artifact, Refused where it would include itself in the end (each artifact
    would make the next).
    """
    _check_circle(repository, cluster, deps)
    found = []
    for include in repository.include:
        name = (gitrepository.KIND, repository.namespace, include.repository)
        held = deps.state.get(object_key(cluster, *name))
        if held is None:
            raise NotFound(f"could not get resource for include '{include.repository}': not found")
        home = PLANE if ObjectRecord.from_value(held.value).implicit else cluster
        digest = load(deps, status_key(home, *name)).status.artifact
        if not digest:
            raise NotFound(f"no artifact available for include '{include.repository}'", reason="NoArtifact")
        found.append(Included(include=include, digest=digest))
    return tuple(found)


def _check_circle(repository: GitRepository, cluster: str, deps: Deps) -> None:
    pending, seen = [each.repository for each in repository.include], set[str]()
    while pending:
        name = pending.pop()
        if name == repository.name:
            raise Refused(
                "spec.include leads back to this GitRepository: break the circle", reason="IncludeUnavailable"
            )
        held = deps.state.get(object_key(cluster, gitrepository.KIND, repository.namespace, name))
        if held is not None and name not in seen:
            seen.add(name)
            pending.extend(_names(ObjectRecord.from_value(held.value)))


def _names(record: ObjectRecord) -> tuple[str, ...]:
    """Whom a source includes; nobody where its document is wrong, as its own look says."""
    try:
        return tuple(each.repository for each in parse_git_repository(record.document).include)
    except InvalidDocument:
        return ()


def digests(included: Sequence[Included]) -> tuple[str, ...]:
    """What changes when an include does."""
    return tuple(each.digest for each in included)


def includers(cluster: str, namespace: str, name: str, repositories: Iterable[Record]) -> list[Outgoing]:
    """Wake-ups of the sources of a cluster that include this one, of the GitRepositories of its namespace."""
    messages = []
    for held in repositories:
        if name in _names(ObjectRecord.from_value(held.value)):
            message = SourceChanged(cluster=cluster, namespace=namespace, name=held.key.rpartition("/")[2])
            messages.append(Outgoing(message=message))
    return messages
