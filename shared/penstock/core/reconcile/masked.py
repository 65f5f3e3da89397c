"""Objects as people may see them: without the values of Secrets."""

import hashlib
import hmac

from penstock.core.resources import Manifest

_HIDDEN = ("data", "stringData")


def masked(manifest: Manifest, key: bytes = b"") -> Manifest:
    """The manifest; a Secret's values become ``***``, with a short HMAC under ``key`` where one is given.

    The HMAC tells that a value differs without telling anything of it to who has not the key.
    """
    if manifest.get("kind") != "Secret" or manifest.get("apiVersion") != "v1":
        return manifest
    hidden = {
        part: {name: _mask(str(value), key) for name, value in values.items()}
        for part in _HIDDEN
        if isinstance(values := manifest.get(part), dict)
    }
    metadata = dict(manifest.get("metadata") or {})
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict) and "kubectl.kubernetes.io/last-applied-configuration" in annotations:
        metadata["annotations"] = {**annotations, "kubectl.kubernetes.io/last-applied-configuration": "***"}
    return {**manifest, "metadata": metadata, **hidden}


def _mask(value: str, key: bytes) -> str:
    if not key:
        return "***"
    return f"*** ({hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:8]})"
