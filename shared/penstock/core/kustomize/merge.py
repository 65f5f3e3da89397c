"""Strategic merge as kustomize does it (kyaml/yaml/merge2 and walk), which is not quite as Kubernetes does it.

- Mappings are merged field by field; a null in the patch removes the field; ``$patch: delete | replace | merge`` in a
  mapping, or as the only field of a list's item, says what to do with the whole.
- Lists are merged where the schema has the strategy ``merge``, by its merge keys (see ``associative``); any other
  list is replaced.
- ``$retainKeys``, ``$setElementOrder/…`` and ``$deleteFromPrimitiveList/…`` mean nothing to kustomize: they stay in
  the result as ordinary fields, and an API server refuses them.

kustomize changes nodes in place, and where one node stands in both arguments that shows in the result. So this works
in place too, on containers that were copied right before: neither argument changes.
"""

from typing import Any, Final

from penstock.core.errors import BuildFailed
from penstock.core.kustomize import associative
from penstock.core.kustomize.associative import ABSENT
from penstock.core.kustomize.openapi import Node, Schema
from penstock.core.kustomize.written import PartlyEmpty, PlainText, restyled, text_of
from penstock.core.resources import Manifest

DIRECTIVE: Final = "$patch"
_DIRECTIVES: Final = ("merge", "delete", "replace")


class _Mark:
    """Says something about a field that no value can say."""

    __slots__ = ()


_KEPT: Final = _Mark()  # a null that stays
_EMPTY: Final = _Mark()  # a null that was not written out, and vanishes


def strategic_merge(target: Manifest, patch: Manifest, schema: Schema) -> Manifest | None:
    """``target`` with ``patch`` merged in; None where the patch deletes it.

    Neither argument is changed; subtrees that the patch does not reach may be shared with the result.
    Raises BuildFailed where the two disagree on what is a mapping, a list or a scalar, and for an unknown
    ``$patch``; the message names the field.
    """
    merged = _Walker(schema).walk(target.copy(), _copied(patch), None, "")
    return merged if isinstance(merged, dict) and merged else None


