"""infra/terraform/google and its examples, applied by the real terraform: in the state alone, and on emulators as far as
these have what the module makes (tests/google/test_deployed.py)."""

import pytest
from tests.infra.applied import github, google, run
from tests.infra.test_applied_aws import zipped

from penstock.wiring import load_pipeline

VARIABLES = {"gke_project": "acme-clusters", "project": "acme-plane"}
BUDGET = {"billing_account": "012345-6789AB-CDEF01"}
HEARING = [stage.name for stage in load_pipeline().queues()]
PLANTED = {
    "a wrong type": ("subscriptions.tf", "each.value.ack_seconds", '"soon"', "a number is required"),
    "a missing argument": ("tasks.tf", "  location = each.key", "  #", 'The argument "location" is required'),
    "an unknown block": ("functions.tf", "  service_config {", "  service {", 'Blocks of type "service" are not expected'),
    "a block too many": ("tasks.tf", "  rate_limits {", "  rate_limits {}\n  rate_limits {", "Too many rate_limits blocks"),
    "a reference to nothing": ("schedule.tf", 'google_service_account.accounts["push"]', 'google_service_account.account["push"]', "Reference to undeclared"),
    "a cycle": ("topics.tf", 'resource "google_pubsub_topic" "topics" {', 'resource "google_pubsub_topic" "topics" {\n  depends_on = [google_pubsub_subscription.pushes]', "Cycle"),
    "a for_each of what is not known": (
        "accounts.tf", "for_each = local.model.names.accounts", "for_each = toset([for each in google_pubsub_topic.topics : each.id])", "Invalid for_each argument"
    ),
    "a key that is not there": ("schedule.tf", 'accounts["push"]', 'accounts["pusher"]', "Invalid index"),
    "two types in one conditional": ("subscriptions.tf", "[each.value.attempts]", "each.value.attempts", "Inconsistent conditional result types"),
    "an attribute that is not": ("rights.tf", "role_id     = each.value.id", "role_id     = each.value.ident", "Unsupported attribute"),
}  # fmt: skip


@pytest.fixture(scope="module")
def told():
    with run.providers(google=google.world(), github=github.WORLD) as told:
        yield told


@pytest.fixture
def bundle(tmp_path):
    return zipped(tmp_path / "google.zip", "1")


@pytest.mark.parametrize("planted", PLANTED)
def test_terraform_sees_what_is_wrong(told, tmp_path, bundle, planted):
    file, right, wrong, said = PLANTED[planted]
    path = run.copied(tmp_path) / "infra/terraform/google" / file
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    config = run.Configuration(tmp_path / "examples/terraform/google-regions", told, bundle=bundle, **VARIABLES)
    done = config.do("plan")
    assert done.returncode == 1
    found = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    assert said in found, found[-2000:]


def test_the_life_of_a_plane(told, tmp_path, bundle):
    config = run.Configuration(
        run.copied(tmp_path) / "examples/terraform/google",
        told,
        bundle=bundle,
        github_repository="fleet-infra",
        receiver_token="0123456789abcdef",
        **VARIABLES,
        **BUDGET,
    )
    planned = config.plan()
    assert {*map(tuple, planned.values())} == {("create",)}
    config.apply()
    state = config.state()
    assert {*state} >= {*planned}
    assert run.unmade(state) == []
    assert config.plan() == {}, "applied twice"
    functions = {
        stage: f'module.plane.google_cloudfunctions2_function.stages["{stage}"]' for stage in load_pipeline().stages
    }
    before = config.replace("main.tf", "reconcile = { concurrency = 40, memory = 2048 }", "fetch = { memory = 2048 }")
    assert config.plan() == {functions["fetch"]: ["update"], functions["reconcile"]: ["update"]}
    (config.folder / "main.tf").write_text(before)
    config.variables["bundle"] = zipped(tmp_path / "newer.zip", "2")
    bundles = {"module.plane.google_storage_bucket_object.bundle": ["create", "delete"]}
    assert config.plan() == {**bundles, **{address: ["update"] for address in functions.values()}}
    _destroy(config)


def _destroy(config):
    """It stops at the key of what is in Git, and goes on where that is left out (docs/google.md)."""
    before = {*config.state()}
    done = config.destroy("-refresh=false")
    assert done.returncode == 1
    assert "prevent_destroy" in done.stderr
    assert {*config.state()} == before
    left = ("google_kms_crypto_key.sops", "google_kms_key_ring.sops")
    assert config.run("state", "rm", *left).returncode == 0
    done = config.destroy("-refresh=false")
    assert done.returncode == 0, done.stderr
    assert config.state() == {}


@pytest.mark.parametrize(
    ("given", "without"),
    [
        ({"collector": {"endpoint": "https://otlp.example.com", "credentials": True}}, "google_billing_budget"),
        (
            {"alarm_channels": ["projects/p/notificationChannels/1"] * 6, "budget": {**BUDGET, "amount": 5}},
            "google_kms",
        ),
    ],
)
def test_other_inputs_are_planned(told, tmp_path, bundle, given, without):
    """From inputs alone to the arguments of every resource, with what is not known yet."""
    variables = {"bundle": bundle, "project": VARIABLES["project"], "region": "europe-west3", **given}
    folder = run.caller(tmp_path, "google", provider={"google": {"project": VARIABLES["project"]}}, **variables)
    types = {each.removeprefix("module.plane.").partition(".")[0] for each in run.Configuration(folder, told).plan()}
    assert "google_cloudfunctions2_function" in types
    assert not [name for name in types if name.startswith(without)]


def test_each_region_has_its_own(told, tmp_path, bundle):
    folder = run.copied(tmp_path) / "examples/terraform/google-regions"
    config = run.Configuration(folder, told, bundle=bundle, **VARIABLES)
    addresses = {*config.plan()}
    regional = {
        f'module.plane.google_{kind}["{{}}"]' for kind in ("firestore_database.state", "storage_bucket.artifacts")
    }
    regional |= {
        f'module.plane.google_{kind}["{{}}"]' for kind in ("cloud_tasks_queue.delay", "logging_project_sink.logs")
    }
    assert addresses >= {each.format(region) for each in regional for region in ("europe-west3", "us-central1")}
    functions = {each for each in addresses if ".google_cloudfunctions2_function." in each}
    far = {f'module.plane.google_cloudfunctions2_function.stages["{stage}@us-central1"]' for stage in HEARING}
    assert {each for each in functions if "@" in each} == far
    assert len(functions) == len(far) + len(load_pipeline().stages)


def test_every_type_is_somewhere():
    types = {name for kind, name in run.declared() if kind == "resource" and name.startswith("google_")}
    assert types == {*google.KEPT, *google.REAL}
    assert {*google.REAL} == {*google.INSTEAD}
    text = (run.ROOT / "docs/google.md").read_text()
    assert [name for name in google.REAL if f"`{name}`" not in text] == []
