"""Records in several stores, by the first segment of their keys: for a cloud whose rights end at a store."""

import contextlib
from collections.abc import Collection, Iterator, Mapping

from penstock.adapters.state.together import by_store
from penstock.core.errors import Conflict, Terminal
from penstock.ports.state import ABSENT, Reads, Record, State, Value

BROUGHT_OVER = "brought-over"
"""Key of the mark that what stood in one store was copied to several."""


class PartedState:
    """See ports.state.State. ``parts``: family (a key's first segment) -> its store; ``rest``: that of all others.

    Only what is in the rest is ever due: nobody asks three stores each minute for what two of them never have.
    """

    def __init__(self, parts: Mapping[str, State], rest: State) -> None:
        self._parts, self._rest = dict(parts), rest

    def get(self, key: str) -> Record | None:
        """The record or None."""
        return self._of(key).get(key)

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write; compare-and-swap where ``expected`` is given. Raises Terminal where what is never due has a time."""
        state = self._of(key)
        if due is not None and state is not self._rest:
            raise Terminal(f"record {key} has a due time, and its store is never asked what is due")
        return state.put(key, value, expected=expected, due=due)

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove."""
        self._of(key).delete(key, expected=expected)

    def list(self, prefix: str) -> tuple[Record, ...]:
        """By prefix, sorted by key; over several stores only where the prefix ends before the first segment does."""
        if "/" in prefix:
            return self._of(prefix).list(prefix)
        found = [record for state in self._with(prefix) for record in state.list(prefix)]
        return tuple(sorted(found, key=lambda record: record.key))

    def scan(self, prefix: str) -> Iterator[Record]:
        """By prefix, one store after the other."""
        stores = [self._of(prefix)] if "/" in prefix else self._with(prefix)
        return (record for state in stores for record in state.scan(prefix))

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records and lists, of all stores at a time."""
        reads = by_store(self._of, keys, [prefix for prefix in prefixes if "/" in prefix])
        spread = {prefix: self.list(prefix) for prefix in prefixes if "/" not in prefix}
        return Reads(records=reads.records, lists={**reads.lists, **spread})

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first."""
        return self._rest.due(before, limit=limit)

    def bring_over(self) -> int:
        """Copy to its store what a release wrote that had one for all, the first time; how many records that were.

        What is copied stays where it was, for functions of that release which still run. Killed half-way, it begins
        again: what is there already is newer.
        """
        if self._rest.get(BROUGHT_OVER) is not None:
            return 0
        found = [
            (family, record)
            for family in self._parts
            for record in self._rest.list(family)
            if record.key.partition("/")[0] == family
        ]
        for family, record in found:
            with contextlib.suppress(Conflict):
                self._parts[family].put(record.key, record.value, expected=ABSENT)
        self._rest.put(BROUGHT_OVER, {"format": 1}, expected=None)
        return len(found)

    def _of(self, key: str) -> State:
        return self._parts.get(key.partition("/")[0], self._rest)

    def _with(self, start: str) -> Iterator[State]:
        """The stores that may have a family which starts so, each once."""
        families = (state for family, state in self._parts.items() if family.startswith(start))
        yield from {id(state): state for state in (self._rest, *families)}.values()
