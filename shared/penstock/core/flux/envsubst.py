"""Variables in text, ``${name}`` and its operators, exactly as Flux's postBuild substitution reads them.

Flux uses a fork of drone/envsubst (fluxcd/pkg/envsubst), whose grammar is not bash's: ``$name`` is left alone,
``:+`` and ``:?`` behave like ``:-``, ``$$`` outside of operators becomes ``$``. A template is parsed once into
parts; the parts are joined with the variables' values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from penstock.core.errors import BuildFailed
from penstock.core.flux.envsubst_functions import function_for

MOST_NESTED = 50
LONGEST_RESULT = 16 << 20
"""Characters that one expansion may produce: a value repeated by many references cannot fill the memory."""

_DEFAULT_SIGNS = "=-?+"
_DEFAULTS = frozenset({"=", *(f":{sign}" for sign in _DEFAULT_SIGNS)})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """``${name operator argument…}``. Each argument is a text or another call."""

    name: str
    operator: str = ""
    arguments: tuple["_Part", ...] = ()


_Part = str | _Call


class VariableNotSet(BuildFailed):
    """A variable that is not there, in strict mode. ``name``: as the template writes it."""

    def __init__(self, name: str) -> None:
        super().__init__(f'envsubst error: variable substitution failed: variable not set (strict mode): "{name}"')
        self.name = name


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """Variables whose values are secret. ``made``: filled with every text that an expansion made of one of them."""

    names: frozenset[str]
    made: set[str] = field(default_factory=set, repr=False)

    def concerns(self, part: "_Part") -> bool:
        """Whether the part reads one of them, at any depth."""
        return isinstance(part, _Call) and (part.name in self.names or any(map(self.concerns, part.arguments)))


def expand(template: str, variables: Mapping[str, str], *, strict: bool = True, watched: Watched | None = None) -> str:
    """``template`` with each ``${…}`` replaced.

    ``strict``: a variable that is not there, and has no default, is an error (else it is empty). Raises BuildFailed
    (VariableNotSet) with Flux's own message; no message holds a value.
    """
    parts, size = [], 0
    for part in _Parser(template).parse():
        text = _evaluate(part, variables, strict=strict)
        if watched is not None and watched.concerns(part):
            watched.made.add(text)
        parts.append(text)
        size += len(text)
        if size > LONGEST_RESULT:
            raise BuildFailed(f"envsubst error: the result is longer than {LONGEST_RESULT} characters")
    return "".join(parts)


def _evaluate(part: _Part, variables: Mapping[str, str], *, strict: bool) -> str:
    if isinstance(part, str):
        return part
    arguments = [_evaluate(each, variables, strict=strict) for each in part.arguments]
    value = variables.get(part.name)
    if value is None and strict and part.operator not in _DEFAULTS:
        raise VariableNotSet(part.name)
    return function_for(part.operator, len(arguments))(value or "", arguments)


def _fail(problem: str) -> NoReturn:
    raise BuildFailed(f"envsubst error: variable substitution failed: {problem}")


class _Parser:
    """Reads a template from left to right. ``_at``: the next character; "" stands for the end."""

    __slots__ = ("_at", "_depth", "_text")

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0

    def parse(self) -> list[_Part]:
        parts: list[_Part] = []
        while self._at < len(self._text):
            if self._text.startswith("${", self._at):
                self._at += 2
                parts.append(self._call())
            else:
                parts.append(self._literal())
        return parts

    def _literal(self) -> str:
        """Text up to the next ``${``; ``$$`` is one dollar sign, which never opens a variable."""
        pieces: list[str] = []
        while self._at < len(self._text):
            dollar = self._text.find("$", self._at)
            end = len(self._text) if dollar < 0 else dollar
            pieces.append(self._text[self._at : end])
            self._at = end
            following = self._text[end + 1 : end + 2]
            if dollar < 0 or following == "{":
                break
            pieces.append("$")
            self._at += 2 if following == "$" else 1
        return "".join(pieces)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _while(self, accept: Callable[[str], bool], *, most: int = -1) -> str:
        start = self._at
        while self._at < len(self._text) and accept(self._text[self._at]) and self._at - start != most:
            self._at += 1
        return self._text[start : self._at]

    def _name(self) -> str:
        return self._while(lambda c: c.isalpha() or c.isdecimal() or c == "_")

    def _call(self) -> _Call:
        """What follows ``${``, its closing brace included."""
        self._depth += 1
        if self._depth > MOST_NESTED:
            _fail(f"nested deeper than {MOST_NESTED} levels")
        call = self._length() if self._peek() == "#" else self._operation()
        self._depth -= 1
        return call

    def _length(self) -> _Call:
        self._at += 1
        name = self._name()
        if not name:
            _fail("bad substitution")
        return self._closed(_Call(name=name, operator="#"))

    def _operation(self) -> _Call:
        name = self._name()
        if not name:
            _fail("unable to parse variable name")
        sign = self._peek()
        if sign == ":":
            following = self._text[self._at + 1 : self._at + 2]
            return self._default(name) if following and following in _DEFAULT_SIGNS else self._substring(name)
        if sign == "=":
            return self._default(name)
        if sign and sign in ",^":
            return self._closed(_Call(name=name, operator=self._while(lambda c: c in ",^", most=2)))
        if sign == "/":
            return self._replace(name)
        if sign and sign in "#%":
            operator = self._while(lambda c: c == sign, most=2)
            return self._closed(_Call(name=name, operator=operator, arguments=(self._argument("}"),)))
        if sign != "}":
            _fail("missing closing brace")
        return self._closed(_Call(name=name))

    def _default(self, name: str) -> _Call:
        operator = self._text[self._at : self._at + (2 if self._peek() == ":" else 1)]
        self._at += len(operator)
        arguments: list[_Part] = []
        while self._peek() != "}":
            arguments.append(self._argument("}"))
        return self._closed(_Call(name=name, operator=operator, arguments=tuple(arguments)))

    def _substring(self, name: str) -> _Call:
        self._at += 1
        if not self._peek() or not self._peek().isascii():
            _fail("bad substitution")
        position = self._argument(":}")
        if self._peek() == "}":
            return self._closed(_Call(name=name, operator=":", arguments=(position,)))
        if not self._while(lambda c: c == ":"):
            _fail("bad substitution")
        return self._closed(_Call(name=name, operator=":", arguments=(position, self._argument("}"))))

    def _replace(self, name: str) -> _Call:
        self._at += 1
        following = self._peek()
        operator = f"/{following}" if following and following in "/#%" else "/"
        self._at += len(operator) - 1
        pattern = self._argument("/", escapes=True)
        if not self._while(lambda c: c == "/"):
            _fail("bad substitution")
        if self._peek() == "}":
            return self._closed(_Call(name=name, operator=operator, arguments=(pattern,)))
        replacement = self._argument("}", escapes=True)
        return self._closed(_Call(name=name, operator=operator, arguments=(pattern, replacement)))

    def _argument(self, ends: str, *, escapes: bool = False) -> _Part:
        """A nested ``${…}``, or text up to one of ``ends`` or a nested one."""
        if self._text.startswith("${", self._at):
            self._at += 2
            return self._call()
        pieces: list[str] = []
        while self._at < len(self._text) and not self._text.startswith("${", self._at):
            pair = self._text[self._at : self._at + 2]
            if escapes and pair in ("$$", "\\/", "\\\\"):
                pieces.append(pair[1])
                self._at += 2
            elif pair[0] in ends:
                break
            else:
                pieces.append(pair[0])
                self._at += 1
        if not pieces:
            _fail("unable to parse substitution within function")
        return "".join(pieces)

    def _closed(self, call: _Call) -> _Call:
        if self._peek() != "}":
            _fail("bad substitution")
        self._at += 1
        return call
