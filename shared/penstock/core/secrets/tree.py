"""Decrypting a whole tree of values, in the file's order, with the MAC over what comes out.

A tree is what a file's format was read into: mappings (whose keys are strings, or a Comment for a line of its own),
lists, and leaves.
"""

import hashlib
import hmac
from typing import Any

from penstock.core.secrets.errors import MacMismatch, SopsError
from penstock.core.secrets.metadata import Metadata
from penstock.core.secrets.values import Comment, decrypt_value, mac_bytes

_ONLY_ENCRYPTED = hashlib.sha256(b"sops").digest()
"""What SOPS starts the MAC with when it covers encrypted values alone."""


def decrypt_tree(trees: list[Any], metadata: Metadata, key: bytes, *, verify_mac: bool) -> list[Any]:
    """The documents of one file, decrypted. Raises MacMismatch, or SopsError naming the key's path."""
    walk = _Walk(metadata, key)
    plain = [walk.visit(tree, ()) for tree in trees]
    if verify_mac:
        _verify(metadata, key, walk.mac.hexdigest().upper())
    return plain


class _Walk:
    def __init__(self, metadata: Metadata, key: bytes) -> None:
        self._metadata, self._key = metadata, key
        self.mac = hashlib.sha512(_ONLY_ENCRYPTED if metadata.mac_only_encrypted else b"")

    def visit(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return dict(self._entry(name, item, path) for name, item in value.items())
        if isinstance(value, list):
            visited = [self.visit(item, path) for item in value]
            return [item for item in visited if not isinstance(item, Comment)]
        return None if value is None else self._leaf(value, path)

    def _entry(self, name: Any, item: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
        if isinstance(name, Comment):
            return self._comment(name, path), None
        if not isinstance(name, str):
            raise SopsError(f"{':'.join(path)}: holds a key that is not a string")
        return name, self.visit(item, (*path, name))

    def _leaf(self, value: Any, path: tuple[str, ...]) -> Any:
        covered = self._metadata.covers(path, value)
        plain = self._opened(value, path) if covered else value
        if (covered or not self._metadata.mac_only_encrypted) and not isinstance(plain, Comment):
            self.mac.update(mac_bytes(plain))
        return plain

    def _opened(self, value: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(value, str):
            raise SopsError(f"{':'.join(path)}: should be encrypted, and is not: encrypt the file again")
        try:
            return decrypt_value(value, self._key, _additional(path))
        except SopsError as error:
            raise SopsError(f"{':'.join(path)}: {error}") from None

    def _comment(self, comment: Comment, path: tuple[str, ...]) -> Comment:
        """Older releases of SOPS left comments as they were: what doesn't open stays."""
        if not self._metadata.covers(path, comment):
            return comment
        try:
            plain = decrypt_value(comment.text, self._key, _additional(path))
        except SopsError:
            return comment
        return plain if isinstance(plain, Comment) else Comment(mac_bytes(plain).decode("utf-8", "replace"))


def _additional(path: tuple[str, ...]) -> str:
    return ":".join(path) + ":"


def _verify(metadata: Metadata, key: bytes, computed: str) -> None:
    try:
        recorded = mac_bytes(decrypt_value(metadata.mac, key, metadata.last_modified))
    except SopsError:
        raise MacMismatch("its MAC cannot be decrypted: sops.mac or sops.lastmodified was changed") from None
    if not hmac.compare_digest(recorded, computed.encode()):
        what = "was changed after it was encrypted" if recorded else "has no MAC"
        raise MacMismatch(
            f"MAC mismatch: the file {what}; change it with `sops edit` (policy.sopsMac: warn lets it pass)"
        )
