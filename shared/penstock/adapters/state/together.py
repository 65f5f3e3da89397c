"""Reads of a state adapter that go together: one after the other where each costs nothing, at a time where it waits."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import chain, islice
from typing import Protocol, TypeVar, cast

from penstock.ports.state import Reads, Record, State

_Answer = TypeVar("_Answer")

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

    ``state``: whose ``get`` reads a record that is alone, and whose ``list`` the lists; ``batch``: the records that
    there are of two to ``size`` keys.
    """

    def __init__(self, state: _Readable, batch: Callable[[Sequence[str]], Iterable[Record]], *, size: int) -> None:
        self._state, self._batch, self._size = state, batch, size

    def read(self, keys: Collection[str], prefixes: Collection[str]) -> Reads:
        """All of them, AT_ONCE at a time; the first error is raised when all have ended."""
        wanted, places = list(dict.fromkeys(keys)), list(dict.fromkeys(prefixes))
        groups = list(_groups(wanted, self._size))
        work: list[Callable[[], tuple[Record, ...]]] = []
        work += [partial(self._of, group) for group in groups]
        work += [partial(self._state.list, prefix) for prefix in places]
        answers = together(work)
        records = chain.from_iterable(answers[: len(groups)])
        lists = dict(zip(places, answers[len(groups) :], strict=True))
        return Reads(records={record.key: record for record in records}, lists=lists)

    def _of(self, keys: Sequence[str]) -> tuple[Record, ...]:
        if len(keys) > 1:
            return tuple(self._batch(keys))
        found = self._state.get(keys[0])
        return () if found is None else (found,)


def by_store(of: Callable[[str], State], keys: Collection[str], prefixes: Collection[str]) -> Reads:
    """A ``read`` of several stores, all at a time. ``of``: whose a key or prefix is."""
    asked: dict[int, tuple[State, list[str], list[str]]] = {}
    for part, given in enumerate((keys, prefixes), start=1):
        for each in given:
            state = of(each)
            cast("list[str]", asked.setdefault(id(state), (state, [], []))[part]).append(each)
    found = together([partial(state.read, mine, listed) for state, mine, listed in asked.values()])
    return Reads(
        records={key: record for reads in found for key, record in reads.records.items()},
        lists={prefix: records for reads in found for prefix, records in reads.lists.items()},
    )


def together(work: Sequence[Callable[[], _Answer]]) -> list[_Answer]:
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
