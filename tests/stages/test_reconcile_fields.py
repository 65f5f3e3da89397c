"""Every field of a Kustomization does something: each case fails where the field is ignored."""

import time

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.core.records import status_key
from penstock.core.resources import Gvk, ObjectRef
from penstock.ports.cluster import ApplyOptions

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "apps"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
        },
    },
}
COMPONENT = """
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
configMapGenerator: [{name: extra, namespace: apps, literals: [a=b], options: {disableNameSuffixHash: true}}]
"""
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "apps"}, "spec": {}}


def files(spec=None, more=None, **objects):
    """A fleet with one Kustomization `apps` over Namespace apps and ConfigMap a, and other files."""
    made = {
        "clusters/prod/apps.yaml": kustomization("apps", **{"path": "apps", **(spec or {})}),
        "apps/namespace.yaml": namespace("apps"),
        "apps/a.yaml": config_map("a", key="1"),
        **(more or {}),
    }
    return made | {f"apps/{name}.yaml": yaml.safe_dump(manifest) for name, manifest in objects.items()}


def pushed(spec=None, more=None, *, seconds=20, before=None, **objects):
    plane = MemoryPlane()
    for manifest in before or ():
        plane.cluster.create(manifest)
    plane.push(files(spec, more, **objects))
    plane.settle(seconds=seconds)
    plane.cluster.calls.clear()
    return plane


def secret(name, **data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "flux-system"}, "data": data}


def live(plane, text):
    """A live object by ``Kind/namespace/name``; None where it isn't."""
    kind, space, name = text.split("/")
    groups = {"Deployment": "apps", "Widget": "example.com"}
    return plane.cluster.get(Gvk(group=groups.get(kind, ""), version="v1", kind=kind), space, name)


def at(value, *path):
    for step in path:
        value = value[step]
    return value


CONTAINER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    ("spec", "more", "where", "path", "expected"),
    [
        ({"targetNamespace": "other"}, {}, "ConfigMap/other/a", ("data", "key"), "1"),
        ({"targetNamespace": "other"}, {}, "Namespace//other", ("kind",), "Namespace"),
        ({"namePrefix": "pre-"}, {}, "ConfigMap/apps/pre-a", ("data", "key"), "1"),
        ({"nameSuffix": "-suf"}, {}, "ConfigMap/apps/a-suf", ("data", "key"), "1"),
        (
            {"commonMetadata": {"labels": {"team": "x"}, "annotations": {"by": "y"}}},
            {},
            "ConfigMap/apps/a",
            ("metadata", "annotations", "by"),
            "y",
        ),
        ({"commonMetadata": {"labels": {"team": "x"}}}, {}, "Namespace//apps", ("metadata", "labels", "team"), "x"),
        (
            {"images": [{"name": "registry.example/web", "newName": "mirror.example/web", "newTag": "2"}]},
            {},
            "Deployment/apps/web",
            (*CONTAINER, "image"),
            "mirror.example/web:2",
        ),
        (
            {"patches": [{"patch": "- {op: replace, path: /spec/replicas, value: 5}", "target": {"kind": "Deployment"}}]},
            {},
            "Deployment/apps/web",
            ("spec", "replicas"),
            5,
        ),
        (
            {"components": ["../extra"]},
            {"extra/kustomization.yaml": COMPONENT},
            "ConfigMap/apps/extra",
            ("data", "a"),
            "b",
        ),
        (
            {"components": ["../extra", "../none"], "ignoreMissingComponents": True},
            {"extra/kustomization.yaml": COMPONENT},
            "ConfigMap/apps/extra",
            ("data", "a"),
            "b",
        ),
        (
            {"buildMetadata": ["originAnnotations"]},
            {},
            "ConfigMap/apps/a",
            ("metadata", "annotations", "config.kubernetes.io/origin"),
            "path: a.yaml\n",
        ),
        (
            {"postBuild": {"substitute": {"tag": "7"}}},
            {"apps/v.yaml": config_map("v", x="v${tag}")},
            "ConfigMap/apps/v",
            ("data", "x"),
            "v7",
        ),
        (
            {"postBuild": {"substituteStrategy": "Always"}},
            {"apps/v.yaml": config_map("v", x="v${tag:=0}")},
            "ConfigMap/apps/v",
            ("data", "x"),
            "v0",
        ),
        (
            {"postBuild": {"substituteStrategy": "WithVariables"}},
            {"apps/v.yaml": config_map("v", x="v${tag:=0}")},
            "ConfigMap/apps/v",
            ("data", "x"),
            "v${tag:=0}",
        ),
        (
            {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "s"}, {"kind": "ConfigMap", "name": "none", "optional": True}]}},
            {"apps/v.yaml": config_map("v", x="v${tag}")},
            "ConfigMap/apps/v",
            ("data", "x"),
            "v8",
        ),
        ({"path": "./apps/../other"}, {"other/o.yaml": config_map("o", "default")}, "ConfigMap/default/o", ("kind",), "ConfigMap"),
    ],
)  # fmt: skip
def test_a_field_of_the_build_shows_in_the_cluster(spec, more, where, path, expected):
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    plane = pushed(spec, more, before=[space, secret("s", tag="OA==")], web=DEPLOYMENT)
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    found = live(plane, where)
    assert found is not None, f"no {where}"
    assert at(found, *path) == expected


