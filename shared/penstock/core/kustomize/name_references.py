"""References by name follow the objects that were renamed.

Every object that has had another name or namespace is found by its old names; every field that the configuration
calls a name reference is looked at once. kustomize's rules for which of several candidates is meant are kept: same
kind, same namespace, then the one that went through the same prefixes and suffixes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpec, Misfit, update
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import CLUSTER_SCOPE, Resource, text
from penstock.core.kustomize.transformer_config import NameReference
from penstock.core.resources import Gvk, Manifest

_Candidate = tuple[int, Resource]
_Lookup = tuple[str, str | None, list[Resource]]
"""A name and namespace that was looked for, and the objects that it may have meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fixed:
    """What became of a resource, and all that it depends on beside the resource itself."""

    before: Resource
    after: Resource
    lookups: tuple[_Lookup, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Renamed:
    """The renamed objects by old name and present namespace, and which namespaces there are and were."""

    by_name: dict[str, dict[str, list[_Candidate]]] = field(default_factory=dict)
    original_namespaces: dict[str, set[str]] = field(default_factory=dict)
    kinds: set[tuple[str, str, str]] = field(default_factory=set)


def fix_name_references(resources: ResMap, references: tuple[NameReference, ...]) -> None:
    """Write the present names into the fields that hold old ones. Raises BuildFailed for an ambiguous name."""
    _check(resources, references)
    renamed = _index(resources)
    if not renamed.by_name:
        return
    wanted = [reference for reference in references if any(_selects(reference.gvk, kind) for kind in renamed.kinds)]
    fields: dict[tuple[str, str, str], list[tuple[FieldSpec, Gvk]]] = {}

    def change(resource: Resource) -> _Fixed:
        original = resource.original_id[:3]
        if original not in fields:
            fields[original] = [
                (spec, reference.gvk) for reference in wanted for spec in reference.referrers if spec.selects(*original)
            ]
        return _Referrer(resource, renamed).fixed(fields[original])

    def holds(fixed: _Fixed) -> bool:
        return not fixed.lookups or _Referrer(fixed.before, renamed).finds(fixed.lookups)

    step = ("names of others", references, frozenset(renamed.kinds))
    for index, fixed in enumerate(resources.apply(step, change, holds)):
        resources.set(index, fixed.after)


def _check(resources: ResMap, references: tuple[NameReference, ...]) -> None:
    """Kustomize looks at every reference field of every object, whether anything was renamed or not."""
    resources.transform("accounts' namespaces", _account_checked)  # a blank one is an error, whatever was renamed
    trees: dict[tuple[str, str, str], _Paths] = {}

    def checked(resource: Resource) -> Resource:
        kind = resource.original_id[:3]
        if kind not in trees:
            trees[kind] = _Paths.to(spec for one in references for spec in one.referrers if spec.selects(*kind))
        trees[kind].check(resource.manifest, "", resource)
        return resource

    resources.transform(("paths to names of others", references), checked)


def _account_checked(resource: Resource) -> Resource:
    _account_namespaces(resource)
    return resource


class _Paths(dict[str, "_Paths"]):
    """The fields of some kind that hold references, as a tree: so each is looked at once. ``ends``: one ends here."""

    __slots__ = ("ends",)

    def __init__(self) -> None:
        super().__init__()
        self.ends = False

    @classmethod
    def to(cls, specs: Iterable[FieldSpec]) -> "_Paths":
        """The tree of these fields."""
        tree = cls()
        for spec in specs:
            below = tree
            for part in spec.parts:
                below = below.setdefault(part.removesuffix("[]"), _Paths())
            below.ends = True
        return tree

    def check(self, value: Any, path: str, resource: Resource) -> None:
        """Raise BuildFailed where no name can stand: in a mapping without one, behind a plain value."""
        if value is None:
            return
        if self.ends:
            self._check_end(value, path, resource)
        if not self:
            return
        if isinstance(value, list):
            for item in value:
                self.check(item, path, resource)
        elif isinstance(value, dict):
            for name, below in self.items():
                if name in value:
                    below.check(value[name], f"{path}/{name}", resource)
        else:
            raise BuildFailed(
                f"considering field '{path[1:]}' of object {resource.id}: expected sequence or mapping node"
            )

    @staticmethod
    def _check_end(value: Any, path: str, resource: Resource) -> None:
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, list):
                problem = "a name reference is expected to be either a string or a map of string"
            elif isinstance(item, dict) and "name" not in item:
                problem = "path config error; no 'name' field in node"
            else:
                continue
            raise BuildFailed(f"considering field '{path[1:]}' of object {resource.id}: {problem}")


