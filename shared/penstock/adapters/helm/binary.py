"""The helm port on the real Helm, a process for each call.

What a process gets: arguments without values or credentials, values in memory (see ``handed_over``), charts as files
in a private directory that is removed afterwards, an environment of its own with Helm's homes in that directory. So
neither plugins nor logins nor the cluster of whoever runs this have a part in what is rendered.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from penstock.adapters.helm.process import Bounds, Finished, TooLong, TooMuch, handed_over, run
from penstock.core.errors import BuildFailed, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.helm.chart import Chart, ChartReference, Release

PULL_FAILED = "ChartPullError"
_SCHEMES = ("https", "http", "oci")
_VERSION = re.compile(r"v?([0-9]+)((?:\.[0-9]+)+)")
_MAJORS = ("3", "4")
_LONGEST_MESSAGE = 4000
_LONGEST_OUTPUT = 64 * 1024
_FORBIDDEN = re.compile(r"\b(401|403)\b|unauthorized|forbidden|denied|credential not found", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"connection (refused|reset)|no such host|time ?out|deadline exceeded|unreachable|temporary failure|broken pipe"
    r"|unexpected EOF|\b(429|5[0-9][0-9]) |too many requests",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"not found|no chart (name|version)|\b404\b|could not find", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartBounds:
    """How many files a pulled chart may have, and how many ``bytes`` in all."""

    files: int = 10_000
    bytes: int = 256 * 1024 * 1024


class BinaryHelm:
    """Implements Helm with the binary ``command`` (3 or 4; a name on the PATH, or a path).

    ``environment``: what processes may see of the machine's (PATH, proxies for pulls); see wiring.settings.
    ``config_homes``: whether a ChartReference or Release may name a directory of this machine.
    """

    def __init__(
        self,
        command: str = "helm",
        *,
        environment: Mapping[str, str] | None = None,
        config_homes: bool = False,
        bounds: Bounds | None = None,
        chart_bounds: ChartBounds | None = None,
    ) -> None:
        self._command, self._environment = command, dict(environment or {})
        self._config_homes = config_homes
        self._bounds, self._chart_bounds = bounds or Bounds(), chart_bounds or ChartBounds()
        self._version = ""

    def version(self) -> str:
        """See Helm. Asked once."""
        return self._checked("charts")

    def _checked(self, subject: str) -> str:
        """The version. ``subject``: what messages are about."""
        if not self._version:
            with self._homes("", subject) as homes:
                done = self._run(["version", "--short"], homes)
            found = _VERSION.search(done.out.decode(errors="replace"))
            if done.status or found is None:
                raise BuildFailed(f"{subject}: {self._command} does not tell its version, so it is no Helm: name one")
            if found[1] not in _MAJORS:
                raise BuildFailed(f"{subject}: {self._command} is Helm {found[1]}{found[2]}; Helm 3 or 4 is needed")
            self._version = found[1] + found[2]
        return self._version

    def pull(self, reference: ChartReference) -> Chart:
        """See Helm."""
        _check_repository(reference)
        self._checked(str(reference))
        with self._homes(reference.config_home, str(reference)) as homes:
            target = homes.directory / "pulled"
            done = self._run([*_pull_arguments(reference), *_pull_target(target, reference)], homes, pull=True)
            if done.status:
                raise _pull_error(reference, homes.cleaned(done.err))
            files = self._files(target / PurePosixPath(reference.name), reference)
            if "Chart.yaml" not in files:  # Helm unpacks it under the name that it gives itself
                raise Terminal(f"{reference}: the chart itself has another name: use that one", reason=PULL_FAILED)
            return Chart(title=str(reference).removeprefix("chart "), files=files)

    def template(self, chart: Chart, release: Release) -> bytes:
        """See Helm."""
        self._checked(str(chart))
        with self._homes(release.config_home, str(chart)) as homes:
            directory = homes.directory / "chart"
            _write_chart(chart, directory)
            with handed_over(release.values, str(homes.directory)) as (paths, descriptors):
                arguments = _template_arguments(release, paths, str(directory))
                done = self._run(arguments, homes, descriptors)
            if done.status:
                raise BuildFailed(f"{chart}: {_template_error(done, release, homes.for_chart(chart, paths))}")
            return done.out

    # -- processes

    @contextmanager
    def _homes(self, config_home: str, subject: str) -> Iterator["_Homes"]:
        if config_home and not self._config_homes:
            raise Refused(
                f"{subject}: configHome names a directory of the machine that renders: only `penstock build` takes one"
            )
        with TemporaryDirectory(prefix="penstock-helm-") as directory:
            yield _Homes(directory=Path(directory), config_home=config_home, subject=subject)

    def _run(
        self, arguments: list[str], homes: "_Homes", descriptors: list[int] | None = None, *, pull: bool = False
    ) -> Finished:
        binary = shutil.which(self._command)
        if binary is None:
            raise BuildFailed(
                f"{homes.subject}: there is no command {self._command!r} to render it with: install Helm 3 or 4, or "
                "name the binary with --helm-command"
            )
        environment = homes.environment(self._environment, pull=pull)
        try:
            return run([binary, *arguments], environment, self._bounds, descriptors or ())
        except TooLong as error:
            problem = f"{homes.subject}: Helm took longer than {self._bounds.seconds:g} s"
            raise Transient(problem, reason=PULL_FAILED if pull else "BuildFailed") from error
        except TooMuch as error:
            raise BuildFailed(f"{homes.subject}: Helm printed more than {self._bounds.output} bytes") from error
        except OSError as error:
            raise BuildFailed(f"{homes.subject}: {self._command} does not run: {error.strerror}") from error
        except ValueError as error:  # a NUL, or half a surrogate pair, in an argument
            raise BuildFailed(f"{homes.subject}: a name or version holds a character that no command takes") from error

    def _files(self, directory: Path, reference: ChartReference) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        total = 0
        for parent, _, names in os.walk(directory):  # follows no links
            for name in names:
                path = Path(parent, name)
                if path.is_symlink() or not path.is_file():
                    continue
                total += path.stat().st_size
                if len(found) >= self._chart_bounds.files or total > self._chart_bounds.bytes:
                    bounds = f"{self._chart_bounds.files} files or {self._chart_bounds.bytes} bytes"
                    raise Refused(f"{reference}: is larger than {bounds}")
                found[path.relative_to(directory).as_posix()] = path.read_bytes()
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Homes:
    """The private directory of one call. ``subject``: what messages are about."""

    directory: Path
    config_home: str
    subject: str

    def environment(self, given: Mapping[str, str], *, pull: bool) -> dict[str, str]:
        """All that a process gets to see."""
        local = {name: given[name] for name in ("PATH", "HOME") if name in given}
        home = str(self.directory / "home")
        return {
            "PATH": os.defpath,
            "HOME": home,
            **(given if pull else local),
            "TMPDIR": str(self.directory),
            "KUBECONFIG": str(self.directory / "kubeconfig"),  # none: no cluster decides on a namespace
            "HELM_CONFIG_HOME": str(Path(self.config_home).absolute()) if self.config_home else f"{home}/config",
            "HELM_CACHE_HOME": f"{home}/cache",
            "HELM_DATA_HOME": f"{home}/data",  # no plugins
            "HELM_NO_PLUGINS": "1",
        }

    def cleaned(self, message: str) -> str:
        """Helm's words without the paths of this directory."""
        text = message.strip().removeprefix("Error: ").replace(f"{self.directory}/", "")
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} …"

    def for_chart(self, chart: Chart, values: list[str]) -> Callable[[str], str]:
        """``cleaned``, where the chart and the documents of its values have names."""

        def clean(message: str) -> str:
            text = message.replace(str(self.directory / "chart"), chart.title)
            for number, path in enumerate(values):
                text = text.replace(path, f"values document {number}")
            return self.cleaned(text)

        return clean


