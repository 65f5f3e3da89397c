"""Which objects a patch or a replacement is for: by regular expressions, and by label and annotation selectors.

``group``, ``version``, ``kind``, ``name`` and ``namespace`` are RE2 expressions that match a whole value; "" matches
all. Labels and annotations are selected in Kubernetes' syntax (apimachinery ``labels.Parse``):
``app=web,tier in (a, b),!legacy,replicas>1``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.resources import Gvk

_LITERAL = re.compile(r"[A-Za-z0-9_/-]*\Z")
# Compiled (and kept by re) where a selector is: most builds have none.
_PIECE = r"\s*(==|!=|[(),!=<>]|[^\s(),!=<>]+)"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z"
_PREFIX = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z"
_SPECIAL = frozenset("(),!=<>")

Matcher = Callable[[str], bool]
Requirement = Callable[[Mapping[str, str]], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Conditions that all have to hold; "" is no condition."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    label_selector: str = ""
    annotation_selector: str = ""

    @property
    def names_objects(self) -> bool:
        """Whether it says anything but labels and annotations."""
        return bool(self.group or self.version or self.kind or self.name or self.namespace)


def parse_selector(fields: Mapping[str, Any], where: str) -> Selector:
    """A ``target``, ``select`` or ``reject`` of a kustomization. ``where``: file and field, for messages.

    Raises BuildFailed for a wrong regular expression or selector; fields of other names are not looked at.
    """
    texts = {}
    for name, key in _FIELDS.items():
        value = fields.get(key)
        if value is not None and not isinstance(value, str):
            raise BuildFailed(f"{where}.{key}: must be a text, not {value!r}: put it in quotes")
        texts[name] = value or ""
    selector = Selector(**texts)
    try:
        for name in ("group", "version", "kind", "name", "namespace"):
            whole(texts[name])
        requirements(selector.label_selector)
        requirements(selector.annotation_selector)
    except BuildFailed as error:
        raise BuildFailed(f"{where}: {error}") from error
    return selector


_FIELDS = {
    "group": "group",
    "version": "version",
    "kind": "kind",
    "name": "name",
    "namespace": "namespace",
    "label_selector": "labelSelector",
    "annotation_selector": "annotationSelector",
}


def matches(  # noqa: PLR0913 - the facts of one object
    selector: Selector,
    *,
    gvk: Gvk,
    names: Iterable[str],
    namespaces: Iterable[str],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> bool:
    """Whether an object is selected: its kind, any of its names, any of its namespaces, its labels, annotations.

    Raises BuildFailed for a wrong regular expression or selector.
    """
    return (
        matches_kind(selector, gvk)
        and _any(selector.name, names)
        and _any(selector.namespace, namespaces)
        and matches_metadata(selector, labels, annotations)
    )


def matches_kind(selector: Selector, gvk: Gvk) -> bool:
    """Whether group, version and kind match."""
    return whole(selector.kind)(gvk.kind) and whole(selector.group)(gvk.group) and whole(selector.version)(gvk.version)


def matches_name(selector: Selector, name: str, namespace: str) -> bool:
    """Whether one name and the namespace that goes with it match."""
    return whole(selector.name)(name) and whole(selector.namespace)(namespace)


def matches_metadata(selector: Selector, labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether labels and annotations match."""
    return all(holds(labels) for holds in requirements(selector.label_selector)) and all(
        holds(annotations) for holds in requirements(selector.annotation_selector)
    )


def _any(pattern: str, values: Iterable[str]) -> bool:
    return not pattern or any(map(whole(pattern), values))


@lru_cache(maxsize=4096)
def whole(pattern: str) -> Matcher:
    """What tells whether an RE2 expression matches the whole of a text; "" matches all. Raises BuildFailed."""
    if not pattern:
        return lambda _: True
    if _LITERAL.match(pattern):  # most are, and need no engine
        return pattern.__eq__
    if all(choice and _LITERAL.match(choice) for choice in pattern.split("|")):
        return frozenset(pattern.split("|")).__contains__
    start, dot, end = pattern.partition(".")
    if dot and end[:1] in ("*", "+") and _LITERAL.match(start) and _LITERAL.match(end[1:]):
        return _between(start, end[1:], least=int(end[0] == "+"))
    return part(f"^(?:{pattern})$")