def _index(resources: Iterable[Resource]) -> _Renamed:
    renamed = _Renamed()
    for order, resource in enumerate(resources):
        present = resource.id.effective_namespace
        original = resource.original_id.effective_namespace
        renamed.original_namespaces.setdefault(original, set()).add(present)
        previous = resource.previous_ids
        for name in {old.name for old in previous}:
            renamed.by_name.setdefault(name, {}).setdefault(present, []).append((order, resource))
        renamed.kinds.update(old[:3] for old in previous)
    return renamed


def _selects(gvk: Gvk, kind: tuple[str, str, str]) -> bool:
    return gvk.group in ("", kind[0]) and gvk.version in ("", kind[1]) and gvk.kind in ("", kind[2])


@lru_cache(maxsize=4096)
def _without_kind(path: str) -> FieldSpec:
    """The field of whatever object: the objects that have it were chosen by the kinds they had first."""
    return FieldSpec(path=path)


class _Referrer:
    """One object whose references are followed."""

    __slots__ = ("_lookups", "_namespaces", "_renamed", "_resource")

    def __init__(self, resource: Resource, renamed: _Renamed) -> None:
        self._resource, self._renamed = resource, renamed
        self._lookups: list[_Lookup] = []
        self._namespaces: set[str] | None = None  # None: a cluster-scoped object can refer to anything
        if not resource.id.cluster_scoped:
            self._namespaces = {CLUSTER_SCOPE, resource.id.effective_namespace, *_account_namespaces(resource)}

    def fixed(self, fields: list[tuple[FieldSpec, Gvk]]) -> _Fixed:
        """The resource with each of the fields followed, in order."""
        resource = self._resource
        for spec, target in fields:
            resource = resource.with_manifest(self._followed(resource, spec, target))
        return _Fixed(before=self._resource, after=resource, lookups=tuple(self._lookups))

    def finds(self, lookups: Iterable[_Lookup]) -> bool:
        """Whether each of these lookups finds the very same objects now."""
        for name, namespace, before in lookups:
            now = self._candidates(name, namespace)
            if len(now) != len(before) or any(one is not other for one, other in zip(now, before, strict=True)):
                return False
        return True

    def _followed(self, resource: Resource, spec: FieldSpec, target: Gvk) -> Manifest:
        def setter(old: Any) -> Any:
            if isinstance(old, list):
                items = [self._set(item, spec, target) for item in old]
                return items if any(new is not item for new, item in zip(items, old, strict=True)) else old
            return self._set(old, spec, target)

        return update(resource, (_without_kind(spec.path),), setter)

    def _set(self, old: Any, spec: FieldSpec, target: Gvk) -> Any:
        if old is None:
            return old
        if isinstance(old, dict):
            return self._set_mapping(old, spec, target)
        if isinstance(old, list):
            raise Misfit("a name reference is expected to be either a string or a map of string")
        name = text(old)
        found = self._referral(name, self._looked_up(name, None), (spec, target), with_namespace=False)
        return old if found is None or found.id.name == name else found.id.name

    def _set_mapping(self, old: dict[str, Any], spec: FieldSpec, target: Gvk) -> Any:
        if "name" not in old:
            raise Misfit("path config error; no 'name' field in node")
        name = text(old["name"])
        namespace = text(old["namespace"]) if "namespace" in old else None
        candidates = self._looked_up(name, namespace)
        found = self._referral(name, candidates, (spec, target), with_namespace=True)
        if found is None or (found.id.name == name and not found.id.namespace):
            return old
        changed = {**old, "name": found.id.name}
        if found.id.namespace:
            changed["namespace"] = found.id.namespace
        return old if changed == old else changed

    def _looked_up(self, name: str, namespace: str | None) -> list[Resource]:
        found = self._candidates(name, namespace)
        self._lookups.append((name, namespace, found))
        return found

    def _candidates(self, name: str, namespace: str | None) -> list[Resource]:
        """Those that had the name, in order, as far as this object can refer to them."""
        places = self._renamed.by_name.get(name)
        if not places:
            return []
        visible = places.keys() if self._namespaces is None else self._namespaces & places.keys()
        found = sorted((entry for place in visible for entry in places[place]), key=lambda entry: entry[0])
        candidates = [candidate for _, candidate in found]
        if namespace is None:
            return candidates
        if self._was_namespace(namespace):
            return [one for one in candidates if one.original_id.effective_namespace == namespace]
        return [one for one in candidates if one.id.effective_namespace == namespace]

    def _was_namespace(self, namespace: str) -> bool:
        """Whether an object that this one can refer to was loaded with the namespace."""
        if namespace == CLUSTER_SCOPE:
            return False
        places = self._renamed.original_namespaces.get(namespace)
        if not places:
            return False
        return self._namespaces is None or bool(self._namespaces & places)

    def _referral(
        self, name: str, candidates: list[Resource], field: tuple[FieldSpec, Gvk], *, with_namespace: bool
    ) -> Resource | None:
        spec, target = field
        found = [one for one in candidates if any(old.selected_by(target) for old in one.previous_ids)]
        if found and spec.path.endswith("roleRef/name"):
            role = _role_kind(self._resource.manifest)
            if role is not None:
                found = [one for one in found if any(old.selected_by(role) for old in one.previous_ids)]
        if self._namespaces is not None:
            found = [one for one in found if self._in_reach(one)]
        if len(found) > 1:
            found = [one for one in found if _same_affixes(self._resource, one, allow_empty=True)]
            if len(found) > 1:
                found = [one for one in found if _same_affixes(self._resource, one, allow_empty=False)]
        if len(found) > 1:
            meant = {(one.id.name, one.id.namespace if with_namespace else "") for one in found}
            if len(meant) > 1:
                names = ", ".join(str(one.id) for one in found)
                raise Misfit(f"found multiple possible referrals of {name!r}: {names}")
        return found[0] if found else None

    def _in_reach(self, candidate: Resource) -> bool:
        present = candidate.id
        return (
            present.cluster_scoped
            or present.kind == "ServiceAccount"
            or present.effective_namespace == self._resource.id.effective_namespace
        )


