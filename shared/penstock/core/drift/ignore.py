"""``spec.ignore``: fields that somebody else decides, once an object exists.

Spec: Flux's "Ignore Rules". A difference at such a field is no drift. Where the object is applied for another reason,
the field must not be taken back: it is left out of what is sent where another Apply manager owns it, and sent with its
live value where nobody else does (leaving it out would remove it). An object is created with all its fields.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.drift.compare import Comparison, compare, is_item
from penstock.core.errors import BuildFailed, InvalidDocument
from penstock.core.kustomize.selectors import Selector, matches, parse_selector
from penstock.core.resources import Manifest, gvk_of

_MISSING: Any = object()

Pointer = tuple[str, ...]
"""The unescaped steps of a JSON pointer (RFC 6901)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IgnoreRule:
    """One entry of ``spec.ignore``. ``target``: the objects that it is for, None for all."""

    pointers: tuple[Pointer, ...]
    target: Selector | None = None


def ignore_rules(entries: Sequence[Mapping[str, Any]], *, document: str = "") -> tuple[IgnoreRule, ...]:
    """The rules of ``spec.ignore`` as the document has it (``paths``, ``target``).

    Raises InvalidDocument for a wrong pointer, regular expression or selector; ``document``
    is for its message. Flux passes over a pointer without a leading slash: such a rule would do nothing.
    """
    return tuple(_rule(entry, f"spec.ignore[{index}]", document) for index, entry in enumerate(entries))


def payload(desired: Manifest, live: Manifest, rules: Sequence[IgnoreRule], *, manager: str) -> Manifest:
    """What ``manager`` sends for ``desired`` over ``live``: nothing of what the rules leave to others is changed."""
    for pointer in _pointers(desired, live, rules):
        wanted, there = _lookup(desired, pointer), _lookup(live, pointer)
        ours = wanted is not _MISSING or _owns(live, pointer, manager)
        if wanted == there or not ours:
            continue
        if there is _MISSING or _owned_by_another(live, pointer, manager):
            desired = _replaced(desired, pointer, _MISSING)
        else:
            desired = _replaced(desired, pointer, there)
    return desired


def compare_ignoring(desired: Manifest, live: Manifest, rules: Sequence[IgnoreRule], *, manager: str) -> Comparison:
    """Whether an apply of ``desired`` would change ``live`` anywhere but where the rules say that it doesn't matter."""
    ignored = [_dotted(pointer, live) for pointer in _pointers(desired, live, rules)]
    return compare(payload(desired, live, rules, manager=manager), live, manager=manager, ignored=ignored)


def _rule(entry: Mapping[str, Any], path: str, document: str) -> IgnoreRule:
    pointers = []
    for index, text in enumerate(entry["paths"]):
        if not text.startswith("/") or len(text) == 1:
            problem = f"is {text!r}, must be a JSON pointer such as /spec/replicas ('/' inside a key is written ~1)"
            raise InvalidDocument(problem, path=f"{path}.paths[{index}]", document=document)
        pointers.append(tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/")))
    target = entry.get("target")
    try:
        selector = None if target is None else parse_selector(target, "target")
    except BuildFailed as error:
        raise InvalidDocument(str(error), path=path, document=document) from error
    return IgnoreRule(pointers=tuple(pointers), target=selector)


def _pointers(desired: Manifest, live: Manifest, rules: Sequence[IgnoreRule]) -> list[Pointer]:
    """The pointers of all rules for an object; its labels and annotations are those it would have after an apply."""
    if not rules:
        return []
    metadata = desired["metadata"]
    both: dict[str, dict[str, str]] = {
        name: {**(live["metadata"].get(name) or {}), **(metadata.get(name) or {})} for name in ("labels", "annotations")
    }
    return [
        pointer
        for rule in rules
        if rule.target is None
        or matches(
            rule.target,
            gvk=gvk_of(desired),
            names=(metadata["name"],),
            namespaces=(metadata.get("namespace", ""),),
            **both,
        )
        for pointer in rule.pointers
    ]


def _lookup(value: Any, pointer: Iterable[str]) -> Any:
    for step in pointer:
        if isinstance(value, Mapping):
            value = value.get(step, _MISSING)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _replaced(value: Any, pointer: Pointer, new: Any) -> Any:
    """A copy with another value at the pointer (missing mappings are made), or without it where ``new`` is _MISSING."""
    step, rest = pointer[0], pointer[1:]
    if isinstance(value, list):
        place = int(step) if step.isdecimal() else len(value)
        if place >= len(value):
            return value
        middle = [_replaced(value[place], rest, new)] if rest else [] if new is _MISSING else [new]
        return [*value[:place], *middle, *value[place + 1 :]]
    if not isinstance(value, Mapping) or (new is _MISSING and step not in value):
        return value
    if rest:
        return {**value, step: _replaced(value.get(step, {}), rest, new)}
    return {key: item for key, item in value.items() if key != step} | ({} if new is _MISSING else {step: new})


def _owns(live: Manifest, pointer: Pointer, manager: str) -> bool:
    return any(_lists(fields, live, pointer) for name, fields in _applied(live) if name == manager)


def _owned_by_another(live: Manifest, pointer: Pointer, manager: str) -> bool:
    return any(_lists(fields, live, pointer) for name, fields in _applied(live) if name != manager)


def _applied(live: Manifest) -> list[tuple[str, Mapping[str, Any]]]:
    """Manager and FieldsV1 of each server-side apply to the object itself."""
    return [
        (str(entry.get("manager")), entry.get("fieldsV1") or {})
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("operation") == "Apply" and not entry.get("subresource")
    ]


def _lists(fields: Mapping[str, Any], live: Any, pointer: Pointer) -> bool:
    """Whether a FieldsV1 tree names the field at the pointer; a place in a list is found by the item's keys there."""
    for step in pointer:
        if isinstance(live, list):
            live = live[int(step)] if step.isdecimal() and int(step) < len(live) else _MISSING
            names = [key for key in fields if key.startswith("k:") and is_item(live, json.loads(key[2:]))]
        else:
            live = live.get(step, _MISSING) if isinstance(live, Mapping) else _MISSING
            names = [f"f:{step}"] if f"f:{step}" in fields else []
        if not names:
            return False
        fields = fields[names[0]]
    return True


def _dotted(pointer: Pointer, live: Any) -> str:
    """The pointer as comparisons write paths: ``spec.containers[0].image``."""
    text = ""
    for step in pointer:
        text += f"[{step}]" if isinstance(live, list) else f".{step}" if text else step
        live = _lookup(live, (step,))
    return text
