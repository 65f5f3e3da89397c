"""Kustomization (kustomize.toolkit.fluxcd.io): what to build from which source, and how to apply it.

Spec: Flux's docs/spec/v1/kustomizations.md. Every field of v1 is parsed; ``unserved`` lists those that a document
sets and that nothing here acts on yet, so that a caller refuses them by name instead of ignoring them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from penstock.core.flux.fields import Fields, Where, open_document
from penstock.core.resources import Manifest, ObjectRef, ref_of

API_GROUP = "kustomize.toolkit.fluxcd.io"
API_VERSION = f"{API_GROUP}/v1"
KIND = "Kustomization"
OWNER_NAME_LABEL = f"{API_GROUP}/name"
OWNER_NAMESPACE_LABEL = f"{API_GROUP}/namespace"

SOURCE_KINDS = ("GitRepository", "OCIRepository", "Bucket", "ExternalArtifact")
_SOURCE_GROUP = "source.toolkit.fluxcd.io"
_OLD_API_VERSION = f"{API_GROUP}/v1beta2"
_OLD_FIELDS = ("validation", "patchesStrategicMerge", "patchesJson6902")
_SHORTEST_TIMEOUT = timedelta(seconds=30)
_EXPRESSIONS = ("current", "inProgress", "failed")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class SourceRef:
    """What ``spec.sourceRef`` names, with the namespace filled in. ``kind``: one of SOURCE_KINDS."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """``Kind/namespace/name``."""
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Dependency:
    """An entry of ``dependsOn``, with the namespace filled in. ``ready_expr``: CEL, or ""."""

    namespace: str
    name: str
    ready_expr: str = ""

    def __str__(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SubstituteFrom:
    """A ConfigMap or Secret, in the Kustomization's namespace, whose data are variables."""

    kind: str
    name: str
    optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PostBuild:
    """``spec.postBuild``. ``strategy``: WithVariables (skip when there are none) or Always."""

    strategy: str = "WithVariables"
    substitute: Mapping[str, str] = field(default_factory=dict)
    substitute_from: tuple[SubstituteFrom, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Decryption:
    """``spec.decryption``. ``secret``: name of the Secret with the keys, "" where none is named."""

    provider: str
    secret: str = ""
    service_account: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class KubeConfigRef:
    """``spec.kubeConfig``: exactly one of a Secret (``key`` "" means ``value``, then ``value.yaml``) or a ConfigMap."""

    secret: str = ""
    key: str = ""
    config_map: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthCheckExpr:
    """CEL expressions for one kind ("" is every kind of the group)."""

    api_version: str
    kind: str
    current: str
    in_progress: str = ""
    failed: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kustomization:
    """One Kustomization, defaults applied. ``path`` is as written; ``directory`` is where it leads.

    ``retry_interval`` and ``timeout`` are None where the document has none: use the ``effective_`` ones.
    ``patches``, ``images`` and ``ignore`` are as in the document. ``warnings``: sentences for people.
    """

    name: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    source: SourceRef
    path: str = ""
    interval: timedelta
    retry_interval: timedelta | None = None
    timeout: timedelta | None = None
    prune: bool
    deletion_policy: str = "MirrorPrune"
    wait: bool = False
    health_checks: tuple[ObjectRef, ...] = ()
    health_check_exprs: tuple[HealthCheckExpr, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    force: bool = False
    suspend: bool = False
    target_namespace: str = ""
    name_prefix: str = ""
    name_suffix: str = ""
    common_labels: Mapping[str, str] = field(default_factory=dict)
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    patches: tuple[Mapping[str, Any], ...] = ()
    images: tuple[Mapping[str, str], ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    build_metadata: tuple[str, ...] = ()
    ignore: tuple[Mapping[str, Any], ...] = ()
    post_build: PostBuild | None = None
    decryption: Decryption | None = None
    kube_config: KubeConfigRef | None = None
    service_account_name: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def ref(self) -> ObjectRef:
        """Who it is."""
        return ObjectRef(group=API_GROUP, kind=KIND, namespace=self.namespace, name=self.name)

    @property
    def directory(self) -> str:
        """``path`` inside the source's tree: no ``.`` or ``..``; what climbs above the root stays at the root."""
        return _clamped(self.path)

    @property
    def deletes(self) -> bool:
        """Whether what it has applied goes when it is removed itself."""
        return self.deletion_policy in ("Delete", "WaitForTermination") or (
            self.deletion_policy == "MirrorPrune" and self.prune
        )

    @property
    def effective_retry_interval(self) -> timedelta:
        """The fixed delay after a failure."""
        return self.interval if self.retry_interval is None else self.retry_interval

    @property
    def effective_timeout(self) -> timedelta:
        """The bound on health checks: ``timeout`` or interval - 30 s, and in either case at least 30 s."""
        chosen = self.interval - _SHORTEST_TIMEOUT if self.timeout is None else self.timeout
        return max(chosen, _SHORTEST_TIMEOUT)

    @property
    def owner_labels(self) -> dict[str, str]:
        """The labels that everything it applies carries."""
        return {OWNER_NAME_LABEL: self.name, OWNER_NAMESPACE_LABEL: self.namespace}

    def overlay(self, is_dir: Callable[[str], bool] | None = None) -> dict[str, Any]:
        """What is merged into the kustomization file at ``directory``, as fields of that file; {} for nothing.

        ``is_dir`` tells which directories the source's tree has: with ``ignoreMissingComponents`` the components
        that are not there are left out.
        """
        components = list(self.components)
        if self.ignore_missing_components and is_dir is not None:
            components = [path for path in components if is_dir(_clamped(f"{self.directory}/{path}"))]
        fields: dict[str, Any] = {
            "patches": [dict(patch) for patch in self.patches],
            "components": components,
            "images": [dict(image) for image in self.images],
            "namePrefix": self.name_prefix,
            "nameSuffix": self.name_suffix,
            "namespace": self.target_namespace,
            "buildMetadata": list(self.build_metadata),
        }
        return {name: value for name, value in fields.items() if value}


def parse_kustomization(manifest: Manifest, *, file: str = "") -> Kustomization:
    """A Kustomization from a manifest with apiVersion, kind and metadata.name; ``file`` is for messages.

    Raises InvalidDocument with the dotted path of the first field that is wrong, missing or unknown.
    """
    spec, where = open_document(manifest, file=file)
    metadata = Fields(manifest["metadata"], where=where, path="metadata")
    version = _api_version(manifest, where)
    namespace = metadata.string("namespace", longest=63)
    decryption, kube_config = spec.optional("decryption", _decryption), spec.optional("kubeConfig", _kube_config)
    common = spec.optional("commonMetadata", lambda f: (f.string_map("labels"), f.string_map("annotations")))
    labels, annotations = common or ({}, {})
    parsed = Kustomization(
        name=ref_of(manifest).name,
        namespace=namespace,
        labels=metadata.string_map("labels"),
        annotations=metadata.string_map("annotations"),
        source=_source(spec, namespace),
        path=spec.string("path", default=""),
        interval=spec.duration("interval"),
        retry_interval=_optional_duration(spec, "retryInterval"),
        timeout=_optional_duration(spec, "timeout"),
        prune=spec.boolean("prune"),
        deletion_policy=spec.string(
            "deletionPolicy", default="MirrorPrune", one_of=("MirrorPrune", "Delete", "WaitForTermination", "Orphan")
        ),
        wait=spec.boolean("wait", default=False),
        health_checks=spec.each("healthChecks", _health_check),
        health_check_exprs=spec.each("healthCheckExprs", _health_check_expr),
        depends_on=spec.each("dependsOn", lambda f: _dependency(f, namespace)),
        force=spec.boolean("force", default=False),
        suspend=spec.boolean("suspend", default=False),
        target_namespace=spec.string("targetNamespace", default="", longest=63),
        name_prefix=spec.string("namePrefix", default="", longest=200),
        name_suffix=spec.string("nameSuffix", default="", longest=200),
        common_labels=labels,
        common_annotations=annotations,
        patches=spec.each("patches", _patch),
        images=spec.each("images", _image),
        components=_components(spec),
        ignore_missing_components=spec.boolean("ignoreMissingComponents", default=False),
        build_metadata=_build_metadata(spec),
        ignore=spec.each("ignore", _ignore),
        post_build=spec.optional("postBuild", _post_build),
        decryption=decryption,
        kube_config=kube_config,
        service_account_name=spec.name("serviceAccountName", default=""),
        warnings=_warnings(spec, version),
    )
    spec.done()
    return parsed


def _api_version(manifest: Manifest, where: Where) -> str:
    fields = Fields(manifest, where=where)
    fields.string("kind", one_of=(KIND,))
    return fields.string("apiVersion", one_of=(API_VERSION, _OLD_API_VERSION))


def _warnings(spec: Fields, version: str) -> tuple[str, ...]:
    if version != _OLD_API_VERSION:
        return ()
    dropped = [name for name in _OLD_FIELDS if spec.raw(name) is not None]
    ignored = [f"spec.{name} has no effect (nor has it in Flux 2): move it to spec.patches" for name in dropped]
    return (f"{_OLD_API_VERSION} is deprecated: write {API_VERSION}", *ignored)


def _source(spec: Fields, namespace: str) -> SourceRef:
    ref = spec.nested("sourceRef")
    version = ref.string("apiVersion", default="")
    if version and version.partition("/")[0] != _SOURCE_GROUP:
        raise ref.error("apiVersion", f"is {version!r}, must be of group {_SOURCE_GROUP}")
    source = SourceRef(
        kind=ref.string("kind", one_of=SOURCE_KINDS),
        namespace=ref.name("namespace", default="") or namespace,
        name=ref.name("name"),
    )
    ref.done()
    return source


def _optional_duration(spec: Fields, name: str) -> timedelta | None:
    return None if spec.raw(name) is None else spec.duration(name)


def _dependency(fields: Fields, namespace: str) -> Dependency:
    return Dependency(
        namespace=fields.name("namespace", default="") or namespace,
        name=fields.name("name"),
        ready_expr=fields.string("readyExpr", default=""),
    )


def _health_check(fields: Fields) -> ObjectRef:
    group, slash, _version = fields.string("apiVersion", default="apps/v1").rpartition("/")
    return ObjectRef(
        group=group if slash else "",
        kind=fields.string("kind"),
        namespace=fields.string("namespace", default=""),
        name=fields.string("name"),
    )


def _health_check_expr(fields: Fields) -> HealthCheckExpr:
    current, in_progress, failed = (
        fields.string(name, default=None if name == "current" else "") for name in _EXPRESSIONS
    )
    return HealthCheckExpr(
        api_version=fields.string("apiVersion"),
        kind=fields.string("kind", default=""),
        current=current,
        in_progress=in_progress,
        failed=failed,
    )


def _target(fields: Fields) -> dict[str, str]:
    names = ("group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector")
    return {name: value for name in names if (value := fields.string(name, default=""))}


def _patch(fields: Fields) -> Mapping[str, Any]:
    patch: dict[str, Any] = {"patch": fields.string("patch", longest=1 << 20)}
    target = fields.optional("target", _target)
    return patch if target is None else {**patch, "target": target}


def _image(fields: Fields) -> Mapping[str, str]:
    image = {"name": fields.string("name")}
    names = ("newName", "newTag", "digest")
    return image | {name: value for name in names if (value := fields.string(name, default=""))}


def _ignore(fields: Fields) -> Mapping[str, Any]:
    target = fields.optional("target", _target)
    return {"paths": list(fields.strings("paths"))} | ({} if target is None else {"target": target})


def _components(spec: Fields) -> tuple[str, ...]:
    components = spec.strings("components")
    for index, path in enumerate(components):
        if path.startswith("/") or "://" in path or "?" in path:
            raise spec.error(f"components[{index}]", f"component path {path!r} must be local and relative")
    return components


def _build_metadata(spec: Fields) -> tuple[str, ...]:
    values, known = spec.strings("buildMetadata"), ("originAnnotations", "transformerAnnotations")
    for index, value in enumerate(values):
        if value not in known:
            raise spec.error(f"buildMetadata[{index}]", f"is {value!r}, must be one of {', '.join(known)}")
    return values


def _substitute_from(fields: Fields) -> SubstituteFrom:
    return SubstituteFrom(
        kind=fields.string("kind", one_of=("Secret", "ConfigMap")),
        name=fields.string("name", longest=253),
        optional=fields.boolean("optional", default=False),
    )


def _post_build(fields: Fields) -> PostBuild:
    return PostBuild(
        strategy=fields.string("substituteStrategy", default="WithVariables", one_of=("WithVariables", "Always")),
        substitute=fields.string_map("substitute"),
        substitute_from=fields.each("substituteFrom", _substitute_from),
    )


def _decryption(fields: Fields) -> Decryption:
    return Decryption(
        provider=fields.string("provider", one_of=("sops",)),
        secret=fields.optional("secretRef", lambda f: f.name("name")) or "",
        service_account=fields.name("serviceAccountName", default=""),
    )


def _kube_config(fields: Fields) -> KubeConfigRef:
    secret = fields.optional("secretRef", lambda f: (f.name("name"), f.string("key", default="")))
    config_map = fields.optional("configMapRef", lambda f: f.name("name")) or ""
    if (secret is None) == (not config_map):
        raise fields.error("", "needs exactly one of secretRef and configMapRef")
    name, key = secret or ("", "")
    return KubeConfigRef(secret=name, key=key, config_map=config_map)


def _clamped(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)
