"""docs/packaging.md: its tables are what `make package` writes, its variables what the bundles start with."""

import re
import zipfile

from tests.docs.markdown import ROOT, table, text_of
from tests.package import bundles
from tests.package.test_bundles import names
from tools.package import contents, lock
from tools.package.__main__ import _parser
from tools.package.archive import EPOCH
from tools.package.provider import AWS, MB, PROVIDERS
from tools.package.release import SUMS, WHEEL_LOCK
from tools.package.target import Target

from penstock.version import __version__
from penstock.wiring import load_pipeline

PAGE = "docs/packaging.md"


def test_the_table_of_files_is_what_is_written():
    """As the release itself is tested in tests/package/test_bundles.py."""
    listed = [row[0].strip("`") for row in table(PAGE, "file", "what")]
    wheel = f"penstock-{__version__}-py3-none-any.whl".replace(__version__, "<version>")
    assert listed == [*(f"{name}.zip" for name in PROVIDERS), wheel, WHEEL_LOCK.name, "*.cdx.json", SUMS]


def test_the_sizes_are_about_those_of_the_bundles():
    """For another Python than the page's; a fifth more or less."""
    for file, what in table(PAGE, "file", "what")[:2]:
        numbers = [int(number) * MB for number in re.findall(r"(\d+) MB", what)]
        zipped, unzipped = numbers[:2] if bundles.BYTECODE else numbers[-2:]
        path = bundles.made(file.strip("`").removesuffix(".zip")).zip
        with zipfile.ZipFile(path) as archive:
            size = sum(each.file_size for each in archive.infolist())
        assert 0.8 * zipped < path.stat().st_size < 1.2 * zipped
        assert 0.8 * unzipped < size < 1.2 * unzipped


def test_what_is_in_the_zip_is_there():
    stage = next(iter(load_pipeline().stages))
    for row in table(PAGE, "in the zip", "what")[:4]:
        path = row[0].strip("`").replace("<stage>", stage)
        holding = [name for name in PROVIDERS if any(each.startswith(path) for each in names(name))]
        assert holding == (["google"] if path == "requirements.txt" else ["aws", "google"]), path


def test_the_variables_are_those_that_the_tests_start_it_with():
    rows = {row[1]: row[2].strip("`") for row in table(PAGE, "where", "variable", "value")}
    starts = (ROOT / "tests/google/bundle.py").read_text()
    assert rows["`GOOGLE_FUNCTION_SOURCE`"] == "functions/<stage>/main.py"
    assert 'f"functions/{stage}/main.py"' in starts
    assert rows["`SOURCE_DATE_EPOCH`"] == str(EPOCH)
    assert rows["`PYTHONPATH`"] == "/workspace"
    assert '"PYTHONPATH": str(bundles.made("google").root)' in starts


def test_numbers_and_defaults():
    text = text_of(PAGE)
    assert "twenty distributions" in text
    assert len(lock.read(bundles.made("google").root / "requirements.txt")) == 20
    assert "eight services" in text
    assert len(contents.AWS_SERVICES) == 8
    given = _parser().parse_args([])
    assert Target() == Target(python=given.python_version, arch=given.arch)
    assert f"for Python {given.python_version} on {given.arch}" in text
    assert f"the {AWS.zipped // MB} MB that Lambda takes directly" in text
    assert "Python 3.12 and 3.13" in text
    assert AWS.oldest == "3.12"
    makefile = (ROOT / "Makefile").read_text()
    assert f"PYTHON_VERSION ?= {given.python_version}\nARCH ?= {given.arch}\n" in makefile


def test_terraforms_defaults_are_those_of_the_bundle():
    text = (ROOT / "infra/terraform/aws/variables.tf").read_text()
    assert re.search(r'variable "runtime" \{[^}]*default +?= "python3\.13"', text)
    assert re.search(r'variable "architecture" \{[^}]*default +?= "x86_64"', text)
