"""Every block of infra/terraform and its examples, by the provider's published schema: known, complete, connected."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.infra.hcl import problems, read
from tests.infra.provider import AWS, GITHUB, GOOGLE, PACKAGES, schemas, why_missing

ROOT = Path(__file__).parents[2]
MODULES = (
    "infra/terraform/topology", "infra/terraform/aws", "infra/terraform/aws/model", "infra/terraform/google",
    "infra/terraform/google/model", "infra/terraform/github", "infra/terraform/github/model", "examples/terraform/aws",
    "examples/terraform/aws-regions", "examples/terraform/google", "examples/terraform/google-regions",
)  # fmt: skip
VERSIONS = {
    "infra/terraform/aws": [AWS],
    "infra/terraform/google": [GOOGLE],
    "infra/terraform/github": [GITHUB],
    "examples/terraform/aws": [AWS, GITHUB],
    "examples/terraform/aws-regions": [AWS],
    "examples/terraform/google": [GOOGLE, GITHUB],
    "examples/terraform/google-regions": [GOOGLE],
}
PLANTED = {
    "an unknown argument": ("queues.tf", "visibility_timeout_seconds", "visibility_timeout", "no argument or block"),
    "an unknown type": ("scheduler.tf", "aws_scheduler_schedule_group", "aws_scheduler_group", "the provider has no"),
    "a missing argument": ("budget.tf", "time_unit ", "#time_unit ", "time_unit is required"),
    "an unknown nested argument": ("queues.tf", "maximum_concurrency", "max_concurrency", "scaling_config: no argument"),
    "an unknown nested block": ("state.tf", "key_schema {", "key {", "global_secondary_index: no argument or block key"),
    "a missing nested argument": ("budget.tf", "threshold_type ", "#threshold_type ", "threshold_type is required"),
    "an unknown block in a dynamic one": ("state.tf", "name = attribute.key", "nam = attribute.key", "attribute: no argument"),
    "a block that is an argument": ("functions.tf", "environment {", "environment = {", "is a block, not an argument"),
    "an argument that is a block": ("topics.tf", "tags              = local.tags", "tags {}", "is an argument, not a block"),
    "two where one may stand": ("functions.tf", "tracing_config {", "logging_config {\n log_format = 1\n}\n tracing_config {", "only one block"),
    "an unknown variable": ("main.tf", "var.prefix", "var.prefx", "no variable prefx"),
    "an unknown local": ("scheduler.tf", "local.tags", "local.tagz", "no local tagz"),
    "an unknown resource": ("topics.tf", "aws_sqs_queue.queues[each.value.stage]", "aws_sqs_queue.queue[each.value.stage]", "no resource"),
    "an unknown attribute": ("outputs.tf", "role.arn", "aws_iam_role.scheduler.anr", "has no attribute anr"),
    "an unknown attribute of data": ("outputs.tf", "here.account_id", "here.account", "has no attribute account"),
    "an unknown output": ("scheduler.tf", "local.model.names.schedule_group", "module.model.nam", "has no output nam"),
    "an input that a module does not have": ("main.tf", "sops_keys     =", "sops_kees     =", "sops_kees is no variable"),
    "an input that a module needs": ("main.tf", "region        =", "#region        =", "region is required"),
}  # fmt: skip
PLANTED_IN_OTHERS = {
    "google: an unknown argument": ("google/state.tf", "location_id ", "location ", "no argument or block location"),
    "google: an unknown type": ("google/tasks.tf", "google_cloud_tasks_queue", "google_tasks_queue", "the provider has no"),
    "google: a missing argument": ("google/state.tf", "type                              =", "#type =", "type is required"),
    "google: an unknown nested block": ("google/functions.tf", "storage_source {", "bucket_source {", "no argument or block bucket_source"),
    "google: a missing nested argument": ("google/budget.tf", "threshold_percent =", "#threshold_percent =", "threshold_percent is required"),
    "google: a block that is an argument": ("google/storage.tf", "soft_delete_policy {", "soft_delete_policy = {", "is a block, not an argument"),
    "google: an unknown resource": ("google/tasks.tf", "each.value.tasks_queue", "google_pubsub_topic.topic.name", "no resource"),
    "google: an unknown attribute": ("google/outputs.tf", "subscription.name", "google_pubsub_topic.dead.nam", "has no attribute nam"),
    "google: an unknown attribute of data": ("google/main.tf", "here.number", "here.numbr", "has no attribute numbr"),
    "google: an input that a module needs": ("google/main.tf", "number       =", "#number       =", "number is required"),
    "github: an unknown argument": ("github/main.tf", "active     =", "enabled    =", "no argument or block enabled"),
    "github: a missing argument": ("github/main.tf", "repository =", "#repository =", "repository is required"),
}  # fmt: skip


@pytest.fixture(scope="module")
def known():
    if reason := why_missing():
        pytest.skip(reason)
    try:
        return schemas()
    except subprocess.SubprocessError as error:
        wanted = ", ".join(f"{package.name} {package.version}" for package in PACKAGES)
        pytest.skip(f"needs {wanted}, which cannot be fetched here ({type(error).__name__})")


@pytest.mark.parametrize("folder", MODULES)
def test_every_block_is_what_the_provider_takes(known, folder):
    assert problems(read(ROOT / folder), known) == []


@pytest.mark.parametrize("planted", PLANTED | PLANTED_IN_OTHERS)
def test_a_mistake_is_found(known, tmp_path, planted):
    file, right, wrong, said = (PLANTED | PLANTED_IN_OTHERS)[planted]
    shutil.copytree(ROOT / "infra/terraform", tmp_path / "terraform")
    path = tmp_path / "terraform" / (file if "/" in file else f"aws/{file}")
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    found = problems(read(path.parent), known)
    assert any(said in line for line in found), found


@pytest.mark.parametrize("folder", VERSIONS)
def test_the_schema_is_of_a_version_that_the_module_takes(folder):
    text = (ROOT / folder / "versions.tf").read_text()
    for package in VERSIONS[folder]:
        least = package.provider.rpartition(".")[0]
        assert f'">= {least}, < {int(least.partition(".")[0]) + 1}.0"' in text


def test_what_aws_asks_for_is_not_required(known):
    assert known.type("resource", "aws_lambda_permission").arguments["invoked_via_function_url"].required is False


def test_every_module_is_checked():
    tracked = {path.parent for folder in ("infra", "examples") for path in (ROOT / folder).rglob("*.tf")}
    assert {str(folder.relative_to(ROOT)) for folder in tracked} == set(MODULES)
