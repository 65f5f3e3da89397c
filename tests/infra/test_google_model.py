"""google/model, run by the real terraform, says what core/pipeline.py and the adapters on Google Cloud say."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.google import plane
from tests.infra import secret_rights, terraform
from tests.infra.google_iam import NUMBER, Need, giving
from tests.infra.hcl import read

from penstock.adapters.google.names import deliveries
from penstock.core.flux.receiver import webhook_digest
from penstock.core.secrets.names import API_TOKEN, FETCH, READERS, secret_name
from penstock.wiring import load_pipeline, settings_from

ROOT = Path(__file__).parents[2]
PIPELINE = load_pipeline()
NAMES = plane.replaced(
    plane.names(), tasks_account=f"plane-1-tasks@{plane.PROJECT}.iam.gserviceaccount.com", database="plane-1-state"
)
PROJECT = {
    "bucket": NAMES.bucket,
    "number": NUMBER,
    "prefix": NAMES.prefix,
    "project": NAMES.project,
    "region": NAMES.region,
}
KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
STATE, HOOKS, INDEX = (f"projects/{NAMES.project}/databases/plane-1-{part}" for part in ("state", "hooks", "index"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    secrets = {
        "token": {"name": "api-token", "namespace": "penstock-system"},
        "odd": {"cluster": "eu-1.prod", "namespace": "a-b", "name": "c.d-e", "reader": "fetch"},
    }
    more = {"gke_projects": ["acme-gke"], "sops_keys": {"sops": KEY}}
    return terraform.outputs("google/model", tmp_path_factory.mktemp("model"), secrets=secrets, **more, **PROJECT)


def test_names_are_those_that_the_adapters_use(model):
    place, paths = model["places"][NAMES.region], model["paths"][NAMES.region]
    assert paths["topics"] == {topic: NAMES.topic(topic) for topic in paths["topics"]}
    assert paths["dead_topics"] == {stage.name: NAMES.dead_topic(stage.name) for stage in PIPELINE.queues()}
    assert paths["tasks_queue"] == NAMES.tasks_queue
    roots = {"hooks": NAMES.hooks, "index": NAMES.index, "state": NAMES.documents}
    assert {part: f"{path}/documents" for part, path in paths["databases"].items()} == roots
    assert place["bucket"] == NAMES.bucket
    kept = {stage: f"projects/{NAMES.project}/subscriptions/{name}" for stage, name in place["dead_topics"].items()}
    assert kept == {stage.name: NAMES.dead_subscription(stage.name) for stage in PIPELINE.queues()}
    assert paths["secrets"] == {
        reader: f"projects/{NUMBER}/secrets/{NAMES.secret_prefix}{reader}_" for reader in READERS
    }


def test_only_the_subscriptions_of_an_ordered_stage_keep_order(tmp_path):
    file = str(terraform.INFRA / "topology/tests/ordered.json")
    said = terraform.outputs("google/model", tmp_path, pipeline_file=file, **PROJECT)
    ordered = {key: one["ordered"] for key, one in said["subscriptions"].items()}
    assert ordered == {"event/notify": False, "source-changed/automate": True}


def test_secrets_are_called_as_the_plane_calls_them(model):
    odd = secret_name(FETCH, "eu-1.prod", "a-b", "c.d-e")
    kept = {key: secret["name"] for key, secret in model["secrets"].items()}
    assert kept == {"token": NAMES.secret_prefix + API_TOKEN, "odd": NAMES.secret_prefix + odd}


def test_subscriptions_are_those_that_the_pipeline_and_the_functions_know(model):
    pushed = {model["paths"][NAMES.region]["subscriptions"][key]: one for key, one in model["subscriptions"].items()}
    expected = {
        NAMES.subscription(stage.name, topic): (
            stage.name,
            topic,
            min(600, round(stage.timeout) + 30),
            deliveries(stage.attempts),
        )
        for stage in PIPELINE.queues()
        for topic in stage.subscribes
    }
    tick = round(PIPELINE.stage("tick").timeout) + 30
    expected |= {
        NAMES.lost_subscription("tick", stage.name): ("tick", stage.name, tick, None) for stage in PIPELINE.queues()
    }
    assert {
        name: (one["stage"], one["topic"], one["ack_seconds"], one["attempts"]) for name, one in pushed.items()
    } == expected
    assert {one["filter"] for one in pushed.values() if one["of_dead"]} == {"NOT attributes:error"}


def test_functions_start_with_settings_that_the_plane_takes(model):
    for name, function in model["functions"].items():
        settings = settings_from(function["environment"])
        delays = name in {"fetch", "reconcile"}
        assert settings.backend == "google"
        assert settings.google == plane.replaced(NAMES, tasks_account=NAMES.tasks_account if delays else "")


def test_functions_are_found_in_a_bundle_as_the_buildpack_looks_for_them(model):
    for name, function in model["functions"].items():
        source = ROOT / function["build"]["GOOGLE_FUNCTION_SOURCE"]
        assert f"\ndef {name}(request" in source.read_text()


def test_sizes_are_those_of_the_pipeline(model):
    for stage in PIPELINE.stages.values():
        function = model["functions"][stage.name]
        assert (function["timeout"], function["memory"]) == (stage.timeout, f"{stage.memory}Mi")


def test_everybody_calls_only_what_verifies_by_itself(model):
    for name, function in model["functions"].items():
        who = {
            grant["who"]
            for grant in model["grants"].values()
            if grant["kind"] == "function" and grant["resource"] == function["name"]
        }
        assert who == ({"everybody"} if name in {"webhook", "api"} else {"push"})
        assert (function["ingress"] == "ALLOW_ALL") == (name in {"webhook", "api"})
    others = {grant["kind"] for grant in model["grants"].values() if grant["who"] == "everybody"}
    assert others == {"function"}


@pytest.mark.parametrize(
    ("who", "permission", "kind", "name", "path"),
    [
        ("fetch", "datastore.entities.get", "project", NAMES.project, "projects/penstock-test/databases/(default)"),
        ("fetch", "datastore.entities.get", "project", "acme-gke", STATE),
        ("fetch", "secretmanager.versions.access", "project", NAMES.project, f"projects/{NUMBER}/secrets/other/versions/1"),
        (
            "fetch",
            "secretmanager.versions.access",
            "project",
            NAMES.project,
            f"projects/{NUMBER}/secrets/plane-1-2-fetch_-_a_b/versions/1",
        ),
        ("fetch", "secretmanager.versions.add", "project", NAMES.project, f"projects/{NUMBER}/secrets/plane-1-fetch_-_a_b"),
        ("fetch", "storage.objects.create", "bucket", NAMES.bucket, f"projects/_/buckets/{NAMES.bucket}/objects/bundles/x.zip"),
        ("fetch", "storage.objects.get", "bucket", NAMES.bucket, f"projects/_/buckets/{NAMES.bucket}/objects/bundles/x.zip"),
        ("reconcile", "storage.objects.create", "bucket", NAMES.bucket, f"projects/_/buckets/{NAMES.bucket}/objects/artifacts/sha256/a"),
        ("webhook", "pubsub.topics.publish", "topic", "plane-1-event", ""),
        ("fetch", "pubsub.topics.publish", "topic", "plane-2-event", ""),
        ("fetch", "pubsub.topics.publish", "topic", "plane-1-reconcile-dead", ""),
        ("fetch", "iam.serviceAccounts.actAs", "account", "plane-1-reconcile@penstock-test.iam.gserviceaccount.com", ""),
        ("webhook", "cloudtasks.tasks.create", "queue", "plane-1-delay", ""),
        ("build", "artifactregistry.repositories.uploadArtifacts", "repository", "plane-2", ""),
        ("fetch", "cloudkms.cryptoKeyVersions.useToDecrypt", "key", KEY, ""),
        ("fetch", "container.clusters.get", "project", "acme-gke", ""),
        ("reconcile", "container.clusters.get", "project", NAMES.project, ""),
        ("push", "pubsub.topics.publish", "topic", "plane-1-event", ""),
        ("tasks", "pubsub.topics.publish", "topic", "plane-1-fetch-dead", ""),
        ("tasks", "pubsub.topics.publish", "topic", "plane-1-event", ""),
        ("tasks", "pubsub.topics.publish", "topic", "plane-1-artifact-stored", ""),
    ],
)  # fmt: skip
def test_what_nobody_needs_is_out_of_reach(model, who, permission, kind, name, path):
    region = NAMES.region if kind in {"queue", "repository"} else ""
    assert giving(model, who, Need(permission=permission, kind=kind, name=name, path=path, region=region)) == []


RECORDS = {
    HOOKS: {"get": {"webhook", "tick"}, "update": {"webhook"}, "delete": set()},
    INDEX: {"get": {*PIPELINE.stages}, "update": {"reconcile"}, "delete": {"reconcile"}},
    STATE: {
        "get": {*PIPELINE.stages} - {"webhook"},
        "update": {*PIPELINE.stages} - {"webhook"},
        "delete": {"api", "fetch", "reconcile", "notify"},
    },
}
"""By database: who reads, who writes, who removes."""


@pytest.mark.parametrize("database", RECORDS)
def test_of_the_records_each_stage_reaches_what_it_works_on(model, database):
    for verb, like in {"get": "get", "list": "get", "create": "update", "update": "update", "delete": "delete"}.items():
        need = Need(permission=f"datastore.entities.{verb}", kind="project", name=NAMES.project, path=database)
        expected = RECORDS[database][like] - ({"webhook"} if (database, verb) == (HOOKS, "list") else set())
        assert {who for who in model["emails"] if giving(model, who, need)} == expected, verb


def test_databases_of_all_kinds_are_protected_alike_and_the_first_keeps_its_address():
    """Its key in Terraform is the region, as when there was one: another would be another database."""
    body = read(terraform.INFRA / "google").resources["resource", "google_firestore_database", "state"]
    assert body["for_each"] == "${local.model.databases}"
    assert body["point_in_time_recovery_enablement"] == '"POINT_IN_TIME_RECOVERY_ENABLED"'
    assert "var.deletion_protection" in body["delete_protection_state"]


def test_the_first_database_of_a_region_has_its_key(model):
    assert {key: one["name"] for key, one in model["databases"].items()} == {
        NAMES.region: "plane-1-state",
        f"hooks@{NAMES.region}": "plane-1-hooks",
        f"index@{NAMES.region}": "plane-1-index",
    }


def test_each_stage_reads_the_secrets_that_are_there_for_it_and_no_others(model):
    assert_secrets(model)
    more = {"who": "webhook", "role": "r", "kind": "project", "resource": NAMES.project, "region": ""}
    more["condition"] = {"title": "", "expression": ""}
    permissions = {**model["permissions"], "r": ["secretmanager.versions.access"]}
    with pytest.raises(AssertionError, match="fetch_prod"):
        assert_secrets({**model, "grants": {**model["grants"], "more": more}, "permissions": permissions})


def assert_secrets(model):
    """Each stage with each secret: both what it may and what it may not."""

    def who(verb, name, tail=""):
        path = f"projects/{NUMBER}/secrets/{NAMES.secret_prefix}{name}{tail}"
        need = Need(permission=f"secretmanager.{verb}", kind="project", name=NAMES.project, path=path)
        return {each for each in model["emails"] if giving(model, each, need)}

    for name, readers in secret_rights.READ.items():
        assert who("versions.access", name, "/versions/latest") == readers, name
        changed = {"reconcile"} if secret_rights.CHANGED[name] else set()
        assert who("versions.add", name) == who("versions.destroy", name, "/versions/1") == changed, name
        removed = {"reconcile"} if secret_rights.REMOVED[name] else set()
        assert who("secrets.delete", name) == who("secrets.get", name) == removed, name


def test_reconcile_decrypts_and_finds_clusters(model):
    assert giving(model, "reconcile", Need(permission="cloudkms.cryptoKeyVersions.useToDecrypt", kind="key", name=KEY))
    assert giving(model, "reconcile", Need(permission="container.clusters.get", kind="project", name="acme-gke"))


def test_no_role_holds_a_wildcard_or_the_right_to_rights(model):
    for role, permissions in model["permissions"].items():
        assert not any("*" in each or "IamPolicy" in each for each in permissions), role


def test_a_plan_knows_all_names_before_the_project_and_its_keys_exist(tmp_path):
    """for_each takes only known keys: with a project's number and a key that the same apply makes, all of them are."""
    source = terraform.called("google/model", tmp_path)
    text = f"""
resource "terraform_data" "later" {{ input = "{KEY}" }}
resource "terraform_data" "number" {{ input = "{NUMBER}" }}
module "it" {{
  source    = "{source}"
  project   = "acme-prod"
  region    = "europe-west3"
  regions   = {{ us-central1 = {{ sops_keys = {{ sops = terraform_data.later.output }} }} }}
  number    = terraform_data.number.output
  sops_keys = {{ sops = terraform_data.later.output }}
}}
resource "terraform_data" "each" {{
  for_each = merge(module.it.grants, module.it.functions, module.it.subscriptions, module.it.roles, module.it.secrets, module.it.topics, module.it.dead_topics, module.it.places, module.it.databases)
}}
"""
    (tmp_path / "main.tf").write_text(text)
    for arguments in (("init", "-input=false"), ("plan", "-input=false", "-no-color")):
        done = terraform.run(*arguments, folder=tmp_path, data=tmp_path / "data")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_webhooks_path_is_the_receivers(tmp_path):
    receiver = {"name": "fleet", "namespace": "flux-system"}
    given = {"receiver": receiver, "token": "canary-token-of-16", "webhook_url": "https://x.example.com"}
    said = terraform.outputs("github/model", tmp_path, sensitive=True, **given)
    digest = webhook_digest(b"canary-token-of-16", "fleet", "flux-system")
    assert said["url"] == f"https://x.example.com/hook/{digest}"


def test_the_dashboard_names_every_function_and_subscription(model):
    text = json.dumps(model["dashboards"][NAMES.region])
    assert all(f'\\"{name}\\"' in text for name in model["names"]["functions"].values())
    assert all(f'\\"{name}\\"' in text for name in model["places"][NAMES.region]["dead_topics"].values())


def test_the_repository_stays_clean():
    done = subprocess.run(["git", "status", "--short", "infra"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ".terraform" not in done.stdout
