"""One Kustomization after the other, on memory ports: what is applied, pruned, waited for and said."""

from types import SimpleNamespace

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.core.errors import Transient
from penstock.core.messages import ReconcileDue
from penstock.core.records import ObjectRecord
from penstock.stages.reconcile import waits

APPS = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
}


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.push(APPS)
    made.settle()
    return made


def test_the_first_push_creates_everything(plane):
    assert plane.ready("apps").startswith("True ReconciliationSucceeded: Applied revision: main@sha1:")
    assert plane.config_map("a") == {"key": "1"}
    inventory = plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps")
    assert inventory["metadata"]["labels"]["penstock.dev/ready"] == "True"
    assert "apps_a__ConfigMap@v1" in inventory["data"]["inventory"]


def test_a_second_look_changes_nothing(plane):
    plane.cluster.calls.clear()
    plane.reconcile("apps")
    assert plane.writes() == []


CHANGES = [
    {"apps/a.yaml": config_map("a", key="2")},
    {"apps/b.yaml": None, "apps/c.yaml": config_map("c", key="1")},
    {"clusters/prod/more.yaml": kustomization("more", "more"), "more/d.yaml": config_map("d", key="1")},
    {"clusters/prod/more.yaml": None},
]


def written(deliveries):
    """What a story writes to the users' objects, each message delivered so many times."""
    plane = MemoryPlane()
    plane.deliveries = deliveries
    for files in [APPS, *CHANGES]:
        plane.push(files)
        plane.settle()
    writes = sorted(call for call in plane.writes() if "penstock-system" not in call[1])
    return writes, {name: plane.config_map(name) for name in "abcd"}


def test_a_second_delivery_of_every_message_changes_nothing():
    assert written(2) == written(1)
    assert written(3)[1] == {"a": {"key": "2"}, "b": None, "c": {"key": "1"}, "d": None}


def test_a_push_writes_only_what_changed(plane):
    plane.cluster.calls.clear()
    revision = plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    written = [call for call in plane.writes() if "penstock-system" not in call[1]]
    assert {what for _, what in written} == {"ConfigMap/apps/a"}
    assert plane.config_map("a") == {"key": "2"}
    assert plane.status("apps").last_applied_revision == revision


def test_a_push_elsewhere_reconciles_nothing(plane):
    plane.cluster.calls.clear()
    plane.push({"docs/readme.yaml": "x: y\n"})
    plane.settle()
    assert plane.cluster.calls == []


def test_what_leaves_the_render_is_pruned_and_said(plane):
    plane.push({"apps/b.yaml": None})
    plane.settle()
    assert plane.config_map("b") is None
    assert plane.config_map("a") == {"key": "1"}
    assert any("ConfigMap/apps/b deleted" in event.message for event in plane.events)
    assert not any("_b_" in text for text in plane.status("apps").inventory)


