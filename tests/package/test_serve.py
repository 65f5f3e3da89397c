"""The wheel for `penstock serve`, its unit file and its Containerfile.

No builder of images is at hand where these tests run: the Containerfile's own steps are carried out below a directory,
and what it would start is started.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile

import pytest
from tests.package import bundles
from tests.package.bundles import ROOT
from tests.package.containerfile import Container, steps
from tools.package import lock, wheel

pytestmark = pytest.mark.xdist_group("package-serve")  # one installation for all of them

CONTAINERFILE = ROOT / "infra/serve/Containerfile"
UNIT = ROOT / "infra/serve/penstock.service"
PLANE = """
apiVersion: penstock.dev/v1alpha1
kind: Plane
metadata: {name: packaged}
spec:
  source: {url: "http://127.0.0.1:9/none.git", interval: 5m}
  clusters: []
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """dist/ as far as the Containerfile needs it."""
    dist = tmp_path_factory.mktemp("dist")
    wheel.build(ROOT, dist)
    shutil.copyfile(ROOT / "requirements/run.lock", dist / "run.lock")
    return dist


@pytest.fixture(scope="module")
def container(built):
    """What the steps of the Containerfile leave: made once for the same input, since pip takes its time."""
    (path,) = built.glob("*.whl")
    text = CONTAINERFILE.read_text()
    key = bundles.digest(path.read_bytes(), (built / "run.lock").read_bytes(), text.encode())
    places = ("/opt/penstock", "/build", "/var/lib/penstock")
    place = bundles.kept(f"container-{key}", lambda place: Container(place, built, places).carry_out(text))
    return Container(place, built, places)


# The wheel


def test_the_wheel_is_the_same_bytes_from_another_place_at_another_time(built, tmp_path):
    checkout = tmp_path / "elsewhere"
    for each in ("examples/fleet-infra", "shared", "LICENSE", "README.md", "pyproject.toml", ".gitignore"):
        copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copyfile
        (checkout / each).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / each, checkout / each)
    for path in checkout.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    again = wheel.build(checkout, tmp_path / "out")
    (first,) = built.glob("*.whl")
    assert (again.name, again.read_bytes()) == (first.name, first.read_bytes())


