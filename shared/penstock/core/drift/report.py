"""Drift that is only reported: ``penstock.dev/drift: report`` on a Kustomization, or on one of its objects.

Drift is a difference from what was applied, while Git still asks for just that. So what was applied is remembered, as
a short mark of each such object: one whose mark is another is a change in Git, and is applied.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.resources import Manifest, ref_of

ANNOTATION = "penstock.dev/drift"
REPORT, REVERT = "report", "revert"
REASON = "its drift is reported, not reverted"
"""Why such an object is skipped."""


def mode(annotations: Mapping[str, Any], document: str) -> str:
    """``report``, ``revert`` or "" where nothing is said. Raises InvalidDocument naming ``document``."""
    text = str(annotations.get(ANNOTATION) or "").lower()
    if text not in ("", REPORT, REVERT):
        path = f"metadata.annotations[{ANNOTATION}]"
        raise InvalidDocument(f"is {text!r}, must be {REPORT} or {REVERT}", path=path, document=document)
    return text


def reported_marks(objects: Sequence[Manifest], default: str) -> dict[str, str]:
    """``Kind/namespace/name`` -> mark, of the objects whose drift is only reported.

    ``default``: the Kustomization's own mode; an object's wins over it. Raises InvalidDocument for a wrong one.
    """
    found = {}
    for manifest in objects:
        annotations = manifest["metadata"].get("annotations") or {}
        own = mode(annotations, str(ref_of(manifest))) if ANNOTATION in annotations else ""
        if (own or default) == REPORT:
            found[str(ref_of(manifest))] = _mark(manifest)
    return found


def drift_digest(told: Collection[str]) -> str:
    """What stands for a set of drifts: it is said again when this changes. "" for none."""
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()[:16] if told else ""


def _mark(manifest: Manifest) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
