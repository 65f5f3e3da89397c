"""SOPS: files and objects to plaintext, in memory.

Spec: getsops/sops; what decrypts here is what `sops decrypt` decrypts, with the same MAC. Flux does not verify the
MAC; this does, on the file as it stands in its source (after a build a namespace or a label has changed it).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.resources import Manifest
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.formats import Format, Trees, emit, has_marker, load, load_all
from penstock.core.secrets.key_ring import KeyRing
from penstock.core.secrets.metadata import parse_metadata
from penstock.core.secrets.tree import decrypt_tree

BLOCK = "sops"
_EXACT = 2.0**63


def is_encrypted(manifest: Mapping[str, Any]) -> bool:
    """Whether an object carries SOPS's block with a MAC (any kind, as Flux has it)."""
    block = manifest.get(BLOCK)
    return isinstance(block, Mapping) and bool(block.get("mac"))


def decrypt_object(manifest: Manifest, keys: KeyRing, *, verify_mac: bool) -> Manifest:
    """An encrypted object as plaintext, without its ``sops`` block; an object without one as it is.

    Raises NoKey, MacMismatch, SopsError; none of their messages holds a value.
    """
    if not is_encrypted(manifest):
        return manifest
    content = {name: value for name, value in manifest.items() if name != BLOCK}
    (plain,) = _opened([content], manifest[BLOCK], keys, verify_mac=verify_mac)
    found: Manifest = _texts(plain)
    return found


def decrypt_file(
    data: bytes, form: Format, keys: KeyRing, *, verify_mac: bool = True, output: Format | None = None
) -> bytes:
    """An encrypted file as plaintext of the same format, or of ``output``; one without SOPS's mark as it is."""
    if not has_marker(data, form):
        return data
    trees, block = load(data, form)
    return emit(_opened(trees, block, keys, verify_mac=verify_mac), output or form)


def verify_file(data: bytes, form: Format, keys: KeyRing) -> frozenset[str]:
    """The MACs that hold in a file, as they stand there.

    Raises MacMismatch where the file was changed after it was encrypted, NoKey where it cannot be told, Transient
    where a key service cannot be asked now. YAML documents that were encrypted apart, and put into one file or into
    one List, are verified apart.
    """
    if not has_marker(data, form):
        return frozenset()
    found = set()
    for trees, block in _encrypted_parts(data, form):
        _opened(trees, block, keys, verify_mac=True)
        found.add(str(block.get("mac")))
    return frozenset(found)


def _encrypted_parts(data: bytes, form: Format) -> list[tuple[Trees, Any]]:
    if form is not Format.YAML:
        return [load(data, form)]
    parts: list[tuple[Trees, Any]] = []
    for tree in load_all(data, form):
        block = tree.pop(BLOCK, None)
        if not isinstance(block, Mapping):
            parts += _encrypted_items(tree)
        elif parts and parts[-1][1] == block:
            parts[-1][0].append(tree)
        else:
            parts.append(([tree], block))
    return parts


def _encrypted_items(tree: Mapping[Any, Any]) -> Iterator[tuple[Trees, Any]]:
    """Objects in a List: each was a document of its own when it was encrypted."""
    items = tree.get("items")
    for item in items if str(tree.get("kind", "")).endswith("List") and isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get(BLOCK), Mapping):
            block = item.pop(BLOCK)
            yield [item], block


def _opened(trees: Trees, block: Any, keys: KeyRing, *, verify_mac: bool) -> Trees:
    metadata = parse_metadata(block)
    return decrypt_tree(trees, metadata, keys.data_key(metadata), verify_mac=verify_mac)


def _texts(value: Any) -> Any:
    """Values as JSON has them, as which SOPS prints them: no bytes, and 3.0 is the integer 3."""
    if isinstance(value, dict):
        return {name: _texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise SopsError("an encrypted value is not UTF-8: put it into `data`, base64-encoded") from None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
