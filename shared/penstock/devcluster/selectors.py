"""Label selectors (equality and set based) and field selectors, as query parameters have them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock.devcluster.statuses import ApiError, bad_request

Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]
REQUIREMENT = re.compile(
    r"\s*(?:"
    r"(?P<absent>!)\s*(?P<absent_key>[^\s=!<>(),]+)"
    r"|(?P<key>[^\s=!<>(),]+)\s*"
    r"(?:(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s=!<>(),]*)"
    r"|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?"
    r")\s*(?:,|$)"
)


def label_test(selector: str) -> LabelTest:
    """A test of labels. Raises ApiError (400) for a selector that cannot be parsed."""
    tests: list[LabelTest] = []
    at = 0
    while at < len(selector):
        match = REQUIREMENT.match(selector, at)
        if match is None or match.end() == at:
            message = f"unable to parse requirement: found {selector[at:]!r}, expected a label selector requirement"
            raise bad_request(message)
        tests.append(_test(match.groupdict()))
        at = match.end()
    return lambda labels: all(test(labels) for test in tests)


def _test(part: Mapping[str, str | None]) -> LabelTest:
    key, value = part["key"] or part["absent_key"] or "", part["value"] or ""
    values = {text.strip() for text in (part["values"] or "").split(",")}
    tests: dict[str, LabelTest] = {
        "!": lambda labels: key not in labels,
        "": lambda labels: key in labels,
        "=": lambda labels: labels.get(key) == value,
        "==": lambda labels: labels.get(key) == value,
        "!=": lambda labels: labels.get(key) != value,
        "in": lambda labels: labels.get(key) in values,
        "notin": lambda labels: labels.get(key) not in values,
        ">": lambda labels: _ordered(labels.get(key), value, ">"),
        "<": lambda labels: _ordered(labels.get(key), value, "<"),
    }
    return tests[part["absent"] or part["set"] or part["op"] or ""]


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
