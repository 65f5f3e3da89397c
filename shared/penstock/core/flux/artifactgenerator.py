"""ArtifactGenerator (source.extensions.fluxcd.io): artifacts put together from the files of sources.

Spec: source-watcher's docs/spec/v1beta1/artifactgenerators.md. Every field is parsed; ``unserved`` lists those that a
document sets and that nothing here acts on yet.
"""

from dataclasses import dataclass

from penstock.core.errors import InvalidDocument
from penstock.core.flux.fields import Fields, Where, open_document
from penstock.core.resources import Manifest, ref_of
from penstock.core.sources.kinds import ARTIFACTS, EXTERNAL_ARTIFACT

API_GROUP = "source.extensions.fluxcd.io"
API_VERSION = f"{API_GROUP}/v1beta1"
KIND = "ArtifactGenerator"
RECONCILE_ANNOTATION = f"{API_GROUP}/reconcile"

_ALIAS = "[a-z0-9]([a-z0-9_-]*[a-z0-9])?"
_SERVED_KINDS = ARTIFACTS
_MOST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSource:
    """An entry of ``spec.sources``, with the namespace filled in."""

    alias: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """``Kind/namespace/name``: see core.sources.wakeups.source_key."""
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """One copy. ``alias`` and ``source``: of ``from: "@alias/source"``; ``to``: what follows ``@artifact/``."""

    alias: str
    source: str
    to: str
    exclude: tuple[str, ...] = ()
    strategy: str = "Overwrite"


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputArtifact:
    """An ExternalArtifact to make. ``revision``/``origin_revision``: the alias whose revision it takes, or ""."""

    name: str
    copies: tuple[Copy, ...]
    revision: str = ""
    origin_revision: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactGenerator:
    """One ArtifactGenerator. ``disabled``: the annotation that stops it. ``path_pattern``: not served yet."""

    namespace: str
    name: str
    sources: tuple[GeneratorSource, ...]
    artifacts: tuple[OutputArtifact, ...]
    path_pattern: str = ""
    disabled: bool = False


def parse_artifact_generator(manifest: Manifest, *, file: str = "") -> ArtifactGenerator:
    """The ArtifactGenerator of a manifest. Raises InvalidDocument with the dotted path of what is wrong."""
    spec, where = open_document(manifest, file=file)
    if manifest["apiVersion"] != API_VERSION:
        raise _wrong_version(manifest, where)
    ref = ref_of(manifest)
    annotations = manifest["metadata"].get("annotations") or {}
    sources = spec.each("sources", lambda each: _source(each, ref.namespace))
    _check_list(spec, "sources", [each.alias for each in sources])
    pattern = spec.string("pathPattern", default="", longest=1024)
    aliases = frozenset(each.alias for each in sources)
    artifacts = spec.each("artifacts", lambda each: _artifact(each, aliases, templated=bool(pattern)))
    spec.optional("commonMetadata", _metadata)
    spec.done()
    _check_list(spec, "artifacts", [each.name for each in artifacts])
    return ArtifactGenerator(
        namespace=ref.namespace,
        name=ref.name,
        sources=sources,
        artifacts=artifacts,
        path_pattern=pattern,
        disabled=str(annotations.get(RECONCILE_ANNOTATION, "")).lower() == "disabled",
    )


def unserved(generator: ArtifactGenerator) -> tuple[str, ...]:
    """Dotted paths of what the document sets and nothing acts on yet."""
    found = [("spec.pathPattern", bool(generator.path_pattern))]
    found += [(f"spec.sources[{at}].kind", s.kind not in _SERVED_KINDS) for at, s in enumerate(generator.sources)]
    found += [
        (f"spec.artifacts[{at}].copy[{number}].strategy", copy.strategy != "Overwrite")
        for at, artifact in enumerate(generator.artifacts)
        for number, copy in enumerate(artifact.copies)
    ]
    return tuple(path for path, is_set in found if is_set)


def _wrong_version(manifest: Manifest, where: Where) -> InvalidDocument:
    problem = f"is {manifest['apiVersion']!r}, must be {API_VERSION}"
    return InvalidDocument(problem, path="apiVersion", document=where.document, file=where.file)


def _check_list(spec: Fields, name: str, names: list[str]) -> None:
    if not names or len(names) > _MOST:
        raise spec.error(name, f"has {len(names)} entries, must have 1 to {_MOST}")
    for at, each in enumerate(names):
        if each in names[:at]:
            raise spec.error(f"{name}[{at}]", f"has the name {each!r} a second time")


def _source(source: Fields, namespace: str) -> GeneratorSource:
    return GeneratorSource(
        alias=source.string("alias", pattern=_ALIAS, longest=63),
        kind=source.string("kind", one_of=("Bucket", "GitRepository", "OCIRepository", "HelmChart", EXTERNAL_ARTIFACT)),
        namespace=source.name("namespace", default=namespace),
        name=source.name("name"),
    )


def _artifact(artifact: Fields, aliases: frozenset[str], *, templated: bool) -> OutputArtifact:
    copies = artifact.each("copy", lambda each: _copy(each, aliases))
    if not copies:
        raise artifact.error("copy", "is required: one or more entries")
    return OutputArtifact(
        name=artifact.string("name", longest=253) if templated else artifact.name("name"),
        copies=copies,
        revision=_alias(artifact, "revision", aliases),
        origin_revision=_alias(artifact, "originRevision", aliases),
    )


def _alias(artifact: Fields, name: str, aliases: frozenset[str]) -> str:
    alias = artifact.string(name, default="", pattern=f"(@{_ALIAS})?").removeprefix("@")
    if alias and alias not in aliases:
        raise artifact.error(name, f"is '@{alias}', which is no alias of spec.sources")
    return alias


def _copy(copy: Fields, aliases: frozenset[str]) -> Copy:
    alias, _, source = copy.string("from", pattern=f"@{_ALIAS}/.*", longest=1024)[1:].partition("/")
    if alias not in aliases:
        raise copy.error("from", f"begins with '@{alias}', which is no alias of spec.sources")
    to = copy.string("to", pattern="@artifact/.*", longest=1024).removeprefix("@artifact/")
    for name, path in (("from", source), ("to", to)):
        if ".." in path.split("/") or path.startswith("/"):
            raise copy.error(name, "leads out of the tree: '..' and a second '/' at the start are not allowed")
    return Copy(
        alias=alias,
        source=source,
        to=to,
        exclude=copy.strings("exclude"),
        strategy=copy.string("strategy", default="Overwrite", one_of=("Overwrite", "Merge", "Extract")),
    )


def _metadata(metadata: Fields) -> bool:
    metadata.string_map("labels")
    metadata.string_map("annotations")
    return True
