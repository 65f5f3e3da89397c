"""Lists that are merged item by item (kyaml/yaml/walk, associative_sequence.go).

Items that only the patch has come first, in its order; then the target's. Items are the same where all merge keys
that count are; a key counts where some item has a value for it. The rest follows kustomize to the letter, its
surprises too: what a missing key means in a list of several merge keys is what its code happens to do.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.written import PartlyEmpty, text_of


class _Absent:
    """No value at all, which is not the same as null."""

    __slots__ = ()


ABSENT: Final = _Absent()

MergeItem = Callable[[Any, Any, str], Any]
"""(target's item, patch's item, name for messages) -> merged item, or ABSENT where it goes."""

_Row = tuple[str, ...]  # an item's merge keys: "" where it has no value
_WRITTEN_NULL: Final = "\0null"  # of no string; kustomize has "null" or "~" here, and no item finds it by that
_PLAIN: _Row = ("",)  # the "keys" of a list of plain values: an item is its own key


def merge_lists(dest: list[Any], origin: Any, keys: _Row, merge_item: MergeItem) -> list[Any]:
    """The merged list. ``dest`` may be changed; it may be the same list as ``origin``, which may be ABSENT.

    Raises BuildFailed where an item is no mapping although the list has merge keys.
    """
    sources = [dest] if origin is ABSENT or origin is dest else [origin, dest]
    if len(keys) == 1:
        indexes = [index for source in sources if (index := _index(source, keys[0])) is not None]
        if len(indexes) == len(sources):
            return _merge_indexed(indexes, origin is not ABSENT, keys[0], merge_item)
    rows = _rows(sources, keys)
    return _merge_rows((dest, origin), rows, keys or _PLAIN, merge_item) if rows else dest


def _index(items: list[Any], key: str) -> dict[str, dict[str, Any]] | None:
    """Items by key; None where one has no key or two have the same: then the long way is needed."""
    index: dict[str, dict[str, Any]] = {}
    for item in items:
        name = text_of(item.get(key)) if isinstance(item, dict) else ""
        if not name or name in index:
            return None
        index[name] = item
    return index


def _merge_indexed(
    indexes: list[dict[str, dict[str, Any]]], patched: bool, key: str, merge_item: MergeItem
) -> list[Any]:
    """The plain case, in linear time: one merge key, which each item has. The target's index comes last."""
    dest = indexes[-1]
    origin = indexes[0] if patched else {}
    merged = []
    for name in dict.fromkeys(name for index in indexes for name in index):
        old = dest.get(name, ABSENT)
        item = merge_item(old, origin.get(name, ABSENT), f"{key}={name}")
        if item is ABSENT:
            continue
        # The target's items are put over what was merged. They are the merged ones, because merging happens in
        # place; only an item that `$patch: replace` replaced is not, and comes back.
        merged.append(item if old is ABSENT else old)
    return merged


def _rows(sources: Sequence[list[Any]], keys: _Row) -> list[_Row]:
    """The merge keys of each item, or its value in a list of plain values, each once."""
    if not keys:
        return list(dict.fromkeys((text_of(item),) for source in sources for item in source))
    return list(
        dict.fromkeys(
            tuple(text_of(item.get(key)) if isinstance(item, dict) else "" for key in keys)
            for source in sources
            for item in source
        )
    )


def _merge_rows(lists: tuple[list[Any], Any], rows: list[_Row], keys: _Row, merge_item: MergeItem) -> list[Any]:
    dest, origin = lists
    if len(keys) > 1:
        rows = _unified(rows)
    counting = tuple(index for index in range(len(keys)) if any(row[index] for row in rows))
    counting = counting or tuple(range(len(keys)))
    valid_keys = tuple(keys[index] for index in counting)
    merged: list[Any] = []
    for row in rows:
        values = tuple(row[index] for index in counting)
        old = _find(dest, valid_keys, values)
        new = ABSENT if origin is ABSENT else _find(origin, valid_keys, values)
        name = ",".join(f"{key}={value}" if key else value for key, value in zip(valid_keys, values, strict=True))
        item = merge_item(old, new, name)
        if item is ABSENT:
            place(dest, ABSENT, valid_keys, values)
            continue
        if isinstance(item, dict):
            for key, value in zip(valid_keys, values, strict=True):
                if value:
                    item.setdefault(key, value)
        place(merged, item, valid_keys, values)
    _append(merged, dest, valid_keys)
    return merged


