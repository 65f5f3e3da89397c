"""Kubernetes quantities as exact numbers: ``500m`` and ``0.5`` are equal, ``1Gi`` and ``1024Mi`` too."""

import re
from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_QUANTITY = re.compile(r"([+-]?(?:\d{1,32}(?:\.\d{0,32})?|\.\d{1,32}))(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")


def parse_quantity(value: str | float) -> Decimal | None:
    """The number that a quantity stands for; None where it isn't one."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    scale = Decimal(f"1e{exponent}") if exponent else _SUFFIXES[suffix or ""]
    return Decimal(number) * scale


def same_quantity(left: str | float, right: str | float) -> bool:
    """Whether both are quantities, of equal value."""
    parsed = parse_quantity(left)
    return parsed is not None and parsed == parse_quantity(right)
