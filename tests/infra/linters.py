"""tflint and checkov, as `make tools` makes them, on folders of Terraform. They ask no network."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.controlplane.build import tool

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra/terraform"
EXAMPLES = ROOT / "examples/terraform"
_RESOURCE = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_EXCEPTION = re.compile(r"# checkov:skip=(\w+)(?::(.*))?$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Finding:
    """``file``: below infra/terraform where it is there; ``resource``: <type>.<name>, however often it is made."""

    check: str
    file: str
    resource: str


def tflint(folder):
    """What it has to say of a folder and all below, a line each."""
    config = f"--config={INFRA / '.tflint.hcl'}"
    done = _run("tflint", "--recursive", config, "--format=json", cwd=folder)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert not said["errors"], said["errors"]
    found = [
        f"{each['range']['filename']}:{each['range']['start']['line']}: {each['message']} ({each['rule']['name']})"
        for each in said["issues"]
    ]
    assert done.returncode == (2 if found else 0), done.stderr
    return found


def checkov(*folders):
    """What it finds in folders and all that they call, and what is excepted there: two sets of findings."""
    config = f"--config-file={INFRA / '.checkov.yaml'}"
    done = _run("checkov", config, "--output=json", *(f"--directory={folder}" for folder in folders), cwd=ROOT)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    reports = list(_documents(done.stdout))
    assert len(reports) == len(folders)
    for report in reports:
        assert report["summary"]["passed"], "it saw nothing"
        assert not report["summary"]["parsing_errors"], report["results"]["parsing_errors"]
    return tuple(
        {_finding(each) for report in reports for each in report["results"][f"{kind}_checks"]}
        for kind in ("failed", "skipped")
    )


def exceptions(folder):
    """Of a folder: each exception that stands in a resource, with its reason."""
    return {
        Finding(check, path.relative_to(folder).as_posix(), f"{type_}.{name}"): (reason or "").strip()
        for path in sorted(folder.rglob("*.tf"))
        for type_, name, body in _RESOURCE.findall(path.read_text())
        for check, reason in _EXCEPTION.findall(body)
    }


def without_exceptions(folder):
    """All of them taken out of the files."""
    for path in folder.rglob("*.tf"):
        path.write_text(_EXCEPTION.sub("#", path.read_text()))


def _documents(text):
    """One JSON document after the other."""
    while text := text.lstrip():
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:]


def _finding(each):
    path = Path(each["repo_file_path"]).as_posix().rpartition("infra/terraform/")[2].lstrip("/")
    resource = re.sub(r"\[.*\]$", "", each["resource"])
    return Finding(each["check_id"], path, ".".join(resource.split(".")[-2:]))


def _run(name, *arguments, cwd):
    path = tool(name)
    if path is None:
        pytest.skip(f"needs {name}: make tools (or {Path('tests/controlplane/build.py')} {name})")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "TFLINT_PLUGIN_DIR": "/nonexistent",
    }
    return subprocess.run(
        [path, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
