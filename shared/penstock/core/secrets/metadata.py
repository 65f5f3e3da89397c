"""The ``sops`` block of an encrypted file: which keys open it, which values it covers, and its MAC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import KeyGroup, parse_group, text_of
from penstock.core.secrets.values import Comment, is_ciphertext

DEFAULT_UNENCRYPTED_SUFFIX = "_unencrypted"
COMMENT_RULES = ("unencrypted_comment_regex", "encrypted_comment_regex")
_RULES = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex", *COMMENT_RULES)
MOST_KEYS = 1000
MOST_GROUPS = 255
"""Shamir's limit: a share's place is one byte, and not zero."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """A ``sops`` block. ``rule``: which of SOPS's six rules says what is encrypted; ``pattern``: its suffix or regex.

    ``groups``: the master keys. One group: each of its keys wraps the data key; several: each wraps its group's share,
    and ``threshold`` of the groups are needed.
    """

    mac: str
    last_modified: str
    groups: tuple[KeyGroup, ...] = ()
    threshold: int = 1
    rule: str = "unencrypted_suffix"
    pattern: str = DEFAULT_UNENCRYPTED_SUFFIX
    mac_only_encrypted: bool = False

    def covers(self, path: Sequence[str], value: object = None) -> bool:
        """Whether the value at ``path`` (keys only, list places don't count) is encrypted.

        Where comments say so, the value itself tells: what SOPS encrypted looks like nothing else, and comments are
        gone after a build. A file in which that misleads fails its MAC.
        """
        if self.rule in COMMENT_RULES:
            return is_ciphertext(value.text if isinstance(value, Comment) else value)
        if self.rule.endswith("_suffix"):
            hit = any(key.endswith(self.pattern) for key in path)
        else:
            hit = any(_compiled(self.pattern).search(key) is not None for key in path)
        return hit == self.rule.startswith("encrypted")


def parse_metadata(block: Any) -> Metadata:
    """Metadata from the ``sops`` mapping. Raises SopsError naming the field."""
    if not isinstance(block, Mapping):
        raise SopsError("sops: must be a mapping")
    set_rules = [(name, str(block[name])) for name in _RULES if block.get(name)]
    if len(set_rules) > 1:
        raise SopsError(f"sops: cannot use {' and '.join(name for name, _ in set_rules)} in the same file")
    rule, pattern = set_rules[0] if set_rules else (_RULES[0], DEFAULT_UNENCRYPTED_SUFFIX)
    if rule.endswith("_regex"):
        _compiled(pattern)
    groups = _groups(block)
    return Metadata(
        mac=text_of(block, "mac", "sops.mac"),
        last_modified=_zulu(text_of(block, "lastmodified", "sops.lastmodified")),
        groups=groups,
        threshold=_threshold(block, len(groups)),
        rule=rule,
        pattern=pattern,
        mac_only_encrypted=block.get("mac_only_encrypted") in (True, "true", "True", 1, "1"),
    )


def _groups(block: Mapping[str, Any]) -> tuple[KeyGroup, ...]:
    """Keys beside the block's other fields are its only group; ``key_groups`` count where there are none."""
    only = parse_group(block)
    entries = [] if only else block.get("key_groups") or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SopsError("sops.key_groups: must be a list of mappings")
    if len(entries) > MOST_GROUPS:
        raise SopsError(f"sops.key_groups: has {len(entries)} groups, at most {MOST_GROUPS} are possible")
    groups = (only,) if only else tuple(parse_group(entry) for entry in entries)
    if sum(len(group) for group in groups) > MOST_KEYS:
        raise SopsError(f"sops: has more than {MOST_KEYS} keys")
    return groups


def _threshold(block: Mapping[str, Any], groups: int) -> int:
    if groups < 2:
        return groups
    value = block.get("shamir_threshold") or groups
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or not 2 <= int(text) <= groups:
        raise SopsError(f"sops.shamir_threshold: must be a number from 2 to {groups}, as many as there are key_groups")
    return int(text)


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
