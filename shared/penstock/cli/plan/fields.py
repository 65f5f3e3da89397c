"""What would change inside an object: each field with what it is and what it would be. Secrets' values are masked."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.reconcile.masked import masked
from penstock.core.resources import Manifest

MOST = 100
ABSENT: Any = object()
_KEY = secrets.token_bytes(32)
_BOOKKEEPING = frozenset(
    {"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink", "deletionTimestamp"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """``path``: dotted, list items by their name; ``old``, ``new``: JSON values, ABSENT where there is none."""

    path: str
    old: Any = ABSENT
    new: Any = ABSENT


def field_changes(live: Manifest, wanted: Manifest) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order of the object; at most MOST. A Secret's values become ``***``."""
    found = []
    for change in _differences(_shown(live), _shown(wanted), ""):
        found.append(_unmarked(change))
        if len(found) == MOST:
            break
    return tuple(found)


def overlaid(live: Any, desired: Any) -> Any:
    """What an apply would make of a live value as far as one can tell without the API server: what is desired wins.

    Fields and named items that only the live one has stay: they may be defaults, or others'.
    """
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        return {**live, **{key: overlaid(live.get(key), value) for key, value in desired.items()}}
    if isinstance(live, list) and isinstance(desired, list) and (key := _keys(live, desired)):
        wanted = {each[key]: each for each in desired}
        kept = [overlaid(each, wanted.pop(each[key], {})) for each in live]
        return [*kept, *wanted.values()]
    return desired


def _shown(manifest: Manifest) -> Manifest:
    """Masked so that equal values stay equal within this process, and nothing else can be told from them."""
    hidden = masked(manifest, _KEY)
    metadata = {k: v for k, v in hidden["metadata"].items() if k not in _BOOKKEEPING}
    return {k: v for k, v in hidden.items() if k != "status"} | {"metadata": metadata}


def _unmarked(change: FieldChange) -> FieldChange:
    return FieldChange(path=change.path, old=_plain(change.old), new=_plain(change.new))


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("*** ("):
        return "***"
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _differences(old: Any, new: Any, path: str) -> Iterator[FieldChange]:
    if old == new and type(old) is type(new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*new, *(k for k in old if k not in new)):
            below = f"{path}.{key}" if path else str(key)
            yield from _differences(old.get(key, ABSENT), new.get(key, ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list) and (keys := _keys(old, new)):
        before, after = ({each[keys]: each for each in side} for side in (old, new))
        for name in (*after, *(k for k in before if k not in after)):
            yield from _differences(before.get(name, ABSENT), after.get(name, ABSENT), f"{path}[{name}]")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    else:
        yield FieldChange(path=path, old=old, new=new)


def _keys(old: Sequence[Any], new: Sequence[Any]) -> str:
    """The field that tells the items of a list apart, or ""."""
    for key in ("name", "mountPath", "containerPort", "port", "type"):
        if all(_told_apart(side, key) for side in (old, new)):
            return key
    return ""


def _told_apart(items: Sequence[Any], key: str) -> bool:
    names = [each.get(key) if isinstance(each, Mapping) else None for each in items]
    return None not in names and all(isinstance(n, str | int) for n in names) and len(set(names)) == len(names)
