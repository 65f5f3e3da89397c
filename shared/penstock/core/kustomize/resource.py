"""One object on its way through a build: its manifest, and what kustomize has to remember beside it.

kustomize keeps its memory in ``internal.config.kubernetes.io/*`` annotations and removes them at the end.
Here the same facts are attributes: nothing has to be removed, and a manifest holds the user's data alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from penstock.core.resources import Gvk, Manifest

Scopes = Callable[[str, str], bool]
"""Whether ``(apiVersion, kind)`` is certainly cluster-scoped, by the schema in use."""

CLUSTER_SCOPE = "_non_namespaceable_"
DEFAULT_NAMESPACE = "default"


class ResId(NamedTuple):
    """Group ("" is core), version, kind, name and namespace ("" where the object names none)."""

    group: str
    version: str
    kind: str
    name: str
    namespace: str = ""
    cluster_scoped: bool = False

    @property
    def gvk(self) -> Gvk:
        """The kind of thing that this names."""
        return Gvk(group=self.group, version=self.version, kind=self.kind)

    @property
    def effective_namespace(self) -> str:
        """The namespace for comparisons: never empty, ``_non_namespaceable_`` for cluster-scoped objects."""
        return CLUSTER_SCOPE if self.cluster_scoped else self.namespace or DEFAULT_NAMESPACE

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What is equal for two ids that name the same object."""
        return (self.group, self.version, self.kind, self.name, self.effective_namespace)

    def selected_by(self, gvk: Gvk) -> bool:
        """Whether each field of ``gvk`` that is not "" equals ours."""
        return gvk.kind in ("", self.kind) and gvk.group in ("", self.group) and gvk.version in ("", self.version)

    def __str__(self) -> str:
        """How kustomize writes an id, as its users know it from error messages."""
        gvk = f"{self.kind or '[noKind]'}.{self.version or '[noVer]'}.{self.group or '[noGrp]'}"
        return f"{gvk}/{self.name or '[noName]'}.{self.namespace or '[noNs]'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where an object, or a change to it, came from (``buildMetadata``). Empty fields are not printed.

    ``configured_by``: apiVersion, kind and, for plugins, name and namespace of the generator or transformer.
    """

    path: str = ""
    repo: str = ""
    ref: str = ""
    configured_in: str = ""
    configured_by: Mapping[str, str] = field(default_factory=dict)


def text(value: Any) -> str:
    """A scalar as kustomize reads it where it expects a string: true is ``true``, null is empty."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(getattr(value, "text", value))  # a number as it was written, where that is known


def metadata_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """``metadata`` where it is a mapping, else an empty one."""
    found = manifest.get("metadata")
    return found if isinstance(found, dict) else {}


