"""The project's own cases and random layers, asked of the real kustomize 5.8.1.

The binary: PENSTOCK_KUSTOMIZE, PATH, or the tools' cache.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.fixtures.kustomize_cases import CASES
from tests.fixtures.kustomize_trees import trees

from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import PenstockError
from penstock.kustomize import build

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


def agrees(files, directory):
    """Build the tree's overlay in both: the same output, or an error in both."""
    for path, text in files.items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")
    command = [BINARY, "build", str(directory / "overlay")]
    real = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    try:
        ours, problem = build(DiskTree(directory), "overlay").to_yaml(), ""
    except PenstockError as error:
        ours, problem = "", str(error)
    assert bool(problem) == bool(real.returncode), f"ours: {problem or 'fine'}; kustomize: {real.stderr or 'fine'}"
    assert ours == real.stdout


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=25, **QUIET)
@given(files=trees())
def test_random_layers(files, tmp_path):
    agrees(files, tmp_path)


@pytest.mark.slow
@settings(max_examples=1000, **QUIET)
@given(files=trees())
def test_many_random_layers(files, tmp_path):
    agrees(files, tmp_path)
