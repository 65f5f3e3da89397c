"""``kustomize build``: from a file tree and a path in it to resources."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize import origins
from penstock.core.kustomize.accumulate import Target, read_kustomization
from penstock.core.kustomize.filters.labels import METADATA_LABELS, add_entries
from penstock.core.kustomize.filters.names import add_hashes
from penstock.core.kustomize.kustomization import Kustomization
from penstock.core.kustomize.load import Counted, Elsewhere, LinkedTree, Loader, Source
from penstock.core.kustomize.name_references import fix_name_references
from penstock.core.kustomize.objects import ParseCache
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.options import BuildOptions
from penstock.core.kustomize.order import legacy_order, sort_by
from penstock.core.kustomize.remote_paths import is_remote
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Origin, Resource, metadata_of, set_metadata, text
from penstock.core.kustomize.results import Results
from penstock.core.kustomize.scalars import resolve
from penstock.core.kustomize.session import Accumulated, Session
from penstock.core.kustomize.written import WrittenTime
from penstock.core.kustomize.yaml_out import dump, dump_one
from penstock.core.resources import Manifest
from penstock.core.tree import Inputs, RecordingTree, Tree

if TYPE_CHECKING:  # few builds read from elsewhere
    from penstock.core.kustomize.remotes import Pin

_LOCAL_CONFIG = "config.kubernetes.io/local-config"
_INTERNAL = "internal.config.kubernetes.io/"
_BUILD_ANNOTATIONS = frozenset(
    {
        *(
            _INTERNAL + name
            for name in (
                "previousKinds", "previousNames", "prefixes", "suffixes", "previousNamespaces",
                "allowNameChange", "allowKindChange", "refBy", "generatorBehavior", "needsHashSuffix", "path",
                "index", "seqindent", "id", "annotations-migration-resource-id", "helm-generated",
            )
        ),
        "config.kubernetes.io/path",
        "config.kubernetes.io/index",
        "config.k8s.io/id",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """What a build gives: ``resources`` in order, ``inputs`` (all that was read or looked for) and warnings.

    ``remotes``: what was read from elsewhere, and where that stood; ``remote_reads``: the trees themselves, each with
    what was read of it. ``results``: where texts are kept for the next build.
    """

    resources: tuple[Resource, ...]
    inputs: Inputs
    warnings: tuple[str, ...] = ()
    remotes: "tuple[Pin, ...]" = ()
    remote_reads: tuple[tuple[Tree, Inputs], ...] = ()
    results: Results | None = field(default=None, repr=False, compare=False)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """The objects, as plain values that must not be changed."""
        return tuple(resource.manifest for resource in self.resources)

    def to_yaml(self) -> str:
        """The output of ``kustomize build``, byte for byte."""
        if self.results is None:
            return dump(self.manifests)
        return "---\n".join(self.results.apply("text", self.resources, _text))


def _text(resource: Resource) -> str:
    return dump_one(resource.manifest)


def build(tree: Tree, path: str = "", options: BuildOptions | None = None, cache: ParseCache | None = None) -> Build:
    """Build the kustomization in the directory ``path`` of ``tree`` ("" is its root), or behind a URL.

    ``cache``: parsed files, kept by the caller from one build to the next. Raises BuildFailed or InvalidDocument
    for what cannot be built, Refused for what may not be read, and what ``options.remotes`` raises; the message names
    file, document and field.
    """
    options = options or BuildOptions()
    recording = RecordingTree(tree)
    elsewhere = Elsewhere(options)
    loader = _opened(recording, path, options, elsewhere, tree if isinstance(tree, LinkedTree) else None)
    session = Session(
        cache=cache or ParseCache(results=0),  # nobody comes after
        schema=Schema.builtin(),
        policies_in_namespaces=options.policies_in_namespaces,
    )
    kustomization = _root_kustomization(loader, session)
    session.tracking = bool(kustomization.build_metadata)
    found = Target(session, loader, kustomization, Origin()).accumulate(session.accumulated())
    resources = found.resources
    add_hashes(resources)
    fix_name_references(resources, found.config.name_reference)
    _expand(resources, found)
    _check_identified(resources)
    remaining = list(ResMap(_without_local(resources)))  # patches and replacements may have made two of one id
    ordered = _ordered(remaining, kustomization, options, session)
    opened = elsewhere.opened
    return Build(
        resources=_finished(ordered, kustomization, options, session.cache.results),
        inputs=recording.inputs(),
        warnings=(*session.warnings, *(warning for remotes in opened for warning in remotes.warnings)),
        remotes=tuple(pin for remotes in opened for pin in remotes.pins),
        remote_reads=tuple(read for remotes in opened for read in remotes.reads),
        results=session.cache.results,
    )


def _opened(
    tree: RecordingTree, path: str, options: BuildOptions, elsewhere: Elsewhere, links: LinkedTree | None
) -> Loader:
    counted = Counted(options.bounds)
    source = Source(tree=tree, options=options, counted=counted, elsewhere=elsewhere, links=links)
    if is_remote(path):
        return Loader(source=source, root="").below(path)
    root = source.real(path.strip("/"))
    if root is None or not tree.is_dir(root):
        raise BuildFailed(f"'{path}' doesn't exist, or is not a directory")
    return Loader(source=source, root=root)


def _root_kustomization(loader: Loader, session: Session) -> Kustomization:
    options = loader.source.options
    if not (options.generate_missing or options.overlay or options.lenient):
        return read_kustomization(loader)
    from penstock.core.kustomize.flux_rules import flux_kustomization  # noqa: PLC0415 - a plain build needs none

    return flux_kustomization(loader, session.cache)


def _expand(resources: ResMap, found: Accumulated) -> None:
    if found.variables:
        from penstock.core.kustomize.filters.refvar import expand_vars  # noqa: PLC0415 - seldom needed

        expanded = expand_vars(list(resources), list(found.variables.values()), list(found.config.var_reference))
        resources.replace_all(expanded)


def _check_identified(resources: Iterable[Resource]) -> None:
    """Each object was read with a kind and a name; raise BuildFailed where it has been without one since."""
    for resource in resources:
        for one in (resource.id, *resource.previous):
            missing = "kind" if not one.kind else "" if one.name or one.kind.endswith("List") else "metadata.name"
            if missing:
                raise BuildFailed(
                    f"missing {missing} in object {resource.id}, which was read as {resource.original_id}: "
                    "a patch, replacement or transformer has removed it"
                )


def _without_local(resources: Iterable[Resource]) -> list[Resource]:
    """All but those that are for tools on the user's machine alone."""
    return [one for one in resources if one.annotations.get(_LOCAL_CONFIG, "false") == "false"]


