"""The health check of a run: what it costs the API server, and what it does where watching is refused."""

import pytest
import yaml
from tests.chaos.test_unhealthy_among_many import AVAILABLE, deployment
from tests.memory_plane import MemoryPlane, kustomization, namespace

from penstock.core.errors import Refused
from penstock.core.resources import ObjectRef

FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/web.yaml": kustomization("web", "web", wait=True, timeout="5m"),
    "web/web.yaml": deployment("web"),
    "web/api.yaml": deployment("api"),
}


def started():
    """A plane that waits for two Deployments."""
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle(seconds=0)
    assert plane.ready("web").startswith("Unknown Progressing: Running health checks"), plane.ready("web")
    return plane


def available(plane, *names):
    for name in names:
        plane.cluster.set_status(ObjectRef(group="apps", kind="Deployment", namespace="apps", name=name), AVAILABLE)


def test_a_slice_asks_a_few_times_whatever_it_waits_for():
    plane = started()
    plane.cluster.calls.clear()
    before = plane.clock.monotonic()
    plane.settle(seconds=5)
    assert plane.clock.monotonic() - before >= 4
    asked = [f"{verb} {what}" for verb, what in plane.cluster.calls if "Deployment" in what]
    assert asked.count("watch Deployment/apps/") <= 4 * 2, asked
    assert set(asked) <= {"list Deployment/", "list Deployment/apps/", "watch Deployment/apps/"}


@pytest.mark.parametrize("refused", [False, True])
def test_what_becomes_ready_is_seen_also_where_a_watch_is_refused(refused):
    plane = started()
    if refused:
        plane.cluster.fail(lambda: Refused("may not watch"), verb="watch", times=1000)
    available(plane, "web")
    plane.settle(seconds=10)
    assert "waiting for Deployment/apps/api" in plane.ready("web")
    available(plane, "api")
    plane.settle(seconds=30)
    assert plane.ready("web").startswith("True"), plane.ready("web")


def test_a_parent_does_not_wait_for_its_children_in_its_own_run():
    plane = MemoryPlane()
    plane.push(
        {
            **FILES,
            "clusters/prod/web.yaml": kustomization("parent", "parent", wait=True),
            "parent/web.yaml": kustomization("web", "web", wait=True),
        }
    )
    before = plane.clock.monotonic()
    plane.settle(seconds=0)
    assert "waiting for Kustomization/flux-system/web" in plane.ready("parent"), plane.ready("parent")
    assert plane.clock.monotonic() - before < 5, "only the check of web itself took its four seconds"
    available(plane, "web", "api")
    plane.settle(seconds=30)
    assert plane.ready("parent").startswith("True"), plane.ready("parent")


def operators_secret(group, kind, plural, spec):
    """Its definition and one object of it, as YAML."""
    versions = [{"name": "v1", "served": True, "storage": True}]
    names = {"kind": kind, "plural": plural}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
    }
    metadata = {"name": "login", "namespace": "apps"}
    made = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return yaml.safe_dump(definition), yaml.safe_dump(made)


@pytest.mark.parametrize(
    ("group", "kind", "plural", "condition", "spec"),
    [
        (
            "bitnami.com",
            "SealedSecret",
            "sealedsecrets",
            "Synced",
            {"encryptedData": {"password": "AgBy3i4OJSWK+PiTy"}},
        ),
        ("external-secrets.io", "ExternalSecret", "externalsecrets", "Ready", {"data": [{"secretKey": "password"}]}),
    ],
)
def test_a_secret_that_an_operator_brings_is_applied_and_waited_for(group, kind, plural, condition, spec):
    definition, made = operators_secret(group, kind, plural, spec)
    plane = MemoryPlane()
    plane.push(
        {
            "clusters/prod/ns.yaml": namespace("apps"),
            "clusters/prod/web.yaml": kustomization("web", "web", wait=True, timeout="5m"),
            "web/definition.yaml": definition,
            "web/login.yaml": made,
        }
    )
    plane.settle(seconds=10)
    assert plane.live(f"{group}/v1", kind, "apps", "login")["spec"] == spec
    assert plane.ready("web").startswith("Unknown Progressing"), plane.ready("web")
    ref = ObjectRef(group=group, kind=kind, namespace="apps", name="login")
    plane.cluster.set_status(ref, {"conditions": [{"type": condition, "status": "True"}]})
    plane.settle(seconds=30)
    assert plane.ready("web").startswith("True"), plane.ready("web")


def pass_by(plane, *, minutes):
    for _ in range(minutes):
        plane.clock.advance(60)
        plane.tick()
        plane.settle(seconds=60)


def test_a_rollout_that_hangs_is_told_once_however_often_it_is_tried_again():
    """Each try lasts a little longer or shorter, and its pods have other names: that is no news."""
    plane = MemoryPlane()
    plane.push({**FILES, "clusters/prod/web.yaml": kustomization("web", "web", wait=True, timeout="1m")})
    pass_by(plane, minutes=12)
    assert plane.status("web").history[0]["totalReconciliations"] >= 3, "it was tried again"
    told = [e for e in plane.events if e.name == "web" and e.severity == "error"]
    assert len(told) == 1, [e.message for e in told]
    available(plane, "web")
    pass_by(plane, minutes=6)
    told = [e.message for e in plane.events if e.name == "web" and e.severity == "error"]
    assert len(told) == 2, told
    assert "Deployment/apps/web" not in told[1], "another set of objects is news"
    available(plane, "web", "api")
    pass_by(plane, minutes=6)
    assert plane.ready("web").startswith("True")
    assert [e.severity for e in plane.events if e.name == "web"][-1] == "info"


@pytest.mark.parametrize("switch", ["reconcile: disabled", "ssa: Ignore"])
def test_an_object_that_is_switched_off_is_not_waited_for(switch):
    key, value = switch.split(": ")
    absent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "theirs",
            "namespace": "apps",
            "annotations": {f"kustomize.toolkit.fluxcd.io/{key}": value},
        },
    }
    plane = MemoryPlane()
    plane.push({**FILES, "web/theirs.yaml": yaml.safe_dump(absent)})
    plane.settle(seconds=0)
    available(plane, "web", "api")
    plane.settle(seconds=20)
    assert plane.config_map("theirs") is None
    assert plane.ready("web").startswith("True"), plane.ready("web")


def test_a_job_that_ended_and_deleted_itself_is_not_run_again_while_others_are_waited_for():
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "apps"},
        "spec": {
            "ttlSecondsAfterFinished": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}},
        },
    }
    plane = MemoryPlane()
    plane.push({**FILES, "web/job.yaml": yaml.safe_dump(job)})
    plane.settle(seconds=0)
    plane.cluster.api.delete(plane.live("batch/v1", "Job", "apps", "migrate"))
    plane.settle(seconds=60)
    assert plane.ready("web").startswith("Unknown Progressing"), plane.ready("web")
    assert "Job" not in plane.ready("web")
    available(plane, "web", "api")
    plane.settle(seconds=30)
    assert plane.ready("web").startswith("True"), plane.ready("web")
    assert plane.live("batch/v1", "Job", "apps", "migrate") is None
    plane.reconcile("web")
    assert plane.live("batch/v1", "Job", "apps", "migrate") is not None, "made anew at the next run, as by Flux"
