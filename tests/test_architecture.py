"""The rules of docs/architecture.md hold, and each of them catches a break that is planted here."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def lint_imports(where: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "lint-imports"), "--config", str(where / "pyproject.toml"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(where / "shared")}
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)


def ruff(where: Path, *paths: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "ruff"), "check", "--no-cache", "--output-format", "concise", *paths]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the rules are about, to plant breaks in."""
    where = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", where)
    shutil.copytree(ROOT / "shared", where / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    return where


def test_imports_run_one_way():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def test_ruff_is_content():
    done = ruff(ROOT, "shared", "functions", "tests")
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/errors.py", "import os", "core does no I/O"),
        ("core/tree.py", "import socket", "core does no I/O"),
        ("core/tree.py", "import sqlite3", "core does no I/O"),
        ("core/errors.py", "import penstock.ports.clock", "dependence runs one way"),
        ("ports/clock.py", "import penstock.adapters.clock", "dependence runs one way"),
        ("adapters/clock/system.py", "import penstock.stages.tick", "dependence runs one way"),
        ("stages/tick/waking.py", "import penstock.adapters.clock", "dependence runs one way"),
        ("stages/notify/telling.py", "import penstock.stages.tick", "stages never import each other"),
        ("wiring/topology.py", "import penstock.cli", "dependence runs one way"),
        ("adapters/git/http.py", "import urllib3", "adapters speak HTTP through adapters.http"),
        ("ports/identity.py", "import penstock.ports.cluster", "ports form no circle"),
    ],
)
def test_a_planted_import_is_caught(checkout, module, line, broken):
    path = checkout / "shared/penstock" / module
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")
    try:
        done = lint_imports(checkout)
    finally:
        path.write_text(before)
    assert done.returncode == 1
    assert f"{broken} BROKEN" in done.stdout


def test_a_new_room_must_be_given_its_layer(checkout):
    room = checkout / "shared/penstock/misc"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room nobody placed."""\n')
    try:
        done = lint_imports(checkout)
    finally:
        shutil.rmtree(room)
    assert done.returncode == 1
    assert "misc" in done.stdout


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("from pathlib import Path\nprint(Path('x').read_text())", "TID251"),
        ("from datetime import datetime\nNOW = datetime.now()", "TID251"),
        ("import time\nNOW = time.time()", "TID251"),
        ("import random\nX = random.random()", "TID251"),
        ("import threading\nLOCK = threading.Lock()", "TID251"),
        ("def read():\n    with open('x') as file:\n        return file.read()", "PTH123"),
    ],
)
def test_planted_impurity_in_core_is_caught(checkout, code, rule):
    path = checkout / "shared/penstock/core/planted.py"
    path.write_text(code)
    try:
        done = ruff(checkout, "shared/penstock/core/planted.py")
    finally:
        path.unlink()
    assert rule in done.stdout


def test_types_are_strict():
    done = subprocess.run([str(BIN / "mypy"), "shared/penstock"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_every_stage_has_its_places():
    topology = json.loads((ROOT / "shared/penstock/pipeline.json").read_text())
    for stage in topology["stages"]:
        assert (ROOT / "functions" / stage / "main.py").is_file(), stage
        module = ROOT / "shared/penstock/stages" / stage
        assert module.is_dir() or module.with_suffix(".py").is_file(), stage
        assert list((ROOT / "tests/stages").glob(f"test_{stage}*.py")), stage


def test_entry_points_are_one_screen():
    for path in (ROOT / "functions").glob("*/main.py"):
        assert len(path.read_text().splitlines()) <= 40, path


def test_every_ignore_of_a_rule_has_its_reason():
    """``# noqa: X - why``: a bare one hides more than it says."""
    found = []
    for path in (*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(r"# (ruff: )?noqa(: [A-Z0-9, ]+)?\s*$", line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []
