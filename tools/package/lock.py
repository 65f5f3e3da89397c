"""requirements/*.lock: read, and installed by uv for a target. Nothing is built, nothing unlocked gets in."""

import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools.package.target import Target

_LOG = logging.getLogger(__name__)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """One requirement of a lock. ``name``: normalised; ``text``: as it stands there; ``hashes``: ``sha256:…``."""

    name: str
    text: str
    hashes: tuple[str, ...]

    def is_for(self, target: Target) -> bool:
        """Whether its marker, if it has one, holds there."""
        marker = Requirement(self.text).marker
        return marker is None or marker.evaluate(target.markers)

    def lines(self) -> str:
        """As a lock has it: one hash a line."""
        return " \\\n".join([self.text, *(f"    --hash={each}" for each in self.hashes)]) + "\n"


def read(lock: Path) -> dict[str, Locked]:
    """The requirements by name. Raises ValueError for one without a hash."""
    return {each.name: each for each in _requirements(lock)}


def _requirements(lock: Path) -> Iterator[Locked]:
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(str.strip, text.splitlines()):
        plain = line.partition(" --hash")[0].strip()
        hashes = tuple(_HASH.findall(line))
        if not hashes:
            raise ValueError(f"{lock}: {plain} has no hash: run `make lock`")
        yield Locked(name=canonicalize_name(Requirement(plain).name), text=plain, hashes=hashes)


def install(lock: Path, target: Target, directory: Path) -> None:
    """All of a lock into ``directory``, as one folder of packages. Raises RuntimeError with what uv said."""
    command = [
        *(uv(), "pip", "install", "--quiet", "--target", str(directory), "--link-mode", "copy"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
        *("--python-platform", target.platform, "--python-version", target.python),
        *("--requirements", str(lock)),
    ]
    _LOG.info(
        "installing what %s locks for Python %s on %s (what uv's cache does not have is downloaded)",
        lock.name,
        target.python,
        target.arch,
    )
    run(command)


def uv() -> str:
    """The uv beside this Python, or the one on PATH. Raises RuntimeError where there is none."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise RuntimeError("uv is not here: `make package` installs it into .venv")
    return found


def run(command: Iterable[str], **more: str | Path | dict[str, str]) -> None:
    """A program that must succeed. Raises RuntimeError with the end of what it said."""
    words = list(command)
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload] # noqa: S603 - programs of this project's own
    if done.returncode:
        raise RuntimeError(f"{Path(words[0]).name} {words[1]} failed: {done.stderr.strip()[-2000:]}")
