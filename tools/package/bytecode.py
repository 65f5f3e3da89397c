"""Bytecode beside the sources of a bundle, for functions that cannot keep what they compile.

Unchecked hash-based (PEP 552), so that the times of files do not count, and without a path of this machine. It is made
by an interpreter of the target's version, and another build of that version may make other bytes of the same sources.
"""

import logging
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from tools.package.contents import Contents
from tools.package.lock import run, uv
from tools.package.target import Target

_LOG = logging.getLogger(__name__)


def compiled(contents: Contents, target: Target) -> dict[str, Path | bytes]:
    """Of each module, its file in ``__pycache__``. Raises RuntimeError where no such Python is here."""
    python = interpreter(target)
    _LOG.info("compiling with %s", python)
    with tempfile.TemporaryDirectory(prefix="penstock-package-") as name:
        root = Path(name)
        for each, content in contents.items():
            if PurePosixPath(each).suffix == ".py":
                path = root / each
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        words = ("-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(root), str(root))
        run([python, *words])
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.pyc"))}


def interpreter(target: Target) -> str:
    """The path of a Python of that version on this machine. Raises RuntimeError where there is none."""
    found = find(target)
    if not found:
        raise RuntimeError(
            f"bytecode for Python {target.python} is made by Python {target.python}, and it is not on this machine: "
            f"put python{target.python} on the PATH, or leave the bytecode out"
        )
    return found


def find(target: Target) -> str:
    """The same, "" where there is none."""
    words = [uv(), "python", "find", "--no-python-downloads", "--no-project", "--system", target.python]
    found = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - uv, by its path
    return "" if found.returncode else found.stdout.strip()


def maker(target: Target) -> str:
    """The whole version of that Python, such as 3.13.5: which bytes it makes is its own affair."""
    told = [interpreter(target), "-I", "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - as uv found it