def _account_namespaces(resource: Resource) -> set[str]:
    """The namespaces of the ServiceAccounts among a RoleBinding's subjects."""
    subjects = resource.manifest.get("subjects")
    if resource.id.kind != "RoleBinding" or not isinstance(subjects, list):
        return set()
    found = set()
    for subject in subjects:
        if isinstance(subject, dict) and subject.get("kind") == "ServiceAccount" and "namespace" in subject:
            if not isinstance(subject["namespace"], str):
                raise BuildFailed(f"{resource.id}: the namespace of a subject is blank; remove or set it")
            found.add(subject["namespace"])
    return found


def _role_kind(manifest: Manifest) -> Gvk | None:
    role = manifest.get("roleRef")
    if not isinstance(role, dict) or "apiGroup" not in role or "kind" not in role:
        return None
    return Gvk(group=text(role["apiGroup"]), version="", kind=text(role["kind"]))


def _same_affixes(one: Resource, other: Resource, *, allow_empty: bool) -> bool:
    return _same_ending(one.prefixes, other.prefixes, allow_empty=allow_empty) and _same_ending(
        one.suffixes, other.suffixes, allow_empty=allow_empty
    )


def _same_ending(one: tuple[str, ...], other: tuple[str, ...], *, allow_empty: bool) -> bool:
    if not one or not other:
        return allow_empty or one == other
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]
