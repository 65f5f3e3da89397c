"""Files to resources: each document an object, lists taken apart, parsed files kept for the next build."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.options import Bounds
from penstock.core.kustomize.resource import metadata_of, text
from penstock.core.kustomize.results import Results
from penstock.core.kustomize.yaml_in import load_documents
from penstock.core.resources import Manifest
from penstock.core.tree import Blob


class ParseCache:
    """What builds leave for the next ones: parsed files by blob id, and what transformers made of their objects.

    ``size``: bytes of source text; ``results``: of transformers, 0 keeps none. What is least recently used is dropped
    first. Its values are shared between builds and never changed. One cache serves one thread at a time.
    """

    __slots__ = ("_bytes", "_entries", "_size", "results")

    def __init__(self, size: int = 64 * 1024 * 1024, results: int = 200_000) -> None:
        self._size, self._bytes = size, 0
        self.results = Results(results) if results else None
        self._entries: OrderedDict[tuple[str, ...], tuple[Any, int]] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> Any:
        """What was put under (blob id, how it was read), or None."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: tuple[str, ...], value: Any, size: int) -> None:
        """Keep ``value``, parsed from ``size`` bytes."""
        if key not in self._entries:
            self._bytes += size
        self._entries[key] = (value, size)
        while self._bytes > self._size and self._entries:
            self._bytes -= self._entries.popitem(last=False)[1][1]


def objects_of(blob: Blob, file: str, bounds: Bounds, cache: ParseCache) -> tuple[Manifest, ...]:
    """The objects in one file, lists flattened. Raises BuildFailed that names file and document."""
    key = (blob.id, "objects")
    found: tuple[Manifest, ...] | None = cache.get(key)
    if found is None:
        found = parse_objects(blob.data, file, bounds)
        cache.put(key, found, len(blob.data))
    return found


def parse_objects(data: bytes, file: str, bounds: Bounds, *, patch: bool = False) -> tuple[Manifest, ...]:
    """The objects in a text; ``patch`` reads them as patches (see ``load_documents``)."""
    documents = load_documents(data, file, patch=patch, limits=bounds.yaml)
    only = documents[0] if len(documents) == 1 else None
    if isinstance(only, dict) and only.get("kind") in ("List", "ResourceList") and "items" in only:
        documents = _items(only, file)
    queue = list(_valid(documents, file))
    result: list[Manifest] = []
    for document in queue:  # grows: the items of lists come after everything else, as in kustomize
        if text(document.get("kind")).endswith("List") and "items" in document:
            queue.extend(_valid(_items(document, file), file))
        else:
            result.append(document)
        if len(queue) > bounds.documents:
            raise BuildFailed(f"{file}: more than {bounds.documents} objects")
    return tuple(result)


def is_inline(entry: str) -> bool:
    """Whether an entry that names a file or is a document itself can only be the latter, however broken."""
    return "\n" in entry.strip() or entry.lstrip().startswith("{")


def _items(document: Manifest, file: str) -> list[Any]:
    items = document["items"]
    if items is None:
        return []
    if not isinstance(items, list):
        raise BuildFailed(f"{file}: {document.get('kind')}.items should be a list")
    return items


def _valid(documents: list[Any], file: str) -> Iterator[Manifest]:
    for number, document in enumerate(documents):
        if document is None or document in ({}, []):
            continue
        where = f"{file}, document {number}"
        if not isinstance(document, dict):
            raise BuildFailed(f"{where}: missing Resource metadata: not a mapping with apiVersion and kind")
        kind = document.get("kind")
        name = metadata_of(document).get("name")
        if text(kind) == "":
            raise BuildFailed(f"{where}: missing kind in object {text(name) or '(no name)'}")
        if not text(kind).endswith("List") and text(name) == "":
            raise BuildFailed(f"{where}: missing metadata.name in object of kind {text(kind)}")
        yield document
