"""The hash that kustomize appends to the names of generated ConfigMaps and Secrets, bit for bit."""

import hashlib
import json
from typing import Any

from penstock.core.kustomize.resource import text
from penstock.core.kustomize.scalars import number_text
from penstock.core.resources import Manifest

_ALPHABET = str.maketrans("013ae", "ghkmt")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_ESCAPES = str.maketrans(_HTML)


def content_hash(manifest: Manifest) -> str:
    """Ten characters that follow from kind, type and data; not from the name, which kustomize fails to find."""
    kind = text(manifest.get("kind"))
    name = ""
    if kind == "ConfigMap":
        content = {"data": _value(manifest, "data"), "kind": kind, "name": name}
        _add_mapping(content, manifest, "binaryData")
    elif kind == "Secret":
        content = {"data": _value(manifest, "data"), "kind": kind, "name": name}
        content["type"] = text(manifest.get("type"))
        _add_mapping(content, manifest, "stringData")
    else:
        content = manifest
    digest = hashlib.sha256(go_json(content).encode()).hexdigest()
    return digest[:10].translate(_ALPHABET)


def go_json(value: Any) -> str:
    """JSON as Go's encoder writes it: sorted keys, no spaces, ``<``, ``>`` and ``&`` escaped."""
    encoded = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return encoded.translate(_ESCAPES)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        text = number_text(value)
        return int(text) if text.lstrip("-").isdigit() else value
    return value


def _value(manifest: Manifest, name: str) -> Any:
    found = manifest.get(name)
    return found if isinstance(found, dict) else text(found)


def _add_mapping(content: dict[str, Any], manifest: Manifest, name: str) -> None:
    if isinstance(manifest.get(name), dict):
        content[name] = manifest[name]
