"""Kubernetes objects as plain JSON-like dicts, and the identities by which they are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]
"""One Kubernetes object: keys as in YAML, values str | int | float | bool | None | list | dict."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Gvk:
    """Group ("" is core), version, kind."""

    group: str = ""
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class ObjectRef:
    """One object, whatever its version: what inventories, owners and dependents name.

    ``namespace`` is "" for cluster-scoped objects.
    """

    group: str = ""
    kind: str
    namespace: str = ""
    name: str

    def __str__(self) -> str:
        """``Kind/namespace/name`` or ``Kind/name``: how Flux writes an object in messages."""
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"


def gvk_of(manifest: Mapping[str, Any]) -> Gvk:
    """The Gvk of a manifest that has apiVersion and kind."""
    group, slash, version = str(manifest["apiVersion"]).rpartition("/")
    return Gvk(group=group if slash else "", version=version, kind=str(manifest["kind"]))


def ref_of(manifest: Mapping[str, Any]) -> ObjectRef:
    """The ObjectRef of a manifest that has apiVersion, kind and metadata.name."""
    gvk = gvk_of(manifest)
    metadata = manifest["metadata"]
    return ObjectRef(
        group=gvk.group,
        kind=gvk.kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata["name"]),
    )
