"""All that `make package` writes into a directory, with checksums, and the table of it."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.package import bundle, lock, sbom, wheel
from tools.package.bundle import Bundle
from tools.package.installed import Installed, installed
from tools.package.provider import MB, PROVIDERS, Provider
from tools.package.target import Target

SUMS = "SHA256SUMS"
WHEEL_LOCK = Path("requirements/run.lock")
WRITTEN = (*(f"{name}.zip" for name in PROVIDERS), "*.cdx.json", "penstock-*.whl", WHEEL_LOCK.name, SUMS)
"""What may be there of another run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One file of the table. ``note``: of its limits."""

    path: Path
    zipped: int
    unzipped: int = 0
    note: str = ""


def release(
    root: Path, target: Target, directory: Path, providers: Iterable[Provider], *, bytecode: bool = False
) -> list[Row]:
    """Everything, in place of what an earlier run left in ``directory``; other files there stay.

    Raises RuntimeError for a bundle that its cloud would refuse, or that cannot be made for this target: then all is
    left as it was.
    """
    directory.mkdir(parents=True, exist_ok=True)
    version = version_of(root)
    with tempfile.TemporaryDirectory(prefix=".package-", dir=directory) as name:
        fresh = Path(name)
        made = [bundle.build(root, each, target, fresh, bytecode=bytecode) for each in providers]
        rows = [_bundle(each, version) for each in made]
        rows.append(_wheel(root, target, fresh, version))
        shutil.copyfile(root / WHEEL_LOCK, fresh / WHEEL_LOCK.name)
        sums(fresh)
        for old in (path for pattern in WRITTEN for path in directory.glob(pattern)):
            old.unlink()
        for path in fresh.iterdir():
            path.replace(directory / path.name)
    return [replace(row, path=directory / row.path.name) for row in rows]


def version_of(root: Path) -> str:
    """Of the checkout."""
    text = (root / "shared/penstock/version.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError("shared/penstock/version.py names no version")
    return found[1]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(directory: Path) -> None:
    """SHA256SUMS of all files there, as `sha256sum --check` reads it."""
    files = sorted(path for path in directory.iterdir() if path.is_file() and path.name != SUMS)
    (directory / SUMS).write_text("".join(f"{digest(path)}  {path.name}\n" for path in files))


def _bundle(made: Bundle, version: str) -> Row:
    if problem := made.problem():
        raise RuntimeError(problem)
    facts = {"arch": made.target.arch, "lock": str(made.provider.lock), "python": made.target.python}
    if made.compiled_by:
        facts["bytecode"] = made.compiled_by
    _describe(made.path, version, facts, made.distributions)
    return Row(path=made.path, zipped=made.zipped, unzipped=made.unzipped, note=_limits(made))


def _limits(made: Bundle) -> str:
    if not made.provider.unzipped:
        return ""
    by = f"; bytecode of Python {made.compiled_by}" if made.compiled_by else ""
    most = f"{made.provider.zipped // MB} MB zipped, {made.provider.unzipped // MB} MB unzipped"
    return (most if made.zipped <= made.provider.zipped else f"{most}: through a bucket") + by


def _wheel(root: Path, target: Target, directory: Path, version: str) -> Row:
    path = wheel.build(root, directory)
    with tempfile.TemporaryDirectory(prefix="penstock-package-") as name:
        lock.install(root / WHEEL_LOCK, target, Path(name))
        found = installed(Path(name), target)
    _describe(path, version, {"lock": str(WHEEL_LOCK), "python": target.python}, found)
    return Row(path=path, zipped=path.stat().st_size)


def _describe(path: Path, version: str, facts: dict[str, str], found: dict[str, Installed]) -> None:
    subject = sbom.Subject(path=path, version=version, sha256=digest(path), facts=facts)
    sbom.write(path.with_suffix(".cdx.json"), subject, found)


def table(rows: Sequence[Row]) -> str:
    """For people: aligned, one file a line."""
    lines = [("FILE", "SIZE", "UNZIPPED", "LIMITS", "SHA-256")]
    lines += [(r.path.name, _size(r.zipped), _size(r.unzipped), r.note or "-", digest(r.path)[:12]) for r in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = {1, 2}
    cells = (
        [t.rjust(w) if n in right else t.ljust(w) for n, (t, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in cells)


def _size(number: int) -> str:
    return f"{number / MB:.1f} MB" if number else "-"
