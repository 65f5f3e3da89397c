"""Decryption of one Kustomization: its source's files before the build, its objects after it.

Order and reach are Flux's (docs/spec/v1/kustomizations.md, "Decryption"): generator inputs and patches in place,
then each object that carries SOPS's block, then encrypted entries of a Secret's ``data``. Unlike Flux, MACs are
verified, and ciphertext that nothing would decrypt is refused instead of applied: a whole object with SOPS's block,
and values in `data` and `stringData` of any kind.
"""

import base64
import binascii
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from penstock.core.errors import PenstockError, Transient
from penstock.core.resources import Manifest, ref_of
from penstock.core.secrets.errors import MacMismatch, SopsError
from penstock.core.secrets.formats import Format, detect, format_of, has_marker
from penstock.core.secrets.key_ring import KeyRing
from penstock.core.secrets.sops import BLOCK, decrypt_file, decrypt_object, is_encrypted, verify_file
from penstock.core.secrets.sources import encrypted_inputs
from penstock.core.secrets.values import ciphertexts, is_ciphertext
from penstock.core.tree import Blob, Inputs, Tree, blob

_CODED_START = base64.b64encode(b"ENC[AES256_GCM,").decode()
DECRYPT_SWITCH = "kustomize.toolkit.fluxcd.io/decrypt"


class Decryptor:
    """Keys and rules for one render. ``repr`` and errors hold no secrets.

    ``keys``: of the decryption Secret, and ways to ask key services; ``configured``: whether the Kustomization has
    ``spec.decryption``; ``verify_mac``: whether a wrong MAC is an error (else one of ``warnings``).
    """

    __slots__ = ("_configured", "_keys", "_unopened", "_verified", "_verify_mac", "_warnings")

    def __init__(self, keys: KeyRing, *, configured: bool, verify_mac: bool = True) -> None:
        self._keys = keys
        self._configured, self._verify_mac = configured, verify_mac
        self._verified: set[str] = set()
        self._unopened: dict[str, bytes] = {}
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Files whose MAC does not hold, where that is let pass."""
        return tuple(self._warnings)

    def sources(self, tree: Tree, directory: str) -> Tree:
        """The tree to build from: generator inputs and patches below ``directory`` are plaintext there."""
        if not self._configured:
            return tree
        inputs = encrypted_inputs(tree, directory)
        return _OpenedTree(tree, inputs, self) if inputs else tree

    def verify_sources(self, tree: Tree, inputs: Inputs) -> None:
        """Check the MAC of every encrypted file that a render read.

        Raises MacMismatch, or Transient where a key service cannot be asked now; both name the file. A file that no
        key opens is passed over: an object that comes of it is not opened (see open_object).
        """
        if not self._configured:
            return
        for path in inputs.files:
            file = tree.read(path)
            form = None if file is None else _form(path, file.data)
            if file is not None and form is not None:
                self._verify(path, file.data, form)

    def open_object(self, manifest: Manifest) -> Manifest:
        """The object as plaintext; one without ciphertext as it is. Raises SopsError or Transient naming the object."""
        try:
            return self._open_object(manifest)
        except (SopsError, Transient) as error:
            raise _named(f"decryption failed for '{_name(manifest)}'{self._file_of(manifest)}: ", error) from None

    def _file_of(self, manifest: Manifest) -> str:
        """Where an object that cannot be opened stands, if that is known: no two files share a MAC."""
        block = manifest.get(BLOCK)
        mac = block.get("mac") if isinstance(block, Mapping) else None
        found = [path for path, data in self._unopened.items() if isinstance(mac, str) and mac and mac.encode() in data]
        return f" in {found[0]}" if found else ""

    def open_file(self, path: str, data: bytes, form: Format) -> bytes:
        """A generator input or patch as plaintext. Raises SopsError or Transient naming the file."""
        if not has_marker(data, form):
            return data
        self._verify(path, data, form)
        try:
            return decrypt_file(data, form, self._keys, verify_mac=False)
        except (SopsError, Transient) as error:
            raise _named(f"error decrypting sources: {path}: ", error) from None

    def _verify(self, path: str, data: bytes, form: Format) -> None:
        try:
            self._verified |= verify_file(data, form, self._keys)
        except MacMismatch as error:
            if self._verify_mac:
                raise MacMismatch(f"{path}: {error}") from None
            self._warnings.append(f"{path}: {error}")
        except Transient as error:
            raise _named(f"{path}: ", error) from None
        except SopsError:
            self._unopened[path] = data  # not readable here: an error where, and if, its content is used

    def _open_object(self, manifest: Manifest) -> Manifest:
        annotations = manifest["metadata"].get("annotations") or {}
        if str(annotations.get(DECRYPT_SWITCH, "")).lower() == "disabled":
            return manifest
        if manifest.get(BLOCK) is not None:
            return self._open_whole(manifest)
        secret = (manifest["apiVersion"], manifest["kind"]) == ("v1", "Secret")
        opened = self._open_entries(manifest) if secret else manifest
        for field in ("data", "stringData"):
            left = next(ciphertexts(opened.get(field), field), None) or (secret and _coded(opened.get(field), field))
            if left:
                raise SopsError(f"{left} is SOPS ciphertext, but the object has no `{BLOCK}` block to decrypt it")
        return opened

    def _open_whole(self, manifest: Manifest) -> Manifest:
        """An object with SOPS's block: everything encrypted in it becomes plaintext, or it is refused."""
        if not is_encrypted(manifest):
            if next(ciphertexts(manifest, ""), None) is None and manifest["kind"] != "Secret":
                return manifest  # a field of that name, and nothing of SOPS's
            raise SopsError(f"its `{BLOCK}` block has no MAC: encrypt it again")
        if not self._configured:
            raise SopsError("is SOPS encrypted: configuring spec.decryption is required to reconcile it")
        opened = decrypt_object(manifest, self._keys, verify_mac=False)
        left = next(ciphertexts(opened, ""), None)
        if left is not None:
            raise SopsError(f"{left} is still ciphertext after decryption: it is not covered by the rules in `{BLOCK}`")
        self._check_verified(manifest)
        return opened

    def _check_verified(self, manifest: Manifest) -> None:
        """What was in no file that could be verified, a patch say, is verified as it stands now."""
        if str(manifest[BLOCK]["mac"]) in self._verified or not self._verify_mac:
            return
        decrypt_object(manifest, self._keys, verify_mac=True)

    def _open_entries(self, secret: Manifest) -> Manifest:
        entries = secret.get("data")
        if not isinstance(entries, dict):
            return secret
        opened = {name: self._open_entry(name, value) for name, value in entries.items()}
        return secret if opened == entries else {**secret, "data": opened}

    def _open_entry(self, name: str, value: Any) -> Any:
        try:
            data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
        except (binascii.Error, ValueError):
            return value  # the API server says what is wrong with it
        form = detect(data)
        if form is None:
            return value
        if not self._configured:
            raise SopsError(f"data.{name} is SOPS encrypted: configuring spec.decryption is required to reconcile it")
        try:
            plain = decrypt_file(data, form, self._keys, verify_mac=self._verify_mac, output=format_of(name))
        except SopsError as error:
            raise SopsError(f"data.{name}: {error}") from None
        return base64.b64encode(plain).decode()


