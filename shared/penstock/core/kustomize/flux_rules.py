"""What Flux does to the kustomization at a Kustomization's path, before kustomize sees it.

A missing file is generated from the manifests of the directory; fields of the Flux Kustomization's spec are merged
in (fluxcd/pkg kustomize/kustomize_generator.go).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.errors import BuildFailed, InvalidDocument
from penstock.core.kustomize.accumulate import find_kustomization
from penstock.core.kustomize.kustomization import FILE_NAMES, Kustomization, kustomization_of
from penstock.core.kustomize.load import Loader, join
from penstock.core.kustomize.objects import ParseCache, objects_of
from penstock.core.kustomize.remote_paths import is_remote
from penstock.core.kustomize.yaml_in import load_config

_SCALARS = ("namespace", "namePrefix", "nameSuffix")


def flux_kustomization(loader: Loader, cache: ParseCache) -> Kustomization:
    """The kustomization of a directory by the rules in the loader's options. Raises BuildFailed, InvalidDocument."""
    options = loader.source.options
    found = find_kustomization(loader)
    document: dict[str, Any]
    if found is not None:
        file = found[0]
        document = _document(load_config(found[1], file), file)
        if options.lenient and not any(document.get(key) for key in ("resources", "bases")):
            document["buildMetadata"] = ["originAnnotations"]
    elif options.generate_missing:
        file = f"{loader.root}/{FILE_NAMES[0]}" if loader.root else FILE_NAMES[0]
        resources = list(_manifests(loader, loader.root, cache))
        document = {"resources": resources} if resources else {"namespace": "_placeholder"}
    else:
        raise BuildFailed(f"unable to find one of {', '.join(FILE_NAMES)} in directory '{loader.root or '.'}'")
    return kustomization_of(_overlaid(document, loader), file, lenient=options.lenient)


def _document(loaded: Any, file: str) -> dict[str, Any]:
    """The file's own fields, keys as they are spelt in the file format."""
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InvalidDocument("invalid Kustomization: should be a mapping", file=file)
    spelt: dict[str, str] = {
        name.lower(): name for name in (*_SCALARS, "resources", "bases", "patches", "components", "images")
    }
    spelt["buildmetadata"] = "buildMetadata"
    return {spelt.get(str(key).lower(), str(key)): value for key, value in loaded.items()}


def _overlaid(document: dict[str, Any], loader: Loader) -> dict[str, Any]:
    overlay = loader.source.options.overlay
    result = dict(document)
    for name in _SCALARS:
        if overlay.get(name):
            result[name] = overlay[name]
    for name in ("patches", "components"):
        added = overlay.get(name) or ()
        if added:
            wanted = added if name == "patches" else [one for one in added if _is_wanted(one, loader)]
            result[name] = [*(document.get(name) or ()), *wanted]
    if overlay.get("images"):
        result["images"] = _merged_images(document.get("images") or [], overlay["images"])
    if overlay.get("buildMetadata"):
        result["buildMetadata"] = list(overlay["buildMetadata"])
    return result


def _is_wanted(component: str, loader: Loader) -> bool:
    if is_remote(component) or component.startswith("/"):
        raise BuildFailed(f"component path '{component}' must be local and relative")
    if not loader.source.options.ignore_missing_components:
        return True
    path = join(loader.root, component)
    return path is not None and loader.source.tree.is_dir(path)


def _merged_images(present: list[Any], added: Any) -> list[Any]:
    """Images by name: a new name replaces the old one; tag and digest are replaced together."""
    result = list(present)
    for image in added:
        name = image.get("name", "")
        found = next(
            (at for at, old in enumerate(result) if isinstance(old, Mapping) and old.get("name") == name), None
        )
        if found is None:
            result.append({key: value for key, value in image.items() if value})
            continue
        merged = dict(result[found])
        if image.get("newName"):
            merged["newName"] = image["newName"]
        if image.get("newTag") or image.get("digest"):
            merged.pop("newTag", None)
            merged.pop("digest", None)
            merged.update({key: image[key] for key in ("newTag", "digest") if image.get(key)})
        result[found] = merged
    return result


def _manifests(loader: Loader, directory: str, cache: ParseCache) -> Iterator[str]:
    """The paths, relative to the loader's root, of what stands in a directory: manifests and kustomizations."""
    tree, bounds = loader.source.tree, loader.source.options.bounds
    for name in tree.list(directory) or ():
        path = f"{directory}/{name}" if directory else name
        shown = path[len(loader.root) + 1 :] if loader.root else path
        if tree.is_dir(path):
            if any(tree.read(f"{path}/{file}") is not None for file in FILE_NAMES):
                yield f"./{shown}"
            else:
                yield from _manifests(loader, path, cache)
        elif name.endswith((".yaml", ".yml")):
            blob = loader.source.read(path)
            if blob is None:
                continue
            try:
                objects_of(blob, path, bounds, cache)
            except BuildFailed as error:
                raise BuildFailed(f"failed to decode Kubernetes YAML from {path}: {error}") from error
            yield f"./{shown}"
