"""Bytecode for bundles: used whatever the times of files are, the same each time, and without a path of this machine."""

import importlib.util
import os
import subprocess
import sys

import pytest
from tools.package import bytecode
from tools.package.archive import EPOCH
from tools.package.bytecode import compiled, interpreter
from tools.package.target import Target, here

SOURCES = {
    "functions/fetch/main.py": b"import penstock.a\n",
    "penstock/__init__.py": b"",
    "penstock/a.py": b"def where():\n    return (lambda: 0).__code__.co_filename\n",
    "penstock/pipeline.json": b"{}",
}
TAG = sys.implementation.cache_tag


def test_each_module_has_its_file():
    assert set(compiled(SOURCES, here())) == {
        f"functions/fetch/__pycache__/main.{TAG}.pyc",
        f"penstock/__pycache__/__init__.{TAG}.pyc",
        f"penstock/__pycache__/a.{TAG}.pyc",
    }


def test_it_is_the_same_each_time_and_its_hash_is_not_checked():
    first = compiled(SOURCES, here())
    assert compiled(dict(reversed(SOURCES.items())), here()) == first
    for data in first.values():
        assert data[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(data[4:8], "little") == 0b01  # hash-based, unchecked
        assert b"/tmp" not in data


def test_it_is_what_is_imported(tmp_path):
    """Beside sources that say something else and are newer: nothing is compiled again, and paths are the bundle's."""
    for name, data in {
        **SOURCES,
        **compiled(SOURCES, here()),
        "penstock/a.py": b"raise SystemExit('compiled')",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    told = subprocess.run(
        [sys.executable, "-S", "-c", "import penstock.a; print(penstock.a.where())"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip().endswith("penstock/a.py")


def test_a_python_that_is_not_here_is_named():
    with pytest.raises(
        RuntimeError, match=r"Python 3\.99, and it is not on this machine: put python3\.99 on the PATH, or"
    ):
        interpreter(Target(python="3.99"))


def test_sources_that_do_not_compile_are_an_error():
    with pytest.raises(RuntimeError, match=r"-I failed"):
        compiled({"a.py": b"def"}, here())
    assert bytecode.compiled({}, here()) == {}


@pytest.mark.parametrize(("more", "kept"), [({"SOURCE_DATE_EPOCH": str(EPOCH)}, True), ({}, False)])
def test_the_bytecode_that_googles_build_makes_outlives_new_times_by_one_variable(more, kept, tmp_path):
    """Its command, on a source whose time then changes; whether the bytecode is taken shows in what Python says."""
    (tmp_path / "module.py").write_text("")
    command = [sys.executable, "-m", "compileall", "-f", "-q", "."]
    subprocess.run(command, cwd=tmp_path, env={"PATH": os.defpath, **more}, check=True)
    os.utime(tmp_path / "module.py", (EPOCH + 1, EPOCH + 1))
    told = subprocess.run(
        [sys.executable, "-S", "-v", "-c", "import module"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (f".pyc matches {tmp_path}/module.py" in told.stderr) == kept
    assert ("bytecode is stale for 'module'" in told.stderr) != kept
