"""The wheel for `penstock serve` and the command, built by hatchling; the same input gives the same bytes."""

import logging
import os
import sys
import tempfile
from pathlib import Path

from tools.package.archive import EPOCH
from tools.package.lock import run

_LOG = logging.getLogger(__name__)


def build(root: Path, directory: Path) -> Path:
    """Write the wheel of the checkout at ``root``. Raises RuntimeError with what hatchling said."""
    _LOG.info("building the wheel")
    with tempfile.TemporaryDirectory(prefix="penstock-wheel-") as name:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", name]
        run(command, cwd=root, env={"PATH": os.defpath, "SOURCE_DATE_EPOCH": str(EPOCH)})
        (built,) = Path(name).glob("*.whl")
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / built.name
        path.write_bytes(built.read_bytes())
    return path
