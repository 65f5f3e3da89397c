"""Public Flux fleets as test data: found beside the repository (or by PENSTOCK_CORPUS), never inside it.

The archive holds the YAML files of each repository. What their generators read beside those (scripts, pages) is
filled in, so that what can be built upstream can be built here.
"""

import io
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ARCHIVE = "fleets.tar.xz"
HERE = Path(__file__).parent.parent
_GENERATED = ("expected", "expected_norestrict", "tree", "cases.json", "cases_norestrict.json")
_LISTS = ("files", "envs")


def corpus() -> Path:
    """The archive, or a directory that it was unpacked into. Skips loudly where neither is there."""
    for folder in (os.environ.get("PENSTOCK_CORPUS", ""), str(HERE.parent / "shared" / "corpus")):
        if folder and (Path(folder) / ARCHIVE).is_file():
            return Path(folder) / ARCHIVE
        if folder and (Path(folder) / "FLEETS.md").is_file():
            return Path(folder)
    pytest.skip(f"no corpus of public fleets here: set PENSTOCK_CORPUS to the directory of {ARCHIVE}")


def unpack(name: str, target: Path) -> Path:
    """One fleet (``owner__repository``) as a directory of its own."""
    found = corpus()
    if found.is_dir():
        files = {str(f.relative_to(found / name)): f.read_bytes() for f in (found / name).rglob("*") if f.is_file()}
    else:
        with tarfile.open(fileobj=io.BytesIO(found.read_bytes())) as archive:
            members = [
                m for m in archive.getmembers() if m.isfile() and m.name.removeprefix("./").startswith(f"{name}/")
            ]
            files = {m.name.removeprefix("./").partition("/")[2]: archive.extractfile(m).read() for m in members}
    assert files, f"{name} is not in the corpus"
    for path, data in files.items():
        if path.split("/")[0] not in _GENERATED:
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    fill(target)
    return target


def fill(root: Path) -> None:
    """Small files in the place of those that generators name and that the archive does not hold."""
    for file in root.rglob("kustomization.y*ml"):
        try:
            document = yaml.safe_load(file.read_bytes())
        except yaml.YAMLError:
            continue
        if not isinstance(document, dict):
            continue
        for generator in (*(document.get("configMapGenerator") or ()), *(document.get("secretGenerator") or ())):
            for entry in (each for key in _LISTS for each in generator.get(key) or ()):
                _make(file.parent / str(entry).rpartition("=")[2])


def _make(file: Path) -> None:
    if not re.search(r"[*?]", str(file)) and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("filled: in\n")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A work tree that is pushed to a bare repository of a GitServer."""

    server: object
    name: str
    work: Path

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def push(self, branch: str = "main", message: str = "change") -> str:
        """Commit everything as it stands and push it; the commit."""
        if not (self.work / ".git").exists():
            self.server.create(self.name)
            self.git("init", "--quiet", "--initial-branch=main")
            self.git("remote", "add", "origin", self.url)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", "-C", str(self.work), *identity, *arguments],
            env={**self.server.environment(), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
