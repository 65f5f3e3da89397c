"""What transformers made of resources, kept from one build to the next.

Resources are never changed, and a transformer's result for one depends on nothing else: so where the same resource
meets the same transformer again, the result is the same. After a change to one file of many, only its objects are
transformed anew.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from penstock.core.kustomize.resource import Resource

Change = Callable[[Resource], Resource | None]
"""From a resource to what becomes of it; None removes it."""
T = TypeVar("T")


def _always(_result: object) -> bool:
    return True


class Results:
    """At most ``size`` results, those of the transformers least recently used dropped first."""

    __slots__ = ("_count", "_size", "_steps")

    def __init__(self, size: int) -> None:
        self._size, self._count = size, 0
        # By transformer, then by the identity of the resource, which the entry keeps alive.
        self._steps: OrderedDict[Hashable, dict[int, tuple[Resource, Any]]] = OrderedDict()

    def apply(
        self,
        step: Hashable,
        resources: Iterable[Resource],
        change: Callable[[Resource], T],
        holds: Callable[[T], bool] = _always,
    ) -> list[T]:
        """What ``change`` makes of each resource. Equal ``step`` means: the same transformer.

        ``holds``: whether a result from before is still right, for a transformer that looks at other resources too.
        """
        known = self._steps.setdefault(step, {})
        self._steps.move_to_end(step)
        found = []
        for resource in resources:
            entry = known.get(id(resource))
            if entry is None or not holds(entry[1]):
                self._count += entry is None
                entry = known[id(resource)] = (resource, change(resource))
            found.append(entry[1])
        while self._count > self._size and len(self._steps) > 1:
            self._count -= len(self._steps.popitem(last=False)[1])
        if self._count > self._size:
            self._steps.clear()
            self._count = 0
        return found
