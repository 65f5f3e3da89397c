"""The ValueAddTransformer: one value put into a field, or into a path that a field holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fields import Where
from penstock.core.kustomize.fieldspec import Misfit, Setter, split_path
from penstock.core.kustomize.filters.namespace import NamespaceSetting, set_namespace
from penstock.core.kustomize.filters.patches import select
from penstock.core.kustomize.filters.values import BLANK, in_place_of, require_scalar
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Resource, text
from penstock.core.kustomize.selectors import Selector, parse_selector
from penstock.core.resources import Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueTarget:
    """Where the value goes. ``position``: its place (from 1) in a ``/``-separated path; 0 replaces all of it."""

    selector: Selector | None
    path: str
    position: int

    @classmethod
    def of(cls, entry: Mapping[str, Any], where: Where) -> "ValueTarget":
        """From an entry of ``targets``. Raises InvalidDocument."""
        path, position = entry.get("fieldPath", ""), entry.get("filePathPosition", 0)
        if not path:
            raise where.error("fieldPath cannot be empty", "fieldPath")
        if position < 0:
            problem = f"value of filePathPosition ({position}) cannot be negative"
            raise where.error(problem, "filePathPosition")
        selector = parse_selector(entry["selector"], str(where.below("selector"))) if "selector" in entry else None
        return cls(selector=selector, path=path, position=position)


def add_value(resources: ResMap, value: str, target: ValueTarget) -> None:
    """Put the value into each selected object, creating the field where it is missing."""
    chosen = range(len(resources)) if target.selector is None else select(resources, target.selector)

    def setter(old: Any) -> Any:
        require_scalar(old)
        return in_place_of(old, insert_part(text(old), target.position - 1, value) if target.position > 0 else value)

    for index in list(chosen):
        resource = resources[index]
        if target.path == "metadata/namespace":
            alone = ResMap([resource])
            set_namespace(alone, NamespaceSetting(namespace=value, specs=()))
            changed: Resource = resource.with_manifest(alone[0].manifest)
        else:
            changed = resource.with_manifest(_set(resource.manifest, target.path, setter, resource))
        resources.set(index, changed)


def _set(manifest: Manifest, path: str, setter: Setter, resource: Resource) -> Manifest:
    """The manifest with a field set; mappings on the way are created. Raises BuildFailed where a list stands there."""

    def walk(node: Any, parts: tuple[str, ...]) -> Any:
        if not parts:
            return setter(BLANK if node is None else node)
        if node is not None and not isinstance(node, dict):
            raise Misfit(f"expected a mapping before '{parts[0]}'")
        return {**(node or {}), parts[0]: walk((node or {}).get(parts[0]), parts[1:])}

    try:
        changed: Manifest = walk(manifest, split_path(path))
    except Misfit as misfit:
        raise BuildFailed(f"considering field '{path}' of object {resource.id}: {misfit}") from misfit
    return changed


def insert_part(path: str, position: int, part: str) -> str:
    """A path with ``part`` at ``position`` (beyond its end: at its end); an absolute path stays absolute."""
    absolute = path.startswith("/")
    parts = [piece for piece in path.split("/") if piece]
    parts.insert(min(position, len(parts)), part)
    return ("/" if absolute else "") + "/".join(parts)
