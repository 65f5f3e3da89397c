"""Label selectors, as the API's ``labelSelector`` parameter spells them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
"""

import re
from collections.abc import Callable, Mapping

from penstock.ports.cluster import ApiRefused

Matches = Callable[[Mapping[str, str]], bool]

_KEY = r"(?P<key>[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?)"
_VALUE = r"[A-Za-z0-9]?([A-Za-z0-9._-]*[A-Za-z0-9])?"
_TERMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Matches]], ...] = (
    (re.compile(_KEY + r"\s+in\s*\((?P<set>[^()]*)\)"), lambda m: _member(m["key"], _members(m["set"]), inside=True)),
    (
        re.compile(_KEY + r"\s+notin\s*\((?P<set>[^()]*)\)"),
        lambda m: _member(m["key"], _members(m["set"]), inside=False),
    ),
    (re.compile(_KEY + rf"\s*==?\s*(?P<value>{_VALUE})"), lambda m: _member(m["key"], {m["value"]}, inside=True)),
    (re.compile(_KEY + rf"\s*!=\s*(?P<value>{_VALUE})"), lambda m: _member(m["key"], {m["value"]}, inside=False)),
    (re.compile(r"!\s*" + _KEY), lambda m: _exists(m["key"], wanted=False)),
    (re.compile(_KEY), lambda m: _exists(m["key"], wanted=True)),
)


def parse(selector: str) -> Matches:
    """Whether labels match every term of ``selector`` ("" matches all). Raises ApiRefused (400) for nonsense."""
    terms = [_term(text.strip(), selector) for text in _split(selector)]
    return lambda labels: all(term(labels) for term in terms)


def _split(selector: str) -> list[str]:
    """At the commas outside parentheses."""
    return re.split(r",(?![^()]*\))", selector) if selector.strip() else []


def _term(text: str, selector: str) -> Matches:
    for pattern, make in _TERMS:
        if found := pattern.fullmatch(text):
            return make(found)
    raise ApiRefused(f"unable to parse the label selector {selector!r} at {text!r}", code=400)


def _members(text: str) -> set[str]:
    return {each.strip() for each in text.split(",")}


def _member(key: str, values: set[str], *, inside: bool) -> Matches:
    """``notin`` and ``!=`` match objects without the label too."""
    return lambda labels: (labels[key] in values) is inside if key in labels else not inside


def _exists(key: str, *, wanted: bool) -> Matches:
    return lambda labels: (key in labels) is wanted