def test_a_missing_component_fails_the_build_unless_it_may_be_missing():
    plane = pushed({"components": ["../none"]})
    assert plane.ready("apps").startswith("False BuildFailed"), plane.ready("apps")
    assert live(plane, "ConfigMap/apps/a") is None


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ({"prune": True}, False),
        ({"prune": False}, True),
    ],
)
def test_prune_decides_what_happens_to_what_left_the_render(spec, kept):
    plane = pushed(spec, {"apps/b.yaml": config_map("b", key="1")})
    plane.push({"apps/b.yaml": None})
    plane.settle()
    assert (live(plane, "ConfigMap/apps/b") is not None) is kept


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ({"deletionPolicy": "MirrorPrune", "prune": True}, False),
        ({"deletionPolicy": "MirrorPrune", "prune": False}, True),
        ({"deletionPolicy": "Delete", "prune": False}, False),
        ({"deletionPolicy": "WaitForTermination", "prune": False}, False),
        ({"deletionPolicy": "Orphan", "prune": True}, True),
    ],
)
def test_the_deletion_policy_decides_when_the_kustomization_goes(spec, kept):
    more = {"clusters/prod/more.yaml": kustomization("more", "more", **spec), "more/m.yaml": config_map("m")}
    plane = pushed(None, more)
    assert live(plane, "ConfigMap/apps/m") is not None
    plane.push({"clusters/prod/more.yaml": None})
    plane.settle(seconds=30)
    assert (live(plane, "ConfigMap/apps/m") is not None) is kept
    assert not plane.known("Kustomization", "more")


def removed_with_a_finalizer(policy, **spec):
    """A plane whose Kustomization `more` was removed, with an object that stays Terminating."""
    spec = {"deletionPolicy": policy, "interval": "10m", **spec}
    more = {"clusters/prod/more.yaml": kustomization("more", "more", **spec), "more/m.yaml": config_map("m")}
    plane = pushed(None, more)
    held = live(plane, "ConfigMap/apps/m")
    plane.cluster.replace({**held, "metadata": {**held["metadata"], "finalizers": ["example.com/slow"]}})
    plane.push({"clusters/prod/more.yaml": None})
    plane.settle(seconds=20)
    assert live(plane, "ConfigMap/apps/m")["metadata"]["deletionTimestamp"]
    return plane


def test_wait_for_termination_waits_until_the_objects_are_gone():
    plane = removed_with_a_finalizer("WaitForTermination")
    assert plane.known("Kustomization", "more")
    assert plane.ready("more") == "Unknown Progressing: removal: waiting for ConfigMap/apps/m to be gone"
    held = live(plane, "ConfigMap/apps/m")
    plane.cluster.replace({**held, "metadata": {**held["metadata"], "finalizers": []}})
    plane.settle(seconds=60)
    assert not plane.known("Kustomization", "more")
    assert [e.message for e in plane.events if e.severity == "error"] == []


