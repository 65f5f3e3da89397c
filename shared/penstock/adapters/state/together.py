"""Reads of a state adapter that go together: one after the other where each costs nothing, at a time where it waits."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain, islice
from typing import Protocol

from penstock.ports.state import Reads, Record

AT_ONCE = 32
"""Requests of one call of ``read`` that are under way together."""


class _Readable(Protocol):
    def get(self, key: str) -> Record | None: ...
    def list(self, prefix: str) -> tuple[Record, ...]: ...


def one_by_one(state: _Readable, keys: Collection[str], prefixes: Collection[str]) -> Reads:
    """A ``read`` of calls that do not wait for a network."""
    found = ((key, state.get(key)) for key in dict.fromkeys(keys))
    return Reads(
        records={key: record for key, record in found if record is not None},
        lists={prefix: state.list(prefix) for prefix in dict.fromkeys(prefixes)},
    )


class Batches:
    """A ``read`` over a provider's batch request for records, and one request for each list.

    ``batch``: the records that there are of at most ``size`` keys.
    """

    def __init__(
        self,
        batch: Callable[[Sequence[str]], Iterable[Record]],
        listed: Callable[[str], tuple[Record, ...]],
        *,
        size: int,
    ) -> None:
        self._batch, self._listed, self._size = batch, listed, size

    def read(self, keys: Collection[str], prefixes: Collection[str]) -> Reads:
        """All of them, AT_ONCE at a time; the first error is raised when all have ended."""
        wanted, places = list(dict.fromkeys(keys)), list(dict.fromkeys(prefixes))
        groups = list(_groups(wanted, self._size))
        work: list[Callable[[], Collection[Record]]] = []
        work += [lambda group=group: tuple(self._batch(group)) for group in groups]  # type: ignore[misc]
        work += [lambda prefix=prefix: self._listed(prefix) for prefix in places]  # type: ignore[misc]
        answers = together(work)
        records = chain.from_iterable(answers[: len(groups)])
        lists = {place: tuple(found) for place, found in zip(places, answers[len(groups) :], strict=True)}
        return Reads(records={record.key: record for record in records}, lists=lists)


def together(work: Sequence[Callable[[], Collection[Record]]]) -> list[Collection[Record]]:
    """The answers in order."""
    if len(work) <= 1:
        return [each() for each in work]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(work))) as pool:
        futures = [pool.submit(copy_context().run, each) for each in work]
    return [future.result() for future in futures]


def _groups(keys: Sequence[str], size: int) -> Iterator[list[str]]:
    left = iter(keys)
    while group := list(islice(left, size)):
        yield group
