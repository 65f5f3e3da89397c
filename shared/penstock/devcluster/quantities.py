"""Quantities (``500m``, ``1Gi``) in the canonical form in which the API server stores them."""

import re
from decimal import ROUND_UP, Decimal

BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
FORM = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d+))")
PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


def canonical(value: str | float) -> str:
    """The canonical text of a quantity. Raises ValueError where it is none."""
    text = str(value).strip()
    match = FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    sign, number, binary, decimal, exponent = match.groups()
    amount = Decimal(number) * (-1 if sign == "-" else 1)
    if binary:
        return _binary(amount * 1024 ** BINARY.index(binary))
    if exponent is not None:
        return _decimal(amount.scaleb(int(exponent)), exponents=True)
    return _decimal(amount.scaleb(DECIMAL[decimal or ""]), exponents=False)


def _binary(amount: Decimal) -> str:
    if amount != amount.to_integral_value() or abs(amount) < 1024:
        return _decimal(amount, exponents=False)
    whole, power = int(amount), 0
    while whole and whole % 1024 == 0 and power < len(BINARY) - 1:
        whole, power = whole // 1024, power + 1
    return f"{whole}{BINARY[power]}"


def _decimal(amount: Decimal, *, exponents: bool) -> str:
    amount = amount.quantize(Decimal("1e-9"), rounding=ROUND_UP) if amount else Decimal(0)
    if not amount:
        return "0"
    scaled, power = int(amount.scaleb(9)), -9
    while scaled % 1000 == 0 and power < 18:
        scaled, power = scaled // 1000, power + 3
    suffix = next(name for name, value in DECIMAL.items() if value == power)
    if exponents:
        return f"{scaled}e{power}" if power else str(scaled)
    return f"{scaled}{suffix}"
