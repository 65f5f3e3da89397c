"""Mappings in braces with values that were left out: ``{a: , b}``.

Such a value is null to a patch, which lets it vanish; but go-yaml has no way to write nothing between braces, writes
``''``, and reads that back as an empty text. So that is what is printed.
"""

from typing import Any

from penstock.core.kustomize.written import PartlyEmpty


class _InBraces(frozenset[str]):
    """The keys of the values that were left out, where the mapping stands in braces."""

    __slots__ = ()


def partly_empty(mapping: dict[str, Any], empty: list[str], *, braces: bool) -> PartlyEmpty:
    """A mapping some of whose values were left out: those of ``empty``."""
    return PartlyEmpty(mapping, _InBraces(empty) if braces else frozenset(empty))


def printed_empty(mapping: dict[str, Any]) -> frozenset[str]:
    """The keys whose nulls are printed as empty texts."""
    if type(mapping) is PartlyEmpty and type(mapping.empty) is _InBraces:
        return mapping.empty
    return _NONE


_NONE: frozenset[str] = frozenset()
