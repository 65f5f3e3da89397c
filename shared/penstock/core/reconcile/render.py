"""From a Kustomization and its source's tree to the objects that it stands for.

Flux's order (flux-core §2.2, §2.6, §2.7): build with the fields of the Kustomization merged into the kustomization
file, decrypt, substitute, then normalise. The MAC of an encrypted file is verified on the file as it stands in the
source; after the build a namespace or a label has changed the document.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock.core.errors import BuildFailed, PenstockError, Transient
from penstock.core.flux.classify import Classified, classify
from penstock.core.flux.envsubst import Watched
from penstock.core.flux.kustomization import Kustomization
from penstock.core.flux.substitute import substitute
from penstock.core.kustomize.build import build
from penstock.core.kustomize.objects import ParseCache
from penstock.core.kustomize.options import BuildOptions
from penstock.core.kustomize.remotes import Pin, Remotes
from penstock.core.reconcile.masked import Mask
from penstock.core.reconcile.normalise import normalise
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of
from penstock.core.tree import Inputs, RecordingTree, Tree

Decrypt = Callable[[Manifest], Manifest]
"""A rendered object -> the same without ciphertext. Raises Terminal naming the object, never a value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a render uses beside the tree.

    ``cache``: parsed files. ``variables``: of postBuild; None where it has none at all. ``sources`` gives the tree
    with generator inputs opened for a directory's build; ``decrypt`` opens encrypted objects; ``verify`` is called
    with the tree and what was read of it, and raises where the MAC of an encrypted file does not hold;
    ``warnings``: what these had to say meanwhile; ``secret_values``: of those variables that came from Secrets;
    ``remotes``: who fetches remote bases, None where they are refused.
    """

    cache: ParseCache
    decrypt: Decrypt
    sources: Callable[[Tree, str], Tree]
    warnings: Callable[[], tuple[str, ...]] = tuple
    verify: Callable[[Tree, Inputs], None]
    variables: Mapping[str, str] | None = None
    secret_values: frozenset[str] = field(default=frozenset(), repr=False)
    remotes: Remotes | None = None

    def secret_variables(self) -> frozenset[str]:
        """The names of the variables whose values came from Secrets."""
        return frozenset(name for name, value in (self.variables or {}).items() if value in self.secret_values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """``apply``: normalised objects in render order; ``parts``: the whole render, divided; ``digest``: of all of it.

    ``inputs``: what was read of the tree, ``inputs_digest``: its digest there; ``decrypted``: objects that are
    ciphertext in the source; ``secret_values``: texts from Secrets that substitution may have put anywhere;
    ``remotes``: what was read elsewhere.
    """

    apply: tuple[Manifest, ...]
    parts: Classified
    inputs: Inputs
    inputs_digest: str
    digest: str
    warnings: tuple[str, ...] = ()
    remotes: tuple[Pin, ...] = ()
    decrypted: frozenset[ObjectRef] = frozenset()
    secret_values: frozenset[str] = field(default=frozenset(), repr=False)

    def mask(self, key: bytes) -> Mask:
        """What hides everything of this render that is nobody's business."""
        return Mask(key=key, decrypted=self.decrypted, values=self.secret_values)

    def versions(self) -> dict[ObjectRef, str]:
        """Each object to apply, with its version: the entries of the inventory."""
        return {ref_of(m): gvk_of(m).version for m in self.apply}

    def hidden(self, error: PenstockError) -> PenstockError:
        """An error that an API server's answer stands in, without the values of ours that it may quote."""
        error.args = (self.mask(b"").quoted(str(error), (*self.apply, *self.parts.interpreted)),)
        return error

    def summary(self) -> dict[str, object]:
        """Every document of the render accounted for, JSON-ready."""
        return {
            "applied": len(self.apply),
            "flags": {
                "noCrossNamespaceRefs": self.parts.flags.no_cross_namespace_refs,
                "noRemoteBases": self.parts.flags.no_remote_bases,
                "defaultServiceAccount": self.parts.flags.default_service_account,
                "defaultKubeConfigServiceAccount": self.parts.flags.default_kube_config_service_account,
                "defaultDecryptionServiceAccount": self.parts.flags.default_decryption_service_account,
                "overrideManagers": list(self.parts.flags.override_managers),
                "customApplyStageKinds": list(self.parts.flags.stage_kinds),
            },
            "interpreted": [str(ref_of(m)) for m in self.parts.interpreted],
            "leftOut": [[str(ref), reason] for ref, reason in self.parts.left_out],
            "unsupported": [[str(ref_of(m)), reason] for m, reason in self.parts.unsupported],
            "remotes": [[pin.url, pin.ref, pin.commit or pin.digest] for pin in self.remotes],
        }