def test_wait_for_termination_ends_at_the_timeout():
    plane = removed_with_a_finalizer("WaitForTermination", timeout="1m")
    plane.settle(seconds=25)
    assert plane.known("Kustomization", "more")
    plane.settle(seconds=60)
    assert not plane.known("Kustomization", "more")
    errors = [e.message for e in plane.events if e.severity == "error"]
    assert errors == ["failed to wait for resources termination: ConfigMap/apps/m"]


def test_the_other_policies_do_not_wait():
    assert not removed_with_a_finalizer("Delete").known("Kustomization", "more")


# when


def due_in(plane, name):
    """Seconds until the due index looks at a Kustomization again."""
    found = plane.state.get(status_key(CLUSTER, "Kustomization", "flux-system", name))
    return found.due - plane.clock.now().timestamp()


@pytest.mark.parametrize(
    ("spec", "broken", "least", "most"),
    [
        ({"interval": "20m"}, False, 18 * 60, 21 * 60),
        ({"interval": "5m"}, False, 4 * 60, 6 * 60),
        ({"interval": "20m", "retryInterval": "3m"}, True, 2.5 * 60, 3 * 60),
        ({"interval": "7m", "retryInterval": None}, True, 6 * 60, 7 * 60),
    ],
)
def test_intervals_decide_when_it_is_looked_at_again(spec, broken, least, most):
    plane = pushed(spec, {"apps/kustomization.yaml": "resources: [none.yaml]"} if broken else None)
    assert plane.ready("apps").startswith("False" if broken else "True")
    assert least <= due_in(plane, "apps") <= most


@pytest.mark.parametrize(
    ("spec", "still", "over"),
    [
        ({"timeout": "1s"}, 20, 45),
        ({"timeout": "1m"}, 45, 90),
        ({"interval": "2m"}, 75, 120),
    ],
    ids=["never under 30 s", "as written", "interval - 30 s"],
)
def test_the_timeout_bounds_the_health_check(spec, still, over):
    plane = pushed({"wait": True, **spec}, seconds=still, web=DEPLOYMENT)
    assert plane.ready("apps").startswith("Unknown Progressing"), plane.ready("apps")
    plane.settle(seconds=over - still)
    assert plane.ready("apps").startswith("False HealthCheckFailed: health check failed after"), plane.ready("apps")


@pytest.mark.parametrize(
    ("spec", "ready"),
    [
        ({}, "True"),
        ({"wait": True}, "Unknown"),
        ({"healthChecks": [{"kind": "Deployment", "name": "web", "namespace": "apps"}]}, "Unknown"),
        ({"healthChecks": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": "apps"}]}, "True"),
        ({"wait": True, "healthChecks": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": "apps"}]}, "Unknown"),
    ],
    ids=["neither", "wait", "a check", "another check", "wait wins"],
)  # fmt: skip
def test_wait_and_health_checks_decide_what_is_waited_for(spec, ready):
    plane = pushed(spec, web=DEPLOYMENT)
    assert plane.ready("apps").split()[0] == ready


def test_force_recreates_what_cannot_be_changed():
    changed = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "selector": {"matchLabels": {"app": "web", "v": "2"}}}}
    changed["spec"]["template"] = {**changed["spec"]["template"], "metadata": {"labels": {"app": "web", "v": "2"}}}
    plane = pushed(web=DEPLOYMENT)
    uid = live(plane, "Deployment/apps/web")["metadata"]["uid"]
    plane.push({"apps/web.yaml": yaml.safe_dump(changed)})
    plane.settle(seconds=10)
    assert plane.ready("apps").startswith("False ReconciliationFailed")
    assert live(plane, "Deployment/apps/web")["metadata"]["uid"] == uid
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "apps", force=True)})
    plane.settle(seconds=30)
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert live(plane, "Deployment/apps/web")["metadata"]["uid"] != uid


# healthCheckExprs

READY = "status.conditions.filter(e, e.type == 'Synced').all(e, e.status == '{}')"
EXPRESSIONS = {
    "apiVersion": "example.com/v1alpha1",
    "kind": "Widget",
    "inProgress": "!has(status.conditions)",
    "failed": READY.format("False"),
    "current": READY.format("True"),
}


def widget(plane, status):
    plane.cluster.set_status(ObjectRef(group="example.com", kind="Widget", namespace="apps", name="w"), status)