def test_a_broken_render_changes_nothing_and_is_said_once(plane):
    plane.cluster.calls.clear()
    plane.push({"apps/kustomization.yaml": "resources: [a.yaml]\nimagez: []\n"})
    plane.settle(seconds=30)
    assert plane.ready("apps").startswith("False BuildFailed: kustomize build failed: apps/kustomization.yaml")
    assert "imagez" in plane.ready("apps")
    assert [call for call in plane.writes() if "penstock-system" not in call[1]] == []
    plane.reconcile("apps")
    errors = [event for event in plane.events if event.severity == "error" and event.name == "apps"]
    assert len(errors) == 1
    plane.push({"apps/kustomization.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True")
    assert plane.config_map("b") == {"key": "1"}


def test_an_emptied_render_waits_for_an_approval(plane):
    plane.push({"apps/a.yaml": None, "apps/b.yaml": None, "apps/namespace.yaml": None, "apps/x.yaml": "# nothing\n"})
    plane.settle(seconds=30)
    assert plane.ready("apps").startswith("False PruneStopped: prune stopped: the render holds no object at all")
    assert plane.config_map("a") == {"key": "1"}


def test_an_approved_prune_happens_once(plane):
    plane.push({"apps/namespace.yaml": None, "apps/a.yaml": None})
    plane.settle(seconds=30)
    message = plane.ready("apps")
    assert "Namespace/apps would be deleted with all contents" in message
    assert plane.config_map("a") is not None
    digest = message.rpartition("--prune ")[2]
    annotated = kustomization("apps", "apps", annotations={"penstock.dev/allow-prune": digest})
    plane.push({"clusters/prod/apps.yaml": annotated, "apps/b.yaml": None, "other/b.yaml": "x: y"})
    plane.settle(seconds=30)
    assert plane.live("v1", "Namespace", "", "apps") is not None, "another set of deletions needs another approval"


def test_a_manual_edit_is_reverted(plane):
    live = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.replace({**live, "data": {"key": "edited"}})
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1"}


def test_dependents_wait_and_are_woken():
    plane = MemoryPlane()
    plane.push(
        {
            **APPS,
            "clusters/prod/apps.yaml": kustomization("apps", "apps", dependsOn=[{"name": "infra"}]),
            "clusters/prod/infra.yaml": kustomization("infra", "infra"),
            "infra/x.yaml": config_map("x", "missing", a="b"),
        }
    )
    plane.settle(seconds=20)
    assert plane.ready("apps").startswith("False DependencyNotReady: Dependencies do not meet ready condition")
    assert plane.config_map("a") is None
    plane.push({"infra/ns.yaml": namespace("missing")})
    plane.settle(seconds=20)
    assert plane.ready("infra").startswith("True")
    assert plane.ready("apps").startswith("True")
    assert plane.config_map("a") == {"key": "1"}


def test_a_dependency_cycle_is_named_and_the_others_go_on():
    plane = MemoryPlane()
    files = {
        **APPS,
        "clusters/prod/x.yaml": kustomization("x", "x", dependsOn=[{"name": "y"}]),
        "clusters/prod/y.yaml": kustomization("y", "x", dependsOn=[{"name": "x"}]),
        "x/a.yaml": config_map("x"),
    }
    plane.push(files)
    plane.settle(seconds=10)
    assert "circular dependency detected: flux-system/x -> flux-system/y -> flux-system/x" in plane.ready("x")
    assert plane.ready("apps").startswith("True")


def test_a_cycle_may_be_of_any_length(monkeypatch):
    """Longer than Python calls itself."""
    length = 2000
    documents = {
        f"flux-system/k{n}": yaml.safe_load(
            kustomization(f"k{n}", "apps", dependsOn=[{"name": f"k{(n + 1) % length}"}])
        )
        for n in range(length)
    }
    monkeypatch.setattr(waits, "read_object", lambda *key: ObjectRecord(document=documents[key[-1]]))
    found = waits._cycle(SimpleNamespace(deps=None, cluster="prod", ref="flux-system/k0"))
    assert (found[0], found[-1], len(found)) == ("flux-system/k0", "flux-system/k0", length + 1)


def test_a_moved_object_is_handed_over_not_deleted(plane):
    plane.push({"clusters/prod/more.yaml": kustomization("more", "more"), "more/c.yaml": config_map("c", k="1")})
    plane.settle()
    uid = plane.live("v1", "ConfigMap", "apps", "b")["metadata"]["uid"]
    plane.push({"apps/b.yaml": None, "more/b.yaml": config_map("b", key="1")})
    plane.settle()
    assert plane.live("v1", "ConfigMap", "apps", "b")["metadata"]["uid"] == uid
    assert plane.ready("more").startswith("True"), plane.ready("more")
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert ("delete", "ConfigMap/apps/b") not in plane.cluster.calls


def test_a_removed_kustomization_takes_its_objects_with_it(plane):
    plane.push({"clusters/prod/more.yaml": kustomization("more", "more"), "more/c.yaml": config_map("c", k="1")})
    plane.settle()
    assert plane.config_map("c") == {"k": "1"}
    plane.push({"clusters/prod/more.yaml": None})
    plane.settle()
    assert plane.config_map("c") is None
    assert not plane.known("Kustomization", "more")
    assert plane.config_map("a") == {"key": "1"}
    assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.more") is None


def test_an_orphaned_one_leaves_them():
    plane = MemoryPlane()
    plane.push(
        {
            **APPS,
            "clusters/prod/more.yaml": kustomization("more", "more", deletionPolicy="Orphan"),
            "more/c.yaml": config_map("c", k="1"),
        }
    )
    plane.settle()
    plane.push({"clusters/prod/more.yaml": None})
    plane.settle()
    assert plane.config_map("c") == {"k": "1"}
    assert not plane.known("Kustomization", "more")


def test_a_suspended_kustomization_is_left_alone(plane):
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "apps", suspend=True)})
    plane.settle()
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    assert plane.config_map("a") == {"key": "1"}
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "apps")})
    plane.settle()
    assert plane.config_map("a") == {"key": "2"}


