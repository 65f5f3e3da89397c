"""Bech32 (BIP 173) as age writes its keys: without a limit of length. A key's kind, and its bytes."""

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def bech32_decode(text: str) -> tuple[str, bytes]:
    """(prefix in lower case, bytes). Raises ValueError, without the text, for what is no Bech32."""
    if text not in (text.lower(), text.upper()):
        raise ValueError("letters of both cases")
    prefix, _, rest = text.lower().rpartition("1")
    values = [_LETTERS.find(letter) for letter in rest]
    if not prefix or -1 in values or len(values) < _CHECKSUM or _polymod([*_expanded(prefix), *values]) != 1:
        raise ValueError("a wrong letter or checksum")
    return prefix, _regrouped(values[:-_CHECKSUM])


def bech32_encode(prefix: str, data: bytes) -> str:
    """The text, in lower case."""
    number = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    groups = -(-len(data) * 8 // 5)
    values = [number >> 5 * place & 31 for place in reversed(range(groups))]
    check = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM]) ^ 1
    values += [check >> 5 * place & 31 for place in reversed(range(_CHECKSUM))]
    return f"{prefix}1{''.join(_LETTERS[value] for value in values)}"


def _regrouped(values: list[int]) -> bytes:
    number = 0
    for value in values:
        number = number << 5 | value
    spare = len(values) * 5 % 8
    if spare >= 5 or number & ((1 << spare) - 1):
        raise ValueError("padding that is none")
    return (number >> spare).to_bytes(len(values) * 5 // 8, "big")


def _expanded(prefix: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return check
