"""``namePrefix``, ``nameSuffix`` and the content hash: what changes the name of an object."""

from typing import Any, Literal

from penstock.core.kustomize.fieldspec import FieldSpecs, Setter, update
from penstock.core.kustomize.filters.values import BLANK, in_place_of, require_scalar
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import ResId, Resource, set_metadata, text


def affix_names(resources: ResMap, affix: str, specs: FieldSpecs, where: Literal["prefix", "suffix"]) -> None:
    """Put ``affix`` before or after the name of every object (and into the other fields that ``specs`` name).

    CustomResourceDefinitions, APIServices and Namespaces keep their names.
    """
    setter = _affixing(affix, where)

    def change(resource: Resource) -> Resource:
        if _keeps_name(resource.original_id):
            return resource
        return _affixed(resource, (affix, where), specs, setter)

    resources.transform((where, affix, specs), change)


def _keeps_name(original: ResId) -> bool:
    if original.kind == "APIService":
        return original.group == "apiregistration.k8s.io"
    return original.kind in ("CustomResourceDefinition", "Namespace")


def _affixed(resource: Resource, affix: tuple[str, str], specs: FieldSpecs, setter: Setter) -> Resource:
    added, where = affix
    original = resource.original_id
    for spec in specs:
        if not spec.selects(original.group, original.version, original.kind):
            continue
        if spec.path == "metadata/name" and added:
            if where == "prefix":
                resource = resource.remembering(prefixes=(*resource.prefixes, added))
            else:
                resource = resource.remembering(suffixes=(*resource.suffixes, added))
        if spec.selects(*resource.id[:3]):
            resource = resource.with_manifest(update(resource, (spec,), setter, BLANK))
    return resource


def _affixing(affix: str, where: str) -> Setter:
    def setter(old: Any) -> Any:
        require_scalar(old)
        if not affix:
            return old
        return in_place_of(old, affix + text(old) if where == "prefix" else text(old) + affix)

    return setter


def add_hashes(resources: ResMap) -> None:
    """Append the hash of its content to the name of each generated object that wants one."""
    for index, resource in enumerate(resources):
        if resource.needs_hash:
            from penstock.core.kustomize.hashing import content_hash  # noqa: PLC0415 - loads json

            name = f"{resource.id.name}-{content_hash(resource.manifest)}"
            named = resource.remembering().with_manifest(set_metadata(resource.manifest, "name", name))
            resources.set(index, named)
