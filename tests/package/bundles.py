"""The bundles of this checkout for the Python that runs the tests: made once for the same input, by whichever process
comes first, and kept outside the repository.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from tools.package import bundle, contents, lock
from tools.package.provider import PROVIDERS
from tools.package.target import here

ROOT = Path(__file__).parents[2]
KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock/bundles"
DAYS = 2
"""After which bundles of another input go."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """``zip``: as `make package` writes it; ``root``: where it is unpacked."""

    zip: Path
    root: Path


def made(name: str) -> Made:
    """The bundle of a provider."""
    place = KEPT / f"{name}-{_key(name)}"
    with _alone(place):
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            bundle.build(ROOT, PROVIDERS[name], here(), place)
            with zipfile.ZipFile(place / f"{name}.zip") as archive:
                archive.extractall(place / "root")
            (place / "done").touch()
        os.utime(place / "done")
    _forget()
    return Made(zip=place / f"{name}.zip", root=place / "root")


def layer() -> Path:
    """What the buildpack makes of the Google bundle's requirements.txt: a folder whose bin/ has the command."""
    given = made("google").root / "requirements.txt"
    place = KEPT / f"layer-{hashlib.sha256(given.read_bytes() + sys.version.encode()).hexdigest()[:20]}"
    with _alone(place):
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            lock.install(given, here(), place)
            (place / "done").touch()
        os.utime(place / "done")
    return place


def runtime(directory: Path) -> Path:
    """A folder with AWS's runtime interface client and what it needs alone, as /var/runtime on Lambda has it."""
    site = Path(lock.uv()).parents[1] / f"lib/python{here().python}/site-packages"
    for pattern in ("awslambdaric", "snapshot_restore_py*", "simplejson", "runtime_client*"):
        found = list(site.glob(pattern))
        assert found, f"{pattern} is not in {site}: make .venv/.installed"
        for path in found:
            (directory / path.name).symlink_to(path)
    return directory


def _key(name: str) -> str:
    """Of all that the bundle is made of."""
    known = [sys.version, zlib.ZLIB_RUNTIME_VERSION, subprocess.check_output([lock.uv(), "--version"], text=True)]
    digest = hashlib.sha256("\n".join(known).encode())
    files = {str(path.relative_to(ROOT)): path for path in (ROOT / "tools/package").glob("*.py")}
    files |= contents.ours(ROOT, PROVIDERS[name]) | {"lock": ROOT / PROVIDERS[name].lock}
    for each, path in sorted(files.items()):
        digest.update(f"{each}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]


@contextlib.contextmanager
def _alone(place: Path):
    """One process at a time."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _forget():
    for done in KEPT.glob("*/done"):
        with contextlib.suppress(OSError):
            if time.time() - done.stat().st_mtime > DAYS * 86_400:
                shutil.rmtree(done.parent, ignore_errors=True)
