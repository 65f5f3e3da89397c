"""How a build is to be done, and the bounds that hold it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from penstock.core.kustomize.yaml_nodes import DEFAULT_LIMITS, YamlLimits

if TYPE_CHECKING:
    from penstock.core.helm.chart import Inflater  # a build without charts needs none of it
    from penstock.core.kustomize.remotes import Remotes


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How much one build may read and make; exceeding one is an error that names it.

    ``depth``: bases below bases; ``bases``: in all, each as often as it is named. ``files``, ``bytes``: read, each
    file once. ``documents``: objects in all files. ``remotes``: repositories and files from elsewhere. ``yaml``: one
    document's nesting and size with its aliases written out.
    """

    depth: int = 64
    bases: int = 20_000
    files: int = 50_000
    bytes: int = 512 * 1024 * 1024
    documents: int = 200_000
    remotes: int = 32
    yaml: YamlLimits = DEFAULT_LIMITS


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """kustomize's own switches, and Flux's rules on top.

    ``load_restrictions``: "rootOnly" (a file must stand in or below the directory of the kustomization that names
    it) or "none". ``reorder``: "legacy" (by kind), "none" (as read) or "unspecified" (legacy, unless
    ``sortOptions`` says otherwise). ``managed_by_label``: add ``app.kubernetes.io/managed-by``, with ``version``.
    ``overlay``: what a Flux Kustomization adds to the file at the built path: ``patches``, ``components`` and
    ``buildMetadata`` are appended, ``images`` replaced by name, ``namespace``, ``namePrefix``, ``nameSuffix`` and
    ``commonMetadata`` set. ``generate_missing``: make a kustomization where the path has none, as Flux does.
    ``lenient``: ignore unknown fields of that file, as Flux does. ``ignore_missing_components``: of ``overlay``.
    ``policies_in_namespaces``: ValidatingAdmissionPolicies and their bindings get the ``namespace`` too, as up to
    kustomize 5.8.1, though they live in none.
    ``remotes``: who fetches remote bases and files; None refuses them.
    ``openapi_adds``: a schema in ``openapi.path`` adds to the built-in kinds, instead of replacing them.
    ``enable_helm``: inflate charts, with ``helm``. ``helm_api_versions``, ``helm_kube_version``, ``helm_debug``: for
    the charts that do not say it themselves.
    """

    load_restrictions: Literal["rootOnly", "none"] = "rootOnly"
    reorder: Literal["legacy", "none", "unspecified"] = "unspecified"
    managed_by_label: bool = False
    version: str = "v5.8.1"
    overlay: Mapping[str, Any] = field(default_factory=dict)
    generate_missing: bool = False
    lenient: bool = False
    ignore_missing_components: bool = False
    openapi_adds: bool = False
    policies_in_namespaces: bool = False
    enable_helm: bool = False
    helm: "Inflater | None" = None
    helm_api_versions: tuple[str, ...] = ()
    helm_kube_version: str = ""
    helm_debug: bool = False
    remotes: "Remotes | None" = None
    bounds: Bounds = Bounds()

    @classmethod
    def flux(cls, overlay: Mapping[str, Any], *, ignore_missing_components: bool = False) -> "BuildOptions":
        """How kustomize-controller builds: anything within the source may be read, and the order stays as read.

        ``overlay``: the fields of a Flux Kustomization's spec that change the build, by kustomize's names
        (``targetNamespace`` is ``namespace`` here).
        """
        return cls(
            load_restrictions="none",
            reorder="none",
            overlay=overlay,
            generate_missing=True,
            lenient=True,
            ignore_missing_components=ignore_missing_components,
            openapi_adds=True,
        )
