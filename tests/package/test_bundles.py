"""dist/<provider>.zip: the same bytes from the same input, what is in it and what is not, and how large it may be."""

import compileall
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from tests.package import bundles
from tests.package.bundles import ROOT
from tools.package import bundle, contents, lock
from tools.package.provider import AWS, GOOGLE, MB, PROVIDERS
from tools.package.release import release, table
from tools.package.target import Target, here

from penstock.wiring import load_pipeline

STAGES = sorted(load_pipeline().stages)
AGAIN = pytest.mark.xdist_group("package-again")  # one second build for all who look at it
BOTH = pytest.mark.parametrize("name", sorted(PROVIDERS))


def names(name):
    with zipfile.ZipFile(bundles.made(name).zip) as archive:
        return archive.namelist()


# The same input, the same bytes


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """Everything once more from another checkout: elsewhere, of other times and modes, written in another order."""
    place = tmp_path_factory.mktemp("again")
    checkout = place / "somewhere else"
    for each in (
        "examples/fleet-infra",
        "functions",
        "requirements",
        "shared",
        "LICENSE",
        "README.md",
        "pyproject.toml",
    ):
        paths = [ROOT / each] if (ROOT / each).is_file() else sorted((ROOT / each).rglob("*"), reverse=True)
        for path in paths:
            if path.is_file():
                target = checkout / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o600)
                os.utime(target, (1, 1_000_000_000))
    (checkout / "shared/penstock/core/notes.txt").write_text("a file of the user's own")
    (place / "out").mkdir()
    for name in ("penstock-0.0.1-py3-none-any.whl", "penstock-0.0.1-py3-none-any.cdx.json", "notes.txt"):
        (place / "out" / name).write_text("of another time")
    before = os.umask(0o077)
    try:
        rows = release(checkout, here(), place / "out", PROVIDERS.values(), bytecode=bundles.BYTECODE)
    finally:
        os.umask(before)
    return place / "out", rows


@AGAIN
@BOTH
def test_another_checkout_at_another_time_by_another_user_gives_the_same_bytes(name, again):
    assert digest(again[0] / f"{name}.zip") == digest(bundles.made(name).zip)


def test_another_input_gives_other_bytes(tmp_path):
    """The comparison above can fail: one letter of one file."""
    inside = contents.ours(ROOT)
    one = hashlib.sha256(written(tmp_path / "a.zip", inside)).hexdigest()
    assert hashlib.sha256(written(tmp_path / "b.zip", dict(reversed(inside.items())))).hexdigest() == one
    changed = inside | {"penstock/LICENSE": b"x"}
    assert hashlib.sha256(written(tmp_path / "c.zip", changed)).hexdigest() != one


def written(path, inside):
    from tools.package import archive

    archive.write(path, inside)
    return path.read_bytes()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@BOTH
def test_every_entry_has_one_time_and_mode_and_stands_in_order(name):
    with zipfile.ZipFile(bundles.made(name).zip) as archive:
        entries = archive.infolist()
    assert [each.filename for each in entries] == sorted({each.filename for each in entries})
    assert {(each.date_time, each.external_attr >> 16, each.create_system) for each in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }


def test_a_bundle_that_breaks_off_leaves_the_old_one(tmp_path):
    path = tmp_path / "aws.zip"
    written(path, {"a": b"1"})
    with pytest.raises(FileNotFoundError):
        written(path, {"a": b"2", "b": tmp_path / "nowhere"})
    with zipfile.ZipFile(path) as archive:
        assert archive.read("a") == b"1"


# What is in it


@BOTH
def test_the_layout_is_what_terraform_deploys(name):
    found = set(names(name))
    for stage in STAGES:
        assert {f"functions/{stage}/main.py", f"functions/{stage}/lambda_handler.py"} <= found
    assert "penstock/pipeline.json" in found
    assert ("requirements.txt" in found) == (name == "google")
    model = (ROOT / "infra/terraform/aws/model/functions.tf").read_text()
    assert 'handler = "functions/${name}/lambda_handler.handler"' in model


@BOTH
def test_nothing_of_tests_commands_or_the_machine_that_made_it(name):
    found = names(name)
    roots = {each.partition("/")[0] for each in found}
    never = {"_pytest", "awslambdaric", "bin", "boto3", "grpc", "hypothesis", "kubernetes", "moto", "mypy", "pytest"}
    assert roots & (never | {"prometheus_client", "tests", "tools", "waitress"}) == set()
    assert [
        each for each in found if each.startswith(("penstock/cli/", "penstock/devcluster/", "penstock/kustomize/"))
    ] == []
    told = re.compile(r"\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_)|\.pth$")
    assert [each for each in found if told.search(each)] == []
    assert "penstock/adapters/git/server.py" not in found


