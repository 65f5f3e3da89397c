"""The age identities of a decryption Secret, and the data keys that they unwrap."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.secrets.errors import NoKey, SopsError
from penstock.core.secrets.master_keys import AgeKey

KEY_SUFFIX = ".agekey"
_PREFIX = "AGE-SECRET-KEY-1"
_UNSERVED = {"AGE-SECRET-KEY-PQ-1": "post-quantum", "AGE-PLUGIN-": "plugin"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeKeys:
    """Identities (never shown) and their public keys."""

    identities: tuple[Any, ...] = field(default=(), repr=False)
    public: tuple[str, ...] = ()

    def unwrap(self, key: AgeKey) -> bytes:
        """The data key, or share of it, inside. Raises NoKey, naming public keys alone."""
        import pyrage  # noqa: PLC0415 - a compiled library that most renders never need

        if not self.identities:
            raise NoKey("the decryption Secret has no age key (an entry NAME.agekey)")
        try:
            found: bytes = pyrage.decrypt(key.enc.encode(), list(self.identities))
        except pyrage.DecryptError:
            held = ", ".join(self.public)
            raise NoKey(f"the decryption Secret does not have its private key, but those of {held}") from None
        return found


def age_keys(secret: Mapping[str, bytes]) -> AgeKeys:
    """The identities in the entries ``*.agekey`` of a Secret's data; other entries are for other kinds of keys.

    Raises SopsError naming the entry and line of an identity that cannot be used.
    """
    identities = []
    for name in sorted(secret):
        if name.endswith(KEY_SUFFIX):
            lines = secret[name].decode("utf-8", "replace").splitlines()
            identities += [each for n, line in enumerate(lines, 1) if (each := _identity(line.strip(), f"{name}:{n}"))]
    public = tuple(str(each.to_public()) for each in identities)
    return AgeKeys(identities=tuple(identities), public=public)


def _identity(line: str, where: str) -> Any:
    import pyrage  # noqa: PLC0415 - see AgeKeys.unwrap

    if not line or line.startswith("#"):
        return None
    for prefix, kind in _UNSERVED.items():
        if line.startswith(prefix):
            raise SopsError(f"{where}: {kind} age identities are not served yet")
    if not line.startswith(_PREFIX):
        raise SopsError(f"{where}: is no age identity ({_PREFIX}…)")
    try:
        return pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError:
        raise SopsError(f"{where}: is a damaged age identity") from None