def string_map(manifest: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """``metadata.labels`` or ``metadata.annotations`` with each value as text (see ``text``)."""
    found = metadata_of(manifest).get(name)
    if not isinstance(found, dict):
        return {}
    return {text(key): text(value) for key, value in found.items()}


def _certainly_namespaced(_api_version: str, _kind: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A manifest (never changed in place; subtrees may be shared with other resources) and its history.

    ``previous``: the ids that it had before each rename, oldest first. ``prefixes``, ``suffixes``: what
    namePrefix and nameSuffix added, in that order: the trace of the overlays that it went through.
    ``needs_hash``: its name gets a content hash. ``behavior``: a generator's ``create``, ``merge``,
    ``replace`` or "". ``helm``: it came out of a chart, so the namespace transformer leaves it alone.
    ``var_names``: the vars that read it. ``linked``: it has labels or annotations that change together.
    ``file``: where it stands, of plugins' documents alone. ``id``: who it is now; follows from the manifest.
    """

    manifest: Manifest
    scopes: Scopes = field(default=_certainly_namespaced, repr=False, compare=False)
    previous: tuple[ResId, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    needs_hash: bool = False
    behavior: str = ""
    helm: bool = False
    origin: Origin | None = None
    transformations: tuple[Origin, ...] = ()
    var_names: tuple[str, ...] = ()
    linked: bool = False
    file: str = field(default="", repr=False, compare=False)
    id: ResId = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", _identified(self.manifest, self.scopes))

    @property
    def original_id(self) -> ResId:
        """The id under which it was loaded or generated."""
        return self.previous_ids[0] if self.previous else self.id

    @property
    def previous_ids(self) -> tuple[ResId, ...]:
        """Each id that it had before, oldest first, under the group and version that it has now."""
        group, version = self.id.group, self.id.version
        for old in self.previous:
            if old.group != group or old.version != version:
                break
        else:
            return self.previous
        return tuple(old._replace(group=group, version=version) for old in self.previous)

    @property
    def ids(self) -> tuple[ResId, ...]:
        """Each id that it ever had: the previous ones, then the present one."""
        return (*self.previous_ids, self.id)

    @property
    def labels(self) -> Mapping[str, str]:
        """``metadata.labels``, values as text."""
        return string_map(self.manifest, "labels")

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, values as text."""
        return string_map(self.manifest, "annotations")

    def evolve(self, **changes: Any) -> "Resource":
        """The same object with other attributes: dataclasses.replace, at a fraction of its cost."""
        new, put = object.__new__(Resource), object.__setattr__
        for name in _FIELDS:
            put(new, name, getattr(self, name))
        for name, value in changes.items():
            put(new, name, value)
        manifest, old = new.manifest, self.manifest
        if manifest is not old and (
            manifest.get("metadata") is not old.get("metadata")
            or manifest.get("kind") is not old.get("kind")
            or manifest.get("apiVersion") is not old.get("apiVersion")
        ):
            put(new, "id", _identified(manifest, self.scopes))
        return new

    def with_manifest(self, manifest: Manifest) -> "Resource":
        """The same object with other content."""
        return self if manifest is self.manifest else self.evolve(manifest=manifest)

    def remembering(self, **changes: Any) -> "Resource":
        """The same object with its present id added to the previous ones: call this before a rename.

        ``changes``: other attributes that change with the name. A manifest among them has to be made of
        ``self.manifest_to_rename``.
        """
        if "manifest" not in changes:
            changes["manifest"] = self.manifest_to_rename
        return self.evolve(previous=(*self.previous, self.id), **changes)

    def forgetting(self) -> "Resource":
        """The same object without what kustomize keeps in annotations, which a patch has overwritten."""
        return self.evolve(
            previous=(),
            prefixes=(),
            suffixes=(),
            needs_hash=False,
            behavior="",
            helm=False,
            origin=None,
            transformations=(),
        )

    @property
    def manifest_to_rename(self) -> Manifest:
        """The manifest as kustomize has it once the old id is noted: in an annotation, so all are written anew."""
        if self.linked and "annotations" in metadata_of(self.manifest):
            annotations = {key: str(value) for key, value in self.annotations.items()}
            return set_annotations(self.manifest, annotations)
        return self.manifest


def _identified(manifest: Manifest, scopes: Scopes) -> ResId:
    api_version, kind = text(manifest.get("apiVersion")), text(manifest.get("kind"))
    group, slash, version = api_version.partition("/")
    if not slash:
        group, version = "", api_version
    metadata = metadata_of(manifest)
    name, namespace = text(metadata.get("name")), text(metadata.get("namespace"))
    return ResId(group, version, kind, name, namespace, scopes(api_version, kind))


_FIELDS = tuple(item.name for item in fields(Resource))


def set_annotations(manifest: Manifest, annotations: Mapping[str, str]) -> Manifest:
    """The manifest with these annotations, and no others."""
    return {**manifest, "metadata": {**metadata_of(manifest), "annotations": annotations}}


def set_metadata(manifest: Manifest, name: str, value: Any) -> Manifest:
    """The manifest with one field of ``metadata`` set; None removes it. Unchanged where it is so already."""
    metadata = metadata_of(manifest)
    if value is None:
        if name not in metadata:
            return manifest
        return {**manifest, "metadata": {key: item for key, item in metadata.items() if key != name}}
    if type(metadata.get(name)) is type(value) and metadata[name] == value:
        return manifest
    return {**manifest, "metadata": {**metadata, name: value}}
