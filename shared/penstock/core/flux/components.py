"""Flux's own installation inside a repository: recognised, so that it is neither installed nor pruned.

``flux bootstrap`` commits the controllers' manifests (gotk-components.yaml) beside the user's. Their flags can carry
a platform team's policy (multi-tenancy lockdown), which must hold here too: ``controller_flags`` reads it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.resources import Manifest, gvk_of

PART_OF_LABEL = "app.kubernetes.io/part-of"
COMPONENT_LABEL = "app.kubernetes.io/component"
NAME_LABEL = "app.kubernetes.io/name"

TOOLKIT_SUFFIX = ".toolkit.fluxcd.io"
EXTENSIONS_GROUP = "source.extensions.fluxcd.io"
OPERATOR_GROUP = "fluxcd.controlplane.io"

_POLICY_FLAGS = (
    "no-cross-namespace-refs",
    "no-remote-bases",
    "default-service-account",
    "default-kubeconfig-service-account",
    "default-decryption-service-account",
)
_UNSERVED_FLAGS = frozenset(
    {
        "insecure-kubeconfig-exec",
        "insecure-kubeconfig-tls",
        "sops-age-secret",
        "sops-vault-configmap",
        "watch-label-selector",
    }
)
_GATES_THAT_MATTER = frozenset(
    {
        "AdditiveCELDependencyCheck",
        "CancelHealthCheckOnNewRevision",
        "DisableFailFastBehavior",
        "MigrateAPIVersion",
        "StrictPostBuildSubstitutions",
    }
)
_GATES_ON_BY_DEFAULT = frozenset({"StrictPostBuildSubstitutions"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ControllerFlags:
    """What the kustomize-controller's arguments in a repository ask for.

    ``stage_kinds``: ``group/Kind`` each; ``unserved``: flags and feature gates (``feature-gates=Name``) that change
    what Flux does and that penstock has no switch for; sorted.
    """

    no_cross_namespace_refs: bool = False
    no_remote_bases: bool = False
    default_service_account: str = ""
    default_kube_config_service_account: str = ""
    default_decryption_service_account: str = ""
    override_managers: tuple[str, ...] = ()
    stage_kinds: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()


def is_toolkit_group(group: str) -> bool:
    """Whether an API group is one of Flux's own that penstock interprets."""
    return group.endswith(TOOLKIT_SUFFIX) or group == EXTENSIONS_GROUP


def component_reason(manifest: Manifest) -> str:
    """Why this object belongs to an installation of Flux, as a sentence for people; "" when it doesn't."""
    gvk = gvk_of(manifest)
    if gvk.kind == "CustomResourceDefinition":
        group = str(manifest["metadata"]["name"]).partition(".")[2]
        if is_toolkit_group(group) or group == OPERATOR_GROUP:
            return f"a CustomResourceDefinition of Flux ({group}): penstock reads these kinds without it"
    if _labels(manifest).get(PART_OF_LABEL) == "flux":
        return f"a component of Flux (label {PART_OF_LABEL}: flux): penstock does this work itself"
    return ""


def controller_flags(manifests: Iterable[Manifest]) -> ControllerFlags:
    """The flags of the kustomize-controller among these objects (defaults where it is not among them)."""
    given = [argument for each in manifests if _is_kustomize_controller(each) for argument in _arguments(each)]
    flags = dict(given)
    unserved = {name for name, value in flags.items() if name in _UNSERVED_FLAGS and value not in ("", "false")}
    unserved |= {f"feature-gates={gate}" for gate in _changed_gates(flags.get("feature-gates", ""))}
    cross, bases, account, kube_config_account, decryption_account = (flags.get(name, "") for name in _POLICY_FLAGS)
    return ControllerFlags(
        no_cross_namespace_refs=cross == "true",
        no_remote_bases=bases == "true",
        default_service_account=account,
        default_kube_config_service_account=kube_config_account,
        default_decryption_service_account=decryption_account,
        override_managers=tuple(value for name, value in given if name == "override-manager" and value),
        stage_kinds=tuple(filter(None, map(str.strip, flags.get("custom-apply-stage-kinds", "").split(",")))),
        unserved=tuple(sorted(unserved)),
    )


def _labels(manifest: Manifest) -> Mapping[str, Any]:
    found = manifest["metadata"].get("labels")
    return found if isinstance(found, Mapping) else {}


def _is_kustomize_controller(manifest: Manifest) -> bool:
    labels = _labels(manifest)
    return (
        manifest["kind"] == "Deployment"
        and labels.get(PART_OF_LABEL) == "flux"
        and "kustomize-controller"
        in (labels.get(COMPONENT_LABEL), labels.get(NAME_LABEL), manifest["metadata"]["name"])
    )


def _arguments(deployment: Manifest) -> Iterable[tuple[str, str]]:
    template = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in template.get("containers") or ():
        for argument in container.get("args") or ():
            name, given, value = str(argument).lstrip("-").partition("=")
            yield name, value if given else "true"


def _changed_gates(text: str) -> Iterable[str]:
    for entry in text.split(","):
        gate, _, value = entry.partition("=")
        wanted = value.strip().lower() == "true"
        if gate.strip() in _GATES_THAT_MATTER and wanted != (gate.strip() in _GATES_ON_BY_DEFAULT):
            yield gate.strip()