def waiting(**expressions):
    spec = {"wait": True, "timeout": "1m", "healthCheckExprs": [{**EXPRESSIONS, **expressions}]}
    return pushed(spec, seconds=10, crd=WIDGETS, w=WIDGET)


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({"conditions": [{"type": "Synced", "status": "True"}]}, "True ReconciliationSucceeded"),
        ({"conditions": [{"type": "Synced", "status": "True"}, {"type": "Stalled", "status": "True"}]}, "True"),
        (
            {"conditions": [{"type": "Synced", "status": "False"}]},
            "False HealthCheckFailed: health check failed after",
        ),
        ({"phase": "x"}, "Unknown Progressing"),
    ],
    ids=["current", "kstatus is not asked", "failed at once", "in progress"],
)
def test_expressions_tell_the_health(status, ready):
    plane = waiting()
    assert plane.ready("apps").startswith("Unknown Progressing"), plane.ready("apps")
    widget(plane, status)
    plane.settle(seconds=20)
    assert plane.ready("apps").startswith(ready), plane.ready("apps")


def test_what_cannot_be_evaluated_is_unknown_until_the_timeout():
    plane = waiting()
    plane.settle(seconds=90)
    told = plane.ready("apps")
    assert told.startswith("False HealthCheckFailed: health check failed after"), told
    assert "timeout waiting for: [Widget/apps/w status: 'Unknown': failed to evaluate the CEL expression" in told


def test_a_wrong_expression_stalls_it_before_anything_is_applied():
    plane = waiting(current="status.")
    condition = plane.status("apps").condition("Stalled")
    assert (condition.status, condition.reason) == ("True", "InvalidCELExpression")
    assert "healthchecks[0]: failed to parse the expression Current: failed to parse" in condition.message
    assert live(plane, "ConfigMap/apps/a") is None
    assert [e.reason for e in plane.events if e.severity == "error"] == ["InvalidCELExpression"]
    plane.reconcile("apps", why="plan", request="1" * 32)
    assert "failed to parse the expression Current" in str(plane.state.get("request/" + "1" * 32).value)


def test_expressions_for_kustomizations_are_asked_of_the_planes_own_status():
    expression = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "current": "spec.path == 'x'",
    }
    parent = {"wait": True, "timeout": "1m", "healthCheckExprs": [expression]}
    child = {"apps/child.yaml": kustomization("child", "child"), "child/c.yaml": config_map("c")}
    assert pushed(parent, child).ready("apps").startswith("Unknown")
    expression["current"] = "status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')"
    assert pushed(parent, child).ready("apps").startswith("True")


# readyExpr


NOT_READY = "False DependencyNotReady: Dependencies do not meet ready condition: "


def dependent(expression, infra=None, **spec):
    more = {
        "clusters/prod/infra.yaml": kustomization("infra", "infra", **spec),
        "infra/i.yaml": infra or config_map("i", "missing"),
    }
    return pushed({"dependsOn": [{"name": "infra", "readyExpr": expression}]}, more)


@pytest.mark.parametrize(
    ("expression", "ready"),
    [
        ("dep.metadata.name == 'infra' && self.metadata.name == 'apps'", "True"),
        ("dep.status.conditions.exists(c, c.type == 'Ready' && c.status == 'False')", "True"),
        ("self.spec.path == 'apps' && self.kind == dep.kind", "True"),
        (
            "dep.metadata.generation == 7",
            f"{NOT_READY}dependency 'flux-system/infra' is not ready according to readyExpr eval",
        ),
        (
            "dep.metadata.labels.version == '1'",
            f"{NOT_READY}dependency 'flux-system/infra': failed to evaluate the CEL expression",
        ),
    ],
)  # fmt: skip
def test_a_ready_expression_stands_in_the_place_of_the_built_in_check(expression, ready):
    plane = dependent(expression)
    assert plane.ready("infra").startswith("False")
    assert plane.ready("apps").startswith(ready), plane.ready("apps")


FLUX_READY = (
    "dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True') && "
    "dep.metadata.generation == dep.status.observedGeneration && "
    "dep.status.lastAppliedRevision == self.status.lastAttemptedRevision"
)


