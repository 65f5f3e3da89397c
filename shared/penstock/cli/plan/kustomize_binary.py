"""The same builds by the kustomize binary, on a copy of the tree with the Kustomization's fields written into it.

It is a check of this program against another: nothing here shares code with the renderer.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from penstock.cli.plan.fields import ABSENT, field_changes
from penstock.cli.plan.rehearsal import Section
from penstock.core.errors import NotFound, PenstockError
from penstock.core.kustomize.build import build
from penstock.core.kustomize.options import BuildOptions
from penstock.core.tree import MemoryTree

_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_SECONDS = 120
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KustomizeBinary:
    """A context manager: trees are written once each, below a temporary directory that goes with it."""

    def __init__(self) -> None:
        """Raises NotFound where kustomize is not installed."""
        found = shutil.which("kustomize")
        if found is None:
            raise NotFound("--compare-with kustomize: kustomize is not in PATH")
        self._binary, self._written = found, dict[str, Path]()

    def __enter__(self) -> Self:
        """Makes the directory."""
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-plan-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes it."""
        self._folder.cleanup()

    def difference(self, section: Section) -> str:
        """The first difference between both builds of a section, as a sentence; "" where there is none."""
        if section.source is None:
            return ""
        theirs, failed = self._built(section, section.source.tree)
        try:
            ours = _ours(section, section.source.tree)
        except PenstockError as error:
            return "" if failed else f"kustomize builds it, penstock does not: {error}"
        if failed:
            return f"penstock builds it, kustomize does not: {failed}"
        return "" if ours == theirs else _first(ours, theirs)

    def _built(self, section: Section, tree: MemoryTree) -> tuple[str, str]:
        """Standard output, and why it failed (or "")."""
        directory = section.kustomization.directory
        root = self._tree(section)
        kept = _overlaid(root / directory, section, tree)
        try:
            done = subprocess.run(  # noqa: S603 - the user's own kustomize, by its full path
                [self._binary, "build", "--load-restrictor", "LoadRestrictionsNone", directory or "."],
                cwd=root,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return "", f"it took more than {_SECONDS} s"
        finally:
            _restore(kept)
        return done.stdout.decode(), done.stderr.decode("utf-8", "replace").strip() if done.returncode else ""

    def _tree(self, section: Section) -> Path:
        assert section.source is not None
        if section.source.artifact not in self._written:
            root = Path(self._folder.name) / str(len(self._written))
            for path, found in section.source.tree.items():
                file = root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(found.data)
            root.mkdir(exist_ok=True)
            self._written[section.source.artifact] = root
        return self._written[section.source.artifact]


def _ours(section: Section, tree: MemoryTree) -> str:
    kustomization = section.kustomization
    options = BuildOptions(
        load_restrictions="none",
        overlay=kustomization.overlay(tree.is_dir),
        generate_missing=True,
        policies_in_namespaces=True,  # as the released kustomize does
    )
    return build(tree, kustomization.directory, options).to_yaml()


def _overlaid(directory: Path, section: Section, tree: MemoryTree) -> tuple[Path, bytes | None]:
    """Write the kustomization file as Flux does; the file and what it held (None: it was not there)."""
    directory.mkdir(parents=True, exist_ok=True)
    file = next((directory / name for name in _NAMES if (directory / name).is_file()), directory / _NAMES[0])
    before = file.read_bytes() if file.is_file() else None
    if before is None:
        resources = sorted(_manifests(directory, directory))
        document: dict[str, Any] = {"resources": resources} if resources else {"namespace": "_placeholder"}
    else:
        document = yaml.load(before, Loader=_LOADER) or {}  # noqa: S506 - a safe loader, in C where there is one
    overlay = section.kustomization.overlay(tree.is_dir)
    if overlay or before is None:
        file.write_text(yaml.safe_dump(_merged(document, overlay), sort_keys=False))
    return file, before


def _restore(kept: tuple[Path, bytes | None]) -> None:
    file, before = kept
    if before is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(before)


def _merged(document: dict[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for name, value in overlay.items():
        if name in ("patches", "components"):
            merged[name] = [*(merged.get(name) or ()), *value]
        elif name == "images":
            merged[name] = _images(merged.get(name) or (), value)
        else:
            merged[name] = value
    return merged


def _images(present: Any, added: Any) -> list[dict[str, Any]]:
    images = {str(each.get("name")): dict(each) for each in present}
    for each in added:
        image = images.setdefault(str(each["name"]), {"name": each["name"]})
        if each.get("newTag") or each.get("digest"):
            image.pop("newTag", None)
            image.pop("digest", None)
        image.update({key: value for key, value in each.items() if value})
    return list(images.values())


def _manifests(directory: Path, below: Path) -> Iterator[str]:
    for entry in sorted(below.iterdir()):
        if entry.is_dir():
            if any((entry / name).is_file() for name in _NAMES):
                yield f"./{entry.relative_to(directory)}"
            else:
                yield from _manifests(directory, entry)
        elif entry.suffix in (".yaml", ".yml"):
            yield f"./{entry.relative_to(directory)}"


def _first(ours: str, theirs: str) -> str:
    """The first object and field in which two builds differ."""
    mine, other = ([each for each in yaml.load_all(text, Loader=_LOADER) if each] for text in (ours, theirs))
    for one, two in zip(mine, other, strict=False):
        if one == two:
            continue
        if _name(one) != _name(two):
            return f"where kustomize has {_name(two)}, penstock has {_name(one)}"
        change = field_changes(two, one)[0]
        old, new = ("nothing" if value is ABSENT else repr(value)[:200] for value in (change.old, change.new))
        return f"{_name(one)}, {change.path}: kustomize {old}, penstock {new}"
    if len(mine) != len(other):
        return f"kustomize has {len(other)} objects, penstock {len(mine)}"
    return "the same objects, written differently"


def _name(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata") or {}
    return "/".join(
        str(part) for part in (manifest.get("kind"), metadata.get("namespace"), metadata.get("name")) if part
    )
