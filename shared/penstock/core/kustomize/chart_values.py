"""The values of a chart: a file and ``valuesInline`` in one document, as kustomize merges and writes them.

``override``: the inline values win. ``merge``: the file's win. ``replace``: there are only the inline ones.
"""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.merge import strategic_merge
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.yaml_in import load_documents
from penstock.core.kustomize.yaml_out import dump_one

_EXACT = 2**53


def merged_values(file: bytes | Mapping[str, Any], inline: Mapping[str, Any], merge: str, path: str) -> bytes:
    """The document for Helm. ``path``: of the file, for messages. Raises BuildFailed, without any of the values."""
    given = _as_json(dict(inline))
    if merge == "replace":
        return dump_one(given).encode()
    values = _document(file, path)
    target, patch = (values, given) if merge == "override" else (given, values)
    try:
        merged = strategic_merge(target, patch, Schema.builtin())
    except BuildFailed as error:
        raise BuildFailed(f"{path}: cannot be merged with valuesInline: {error}") from error
    return dump_one(merged or {}).encode()


def _document(file: bytes | Mapping[str, Any], path: str) -> dict[str, Any]:
    documents = load_documents(file, path) if isinstance(file, bytes) else [dict(file)]
    if not documents:
        raise BuildFailed(f"{path}: could not parse the values file: it is empty; write {{}}, or use valuesMerge: replace")
    if not isinstance(documents[0], dict):
        raise BuildFailed(f"{path}: a values file should be a mapping")
    return documents[0]


def _as_json(value: Any) -> Any:
    """A value as Go has it after JSON: numbers are floats of 64 bits."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return float(value)
    return value
