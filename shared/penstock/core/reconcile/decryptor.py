"""Secrets in Git: what of a render is encrypted with SOPS, opened in memory (flux-core §2.7).

The MAC is verified on each encrypted file as it stands in the source. Ciphertext that nothing opens is never applied
as if it were a value.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from penstock.core.errors import BuildFailed, PenstockError
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.age_keys import AgeKeys, age_keys
from penstock.core.secrets.formats import Format, has_marker
from penstock.core.secrets.sops import decrypt_file, decrypt_object, is_encrypted, verify_file
from penstock.core.tree import Inputs, Tree

SWITCH = "kustomize.toolkit.fluxcd.io/decrypt"
_CIPHERTEXT = "ENC[AES256_GCM,"
_FORMATS = {
    "yaml": Format.YAML,
    "yml": Format.YAML,
    "json": Format.JSON,
    "dockerconfigjson": Format.JSON,
    "env": Format.DOTENV,
    "ini": Format.INI,
}
_SOURCE_FORMATS = {name: form for name, form in _FORMATS.items() if name != "dockerconfigjson"}


class Decryptor:
    """``secret``: data of the Kustomization's decryption Secret; ``configured``: it has ``spec.decryption``."""

    def __init__(self, secret: Mapping[str, bytes], *, configured: bool, verify_mac: bool) -> None:
        self._secret = secret
        self._configured, self._verify_mac = configured, verify_mac

    @cached_property
    def _keys(self) -> AgeKeys:
        return age_keys(self._secret)

    def open_object(self, manifest: Manifest) -> Manifest:
        """An object without ciphertext. Raises BuildFailed naming the object, never a value."""
        if _switched_off(manifest):
            return manifest
        try:
            opened = self._open(manifest)
        except PenstockError as error:
            raise BuildFailed(f"decryption failed for '{ref_of(manifest)}': {error}") from error
        if any(text.startswith(_CIPHERTEXT) for text in _secret_texts(opened)):
            raise BuildFailed(
                f"{ref_of(manifest)} holds SOPS ciphertext as a value: it would be applied as it stands. "
                "Encrypt the whole manifest with sops, or set spec.decryption"
            )
        return opened

    def verify_sources(self, tree: Tree, inputs: Inputs) -> None:
        """Verify the MAC of every encrypted file that was read. Raises BuildFailed naming the file."""
        if not (self._configured and self._verify_mac):
            return
        for path in inputs.files:
            found = tree.read(path)
            form = _format_of(path, _SOURCE_FORMATS)
            if found is None or form is None or not has_marker(found.data, form):
                continue
            try:
                verify_file(found.data, form, self._keys)
            except PenstockError as error:
                raise BuildFailed(f"error decrypting sources: {path}: {error}") from error

    def _open(self, manifest: Manifest) -> Manifest:
        if is_encrypted(manifest):
            if not self._configured:
                raise BuildFailed("it is SOPS encrypted: set spec.decryption to have it reconciled")
            return decrypt_object(manifest, self._keys, verify_mac=False)
        if not _is_secret(manifest) or not self._configured:
            return manifest
        data = manifest.get("data") or {}
        opened = {key: self._open_value(key, value) for key, value in data.items()}
        return manifest if opened == data else {**manifest, "data": opened}

    def _open_value(self, key: str, value: Any) -> Any:
        """A Secret's base64 value whose content is a whole SOPS file (a generator's input)."""
        form = _format_of(key, _FORMATS) or Format.BINARY
        try:
            content = base64.b64decode(value, validate=False)
        except (binascii.Error, TypeError, ValueError):
            return value  # the API server reports it
        if not has_marker(content, form):
            return value
        return base64.b64encode(decrypt_file(content, form, self._keys, verify_mac=self._verify_mac)).decode()


def _switched_off(manifest: Manifest) -> bool:
    annotations = manifest["metadata"].get("annotations") or {}
    return str(annotations.get(SWITCH, "")).lower() == "disabled"


def _is_secret(manifest: Manifest) -> bool:
    return manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"


def _secret_texts(manifest: Manifest) -> Iterator[str]:
    """Values of a Secret that could be ciphertext taken for text."""
    if _is_secret(manifest):
        for part in ("data", "stringData"):
            yield from (value for value in (manifest.get(part) or {}).values() if isinstance(value, str))


def _format_of(path: str, formats: Mapping[str, Format]) -> Format | None:
    return formats.get(path.rpartition(".")[2].lower())
