"""Shamir's secret sharing over GF(256), as SOPS splits a data key between key groups.

Spec: getsops/sops, package shamir (Vault's): a share holds one byte for each byte of the secret, and its x as the
last byte. The field is AES's (x^8 + x^4 + x^3 + x + 1); the secret is where the polynomial crosses x = 0.
"""

from collections.abc import Sequence
from functools import reduce
from operator import xor

from penstock.core.secrets.errors import SopsError

_POLYNOMIAL = 0x11B


def combine(shares: Sequence[bytes]) -> bytes:
    """The secret that enough shares stand for; from too few of them comes a wrong one, which nothing here can tell.

    Raises SopsError for fewer than two shares, shares of different lengths, two of the same x, or an x of zero.
    """
    lengths = {len(share) for share in shares}
    if len(shares) < 2 or len(lengths) > 1 or max(lengths) < 2:
        raise SopsError("sops.key_groups: the shares of the data key do not fit together")
    places = [share[-1] for share in shares]
    if len(set(places)) != len(places) or 0 in places:
        raise SopsError("sops.key_groups: two groups hold the same share of the data key")
    weights = [_weight(places, index) for index in range(len(places))]
    columns = zip(*(share[:-1] for share in shares), strict=True)
    return bytes(reduce(xor, map(_times, weights, column)) for column in columns)


def _weight(places: Sequence[int], index: int) -> int:
    """Lagrange's basis polynomial of one share, at zero."""
    weight = 1
    for other, place in enumerate(places):
        if other != index:
            weight = _times(weight, _times(place, _inverse(place ^ places[index])))
    return weight


def _times(one: int, other: int) -> int:
    product = 0
    while other:
        if other & 1:
            product ^= one
        one <<= 1
        if one & 0x100:
            one ^= _POLYNOMIAL
        other >>= 1
    return product


def _inverse(value: int) -> int:
    """``value`` to the 254th power: the group has 255 elements."""
    result = 1
    for _ in range(254):
        result = _times(result, value)
    return result
