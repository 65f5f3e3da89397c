"""One kustomization after the other, depth first: resources, generators, components, transformers, validators."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from penstock.core.errors import BuildFailed, InvalidDocument, NotFound, Refused, Terminal
from penstock.core.kustomize import origins
from penstock.core.kustomize.default_config import default_config
from penstock.core.kustomize.fields import Where
from penstock.core.kustomize.generators import generate, merge_generated, merge_options
from penstock.core.kustomize.kustomization import COMPONENT, FILE_NAMES, Kustomization, parse_kustomization
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.objects import is_inline, objects_of, parse_objects
from penstock.core.kustomize.openapi import Schema
from penstock.core.kustomize.remote_paths import is_remote_file, without_login
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Origin, ResId, Resource, metadata_of
from penstock.core.kustomize.session import Accumulated, Session, loaded
from penstock.core.kustomize.step import Step
from penstock.core.kustomize.transform import builtin_steps
from penstock.core.kustomize.transformer_config import EMPTY, TransformerConfig, config_of
from penstock.core.kustomize.yaml_in import load_config
from penstock.core.kustomize.yaml_nodes import MalformedYaml
from penstock.core.resources import Gvk, Manifest
from penstock.core.tree import Blob

VALIDATED_BY = "validated-by"
_CHART_INFLATION = "HelmChartInflationGenerator"


def find_kustomization(loader: Loader) -> tuple[str, bytes] | None:
    """The path and content of the kustomization file of a directory; None where it has none.

    Raises BuildFailed where it has several.
    """
    prefix = f"{loader.root}/" if loader.root else ""
    found = []
    for name in FILE_NAMES:
        path = prefix + name
        real = loader.source.real(path)
        blob = loader.source.read(real) if real is not None else None
        if blob is not None:
            found.append((loader.source.name + path, blob.data))
    if len(found) > 1:
        names = ", ".join(path for path, _ in found)
        raise BuildFailed(f"Found multiple kustomization files under {loader.shown}: {names}; keep one")
    return found[0] if found else None


def read_kustomization(loader: Loader) -> Kustomization:
    """The kustomization of a directory. Raises BuildFailed where it has none or several."""
    found = find_kustomization(loader)
    if found is None:
        raise BuildFailed(
            f"unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in "
            f"directory '{loader.shown}'"
        )
    return parse_kustomization(found[1], found[0])


class Target:
    """One kustomization being built."""

    __slots__ = ("_file", "_kustomization", "_loader", "_origin", "_session", "helm_namespace")

    def __init__(self, session: Session, loader: Loader, kustomization: Kustomization, origin: Origin) -> None:
        self._session, self._loader = session, loader
        self.helm_namespace = ""  # of the nearest kustomization above that has one
        self._kustomization, self._origin = kustomization, origin
        self._file = kustomization.file
        session.warnings.extend(kustomization.warnings)
        self._set_schema()

    def _set_schema(self) -> None:
        wanted = self._kustomization.openapi
        if not wanted or self._session.schema_is_set:
            return
        if "path" in wanted:
            if "version" in wanted:
                problem = "builtin version and custom schema provided, cannot use both"
                raise InvalidDocument(problem, path="openapi", file=self._file)
            file, blob = self._loader.load(wanted["path"])
            adds = self._loader.source.options.openapi_adds or self._session.builtin_in_use
            base = Schema.builtin() if adds else Schema.none()
            self._session.schema = base.with_documents([load_config(blob.data, file)])
            self._session.schema_is_set = True
        elif wanted.get("version"):
            self._session.schema = Schema.of_version(wanted["version"], f"{self._file}: openapi.version")
            self._session.schema_is_set = True

    def accumulate(self, into: Accumulated) -> Accumulated:
        """Add what this kustomization says. ``into``: empty, or its parent's where it is a component."""
        kustomization = self._kustomization
        self._add_resources(into, kustomization.resources)
        into.config = into.config.merge(self._config())
        self._run_generators(into)
        for path in kustomization.components:
            self._add_component(into, path)
        self._run_transformers(into)
        self._run_validators(into)
        self._add_variables(into)
        return into

    def _config(self) -> TransformerConfig:
        kustomization, config = self._kustomization, EMPTY
        for path in kustomization.configurations:
            file, blob = self._loader.load(path)
            config = config.merge(config_of(load_config(blob.data, file, strict=True), file))
        config = default_config().merge(config)
        for path in kustomization.crds:
            from penstock.core.kustomize.crds import config_of_crd  # noqa: PLC0415 - seldom needed

            file, blob = self._loader.load(path)
            config = config.merge(config_of_crd(load_config(blob.data, file), file))
        return config

    # -- resources, bases, components

    def _add_resources(self, into: Accumulated, paths: Iterable[str]) -> None:
        for path in paths:
            if is_remote_file(path):
                self._add_url(into, path)
                continue
            try:
                found = self._loader.load(path)
            except Terminal as file_error:
                self._add_base(into, path, file_error)
                continue
            self._add_file(into, path, found)

    def _add_file(self, into: Accumulated, path: str, found: tuple[str, Blob]) -> None:
        file, blob = found
        bounds = self._loader.source.options.bounds
        try:
            objects = objects_of(blob, file, bounds, self._session.cache)
            if into.plugins:
                into.resources.append_all(one.evolve(file=file) for one in self._resources(objects, path))
            else:
                into.resources.append_all(self._loaded(blob, objects, path))
        except MalformedYaml:
            raise
        except BuildFailed as error:
            raise BuildFailed(f"accumulating resources from '{without_login(path)}': {error}") from error

    def _add_url(self, into: Accumulated, url: str) -> None:
        """A file over HTTP, or a repository that is cloned over it: what the URL looks like first, then the other."""
        from penstock.core.kustomize.repository_url import names_repository  # noqa: PLC0415 - seldom needed

        remotes = self._loader.source.remotes
        if names_repository(url):
            try:
                below = self._loader.below(url)
            except (NotFound, Refused) as error:
                if error.reason == Refused.reason:  # not allowed at all: as a file it is not, either
                    raise
                self._add_file_instead(into, url, error)
                return
            self._add_below(into, url, below)
            return
        try:
            self._add_file(into, url, self._loader.load(url))
        except (NotFound, BuildFailed) as file_error:
            try:
                below = self._loader.below(url)
            except Terminal:
                raise file_error from None
            remotes.drop(url)  # a page for people about the repository
            self._add_below(into, url, below)

    def _add_file_instead(self, into: Accumulated, url: str, error: Terminal) -> None:
        try:
            found = self._loader.load(url)
            self._add_file(into, url, found)
        except Terminal:
            raise error from None

    def _resources(self, objects: Iterable[Manifest], path: str) -> Iterable[Resource]:
        origin = origins.below(self._origin, path) if self._session.tracking else None
        scopes = self._session.scopes
        bound = self._loader.source.options.bounds.documents
        for manifest in objects:
            self._session.count(1, path, bound)
            yield loaded(Resource(manifest=manifest, scopes=scopes, origin=origin))

    def _loaded(self, blob: Blob, objects: tuple[Manifest, ...], path: str) -> Iterable[Resource]:
        """The resources of a file; the same ones at every build, where nothing but the file decides on them."""
        session = self._session
        if session.cache.results is None or session.tracking or session.schema_is_set or session.policies_in_namespaces:
            return self._resources(objects, path)
        found: tuple[Resource, ...] | None = session.cache.get((blob.id, "resources"))
        if found is None:
            scopes = Schema.builtin().cluster_scoped
            found = tuple(loaded(Resource(manifest=manifest, scopes=scopes)) for manifest in objects)
            session.cache.put((blob.id, "resources"), found, len(blob.data))
        session.count(len(found), path, self._loader.source.options.bounds.documents)
        for resource in found:
            session.note_kind(resource.id.gvk.api_version, resource.id.kind)
        return found

    def _add_base(self, into: Accumulated, path: str, file_error: Terminal) -> None:
        try:
            below = self._loader.below(path)
        except Terminal as error:
            is_file_error = "not a valid directory" in str(error)
            raise (file_error if is_file_error else error) from file_error
        self._add_below(into, path, below)

    def _add_below(self, into: Accumulated, path: str, below: Loader) -> None:
        kustomization = read_kustomization(below)
        if kustomization.kind == COMPONENT:
            raise BuildFailed(
                f"{self._file}: resources: expected kind != 'Component' for path '{path}'; move it to `components`"
            )
        base = self._below(below, kustomization, path).accumulate(self._session.accumulated(plugins=into.plugins))
        into.absorb(base, path)

    def _add_component(self, into: Accumulated, path: str) -> None:
        below = self._loader.below(path)
        kustomization = read_kustomization(below)
        if kustomization.kind != COMPONENT:
            raise BuildFailed(
                f"{self._file}: components: expected kind 'Component' for path '{path}' but got "
                f"'{kustomization.kind}'; move it to `resources`"
            )
        self._below(below, kustomization, path).accumulate(into)

    def _below(self, loader: Loader, kustomization: Kustomization, path: str) -> "Target":
        origin = origins.below(self._origin, path) if self._session.tracking else self._origin
        found = Target(self._session, loader, kustomization, origin)
        found.helm_namespace = self._kustomization.namespace or self.helm_namespace
        return found

    # -- generators

    def _run_generators(self, into: Accumulated) -> None:
        kustomization, scopes = self._kustomization, self._session.scopes
        entries = [("ConfigMap", entry) for entry in kustomization.config_map_generator]
        entries += [("Secret", entry) for entry in kustomization.secret_generator]
        for kind, entry in entries:
            options = merge_options(entry.get("options"), kustomization.generator_options)
            made = generate(kind, {**entry, "options": options}, self._loader, scopes)  # type: ignore[arg-type] # one of two
            self._absorb(into.resources, [self._made_by(made, f"{kind}Generator")])
        if kustomization.helm_charts or kustomization.helm_chart_inflation_generator:
            self._inflate_charts(into)
        if not kustomization.generators:
            return
        from penstock.core.kustomize import plugins  # noqa: PLC0415 - seldom needed

        for plugin in self._plugins("generators", kustomization.generators):
            if plugins.is_builtin(plugin) and plugin.id.kind == _CHART_INFLATION:
                generated = self._inflated_by(plugin)
            else:
                generated = plugins.generator(plugin, self._loader, self._file)
            origin = origins.built_by_plugin(plugin) if self._session.tracking else None
            self._absorb(into.resources, [replace(made, origin=origin) for made in generated])

    def _inflate_charts(self, into: Accumulated) -> None:
        from penstock.core.kustomize import helm_charts  # noqa: PLC0415 - seldom needed

        for place, fields in helm_charts.charts_of(self._kustomization, self.helm_namespace):
            found = helm_charts.inflate(fields, place, self._loader, self._session)
            self._absorb(
                into.resources, [self._made_by(made, _CHART_INFLATION) for made in self._from_chart(found, place)]
            )

    def _inflated_by(self, plugin: Resource) -> Iterable[Resource]:
        from penstock.core.kustomize import helm_charts, plugins  # noqa: PLC0415 - seldom needed

        place = plugins.place_of(plugin, self._file)
        fields = helm_charts.plugin_fields(plugin.manifest, place)
        return self._from_chart(helm_charts.inflate(fields, place, self._loader, self._session), place)

    def _from_chart(self, objects: Iterable[Manifest], place: Where) -> Iterable[Resource]:
        """The resources of one chart. Raises BuildFailed where it renders one twice."""
        found = ResMap()
        try:
            found.append_all([replace(made, helm=True) for made in self._resources(objects, self._file)])
        except BuildFailed as error:
            raise BuildFailed(f"{place}: {error}") from error
        return found

    def _made_by(self, resource: Resource, generator: str) -> Resource:
        if not self._session.tracking:
            return resource
        return replace(resource, origin=origins.built_by(self._origin, self._file, generator))

    def _absorb(self, resources: ResMap, generated: Iterable[Resource]) -> None:
        for resource in generated:
            found = resources.matching(resource.id)
            wanted = resource.behavior
            if not found:
                if wanted in ("merge", "replace"):
                    raise BuildFailed(
                        f"{self._file}: {resource.id} does not exist; cannot merge or replace: use behavior create"
                    )
                resources.append(resource)
            elif len(found) > 1:
                raise BuildFailed(f"{self._file}: found multiple objects that could accept merge of {resource.id}")
            elif wanted not in ("merge", "replace"):
                raise BuildFailed(
                    f"{self._file}: {resource.id} exists; can not use behavior '{wanted or 'unspecified'}', "
                    "behavior must be merge or replace"
                )
            else:
                resources.set(found[0], merge_generated(resource, resources[found[0]]))

    # -- transformers and validators

    def _plugins(self, field: str, entries: Iterable[str]) -> ResMap:
        """The documents of ``generators``, ``transformers`` or ``validators``: inline, files or kustomizations."""
        found, paths = self._session.accumulated(plugins=True), []
        bounds = self._loader.source.options.bounds
        for at, entry in enumerate(entries):
            try:
                objects = parse_objects(entry.encode(), f"{self._file}: {field}[{at}]", bounds)
            except BuildFailed:
                if is_inline(entry):
                    raise
                paths.append(entry)
                continue
            origin_path = self._file.rpartition("/")[2]
            found.resources.append_all(self._resources(objects, origin_path))
        self._add_resources(found, paths)
        return found.resources

    def _steps(self, field: str, entries: tuple[str, ...]) -> list[Step]:
        if not entries:
            return []
        from penstock.core.kustomize import plugins  # noqa: PLC0415 - seldom needed

        schema, tracking = self._session.schema, self._session.tracking
        return [
            Step(
                run=plugins.transformer(plugin, self._loader, schema, self._file),
                origin=origins.built_by_plugin(plugin) if tracking else None,
            )
            for plugin in self._plugins(field, entries)
        ]

    def _run_transformers(self, into: Accumulated) -> None:
        origin = self._origin if self._session.tracking else None
        steps = builtin_steps(self._kustomization, self._loader, into.config, self._session, origin)
        steps += self._steps("transformers", self._kustomization.transformers)
        for step in steps:
            step.run(into.resources)
            if step.origin is not None:
                origins.record(into.resources, step.origin)

    def _run_validators(self, into: Accumulated) -> None:
        for step in self._steps("validators", self._kustomization.validators):
            before = {resource.id: resource.manifest for resource in into.resources}
            step.run(into.resources)
            after = {resource.id: _without_mark(resource.manifest) for resource in into.resources}
            if before != after:
                raise BuildFailed(f"{self._file}: validators: a validator shouldn't modify the resource map")

    # -- variables

    def _add_variables(self, into: Accumulated) -> None:
        for variable in self._kustomization.vars:
            name = variable.get("name", "")
            found = self._matching_variable(into.resources, variable.get("objref", {}))
            if len(found) > 1:
                raise BuildFailed(
                    f"{self._file}: vars: found {len(found)} resId matches for var {name} (unable to disambiguate)"
                )
            for index in found:
                resource = into.resources[index]
                into.resources.set(index, replace(resource, var_names=(*resource.var_names, name)))
            into.add_variable(name, {**variable, "name": name})

    def _matching_variable(self, resources: ResMap, objref: Mapping[str, Any]) -> list[int]:
        group, version, kind = (objref.get(key, "") for key in ("group", "version", "kind"))
        if objref.get("apiVersion"):
            parts = objref["apiVersion"].split("/")
            if len(parts) == 1:
                version = parts[0]
            elif len(parts) == 2:
                group, version = parts
        api_version = Gvk(group=group, version=version, kind=kind).api_version
        namespace = objref.get("namespace", "")
        scoped = self._session.scopes(api_version, kind)
        wanted = ResId(group, version, kind, objref.get("name", ""), namespace, scoped)
        if namespace or scoped:
            return resources.matching(wanted)
        return [
            index for index, resource in enumerate(resources) if any(known[:4] == wanted[:4] for known in resource.ids)
        ]


def _without_mark(manifest: Manifest) -> Manifest:
    """A validator may leave one label behind."""
    metadata = metadata_of(manifest)
    labels = metadata.get("labels")
    if not isinstance(labels, dict) or VALIDATED_BY not in labels:
        return manifest
    kept = {key: value for key, value in labels.items() if key != VALIDATED_BY}
    metadata = {key: value for key, value in metadata.items() if key != "labels"}
    return {**manifest, "metadata": {**metadata, "labels": kept} if kept else metadata}
