"""``replacements`` of a kustomization file: those written in place and those in files of their own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from penstock.core.kustomize.fields import Where, struct
from penstock.core.kustomize.filters.replacement import Replacement, apply_replacements
from penstock.core.kustomize.kustomization import REPLACEMENT
from penstock.core.kustomize.links import follow
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.yaml_in import load_config


def replace_values(resources: ResMap, replacements: list[Replacement]) -> None:
    """Apply replacements. Raises BuildFailed that names file, source or target, and the field."""
    before = list(resources)
    after = apply_replacements(before, replacements)
    resources.replace_all(
        [
            new.with_manifest(follow(old.manifest, new.manifest)) if old.linked else new
            for old, new in zip(before, after, strict=True)
        ]
    )


def load_replacements(entries: Iterable[Mapping[str, Any]], loader: Loader, place: Where) -> list[Replacement]:
    """Each replacement, in order; a file holds one or a list. ``place``: of the entries' document.

    Raises InvalidDocument that names file and field, of the replacements' own file where they have one.
    """
    result: list[Replacement] = []
    for index, entry in enumerate(entries):
        where = place.below(f"replacements[{index}]")
        path = entry.get("path", "")
        if not path:
            result.append(Replacement(where, entry))
            continue
        if "source" in entry or entry.get("targets"):
            raise where.error("cannot specify both path and inline replacement")
        result.extend(_from_file(path, loader))
    return result


def _from_file(path: str, loader: Loader) -> Iterator[Replacement]:
    named, blob = loader.load(path)
    document = load_config(blob.data, named)
    check, where = struct(REPLACEMENT), Where(named, lenient=True, loose=True)
    if isinstance(document, list):
        for at, item in enumerate(document):
            place = where.at(f"[{at}]")
            yield Replacement(place, check(item, place))
    elif isinstance(document, dict):
        yield Replacement(where, check(document, where))
    else:
        raise where.error("should be a replacement or a list of them")
