"""The modules without a provider, run by the real terraform, say what core/pipeline.py and the AWS adapters say."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.aws.plane import ENVIRONMENT, NAMES
from tests.infra import terraform

from penstock.adapters.aws.names import PARAMETER_STORE
from penstock.adapters.notifier.http import TIMEOUT
from penstock.core.pipeline import Pipeline
from penstock.core.secrets.names import API_TOKEN, FETCH, READERS, secret_name
from penstock.wiring import load_pipeline, settings_from

ROOT = Path(__file__).parents[2]
PIPELINE = load_pipeline()
ACCOUNT = {"account": NAMES.account, "region": NAMES.region, "prefix": NAMES.prefix, "bucket": NAMES.bucket}


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    return terraform.outputs("topology", tmp_path_factory.mktemp("topology"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    secrets = {
        "token": {"name": "api-token", "namespace": "penstock-system"},
        "odd": {"cluster": "eu-1.prod", "namespace": "a-b", "name": "c.d-e", "reader": "fetch"},
    }
    return terraform.outputs("aws/model", tmp_path_factory.mktemp("model"), secrets=secrets, **ACCOUNT)


@pytest.mark.parametrize("module", terraform.FREE)
def test_terraform_test_passes(module, tmp_path):
    folder = terraform.INFRA / module
    assert terraform.run("init", "-input=false", folder=folder, data=tmp_path).returncode == 0
    done = terraform.run("test", "-no-color", folder=folder, data=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Success!" in done.stdout


def test_everything_is_formatted():
    done = terraform.run("fmt", "-check", "-recursive", "-diff", "infra", "examples", folder=ROOT, data=ROOT)
    assert done.returncode == 0, done.stdout


def test_the_stages_are_those_of_the_pipeline(topology):
    assert [*topology["stages"]] == sorted(PIPELINE.stages)
    for name, stage in PIPELINE.stages.items():
        said = topology["stages"][name]
        assert (said["timeout"], said["attempts"], said["memory"]) == (stage.timeout, stage.attempts, stage.memory)
        assert (tuple(said["publishes"]), tuple(said["subscribes"])) == (stage.publishes, stage.subscribes)
        assert (said["trigger"], tuple(said["ports"])) == (stage.trigger, stage.ports)


def test_queues_and_subscriptions_are_those_of_the_pipeline(topology):
    assert {*topology["queues"]} == {stage.name for stage in PIPELINE.queues()}
    for stage in PIPELINE.queues():
        queue = topology["queues"][stage.name]
        assert queue["visibility"] == 6 * stage.timeout
        assert queue["attempts"] == stage.attempts
    for topic, names in topology["subscribers"].items():
        assert {*names} == {stage.name for stage in PIPELINE.subscribers(topic)}
    pairs = {(each["topic"], each["stage"]) for each in topology["subscriptions"].values()}
    assert pairs == {(topic, stage.name) for stage in PIPELINE.queues() for topic in stage.subscribes}


def test_a_provider_that_hangs_uses_up_no_attempt_of_others(topology):
    """What waits in a batch until half of the timeout is over is given back with an attempt less (lambda_sqs.run_batch)."""
    tellers = [stage for stage in PIPELINE.queues() if "notifier" in stage.ports]
    assert [stage.name for stage in tellers] == ["notify"]
    for stage in tellers:
        assert topology["queues"][stage.name]["batch"] * TIMEOUT <= stage.timeout / 2


def test_a_stage_publishes_what_the_pipeline_says_and_tick_also_what_was_lost(topology):
    for name, right in topology["rights"].items():
        more = {"event"} if PIPELINE.stage(name).trigger == "schedule" else set()
        assert {*right["publishes"]} == {*PIPELINE.stage(name).publishes} | more


def test_no_stage_has_verbs_on_a_port_that_the_pipeline_does_not_give_it(topology):
    for name, right in topology["rights"].items():
        assert {port for port, verbs in right["verbs"].items() if verbs} <= {*PIPELINE.stage(name).ports}


def test_names_are_those_that_the_adapters_use(model):
    names, arns = model["names"], model["arns"]
    assert arns["topics"] == {topic: NAMES.topic_arn(topic) for topic in arns["topics"]}
    assert names["queues"] == {stage.name: NAMES.queue(stage.name) for stage in PIPELINE.queues()}
    assert names["dead_queues"] == {stage.name: NAMES.dead_queue(stage.name) for stage in PIPELINE.queues()}
    assert (names["table"], names["schedule_group"]) == (NAMES.table, NAMES.schedule_group)
    assert names["bucket"] == NAMES.bucket
    assert arns["secrets"] == {
        reader: f"arn:aws:secretsmanager:{NAMES.region}:{NAMES.account}:secret:{NAMES.secret_path}{reader}_*"
        for reader in READERS
    }


def test_an_ordered_stage_has_fifo_queues_and_topics_by_the_names_that_the_adapter_uses(tmp_path):
    file = terraform.INFRA / "topology/tests/ordered.json"
    pipeline = Pipeline.from_value(json.loads(file.read_text()))
    said = terraform.outputs("aws/model", tmp_path, pipeline_file=str(file), **ACCOUNT)
    topics = {topic: NAMES.topic_arn(topic, ordered=pipeline.is_ordered(topic)) for topic in said["arns"]["topics"]}
    assert said["arns"]["topics"] == topics
    for kind, name in (("queues", NAMES.queue), ("dead_queues", NAMES.dead_queue)):
        assert said["names"][kind] == {each.name: name(each.name, ordered=each.ordered) for each in pipeline.queues()}
    assert said["names"]["queues"]["automate"].endswith(".fifo")
    assert said["queues"]["automate"]["ordered"]
    assert not said["queues"]["notify"]["ordered"]


def test_secrets_are_called_as_the_plane_calls_them(model):
    odd = secret_name(FETCH, "eu-1.prod", "a-b", "c.d-e")
    assert model["names"]["secrets"] == {"token": NAMES.secret_path + API_TOKEN, "odd": NAMES.secret_path + odd}


def test_parameters_are_called_as_the_plane_calls_them(tmp_path):
    said = terraform.outputs("aws/model", tmp_path, secrets_store=PARAMETER_STORE, **ACCOUNT)
    names = replace(NAMES, secrets_store=PARAMETER_STORE)
    assert said["names"]["secrets"] == {"api-token": names.secret_path + API_TOKEN}
    assert said["arns"]["secrets"]["fetch"].endswith(f":parameter{names.secret_path}fetch_*")
    environment = said["functions"]["webhook"]["environment"]
    assert settings_from({**environment, "AWS_REGION": NAMES.region}).aws.secrets_store == PARAMETER_STORE


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_partitions_are_those_that_the_adapters_use(tmp_path, region):
    said = terraform.outputs("aws/model", tmp_path, **{**ACCOUNT, "region": region})
    assert said["arns"]["topics"]["event"] == replace(NAMES, region=region).topic_arn("event")


def test_functions_start_with_settings_that_the_plane_takes(model):
    for name, function in model["functions"].items():
        settings = settings_from({**function["environment"], "AWS_REGION": NAMES.region})
        delays = name in {"fetch", "reconcile"}
        role = model["arns"]["scheduler_role"] if delays else ""
        assert settings.backend == "aws"
        assert settings.aws.scheduler_role == role
        assert settings.aws.table == model["names"]["table"]
        assert {*function["environment"]} <= {*ENVIRONMENT}


def test_handlers_are_found_in_a_bundle_as_lambda_looks_for_them(model, tmp_path):
    """Its runtime reads a/b.c as attribute c of module a.b, with the bundle's root on the path."""
    (tmp_path / "functions").symlink_to(ROOT / "functions")
    (tmp_path / "penstock").symlink_to(ROOT / "shared" / "penstock")
    handlers = [function["handler"] for function in model["functions"].values()]
    modules = [
        path.replace("/", ".") for path, _, name in (each.rpartition(".") for each in handlers) if name == "handler"
    ]
    assert len(modules) == len(PIPELINE.stages)
    program = f"import importlib; [importlib.import_module(m).handler for m in {modules!r}]"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, env={"PATH": os.environ["PATH"]})


def test_a_stage_that_nobody_knows_stops_the_plan(tmp_path):
    """Not a right by default: an unknown stage's ports have no verbs."""
    value = '{"format": 1, "stages": {"automate": {"trigger": "schedule", "subscribes": [], "publishes": [], '
    value += '"timeout": 60, "attempts": 1, "memory": 256, "ports": ["secrets"]}}}'
    path = tmp_path / "pipeline.json"
    path.write_text(value)
    Pipeline.from_value(json.loads(value))
    with pytest.raises(AssertionError, match=r"automate\.secrets"):
        terraform.outputs("topology", tmp_path, pipeline_file=str(path))


def test_the_repository_stays_clean():
    """State, locks and plugins of these runs stand elsewhere."""
    command = ["git", "status", "--short", "--ignored", "infra"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not re.findall(r".*(?:\.terraform|tfstate).*", done.stdout)
