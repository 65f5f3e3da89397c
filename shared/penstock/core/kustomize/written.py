"""How a value was written in YAML, where that decides what kustomize makes of it.

kustomize patches the nodes of a parsed file, not plain values, and three traits of a node show in its output:

- a scalar in quotes (or in a block) stays in quotes when a patch or a replacement changes it: ``"debug"`` patched
  with 5 becomes the string ``"5"``, and ``debug`` patched with 5 becomes the number;
- a field with nothing after its colon vanishes when a patch touches the object, one that says ``null`` or ``~`` stays;
- a replacement copies the text of a number as it stands: ``1.10``, ``0644``.

The classes here carry these traits and are otherwise what they derive from. A loader makes them only where the plain
value alone would not tell; losing one (a copy, a JSON patch) loses the trait, as it does in kustomize.
"""

from typing import Any, Self

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.scalars import resolve


class Quoted(str):
    """A string that was written in quotes or in a block, and would be a string without them too."""

    __slots__ = ()


class Bare(str):
    """A string that took the place of a plain scalar and reads as another kind; kustomize quotes it in the end."""

    __slots__ = ()


class PlainText(str):
    """The text of an annotation that was written as a number, a boolean or null, and so goes through JSON as one."""

    __slots__ = ()


class WrittenTime(str):
    """A timestamp as Go prints it (RFC 3339), with the text that it was written as. It stood in no quotes."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, value: str, text: str) -> Self:
        """``value``, written as ``text``."""
        made = super().__new__(cls, value)
        made.text = text
        return made


class WrittenInt(int):
    """An integer whose text is not ``str(value)``: ``0644``, ``0x10``, ``+1``, ``1_000``."""

    text: str

    def __new__(cls, value: int, text: str) -> Self:
        """``value``, written as ``text``."""
        made = super().__new__(cls, value)
        made.text = text
        return made


class WrittenFloat(float):
    """A float whose text is not ``repr(value)``: ``1.10``, ``1e3``."""

    text: str

    def __new__(cls, value: float, text: str) -> Self:
        """``value``, written as ``text``."""
        made = super().__new__(cls, value)
        made.text = text
        return made


class PartlyEmpty(dict[str, Any]):
    """A mapping some of whose values are nulls that were not written out. ``empty``: their keys."""

    __slots__ = ("empty",)
    empty: frozenset[str]

    def __init__(self, value: dict[str, Any], empty: frozenset[str]) -> None:
        super().__init__(value)
        self.empty = empty

    def copy(self) -> "PartlyEmpty":
        """A mapping of its own with the same values and traits."""
        return PartlyEmpty(self, self.empty)


def is_quoted(value: Any) -> bool:
    """Whether a string stood in quotes: it says so, or could not have been a string without them."""
    if not isinstance(value, str) or type(value) in _UNQUOTED:
        return False
    return type(value) is Quoted or resolve(value) != value


_UNQUOTED = (WrittenTime, Bare)


def restyled(old: Any, value: Any) -> Any:
    """A scalar as it is where ``old`` was: in its quotes, or without."""
    if is_quoted(old):
        return Quoted(text_of(value))
    if type(value) is Quoted:
        return str(value)
    return Bare(value) if type(value) is str and is_quoted(value) else value


def text_of(value: Any) -> str:
    """A scalar's text: ``true``, ``8080``, ``1.10``; "" for null, mappings and lists, as kustomize compares them."""
    if type(value) is WrittenTime:
        return value.text
    if isinstance(value, str):
        return value if type(value) is str else str(value)
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) is WrittenInt or type(value) is WrittenFloat:
        return value.text
    return str(value)


def read(text: str) -> Any:
    """What a plain scalar of this text would be; text of several lines is a string."""
    value = text if "\n" in text else resolve(text)
    if type(value) is int or type(value) is float:
        return numbered(value, text)
    return WrittenTime(value, text) if isinstance(value, str) and value != text else value


def retyped(old: Any, text: str) -> Any:
    """``text`` as the kind of scalar that ``old`` is: a string stays one, a number has to become a number.

    Raises BuildFailed where the text does not read as that kind. A mapping or list counts as a string.
    """
    if isinstance(old, str) and type(old) is not WrittenTime:
        return restyled(old, text)
    if isinstance(old, dict | list):
        return text
    value = read(text)
    if isinstance(old, str) or type(value) is WrittenTime:
        if type(value) is type(old):
            return value
        raise _unfit(old, text)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) or (value is None) != (old is None) or isinstance(value, bool) != isinstance(old, bool):
        raise _unfit(old, text)
    if isinstance(value, float) and isinstance(old, int):
        raise _unfit(old, text)
    return value


def numbered(value: float, text: str) -> Any:
    """A number that remembers its text where it has to."""
    if isinstance(value, int):
        return value if str(value) == text else WrittenInt(value, text)
    return value if repr(value) == text else WrittenFloat(value, text)


class Unfit(BuildFailed):
    """``text`` does not read as the kind of scalar that it replaces. ``tag``: that kind in YAML, ``!!int`` for one."""

    def __init__(self, tag: str, text: str) -> None:
        super().__init__(
            f"cannot decode `{text}` as {tag}, which the field held before: "
            "put that value in quotes to make the field a text"
        )
        self.tag, self.text = tag, text


def _unfit(old: Any, text: str) -> Unfit:
    tags = {bool: "!!bool", int: "!!int", WrittenInt: "!!int", WrittenTime: "!!timestamp"}
    return Unfit("!!null" if old is None else tags.get(type(old), "!!float"), text)
