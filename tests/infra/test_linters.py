"""tflint with all its rules of Terraform, and checkov, find nothing here; and each finds what is planted."""

import re
import shutil

import pytest
from tests.controlplane.build import ROOT, TOOLS
from tests.infra import linters
from tests.infra.linters import EXAMPLES, INFRA, Finding

PLANTED = {
    "an unused variable": ('variable "idle" {\n  description = "Nobody asks."\n  type = string\n}', "variables.tf", "unused_declarations"),
    "an unused local": ("locals {\n  idle = 1\n}", "main.tf", "unused_declarations"),
    "a variable without a type": ('variable "loose" {\n  description = "Any."\n}\noutput "o" {\n  description = "It."\n  value = var.loose\n}', "outputs.tf", "typed_variables"),
    "a variable without a description": ('variable "mute" {\n  type = string\n}\noutput "m" {\n  description = "It."\n  value = var.mute\n}', "outputs.tf", "documented_variables"),
    "an output without a description": ('output "mute" {\n  value = 1\n}', "outputs.tf", "documented_outputs"),
    "a name that is not in snake case": ("locals {\n  camelCase = 1\n}", "main.tf", "naming_convention"),
    "a provider without a version": ('resource "time_static" "now" {}', "main.tf", "required_providers"),
    "a module of any version": ('module "m" {\n  source = "git::https://git.example.com/m"\n}', "main.tf", "module_pinned_source"),
    "an interpolation of nothing else": ('output "old" {\n  description = "It."\n  value = "${local.stages}"\n}', "outputs.tf", "deprecated_interpolation"),
}  # fmt: skip
PUBLIC = """
resource "aws_s3_bucket_acl" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  acl    = "public-read"
}

resource "aws_iam_role_policy" "everything" {
  name   = "everything"
  role   = aws_iam_role.stages["webhook"].name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}
"""
PUBLIC_ON_GOOGLE = """
resource "google_storage_bucket_iam_member" "public" {
  bucket = "artifacts"
  role   = "roles/storage.objectViewer"
  member = "allUsers"
}
"""


@pytest.mark.parametrize("folder", [INFRA, EXAMPLES], ids=["modules", "examples"])
def test_tflint_finds_nothing(folder):
    assert linters.tflint(folder) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_tflint_finds_what_is_planted(tmp_path, planted):
    text, file, rule = PLANTED[planted]
    shutil.copytree(INFRA / "topology", tmp_path / "topology")
    with (tmp_path / "topology" / file).open("a") as module:
        module.write(f"\n{text}\n")
    found = linters.tflint(tmp_path)
    assert any(line.endswith(f"(terraform_{rule})") for line in found), found


def test_checkov_finds_nothing_but_what_is_excepted_with_its_reason():
    excepted = linters.exceptions(INFRA)
    found, skipped = linters.checkov(INFRA, EXAMPLES)
    assert found == set()
    assert skipped == set(excepted)
    assert not linters.exceptions(EXAMPLES), "what people copy has no exceptions"
    assert all(len(reason) > 20 for reason in excepted.values()), excepted


def test_checkov_finds_what_is_planted_and_every_exception_is_needed(tmp_path):
    """Without the exceptions it finds exactly these: none stands for something that has long been mended."""
    copy = tmp_path / "infra/terraform"
    shutil.copytree(INFRA, copy)
    linters.without_exceptions(copy)
    for module, text in (("aws", PUBLIC), ("google", PUBLIC_ON_GOOGLE)):
        with (copy / module / "storage.tf").open("a") as file:
            file.write(text)
    found, skipped = linters.checkov(copy)
    assert skipped == set()
    assert found >= set(linters.exceptions(INFRA))
    planted = found - set(linters.exceptions(INFRA))
    assert Finding("CKV_AWS_20", "aws/storage.tf", "aws_s3_bucket.artifacts") in planted
    assert {each.resource for each in planted} == {
        "aws_s3_bucket.artifacts",
        "aws_iam_role_policy.everything",
        "google_storage_bucket_iam_member.public",
    }


def test_nothing_is_excepted_for_all():
    """Neither in a linter's own file, nor by a comment of tflint's."""
    assert not re.search(
        r"skip-(check|path|framework)|soft-fail|^check:", (INFRA / ".checkov.yaml").read_text(), re.MULTILINE
    )
    assert not re.search(r"rule |ignore|disabled|enabled\s*=\s*false", (INFRA / ".tflint.hcl").read_text())
    files = [path for folder in (INFRA, EXAMPLES) for path in folder.rglob("*.tf")]
    assert [path for path in files if "tflint-ignore" in path.read_text()] == []


def test_checkov_is_of_the_version_that_is_locked():
    lock = (ROOT / "requirements/checkov.lock").read_text()
    assert (
        next(each.version for each in TOOLS if each.name == "checkov")
        == re.search(r"^checkov==(\S+)", lock, re.MULTILINE)[1]
    )