class _OpenedTree:
    """A Tree in which some files are read as plaintext (see Tree)."""

    __slots__ = ("_decryptor", "_inputs", "_opened", "_tree")

    def __init__(self, tree: Tree, inputs: Mapping[str, Format], decryptor: Decryptor) -> None:
        self._tree, self._inputs, self._decryptor = tree, inputs, decryptor
        self._opened: dict[str, Blob] = {}

    def read(self, path: str) -> Blob | None:
        found = self._tree.read(path)
        if found is None or path not in self._inputs:
            return found
        if path not in self._opened:
            plain = self._decryptor.open_file(path, found.data, self._inputs[path])
            self._opened[path] = found if plain is found.data else blob(plain, executable=found.executable)
        return self._opened[path]

    def is_dir(self, path: str) -> bool:
        return self._tree.is_dir(path)

    def list(self, path: str) -> tuple[str, ...] | None:
        return self._tree.list(path)


def _name(manifest: Manifest) -> str:
    """Who it is; files that were encrypted as a whole have ciphertext even for a name."""
    ref = ref_of(manifest)
    if any(is_ciphertext(part) for part in (ref.kind, ref.namespace, ref.name)):
        return "an object whose kind or name is encrypted"
    return str(ref)


def _coded(entries: Any, field: str) -> str:
    """The path of an entry whose decoded text is ciphertext, as a generator makes it of a file that nobody opened."""
    for name, value in entries.items() if isinstance(entries, dict) else ():
        if isinstance(value, str) and value.startswith(_CODED_START):
            with suppress(binascii.Error, UnicodeDecodeError):
                if is_ciphertext(base64.b64decode(value, validate=True).decode()):
                    return f"{field}.{name}"
    return ""


def _form(path: str, data: bytes) -> Format | None:
    promised = format_of(path)
    return promised if has_marker(data, promised) else detect(data)


def _named(where: str, error: SopsError | Transient) -> PenstockError:
    """The same error, saying where."""
    if isinstance(error, Transient):
        return Transient(f"{where}{error}", reason=error.reason, retry_after=error.retry_after)
    return type(error)(f"{where}{error}")