def test_the_wheel_holds_the_package_and_nothing_of_the_repository_beside_it(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        found = archive.namelist()
    assert {each.partition("/")[0] for each in found} == {"penstock", path.name.rpartition("-py3")[0] + ".dist-info"}
    assert {"penstock/pipeline.json", "penstock/cli/demo/fleet-infra/clusters/production/apps.yaml"} <= set(found)
    assert [each for each in found if "__pycache__" in each or each.endswith(".pyc")] == []


# The container


def test_the_steps_leave_the_wheel_what_is_locked_and_no_installer(container):
    """Neither pip nor a compiler's front end: nothing more can be installed in there."""
    place = container.root / "opt/penstock"
    site = next(place.glob("lib/python*/site-packages"))
    infos = {
        re.sub(r"[-_.]+", "-", path.name.removesuffix(".dist-info").rpartition("-")[0]).lower()
        for path in site.glob("*.dist-info")
    }
    locked = {name for name, each in lock.read(ROOT / "requirements/run.lock").items() if each.is_for(bundles.here())}
    assert infos == locked | {"penstock"}
    assert {path.name.rstrip("0123456789.") for path in (place / "bin").iterdir()} == {"penstock", "python"}
    assert not list(container.base.glob("lib/python*/site-packages/pip"))
    assert (container.root / "var/lib/penstock").stat().st_mode & 0o777 == 0o700


def test_nothing_is_installed_that_is_not_locked():
    """By pip's own switches; that other bytes are refused is tested with uv in test_bundles.py."""
    first = next(step for step in steps(CONTAINERFILE.read_text()) if step.name == "RUN")
    installs = [command for command in first.words[0].split("&&") if " pip install " in command]
    assert [("--require-hashes" in each, "--no-index" in each) for each in installs] == [(True, False), (False, True)]
    assert all("--no-deps" in each for each in installs)
    assert "--only-binary :all:" in installs[0]


def test_it_runs_as_nobody_and_its_paths_agree():
    found = steps(CONTAINERFILE.read_text())
    user = [step.words[0] for step in found if step.name == "USER"]
    assert user == ["65532:65532"]
    assert found.index(next(s for s in found if s.name == "USER")) > max(
        n for n, s in enumerate(found) if s.name in {"RUN", "COPY"}
    )
    environment = dict(word.partition("=")[::2] for step in found if step.name == "ENV" for word in step.words)
    assert [step.words for step in found if step.name == "VOLUME"] == [(environment["PENSTOCK_DATA_DIR"],)]
    assert environment["PATH"].startswith("/opt/penstock/bin:")
    assert [step.words[0] for step in found if step.name == "ARG"] == ["PYTHON=docker.io/library/python:3.13-slim"]
    assert {step.words[0] for step in found if step.name == "FROM"} == {"${PYTHON}"}


def test_what_it_starts_serves(container, tmp_path):
    """ENTRYPOINT and CMD with the environment that it sets and no other, from an empty directory."""
    found = steps(CONTAINERFILE.read_text())
    environment = {
        name: container.led(text)
        for step in found
        if step.name == "ENV"
        for name, _, text in (word.partition("=") for word in step.words)
    }
    words = [word for name in ("ENTRYPOINT", "CMD") for step in found if step.name == name for word in step.words]
    assert words[words.index("--host") + 1] == "0.0.0.0"
    words[words.index("--host") + 1] = "127.0.0.1"
    words[0] = str(container.root / "opt/penstock/bin" / words[0])
    with served(words, environment, tmp_path) as health:
        assert health["status"] in {"ok", "syncing"}


@contextlib.contextmanager
def served(words, environment, directory, *, hardened=False):
    """`penstock serve` of these words; what /healthz answers. It ends within seconds when it is told to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (directory / "penstock.yaml").write_text(PLANE)
    words = [*(HARDENED if hardened else ()), *words, "--port", str(port), "--plane", str(directory / "penstock.yaml")]
    log = directory / "log"
    with log.open("wb") as file:
        running = subprocess.Popen(words, env=environment, cwd=directory, stdout=file, stderr=file)
    try:
        yield answer(running, f"http://127.0.0.1:{port}/healthz", log)
        running.terminate()
        assert running.wait(timeout=30) == 0, log.read_text()
    finally:
        running.kill()
        running.wait()


def answer(running, url, log):
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as found:
                return json.loads(found.read())
        except urllib.error.HTTPError as error:
            with error:
                return json.loads(error.read())
        except OSError:
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)


# The unit


def test_systemd_takes_the_unit_and_finds_little_exposed(container, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    unit = tmp_path / "penstock.service"
    program = container.root / "opt/penstock/bin/penstock"
    unit.write_text(UNIT.read_text().replace("/opt/penstock/bin/penstock", str(program)))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-300:]  # 1.5 of 10


def test_a_unit_with_a_mistake_would_be_seen(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    unit = tmp_path / "penstock.service"
    unit.write_text(
        re.sub("ExecStart=.*", "ExecStart=/bin/true", UNIT.read_text()).replace("ProtectHome=", "ProtectHouse=")
    )
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "ProtectHouse" in verified.stderr


def test_the_page_shows_what_the_unit_starts():
    page = (ROOT / "docs/serve.md").read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert start in page


HARDEN = """
import ctypes, os, sys
linux = ctypes.CDLL(None)
assert linux.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert linux.prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE
os.execv(sys.argv[1], sys.argv[1:])
"""
HARDENED = (sys.executable, "-c", HARDEN)
"""What of the unit a process can ask of Linux for itself: no new privileges, no memory writable and executable."""


def test_it_serves_without_memory_that_is_writable_and_executable(container, tmp_path):
    """MemoryDenyWriteExecute is of no use where a library wants such memory: all compiled ones are loaded here."""
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:  # PR_GET_MDWE
        pytest.skip("this Linux is older than 6.3: it cannot deny such memory without systemd")
    place = container.root / "opt/penstock/bin"
    program = "import cel_expr_python.cel, cel_expr_python.ext.ext_strings, cryptography.fernet, dulwich._pack, pyrage, pysequoia, re2, yaml; yaml.CSafeLoader"
    subprocess.run([*HARDENED, str(place / "python"), "-c", program], check=True, env={"PATH": os.defpath})
    environment = {"PATH": os.defpath, "PENSTOCK_DATA_DIR": str(tmp_path / "data")}
    with served([str(place / "penstock"), "serve", "--log", "json"], environment, tmp_path, hardened=True) as health:
        assert health["status"] in {"ok", "syncing"}
