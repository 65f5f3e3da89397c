"""Quantities (``500m``, ``1Gi``) in the canonical form in which the API server stores them."""

import re
from decimal import ROUND_UP, Decimal, localcontext

BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
SUFFIXES = {power: suffix for suffix, power in DECIMAL.items()}
LARGEST = Decimal(2**63 - 1)
MAX_LENGTH, MAX_EXPONENT, PRECISION = 64, 64, 200
FORM = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d+))")
PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"


def canonical(value: str | float) -> str:
    """The canonical text of a quantity, at most three decimals. Raises ValueError where it is none."""
    text = str(value).strip()
    match = FORM.fullmatch(text)
    if match is None or len(text) > MAX_LENGTH or abs(int(match[5] or 0)) > MAX_EXPONENT:
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    sign, number, binary, decimal, exponent = match.groups()
    with localcontext() as context:
        context.prec = PRECISION
        amount = Decimal(number) * (-1 if sign == "-" else 1)
        if binary:
            return _binary(min(amount * 1024 ** BINARY.index(binary), LARGEST))
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
    scaled, power = int((amount * 1000).to_integral_value(rounding=ROUND_UP)), -3
    if not scaled:
        return "0"
    while scaled % 1000 == 0 and (exponents or power < 18):
        scaled, power = scaled // 1000, power + 3
    if exponents:
        return f"{scaled}e{power}" if power else str(scaled)
    return f"{scaled}{SUFFIXES[power]}"
