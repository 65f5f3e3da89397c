"""What several transformers share: a scalar at the end of a field's path."""

from typing import Any

from penstock.core.kustomize.fieldspec import Misfit, Setter
from penstock.core.kustomize.written import Bare, Quoted, is_quoted, read

BLANK = Bare("")
"""A scalar that was just created: it stood in no quotes."""


def in_place_of(old: Any, text: str) -> Any:
    """``text`` where ``old`` was: text in its quotes, without them what it reads as (``5`` is a number)."""
    return Quoted(text) if is_quoted(old) else read(text)


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
