"""When a prune is stopped and waits for somebody's approval; the rest of the apply goes on.

Stopped: a render without any object; more than half of the inventory and more than ten objects; any Namespace,
CustomResourceDefinition or PersistentVolumeClaim. Names that only changed their hash suffix don't count. The same holds
of Flux objects that left a render, by what goes with them. An approval names the digest of the exact deletions, so that
a changed set needs a new one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.core.reconcile.inventory import ids_digest, object_id
from penstock.core.reconcile.plan import Change
from penstock.core.resources import ObjectRef

APPROVAL = "penstock.dev/allow-prune"
PRECIOUS = {
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
}
_HASHED = re.compile(r"-[2456789bcdfghkmt]{10}$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """More than ``objects`` and more than ``share`` (0 to 1) of the inventory stops a prune."""

    objects: int = 10
    share: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Why a prune waits, and the digest that allows it."""

    why: str
    digest: str


def deletions_digest(deletions: Sequence[Change]) -> str:
    """``sha256:<hex>`` of exactly these deletions, with the uids of what would be deleted."""
    lines = sorted(f"{object_id(c.ref)}={(c.live or {}).get('metadata', {}).get('uid', '')}" for c in deletions)
    return ids_digest(tuple(lines))


def prune_stop(
    deletions: Sequence[Change], rendered: Sequence[ObjectRef], inventory: Sequence[ObjectRef], limits: Limits
) -> Stop | None:
    """Why these deletions must wait for an approval; None where they need none."""
    if not deletions:
        return None
    digest = deletions_digest(deletions)
    if not rendered:
        return Stop(why=f"the render holds no object at all, and {len(deletions)} would be deleted", digest=digest)
    precious = [c.ref for c in deletions if (c.ref.group, c.ref.kind) in PRECIOUS]
    if precious:
        return Stop(why=f"{_named(list(map(str, precious)))} would be deleted with all contents", digest=digest)
    there = {_without_hash(ref) for ref in rendered}
    lost = [c for c in deletions if not (_HASHED.search(c.ref.name) and _without_hash(c.ref) in there)]
    if len(lost) > limits.objects and len(lost) > limits.share * len(inventory):
        return Stop(why=f"{len(lost)} of {len(inventory)} objects would be deleted", digest=digest)
    return None


def removal_stop(deletions: Sequence[Change], limits: Limits) -> Stop | None:
    """Why the deletions of a removed Kustomization must wait: everything goes, so only number and kinds count."""
    if not deletions:
        return None
    somebody = (ObjectRef(kind="", name=""),)
    inventory = tuple(change.ref for change in deletions)
    return prune_stop(deletions, somebody, inventory, limits)


def departure_stop(names: Sequence[str], doomed: int, *, lost: int, whole: int, limits: Limits | None) -> Stop | None:
    """Why Flux objects that left a render (``Kind/namespace/name``) must not go yet; None where they may.

    ``doomed``: how many Kustomizations that removes, those below them included; each has its own guard, so what is
    counted here is what several lose together: ``lost`` of the ``whole`` below this parent. ``limits``: None where the
    render holds nothing at all.
    """
    told, digest = _named(names), ids_digest(tuple(sorted(names)))
    if limits is None:
        along = f", and {lost} objects with them" if lost else ""
        return Stop(why=f"the render holds no object at all, and {told} would be removed{along}", digest=digest)
    if doomed > 1 and lost > limits.objects and lost > limits.share * whole:
        return Stop(why=f"{told} would be removed, and {lost} of {whole} objects with them", digest=digest)
    return None


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _without_hash(ref: ObjectRef) -> tuple[str, str, str, str]:
    return (ref.group, ref.kind, ref.namespace, _HASHED.sub("", ref.name))
