"""The project's own golden cases, asked of the real kustomize 5.8.1 (PENSTOCK_KUSTOMIZE, PATH, or the tools' cache)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.fixtures.kustomize_cases import CASES

VERSION = "5.8.1"
FLAGS = {
    "load_restrictions": {"none": ["--load-restrictor", "LoadRestrictionsNone"]},
    "reorder": {"none": ["--reorder", "none"], "legacy": ["--reorder", "legacy"]},
    "managed_by_label": {True: ["--enable-managedby-label"]},
}


def find_kustomize():
    """The binary of that release; None where this machine has none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "penstock" / "tools"
    found = [
        os.environ.get("PENSTOCK_KUSTOMIZE"),
        shutil.which("kustomize"),
        *cache.glob(f"kustomize-{VERSION}-*/kustomize"),
    ]
    for binary in filter(None, found):
        told = subprocess.run([binary, "version"], capture_output=True, text=True, timeout=60, check=False).stdout
        if VERSION in told:
            return str(binary)
    return None


BINARY = find_kustomize()
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        BINARY is None, reason=f"no kustomize {VERSION}: `make tools`, or name one by PENSTOCK_KUSTOMIZE"
    ),
]


@pytest.mark.parametrize("case", [case for case in CASES if not case.text("differs")], ids=lambda case: case.name)
def test_the_real_kustomize_agrees(case):
    flags = [flag for name, value in case.option_values.items() for flag in FLAGS[name][value]]
    real = subprocess.run(
        [BINARY, "build", *flags, str(case.input / case.built)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if case.words:
        assert real.returncode != 0
    else:
        assert real.stdout == case.expected, real.stderr
