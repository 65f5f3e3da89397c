"""``images``: other names, tags and digests for the images of containers."""

import re
from collections.abc import Mapping
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpecs, Misfit, Setter, SpecIndex, update
from penstock.core.kustomize.filters.values import in_place_of, require_scalar
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Resource, text
from penstock.core.resources import Manifest

_CONTAINERS = ("containers", "initContainers")
_LITERAL_NAME = re.compile(r"[A-Za-z0-9_./:@-]*\Z")
_TAG = r"(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?"


def set_images(resources: ResMap, images: tuple[Mapping[str, Any], ...], specs: FieldSpecs) -> None:
    """Apply each image entry, in order, to every container and to the fields that ``specs`` name.

    A container is an item of a list ``containers`` or ``initContainers``, wherever that stands.
    CustomResourceDefinitions are left alone.
    """
    index = SpecIndex(specs)
    setters = [image_setter(image) for image in images]

    def change(resource: Resource) -> Resource:
        if resource.id.kind == "CustomResourceDefinition":
            return resource
        fields = index.of(*resource.id[:3])
        walk = _holds_containers(resource.manifest)
        for setter in setters:
            if walk:
                resource = resource.with_manifest(_in_containers(resource, setter))
            resource = resource.with_manifest(update(resource, fields, setter))
        return resource

    resources.transform(("images", tuple(tuple(image.items()) for image in images), specs), change)


def image_setter(image: Mapping[str, Any]) -> Setter:
    """From an image reference to what the entry makes of it."""
    matches = _matcher(image.get("name", ""))

    def setter(old: Any) -> Any:
        require_scalar(old)
        reference = text(old)
        return in_place_of(old, _changed(reference, image)) if matches(reference) else old

    return setter


def _matcher(name: str) -> Any:
    """Kustomize takes the name for a regular expression; one that is none matches nothing."""
    if _LITERAL_NAME.match(name):  # safe for a backtracking engine, and the usual case
        return re.compile(f"{name}{_TAG}\\Z").match
    import re2  # noqa: PLC0415 - costly to load, seldom needed

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"^{name}{_TAG}$", options).search
    except re2.error:
        return lambda _reference: None


def _changed(reference: str, image: Mapping[str, Any]) -> str:
    name, tag, digest = split_image(reference)
    name = image.get("newName") or name
    new_tag, new_digest = image.get("newTag", ""), image.get("digest", "")
    if new_tag or new_digest:
        tag, digest = new_tag, new_digest
    elif image.get("tagSuffix"):
        tag, digest = tag + image["tagSuffix"], ""
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def split_image(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest of ``[host[:port]/]name[:tag][@digest]``; "" for what is missing."""
    slash = max(reference.find("/"), 0)
    at, colon = reference.find("@", slash), reference.find(":", slash)
    if at >= 0 and (colon < 0 or at < colon):
        return reference[:at], "", reference[at + 1 :]
    if colon < 0:
        return reference, "", ""
    if at >= 0:
        return reference[:colon], reference[colon + 1 : at], reference[at + 1 :]
    return reference[:colon], reference[colon + 1 :], ""


def _holds_containers(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            key in _CONTAINERS or (isinstance(item, dict | list) and _holds_containers(item))
            for key, item in value.items()
        )
    return isinstance(value, list) and any(isinstance(item, dict | list) and _holds_containers(item) for item in value)


def _in_containers(resource: Resource, setter: Setter) -> Manifest:
    try:
        result: Manifest = _walk(resource.manifest, setter)
    except Misfit as error:
        raise BuildFailed(f"setting images of {resource.id}: {error}") from error
    return result


def _walk(value: Any, setter: Setter) -> Any:
    if isinstance(value, list):
        items = [_walk(item, setter) if isinstance(item, dict | list) else item for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    changed: dict[str, Any] = {}
    for key, item in value.items():
        new = _walk(item, setter) if isinstance(item, dict | list) else item
        if key in _CONTAINERS and isinstance(new, list):
            new = _containers(new, setter)
        if new is not item:
            changed[key] = new
    return {**value, **changed} if changed else value


def _containers(items: list[Any], setter: Setter) -> list[Any]:
    result: list[Any] = []
    for item in items:
        if item is not None and not isinstance(item, dict):
            raise Misfit("wrong node kind: expected MappingNode in a list of containers")
        if item and "image" in item:
            image = setter(item["image"])
            result.append(item if image is item["image"] or image == item["image"] else {**item, "image": image})
        else:
            result.append(item)
    return result if any(new is not old for new, old in zip(result, items, strict=True)) else items
