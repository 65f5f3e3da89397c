"""Label selectors (equality and set based) and field selectors, as query parameters have them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock.devcluster.statuses import ApiError, bad_request

Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]
TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)\s*")
OPERATORS = ("in", "notin", "=", "==", "!=", ">", "<")
END = ""


class _Parser:
    """Reads a selector as Kubernetes does, and complains in its words."""

    def __init__(self, text: str) -> None:
        self.words = [match[1] for match in TOKEN.finditer(text)]

    def peek(self) -> str:
        return self.words[0] if self.words else END

    def take(self) -> str:
        return self.words.pop(0) if self.words else END

    def requirements(self) -> list[LabelTest]:
        tests: list[LabelTest] = []
        while (word := self.peek()) != END:
            if word != "!" and not _identifier(word):
                raise bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")
            tests.append(self.requirement())
            if (word := self.take()) == ",":
                word = self.peek()
                if word != "!" and not _identifier(word):
                    raise bad_request(f"found '{word}', expected: identifier after ','")
            elif word != END:
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
        return tests

    def requirement(self) -> LabelTest:
        if self.peek() == "!":
            self.take()
            absent = self.key()
            return lambda labels: absent not in labels
        key = self.key()
        if self.peek() in {END, ","}:
            return lambda labels: key in labels
        operator = self.take()
        if operator not in OPERATORS:
            raise _unparsed(f"found '{operator}', expected: {', '.join(OPERATORS)}")
        if operator in {"in", "notin"}:
            values = self.values()
            return lambda labels: (labels.get(key) in values) is (operator == "in")
        value = self.take() if self.peek() != "," else END
        return _compared(key, operator, value)

    def key(self) -> str:
        word = self.take()
        if not _identifier(word):
            raise _unparsed(f"found '{word}', expected: identifier")
        return word

    def values(self) -> frozenset[str]:
        word = self.take()
        if word != "(":
            raise _unparsed(f"found '{word}' expected: '('")
        out = {""} if self.peek() in {",", ")"} else set()
        while (word := self.take()) != ")":
            if word == END:
                raise _unparsed("found '', expected: ',', or ')'")
            if word != ",":
                out.add(word)
        return frozenset(out)


def label_test(selector: str) -> LabelTest:
    """A test of labels. Raises ApiError (400) for a selector that cannot be parsed."""
    tests = _Parser(selector).requirements()
    return lambda labels: all(test(labels) for test in tests)


def _identifier(word: str) -> bool:
    return word != END and word not in {"(", ")", ",", "!", *OPERATORS[2:]}


def _unparsed(problem: str) -> ApiError:
    return bad_request(f"unable to parse requirement: {problem}")


def _compared(key: str, operator: str, value: str) -> LabelTest:
    if operator in {">", "<"}:
        return lambda labels: _ordered(labels.get(key), value, operator)
    return lambda labels: (labels.get(key) == value) is (operator != "!=")


def _ordered(left: str | None, right: str, op: str) -> bool:
    if left is None or not left.lstrip("-").isdigit() or not right.lstrip("-").isdigit():
        return False
    return int(left) > int(right) if op == ">" else int(left) < int(right)


def selector_test(selector: Mapping[str, Any] | None) -> LabelTest:
    """A test of labels from a LabelSelector object (``matchLabels``, ``matchExpressions``); None selects nothing."""
    if selector is None:
        return lambda _: False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return lambda labels: all(labels.get(key) == value for key, value in wanted.items())


COMMON = ("metadata.name", "metadata.namespace")
PER_RESOURCE = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "events": (
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    ),
    "jobs": ("status.successful",),
    "nodes": ("spec.unschedulable",),
}


def field_test(selector: str, resource: str) -> Callable[[Mapping[str, Any]], bool]:
    """A test of objects. Raises ApiError (400) for a field that the resource does not offer."""
    tests: list[tuple[tuple[str, ...], str, bool]] = []
    for part in filter(None, selector.split(",")):
        match = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
        if match is None:
            raise bad_request(f"invalid field selector: {part!r}")
        name, op, value = match.groups()
        if name not in COMMON and name not in PER_RESOURCE.get(resource, ()):
            raise _unsupported(name, resource)
        tests.append((tuple(name.split(".")), value, op == "!="))
    return lambda o: all((_at(o, path) == value) is not negated for path, value, negated in tests)


def _at(value: Any, path: tuple[str, ...]) -> str:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _unsupported(name: str, resource: str) -> ApiError:
    if resource in PER_RESOURCE:
        return bad_request(f"field label not supported: {name}")
    return bad_request(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')