@BOTH
def test_lambda_compiles_nothing_and_google_everything(name):
    """Each module has its bytecode, and there is none without its module."""
    found = {each for each in names(name) if not each.startswith("functions/")}
    made = {each for each in found if each.endswith(".pyc")}
    wanted = {importlib.util.cache_from_source(each, optimization="") for each in found if each.endswith(".py")}
    assert made == (wanted if name == "aws" and bundles.BYTECODE else set())


@BOTH
def test_a_signature_without_keys_is_verified_with_what_the_bundle_has(name):
    """The public instance's trusted root, and sigstore-python up to its verdict; by a Python with nothing else."""
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from penstock.core.signatures.bundles import opened
from penstock.core.signatures.trust_root import trust_root
root = trust_root({})
assert root.authorities and root.rekor and root.ct
try:
    opened(b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}', root.data)
except ValueError as error:
    print(error)
"""
    command = [sys.executable, "-I", "-S", "-c", program, str(bundles.made(name).root)]
    done = subprocess.run(command, cwd="/", env={}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a bundle does not hold: ")


@BOTH
def test_no_path_of_this_machine_is_in_any_text(name):
    """Whoever builds it: neither the home directory nor the checkout."""
    with zipfile.ZipFile(bundles.made(name).zip) as archive:
        for each in archive.namelist():
            data = archive.read(each)
            assert str(ROOT).encode() not in data, each


@BOTH
def test_what_is_in_it_is_what_the_lock_says(name):
    """Every requirement for this target with its version, and no distribution beside them."""
    locked = {
        each.text.partition(" ;")[0] for each in lock.read(ROOT / PROVIDERS[name].lock).values() if each.is_for(here())
    }
    infos = {each.partition("/")[0] for each in names(name) if ".dist-info/" in each}
    found = {
        re.sub(r"[-_.]+", "-", each.removesuffix(".dist-info").rpartition("-")[0]).lower()
        + "=="
        + each.removesuffix(".dist-info").rpartition("-")[2]
        for each in infos
    }
    assert found == locked


@BOTH
def test_each_licence_comes_along(name):
    """What is not public domain asks for it: each distribution's metadata, and the files that it brought."""
    found = names(name)
    infos = {each.partition("/")[0] for each in found if ".dist-info/" in each}
    assert [each for each in infos if f"{each}/METADATA" not in found] == []
    assert "penstock/LICENSE" in found
    assert len([each for each in found if re.search(r"\.dist-info/.*(LICEN[CS]E|COPYING|NOTICE)", each)]) >= 15


def test_the_buildpacks_syntax_check_passes(tmp_path):
    """It compiles every file of the source before anything else, and refuses a bundle with one that does not."""
    with zipfile.ZipFile(bundles.made("google").zip) as archive:
        archive.extractall(tmp_path)
    assert compileall.compile_dir(tmp_path, quiet=1, force=True)


@BOTH
def test_its_size_is_one_that_the_cloud_takes(name):
    """And small on purpose: a new dependency of 20 MB is a decision."""
    path = bundles.made(name).zip
    with zipfile.ZipFile(path) as archive:
        unzipped = sum(each.file_size for each in archive.infolist())
    assert path.stat().st_size < 46 * MB < AWS.zipped
    assert unzipped < 140 * MB < AWS.unzipped


def test_a_bundle_that_is_too_large_is_refused(tmp_path):
    made = bundle.Bundle(
        provider=AWS, target=here(), path=tmp_path / "aws.zip", zipped=1, unzipped=300_000_000, distributions={}
    )
    assert made.problem() == "aws.zip unpacks to 300,000,000 bytes: aws takes 250 MB"


# requirements.txt, for Google's build


def test_the_build_installs_the_command_and_nothing_that_is_not_locked():
    """Its pattern for a framework that is there; every line with its hashes, as the lock has them."""
    path = bundles.made("google").root / "requirements.txt"
    text = path.read_text()
    assert re.search(r"(?m)^functions-framework\b([^-]|$)", text)
    locked = lock.read(ROOT / GOOGLE.lock)
    given = lock.read(path)
    assert {"flask", "gunicorn", "werkzeug"} < set(given) < set(locked)
    assert all(each == locked[name] for name, each in given.items())


