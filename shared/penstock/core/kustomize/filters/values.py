"""Setters that several transformers share: a scalar, or entries of a mapping, at the end of a field's path."""

from collections.abc import Mapping
from typing import Any

from penstock.core.kustomize.fieldspec import Misfit, Setter


def set_scalar(value: str | int) -> Setter:
    """Set the field to ``value``; a mapping or list there is an error."""

    def setter(old: Any) -> Any:
        require_scalar(old)
        return old if type(old) is type(value) and old == value else value

    return setter


def require_scalar(value: Any) -> None:
    """Raise where a field that must be a scalar is a mapping or a list."""
    if isinstance(value, dict | list):
        found = "MappingNode" if isinstance(value, dict) else "SequenceNode"
        raise Misfit(f"wrong node kind: expected ScalarNode but was {found}")


def set_entries(entries: Mapping[str, str]) -> Setter:
    """Set each entry in the field, which must be a mapping."""

    def setter(old: Any) -> Any:
        if old is None:
            return dict(entries)
        if not isinstance(old, dict):
            found = "SequenceNode" if isinstance(old, list) else "ScalarNode"
            raise Misfit(f"wrong node kind: expected MappingNode but was {found}")
        if all(old.get(key) == value for key, value in entries.items()):
            return old
        changed = old.copy()  # which keeps the traits of a PartlyEmpty
        changed.update(entries)
        return changed

    return setter
