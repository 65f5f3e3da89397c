"""What a registry keeps beside an artifact: where signatures stand, and what their manifests name.

Cosign keeps simple signing payloads as layers of the tag ``sha256-<hex>.sig``; Sigstore bundles and Notary Project
signatures are manifests whose ``subject`` is the artifact, found by the referrers API (OCI distribution 1.1) or, where
a registry has none, in the index under the tag ``sha256-<hex>``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.sources.oci import Descriptor, descriptor, json_object, mappings

COSIGN, NOTATION = "cosign", "notation"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle"
"""How the media types of Sigstore's bundles begin, whatever their version."""

NOTARY = "application/vnd.cncf.notary.signature"
JWS, COSE = "application/jose+json", "application/cose"

MOST_SIGNATURES = 50
MOST_SIGNATURE_BYTES = 1024 * 1024
_COSIGN_BY_REFERRER = "application/vnd.dev.cosign.artifact.sig.v1+json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """One signature as the registry has it. ``data``: a payload, bundle or envelope, checked against its digest."""

    media_type: str
    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """Where one signature is. ``annotations``: the layer's, which for Cosign hold the signature itself."""

    blob: Descriptor
    annotations: Mapping[str, str]


def signature_tag(digest: str) -> str:
    """Cosign's tag beside a digest: ``sha256-<hex>.sig``."""
    return f"{digest.replace(':', '-')}.sig"


def referrers_tag(digest: str) -> str:
    """The tag that stands in for the referrers API: ``sha256-<hex>``."""
    return digest.replace(":", "-")


def referring(index: bytes, kind: str) -> tuple[Descriptor, ...]:
    """The manifests of an index of referrers that hold signatures of this kind (cosign | notation), the last first.

    Raises Terminal where the bytes are no index.
    """
    entries = mappings(json_object(index), "manifests")
    found = [descriptor(each) for each in entries if _is_signature(_artifact_type(each), kind)]
    return tuple(reversed(found))[:MOST_SIGNATURES]


def signature_layers(manifest: bytes, kind: str) -> tuple[Layer, ...]:
    """The layers of a signature's manifest that hold signatures of this kind. Raises Terminal where it is none."""
    layers = mappings(json_object(manifest), "layers")
    found = [
        Layer(blob=descriptor(each), annotations=_texts(each.get("annotations")))
        for each in layers
        if _is_payload(str(each.get("mediaType", "")), kind)
    ]
    return tuple(reversed(found))[:MOST_SIGNATURES]


def _is_signature(artifact_type: str, kind: str) -> bool:
    if kind == NOTATION:
        return artifact_type == NOTARY
    return artifact_type.startswith(BUNDLE) or artifact_type == _COSIGN_BY_REFERRER


def _is_payload(media_type: str, kind: str) -> bool:
    if kind == NOTATION:
        return media_type in (JWS, COSE)
    return media_type.startswith(BUNDLE) or media_type == SIMPLE_SIGNING


def _artifact_type(entry: Mapping[str, Any]) -> str:
    """Registries that do not know ``artifactType`` list a manifest by its config's media type instead."""
    return str(entry.get("artifactType") or "")


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
