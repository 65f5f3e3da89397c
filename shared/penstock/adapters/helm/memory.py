"""Helm in memory: charts that were put in, and templates of fields alone (``{{ .Values.colour }}``).

For tests of whoever uses the port. It is no Helm: a template with anything else in its braces is refused, so that
nobody takes what it makes for what Helm would make.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from penstock.core.errors import BuildFailed, NotFound
from penstock.core.helm.chart import Chart, ChartReference, Release

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_FIELD = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]*)+\Z")
_HOOK = re.compile(r"""^\s*["']?helm\.sh/hook["']?:\s*["']?([a-z-]+)""", re.MULTILINE)


class MemoryHelm:
    """Implements Helm. ``calls``: each release that was rendered, oldest first.

    ``charts``: those of each repository, under (repository, name, version), oldest version first.
    """

    def __init__(self, charts: Mapping[tuple[str, str, str], Mapping[str, bytes]] | None = None) -> None:
        self._charts = dict(charts or {})
        self.calls: list[tuple[Chart, Release]] = []
        self.pulls: list[ChartReference] = []

    def version(self) -> str:
        """See Helm."""
        return "4.0.0"

    def pull(self, reference: ChartReference) -> Chart:
        """See Helm. ``version`` is compared as it stands."""
        self.pulls.append(reference)
        found = [
            files
            for (repository, name, version), files in self._charts.items()
            if (repository, name) == (reference.repository, reference.name)
            and (reference.version == version or (not reference.version and (reference.devel or "-" not in version)))
        ]
        if not found:
            raise NotFound(f"{reference}: not found", reason="ChartPullError")
        return Chart(title=str(reference).removeprefix("chart "), files=found[-1])

    def template(self, chart: Chart, release: Release) -> bytes:
        """See Helm."""
        self.calls.append((chart, release))
        if "Chart.yaml" not in chart.files:
            raise BuildFailed(f"{chart}: Chart.yaml file is missing")
        top = {"Values": _values(chart, release), "Release": _release(release), "Chart": _metadata(chart)}
        crds, plain, hooks = [], [], []
        for path, data in sorted(chart.files.items()):
            if path.startswith("crds/") and release.crds:
                crds.append((path, data.decode()))
            elif path.startswith("templates/") and path.endswith(".yaml"):
                text = _rendered(data.decode(), top, f"{chart}: {path}")
                hook = _HOOK.search(text)
                if hook is None:
                    plain.append((path, text))
                elif release.hooks and (release.tests or hook[1] != "test"):
                    hooks.append((path, text))
        documents = (
            f"---\n# Source: {path}\n{text.strip()}\n" for path, text in (*crds, *plain, *hooks) if text.strip()
        )
        return "".join(documents).encode()


def _release(release: Release) -> dict[str, str]:
    name = release.name or release.name_template or "made-up"
    return {"Name": name, "Namespace": release.namespace or "default"}


def _metadata(chart: Chart) -> dict[str, Any]:
    fields = yaml.safe_load(chart.files["Chart.yaml"])
    return {"Name": fields.get("name"), "Version": fields.get("version")}


def _values(chart: Chart, release: Release) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for number, data in enumerate((chart.files.get("values.yaml", b""), *release.values)):
        try:
            found = yaml.safe_load(data) or {}
        except yaml.YAMLError as error:
            raise BuildFailed(f"{chart}: cannot parse values document {number - 1}") from error
        if not isinstance(found, dict):
            raise BuildFailed(f"{chart}: values document {number - 1} is no mapping")
        merged = _over(merged, found)
    return merged


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = {**below}
    for key, value in above.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _rendered(text: str, top: Mapping[str, Any], where: str) -> str:
    def value_of(found: re.Match[str]) -> str:
        path = found[1]
        if not _FIELD.match(path):
            raise BuildFailed(f"{where}: the Helm in memory renders fields alone, not {path!r}")
        value: Any = top
        for name in path.removeprefix(".").split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return "" if value is None else str(value)

    return _ACTION.sub(value_of, text)
