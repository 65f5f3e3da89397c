"""What happens to a rendered object before it is compared and applied (flux-core §3.1).

Owner labels are added, Secret.stringData is merged into data (so that a removed key can be removed from the cluster),
base64 is on one line, and what only the control plane may write is dropped. Nothing else changes: unlike Flux, a
misspelt field of a built-in kind stays, and the API server reports it.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.resources import Manifest, ref_of

_EXACT = 2.0**53
_SERVERS_OWN = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})
"""Of metadata: what stands in an object that somebody exported from a cluster, and is of that one alone."""
_BASE64 = {"ConfigMap": "binaryData", "Secret": "data"}
_CA_BUNDLE = ("spec", "conversion", "webhook", "clientConfig", "caBundle")
NAME_LABEL = "kustomize.toolkit.fluxcd.io/name"
NAMESPACE_LABEL = "kustomize.toolkit.fluxcd.io/namespace"


def normalise(
    manifest: Manifest,
    *,
    namespace: str,
    name: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """The object as it is applied for Kustomization ``namespace/name``.

    ``labels``/``annotations``: its commonMetadata, which win over the object's own but never over the owner labels.
    """
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _SERVERS_OWN}
    owner = {NAME_LABEL: name, NAMESPACE_LABEL: namespace}
    metadata["labels"] = {**(metadata.get("labels") or {}), **(labels or {}), **owner}
    if annotations or metadata.get("annotations"):
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **(annotations or {})}
    normal = {**_with_integers(manifest), "metadata": metadata}
    normal.pop("status", None)
    if manifest.get("kind") == "ClusterRole" and manifest.get("aggregationRule"):
        normal.pop("rules", None)  # a controller fills them in: applied, they would be empty until it does so again
    if manifest.get("kind") == "CustomResourceDefinition" and _holds_place(manifest):
        normal = _without(normal, _CA_BUNDLE)
    if manifest.get("apiVersion") == "v1":
        _unwrap(normal)
    if manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1":
        _merge_string_data(normal)
    return normal


def _holds_place(definition: Manifest) -> bool:
    """Whether its caBundle only stands for the one that somebody fills in: it may not take the place of that one."""
    bundle: Any = definition
    for step in _CA_BUNDLE:
        bundle = bundle.get(step) if isinstance(bundle, Mapping) else None
    if not isinstance(bundle, str) or not bundle:
        return False
    try:
        return b"-----BEGIN CERTIFICATE-----" not in base64.b64decode(bundle)
    except ValueError:
        return True


def _without(value: Mapping[str, Any], path: Sequence[str]) -> Manifest:
    step, rest = path[0], path[1:]
    kept = {key: item for key, item in value.items() if key != step}
    return {**kept, step: _without(value[step], rest)} if rest else kept


def _with_integers(value: Any) -> Any:
    """Whole floats as integers (``replicas: 1.0``), as Go's JSON has them; what holds none is not copied."""
    if isinstance(value, dict):
        made = {key: _with_integers(item) for key, item in value.items()}
        return made if any(made[key] is not item for key, item in value.items()) else value
    if isinstance(value, list):
        items = [_with_integers(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _unwrap(manifest: Manifest) -> None:
    """Base64 on one line, as the API server keeps it: kustomize's generators write lines of 70 characters."""
    field = _BASE64.get(manifest.get("kind", ""))
    found = manifest.get(field) if field else None
    if field and isinstance(found, dict):
        manifest[field] = {key: _one_line(value) if isinstance(value, str) else value for key, value in found.items()}


def _one_line(text: str) -> str:
    return text.replace("\n", "").replace("\r", "")


def _merge_string_data(secret: Manifest) -> None:
    added = secret.pop("stringData", None)
    if not added:
        return
    data: dict[str, Any] = dict(secret.get("data") or {})
    for key, value in added.items():
        if not isinstance(value, str):
            raise InvalidDocument(
                f"must be a string, not {type(value).__name__}: put it in quotes",
                path=f"stringData.{key}",
                document=str(ref_of(secret)),
            )
        data[key] = base64.b64encode(value.encode()).decode()
    secret["data"] = data
