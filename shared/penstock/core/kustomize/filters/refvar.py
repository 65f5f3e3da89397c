"""``vars``: $(NAME) in certain fields becomes the value of a field of some object (api/filters/refvar).

``$$`` is a dollar sign: ``$$(NAME)`` is left as ``$(NAME)``, for the container to expand. A field that holds nothing
but one reference takes the kind of the value (number, boolean); within a longer text the value is text.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpec, Misfit, SpecIndex, update
from penstock.core.kustomize.growth import check_length
from penstock.core.kustomize.paths import look_up, split_path
from penstock.core.kustomize.resource import Resource
from penstock.core.kustomize.scalars import number_text
from penstock.core.kustomize.written import PartlyEmpty, WrittenInt, text_of

_SLICE = re.compile(r"(.*)\[([0-9]+)\]\Z", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)

_DECIMAL = re.compile(r"[+-]?[0-9]+\Z")
_ABSENT = object()

Value = str | int | float | bool


def expand_vars(
    resources: Sequence[Resource], variables: Iterable[Mapping[str, Any]], var_refs: Sequence[FieldSpec]
) -> list[Resource]:
    """The resources with each reference in the fields ``var_refs`` replaced.

    ``variables``: mappings with ``name`` and ``fieldref.fieldPath``; the object that one reads is the resource whose
    ``var_names`` has its name. References to other names stay. Raises BuildFailed for a variable without a value.
    """
    values = {str(variable["name"]): _value(variable, resources) for variable in variables}
    if not values:
        return list(resources)
    usable = {name: value for name, value in values.items() if not isinstance(value, dict | list)}
    index = SpecIndex(tuple(var_refs))

    def setter(old: Any) -> Any:
        return _expanded(old, usable)

    return [
        resource.with_manifest(
            update(resource, index.of(resource.id.group, resource.id.version, resource.id.kind), setter)
        )
        for resource in resources
    ]


def _value(variable: Mapping[str, Any], resources: Iterable[Resource]) -> Any:
    name = variable["name"]
    path = (variable.get("fieldref") or {}).get("fieldPath") or "metadata.name"
    resource = next((one for one in resources if name in one.var_names), None)
    if resource is None:
        raise BuildFailed(f"var '{name}' cannot be mapped to a field in the set of known resources: correct its objref")
    try:
        found = look_up(resource.manifest, tuple(_with_indexes(split_path(path))), _ABSENT)
    except BuildFailed as error:
        raise BuildFailed(_missing(name, path, resource)) from error
    if found is _ABSENT:
        raise BuildFailed(_missing(name, path, resource))
    if found is None:
        return _null_text(resource.manifest, path)
    if type(found) is WrittenInt:  # kustomize reads its digits as decimal ones, and no other notation
        if not _DECIMAL.match(found.text):
            raise BuildFailed(f"{_missing(name, path, resource)} in decimal notation")
        return int(found.text)
    return found


def _null_text(manifest: dict[str, Any], path: str) -> str:
    """What stands where a null is: nothing, where it was not written out."""
    *above, name = _with_indexes(split_path(path))
    parent = look_up(manifest, tuple(above))
    return "" if type(parent) is PartlyEmpty and name in parent.empty else "null"


def _missing(name: str, path: str, resource: Resource) -> str:
    return f"field specified in var '{name}' not found in corresponding resource: {resource.id} has no {path}"


def _with_indexes(segments: Iterable[str]) -> Iterable[str]:
    """``ports[0]`` as ``ports`` and ``0``."""
    for segment in segments:
        found = _SLICE.match(segment)
        if found is None:
            yield segment
            continue
        yield from filter(None, found.groups())


def _expanded(old: Any, values: Mapping[str, Value]) -> Any:
    """A field's new value: a text, a mapping's texts, or the texts of a list."""
    if isinstance(old, str):
        return expand(old, values)
    if isinstance(old, dict):
        return _mapped(old, lambda item: expand(item, values) if isinstance(item, str) else item)
    if isinstance(old, list):
        if not all(isinstance(item, str) for item in old):
            raise Misfit("invalid value type expect a string: each item of this list must be a text")
        items = [expand(item, values) for item in old]
        return old if all(new is item for new, item in zip(items, old, strict=True)) else items
    return old


def _mapped(old: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    items = {key: change(item) for key, item in old.items()}
    return old if all(items[key] is item for key, item in old.items()) else items


def expand(text: str, values: Mapping[str, Value]) -> Value:
    """``text`` with its references replaced; the value itself where ``text`` is one reference and nothing else."""
    if "$" not in text:
        return text
    whole = _REFERENCE.fullmatch(text)
    if whole is not None and not whole[1]:
        return values.get(whole[2], text)

    length = len(text)

    def replacement(found: re.Match[str]) -> str:
        nonlocal length
        name = found[2]
        if found[1]:
            return "$"
        printed = _printed(values[name]) if name in values else found[0]
        length += len(printed) - len(found[0])
        check_length(length)
        return printed

    return _REFERENCE.sub(replacement, text)


def _printed(value: Value) -> str:
    if isinstance(value, float) and not isinstance(value, bool):
        return number_text(value)
    return text_of(value)