def _ordered(
    resources: list[Resource], kustomization: Kustomization, options: BuildOptions, session: Session
) -> list[Resource]:
    if kustomization.sort_options is not None:
        if options.reorder != "unspecified":
            session.warnings.append(
                "the order is set in the kustomization file ('sortOptions') and by --reorder: the file's is used"
            )
        return sort_by(resources, kustomization.sort_options, kustomization.file)
    return list(resources) if options.reorder == "none" else legacy_order(resources)


def _finished(
    resources: list[Resource], kustomization: Kustomization, options: BuildOptions, results: Results | None
) -> tuple[Resource, ...]:
    wanted = kustomization.build_metadata
    finished = ResMap(results=results)
    finished.replace_all(resources)
    if options.managed_by_label or "managedByLabel" in wanted:
        label = {"app.kubernetes.io/managed-by": f"kustomize-{options.version}"}
        add_entries(finished, label, (METADATA_LABELS,))
    shown = {"origin": "originAnnotations" in wanted, "transformations": "transformerAnnotations" in wanted}

    def finish(resource: Resource) -> Resource:
        return origins.annotated(resource.with_manifest(_with_text_annotations(resource)), **shown)

    finished.transform(("finished", *shown.values()), finish)
    return tuple(finished)


def _as_written(value: Any) -> str:
    """An annotation's text: of a date the one that stood in the file."""
    return value.text if type(value) is WrittenTime else text(value)


def _with_text_annotations(resource: Resource) -> Manifest:
    """Annotations are text, none of them kustomize's own; where none is left, there is no field."""
    manifest = resource.manifest
    metadata = metadata_of(manifest)
    if "annotations" not in metadata:
        return manifest
    found = metadata["annotations"]
    written: Mapping[Any, Any] = found if isinstance(found, dict) else {}
    kept = {text(key): _as_written(value) for key, value in written.items() if text(key) not in _BUILD_ANNOTATIONS}
    for name in (origins.ORIGIN, origins.TRANSFORMATIONS):
        kept.pop(name, None)
    odd = next((key for key in kept if not isinstance(resolve(key), str)), None)
    if odd is not None:
        raise BuildFailed(f"{resource.id}: the name of the annotation `{odd}` is no text to YAML: give it another one")
    return set_metadata(manifest, "annotations", kept or None)