def _between(start: str, end: str, *, least: int) -> Matcher:
    length = len(start) + len(end) + least
    return lambda text: text.startswith(start) and text.endswith(end) and len(text) >= length and "\n" not in text


@lru_cache(maxsize=4096)
def part(pattern: str) -> Matcher:
    """What tells whether an RE2 expression matches some part of a text. Raises BuildFailed."""
    import re2  # noqa: PLC0415 - loaded only where an expression is one

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise BuildFailed(f"{pattern!r} is not a regular expression (RE2 syntax): {_text(error)}") from error
    return lambda text: compiled.search(text) is not None


def _text(error: Exception) -> str:
    found = error.args[0] if error.args else ""
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)


@lru_cache(maxsize=1024)
def requirements(selector: str) -> tuple[Requirement, ...]:
    """The conditions of a label selector; none for "". Raises BuildFailed for what is not one."""
    return tuple(_Parser(selector).parse()) if selector.strip() else ()


class _Parser:
    """Kubernetes' grammar of label selectors, one requirement after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = re.findall(_PIECE, text)
        self._next = 0

    def parse(self) -> list[Requirement]:
        found = [self._requirement()]
        while self._peek() == ",":
            self._take()
            found.append(self._requirement())
        if self._peek():
            raise self._error(f"found {self._peek()!r}, expected ',' or the end")
        return found

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def _error(self, problem: str) -> BuildFailed:
        return BuildFailed(f"{self._text!r} is not a label selector: {problem}")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            key = self._key()
            return lambda labels: key not in labels
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return lambda labels: key in labels
        self._take()
        if operator in ("=", "==", "!="):
            return _in(key, frozenset((self._value(),)), wanted=operator != "!=")
        if operator in ("in", "notin"):
            return _in(key, self._values(), wanted=operator == "in")
        if operator in ("<", ">"):
            return self._comparison(key, operator)
        raise self._error(f"found {operator!r}, expected in, notin, =, ==, !=, < or >")

    def _key(self) -> str:
        key = self._take()
        prefix, slash, name = key.rpartition("/")
        valid = re.match(_NAME, name) and len(name) <= 63
        if not valid or (slash and not (re.match(_PREFIX, prefix) and len(prefix) <= 253)):
            raise self._error(f"found {key!r}, expected the name of a label")
        return key

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        value = self._take()
        if value[0] in _SPECIAL or len(value) > 63 or not re.match(_NAME, value):
            raise self._error(f"found {value!r}, expected a value: letters, digits, '-', '_' and '.', up to 63")
        return value

    def _values(self) -> frozenset[str]:
        if self._take() != "(":
            raise self._error("expected '(' after in or notin")
        values: set[str] = set()
        while self._peek() != ")":
            if self._peek() == "":
                raise self._error("expected ')'")
            values.add(self._value())
            if self._peek() == ",":
                self._take()
                if self._peek() == ")":
                    values.add("")
            elif self._peek() != ")":
                raise self._error(f"found {self._peek()!r}, expected ',' or ')'")
        self._take()
        return frozenset(values or ("",))

    def _comparison(self, key: str, operator: str) -> Requirement:
        value = self._value()
        if not re.fullmatch(r"[0-9]{1,19}", value):
            raise self._error(f"{key}{operator}{value}: the value must be an integer")
        bound = int(value)

        def holds(labels: Mapping[str, str]) -> bool:
            text = labels.get(key, "")
            if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
                return False
            return int(text) > bound if operator == ">" else int(text) < bound

        return holds


def _in(key: str, values: frozenset[str], *, wanted: bool) -> Requirement:
    if wanted:
        return lambda labels: labels.get(key) in values
    return lambda labels: key not in labels or labels[key] not in values
