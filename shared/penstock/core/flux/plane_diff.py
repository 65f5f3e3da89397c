"""What changes between two Plane documents, as lines that people read before they say yes."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.resources import Manifest


def diff_planes(old: Manifest | None, new: Manifest) -> tuple[str, ...]:
    """One line a change: ``+ path: value``, ``- path: value``, ``~ path: old -> new``; empty where nothing changes.

    Clusters are told apart by name (``clusters[production].path``), not by their place in the list.
    """
    before = dict(_flat((old or {}).get("spec") or {}, ""))
    after = dict(_flat(new.get("spec") or {}, ""))
    lines = []
    for path in sorted({*before, *after}):
        if path not in before:
            lines.append(f"+ {path}: {after[path]}")
        elif path not in after:
            lines.append(f"- {path}: {before[path]}")
        elif before[path] != after[path]:
            lines.append(f"~ {path}: {before[path]} -> {after[path]}")
    return tuple(lines)


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name in value:
            yield from _flat(value[name], f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            label = item.get("name", index) if isinstance(item, Mapping) else index
            yield from _flat(item, f"{path}[{label}]")
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
