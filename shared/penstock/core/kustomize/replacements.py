"""``replacements`` of a kustomization file: those written in place and those in files of their own."""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.kustomize.fields import Where, struct
from penstock.core.kustomize.filters.replacement import apply_replacements
from penstock.core.kustomize.kustomization import REPLACEMENT
from penstock.core.kustomize.links import follow
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.yaml_in import load_config


def replace_values(resources: ResMap, replacements: list[Mapping[str, Any]]) -> None:
    """Apply replacements. Raises BuildFailed that names source or target."""
    before = list(resources)
    after = apply_replacements(before, replacements)
    resources.replace_all(
        [
            new.with_manifest(follow(old.manifest, new.manifest)) if old.linked else new
            for old, new in zip(before, after, strict=True)
        ]
    )


def load_replacements(entries: Iterable[Mapping[str, Any]], loader: Loader, file: str) -> list[Mapping[str, Any]]:
    """Each replacement, in order; a file holds one or a list. Raises InvalidDocument that names the field."""
    result: list[Mapping[str, Any]] = []
    for index, entry in enumerate(entries):
        path = entry.get("path", "")
        if not path:
            result.append(entry)
            continue
        if "source" in entry or entry.get("targets"):
            raise InvalidDocument(
                "cannot specify both path and inline replacement", path=f"replacements[{index}]", file=file
            )
        named, blob = loader.load(path)
        document = load_config(blob.data, named)
        check, where = struct(REPLACEMENT), Where(named, lenient=True, loose=True)
        if isinstance(document, list):
            result.extend(check(item, where.at(f"[{at}]")) for at, item in enumerate(document))
        elif isinstance(document, dict):
            result.append(check(document, where))
        else:
            raise InvalidDocument("should be a replacement or a list of them", file=named)
    return result
