"""<provider>.zip: at its root the package penstock, all that it needs, and functions/<stage>/.

What the clouds' own builds look for stands there too: docs/packaging.md says what each of them does.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.package import archive, contents, lock
from tools.package.bytecode import compiled, maker
from tools.package.installed import Installed, closure, installed
from tools.package.provider import Provider
from tools.package.target import Target

MANIFEST = "requirements.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """``zipped``, ``unzipped``: bytes; ``distributions``: what is in it, by name.

    ``compiled_by``: the version of the Python that made its bytecode, "" where it has none.
    """

    provider: Provider
    target: Target
    path: Path
    zipped: int
    unzipped: int
    distributions: dict[str, Installed]
    compiled_by: str = ""

    def problem(self) -> str:
        """What the cloud would say of it, or ""."""
        if not self.provider.unzipped or self.unzipped <= self.provider.unzipped:
            return ""
        most = self.provider.unzipped // (1024 * 1024)
        return f"{self.path.name} unpacks to {self.unzipped:,} bytes: {self.provider.name} takes {most} MB"


def build(root: Path, provider: Provider, target: Target, directory: Path, *, bytecode: bool = False) -> Bundle:
    """Write the bundle of the checkout at ``root``. Raises RuntimeError where what is locked has no wheel for it.

    ``bytecode``: with it, where the provider does not make it itself.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-package-") as name:
        staged = Path(name)
        lock.install(root / provider.lock, target, staged)
        found = installed(staged, target)
        inside = {**contents.dependencies(staged), **contents.ours(root)}
        if provider.command:
            inside[MANIFEST] = for_the_build(root / provider.lock, closure(provider.command, found))
        by = maker(target) if bytecode and not provider.compiles else ""
        if by:
            inside |= compiled(inside, target)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{provider.name}.zip"
        unzipped = archive.write(path, inside)
    return Bundle(
        provider=provider,
        target=target,
        path=path,
        zipped=path.stat().st_size,
        unzipped=unzipped,
        distributions=found,
        compiled_by=by,
    )


def for_the_build(path: Path, names: tuple[str, ...]) -> bytes:
    """requirements.txt: these requirements of the lock with their hashes.

    The buildpack adds a framework of its own to one that does not name functions-framework, and puts the command on
    the PATH by installing it. With hashes pip refuses whatever is not what was locked.
    """
    locked = lock.read(path)
    text = "# The command that starts functions, as it is locked. Everything else is in this bundle.\n"
    return (text + "".join(locked[name].lines() for name in names)).encode()
