"""The age identities of a decryption Secret, and the data keys that they unwrap."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from penstock.core.secrets.age_hybrid import HybridIdentity, decrypt_hybrid, parse_hybrid
from penstock.core.secrets.errors import NoKey, SopsError
from penstock.core.secrets.master_keys import AgeKey

KEY_SUFFIX = ".agekey"
_PREFIX, _HYBRID, _PLUGIN = "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1", "AGE-PLUGIN-"
_SSH = "PRIVATE KEY-----"
_SHOWN = 62
"""Letters of a public key in a message: all of the common kind, whose length it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeKeys:
    """Identities (never shown), those for post-quantum keys apart, and how people know them."""

    identities: tuple[Any, ...] = field(default=(), repr=False)
    hybrid: tuple[HybridIdentity, ...] = field(default=(), repr=False)
    public: tuple[str, ...] = ()

    def unwrap(self, key: AgeKey) -> bytes:
        """The data key, or share of it, inside. Raises NoKey, naming public keys alone."""
        import pyrage  # noqa: PLC0415 - a compiled library that most renders never need

        if not self.public:
            raise NoKey("the decryption Secret has no age key (an entry NAME.agekey)")
        found = decrypt_hybrid(key.enc, self.hybrid) if self.hybrid else None
        if found is None and self.identities:
            with suppress(pyrage.DecryptError):
                found = pyrage.decrypt(key.enc.encode(), list(self.identities))
        if found is None:
            held = ", ".join(each if len(each) <= _SHOWN else f"{each[:_SHOWN]}…" for each in self.public)
            raise NoKey(f"the decryption Secret does not have its private key, but those of {held}")
        return found


def age_keys(secret: Mapping[str, bytes]) -> AgeKeys:
    """The identities in the entries ``*.agekey`` of a Secret's data; other entries are for other kinds of keys.

    Raises SopsError naming the entry and line of an identity that cannot be used.
    """
    identities, hybrid, public = list[Any](), list[HybridIdentity](), list[str]()
    for name, text in _entries(secret):
        if _SSH in text:
            identities.append(_ssh(text, name))
            public.append(f"an SSH key in {name}")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = _identity(line.strip(), f"{name}:{number}")
            if isinstance(found, HybridIdentity):
                hybrid.append(found)
                public.append(found.recipient)
            elif found is not None:
                identities.append(found)
                public.append(str(found.to_public()))
    return AgeKeys(identities=tuple(identities), hybrid=tuple(hybrid), public=tuple(public))


def _entries(secret: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for name in sorted(secret):
        if name.endswith(KEY_SUFFIX):
            yield name, secret[name].decode("utf-8", "replace")


def _ssh(text: str, name: str) -> Any:
    """An SSH private key, the whole entry."""
    import pyrage  # noqa: PLC0415 - see AgeKeys.unwrap

    try:
        return pyrage.ssh.Identity.from_buffer(text.encode())
    except pyrage.IdentityError:
        raise SopsError(f"{name}: is no SSH private key that can be used (Ed25519 or RSA, no passphrase)") from None


def _identity(line: str, where: str) -> Any:
    import pyrage  # noqa: PLC0415 - see AgeKeys.unwrap

    if not line or line.startswith("#"):
        return None
    if line.startswith(_PLUGIN):
        raise SopsError(f"{where}: plugins of age run programs, which nobody but the operator may")
    if not line.startswith((_PREFIX, _HYBRID)):
        raise SopsError(f"{where}: is no age identity ({_PREFIX}…)")
    try:
        return parse_hybrid(line) if line.startswith(_HYBRID) else pyrage.x25519.Identity.from_str(line)
    except (pyrage.IdentityError, ValueError):
        raise SopsError(f"{where}: is a damaged age identity") from None
