"""A Secret to a SOPS file for age recipients, as `sops encrypt --encrypted-regex '^(data|stringData)$'` makes one.

For examples and tests: people encrypt with `sops` itself, which reads what this writes.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyrage

from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.resources import Manifest
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.metadata import Metadata
from penstock.core.secrets.values import DATA_KEY_BYTES, NONCE_BYTES, encrypt_value, mac_bytes
from penstock.core.secrets.yaml_tree import load_yaml

ENCRYPTED_REGEX = "^(data|stringData)$"
VERSION = "3.9.0"
"""The release of SOPS whose format this is: all since read it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fresh:
    """What may never repeat. ``random``: so many cryptographically random bytes; ``now``: RFC 3339 UTC, seconds, Z."""

    random: Callable[[int], bytes]
    now: str


def encrypt_secret(manifest: Manifest, recipients: Sequence[str], fresh: Fresh) -> str:
    """YAML with the values of ``data`` and ``stringData`` encrypted to all ``recipients`` (``age1…``).

    Raises SopsError for a recipient that is none, or a value there that is no string.
    """
    if not recipients:
        raise SopsError("needs at least one age recipient")
    key = fresh.random(DATA_KEY_BYTES)
    return seal(
        manifest, key, {"age": [{"recipient": each, "enc": _sealed_key(key, each)} for each in recipients]}, fresh
    )


def seal(manifest: Manifest, key: bytes, masters: Mapping[str, Any], fresh: Fresh) -> str:
    """The same under a data key that is wrapped already. ``masters``: the entries of the ``sops`` block, by kind."""
    (tree,) = load_yaml(dump_one(manifest))  # in the order and types in which SOPS will read it
    sealing = _Sealing(key, fresh)
    sealed = sealing.visit(tree, ())
    mac = encrypt_value(sealing.mac.hexdigest().upper(), key, fresh.now, fresh.random(NONCE_BYTES))
    sealed["sops"] = {
        **masters,
        "encrypted_regex": ENCRYPTED_REGEX,
        "lastmodified": fresh.now,
        "mac": mac,
        "version": VERSION,
    }
    return dump_one(sealed)


class _Sealing:
    def __init__(self, key: bytes, fresh: Fresh) -> None:
        self._key, self._fresh = key, fresh
        self._rules = Metadata(mac="", last_modified=fresh.now, rule="encrypted_regex", pattern=ENCRYPTED_REGEX)
        self.mac = hashlib.sha512()

    def visit(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {name: self.visit(item, (*path, str(name))) for name, item in value.items()}
        if isinstance(value, list):
            return [self.visit(item, path) for item in value]
        if value is None:
            return None
        self.mac.update(mac_bytes(value))
        if not self._rules.covers(path):
            return value
        if not isinstance(value, str):
            raise SopsError(f"{'.'.join(path)}: must be a string")
        return encrypt_value(value, self._key, ":".join(path) + ":", self._fresh.random(NONCE_BYTES))


def _sealed_key(key: bytes, recipient: str) -> str:
    try:
        sealed: bytes = pyrage.encrypt(key, [pyrage.x25519.Recipient.from_str(recipient)], armored=True)
    except (pyrage.RecipientError, pyrage.EncryptError):
        raise SopsError(f"{recipient[:80]!r} is no age recipient (age1…)") from None
    return sealed.decode()
