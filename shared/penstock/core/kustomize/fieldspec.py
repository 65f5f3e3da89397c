r"""Field specifications: which field of which kinds a transformer works on, and how to change it.

A path is ``/``-separated (``\/`` is a slash within a name). A list on the way is entered item by item; ``name[]``
says that the field is one, and then it is never created.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.resource import Resource
from penstock.core.resources import Gvk, Manifest

Setter = Callable[[Any], Any]
"""From the old value of a field to the new one; the same object where nothing changes."""

_ODD = frozenset("*-+[0123456789")
"""How a part of a path begins that may ask for an item of a list."""
_INDEX = re.compile(r"-|[-+]?[0-9]+")

CREATION_FIRST = (
    "Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount",
    "PodSecurityPolicy", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret",
    "Endpoints", "Service", "LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim",
    "Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget",
)  # fmt: skip
CREATION_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANKS = {kind: index - len(CREATION_FIRST) for index, kind in enumerate(CREATION_FIRST)} | {
    kind: index + 1 for index, kind in enumerate(CREATION_LAST)
}


def split_path(path: str) -> tuple[str, ...]:
    r"""The segments of a path: one leading slash is dropped, ``\/`` stays within its segment."""
    pieces = path.split("/")
    if len(pieces) > 1 and pieces[0] == "":
        pieces = pieces[1:]
    result = [pieces[0]]
    for piece in pieces[1:]:
        if result[-1].endswith("\\"):
            result[-1] = f"{result[-1][:-1]}/{piece}"
        else:
            result.append(piece)
    return tuple(result)


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldSpec:
    """One field of the kinds that ``group``, ``version`` and ``kind`` select ("" selects all).

    ``create``: make the field, and mappings on the way to it, where it is missing.
    """

    group: str = ""
    version: str = ""
    kind: str = ""
    path: str
    create: bool = False
    parts: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", split_path(self.path))

    @property
    def gvk(self) -> Gvk:
        """What it selects."""
        return Gvk(group=self.group, version=self.version, kind=self.kind)

    def covers(self, other: "FieldSpec") -> bool:
        """Whether ``other``, added to a list that holds this one, would say nothing new."""
        return (
            self.path == other.path
            and other.kind in ("", self.kind)
            and other.group in ("", self.group)
            and other.version in ("", self.version)
        )

    def selects(self, group: str, version: str, kind: str) -> bool:
        """Whether objects of this kind have the field."""
        return self.kind in ("", kind) and self.group in ("", group) and self.version in ("", version)


FieldSpecs = tuple[FieldSpec, ...]


def rank(gvk: Gvk | FieldSpec) -> tuple[int, str]:
    """The place of a kind among others in configurations: by the order of creation, then by name."""
    return (
        _RANKS.get(gvk.kind, 0),
        f"{gvk.group or '~G'}_{gvk.version or '~V'}_{gvk.kind or '~K'}",
    )


def merge_specs(base: FieldSpecs, more: Iterable[FieldSpec]) -> FieldSpecs:
    """``base`` and what ``more`` adds to it. Raises BuildFailed where they differ in ``create``."""
    by_path: dict[str, list[FieldSpec]] = {}
    for spec in base:
        by_path.setdefault(spec.path, []).append(spec)
    result = list(base)
    for spec in more:
        known = by_path.setdefault(spec.path, [])
        found = next((old for old in known if old.covers(spec)), None)
        if found is None:
            known.append(spec)
            result.append(spec)
        elif found.create != spec.create:
            raise BuildFailed(
                f"conflicting fieldspecs: {spec.path} of {spec.kind or 'every kind'} is given with create: "
                f"{str(found.create).lower()} and create: {str(spec.create).lower()}; make them agree"
            )
    return tuple(result)


class SpecIndex:
    """Field specifications by the kinds that they select, so that each kind is matched once."""

    __slots__ = ("_known", "_specs")

    def __init__(self, specs: FieldSpecs) -> None:
        self._specs = specs
        self._known: dict[tuple[str, str, str], FieldSpecs] = {}

    def of(self, group: str, version: str, kind: str) -> FieldSpecs:
        """Those that select this kind, in their order."""
        key = (group, version, kind)
        found = self._known.get(key)
        if found is None:
            found = tuple(spec for spec in self._specs if spec.selects(group, version, kind))
            self._known[key] = found
        return found


def update(resource: Resource, specs: Iterable[FieldSpec], setter: Setter, create: Any = None) -> Manifest:
    """The manifest with each field set. ``create``: what a created field is before ``setter`` sees it.

    ``create`` None creates nothing; "" is an empty scalar, ``{}`` an empty mapping. Unchanged subtrees are shared.
    Raises BuildFailed that names the field and the object.
    """
    manifest = resource.manifest
    for spec in specs:
        if not spec.create and _is_absent(manifest, spec.parts):
            continue
        try:
            manifest = _walk(manifest, spec.parts, setter, create if spec.create else None)
        except Misfit as misfit:
            raise BuildFailed(f"considering field '{spec.path}' of object {resource.id}: {misfit}") from misfit
    return manifest


class Misfit(Exception):
    """A value is not of the kind that a setter can set; ``update`` adds the names of field and object."""


def _is_absent(node: Any, parts: tuple[str, ...]) -> bool:
    """Whether a field is certainly missing: most are, and this is faster than to walk there."""
    for part in parts:
        if not isinstance(node, dict):
            return False
        if part not in node:
            return bool(part) and not part.endswith("[]") and part[0] not in _ODD
        node = node[part]
    return False


def _walk(node: Any, parts: tuple[str, ...], setter: Setter, create: Any) -> Any:
    if not parts:
        return setter(node)
    if node is None:
        return None
    if isinstance(node, dict):
        return _walk_mapping(node, parts, setter, create)
    if isinstance(node, list):
        items, changed = [], False
        for item in node:
            new = _walk(item, parts, setter, create)
            changed = changed or new is not item
            items.append(new)
        return items if changed else node
    raise Misfit(f"expected sequence or mapping node before '{parts[0]}': this is neither")


def _check_name(name: str) -> None:
    """Raises Misfit for what kustomize takes for an index or a wildcard: here a name is wanted."""
    if name == "*":
        raise Misfit("wildcard is not supported: name the field")
    if _INDEX.fullmatch(name) or (name.startswith("[") and name.endswith("]")):
        raise Misfit(f"wrong Node Kind: '{name}' asks for an item of a list, and this is no list")


def _walk_mapping(node: dict[str, Any], parts: tuple[str, ...], setter: Setter, create: Any) -> Any:
    name, rest = parts[0], parts[1:]
    is_list = name.endswith("[]")
    if is_list:
        name = name[:-2]
    if not name:
        raise Misfit("cannot set or create an empty field name")
    if name[0] in _ODD:
        _check_name(name)
    if name in node:
        old = node[name]
        if old is None:
            old = [] if is_list else old if create is None else create if not rest else {}
    elif create is None or is_list:
        return node
    else:
        old = create if not rest else {}
    new = _walk(old, rest, setter, create)
    if name in node and new is node[name]:
        return node
    changed = node.copy()  # which keeps the traits of a PartlyEmpty
    changed[name] = new
    return changed
