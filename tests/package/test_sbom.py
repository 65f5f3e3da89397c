"""The SBOMs: valid by CycloneDX's own schema, the same each time, and true of what is in the file."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.package import bundles
from tests.package.bundles import ROOT
from tests.package.test_bundles import BOTH, digest
from tools.package import lock, sbom
from tools.package.installed import Installed, closure, installed
from tools.package.provider import PROVIDERS
from tools.package.target import here


def described(name, path):
    """The document of a bundle, from the metadata that the bundle itself carries."""
    made = bundles.made(name)
    subject = sbom.Subject(path=made.zip, version="0.1.0", sha256=digest(made.zip), facts={"python": here().python})
    sbom.write(path, subject, installed(made.root, here()))
    return json.loads(path.read_text())


@BOTH
def test_it_is_valid_and_the_same_each_time(name, tmp_path):
    described(name, tmp_path / "a.cdx.json")
    text = (tmp_path / "a.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    described(name, tmp_path / "b.cdx.json")
    assert (tmp_path / "b.cdx.json").read_text() == text
    assert "timestamp" not in text


def test_a_document_that_is_wrong_would_be_seen(tmp_path):
    document = described("aws", tmp_path / "a.cdx.json")
    document["components"][0]["typo"] = 1
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is not None


@BOTH
def test_it_lists_what_the_lock_says_with_a_licence_each(name, tmp_path):
    document = described(name, tmp_path / "a.cdx.json")
    locked = lock.read(ROOT / PROVIDERS[name].lock).values()
    assert {f"{each['name']}=={each['version']}" for each in document["components"]} == {
        each.text.partition(" ;")[0] for each in locked if each.is_for(here())
    }
    silent = [each["name"] for each in document["components"] if not each.get("licenses")]
    assert silent == [
        "pyrage",
        "sigstore-models",
    ]  # MIT, which their metadata does not say; their files LICENSE come along
    for each in silent:
        assert list(bundles.made(name).root.glob(f"{each.replace('-', '_')}-*.dist-info/licenses/LICENSE"))
    assert all(each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}" for each in document["components"])


@BOTH
def test_it_is_about_that_file(name, tmp_path):
    document = described(name, tmp_path / "a.cdx.json")
    whole = document["metadata"]["component"]
    assert whole["hashes"] == [{"alg": "SHA-256", "content": digest(bundles.made(name).zip)}]
    assert whole["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["serialNumber"])


def test_who_needs_whom(tmp_path):
    document = described("google", tmp_path / "a.cdx.json")
    needs = {each["ref"].partition("@")[0]: each.get("dependsOn", []) for each in document["dependencies"]}
    assert any(ref.startswith("pkg:pypi/flask@") for ref in needs["pkg:pypi/functions-framework"])
    assert any(ref.startswith("pkg:pypi/markupsafe@") for ref in needs["pkg:pypi/jinja2"])


def test_another_file_has_another_serial_number(tmp_path):
    subject = sbom.Subject(path=Path("a.zip"), version="1", sha256="0" * 64, facts={})
    numbers = set()
    for one in (subject, dataclasses.replace(subject, sha256="1" * 64)):
        sbom.write(tmp_path / "x.json", one, {})
        numbers.add(json.loads((tmp_path / "x.json").read_text())["serialNumber"])
    assert len(numbers) == 2


# What they are made of


METADATA = """Metadata-Version: 2.4
Name: Some.Package
Version: 1.0
{licence}
Requires-Dist: other-thing>=1
Requires-Dist: extra-thing; extra == "more"
Requires-Dist: windows-thing; sys_platform == "win32"
Requires-Dist: linux_thing; sys_platform == "linux" and python_version >= "3.9"

Description: not a header
"""


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        ("License: The MIT License\n        with many words", "The MIT License"),
        ("Classifier: License :: OSI Approved :: BSD License", "BSD License"),
        ("Classifier: Typing :: Typed", ""),
    ],
)
def test_what_a_distribution_says_of_itself(headers, licence, tmp_path):
    (tmp_path / "some_package-1.0.dist-info").mkdir()
    (tmp_path / "some_package-1.0.dist-info/METADATA").write_text(METADATA.format(licence=headers))
    assert installed(tmp_path, here()) == {
        "some-package": Installed(
            name="some-package", version="1.0", licence=licence, needs=("linux-thing", "other-thing")
        )
    }


def test_a_closure_ends_where_packages_need_each_other():
    def one(name, *needs):
        return Installed(name=name, version="1", licence="", needs=needs)

    found = {each.name: each for each in (one("a", "b"), one("b", "a", "c"), one("c"), one("d"))}
    assert closure("a", found) == ("a", "b", "c")
    with pytest.raises(KeyError):
        closure("a", {"a": found["a"]})
