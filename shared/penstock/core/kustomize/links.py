"""Labels and annotations that were set together change together, as they do in kustomize.

kustomize's label transformer puts one and the same YAML node into every field that it creates in an object
(``metadata.labels``, a selector, a template). Whatever later changes one of them in place, a patch, a replacement or
another label transformer, changes them all. Users' output depends on it, so it is kept: the fields hold one ``Linked``
object, and its identity is the link.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.kustomize.fieldspec import Misfit, Setter
from penstock.core.resources import Manifest

_Path = tuple[str | int, ...]


class Linked(str):
    """A text that stands in several fields of one object."""

    __slots__ = ()


class Entries:
    """Entries being set in the fields of one object: new fields share their value, old ones pass theirs on."""

    __slots__ = ("_entries", "_made", "_passed")

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = entries
        self._made: dict[str, Linked] = {}
        self._passed: dict[int, tuple[Linked, Linked]] = {}

    @property
    def setter(self) -> Setter:
        """Set the entries in a field, which must be a mapping."""
        return self._set

    def _set(self, old: Any) -> Any:
        if old is not None and not isinstance(old, dict):
            found = "SequenceNode" if isinstance(old, list) else "ScalarNode"
            raise Misfit(f"wrong node kind: expected MappingNode but was {found}")
        present = old or {}
        changed: dict[str, str] = {}
        for key, value in self._entries.items():
            if key not in present:
                changed[key] = self._made.setdefault(key, Linked(value))
            elif type(present[key]) is Linked:
                if present[key] != value:
                    changed[key] = self._passed_on(present[key], value)
            elif not isinstance(present[key], str) or present[key] != value:
                changed[key] = value
        if not changed:
            return old
        result = present.copy()  # which keeps the traits of a PartlyEmpty
        result.update(changed)
        return result

    def _passed_on(self, old: Linked, value: str) -> Linked:
        return self._passed.setdefault(id(old), (old, Linked(value)))[1]

    def finish(self, manifest: Manifest) -> Manifest:
        """The manifest with each value that was changed in one field changed in the fields linked to it."""
        if not self._passed:
            return manifest
        result: Manifest = _replaced(manifest, {key: new for key, (_, new) in self._passed.items()})
        return result


def _replaced(value: Any, by_id: Mapping[int, Any]) -> Any:
    if isinstance(value, dict):
        items = {key: _replaced(item, by_id) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, list):
        elements = [_replaced(item, by_id) for item in value]
        return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value
    return by_id.get(id(value), value) if type(value) is Linked else value


def unlinked(value: Any) -> Any:
    """A copy without links."""
    if isinstance(value, dict):
        return {key: unlinked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unlinked(item) for item in value]
    return str(value) if type(value) is Linked else value


def follow(before: Manifest, after: Manifest) -> Manifest:
    """``after``, with each change to one of several linked fields of ``before`` made in all of them."""
    if after is before:
        return after
    groups: dict[int, list[_Path]] = {}
    for path, linked in _links(before, ()):
        groups.setdefault(id(linked), []).append(path)
    for paths in groups.values():
        if len(paths) < 2:
            continue
        old = _at(before, paths[0])
        found = [(path, _at(after, path)) for path in paths]
        changed = [value for _, value in found if value is not old and isinstance(value, str) and value != old]
        if changed:
            shared = Linked(changed[-1])
            for path, value in found:
                if value is not None:
                    after = _with(after, path, shared)
    return after


def _links(value: Any, path: _Path) -> Iterator[tuple[_Path, Linked]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _links(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _links(item, (*path, index))
    elif type(value) is Linked:
        yield path, value


def _at(value: Any, path: _Path) -> Any:
    for key in path:
        if isinstance(key, str) and isinstance(value, dict):
            value = value.get(key)
        elif isinstance(key, int) and isinstance(value, list) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _with(value: Any, path: _Path, new: Any) -> Any:
    key: Any = path[0]
    below = _with(value[key], path[1:], new) if path[1:] else new
    if isinstance(value, dict):
        return {**value, key: below}
    return [below if index == key else item for index, item in enumerate(value)]
