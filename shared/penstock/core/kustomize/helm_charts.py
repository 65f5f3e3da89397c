"""``helmCharts``, ``helmChartInflationGenerator`` and HelmChartInflationGenerator: what charts render to.

Follows kustomize 5.8.1 (HelmChartInflationGenerator.go, helmchartargs.go): which chart is taken, how its values come
together, what Helm is asked. A chart that stands in the tree is taken as found, whatever its version; another one is
pulled, where a repository is named, and kept for the rest of the build.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import BuildFailed, InvalidDocument, PenstockError, Refused
from penstock.core.helm.chart import Chart, ChartReference, Inflater, Release
from penstock.core.kustomize.chart_values import merged_values
from penstock.core.kustomize.fields import Where, string, struct
from penstock.core.kustomize.kustomization import HELM_CHART, HELM_GLOBALS, Kustomization
from penstock.core.kustomize.load import Loader, Source, join, within
from penstock.core.kustomize.objects import parse_objects
from penstock.core.kustomize.remote_paths import is_remote
from penstock.core.kustomize.session import Session
from penstock.core.resources import Manifest

_HOME = "charts"
_MERGES = ("merge", "override", "replace")
_DEPRECATED = {
    "chartName": "name",
    "chartVersion": "version",
    "chartRepoUrl": "repo",
    "values": "valuesFile",
    "valuesLocal": "valuesInline",
    "valuesMerge": "valuesMerge",
    "releaseName": "releaseName",
}
PLUGIN = {**HELM_CHART, **HELM_GLOBALS, "apiVersion": string, "kind": string}
"""The fields of a HelmChartInflationGenerator's document."""


