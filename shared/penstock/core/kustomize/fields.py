"""Checks of the values in kustomize's own documents: each field has a shape, and errors name it.

A shape is a function from a value (as ``load_config`` reads it) and its place to the value; null means "not given",
as in Go. Keys match whatever their case, as Go's JSON decoder matches them.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from struct import pack
from typing import Any, NamedTuple

from penstock.core.errors import InvalidDocument
from penstock.core.kustomize.scalars import go_float


class Where(NamedTuple):
    """The place of a value: file, dotted path and, where a file holds several, the document (its kind and name).

    ``lenient``: a mapping's unknown keys are left out. ``loose``: a number or a boolean where text should be becomes
    text. kustomize reads its own file with neither, Flux with both, plugins' documents are loose and lenient.
    """

    file: str
    path: str = ""
    lenient: bool = False
    loose: bool = False
    document: str = ""

    def at(self, path: str) -> "Where":
        """Another path in the same document."""
        return self._replace(path=path)

    def below(self, name: str) -> "Where":
        """One field of what stands here."""
        return self.at(f"{self.path}.{name}" if self.path else name)

    def error(self, problem: str, name: str = "") -> InvalidDocument:
        """What is wrong here, or with the field ``name`` below."""
        path = self.below(name).path if name else self.path
        return InvalidDocument(problem, path=path, document=self.document, file=self.file)

    def __str__(self) -> str:
        document = ", ".join(filter(None, (self.file, self.document)))
        return ": ".join(filter(None, (document, self.path)))


Shape = Callable[[Any, Where], Any]


def _wrong(value: Any, expected: str, where: Where) -> InvalidDocument:
    shown = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else f"{value!r:.60}"
    return where.error(f"should be {expected}, not {shown}")


def string(value: Any, where: Where) -> str:
    """A string; "" where it is null."""
    if value is None or isinstance(value, str):
        return value or ""
    if where.loose and not isinstance(value, dict | list):
        return _go_text(value)
    raise _wrong(value, "a string (put it in quotes)", where)


def _go_text(value: Any) -> str:
    """A scalar as sigs.k8s.io/yaml turns it into a string: of a float, what 32 bits hold."""
    if isinstance(value, float):
        return go_float(_in_32_bits(value))
    return ("true" if value else "false") if isinstance(value, bool) else str(int(value))


def exact(shape: Shape) -> Shape:
    """A shape in which nothing becomes text that is none: what stands in Go's structures that are part of others."""
    return lambda value, where: shape(value, where._replace(loose=False))


def _in_32_bits(value: float) -> float:
    """The number of fewest digits that is the same in 32 bits; ``value`` where they do not reach so far."""
    with suppress(OverflowError):
        packed = pack("f", value)
        shortened = (float(f"{value:.{digits}g}") for digits in range(1, 10))
        return next((one for one in shortened if pack("f", one) == packed), value)
    return value


def boolean(value: Any, where: Where) -> bool:
    """True or false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _wrong(value, "true or false", where)


def integer(value: Any, where: Where) -> int:
    """A whole number."""
    if value is None:
        return 0
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise _wrong(value, "a whole number", where)
    return int(value)


def anything(value: Any, _where: Where) -> Any:
    """Any value."""
    return value


def mapping(value: Any, where: Where) -> dict[str, Any]:
    """A mapping of anything."""
    if value is None or isinstance(value, dict):
        return value or {}
    raise _wrong(value, "a mapping", where)


def list_of(shape: Shape) -> Shape:
    """A list, each item of one shape."""

    def check(value: Any, where: Where) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(value, "a list", where)
        return [shape(item, where.at(f"{where.path}[{index}]")) for index, item in enumerate(value)]

    return check


def map_of(shape: Shape) -> Shape:
    """A mapping with values of one shape."""

    def check(value: Any, where: Where) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(value, "a mapping", where)
        return {key: shape(item, where.at(f"{where.path}.{key}")) for key, item in value.items()}

    return check


def struct(shapes: Mapping[str, Shape]) -> Shape:
    """A mapping with known keys. The result has the keys as they are spelt in ``shapes``; missing ones are left out.

    An unknown key is an error that names it, or left out where the place is lenient.
    """
    folded = {name.lower(): name for name in shapes}

    def check(value: Any, where: Where) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(value, "a mapping", where)
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in shapes else folded.get(key.lower())
            below = where.below(key)
            if name is None:
                if not where.lenient:
                    known = ", ".join(sorted(shapes))
                    raise below.error(f"unknown field; known here are {known}")
                continue
            if item is not None:
                result[name] = shapes[name](item, below)
        return result

    return check
