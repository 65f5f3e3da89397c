"""The resources of one kustomization, in order, found by id without a search."""

from collections.abc import Callable, Hashable, Iterable, Iterator

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.resource import ResId, Resource
from penstock.core.kustomize.results import Change, Results, T

_Key = tuple[str, str, str, str, str]


class ResMap:
    """An ordered collection in which each present id stands once. Its indexes are made when they are asked for.

    ``results``: where transformers' results are kept, if they are.
    """

    __slots__ = ("_by_any", "_present", "_resources", "_results")

    def __init__(self, resources: Iterable[Resource] = (), results: Results | None = None) -> None:
        self._results = results
        self._resources: list[Resource] = []
        self._present: set[_Key] | None = set()
        self._by_any: dict[_Key, list[int]] | None = None
        self.append_all(resources)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)

    def __getitem__(self, index: int) -> Resource:
        return self._resources[index]

    def append(self, resource: Resource) -> None:
        """Add at the end. Raises BuildFailed where the id is taken."""
        if self._present is None:
            self._present = {other.id.key for other in self._resources}
        key = resource.id.key
        if key in self._present:
            raise BuildFailed(
                f"may not add resource with an already registered id: {resource.id}; "
                "it stands in two files or bases: remove one, or make it a patch"
            )
        self._present.add(key)
        if self._by_any is not None:
            self._index(len(self._resources), resource)
        self._resources.append(resource)

    def append_all(self, resources: Iterable[Resource]) -> None:
        """Add each at the end."""
        for resource in resources:
            self.append(resource)

    def replace_all(self, resources: Iterable[Resource]) -> None:
        """Other resources in the place of these; ids are not checked."""
        self._resources = list(resources)
        self._present = self._by_any = None

    def set(self, index: int, resource: Resource) -> None:
        """Another resource at one place; its id is not checked."""
        old = self._resources[index]
        self._resources[index] = resource
        if old.id != resource.id or old.previous != resource.previous:
            self._present = self._by_any = None

    def transform(self, step: Hashable, change: Change) -> None:
        """Each resource as ``change`` makes it; ids are not checked.

        Equal ``step`` means: the same transformer. None: one whose results are not to be kept.
        """
        before = self._resources
        after: list[Resource | None]
        if self._results is None or step is None:
            after = [change(resource) for resource in before]
        else:
            after = self._results.apply(step, before, change)
        self._resources = [resource for resource in after if resource is not None]
        if len(self._resources) < len(before) or any(
            new is not old and (new.id is not old.id or new.previous is not old.previous)
            for new, old in zip(self._resources, before, strict=True)
        ):
            self._present = self._by_any = None

    def apply(self, step: Hashable, change: Callable[[Resource], T], holds: Callable[[T], bool]) -> list[T]:
        """What ``change`` makes of each resource, which stay as they are; see Results.apply."""
        if self._results is None:
            return [change(resource) for resource in self._resources]
        return self._results.apply(step, self._resources, change, holds)

    def check_unique(self) -> None:
        """Raise BuildFailed where two resources have one id."""
        resources, self._resources = self._resources, []
        self._present, self._by_any = set(), None
        self.append_all(resources)

    def matching(self, wanted: ResId) -> list[int]:
        """The places of those that have or had this id, in order."""
        if self._by_any is None:
            self._by_any = {}
            for index, resource in enumerate(self._resources):
                self._index(index, resource)
        return self._by_any.get(wanted.key, [])

    def one_matching(self, wanted: ResId, what: str) -> int:
        """The place of the only one that has or had this id. Raises BuildFailed for none or several."""
        found = self.matching(wanted)
        if len(found) == 1:
            return found[0]
        number = "multiple" if found else "no"
        raise BuildFailed(f"{number} matches for Id {wanted}; failed to find unique target for {what}")

    def _index(self, index: int, resource: Resource) -> None:
        assert self._by_any is not None
        for key in {known.key for known in resource.ids}:
            self._by_any.setdefault(key, []).append(index)
