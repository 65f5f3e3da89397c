"""What becomes of each object of a render: applied, interpreted by the plane, unsupported, or left out.

Every object ends in exactly one of the four, each but the applied ones with a reason that people read in the plan's
summary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock.core.flux.components import (
    OPERATOR_GROUP,
    ControllerFlags,
    component_reason,
    controller_flags,
    is_toolkit_group,
)
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of, ref_of

UNSUPPORTED_KIND = "UnsupportedKind"
"""The condition reason of a Kustomization whose health depends on an unsupported object."""

SUPPORTED = frozenset(
    {
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("notification.toolkit.fluxcd.io", "Alert"),
        ("notification.toolkit.fluxcd.io", "Provider"),
        ("notification.toolkit.fluxcd.io", "Receiver"),
        ("source.extensions.fluxcd.io", "ArtifactGenerator"),
        ("source.toolkit.fluxcd.io", "Bucket"),
        ("source.toolkit.fluxcd.io", "GitRepository"),
        ("source.toolkit.fluxcd.io", "OCIRepository"),
    }
)
"""(group, kind) of the Flux documents that this release acts on."""


class LeftOut(NamedTuple):
    """An object that is neither applied nor pruned, and why."""

    ref: ObjectRef
    reason: str


class Unsupported(NamedTuple):
    """A Flux document of a kind that this release does not act on yet, and what that means."""

    manifest: Manifest
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Classified:
    """A render, divided. Each part keeps the render's order.

    ``namespaces``: the Namespaces among ``left_out``. Other objects may live in them, so they may be created where
    they are missing, but never changed and never pruned. ``flags``: the policy that the repository gives to Flux's
    own kustomize-controller.
    """

    apply: tuple[Manifest, ...] = ()
    interpreted: tuple[Manifest, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    namespaces: tuple[Manifest, ...] = ()
    flags: ControllerFlags = field(default_factory=ControllerFlags)


def classify(resources: Sequence[Manifest]) -> Classified:
    """Divide a render. Each resource has apiVersion, kind and metadata.name."""
    apply, interpreted, unsupported = [], [], []
    left_out: list[LeftOut] = []
    components: list[Manifest] = []
    for manifest in resources:
        gvk = gvk_of(manifest)
        if (gvk.group, gvk.kind) in SUPPORTED:
            interpreted.append(manifest)
        elif is_toolkit_group(gvk.group):
            unsupported.append(Unsupported(manifest, _unsupported_reason(gvk)))
        elif gvk.group == OPERATOR_GROUP:
            reason = f"{gvk.kind} belongs to the Flux Operator: write out the Flux objects that it would make"
            left_out.append(LeftOut(ref_of(manifest), reason))
        elif reason := component_reason(manifest):
            left_out.append(LeftOut(ref_of(manifest), reason))
            components.append(manifest)
        else:
            apply.append(manifest)
    return Classified(
        apply=tuple(apply),
        interpreted=tuple(interpreted),
        unsupported=tuple(unsupported),
        left_out=tuple(left_out),
        namespaces=tuple(each for each in components if gvk_of(each) == Gvk(version="v1", kind="Namespace")),
        flags=controller_flags(components),
    )


def _unsupported_reason(gvk: Gvk) -> str:
    return f"{gvk.kind} ({gvk.group}) is not supported yet: nothing is done for it"