def render(kustomization: Kustomization, tree: Tree, context: Context) -> Rendered:
    """What a Kustomization stands for. Raises Terminal (reasons ``BuildFailed``, ``ArtifactFailed``), or Transient.

    Transient: a key service that a SOPS file needs, or a remote base, cannot be had now.
    """
    recorded = RecordingTree(tree)
    directory = kustomization.directory
    if not recorded.is_dir(directory):
        raise BuildFailed(f"kustomization path not found: {kustomization.path or '.'}", reason="ArtifactFailed")
    options = BuildOptions(
        load_restrictions="none",
        reorder="none",
        openapi_adds=True,
        overlay=kustomization.overlay(recorded.is_dir),
        generate_missing=True,
        remotes=context.remotes,
    )
    try:
        built = build(context.sources(recorded, directory), directory, options, context.cache)
    except Transient:
        raise  # a key service of SOPS or a remote base that cannot be had now
    except PenstockError as error:
        raise BuildFailed(f"kustomize build failed: {error}", reason="BuildFailed") from error
    inputs = recorded.inputs().union(built.inputs)
    for read, read_inputs in ((tree, inputs), *built.remote_reads):
        context.verify(read, read_inputs)
    decrypted: set[ObjectRef] = set()
    watched = Watched(names=context.secret_variables())
    manifests = [_finish(r.manifest, kustomization, context, (decrypted, watched)) for r in built.resources]
    parts = classify([m for m in manifests if not _is_kustomize_config(m)])
    return Rendered(
        apply=tuple(_normal(m, kustomization) for m in parts.apply),
        parts=parts,
        inputs=inputs,
        inputs_digest=inputs.digest(tree),
        digest=_digest(manifests),
        warnings=(*kustomization.warnings, *built.warnings, *context.warnings()),
        decrypted=frozenset(decrypted),
        secret_values=context.secret_values | watched.made,
        remotes=built.remotes,
    )


def _finish(
    manifest: Manifest, kustomization: Kustomization, context: Context, hidden: tuple[set[ObjectRef], Watched]
) -> Manifest:
    """``hidden``: what nobody may see of the render; it is added to."""
    decrypted, watched = hidden
    opened = finished = context.decrypt(manifest)
    if kustomization.post_build is not None and context.variables is not None:
        strategy = kustomization.post_build.strategy
        finished = substitute(opened, context.variables, strategy=strategy, watched=watched)
    if opened is not manifest:
        ref = ref_of(finished)
        decrypted |= {ref, replace(ref, namespace="")}  # kustomize gives custom resources of every scope a namespace
    return finished


def _normal(manifest: Manifest, kustomization: Kustomization) -> Manifest:
    return normalise(
        manifest,
        namespace=kustomization.namespace,
        name=kustomization.name,
        labels=kustomization.common_labels,
        annotations=kustomization.common_annotations,
    )


def _is_kustomize_config(manifest: Manifest) -> bool:
    return gvk_of(manifest).group == "kustomize.config.k8s.io"


def _digest(manifests: Sequence[Manifest]) -> str:
    text = json.dumps(manifests, sort_keys=True, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
