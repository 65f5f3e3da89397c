"""The bundles of this checkout for the Python that runs the tests: made once for the same input, by whichever process
comes first, and kept outside the repository.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from tools.package import bundle, bytecode, contents, lock
from tools.package.provider import PROVIDERS
from tools.package.target import here

ROOT = Path(__file__).parents[2]
KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock/bundles"
BYTECODE = bool(bytecode.find(here()))
"""As `make package` has it."""
DAYS, HOURS, MOST = 2, 3, 12
"""Bundles of another input go after so many days; those beyond so many, each 200 MB, after hours."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """``zip``: as `make package` writes it; ``root``: where it is unpacked."""

    zip: Path
    root: Path


def made(name: str) -> Made:
    """The bundle of a provider."""

    def make(place):
        bundle.build(ROOT, PROVIDERS[name], here(), place, bytecode=BYTECODE)
        with zipfile.ZipFile(place / f"{name}.zip") as archive:
            archive.extractall(place / "root")

    place = kept(f"{name}-{_key(name)}", make)
    return Made(zip=place / f"{name}.zip", root=place / "root")


def layer() -> Path:
    """What the buildpack makes of the Google bundle's requirements.txt: a folder whose bin/ has the command."""
    given = made("google").root / "requirements.txt"
    return kept(f"layer-{digest(given.read_bytes())}", lambda place: lock.install(given, here(), place))


def kept(name: str, make) -> Path:
    """The folder of that name, filled by ``make`` the first time: one process at a time, again after a failure."""
    place = KEPT / name
    KEPT.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            make(place)
            (place / "done").touch()
        os.utime(place / "done")
    _forget()
    return place


def digest(*parts: bytes) -> str:
    """Short, of what something is made of; the Python that makes it is one of these."""
    return hashlib.sha256(b"\0".join([sys.version.encode(), *parts])).hexdigest()[:20]


def runtime(directory: Path) -> Path:
    """A folder with AWS's runtime interface client and what it needs alone, as /var/runtime on Lambda has it."""
    site = Path(importlib.util.find_spec("awslambdaric").origin).parents[1]
    for pattern in ("awslambdaric", "snapshot_restore_py*", "simplejson", "runtime_client*"):
        found = list(site.glob(pattern))
        assert found, f"{pattern} is not in {site}"
        for path in found:
            (directory / path.name).symlink_to(path)
    return directory


def _key(name: str) -> str:
    """Of all that the bundle is made of."""
    files = {str(path.relative_to(ROOT)): path for path in (ROOT / "tools/package").glob("*.py")}
    files |= contents.ours(ROOT) | {"lock": ROOT / PROVIDERS[name].lock}
    parts = [part for each, path in sorted(files.items()) for part in (each.encode(), path.read_bytes())]
    return digest(zlib.ZLIB_RUNTIME_VERSION.encode(), subprocess.check_output([lock.uv(), "--version"]), *parts)


def _forget():
    ages = []
    for done in KEPT.glob("*/done"):
        with contextlib.suppress(OSError):
            ages.append((time.time() - done.stat().st_mtime, done.parent))
    for number, (age, place) in enumerate(sorted(ages)):
        if age > (HOURS * 3_600 if number >= MOST else DAYS * 86_400):
            shutil.rmtree(place, ignore_errors=True)