def test_a_dependency_that_becomes_ready_wakes_its_dependent():
    plane = dependent(FLUX_READY)
    assert plane.ready("apps").startswith("False DependencyNotReady")
    plane.push({"infra/ns.yaml": namespace("missing")})
    plane.settle(seconds=20)
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    revision = plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=20)
    assert plane.status("apps").last_applied_revision == revision, "the dependency counts as ready at this revision"


@pytest.mark.parametrize("expression", ["dep.status.ready", "dep.", "other.metadata.name == 'x'"])
def test_a_ready_expression_that_cannot_be_compiled_stalls_it(expression):
    plane = dependent(expression, config_map("i", "apps"))
    condition = plane.status("apps").condition("Stalled")
    assert condition.reason == "InvalidCELExpression"
    assert "configuration error: failed to evaluate dependency infra: " in condition.message
    assert live(plane, "ConfigMap/apps/a") is None


# ignore

IGNORE = {"ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}]}


def scaled(plane, replicas):
    """Somebody else changes the live object with an update."""
    found = live(plane, "Deployment/apps/web")
    plane.cluster.replace({**found, "spec": {**found["spec"], "replicas": replicas}})


def image(tag):
    containers = [{"name": "web", "image": f"registry.example/web:{tag}"}]
    template = {**DEPLOYMENT["spec"]["template"], "spec": {"containers": containers}}
    return yaml.safe_dump({**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "template": template}})


@pytest.mark.parametrize(("spec", "replicas"), [({}, 2), (IGNORE, 5)])
def test_an_ignored_field_is_no_drift(spec, replicas):
    plane = pushed(spec, web=DEPLOYMENT)
    assert live(plane, "Deployment/apps/web")["spec"]["replicas"] == 2, "an object is created with all its fields"
    scaled(plane, 5)
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert live(plane, "Deployment/apps/web")["spec"]["replicas"] == replicas
    wrote = [call for call in plane.writes() if call[1] == "Deployment/apps/web"]
    assert wrote == ([] if spec else [("patch", "Deployment/apps/web")])


def test_an_ignored_field_is_kept_when_another_changes():
    plane = pushed(IGNORE, web=DEPLOYMENT)
    scaled(plane, 5)
    for tag in ("2", "3"):
        plane.push({"apps/web.yaml": image(tag)})
        plane.settle(seconds=20)
        found = live(plane, "Deployment/apps/web")
        assert at(found, *CONTAINER)["image"] == f"registry.example/web:{tag}"
        assert found["spec"]["replicas"] == 5
    scaled(plane, 6)
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert live(plane, "Deployment/apps/web")["spec"]["replicas"] == 6
    assert not [call for call in plane.writes() if call[1] == "Deployment/apps/web"]


def test_a_field_that_another_applies_is_left_to_it():
    plane = pushed(IGNORE, web=DEPLOYMENT)
    claim = {key: DEPLOYMENT[key] for key in ("apiVersion", "kind", "metadata")} | {"spec": {"replicas": 9}}
    plane.cluster.apply(claim, ApplyOptions(field_manager="scaler"))
    plane.push({"apps/web.yaml": image("2")})
    plane.settle(seconds=20)
    found = live(plane, "Deployment/apps/web")
    assert found["spec"]["replicas"] == 9
    ours = [e for e in found["metadata"]["managedFields"] if e["manager"] != "scaler" and e["operation"] == "Apply"]
    assert all("f:replicas" not in e["fieldsV1"]["f:spec"] for e in ours), "the ownership was given up"


def test_a_field_that_is_changed_during_the_apply_is_kept_too():
    plane = pushed(IGNORE, web=DEPLOYMENT)
    original, done = plane.cluster.apply, []

    def scaled_before(manifest, options):
        if manifest["kind"] == "Deployment" and not options.dry_run and not done:
            done.append(manifest)
            scaled(plane, 7)
        return original(manifest, options)

    plane.cluster.apply = scaled_before
    plane.push({"apps/web.yaml": image("2")})
    plane.settle(seconds=20)
    assert done
    assert live(plane, "Deployment/apps/web")["spec"]["replicas"] == 7


