"""``configMapGenerator`` and ``secretGenerator``: objects from literals, files and env files."""

import base64
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.resource import Resource, Scopes, text
from penstock.core.kustomize.scalars import resolve
from penstock.core.resources import Manifest

_BOM = b"\xef\xbb\xbf"
_BASE64_LINE = 70
_BEHAVIORS = ("create", "merge", "replace")
Kind = Literal["ConfigMap", "Secret"]


def merge_options(options: Mapping[str, Any] | None, common: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A generator's own options over the ``generatorOptions`` of the file."""
    if not common:
        return options
    own = options or {}
    return {
        "labels": {**common.get("labels", {}), **own.get("labels", {})},
        "annotations": {**common.get("annotations", {}), **own.get("annotations", {})},
        "disableNameSuffixHash": bool(common.get("disableNameSuffixHash") or own.get("disableNameSuffixHash")),
        "immutable": bool(common.get("immutable") or own.get("immutable")),
    }


def generate(kind: Kind, entry: Mapping[str, Any], loader: Loader, scopes: Scopes) -> Resource:
    """The object that one entry describes. Raises BuildFailed that names the entry and its source."""
    name = entry.get("name", "")
    if not name:
        raise BuildFailed(f"{loader.root or '.'}: a {kind} generator must have a name")
    try:
        pairs = list(_pairs(entry, loader))
    except BuildFailed as error:
        raise BuildFailed(f"{kind} generator {name}: loading KV pairs: {error}") from error
    values: dict[str, bytes] = {}
    for key, value in pairs:
        if not isinstance(resolve(key), str):
            raise BuildFailed(f"{kind} generator {name}: the key `{key}` is no text to YAML: give it another name")
        if key in values:
            raise BuildFailed(f"{kind} generator {name}: illegally repeats the key `{key}`")
        values[key] = value
    options = entry.get("options") or {}
    behavior = entry.get("behavior", "")
    return Resource(
        manifest=_manifest(kind, entry, values, options),
        scopes=scopes,
        needs_hash=not options.get("disableNameSuffixHash"),
        behavior=behavior if behavior in _BEHAVIORS else "",
    )


def _manifest(
    kind: Kind, entry: Mapping[str, Any], values: Mapping[str, bytes], options: Mapping[str, Any]
) -> Manifest:
    metadata: dict[str, Any] = {"name": entry["name"]}
    if entry.get("namespace"):
        metadata["namespace"] = entry["namespace"]
    for field in ("labels", "annotations"):
        if options.get(field):
            metadata[field] = dict(options[field])
    manifest: Manifest = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    if kind == "Secret":
        manifest["type"] = entry.get("type") or "Opaque"
        manifest["data"] = {key: _base64(value) for key, value in values.items()}
    else:
        for key, value in values.items():
            try:
                manifest.setdefault("data", {})[key] = value.decode()
            except UnicodeDecodeError:
                manifest.setdefault("binaryData", {})[key] = _base64(value)
    if options.get("immutable"):
        manifest["immutable"] = True
    return manifest


def _base64(value: bytes) -> str:
    """Base64 in lines of 70 characters; on one line, without its end, where it is shorter."""
    encoded = base64.b64encode(value).decode()
    if len(encoded) < _BASE64_LINE:
        return encoded
    lines = (encoded[at : at + _BASE64_LINE] + "\n" for at in range(0, len(encoded), _BASE64_LINE))
    return "".join(lines)


def _pairs(entry: Mapping[str, Any], loader: Loader) -> Iterator[tuple[str, bytes]]:
    for path in entry.get("envs", ()):
        yield from _env_pairs(*loader.load(path))
    for literal in entry.get("literals", ()):
        key, equals, value = literal.partition("=")
        if not key or not equals:
            raise BuildFailed("invalid literal source, expected key=value (its text may be secret: not shown)")
        yield key, _unquoted(value).encode()
    for source in entry.get("files", ()):
        key, path = _file_source(source)
        yield key, loader.load(path)[1].data


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _file_source(source: str) -> tuple[str, str]:
    key, equals, path = source.partition("=")
    if not equals:
        return posixpath.basename(source.rstrip("/")) or source, source
    if "=" in path:
        raise BuildFailed(f"files: source {source!r}: key name or file path contains '='")
    if not key:
        raise BuildFailed(f"files: missing key name for file path {path!r} in source {source!r}")
    if not path:
        raise BuildFailed(f"files: missing file path for key name {key!r} in source {source!r}")
    return key, path


def _env_pairs(file: str, blob: Any) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(blob.data.split(b"\n")):
        stripped = line.removesuffix(b"\r")
        if number == 0:
            stripped = stripped.removeprefix(_BOM)
        try:
            pair = stripped.decode().lstrip()
        except UnicodeDecodeError as error:
            raise BuildFailed(f"{file}: line {number + 1} has invalid utf8 bytes") from error
        if pair and not pair.startswith("#"):
            key, _, value = pair.partition("=")
            if not key:
                continue
            yield key, value.encode()


def merge_generated(new: Resource, old: Resource) -> Resource:
    """What ``behavior: merge`` or ``replace`` makes of a generated object and the one that is there already."""
    metadata = dict(old.manifest["metadata"])
    manifest = dict(new.manifest)
    for field, values in (
        ("labels", {**old.labels, **new.labels}),
        ("annotations", {**old.annotations, **new.annotations}),
    ):
        metadata.pop(field, None)
        if values:
            metadata[field] = values
    kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if key in metadata}
    others = {key: value for key, value in new.manifest["metadata"].items() if key not in kept and key != "namespace"}
    manifest["metadata"] = {**others, **kept}
    if new.behavior == "merge":
        for field in ("data", "binaryData"):
            values = {**_texts(old.manifest, field), **_texts(new.manifest, field)}
            manifest.pop(field, None)
            if values:
                manifest[field] = values
    return Resource(
        manifest=manifest,
        scopes=new.scopes,
        previous=old.previous,
        prefixes=old.prefixes,
        suffixes=old.suffixes,
        needs_hash=old.needs_hash and new.needs_hash,
        behavior=old.behavior,
        origin=(old.origin or new.origin) if new.behavior == "merge" else (new.origin or old.origin),
        transformations=old.transformations,
        var_names=old.var_names,
    )


def _texts(manifest: Manifest, field: str) -> dict[str, str]:
    found = manifest.get(field)
    return {key: text(value) for key, value in found.items()} if isinstance(found, dict) else {}
