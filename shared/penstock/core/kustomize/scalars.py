"""How go-yaml reads an untagged plain scalar, and how Go prints a number.

kustomize reads resources with go-yaml v3 (the YAML 1.2 core schema, 1.1 octals and timestamps kept), its own
``kustomization.yaml`` with v2 (which also takes yes, no, on, off, y and n for booleans), and writes with v2.
"""

import math
import re
from functools import lru_cache

from penstock.core.errors import BuildFailed

Scalar = str | int | float | bool | None

NO_KEY = "\0"
"""How a key starts that stands for one that JSON cannot have; the rest is the message for who writes it."""

_NOT_A_HINT = object()
_MOST_DIGITS = 20
"""More make no 64-bit integer, and Python takes no more than some thousands."""
_LONG = 64  # longer texts are seldom met twice: not worth keeping
_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_OLD_BOOLEANS: dict[str, bool] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_HINTS = frozenset("+-.0123456789yYnNtTfFoO~")
_INT = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_BASE60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:([Tt ])([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def timestamp(text: str) -> str | None:
    """The RFC 3339 form of a YAML timestamp, as Go's encoder prints it; None where ``text`` is none."""
    found = _TIMESTAMP.match(text)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1] or (month == 2 and day > _february(year)):
        return None
    separator, zone = found[4], found[9] or ""
    if separator is None:
        return f"{year:04}-{month:02}-{day:02}T00:00:00Z"
    hour, minute, second = int(found[5]), int(found[6]), int(found[7])
    if hour > 23 or minute > 59 or second > 59 or (separator == " ") != (zone == ""):
        return None
    fraction = (found[8] or "")[:9].rstrip("0")
    zone = "Z" if zone in ("", "+00:00", "-00:00") else zone
    date = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    return f"{date}.{fraction}{zone}" if fraction else f"{date}{zone}"


def _february(year: int) -> int:
    return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28


def _number(text: str) -> int | float | None:
    """An integer or a float in any notation that go-yaml takes; None where ``text`` is neither."""
    plain = text.replace("_", "")
    if _INT.match(plain):
        sign = -1 if plain[0] == "-" else 1
        digits = plain.lstrip("+-").lower()
        prefix = digits[:2]
        if prefix in ("0x", "0b", "0o"):
            value = sign * int(digits, 0)
        else:
            octal = len(digits) > 1 and digits[0] == "0"
            if not octal and len(digits) > _MOST_DIGITS:
                return _float(plain)
            value = sign * int(digits, 8 if octal else 10)
        if -(2**63) <= value < (2**63 if plain[0] in "+-" else 2**64):
            return value
    return _float(plain) if _FLOAT.match(plain) else None


def _float(text: str) -> float | None:
    """None, so text, for what is larger than any float: Go's ParseFloat refuses it."""
    value = float(text)
    return None if math.isinf(value) else value


def resolve(text: str) -> Scalar:
    """The value of a plain scalar in a resource (go-yaml v3). A timestamp is its RFC 3339 text."""
    if text and text[0] not in _HINTS:
        return text
    return _resolved(text) if len(text) < _LONG else _resolved.__wrapped__(text)


@lru_cache(maxsize=1 << 14)
def _resolved(text: str) -> Scalar:
    constant = _CONSTANTS.get(text, _NOT_A_HINT)
    if constant is not _NOT_A_HINT:
        return constant  # type: ignore[return-value] # the sentinel is gone
    if not text[0].isdigit() and text[0] not in "+-.":
        return text
    moment = timestamp(text)
    if moment is not None:
        return moment
    number = _number(text)
    return text if number is None else number


@lru_cache(maxsize=1 << 12)
def resolve_old(text: str) -> Scalar:
    """The value of a plain scalar in a kustomization file (go-yaml v2). A timestamp stays as written."""
    if text in _OLD_BOOLEANS:
        return _OLD_BOOLEANS[text]
    return text if timestamp(text) is not None else resolve(text)


def reads_as_string(text: str) -> bool:
    """Whether ``text``, written plain, is read back as a string by go-yaml v2 and other YAML 1.1 readers."""
    if text and text[0] not in _HINTS:
        return text != "<<"
    if text in _CONSTANTS or text in _OLD_BOOLEANS:
        return False
    if not text[0].isdigit() and text[0] not in "+-.":
        return True
    return timestamp(text) is None and _number(text) is None and not _BASE60.match(text)


def number_text(value: float) -> str:
    """A number as kustomize prints it: an integral float without a fraction, others as Go's ``%g``.

    Raises BuildFailed for infinities and NaN, which JSON cannot hold.
    """
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**64 else go_float(float(value))
    if math.isinf(value) or math.isnan(value):
        raise BuildFailed(f"the number {value} has no JSON form: quote it if it is meant as text")
    if value.is_integer() and abs(value) < 1e21:
        whole = _shortest(value)
        if -(2**63) <= whole < 2**64:
            return str(whole)
    return go_float(value)


def _shortest(value: float) -> int:
    """An integral float as JSON has it: its shortest digits, filled up with zeros."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    if not exponent:
        return int(whole)
    return int(whole + fraction + "0" * (int(exponent) - len(fraction)))


def go_float(value: float) -> str:
    """Go's strconv.FormatFloat(value, 'g', -1, 64): the fewest digits that read back the same."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    power = point - 1
    if power < -4 or power >= 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"