def test_a_rule_that_cannot_work_is_said():
    plane = pushed({"ignore": [{"paths": ["spec/replicas"]}]})
    assert "spec.ignore[0].paths[0]: is 'spec/replicas', must be a JSON pointer" in plane.ready("apps")
    assert live(plane, "ConfigMap/apps/a") is None


# on a real API server


def relabelled(value):
    """A Deployment or Job whose selected labels have other values."""
    template = {**DEPLOYMENT["spec"]["template"], "metadata": {"labels": {"app": value}}}
    return {
        **DEPLOYMENT,
        "spec": {**DEPLOYMENT["spec"], "selector": {"matchLabels": {"app": value}}, "template": template},
    }


def job(command):
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "c", "image": "registry.example/c:1", "command": [command]}],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": pod}}}


def fixed(value):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "f"}, "immutable": True, "data": {"k": value}}


REAL = [pytest.mark.real, pytest.mark.xdist_group("penstock-system")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(relabelled("a"), relabelled("b"), marks=REAL, id="Deployment selector"),
        pytest.param(job("a"), job("b"), marks=REAL, id="Job template"),
        pytest.param(fixed("a"), fixed("b"), marks=REAL, id="immutable ConfigMap"),
    ],
)
def test_force_recreates_what_the_real_api_server_calls_immutable(real, before, after):
    assert real.apply(before).startswith("True")
    uid = real.found(before)["metadata"]["uid"]
    refused = real.apply(after)
    assert refused.startswith("False ReconciliationFailed"), refused
    assert real.found(before)["metadata"]["uid"] == uid
    ready = real.apply(after, force=True)
    assert ready.startswith("True"), ready
    assert real.found(before)["metadata"]["uid"] != uid


@pytest.mark.real
@pytest.mark.xdist_group("penstock-system")
def test_force_never_deletes_for_a_mistake(real):
    assert real.apply(relabelled("a"), force=True).startswith("True")
    uid = real.found(DEPLOYMENT)["metadata"]["uid"]
    mistaken = relabelled("b")
    mistaken["spec"]["replicas"] = -1
    ready = real.apply(mistaken, force=True)
    assert ready.startswith("False ReconciliationFailed"), ready
    assert real.found(DEPLOYMENT)["metadata"]["uid"] == uid


@pytest.mark.real
@pytest.mark.xdist_group("penstock-system")
def test_a_scaled_deployment_stays_scaled_on_the_real_api_server(real, control_plane):
    assert real.apply(DEPLOYMENT, **IGNORE).startswith("True")
    scale = f"/apis/apps/v1/namespaces/{real.space}/deployments/web/scale"
    assert (
        control_plane.call("PATCH", scale, {"spec": {"replicas": 5}}, Content_Type="application/merge-patch+json")[0]
        == 200
    )
    version = real.found(DEPLOYMENT)["metadata"]["generation"]
    real.reconcile(real.space, why="interval")
    assert real.found(DEPLOYMENT)["metadata"]["generation"] == version, "nothing was written"
    assert real.apply(yaml.safe_load(image("2")), **IGNORE).startswith("True")
    found = real.found(DEPLOYMENT)
    assert (found["spec"]["replicas"], at(found, *CONTAINER)["image"]) == (5, "registry.example/web:2")
    assert real.apply(yaml.safe_load(image("2"))).startswith("True")
    assert real.found(DEPLOYMENT)["spec"]["replicas"] == 2, "without the rule it is Git's again"


@pytest.mark.real
@pytest.mark.xdist_group("penstock-system")
def test_expressions_are_asked_of_real_objects(real):
    current = "status.?readyReplicas.orValue(0) == spec.replicas && status.observedGeneration == metadata.generation"
    expressions = [{"apiVersion": "apps/v1", "kind": "Deployment", "current": current}]
    ready = real.apply(DEPLOYMENT, wait=True, timeout="1h", healthCheckExprs=expressions)
    deadline = time.monotonic() + 30
    while not ready.startswith("True"):
        assert ready.startswith("Unknown Progressing"), ready
        assert time.monotonic() < deadline, ready
        time.sleep(0.2)  # real controllers, a simulated clock
        real.settle(seconds=20)
        ready = real.ready(real.space)
    assert real.found(DEPLOYMENT)["status"]["readyReplicas"] == 2
