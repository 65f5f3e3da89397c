"""A chart, where it comes from, and the release that it is rendered as; and what core asks of a Helm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartReference:
    """Where a chart is pulled from.

    ``repository``: a chart repository (``https://``, ``http://``) or a registry's path (``oci://``), without userinfo.
    ``version``: a version or a constraint, "" for the newest. ``devel``: pre-releases count too. ``config_home``: a
    directory of the machine with Helm's repositories.yaml and registry logins, "" for none.
    """

    name: str
    repository: str
    version: str = ""
    devel: bool = False
    config_home: str = ""

    def __str__(self) -> str:
        """How messages name it."""
        version = f" {self.version}" if self.version else ""
        return f"chart {self.name}{version} of {self.repository}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """The files of one chart by their paths below its directory (``Chart.yaml``, ``templates/service.yaml``).

    ``title``: how messages name it, after the word chart.
    """

    title: str
    files: Mapping[str, bytes] = field(repr=False)

    def __str__(self) -> str:
        """How messages name it."""
        return f"chart {self.title}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What a chart is rendered as.

    ``name``: "" for one that ``name_template`` or, without it, Helm makes up. ``namespace``: "" for Helm's default.
    ``values``: YAML documents, each over those before it and all of them over the chart's own; they may hold secrets.
    ``api_versions``, ``kube_version``: the cluster's capabilities, where not Helm's own guess. ``crds``: with the
    chart's custom resource definitions. ``tests``, ``hooks``: with its test hooks; with hooks at all. ``debug``: an
    error shows what was rendered. ``devel``, ``config_home``: as in ChartReference.
    """

    name: str = ""
    name_template: str = ""
    namespace: str = ""
    values: tuple[bytes, ...] = field(default=(), repr=False)
    api_versions: tuple[str, ...] = ()
    kube_version: str = ""
    crds: bool = False
    tests: bool = True
    hooks: bool = True
    debug: bool = False
    devel: bool = False
    config_home: str = ""


class Inflater(Protocol):
    """What a build asks of Helm. Errors: see ports.helm."""

    def pull(self, reference: ChartReference) -> Chart:
        """The chart that a repository has."""

    def template(self, chart: Chart, release: Release) -> bytes:
        """The manifests that ``helm template`` prints, as YAML documents."""
