"""One SOPS value: ``ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`` to its plaintext and back, and what the MAC sees.

Spec: getsops/sops, package aes, and the README's "Encryption Protocol". The path of a value (``data:password:``)
is authenticated with it, so that a value cannot be moved to another key.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from penstock.core.secrets.errors import SopsError

DATA_KEY_BYTES = 32
NONCE_BYTES = 32
_TAG_BYTES = 16
_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_INT = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True, eq=False)
class Comment:
    """A comment in a tree: in no MAC. As a mapping's key it stands for a line of its own."""

    text: str


class Repeated(str):
    """A key that stands in its mapping already: JSON, dotenv and INI (sections) allow that, and so does SOPS."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Moment(str):
    """A timestamp, RFC 3339: printed without quotes where the format has timestamps."""

    __slots__ = ()


Leaf = str | int | float | bool | bytes | Comment


def is_ciphertext(value: object) -> bool:
    """Whether a value looks like one that SOPS encrypted."""
    return isinstance(value, str) and value.startswith("ENC[AES256_GCM,") and value.endswith("]")


def ciphertexts(value: object, path: str) -> Iterator[str]:
    """Dotted paths of the values in a document that look like ciphertext; ``path``: where ``value`` stands."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ciphertexts(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from ciphertexts(item, f"{path}[{index}]")
    elif is_ciphertext(value):
        yield path


def decrypt_value(text: str, key: bytes, additional: str) -> Leaf:
    """The plaintext in its own type; ``additional``: the authenticated path. Raises SopsError without any value."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - most renders hold no ciphertext: quick to load
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

    if not text:
        return ""
    found = _ENCRYPTED.match(text)
    if found is None:
        raise SopsError("a value that should be encrypted is not in SOPS's format")
    try:
        data, nonce, tag = (base64.b64decode(part, validate=True) for part in found.groups()[:3])
        plain = AESGCM(key).decrypt(nonce, data + tag, additional.encode())
    except (binascii.Error, ValueError):
        raise SopsError("an encrypted value is damaged: its parts are not what AES-GCM takes") from None
    except InvalidTag:
        raise SopsError("a value cannot be decrypted: it was changed, or moved from another key") from None
    return _typed(plain, found[4])


def encrypt_value(value: str, key: bytes, additional: str, nonce: bytes) -> str:
    """A string as SOPS writes it (type ``str``); the empty string stays empty. ``nonce``: 32 fresh random bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see decrypt_value

    if not value:
        return ""
    sealed = AESGCM(key).encrypt(nonce, value.encode(), additional.encode())
    parts = (sealed[:-_TAG_BYTES], nonce, sealed[-_TAG_BYTES:])
    data, iv, tag = (base64.b64encode(part).decode() for part in parts)
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"


def mac_bytes(value: Leaf) -> bytes:
    """What the MAC covers of a plaintext value: its text as Go (and SOPS's first, Python, version) wrote it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        return float_text(value).encode()
    return (value.text if isinstance(value, Comment) else str(value)).encode()


def float_text(value: float) -> str:
    """Go's FormatFloat(value, 'f', -1, 64): the shortest digits, never an exponent."""
    if math.isinf(value) or math.isnan(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _typed(plain: bytes, kind: str) -> Leaf:
    if kind == "bytes":
        return plain
    try:
        text = plain.decode()
        return _READERS[kind](text)
    except UnicodeDecodeError:
        if kind == "str":
            return plain  # binary files are encrypted as strings
        raise SopsError(f"an encrypted {kind} is not UTF-8") from None
    except (KeyError, ValueError):
        raise SopsError("an encrypted value does not have the type that it claims") from None


def _integer(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _boolean(text: str) -> bool:
    if text not in (*_TRUE, *_FALSE):
        raise ValueError(text)
    return text in _TRUE


_READERS: dict[str, Callable[[str], Leaf]] = {
    "str": str,
    "time": Moment,
    "comment": Comment,
    "int": _integer,
    "bool": _boolean,
    "float": float,
}
