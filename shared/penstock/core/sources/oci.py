"""Artifacts in container registries: names, references, manifests and layers (OCI image and distribution specs 1.1)."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import Terminal
from penstock.core.sources.patterns import Matcher
from penstock.core.sources.semver import newest

SCHEME = "oci://"
INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ORIGIN_SOURCE, ORIGIN_REVISION = "org.opencontainers.image.source", "org.opencontainers.image.revision"
MOST_MANIFEST_BYTES = 4 * 1024 * 1024

_OPERATION = "OCIArtifactLayerOperationFailed"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLATFORM = ("linux", "amd64")
"""Which image of an index: what Flux's controllers, built for it, take by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageName:
    """``registry``: host, or host:port; ``repository``: the path below it."""

    registry: str
    repository: str

    def __str__(self) -> str:
        """``registry/repository``."""
        return f"{self.registry}/{self.repository}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptor:
    """A blob or manifest: its media type, ``sha256:<hex>`` and size in bytes."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageManifest:
    """An image manifest's layers and annotations."""

    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str]


def image_name(url: str) -> ImageName:
    """The name in ``oci://registry/repository``. Raises ValueError saying what is wrong."""
    if not url.startswith(SCHEME):
        raise ValueError("URL must be in format 'oci://<domain>/<org>/<repo>'")
    registry, slash, repository = url.removeprefix(SCHEME).partition("/")
    if "@" in repository:
        raise ValueError("URL must not contain a digest: put it into ref.digest")
    if ":" in repository:
        raise ValueError(f"URL must not contain a tag; remove ':{repository.partition(':')[2]}'")
    if not slash or not re.fullmatch(_HOST, registry) or not re.fullmatch(_PATH, repository):
        raise ValueError("URL must be in format 'oci://<domain>/<org>/<repo>'")
    if registry.lower() in ("docker.io", "index.docker.io"):
        registry = "index.docker.io"
        repository = repository if "/" in repository else f"library/{repository}"
    return ImageName(registry=registry, repository=repository)


def newest_tag(tags: Iterable[str], semver: str, matches: Matcher | None) -> str:
    """The tag with the highest version in a range, among those that ``matches`` finds itself in.

    Raises Terminal where there is none, InvalidDocument where ``semver`` is no range.
    """
    found = newest(semver, (tag for tag in tags if matches is None or matches.search(tag)))
    if found is None:
        raise Terminal(f"no match found for semver: {semver}", reason="ReadOperationFailed")
    return found


def parse_index(data: bytes) -> Descriptor | None:
    """The manifest to take, where ``data`` is an index: the one for linux/amd64, or its only one. None for a manifest.

    Raises Terminal where it is neither, or has none for that platform.
    """
    found = json_object(data)
    if "manifests" not in found:
        return None
    entries = [(each, descriptor(each)) for each in mappings(found, "manifests")]
    for each, described in entries:
        platform = each.get("platform") or {}
        if isinstance(platform, Mapping) and (platform.get("os"), platform.get("architecture")) == _PLATFORM:
            return described
    if len(entries) == 1:
        return entries[0][1]
    raise Terminal(f"the image index has no manifest for {'/'.join(_PLATFORM)}", reason=_OPERATION)


def parse_manifest(data: bytes) -> ImageManifest:
    """An image manifest. Raises Terminal where the bytes are none."""
    found = json_object(data)
    annotations = found["annotations"] if found.get("annotations") is not None else {}
    if not isinstance(annotations, Mapping):
        raise _broken("annotations")
    return ImageManifest(
        layers=tuple(descriptor(each) for each in mappings(found, "layers")),
        annotations={str(key): str(value) for key, value in annotations.items()},
    )


def select_layer(manifest: ImageManifest, media_type: str) -> Descriptor:
    """The first layer of a media type, or the first of all where that is "". Raises Terminal where there is none."""
    if not manifest.layers:
        raise Terminal("no layers found in artifact", reason=_OPERATION)
    for layer in manifest.layers:
        if media_type in ("", layer.media_type):
            return layer
    raise Terminal(f"failed to find layer with media type '{media_type}' in artifact", reason=_OPERATION)


def is_digest(text: str) -> bool:
    """Whether a text is a digest that this release can check."""
    return bool(_DIGEST.fullmatch(text))


def json_object(data: bytes) -> Mapping[str, Any]:
    """A manifest or index. Raises Terminal where the bytes are no JSON object."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Terminal("the registry's manifest is no JSON", reason=_OPERATION) from error
    if not isinstance(found, Mapping):
        raise _broken("manifest")
    return found


def mappings(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects in a manifest; empty where it is absent. Raises Terminal."""
    value = found[name] if found.get(name) is not None else []
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise _broken(name)
    return value


def descriptor(value: Mapping[str, Any]) -> Descriptor:
    """A descriptor with a digest that can be checked. Raises Terminal."""
    digest, size, media_type = value.get("digest"), value.get("size"), value.get("mediaType", "")
    if not isinstance(digest, str) or not is_digest(digest):
        raise Terminal(f"the manifest names a digest that is no sha256: {str(digest)[:80]!r}", reason=_OPERATION)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(media_type, str):
        raise _broken("descriptor")
    return Descriptor(media_type=media_type, digest=digest, size=size)


def _broken(what: str) -> Terminal:
    return Terminal(f"the registry's manifest is not an image manifest: {what}", reason=_OPERATION)