def test_the_root_does_not_contain_itself():
    plane = MemoryPlane()
    plane.push({**APPS, "clusters/prod/flux.yaml": kustomization("flux-system", "clusters/prod", interval="3m")})
    plane.settle()
    assert plane.ready("flux-system").startswith("True")
    assert plane.ready("apps").startswith("True")


def test_an_unsupported_kind_blocks_only_where_it_is_waited_for():
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "web", "namespace": "apps"},
        "spec": {},
    }
    plane = MemoryPlane()
    plane.push(
        {
            **APPS,
            "apps/release.yaml": yaml.safe_dump(release),
            "clusters/prod/waits.yaml": kustomization("waits", "waits", wait=True),
            "waits/release.yaml": yaml.safe_dump(release),
        }
    )
    plane.settle(seconds=10)
    assert plane.ready("apps").startswith("True")
    assert plane.ready("waits").startswith("False UnsupportedKind: HelmRelease/apps/web")
    assert plane.status("apps").summary["unsupported"][0][0] == "HelmRelease/apps/web"


def test_an_unsupported_kind_does_not_keep_the_children_from_being_woken():
    unsupported = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "chart", "namespace": "flux-system"},
        "spec": {"interval": "1h", "url": "https://example.com/charts"},
    }
    plane = MemoryPlane()
    plane.push(
        {
            **APPS,
            "clusters/prod/apps.yaml": kustomization("parent", "parent", wait=True),
            "parent/child.yaml": kustomization("child", "apps"),
            "parent/chart.yaml": yaml.safe_dump(unsupported),
        }
    )
    plane.settle()
    assert plane.ready("parent").startswith("False UnsupportedKind: HelmRepository/flux-system/chart")
    assert plane.ready("child").startswith("True")
    assert plane.config_map("a") == {"key": "1"}


def test_health_is_waited_for_without_sleeping():
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "apps"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }
    plane = MemoryPlane()
    waits = kustomization("apps", "apps", wait=True, timeout="2m")
    plane.push({**APPS, "clusters/prod/apps.yaml": waits, "apps/web.yaml": yaml.safe_dump(deployment)})
    plane.settle(seconds=20)
    assert plane.ready("apps").startswith("Unknown Progressing: Running health checks")
    assert plane.status("apps").pending
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:1"'}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-x", "namespace": "apps", "labels": {"app": "web"}},
        "status": {"containerStatuses": [{"name": "web", "state": {"waiting": waiting}}]},
    }
    plane.cluster.create(pod)
    plane.settle(seconds=300)
    assert plane.ready("apps").startswith("False HealthCheckFailed: health check failed after")
    assert 'Pod/apps/web-x: ImagePullBackOff: Back-off pulling image "web:1"' in plane.ready("apps")
    assert "Deployment/apps/web status: 'InProgress'" in plane.ready("apps")


def test_another_plane_writes_nothing(plane):
    name = "kustomization.flux-system.apps"
    held = plane.live("v1", "ConfigMap", "penstock-system", name)
    plane.cluster.replace({**held, "data": {**held["data"], "owner": "e" * 32 + "/prod/flux-system/apps"}})
    plane.cluster.calls.clear()
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=10)
    assert plane.ready("apps").startswith("False OwnedByOther")
    assert [call for call in plane.writes() if call[1].startswith("ConfigMap/apps")] == []


def test_an_edited_inventory_prunes_nothing_in_that_run(plane):
    name = "kustomization.flux-system.apps"
    held = plane.live("v1", "ConfigMap", "penstock-system", name)
    plane.cluster.replace({**held, "data": {**held["data"], "inventory": "[]"}})
    plane.cluster.calls.clear()
    plane.push({"apps/b.yaml": None})
    plane.settle()
    assert plane.config_map("b") is None, "the next run, with both copies equal, prunes"
    asked = [call for call in plane.cluster.calls if call[0] in ("list", "delete") and call[1].startswith("ConfigMap/")]
    assert asked.index(("delete", "ConfigMap/apps/b")) >= 2, "not in the first run"


def test_a_plan_writes_nothing_and_is_answered(plane):
    live = plane.live("v1", "ConfigMap", "apps", "a")
    before = plane.cluster.replace({**live, "data": {"key": "edited"}})["metadata"]["resourceVersion"]
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="plan", request="1" * 32)
    found = plane.state.get("request/" + "1" * 32).value
    (change,) = found["changes"]
    assert (change["object"], change["action"]) == ("ConfigMap/apps/a", "configured")
    assert change["fields"] == [{"path": "data.key", "old": "edited", "new": "1"}]
    assert "-  key: edited\n+  key: '1'" in change["diff"].replace('"', "'")
    assert {verb for verb, _ in plane.cluster.calls} == {"get", "list", "patch"}
    after = plane.live("v1", "ConfigMap", "apps", "a")
    assert after["metadata"]["resourceVersion"] == before, "the patch was a dry-run"


