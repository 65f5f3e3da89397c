"""Fields that the API server's schema does not declare: what it says of them, and an object without them.

A server-side apply refuses them whatever its ``fieldValidation`` (tried on 1.36), and names some of them each time:
``.spec.template.spec.containers[name="web"].imagePulPolicy: field not declared in schema``.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from penstock.core.resources import Manifest

SAID = "field not declared in schema"
_ITEM = re.compile(r'\[(?:(?P<index>\d+)|(?P<keys>(?:[\w-]+=(?:"(?:[^"\\]|\\.)*"|[^,\]"]+),?)+))\]')
_KEY = re.compile(r'([\w-]+)=("(?:[^"\\]|\\.)*"|[^,\]"]+)')
_GONE: Any = object()


def undeclared(causes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The paths (without the first dot) of the fields that a refusal calls undeclared. ``causes``: (path, message)."""
    return tuple(path for path, message in causes if message.strip() == SAID)


def without(manifest: Manifest, paths: Iterable[str]) -> Manifest | None:
    """The object without these fields; None where one of them is not in it."""
    for path in paths:
        left = _dropped(manifest, f".{path}")
        if left is _GONE:
            return None
        manifest = left
    return manifest


def _dropped(value: Any, path: str) -> Any:
    """``value`` without the field at ``path``; _GONE where there is none.

    Keys of maps may hold dots, and are not escaped: the longest one that leads somewhere is meant.
    """
    if isinstance(value, dict) and path.startswith("."):
        rest = path[1:]
        for key in sorted((k for k in value if _begins(rest, str(k))), key=lambda k: -len(str(k))):
            if rest == key:
                return {k: v for k, v in value.items() if k != key}
            below = _dropped(value[key], rest[len(key) :])
            if below is not _GONE:
                return {**value, key: below}
    elif isinstance(value, list) and (found := _ITEM.match(path)):
        for index, item in enumerate(value):
            if _is_item(item, index, found):
                below = _dropped(item, path[found.end() :])
                return _GONE if below is _GONE else [*value[:index], below, *value[index + 1 :]]
    return _GONE


def _begins(path: str, key: str) -> bool:
    return path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[")


def _is_item(item: Any, index: int, found: re.Match[str]) -> bool:
    if found["index"] is not None:
        return index == int(found["index"])
    keys = {name: json.loads(value) for name, value in _KEY.findall(found["keys"])}
    # a key that the object leaves out has its default in the path
    return isinstance(item, dict) and all(item.get(name, value) == value for name, value in keys.items())
