"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902), on values that are not changed in place."""

import copy
from collections.abc import Sequence
from typing import Any

from penstock.devcluster.statuses import ApiError, bad_request
from penstock.devcluster.typed import same

MAX_OPERATIONS = 10_000


def merge_patch(value: Any, patch: Any) -> Any:
    """The value with the patch merged in: null removes a key, lists are replaced."""
    if not isinstance(patch, dict):
        return patch
    out = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), change)
    return out


def json_patch(value: Any, operations: Any) -> Any:
    """The value after all operations. Raises ApiError: 400 for a malformed patch, 422 for one that does not apply."""
    if not isinstance(operations, list) or not all(isinstance(step, dict) for step in operations):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", message)
    document = {"": copy.deepcopy(value)}
    for step in operations:
        try:
            _apply(document, step)
        except (KeyError, IndexError, ValueError, TypeError):
            message = "the server rejected our request due to an error in our request"
            raise ApiError(422, "Invalid", message, {}) from None
    return document[""]


def _apply(document: dict[str, Any], step: dict[str, Any]) -> None:
    path = _pointer(step["path"])
    match step["op"]:
        case "add":
            _add(document, path, copy.deepcopy(step["value"]))
        case "remove":
            _take(document, path)
        case "replace":
            _take(document, path)
            _add(document, path, copy.deepcopy(step["value"]))
        case "move":
            _add(document, path, _take(document, _pointer(step["from"])))
        case "copy":
            _add(document, path, copy.deepcopy(_get(document, _pointer(step["from"]))))
        case "test":
            if not same(_get(document, path), step.get("value")):
                raise ValueError(step["path"])
        case _:
            raise ValueError(step["op"])


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(text)
    return ["", *(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])]


def _get(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = document[_index(part, len(document))] if isinstance(document, list) else document[part]
    return document


def _index(part: str, length: int) -> int:
    index = int(part)
    if not 0 <= index < length:
        raise IndexError(part)
    return index


def _add(document: Any, path: Sequence[str], value: Any) -> None:
    parent, last = _get(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    else:
        parent[last] = value


def _take(document: Any, path: Sequence[str]) -> Any:
    parent, last = _get(document, path[:-1]), path[-1]
    return parent.pop(_index(last, len(parent))) if isinstance(parent, list) else parent.pop(last)
