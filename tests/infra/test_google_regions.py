"""google/model for a plane in three regions: names and settings as the adapters have them, and who reaches what where."""

from dataclasses import replace

import pytest
from tests.infra import terraform
from tests.infra.google_iam import Need, giving
from tests.infra.hcl import read
from tests.infra.test_google_model import KEY, NAMES, PIPELINE, PROJECT

from penstock.core.secrets.names import FETCH, READERS, secret_name
from penstock.wiring import settings_from

HOME, FAR, THIRD = NAMES.region, "us-central1", "asia-northeast1"
QUEUES = {stage.name for stage in PIPELINE.queues()}
EVERYWHERE = replace(NAMES, home=HOME, regions=(THIRD, FAR))
FURTHER = {
    FAR: {
        "gke_projects": ["acme-us"],
        "secrets": {"git": {"cluster": "far", "name": "git", "reader": "fetch"}},
        "sops_keys": {"sops": KEY},
    },
    THIRD: {},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return terraform.outputs("google/model", tmp_path_factory.mktemp("regions"), regions=FURTHER, **PROJECT)


@pytest.mark.parametrize("region", [HOME, FAR, THIRD])
def test_names_are_those_that_the_adapters_use(model, region):
    at, place, paths = EVERYWHERE.at(region), model["places"][region], model["paths"][region]
    assert paths["topics"] == {topic: at.topic(topic) for topic in paths["topics"]}
    assert paths["dead_topics"] == {stage.name: at.dead_topic(stage.name) for stage in PIPELINE.queues()}
    told = {f"{stage.name}-dead/tick": at.lost_subscription("tick", stage.name) for stage in PIPELINE.queues()}
    heard = {f"{topic}/{s.name}": at.subscription(s.name, topic) for s in PIPELINE.queues() for topic in s.subscribes}
    assert paths["subscriptions"] == told | heard
    assert (place["bucket"], paths["tasks_queue"]) == (at.bucket, at.tasks_queue)
    roots = {"hooks": at.hooks, "index": at.index, "state": at.documents}
    assert {part: f"{path}/documents" for part, path in paths["databases"].items()} == roots
    assert paths["secrets"]["fetch"] == f"projects/{PROJECT['number']}/secrets/{at.secret_prefix}fetch_"
    kept = {one["name"] for one in model["dead_topics"].values() if one["region"] == region}
    assert kept == {at.dead_subscription(stage.name).rpartition("/")[2] for stage in PIPELINE.queues()}


def test_a_further_region_has_what_works_on_its_clusters_with_settings_that_the_plane_takes(model):
    assert {key for key, one in model["functions"].items() if one["region"] == HOME} == set(PIPELINE.stages)
    for region in (FAR, THIRD):
        assert {one["stage"] for one in model["functions"].values() if one["region"] == region} == QUEUES
    for key, function in model["functions"].items():
        found = settings_from(function["environment"]).google
        account = key.replace(function["stage"], "tasks")
        tasks = model["emails"][account] if function["stage"] in {"fetch", "reconcile"} else ""
        assert found == replace(EVERYWHERE, region=function["region"], database="plane-1-state", tasks_account=tasks)


def test_everything_stands_in_its_region_and_nothing_in_two(model):
    for kind in ("topics", "dead_topics", "functions", "subscriptions", "secrets"):
        for key, one in model[kind].items():
            assert one["region"] == (key.partition("@")[2] or HOME), key
    for kind in ("topics", "dead_topics", "subscriptions", "secrets"):
        names = [one["name"] for one in model[kind].values()]
        assert len(names) == len(set(names)), kind
    assert len(set(model["emails"].values())) == len(model["emails"])
    assert set(model["dashboards"]) == {HOME, FAR, THIRD}


def test_pushes_go_to_functions_of_the_region_as_an_account_of_its_own_and_dead_letters_to_tick_at_home(model):
    for one in model["subscriptions"].values():
        at = "" if one["region"] == HOME or one["of_dead"] else f"@{one['region']}"
        assert (one["function"], one["caller"]) == (f"{one['stage']}{at}", f"push{at}")
        assert model["functions"][one["function"]]["region"] == (HOME if one["of_dead"] else one["region"])
        heard = model["dead_topics" if one["of_dead"] else "topics"][one["topic"]]
        assert heard["region"] == one["region"]
        assert giving(model, one["caller"], invoking(model, one["function"]))


def invoking(model, key):
    function = model["functions"][key]
    return Need(permission="run.routes.invoke", kind="function", name=function["name"], region=function["region"])


def test_who_pushes_in_one_region_calls_no_function_of_another(model):
    for caller, region in (("push", HOME), (f"push@{FAR}", FAR), (f"push@{THIRD}", THIRD)):
        called = {key for key in model["functions"] if giving(model, caller, invoking(model, key))}
        there = {key for key, one in model["functions"].items() if one["region"] == region and one["trigger"] != "http"}
        assert called == there


PARTS = {"hooks": "hooks", "index": "index", "state": "documents"}


def record(verb, region, part="state"):
    root = getattr(EVERYWHERE.at(region), PARTS[part])
    path = root.removesuffix("/documents")
    return Need(permission=f"datastore.entities.{verb}", kind="project", name=NAMES.project, path=path)


def artifact(verb, region):
    bucket = EVERYWHERE.at(region).bucket
    path = f"projects/_/buckets/{bucket}/objects/artifacts/sha256/ab"
    return Need(permission=f"storage.objects.{verb}", kind="bucket", name=bucket, path=path)


def secret(verb, region, name="fetch_far_a_b"):
    path = f"projects/{PROJECT['number']}/secrets/{EVERYWHERE.at(region).secret_prefix}{name}/versions/1"
    return Need(permission=f"secretmanager.{verb}", kind="project", name=NAMES.project, path=path)


def topic(region, name):
    return Need(permission="pubsub.topics.publish", kind="topic", name=EVERYWHERE.at(region).topic(name).split("/")[3])


def task(region):
    return Need(permission="cloudtasks.tasks.create", kind="queue", name="plane-1-delay", region=region)


TOUCHES = [
    *(
        lambda region, verb=verb, part=part: record(verb, region, part)
        for verb in ("get", "list", "create", "update", "delete")
        for part in PARTS
    ),
    *(lambda region, verb=verb: artifact(verb, region) for verb in ("get", "create", "delete")),
    *(
        lambda region, verb=verb, reader=reader: secret(verb, region, f"{reader}_far_a_b")
        for verb in ("versions.access", "versions.add", "secrets.delete")
        for reader in READERS
    ),
    *(lambda region, name=name: topic(region, name) for name in ("event", "source-changed", "reconcile-due")),
    task,
]


@pytest.mark.parametrize("stage", sorted(QUEUES))
def test_a_further_regions_function_touches_nothing_of_a_third(model, stage):
    for make in TOUCHES:
        assert giving(model, f"{stage}@{FAR}", make(THIRD)) == [], make(THIRD)
        assert giving(model, f"{stage}@{THIRD}", make(FAR)) == [], make(FAR)


@pytest.mark.parametrize("stage", sorted(QUEUES))
def test_a_function_has_in_its_region_what_it_has_at_home_where_that_is_the_planes_only_one(model, stage):
    for make in TOUCHES:
        assert bool(giving(model, f"{stage}@{FAR}", make(FAR))) is bool(giving(model, stage, make(HOME)))


def test_of_home_a_further_regions_functions_have_no_artifact_to_write_no_cluster_secret_and_no_queue(model):
    for stage in QUEUES:
        who = f"{stage}@{FAR}"
        none = [artifact("create", HOME), artifact("delete", HOME), task(HOME), topic(HOME, "event")]
        verbs = ("versions.access", "versions.add", "secrets.delete")
        none += [secret(verb, HOME, f"{reader}_far_a_b") for verb in verbs for reader in READERS]
        for need in none:
            assert giving(model, who, need) == [], (who, need)
    for part, expected in (("index", {"reconcile"}), ("state", set()), ("hooks", set())):
        for verb in ("create", "update", "delete"):
            need = record(verb, HOME, part)
            assert {s for s in QUEUES if giving(model, f"{s}@{FAR}", need)} == expected, "the index of Receivers"


def test_webhook_reaches_its_own_records_in_every_region_and_no_others(model):
    for region in (HOME, FAR, THIRD):
        for part, verbs in (
            ("hooks", {"get", "create", "update"}),
            ("index", {"get", "list"}),
            ("state", set()),
        ):
            may = {
                v
                for v in ("get", "list", "create", "update", "delete")
                if giving(model, "webhook", record(v, region, part))
            }
            assert may == verbs, (region, part)


def test_of_the_planes_own_secrets_they_read_the_token_that_masks_plans(model):
    token = secret("versions.access", HOME, "penstock_--_penstock--system_api--token")
    assert {stage for stage in QUEUES if giving(model, f"{stage}@{FAR}", token)} == {"reconcile"}
    for other in ("fetch_--_flux--system_fleet--token", "penstock_--_penstock--system_api--token--2"):
        assert giving(model, f"reconcile@{FAR}", secret("versions.access", HOME, other)) == []


def test_home_publishes_to_every_region(model):
    for region in (HOME, FAR, THIRD):
        for stage, name in (("webhook", "source-changed"), ("tick", "reconcile-due"), ("fetch", "artifact-stored")):
            assert giving(model, stage, topic(region, name))
        assert giving(model, "reconcile", topic(region, "event")) or region != HOME


def test_tasks_publish_in_their_region_alone(model):
    for region, at in ((HOME, ""), (FAR, f"@{FAR}")):
        reached = {each for each in (HOME, FAR, THIRD) if giving(model, f"tasks{at}", topic(each, "reconcile-due"))}
        assert reached == {region}
        account = model["emails"][f"tasks{at}"]
        users = {who for who in model["emails"] if giving(model, who, acting(account))}
        assert users == {f"fetch{at}", f"reconcile{at}"}


def acting(account):
    return Need(permission="iam.serviceAccounts.actAs", kind="account", name=account)


def test_clusters_and_keys_are_those_of_the_region(model):
    key = Need(permission="cloudkms.cryptoKeyVersions.useToDecrypt", kind="key", name=KEY)
    clusters = Need(permission="container.clusters.get", kind="project", name="acme-us")
    for need in (key, clusters):
        assert {who for who in model["emails"] if giving(model, who, need)} == {f"reconcile@{FAR}"}


def test_secrets_that_are_kept_by_hand_are_called_as_the_plane_calls_them(model):
    named = EVERYWHERE.at(FAR).secret_prefix + secret_name(FETCH, "far", "flux-system", "git")
    assert model["secrets"][f"git@{FAR}"] == {"name": named, "region": FAR}
    assert model["secrets"]["api-token"]["region"] == HOME


def test_builds_write_images_in_each_region_and_read_what_cloud_functions_copied_there(model):
    for region in (HOME, FAR, THIRD):
        image = Need(
            permission="artifactregistry.repositories.uploadArtifacts", kind="repository", name="plane-1", region=region
        )
        path = f"projects/_/buckets/gcf-v2-sources-{PROJECT['number']}-{region}/objects/x.zip"
        source = Need(permission="storage.objects.get", kind="project", name=NAMES.project, path=path)
        assert giving(model, "build", image)
        assert giving(model, "build", source)


def test_the_module_puts_nothing_into_the_home_region_alone():
    """But tick's schedule, by its function, and the bundle, in home's bucket."""
    resources = read(terraform.INFRA / "google").resources
    places = {
        (type_, name): body[argument]
        for (_, type_, name), body in resources.items()
        for argument in ("location", "location_id", "region")
        if argument in body
    }
    assert len(places) >= 10
    assert {place for place, where in places.items() if where not in {"${each.key}", "${each.value.region}"}} == set()
    alarms = {
        name: body.get("for_each") for (_, type_, name), body in resources.items() if type_.endswith("alert_policy")
    }
    assert {name for name, each in alarms.items() if each is None} == {"failures", "refused"}, "counted in all regions"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"regions": {HOME: {}}}, "regions are the further ones"),
        ({"regions": {"us-central1-a": {}}}, "regions are names of regions"),
        ({"regions": {f"us-central{number}": {} for number in range(20)}}, "at most 19"),
        ({"regions": {FAR: {"secrets": {"token": {"cluster": "-", "name": "x", "reader": "fetch"}}}}}, "plane's own"),
        (
            {"regions": {FAR: {"secrets": {"x": {"cluster": "far", "name": "x", "reader": "api"}}}}},
            "is fetch, notify or webhook",
        ),
        ({"regions": {FAR: {"sops_keys": {"sops": f"{KEY}/cryptoKeyVersions/1"}}}}, "resource names of keys"),
        ({"regions": {FAR: {"gke_projects": ["Acme"]}}}, "ids of projects"),
        ({"regions": {FAR: {}}, "prefix": "plane-of-the-team"}, "at most 14 characters"),
        ({"regions": {FAR: {}}, "bucket": "b" * 60}, "longer than 63 characters"),
        ({"environment": {"fetch": {"PENSTOCK_GOOGLE_REGIONS": "asia-east1"}}}, "is this module's"),
    ],
)
def test_regions_that_cannot_be_stop_the_plan(tmp_path, given, said):
    with pytest.raises(AssertionError) as refused:
        terraform.outputs("google/model", tmp_path, **{**PROJECT, **given})
    assert said in terraform.text(refused)