def _copied(value: Any) -> Any:
    """A value whose mappings and lists nobody else holds."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


class _Walker:
    """Walks target and patch side by side. ``walk`` gives the merged value, or a mark, or None to clear the field."""

    __slots__ = ("_blank", "_schema")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._blank = Node({}, schema)

    def walk(self, dest: Any, origin: Any, node: Node | None, path: str) -> Any:
        """The value of one field: ``dest`` is the target's, ``origin`` the patch's, ABSENT where there is none."""
        present = origin if dest is ABSENT or dest is None or dest is _EMPTY else dest
        if present is ABSENT or present is None:
            return _KEPT if dest is None and origin is ABSENT else origin
        _check_kinds(present, origin, path)
        if isinstance(present, dict):
            return self._mapping(dest, origin, node or self._kind_of(dest, origin), path)
        if isinstance(present, list) and node is not None and node.merges:
            return self._list(dest, origin, node, path)
        return dest if origin is ABSENT else origin

    def _kind_of(self, dest: Any, origin: Any) -> Node | None:
        """The schema of an object that says what it is, wherever it stands."""
        for value in (dest, origin):
            if isinstance(value, dict) and "kind" in value and "apiVersion" in value:
                found = self._schema.for_type(text_of(value["apiVersion"]), text_of(value["kind"]))
                if found is not None:
                    return found
        return None

    def _mapping(self, dest: Any, origin: Any, node: Node | None, path: str) -> Any:
        if origin is ABSENT and (node is None or node is self._blank) and not _vanishing(dest):
            return dest
        if not isinstance(dest, dict):
            if _take_directive(origin, path, strict=False) == "delete":
                return ABSENT
            dest = origin
        elif origin is None:
            return ABSENT
        elif origin is not ABSENT:
            directive = _take_directive(origin, path, strict=True)
            if directive == "delete":
                return ABSENT
            if directive == "replace":
                dest = origin
        self._fields(dest, origin, node, path)
        return dest

    def _fields(self, dest: dict[str, Any], origin: Any, node: Node | None, path: str) -> None:
        empty = dest.empty if type(dest) is PartlyEmpty else ()
        others: dict[str, Any] = {} if origin is ABSENT or origin is dest else origin
        for key in (*dest, *(key for key in others if key not in dest)):
            below = None if node is None else node.field(key) or self._blank
            old = _owned(dest, key, below)
            if key in empty and _is_unwritten(old):
                old = _EMPTY
            new = old if origin is dest else others.get(key, ABSENT)
            if new is ABSENT and not isinstance(old, dict | list) and old is not None and old is not _EMPTY:
                continue
            _set(dest, key, self.walk(old, new, below, f"{path}.{key}" if path else key))

    def _list(self, dest: Any, origin: Any, node: Node, path: str) -> Any:
        if not isinstance(dest, list):
            dest = origin
        elif origin is None:
            return ABSENT
        elif origin is not ABSENT:
            directive = _take_list_directive(origin, path)
            if directive == "delete":
                return ABSENT
            if directive == "replace":
                dest = origin
        below = node.items() or self._blank

        def merge_item(old: Any, new: Any, name: str) -> Any:
            merged = self.walk(old, new, below, f"{path}[{name}]")
            return ABSENT if merged is None or merged is _KEPT or merged == {} else merged

        return associative.merge_lists(dest, origin, node.merge_keys, merge_item)


def _check_kinds(present: Any, origin: Any, path: str) -> None:
    if origin is not ABSENT and origin is not None and _kind(origin) != _kind(present):
        raise BuildFailed(
            f"{path or 'the object'}: the patch has {_kind(origin)} where the target has {_kind(present)}: "
            f"wrong node kind: give {_kind(present)}, or null to remove the field"
        )


def _kind(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a plain value"


def _vanishing(value: Any) -> bool:
    """Whether a mapping holds a null that a walk would drop. Items of lists are not looked at: no walk reaches them."""
    if not isinstance(value, dict):
        return False
    if type(value) is PartlyEmpty and any(_is_unwritten(value.get(key, ABSENT)) for key in value.empty):
        return True
    return any(_vanishing(item) for item in value.values() if isinstance(item, dict))


def _is_unwritten(value: Any) -> bool:
    """Whether a field of which nothing was written is still so: an annotation has become text."""
    return value is None or (type(value) is PlainText and value == "")


def _owned(container: dict[str, Any], key: str, node: Node | None) -> Any:
    """The value of a field; a container that may be changed in place is replaced by a copy first."""
    value = container.get(key, ABSENT)
    if isinstance(value, dict):
        value = container[key] = value.copy()
    elif isinstance(value, list) and node is not None and node.merges:
        value = container[key] = [item.copy() if isinstance(item, dict) else item for item in value]
    return value


def _set(dest: dict[str, Any], key: str, value: Any) -> None:
    """Set a field, or clear it where the value is None or ABSENT. A scalar keeps the quotes of the one before it."""
    if value is None or value is ABSENT:
        dest.pop(key, None)
        return
    if value is _KEPT:
        value = None
    old = dest.get(key, ABSENT)
    if value is old:
        return
    if old is not ABSENT and not isinstance(value, dict | list):
        value = restyled(old, value)
    dest[key] = value


def _take_directive(patch: dict[str, Any], path: str, *, strict: bool) -> str:
    """The ``$patch`` of a mapping, which is removed from it; "merge" where it has none, "" for an unknown one."""
    if DIRECTIVE not in patch:
        return "merge"
    found = text_of(patch[DIRECTIVE])
    if found in _DIRECTIVES:
        del patch[DIRECTIVE]
        return found
    if strict:
        raise _unknown(found, path)
    return ""


def _take_list_directive(patch: list[Any], path: str) -> str:
    """The ``$patch`` that stands alone in an item of a list; such items are removed from it."""
    item = next((item for item in patch if isinstance(item, dict) and DIRECTIVE in item), None)
    if item is None or len(item) > 1:
        return "merge"
    found = text_of(item[DIRECTIVE])
    if found not in _DIRECTIVES:
        raise _unknown(found, path)
    associative.place(patch, ABSENT, (DIRECTIVE,), (found,))
    return found


def _unknown(found: str, path: str) -> BuildFailed:
    return BuildFailed(
        f"{path or 'the object'}: unknown patch strategy {found!r} in $patch: use delete, replace or merge"
    )