def _unified(rows: list[_Row]) -> list[_Row]:
    """Rows that differ only where one of them has no value become the same."""
    rows = list(rows)
    for i in range(len(rows)):
        first = rows[i]
        for j in range(len(rows)):
            both = _both(first, rows[j])
            if both is not None:
                rows[i] = rows[j] = both
    return rows


def _both(first: _Row, second: _Row) -> _Row | None:
    common, both = False, []
    for one, other in zip(first, second, strict=True):
        common = common or one == other
        if one != other and one and other:
            return None
        both.append(one or other)
    return tuple(both) if common else None


def _find(items: list[Any], keys: _Row, values: _Row) -> Any:
    """The first item with these keys, those without a value left out unless none has one."""
    if keys[0] == "":
        return next((item for item in items if text_of(item) == values[0]), ABSENT)
    wanted = [(key, value) for key, value in zip(keys, values, strict=True) if value]
    wanted = wanted or list(zip(keys, values, strict=True))
    for item in items:
        if isinstance(item, dict) and all(key in item and _text_at(item, key) == value for key, value in wanted):
            return item
    return ABSENT


def _text_at(item: dict[str, Any], key: str) -> str:
    """The text of a key's value. That of a null is "" only where nothing was written."""
    value = item.get(key)
    if value is None and key in item and not (type(item) is PartlyEmpty and key in item.empty):
        return _WRITTEN_NULL
    return text_of(value)


def place(items: list[Any], element: Any, keys: _Row, values: Sequence[str]) -> None:
    """Replace the items that match by ``element``, or append it; ABSENT removes them. Nulls and ``{}`` go as well."""
    kept: list[Any] = []
    found = False
    wants_mapping = bool(keys[0] and values and values[0])
    for item in items:
        if item is None or item == {}:
            continue
        if wants_mapping and not isinstance(item, dict):
            kept.append(item)
        elif not _matches(item, keys, values):
            if values:
                kept.append(item)
        else:
            found = True
            if element is not ABSENT:
                kept.append(element)
    items[:] = kept
    if element is not ABSENT and element is not None and not found:
        items.append(element)


def _matches(item: Any, keys: _Row, values: Sequence[str]) -> bool:
    matched = False
    for position, key in enumerate(keys):
        if position < len(values):  # kustomize asks on with the last answer where it has more keys than values
            wanted = values[position]
            if isinstance(item, list) or isinstance(item, dict) != bool(key):
                raise _wrong_item(key)
            found = text_of(item) if not key else _text_at(item, key)
            matched = found == wanted if not key else key in item and wanted in ("", found)
        if not matched:
            return False
    return matched


def _append(merged: list[Any], items: list[Any], keys: _Row) -> None:
    """Put the target's items over the merged ones, each at its place or at the end."""
    for item in items:
        if not keys[0]:
            place(merged, item, _PLAIN, (text_of(item),))
            continue
        if item is not None and not isinstance(item, dict):
            raise _wrong_item(keys[0])
        values = []
        for key in keys:
            if item is None or key not in item:
                merged.append(item)
            else:
                values.append(_text_at(item, key))
        if len(keys) > 1:
            place(merged, ABSENT, keys, values)
        place(merged, item, keys, values)


def _wrong_item(key: str) -> BuildFailed:
    problem = f"an item is not a mapping with {key}" if key else "an item is not a plain value"
    return BuildFailed(f"a list that patches merge is malformed: {problem}: wrong node kind")
