"""Which files of a source must be plaintext before the build: secretGenerator inputs and patches, as Flux has it."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.kustomize.yaml_in import MalformedYaml, load_config
from penstock.core.secrets.formats import Format, format_of
from penstock.core.tree import Tree

KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MOST_DIRECTORIES = 10_000


def encrypted_inputs(tree: Tree, directory: str) -> dict[str, Format]:
    """Path -> format of each file that a kustomization at or below ``directory`` reads as Secret input or patch.

    Follows local resources, components and bases. What cannot be read is left to the build, which says why.
    """
    found: dict[str, Format] = {}
    waiting, seen = [directory], {directory}
    while waiting and len(seen) <= MOST_DIRECTORIES:
        place = waiting.pop()
        file = _kustomization(tree, place)
        for path, form in _inputs(file):
            resolved = _join(place, path)
            if resolved is not None:
                found.setdefault(resolved, form)
        for path in _directories(file):
            resolved = _join(place, path)
            if resolved is not None and resolved not in seen and tree.is_dir(resolved):
                seen.add(resolved)
                waiting.append(resolved)
    return found


def _kustomization(tree: Tree, directory: str) -> Mapping[str, Any]:
    for name in KUSTOMIZATION_FILES:
        file = tree.read(f"{directory}/{name}".lstrip("/"))
        if file is not None:
            try:
                found = load_config(file.data, name)
            except MalformedYaml:
                return {}
            return found if isinstance(found, Mapping) else {}
    return {}


def _inputs(file: Mapping[str, Any]) -> Iterator[tuple[str, Format]]:
    for generator in _mappings(file, "secretGenerator"):
        for entry in _texts(generator, "files"):
            key, equals, path = entry.partition("=")
            yield (path if equals else key), format_of(key)
        for path in (*_texts(generator, "envs"), *_texts({"env": [generator.get("env")]}, "env")):
            form = format_of(path)
            yield path, Format.DOTENV if form is Format.BINARY else form
    for patch in _mappings(file, "patches"):
        for path in _texts({"path": [patch.get("path")]}, "path"):
            if "://" not in path:
                yield path, format_of(path)


def _directories(file: Mapping[str, Any]) -> Iterator[str]:
    for name in ("resources", "components", "bases"):
        yield from _texts(file, name)


def _mappings(file: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    entries = file.get(name)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield entry


def _texts(file: Mapping[str, Any], name: str) -> Iterator[str]:
    entries = file.get(name)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, str):
            yield entry


def _join(directory: str, path: str) -> str | None:
    """The path inside the tree; None where it leaves it."""
    if path.startswith("/"):
        return None
    parts: list[str] = []
    for part in f"{directory}/{path}".split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
