"""One push is one trace on a whole plane in memory: parents, children, dependents, and looks at health that go on later."""

from dataclasses import replace

from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.core.messages import ReconcileDue, trace_of
from penstock.ports.bus import Dispatch
from penstock.wiring.sending import rfc3339

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: apps}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
"""


def settled():
    """A parent, a child, one that depends on the child and waits for its objects' health."""
    plane = MemoryPlane()
    plane.push(
        {
            "clusters/prod/base.yaml": kustomization("base", "./base"),
            "clusters/prod/web.yaml": kustomization("web", "./web", dependsOn=[{"name": "base"}], wait=True),
            "base/namespace.yaml": namespace("apps"),
            "web/config.yaml": config_map("web", colour="blue"),
        }
    )
    plane.settle()
    assert plane.ready("web").startswith("True")
    return plane


def of_last_push(plane):
    """The steps of the newest trace that a message of a push began."""
    first = [s for s in plane.telemetry.steps if s.name == "process" and s.fields["topic"] == "source-changed"][-1]
    return [step for step in plane.telemetry.steps if trace_of(step.traceparent) == trace_of(first.traceparent)]


def names(steps, step="process"):
    return {each.fields.get("kustomization") for each in steps if each.name == step} - {None}


def is_tree(steps):
    known = {step.traceparent for step in steps}
    return len([step for step in steps if step.parent not in known]) == 1


def test_a_change_that_goes_through_a_child_to_its_dependent_is_one_trace():
    plane = settled()
    before = len(plane.telemetry.steps)
    base = kustomization("base", "./base", commonMetadata={"labels": {"team": "a"}})
    web = kustomization("web", "./web", dependsOn=[{"name": "base"}], wait=True, timeout="3m")
    plane.push(
        {
            "clusters/prod/base.yaml": base,
            "clusters/prod/web.yaml": web,
            "web/config.yaml": config_map("web", colour="red"),
        }
    )
    plane.settle()
    new = plane.telemetry.steps[before:]
    steps = of_last_push(plane)
    assert names(steps) == {"flux-system/flux-system", "flux-system/base", "flux-system/web"}
    assert names(steps, "apply") == {"flux-system/base", "flux-system/web"}
    assert is_tree(steps)
    assert {trace_of(step.traceparent) for step in new} == {trace_of(steps[0].traceparent)}
    assert all(step.ended for step in steps)


def test_a_look_at_health_that_goes_on_later_is_in_the_same_trace():
    plane = settled()
    plane.push({"web/deployment.yaml": DEPLOYMENT})
    plane.settle(seconds=30)
    steps = of_last_push(plane)
    runs = [s for s in steps if s.name == "process" and s.fields.get("kustomization") == "flux-system/web"]
    assert len(runs) >= 2, "it went on in a message of its own"
    assert is_tree(steps)


def test_what_the_log_says_of_a_run_names_it_and_its_trace():
    plane = settled()
    revision = plane.push({"web/config.yaml": config_map("web", colour="red")})
    plane.settle()
    trace = trace_of(of_last_push(plane)[0].traceparent)
    (line,) = [f for f in plane.telemetry.named("object configured") if f["trace"] == trace]
    wanted = {"stage": "reconcile", "cluster": "prod", "kustomization": "flux-system/web", "revision": revision}
    assert wanted.items() <= line.items()
    told = [f for f in plane.telemetry.named("kustomization reconciled") if f["trace"] == trace]
    assert [(f["kustomization"], f["ready"], f["revision"]) for f in told] == [("flux-system/web", "True", revision)]
    assert "since_push" not in told[0], "no webhook brought it"


def test_time_from_push_to_ready_is_told_once_for_each_that_the_push_made_ready():
    plane = settled()
    plane.push({"web/config.yaml": config_map("web", colour="red")})
    delivery = plane.bus.receive("fetch", wait=0)
    plane.bus.ack(delivery)
    pushed = replace(delivery.envelope, origin="webhook", began=rfc3339(plane.clock.now()))
    plane.bus.publish([Dispatch(envelope=pushed)])
    plane.clock.advance(7)
    plane.settle()
    told = [f["since_push"] for f in plane.telemetry.named("kustomization reconciled") if "since_push" in f]
    assert len(told) == 1
    assert 7 <= told[0] < 60
    again = ReconcileDue(cluster="prod", namespace="flux-system", name="web", why="dependency")
    plane.bus.publish([Dispatch(envelope=replace(pushed, message=again, id="again"))])
    plane.settle()
    assert len([f for f in plane.telemetry.named("kustomization reconciled") if "since_push" in f]) == 1


def test_a_sweep_that_finds_all_as_it_was_says_nothing_of_each():
    plane = settled()
    before = len(plane.telemetry.named("kustomization reconciled"))
    plane.clock.advance(3600)
    plane.tick()
    plane.settle()
    assert len(plane.telemetry.named("kustomization reconciled")) == before
    assert [s for s in plane.telemetry.steps if s.name == "tick"]
