"""The values of a chart: a file and ``valuesInline`` in one document, as kustomize merges and writes them.

``override``: the inline values win. ``merge``: the file's win. ``replace``: there are only the inline ones.
"""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.merge import strategic_merge
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.yaml_in import MalformedYaml, load_unaliased
from penstock.core.kustomize.yaml_out import dump_one

_EXACT = 2**53


def merged_values(file: bytes, inline: Mapping[str, Any], merge: str, path: str) -> bytes:
    """The document for Helm. ``path``: of the file, for messages. Raises BuildFailed, without any of the values."""
    given = _as_json(dict(inline))
    if merge == "replace":
        return dump_one(given).encode()
    values, gone = _read(file, path)
    if values is None:  # a null wins over everything where the file does
        return dump_one(given if merge == "override" else {}).encode()
    for field in gone:
        _take_alias(given, field, path, merge)
    target, patch = (values, given) if merge == "override" else (given, values)
    try:
        merged = strategic_merge(target, patch, Schema.builtin())
    except BuildFailed as error:
        raise BuildFailed(f"{path}: cannot be merged with valuesInline: {error}") from error
    return dump_one(merged or {}).encode()


def _read(file: bytes, path: str) -> tuple[dict[str, Any] | None, list[tuple[str, ...]]]:
    remedy = "write a mapping ({} is an empty one), or valuesMerge: replace"
    try:
        values, gone = load_unaliased(file, path)
    except MalformedYaml as error:
        raise BuildFailed(f"{error}; to merge valuesInline with it, {remedy}") from error
    if values is not None and not isinstance(values, dict):
        raise BuildFailed(f"{path}: cannot be merged with valuesInline, since it is no mapping: {remedy}")
    return values, gone


def _take_alias(inline: dict[str, Any], field: tuple[str, ...], path: str, merge: str) -> None:
    """A field of the file is an alias: kustomize drops it from both sides, or fails where it is to win."""
    holder: Any = inline
    for name in field[:-1]:
        holder = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or field[-1] not in holder:
        return
    if merge == "merge" and holder[field[-1]] is not None:
        raise BuildFailed(
            f"{path}: {'.'.join(field)} is an alias, which cannot be merged into valuesInline: write its value out"
        )
    del holder[field[-1]]


def _as_json(value: Any) -> Any:
    """A value as Go has it after JSON: numbers are floats of 64 bits. Nobody else holds its mappings."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return float(value)
    return value
