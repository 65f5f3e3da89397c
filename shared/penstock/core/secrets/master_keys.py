"""The master keys of a SOPS file: what wraps its data key, one dataclass for each kind of key.

Spec: getsops/sops, the ``sops`` block. ``enc`` is the wrapped data key as the file has it; ``str()`` is what people
read: the kind and the key's own name, as short as it stays clear.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.secrets.errors import SopsError

LONGEST_NAME = 300
"""Of a key's name in a message: who writes the file writes the name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeKey:
    """``recipient``: an age public key, or an SSH one. ``enc``: armoured."""

    recipient: str
    enc: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"age {self.recipient}"[:LONGEST_NAME]


@dataclass(frozen=True, kw_only=True, slots=True)
class PgpKey:
    """``fingerprint``: of the key or subkey, hexadecimal. ``enc``: an armoured message."""

    fingerprint: str
    enc: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"PGP {self.fingerprint}"[:LONGEST_NAME]


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsKmsKey:
    """``role``: ARN of a role to assume first, or ""; ``context``: the encryption context; ``enc``: base64."""

    arn: str
    role: str = ""
    context: tuple[tuple[str, str], ...] = ()
    enc: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"AWS KMS {self.arn}"[:LONGEST_NAME]


@dataclass(frozen=True, kw_only=True, slots=True)
class GcpKmsKey:
    """``resource``: ``projects/…/locations/…/keyRings/…/cryptoKeys/…``; ``enc``: base64."""

    resource: str
    enc: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"Google Cloud KMS {self.resource}"[:LONGEST_NAME]


@dataclass(frozen=True, kw_only=True, slots=True)
class AzureKey:
    """``vault_url``: ``https://NAME.vault.azure.net``; ``enc``: base64url without padding (RSA-OAEP-256)."""

    vault_url: str
    name: str
    version: str = ""
    enc: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"Azure Key Vault {self.vault_url}/keys/{self.name}"[:LONGEST_NAME]


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultKey:
    """A key of Vault's or OpenBao's transit engine. ``enc``: ``vault:v1:…``."""

    address: str
    engine: str
    name: str
    enc: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        return f"Vault {self.address}/v1/{self.engine}/keys/{self.name}"[:LONGEST_NAME]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnservedKey:
    """A key of a kind that nothing here opens. ``title``: for people."""

    title: str

    def __str__(self) -> str:
        """For people."""
        return self.title[:LONGEST_NAME]


ServiceKey = AwsKmsKey | GcpKmsKey | AzureKey | VaultKey
"""Keys that never leave their service: it unwraps the data key (ports/keys.py)."""

LocalKey = AgeKey | PgpKey
"""Keys whose private half stands in the decryption Secret."""

MasterKey = LocalKey | ServiceKey | UnservedKey
KeyGroup = tuple[MasterKey, ...]

FIELDS = ("kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age")
"""The kinds in the order in which SOPS lists the keys of a group."""


def parse_group(block: Mapping[str, Any]) -> KeyGroup:
    """The keys of a ``sops`` block, or of an entry of its ``key_groups``. Raises SopsError naming the field."""
    return tuple(_key(name, entry) for name in FIELDS for entry in _entries(block, name))


def _key(kind: str, entry: Mapping[str, Any]) -> MasterKey:
    def text(name: str) -> str:
        return text_of(entry, name, f"sops.{kind}[].{name}")

    makers: dict[str, Callable[[], MasterKey]] = {
        "age": lambda: AgeKey(recipient=text("recipient"), enc=text("enc")),
        "pgp": lambda: PgpKey(fingerprint=text("fp"), enc=text("enc")),
        "kms": lambda: AwsKmsKey(arn=text("arn"), role=text("role"), context=_context(entry), enc=text("enc")),
        "gcp_kms": lambda: GcpKmsKey(resource=text("resource_id"), enc=text("enc")),
        "azure_kv": lambda: AzureKey(
            vault_url=text("vault_url"), name=text("name"), version=text("version"), enc=text("enc")
        ),
        "hc_vault": lambda: VaultKey(
            address=text("vault_address"), engine=text("engine_path"), name=text("key_name"), enc=text("enc")
        ),
        "hckms": lambda: UnservedKey(title=f"Huawei Cloud KMS {text('key_id')}"),
    }
    return makers[kind]()


def _context(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    context = entry.get("context") or {}
    if not isinstance(context, Mapping):
        raise SopsError("sops.kms[].context: must be a mapping")
    return tuple(sorted((str(k), text_of(context, k, f"sops.kms[].context.{k}")) for k in context))


def _entries(block: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    entries = block.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SopsError(f"sops.{name}: must be a list of mappings")
    yield from entries


def text_of(block: Mapping[str, Any], name: str, where: str) -> str:
    """A field that is a string, or "" where it is absent. Raises SopsError naming ``where``."""
    value = block.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SopsError(f"{where}: must be a string")
    return value
