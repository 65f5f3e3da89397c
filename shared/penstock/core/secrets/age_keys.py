"""The age identities of a decryption Secret, and the data key that they open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.secrets.errors import NoKey, SopsError
from penstock.core.secrets.metadata import Metadata
from penstock.core.secrets.values import DATA_KEY_BYTES

KEY_SUFFIX = ".agekey"
_PREFIX = "AGE-SECRET-KEY-1"
_UNSERVED = {"AGE-SECRET-KEY-PQ-1": "post-quantum", "AGE-PLUGIN-": "plugin"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeKeys:
    """Identities (never shown) and their public keys."""

    identities: tuple[Any, ...] = field(default=(), repr=False)
    public: tuple[str, ...] = ()

    def data_key(self, metadata: Metadata) -> bytes:
        """The file's data key (32 bytes). Raises NoKey, naming public keys alone."""
        import pyrage  # noqa: PLC0415 - a compiled library that most renders never need

        wanted = [each for each in metadata.age if each.public in self.public]
        for recipient in (*wanted, *(each for each in metadata.age if each not in wanted)):
            try:
                key: bytes = pyrage.decrypt(recipient.encrypted_key.encode(), list(self.identities))
            except pyrage.DecryptError:
                continue
            if len(key) != DATA_KEY_BYTES:
                raise SopsError(f"the data key for {recipient.public} does not have {DATA_KEY_BYTES} bytes")
            return key
        raise NoKey(self._missing(metadata))

    def _missing(self, metadata: Metadata) -> str:
        if not metadata.age:
            kinds = ", ".join(metadata.others) or "no key at all"
            return f"it is encrypted with {kinds}: only age keys are served yet"
        recipients = ", ".join(each.public for each in metadata.age)
        held = ", ".join(self.public) or "none"
        return f"no key for it: it is encrypted to age {recipients}; the age keys at hand are {held}"


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
    import pyrage  # noqa: PLC0415 - see AgeKeys.data_key

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