def test_a_requirement_without_a_hash_is_refused(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text("flask==3.1.3\n")
    with pytest.raises(ValueError, match=r"flask==3\.1\.3 has no hash: run `make lock`"):
        lock.read(path)


def test_other_bytes_under_a_known_version_are_refused(tmp_path):
    path = tmp_path / "a.lock"
    path.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(RuntimeError, match=r"(?i)hash"):
        lock.install(path, here(), tmp_path / "out")


# Locks


def pins(path):
    return {name: each.text for name, each in lock.read(ROOT / "requirements" / path).items()}


@pytest.mark.parametrize("path", ["aws.lock", "google.lock", "run.lock"])
def test_what_is_deployed_is_what_is_tested(path):
    tested = pins("dev.lock")
    assert {
        name: text
        for name, text in pins(path).items()
        if text.partition(" ;")[0] != tested.get(name, "").partition(" ;")[0]
    } == {}


@pytest.mark.parametrize("path", ["aws.lock", "checkov.lock", "google.lock", "run.lock", "dev.lock"])
def test_locks_name_no_host(path):
    assert re.findall(r"https?://|--index|--extra-index|--find-links", (ROOT / "requirements" / path).read_text()) == []


def test_functions_need_what_the_package_needs_but_for_what_only_a_machine_does():
    """One list would do, if extras could take away."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package = set(project["project"]["dependencies"])
    package |= {each for extra in project["project"]["optional-dependencies"].values() for each in extra}
    functions = set(project["dependency-groups"]["functions"])
    assert functions - package == set()
    only_here = {re.match(r"[\w-]+", each)[0] for each in package - functions}
    assert only_here == {"kubernetes", "opentelemetry-exporter-prometheus", "waitress", "werkzeug"}


# The command


@AGAIN
def test_a_table_with_everything_and_checksums_that_check(again):
    directory, rows = again
    lines = table(rows).splitlines()
    assert re.fullmatch(r"FILE +SIZE +UNZIPPED +LIMITS +SHA-256", lines[0])
    assert re.fullmatch(
        r"aws\.zip +\d+\.\d MB +\d+\.\d MB +50 MB zipped, 250 MB unzipped +[0-9a-f]{12}",
        re.sub("; bytecode of Python [0-9.]+", "", lines[1]),
    )
    assert len({line.index("SHA-256" if line is lines[0] else line.split()[-1]) for line in lines}) == 1
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=directory, check=True)
    listed = {line.split()[1] for line in (directory / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in directory.iterdir()} - {"SHA256SUMS", "notes.txt"}
    assert len([name for name in listed if name.endswith(".whl")]) == 1
    described = {path.name.removesuffix(".cdx.json") for path in directory.glob("*.cdx.json")}
    assert described == {Path(name).stem for name in listed if name.endswith((".zip", ".whl"))}


def test_a_release_that_fails_leaves_what_was_there(tmp_path):
    """An earlier run's files, and nothing half written beside them."""
    (tmp_path / "aws.zip").write_text("of another time")
    with pytest.raises(RuntimeError, match="has no wheel"):
        release(ROOT, Target(python="3.99"), tmp_path, [AWS])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("aws.zip", "of another time")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--python-version", "3"], "give two numbers, such as 3.13"),
        (["--arch", "sparc"], "it is x86_64 or arm64"),
        (["--python-version", "3.11"], "aws: Python 3.11 is too old"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_written(words, said, tmp_path):
    done = package(*words, "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_takes_minutes_is_told_before_it_begins(monkeypatch, caplog, tmp_path):
    """With an empty cache a lock is 60 MB to download."""
    told = []
    monkeypatch.setattr(lock, "run", lambda _command: told.extend(record.getMessage() for record in caplog.records))
    with caplog.at_level("INFO", logger="tools.package"):
        lock.install(ROOT / AWS.lock, Target(), tmp_path)
    assert told == [
        "installing what aws.lock locks for Python 3.13 on x86_64 (what uv's cache does not have is downloaded)"
    ]


def package(*words):
    return subprocess.run(
        [sys.executable, "-m", "tools.package", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(("python", "arch"), [("3.12", "x86_64"), ("3.13", "x86_64"), ("3.13", "arm64")])
@BOTH
def test_every_runtime_that_the_page_names_has_its_wheels(name, python, arch, tmp_path):
    """Resolved, not downloaded: uv says which wheel is missing."""
    target = Target(python=python, arch=arch)
    lock.run(
        [
            *(lock.uv(), "pip", "install", "--quiet", "--dry-run", "--target", str(tmp_path)),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
            *("--python-platform", target.platform, "--python-version", target.python),
            *("--requirements", str(ROOT / PROVIDERS[name].lock)),
        ]
    )