def test_an_unknown_kustomization_is_no_error(plane):
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="nobody"))
    plane.settle()
    assert not plane.known("Kustomization", "nobody")


def test_two_kustomizations_with_one_object_do_not_fight(plane):
    plane.push({"clusters/prod/twin.yaml": kustomization("twin", "twin"), "twin/a.yaml": config_map("a", key="twin")})
    plane.settle(seconds=30)
    assert plane.config_map("a") == {"key": "1"}
    assert "ConfigMap/apps/a belongs to Kustomization flux-system/apps" in plane.ready("twin")
    assert plane.ready("apps").startswith("True")


def test_a_refused_apply_is_said_once_and_tried_again(plane):
    plane.push({"apps/bad.yaml": "apiVersion: example.com/v1\nkind: Missing\nmetadata: {name: x, namespace: apps}\n"})
    plane.settle(seconds=30)
    assert plane.ready("apps").startswith("False ReconciliationFailed: Missing/apps/x apply failed")
    assert plane.status("apps").last_attempted_revision.endswith(plane.git.resolve(*plane.head()).commit)
    plane.reconcile("apps", why="interval")
    errors = [event for event in plane.events if event.severity == "error" and event.name == "apps"]
    assert len(errors) == 1
    assert len(plane.status("apps").history) >= 2
    plane.push({"apps/bad.yaml": None})
    plane.settle(seconds=30)
    assert plane.ready("apps").startswith("True")


def test_an_api_server_that_is_down_is_tried_again_soon(plane):
    plane.cluster.fail(lambda: Transient("503"), verb="list", times=3)
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=60)
    assert plane.config_map("a") == {"key": "2"}
    assert plane.ready("apps").startswith("True")


def test_leases_go_by_the_api_servers_time(plane, monkeypatch):
    """A function whose clock is an hour ahead takes nobody's Lease."""
    from datetime import timedelta

    from penstock.adapters.cluster.memory import MemoryCluster

    server = plane.clock.now()
    monkeypatch.setattr(MemoryCluster, "server_time", property(lambda _cluster: server))
    name = "kustomization.flux-system.apps"
    lease = plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", name)
    stamp = server.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    held = {**lease["spec"], "holderIdentity": "another", "renewTime": stamp, "acquireTime": stamp}
    plane.cluster.replace({**lease, "spec": held})
    plane.clock.advance(3600)
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=20)
    assert plane.config_map("a") == {"key": "1"}
    server += timedelta(seconds=200)
    plane.settle(seconds=200)
    assert plane.config_map("a") == {"key": "2"}


def test_whoever_waits_for_an_answer_hears_soon_after_the_run_that_was_in_the_way(plane):
    name = "kustomization.flux-system.apps"
    lease = plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", name)
    stamp = plane.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    held = {**lease["spec"], "holderIdentity": "another", "renewTime": stamp, "acquireTime": stamp}
    plane.cluster.replace({**lease, "spec": held})
    plane.cluster.replace({**plane.live("v1", "ConfigMap", "apps", "a"), "data": {"key": "by hand"}})
    plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name="apps", why="request", request="r1"))
    plane.settle(seconds=3)
    assert plane.state.get("request/r1") is None
    lease = plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", name)
    plane.cluster.replace({**lease, "spec": {**lease["spec"], "holderIdentity": ""}})
    plane.settle(seconds=10)
    answer = plane.state.get("request/r1")
    assert answer is not None
    assert answer.value["ready"] == "True"
    assert plane.config_map("a") == {"key": "1"}


@pytest.mark.parametrize(("named", "first"), [([], "Service/apps/web"), (["apps/Deployment"], "Deployment/apps/web")])
def test_kinds_that_the_operator_names_are_applied_before_the_rest(named, first):
    pod = {"containers": [{"name": "web", "image": "registry.example/web:1"}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "namespace": "apps"}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
    plane = MemoryPlane(policy={"customApplyStageKinds": named})
    plane.push({**APPS, "apps/web.yaml": yaml.safe_dump_all([deployment, service])})
    plane.settle()
    wanted = ("Service/apps/web", "Deployment/apps/web")
    applied = [what for verb, what in plane.cluster.calls if verb == "patch" and what in wanted]
    assert applied[0] == first
