"""The formats of encrypted files: bytes to a tree and the ``sops`` block, and a decrypted tree to bytes.

As SOPS's stores do it, to the byte, but that YAML loses its comments.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.flat import unflatten
from penstock.core.secrets.ini import emit_ini, load_ini
from penstock.core.secrets.values import Comment, Leaf, Repeated, float_text, mac_bytes
from penstock.core.secrets.yaml_text import emit_yaml
from penstock.core.secrets.yaml_tree import load_yaml

MOST_BYTES = 5 << 20
"""Flux's own limit for an encrypted file."""

_SOPS, _PREFIX, _DATA = "sops", "sops_", "data"
Trees = list[dict[Any, Any]]


class Format(StrEnum):
    """SOPS's formats."""

    BINARY = "binary"
    DOTENV = "dotenv"
    INI = "ini"
    JSON = "json"
    YAML = "yaml"


_MARKERS: dict[Format, bytes] = {
    Format.BINARY: b'"mac": "ENC[',
    Format.DOTENV: b"sops_mac=ENC[",
    Format.INI: b"[sops]",
    Format.JSON: b'"mac": "ENC[',
    Format.YAML: b"mac: ENC[",
}
_EXTENSIONS = {
    ".dockerconfigjson": Format.JSON,
    ".env": Format.DOTENV,
    ".ini": Format.INI,
    ".json": Format.JSON,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
}


def format_of(name: str) -> Format:
    """The format that a path or key promises by its end; binary where it promises none."""
    _, dot, extension = name.rpartition("/")[2].rpartition(".")
    return _EXTENSIONS.get(dot + extension, Format.BINARY)


def has_marker(data: bytes, form: Format) -> bool:
    """Whether the bytes carry SOPS's mark in that format: how Flux tells encrypted files from others."""
    return _MARKERS[form] in data


def detect(data: bytes) -> Format | None:
    """The format whose mark these bytes carry; None for what SOPS did not encrypt."""
    order = (Format.JSON, Format.DOTENV, Format.YAML, Format.INI)
    return next((form for form in order if has_marker(data, form)), None)


def load(data: bytes, form: Format) -> tuple[Trees, Any]:
    """The file's documents without SOPS's part, and the ``sops`` block of the first. Raises SopsError."""
    trees = load_all(data, form)
    block = _take_flat(trees[0]) if form is Format.DOTENV and trees else _take(trees)
    if form is Format.INI and isinstance(block, Mapping):
        lines = {k: v.replace("\\n", "\n") for k, v in block.items() if isinstance(k, str) and isinstance(v, str)}
        block = unflatten(lines)
    if block is None:
        raise SopsError("sops metadata not found")
    return trees, block


def load_all(data: bytes, form: Format) -> Trees:
    """The file's documents as they are, SOPS's part included. Raises SopsError."""
    if len(data) > MOST_BYTES:
        raise SopsError(f"is larger than {MOST_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SopsError("is not UTF-8") from None
    return _LOADERS[form](text)


def emit(trees: Trees, form: Format) -> bytes:
    """Decrypted documents as the bytes of a file. Raises SopsError where the format cannot hold them."""
    if form is Format.YAML:
        return emit_yaml(trees).encode()
    if len(trees) != 1:
        raise SopsError(f"a {form} file holds one document, not {len(trees)}")
    return _EMITTERS[form](trees[0])


def _take(trees: Trees) -> Any:
    blocks = [tree.pop(_SOPS, None) for tree in trees]
    return blocks[0] if blocks else None


def _take_flat(tree: dict[Any, Any]) -> Any:
    names = [name for name in tree if isinstance(name, str) and name.startswith(_PREFIX)]
    flat = {name.removeprefix(_PREFIX): tree.pop(name) for name in names}
    return unflatten(flat) if flat else None


def _load_json(text: str) -> Trees:
    try:
        found = json.loads(text, parse_int=_json_integer, object_pairs_hook=_json_object)
    except (ValueError, RecursionError):
        raise SopsError("is not JSON") from None
    if not isinstance(found, dict):
        raise SopsError("a JSON file must hold one object")
    return [found]


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[Repeated(name) if name in found else name] = value
    return found


def _json_integer(digits: str) -> int | float:
    number = int(digits) if len(digits) <= 20 else 2**64
    return number if -(2**63) <= number < 2**63 else float(digits)


def _load_dotenv(text: str) -> Trees:
    tree: dict[Any, Any] = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = line.partition("=")
        if line.startswith("#"):
            tree[Comment(line[1:])] = None
        elif line and not equals:
            raise SopsError(f"line {number}: is no NAME=value")
        elif line:
            tree[Repeated(name) if name in tree else name] = value.replace("\\n", "\n")
    return [tree]


def _emit_json(tree: dict[Any, Any]) -> bytes:
    text = _json_text(tree, "")
    for sign in "<>&\u2028\u2029":  # Go's encoder escapes these
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return (text + "\n").encode()


def _json_text(value: Any, pad: str) -> str:
    below = f"{pad}\t"
    if isinstance(value, dict):
        named = [(name, item) for name, item in value.items() if not isinstance(name, Comment)]
        lines = [f"{below}{_json_text(str(name), below)}: {_json_text(item, below)}" for name, item in named]
        return "{" + _json_block(lines, pad) + "}"
    if isinstance(value, list):
        return "[" + _json_block([f"{below}{_json_text(item, below)}" for item in value], pad) + "]"
    if isinstance(value, float):
        return _json_number(value)
    return json.dumps(value.decode("utf-8", "replace") if isinstance(value, bytes) else value, ensure_ascii=False)


def _json_block(lines: list[str], pad: str) -> str:
    return "\n" + ",\n".join(lines) + f"\n{pad}" if lines else ""


def _json_number(value: float) -> str:
    """As Go's encoding/json: an exponent below 1e-6 and from 1e21 on, without leading zeros."""
    if not math.isfinite(value):
        raise SopsError("JSON has no number for infinity, nor for what is none")
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return float_text(value)
    return re.sub(r"e([+-])0", r"e\1", repr(value))


def _emit_dotenv(tree: dict[Any, Any]) -> bytes:
    lines = []
    for name, value in tree.items():
        if isinstance(name, Comment):
            lines.append(b"#" + name.text.encode())
        elif isinstance(value, dict | list):
            raise SopsError(f"{name}: a dotenv file cannot hold a list or mapping")
        else:
            lines.append(name.encode() + b"=" + _flat_text(value).replace(b"\n", b"\\n"))
    return b"".join(line + b"\n" for line in lines)


def _flat_text(value: Leaf | None) -> bytes:
    if isinstance(value, bool):
        return str(value).lower().encode()
    if isinstance(value, float):
        text = float_text(value)
        return (text if "." in text else f"{text}.0").encode()
    return b"<nil>" if value is None else mac_bytes(value)


def _emit_binary(tree: dict[Any, Any]) -> bytes:
    value = tree.get(_DATA)
    if not isinstance(value, str | bytes):
        raise SopsError("a binary file has its content under the key `data`")
    return value.encode() if isinstance(value, str) else value


_LOADERS: dict[Format, Callable[[str], Trees]] = {
    Format.BINARY: _load_json,
    Format.DOTENV: _load_dotenv,
    Format.INI: load_ini,
    Format.JSON: _load_json,
    Format.YAML: load_yaml,
}
_EMITTERS: dict[Format, Callable[[dict[Any, Any]], bytes]] = {
    Format.BINARY: _emit_binary,
    Format.DOTENV: _emit_dotenv,
    Format.INI: lambda tree: emit_ini(tree).encode(),
    Format.JSON: _emit_json,
}