def charts_of(kustomization: Kustomization, namespace: str) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Each chart of a file with its place (``helmCharts[0]``) and the fields it sets, helmGlobals' and namespace too.

    ``namespace``: of the kustomizations above, for where this one has none.
    """
    old = kustomization.helm_chart_inflation_generator
    found = kustomization.helm_globals
    shared = _globals_of(old) if found is None else found
    space = kustomization.namespace or namespace
    entries = [(f"helmCharts[{at}]", entry) for at, entry in enumerate(kustomization.helm_charts)]
    entries += [(f"helmChartInflationGenerator[{at}]", _converted(entry)) for at, entry in enumerate(old)]
    for path, entry in entries:
        fields = {"namespace": space, **{key: value for key, value in entry.items() if value}, **shared}
        yield Where(kustomization.file, path), fields


def _converted(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {new: entry[name] for name, new in _DEPRECATED.items() if name in entry}


def _globals_of(entries: tuple[Mapping[str, Any], ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:  # the last one that says something
        for name, new in (("helmHome", "configHome"), ("chartHome", "chartHome")):
            if entry.get(name):
                found[new] = entry[name]
    return found


def plugin_fields(document: Manifest, place: Where) -> dict[str, Any]:
    """What the document of a HelmChartInflationGenerator sets. Other plugins take numbers for texts, this one none."""
    found: dict[str, Any] = struct(PLUGIN)(document, place._replace(lenient=True, loose=False))
    return found


def inflate(fields: Mapping[str, Any], place: Where, loader: Loader, session: Session) -> tuple[Manifest, ...]:
    """The objects that one chart renders to.

    Raises Refused where charts are not to be inflated; InvalidDocument, BuildFailed, and what the port raises.
    """
    helm = _enabled(place, loader)
    _check(fields, place)
    entry = _Entry(fields=fields, place=place, loader=loader)
    try:
        rendered = entry.render(helm, session)
    except InvalidDocument:
        raise
    except PenstockError as error:
        raise type(error)(f"{place}: {error}", reason=error.reason) from error
    return parse_objects(rendered, f"{place}: what chart {fields['name']} renders to", loader.source.options.bounds)


def _enabled(place: Where, loader: Loader) -> Inflater:
    options = loader.source.options
    if not options.enable_helm:
        why = (
            "kustomize-controller inflates no charts, and neither is it done here: use a HelmRelease"
            if options.generate_missing
            else "charts are inflated only where that is enabled: build with --enable-helm"
        )
        raise Refused(f"{place}: {why}", reason="BuildFailed")
    if options.helm is None:
        raise BuildFailed(f"{place}: helm is enabled, but the build was given none to run (BuildOptions.helm)")
    return options.helm


def _check(fields: Mapping[str, Any], place: Where) -> None:
    if not fields.get("name"):
        raise place.error("chart name cannot be empty", "name")
    if "/" in fields["name"]:  # kustomize fails when it writes values to a file of that name
        raise place.error("should be the name of a directory in chartHome; put the rest into chartHome or repo", "name")
    merge = fields.get("valuesMerge") or "override"
    if merge not in _MERGES:
        raise place.error(f"valuesMerge must be one of {', '.join(_MERGES)}, not {merge!r}", "valuesMerge")
    if fields.get("chartHome", "").startswith(("/", "~")):
        raise place.error("absolute paths are not read; use one relative to the kustomization", "chartHome")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """One chart of a kustomization, and where its paths lead."""

    fields: Mapping[str, Any]
    place: Where
    loader: Loader

    def get(self, name: str) -> str:
        found: str = self.fields.get(name) or ""
        return found

    @property
    def directory(self) -> str:
        """Of the chart, relative to the kustomization."""
        home = self.get("chartHome") or _HOME
        name, version = self.get("name"), self.get("version")
        return f"{home}/{name}-{version}/{name}" if version and self.get("repo") else f"{home}/{name}"

    def render(self, helm: Inflater, session: Session) -> bytes:
        """What ``helm template`` prints."""
        additional = [self._file(path) for path in self.fields.get("additionalValuesFiles", ())]
        chart, pulled = self._chart(helm, session)
        values = self._values(chart if pulled else None)
        if not self.get("releaseName") and not self.get("nameTemplate"):
            session.warnings.append(
                f"{self.place}: has no releaseName, so Helm makes up another one at every build; set one"
            )
        return helm.template(chart, self._release((values, *additional)))

    def _release(self, values: tuple[bytes, ...]) -> Release:
        fields, options = self.fields, self.loader.source.options
        return Release(
            name=self.get("releaseName"),
            name_template=self.get("nameTemplate"),
            namespace=self.get("namespace"),
            values=values,
            api_versions=tuple(fields.get("apiVersions", options.helm_api_versions)),
            kube_version=fields.get("kubeVersion", options.helm_kube_version),
            crds=bool(fields.get("includeCRDs")),
            tests=not fields.get("skipTests"),
            hooks=not fields.get("skipHooks"),
            debug=fields.get("debug", options.helm_debug),
            devel=bool(fields.get("devel")),
            config_home=self.get("configHome"),
        )

    # -- the chart

    def _chart(self, helm: Inflater, session: Session) -> tuple[Chart, bool]:
        """The chart, and whether it was pulled."""
        source, directory = self.loader.source, join(self.loader.root, self.directory)
        real = source.real(directory) if directory is not None else None
        if directory is None or real is None:
            raise Refused(f"chartHome {self.directory} leads out of the source")
        if source.tree.is_dir(real):
            return Chart(title=f"{self.get('name')} in {directory}", files=_files_of(source, real)), False
        if not self.get("repo"):
            raise BuildFailed(f"no repo specified for pull, and no chart found at '{directory}': add one of the two")
        reference = ChartReference(
            name=self.get("name"),
            repository=self.get("repo"),
            version=self.get("version"),
            devel=bool(self.fields.get("devel")),
            config_home=self.get("configHome"),
        )
        if reference not in session.charts:
            session.charts[reference] = helm.pull(reference)
        return session.charts[reference], True

    # -- its values

    def _values(self, pulled: Chart | None) -> bytes:
        """The one document of valuesFile, by default the chart's own values.yaml, and valuesInline."""
        inline, merge = self.fields.get("valuesInline"), self.get("valuesMerge") or "override"
        path = self.get("valuesFile") or f"{self.directory}/values.yaml"
        if not inline:
            return self._file(path, pulled)
        if merge == "replace":
            return merged_values(b"", inline, merge, path)
        return merged_values(self._file(path, pulled), inline, merge, path)

    def _file(self, path: str, pulled: Chart | None = None) -> bytes:
        """A values file: of the pulled chart, where it stands in one, else of the tree."""
        root = self.loader.root
        directory, found = join(root, self.directory), join(root, path)
        if pulled is None or is_remote(path) or directory is None or found is None or not within(found, directory):
            return self.loader.load(path)[1].data
        if self.loader.source.restricted and not within(found, root):
            raise Refused(f"{path}: security; it is not in or below '{root or '.'}'; name a chartHome that is")
        data = pulled.files.get(found.removeprefix(f"{directory}/"))
        if data is None:
            raise BuildFailed(f"{path}: {pulled} has no such file")
        return data


def _files_of(source: Source, directory: str) -> dict[str, bytes]:
    """The files of a chart in the tree. Links are followed; one that leads to a directory above it is left out."""
    found: dict[str, bytes] = {}
    bound, seen = source.options.bounds.files, 0
    open_directories: list[tuple[str, str, tuple[str, ...]]] = [("", directory, (directory,))]
    while open_directories:
        prefix, place, above = open_directories.pop()
        seen += 1
        if seen > bound or len(found) > bound:  # links can show one directory in many places
            raise Refused(f"{directory}: the chart has more than {bound} files and directories")
        for name in source.tree.list(place) or ():
            real = source.real(f"{place}/{name}".lstrip("/"))
            if real is None:
                continue
            if source.tree.is_dir(real):
                if real not in above:
                    open_directories.append((f"{prefix}{name}/", real, (*above, real)))
                continue
            blob = source.read(real)
            if blob is not None:
                found[prefix + name] = blob.data
    return found
