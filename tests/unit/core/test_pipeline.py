import copy
import json
from importlib.resources import files

import pytest

from penstock.core.errors import Terminal
from penstock.core.messages import TOPICS, ReconcileDue, SourceChanged
from penstock.core.pipeline import Pipeline
from penstock.ports.deps import Deps
from penstock.wiring import load_pipeline

VALUE = json.loads(files("penstock").joinpath("pipeline.json").read_bytes())


def test_the_topology_of_this_release_is_read():
    pipeline = load_pipeline()
    fetch = pipeline.stage("fetch")
    assert (fetch.trigger, fetch.subscribes, fetch.attempts, fetch.timeout) == ("topic", ("source-changed",), 8, 300.0)
    assert [stage.name for stage in pipeline.queues()] == ["fetch", "reconcile", "notify"]
    assert [stage.name for stage in pipeline.subscribers("reconcile-due")] == ["reconcile"]
    assert pipeline.subscribers("unheard-of") == ()


def test_every_topic_has_a_publisher_and_a_subscriber_and_every_port_exists():
    stages = load_pipeline().stages.values()
    for topic in TOPICS:
        assert any(topic in stage.publishes for stage in stages), topic
        assert any(topic in stage.subscribes for stage in stages), topic
    ports = set(Deps.__dataclass_fields__) - {"pushed", "trace"}
    assert {port for stage in stages for port in stage.ports} == ports
    assert all((stage.trigger == "topic") == bool(stage.subscribes) for stage in stages)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(format=2), "has format 2; this release reads 1"),
        (lambda v: v["stages"]["fetch"].pop("timeout"), r"stages\.fetch: missing or unknown fields: timeout"),
        (lambda v: v["stages"]["fetch"].update(colour="red"), r"stages\.fetch: missing or unknown fields: colour"),
        (lambda v: v["stages"]["tick"].update(trigger="whim"), r"stages\.tick\.trigger: 'whim' is none of http"),
        (
            lambda v: v["stages"]["tick"].update(ordered=True),
            r"stages\.tick\.ordered: true or false, and true only where",
        ),
        (lambda v: v["stages"]["fetch"].update(ordered="yes"), r"stages\.fetch\.ordered: true or false"),
        (
            lambda v: v["stages"]["notify"].update(ordered=True, subscribes=["event", "source-changed"]),
            r"stages\.fetch\.ordered: source-changed is heard by notify too, which says otherwise",
        ),
        (lambda v: v["stages"]["tick"].update(publishes=["x"]), r"stages\.tick\.publishes: no message has topic x"),
    ],
)
def test_a_wrong_topology_names_stage_and_field(change, message):
    value = copy.deepcopy(VALUE)
    change(value)
    with pytest.raises(Terminal, match=message):
        Pipeline.from_value(value)


def test_an_unknown_stage_is_named():
    with pytest.raises(Terminal, match="no stage 'turbine'"):
        load_pipeline().stage("turbine")


def test_only_a_stage_that_says_so_gets_its_topics_in_order():
    value = copy.deepcopy(VALUE)
    value["stages"]["fetch"]["ordered"] = True
    pipeline = Pipeline.from_value(value)
    changed = SourceChanged(cluster="c", namespace="n", name="s", hint="h")
    assert pipeline.order_of(changed) == changed.key == "c/GitRepository/n/s"
    due = ReconcileDue(cluster="c", namespace="n", name="s")
    assert (pipeline.order_of(due), load_pipeline().order_of(changed)) == ("", "")
