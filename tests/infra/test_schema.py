"""Every block of infra/terraform and its examples, by the provider's published schema: known, complete, connected."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.infra.hcl import problems, read
from tests.infra.provider import AWS, schemas, why_missing

ROOT = Path(__file__).parents[2]
MODULES = ("infra/terraform/aws", "infra/terraform/aws/model", "infra/terraform/topology", "examples/terraform/aws", "examples/terraform/aws-regions")
PLANTED = {
    "an unknown argument": ("queues.tf", "visibility_timeout_seconds", "visibility_timeout", "no argument or block"),
    "an unknown type": ("scheduler.tf", "aws_scheduler_schedule_group", "aws_scheduler_group", "the provider has no"),
    "a missing argument": ("budget.tf", "time_unit ", "#time_unit ", "time_unit is required"),
    "an unknown nested argument": ("queues.tf", "maximum_concurrency", "max_concurrency", "scaling_config: no argument"),
    "an unknown nested block": ("state.tf", "key_schema {", "key {", "global_secondary_index: no argument or block key"),
    "a missing nested argument": ("budget.tf", "threshold_type ", "#threshold_type ", "threshold_type is required"),
    "an unknown block in a dynamic one": ("state.tf", "name = attribute.key", "nam = attribute.key", "attribute: no argument"),
    "a block that is an argument": ("functions.tf", "environment {", "environment = {", "is a block, not an argument"),
    "an argument that is a block": ("topics.tf", "tags              = local._tags", "tags {}", "is an argument, not a block"),
    "two where one may stand": ("functions.tf", "tracing_config {", "logging_config {\n log_format = 1\n}\n tracing_config {", "only one block"),
    "an unknown variable": ("dashboard.tf", "var.prefix", "var.prefx", "no variable prefx"),
    "an unknown local": ("scheduler.tf", "local._tags", "local.tags", "no local tags"),
    "an unknown resource": ("topics.tf", "aws_sqs_queue.queues[each.value.stage]", "aws_sqs_queue.queue[each.value.stage]", "no resource"),
    "an unknown attribute": ("outputs.tf", "role.arn", "aws_iam_role.scheduler.anr", "has no attribute anr"),
    "an unknown attribute of data": ("outputs.tf", "here.account_id", "here.account", "has no attribute account"),
    "an unknown output": ("scheduler.tf", "local._model.names.schedule_group", "module.model.nam", "has no output nam"),
    "an input that a module does not have": ("model.tf", "sops_keys     =", "sops_kees     =", "sops_kees is no variable"),
    "an input that a module needs": ("model.tf", "region        =", "#region        =", "region is required"),
}  # fmt: skip


@pytest.fixture(scope="module")
def aws():
    reason = why_missing(AWS)
    if reason:
        pytest.skip(reason)
    try:
        return schemas(AWS)
    except subprocess.SubprocessError as error:
        pytest.skip(f"needs {AWS.name} {AWS.version}, which npm cannot fetch here ({type(error).__name__})")


@pytest.mark.parametrize("folder", MODULES)
def test_every_block_is_what_the_provider_takes(aws, folder):
    assert problems(read(ROOT / folder), aws) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_a_mistake_is_found(aws, tmp_path, planted):
    file, right, wrong, said = PLANTED[planted]
    shutil.copytree(ROOT / "infra/terraform", tmp_path / "terraform")
    path = tmp_path / "terraform/aws" / file
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    found = problems(read(path.parent), aws)
    assert any(said in line for line in found), found


def test_the_schema_is_of_a_version_that_the_module_takes(aws):
    least = AWS.provider.rpartition(".")[0]
    for folder in ("infra/terraform/aws", "examples/terraform/aws"):
        assert f'">= {least}, < {int(least.partition(".")[0]) + 1}.0"' in (ROOT / folder / "versions.tf").read_text()
    assert aws.type("resource", "aws_lambda_permission").arguments["invoked_via_function_url"].required is False
