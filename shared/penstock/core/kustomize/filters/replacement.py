"""``replacements``: a value from one object, or a fixed one, into fields of others (api/filters/replacement).

A value goes into a scalar as text and keeps the kind of scalar that was there: ``"3"`` in place of 1 is the number 3.
A created field takes the kind that its text reads as. Anything else is replaced as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fields import Where
from penstock.core.kustomize.filters import structured
from penstock.core.kustomize.growth import check_growth, check_length
from penstock.core.kustomize.paths import CREATED, Unread, look_up, split_path
from penstock.core.kustomize.resource import ResId, Resource
from penstock.core.kustomize.scalars import resolve
from penstock.core.kustomize.selectors import (
    Selector,
    matches_kind,
    matches_metadata,
    matches_name,
    parse_selector,
)
from penstock.core.kustomize.written import PlainText, read, retyped, text_of

DEFAULT_PATH: Final = "metadata.name"
_ANNOTATIONS: Final = ("metadata", "annotations")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Options:
    delimiter: str = ""
    index: int = 0
    create: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Value:
    """What is written: ``text`` into scalars, ``whole`` elsewhere."""

    text: str
    whole: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    select: Selector
    reject: tuple[Selector, ...]
    paths: tuple[str, ...]
    options: _Options
    where: str


class Replacement(NamedTuple):
    """One replacement: where it stands (file and path, for messages), and source or sourceValue, and targets."""

    where: Where
    fields: Mapping[str, Any]


def apply_replacements(resources: Sequence[Resource], replacements: Iterable[Replacement]) -> list[Resource]:
    """The resources after each replacement in turn. Raises BuildFailed that names the replacement and the field."""
    result = list(resources)
    for where, replacement in replacements:
        source, fixed = _part(replacement, "source", str(where)), replacement.get("sourceValue")
        targets = replacement.get("targets")
        if (source is None and fixed is None) or targets is None:
            raise BuildFailed(f"{where}: replacements must specify a source and at least one target")
        if source is not None and fixed is not None:
            raise BuildFailed(
                f"{where}: value and resource selectors are mutually exclusive: give one of source and sourceValue"
            )
        if not isinstance(targets, list):
            raise BuildFailed(f"{where.below('targets')}: must be a list")
        value = (
            _Value(text=text_of(fixed), whole=read(text_of(fixed)))
            if source is None
            else _read_source(result, source, str(where.below("source")))
        )
        for position, raw in enumerate(targets):
            _write(result, value, _target(raw, str(where.below(f"targets[{position}]"))))
    return result


def _part(fields: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any] | None:
    found = fields.get(name)
    if found is not None and not isinstance(found, Mapping):
        raise BuildFailed(f"{where}.{name}: must be a mapping")
    return found


def _options(fields: Mapping[str, Any], where: str) -> _Options:
    raw = _part(fields, "options", where) or {}
    delimiter, index, create = raw.get("delimiter"), raw.get("index"), raw.get("create")
    if (
        not isinstance(delimiter, str | None)
        or isinstance(index, bool)
        or not isinstance(index, int | None)
        or not isinstance(create, bool | None)
    ):
        raise BuildFailed(f"{where}.options: delimiter is a text, index a whole number, create true or false")
    return _Options(delimiter=delimiter or "", index=index or 0, create=bool(create))


def _target(raw: Any, where: str) -> _Target:
    if not isinstance(raw, Mapping):
        raise BuildFailed(f"{where}: must be a mapping with select and fieldPaths")
    select = _part(raw, "select", where)
    if select is None:
        raise BuildFailed(f"{where}: target must specify resources to select")
    paths = raw.get("fieldPaths") or [DEFAULT_PATH]
    reject = raw.get("reject") or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BuildFailed(f"{where}.fieldPaths: must be a list of texts")
    if not isinstance(reject, list) or not all(isinstance(item, Mapping) for item in reject):
        raise BuildFailed(f"{where}.reject: must be a list of mappings")
    return _Target(
        select=parse_selector(select, f"{where}.select"),
        reject=tuple(parse_selector(item, f"{where}.reject[{n}]") for n, item in enumerate(reject)),
        paths=tuple(paths),
        options=_options(raw, where),
        where=where,
    )


def _read_source(resources: Sequence[Resource], source: Mapping[str, Any], where: str) -> _Value:
    found = [resource for resource in resources if any(_named(id_, source) for id_ in resource.ids)]
    described = _described(source)
    if not found:
        raise BuildFailed(f"{where}: nothing selected by {described}")
    if len(found) > 1:
        raise BuildFailed(
            f"{where}: multiple matches for selector {described}: {', '.join(str(r.id) for r in found[:3])}"
        )
    path = source.get("fieldPath") or DEFAULT_PATH
    if not isinstance(path, str):
        raise BuildFailed(f"{where}.fieldPath: must be a text")
    try:
        value = look_up(found[0].manifest, split_path(path))
    except BuildFailed as error:
        raise BuildFailed(f"{where}: error looking up replacement source: fieldPath `{path}`: {error}") from error
    nothing = type(value) is PlainText and resolve(value) is None
    if value is None or value in ({}, []) or nothing:
        raise BuildFailed(f"{where}: fieldPath `{path}` is missing for replacement source {described}")
    return _refined(value, _options(source, where), where)


def _named(id_: ResId, source: Mapping[str, Any]) -> bool:
    """Whether an id has each name that a source gives; a namespace that is not written is ``default``."""
    namespace = source.get("namespace")
    return (
        source.get("name") in (None, "", id_.name)
        and source.get("kind") in (None, "", id_.kind)
        and source.get("group") in (None, "", id_.group)
        and source.get("version") in (None, "", id_.version)
        and (not namespace or namespace == (id_.namespace or "default"))
    )


def _described(source: Mapping[str, Any]) -> str:
    group, version, kind, name, namespace = (
        text_of(source.get(field)) for field in ("group", "version", "kind", "name", "namespace")
    )
    path = source.get("fieldPath")
    return f"{ResId(group, version, kind, name, namespace)}{f':{path}' if path else ''}"


def _refined(value: Any, options: _Options, where: str) -> _Value:
    if not options.delimiter:
        return _Value(text=text_of(value), whole=value)
    if isinstance(value, dict | list):
        raise BuildFailed(f"{where}.options: delimiter option can only be used with scalar nodes")
    pieces = text_of(value).split(options.delimiter)
    if not 0 <= options.index < len(pieces):
        raise BuildFailed(f"{where}: options.index {options.index} is out of bounds for value {text_of(value)}")
    text = pieces[options.index]
    return _Value(text=text, whole=retyped(value, text))


def _write(resources: list[Resource], value: _Value, target: _Target) -> None:
    """Write the value into each resource that the target selects; the list is changed in place."""
    for position, resource in enumerate(resources):
        if not _selected(resource, target):
            continue
        manifest = resource.manifest
        for path in target.paths:
            manifest = _set(manifest, path, value, target)
        if isinstance(value.whole, dict | list):
            check_growth(manifest, f"{target.where}.fieldPaths")
        resources[position] = resource.with_manifest(manifest)


def _selected(resource: Resource, target: _Target) -> bool:
    # kustomize notes an old id with the namespace that it is in effect, and reads the present one as it stands.
    ids = (*(old._replace(namespace=old.effective_namespace) for old in resource.previous_ids), resource.id)
    if not any(_matches(target.select, id_) for id_ in ids):
        return False
    labels, annotations = resource.labels, resource.annotations
    if not matches_metadata(target.select, labels, annotations):
        return False
    for reject in target.reject:
        if (reject.label_selector or reject.annotation_selector) and matches_metadata(reject, labels, annotations):
            return False
        if reject.names_objects and any(_matches(reject, id_) for id_ in ids):
            return False
    return True


def _matches(selector: Selector, id_: ResId) -> bool:
    return matches_kind(selector, id_.gvk) and matches_name(selector, id_.name, id_.namespace)


def _set(manifest: dict[str, Any], path: str, value: _Value, target: _Target) -> dict[str, Any]:
    options = target.options
    blank: Any = None
    if options.create:
        blank = {} if isinstance(value.whole, dict) else [] if isinstance(value.whole, list) else CREATED
    where = f"{target.where}.fieldPaths"
    segments = split_path(path)

    def change(old: Any) -> Any:
        new = _changed(old, value, options)
        return PlainText(value.text) if new is None and segments[:2] == _ANNOTATIONS else new

    editor = structured.EmbeddingEditor(change=change, blank=blank)
    problem = f"unable to find {'or create ' if options.create else ''}field {path!r} in replacement target"
    try:
        changed = editor.edit_embedded(manifest, segments) or editor.edit(manifest, segments)
    except BuildFailed as error:
        raise BuildFailed(f"{where}: {problem}: {error}") from error
    if editor.hits == 0:
        raise BuildFailed(f"{where}: {problem}")
    assert isinstance(changed, dict)
    return changed


def _changed(old: Any, value: _Value, options: _Options) -> Any:
    """The new value of a field; ``old`` is Unread where there was none."""
    text = value.text
    if options.delimiter:
        if isinstance(old, dict | list):
            raise BuildFailed("delimiter option can only be used with scalar nodes")
        pieces = text_of(old).split(options.delimiter)
        if options.index < 0:
            pieces.insert(0, text)
        elif options.index >= len(pieces):
            pieces.append(text)
        else:
            pieces[options.index] = text
        text = options.delimiter.join(pieces)
        check_length(len(text))
    if isinstance(old, Unread):
        return read(text)
    return value.whole if isinstance(old, dict | list) else retyped(old, text)
