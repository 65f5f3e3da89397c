"""Records in several stores, by the first segment of their keys: for a cloud whose rights end at a store."""

from collections.abc import Iterator, Mapping

from penstock.core.errors import Terminal
from penstock.ports.state import Record, State, Value


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

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first."""
        return self._rest.due(before, limit=limit)

    def _of(self, key: str) -> State:
        return self._parts.get(key.partition("/")[0], self._rest)

    def _with(self, start: str) -> Iterator[State]:
        """The stores that may have a family which starts so, each once."""
        families = (state for family, state in self._parts.items() if family.startswith(start))
        yield from {id(state): state for state in (self._rest, *families)}.values()
