"""The ``sops`` block of an encrypted file: which keys open it, which values it covers, and its MAC."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from penstock.core.secrets.errors import SopsError

DEFAULT_UNENCRYPTED_SUFFIX = "_unencrypted"
_RULES = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
_COMMENT_RULES = ("unencrypted_comment_regex", "encrypted_comment_regex")
_OTHER_KEYS = {
    "azure_kv": "Azure Key Vault",
    "gcp_kms": "Google Cloud KMS",
    "hc_vault": "HashiCorp Vault",
    "hckms": "Huawei Cloud KMS",
    "kms": "AWS KMS",
    "pgp": "PGP",
}
_IDENTITY_FIELDS = {
    "kms": "arn",
    "gcp_kms": "resource_id",
    "azure_kv": "vault_url",
    "pgp": "fp",
    "hc_vault": "key_name",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeRecipient:
    """One age recipient: its public key, and the data key encrypted to it (armoured)."""

    public: str
    encrypted_key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """A ``sops`` block. ``rule``: which of SOPS's four rules says what is encrypted; ``pattern``: its suffix or regex.

    ``others``: keys of kinds that are not served, as names for people (``PGP 85D77543…``).
    """

    mac: str
    last_modified: str
    age: tuple[AgeRecipient, ...] = ()
    others: tuple[str, ...] = ()
    rule: str = "unencrypted_suffix"
    pattern: str = DEFAULT_UNENCRYPTED_SUFFIX
    mac_only_encrypted: bool = False

    def covers(self, path: Sequence[str]) -> bool:
        """Whether the value at ``path`` (keys only, list places don't count) is encrypted."""
        if self.rule.endswith("_suffix"):
            hit = any(key.endswith(self.pattern) for key in path)
        else:
            hit = any(_compiled(self.pattern).search(key) is not None for key in path)
        return hit == self.rule.startswith("encrypted")


def parse_metadata(block: Any) -> Metadata:
    """Metadata from the ``sops`` mapping. Raises SopsError naming the field."""
    if not isinstance(block, Mapping):
        raise SopsError("sops: must be a mapping")
    for name in _COMMENT_RULES:
        if block.get(name):
            raise SopsError(f"sops.{name}: encryption by comments is not served: use encrypted_regex")
    set_rules = [(name, str(block[name])) for name in _RULES if block.get(name)]
    if len(set_rules) > 1:
        raise SopsError(f"sops: cannot use {' and '.join(name for name, _ in set_rules)} in the same file")
    rule, pattern = set_rules[0] if set_rules else (_RULES[0], DEFAULT_UNENCRYPTED_SUFFIX)
    if rule.endswith("_regex"):
        _compiled(pattern)
    group = _only_group(block)
    return Metadata(
        mac=_text(block, "mac"),
        last_modified=_zulu(_text(block, "lastmodified")),
        age=tuple(_age(group)),
        others=tuple(_others(group)),
        rule=rule,
        pattern=pattern,
        mac_only_encrypted=block.get("mac_only_encrypted") in (True, "true", "True", 1, "1"),
    )


def _only_group(block: Mapping[str, Any]) -> Mapping[str, Any]:
    groups = block.get("key_groups")
    if not groups:
        return block
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
        raise SopsError("sops.key_groups: must be a list of mappings")
    if len(groups) > 1:
        raise SopsError(
            f"sops.key_groups: {len(groups)} groups (Shamir's secret sharing) are not served: use one group"
        )
    first: Mapping[str, Any] = groups[0]
    return first


def _age(group: Mapping[str, Any]) -> Iterable[AgeRecipient]:
    for entry in _entries(group, "age"):
        yield AgeRecipient(public=_text(entry, "recipient"), encrypted_key=_text(entry, "enc"))


def _others(group: Mapping[str, Any]) -> Iterable[str]:
    for field, kind in _OTHER_KEYS.items():
        for entry in _entries(group, field):
            yield f"{kind} {entry.get(_IDENTITY_FIELDS.get(field, ''), '')}".strip()


def _entries(group: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries = group.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SopsError(f"sops.{name}: must be a list of mappings")
    return entries


def _text(block: Mapping[str, Any], name: str) -> str:
    value = block.get(name, "")
    if not isinstance(value, str):
        raise SopsError(f"sops.{name}: must be a string")
    return value


def _zulu(moment: str) -> str:
    """The time as SOPS formats it before it authenticates the MAC with it."""
    return moment.removesuffix("+00:00") + "Z" if moment.endswith("+00:00") else moment


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    import re2  # noqa: PLC0415 - a compiled library that most renders never need

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise SopsError("sops: its regular expression is malformed") from None
