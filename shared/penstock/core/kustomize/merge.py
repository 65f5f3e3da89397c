"""Strategic merge as kustomize does it (kyaml/yaml/merge2 and walk), which is not quite as Kubernetes does it.

- Mappings are merged field by field; a null in the patch removes the field; ``$patch: delete | replace | merge`` in a
  mapping, or in a one-field item of a list, says what to do with the whole.
- Lists are merged where the schema has the strategy ``merge``, by its merge keys; any other list is replaced. Items
  that only the patch has come first, in its order. Merge keys that no item has do not count.
- ``$retainKeys``, ``$setElementOrder/…`` and ``$deleteFromPrimitiveList/…`` mean nothing to kustomize: they stay in
  the result as ordinary fields, and an API server refuses them.

kustomize changes nodes in place, and where one node stands in both arguments that shows in the result. So this works
in place too, on containers that it copied (``_own``) right before: neither argument changes.
"""

from collections.abc import Sequence
from typing import Any, Final

from penstock.core.errors import BuildFailed
from penstock.core.kustomize import associative
from penstock.core.kustomize.openapi import Node, Schema
from penstock.core.kustomize.written import empty_keys, is_quoted, text_of
from penstock.core.resources import Manifest

DIRECTIVE: Final = "$patch"


class _Absent:
    """No node at all, which is not the same as null."""

    __slots__ = ()


class _Kept:
    """A null that stays, although it would be cleared otherwise."""

    __slots__ = ()


ABSENT: Final = _Absent()
_KEPT: Final = _Kept()
_EMPTY: Final = _Absent()


def strategic_merge(target: Manifest, patch: Manifest, schema: Schema) -> Manifest | None:
    """``target`` with ``patch`` merged in; None where the patch deletes it.

    Neither argument is changed; subtrees that the patch does not reach may be shared with the result.
    Raises BuildFailed where the two disagree on what is a mapping, a list or a scalar, and for an unknown
    ``$patch``; the message names the field.
    """
    merged = _Merge(schema=schema).walk(dict(target), _copied(patch), None, ())
    return merged if isinstance(merged, dict) and merged else None