# -- arguments: a value never begins one, so that none is taken for a flag


def _pull_arguments(reference: ChartReference) -> list[str]:
    version = [f"--version={reference.version}"] if reference.version else []
    return ["pull", *version, *(["--devel"] if reference.devel else [])]


def _pull_target(target: Path, reference: ChartReference) -> list[str]:
    into = ["--untar", f"--untardir={target}"]
    if reference.repository.startswith("oci://"):
        return [*into, "--", f"{reference.repository.removesuffix('/')}/{reference.name}"]
    return [*into, f"--repo={reference.repository}", "--", reference.name]


def _template_arguments(release: Release, values: list[str], chart: str) -> list[str]:
    """As kustomize calls Helm (HelmChart.AsHelmArgs)."""
    flags = [
        *(["--generate-name"] if not release.name else []),
        *([f"--namespace={release.namespace}"] if release.namespace else []),
        *([f"--name-template={release.name_template}"] if release.name_template else []),
        *(f"--values={path}" for path in values),
        *(f"--api-versions={version}" for version in release.api_versions),
        *([f"--kube-version={release.kube_version}"] if release.kube_version else []),
        *(["--include-crds"] if release.crds else []),
        *([] if release.tests else ["--skip-tests"]),
        *([] if release.hooks else ["--no-hooks"]),
        *(["--debug"] if release.debug else []),
        *(["--devel"] if release.devel else []),
    ]
    return ["template", *flags, "--", *([release.name] if release.name else []), chart]


def _write_chart(chart: Chart, directory: Path) -> None:
    for name, data in chart.files.items():
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\0" in name or not parts:
            raise BuildFailed(f"{chart}: the path {name!r} leads out of the chart")
        path = directory.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    directory.mkdir(exist_ok=True)


# -- errors


def _check_repository(reference: ChartReference) -> None:
    try:
        parts = urlsplit(reference.repository)
    except ValueError as error:
        raise Terminal(f"chart {reference.name}: its repository is no URL", reason="URLInvalid") from error
    if parts.username is not None or parts.password is not None:
        raise Refused(
            f"chart {reference.name}: the repository's URL holds credentials, which would be shown to every process "
            "of the machine: remove them, log in with Helm and name its configHome"
        )
    if parts.scheme.lower() not in _SCHEMES or not parts.netloc:
        problem = f"chart {reference.name}: the repository {reference.repository!r} should begin with "
        raise Terminal(f"{problem}https://, http:// or oci://", reason="URLInvalid")


def _pull_error(reference: ChartReference, words: str) -> PenstockError:
    problem = f"{reference}: {words}"
    if _FORBIDDEN.search(words):
        return Refused(problem, reason="AuthenticationFailed")
    if _UNREACHABLE.search(words):
        return Transient(problem, reason=PULL_FAILED)
    if _ABSENT.search(words):
        return NotFound(problem, reason=PULL_FAILED)
    return Terminal(problem, reason=PULL_FAILED)


def _template_error(done: Finished, release: Release, clean: Callable[[str], str]) -> str:
    words = clean(done.err)
    if not release.debug or not done.out:
        return words
    rendered = done.out[:_LONGEST_OUTPUT].decode(errors="replace")
    return f"{words}\nWhat was rendered until then:\n{rendered}"
