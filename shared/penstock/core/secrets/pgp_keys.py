"""The PGP private keys of a decryption Secret (``*.asc``), and the data keys that they unwrap: no keyring, no agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.secrets.errors import NoKey, SopsError
from penstock.core.secrets.master_keys import PgpKey

KEY_SUFFIX = ".asc"
_BEGIN = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_END = b"-----END PGP PRIVATE KEY BLOCK-----"
MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class PgpKeys:
    """``keys``: private keys without a passphrase (never shown); ``fingerprints``: of their primary keys."""

    keys: tuple[Any, ...] = field(default=(), repr=False)
    fingerprints: tuple[str, ...] = ()

    def unwrap(self, key: PgpKey) -> bytes:
        """The data key, or share of it, inside. Raises NoKey, naming fingerprints alone.

        Every key is tried: what a file names may be a subkey.
        """
        import pysequoia  # noqa: PLC0415 - a compiled library that most renders never need

        if not self.keys:
            raise NoKey("the decryption Secret has no PGP key (an entry NAME.asc)")
        for each in self.keys:
            try:
                found = pysequoia.decrypt(key.enc.encode(), decryptor=each.decryptor()).bytes
            except Exception:  # noqa: BLE001, S112 - the library raises no narrower class; its texts are not ours to repeat
                continue
            if found is not None:
                return bytes(found)
        held = ", ".join(self.fingerprints)
        raise NoKey(f"the decryption Secret has no usable private key for it, but {held}; a passphrase cannot be given")


def pgp_keys(secret: Mapping[str, bytes]) -> PgpKeys:
    """The private keys in the entries ``*.asc`` of a Secret's data.

    Raises SopsError naming an entry that holds no armoured private key.
    """
    keys = [each for name in sorted(secret) if name.endswith(KEY_SUFFIX) for each in _keys(name, secret[name])]
    return PgpKeys(keys=tuple(keys), fingerprints=tuple(key.extract_certificate().fingerprint.upper() for key in keys))


def _keys(name: str, text: bytes) -> list[Any]:
    """The keys of an entry: gpg exports several of them as one block."""
    import pysequoia  # noqa: PLC0415 - see PgpKeys.unwrap
    from pysequoia.packet import PacketPile, Tag  # noqa: PLC0415 - see PgpKeys.unwrap

    blocks = [_BEGIN + part.partition(_END)[0] + _END for part in text.split(_BEGIN)[1:]]
    if not blocks or len(text) > MOST_BYTES:
        raise SopsError(f"{name}: is no armoured PGP private key (gpg --export-secret-keys --armor)")
    keys: list[list[Any]] = []
    try:
        for packet in (packet for block in blocks for packet in PacketPile.from_bytes(block)):
            if packet.tag in (Tag.SecretKey, Tag.PublicKey):
                keys.append([])
            keys[-1].append(packet)
        return [pysequoia.Tsk.from_packets(packets) for packets in keys if packets[0].tag == Tag.SecretKey]
    except Exception:  # noqa: BLE001 - see PgpKeys.unwrap
        raise SopsError(f"{name}: is a damaged PGP private key") from None
