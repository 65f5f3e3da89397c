"""Faults around an apply on a real API server: quotas, admission, APIs that are away, kills. Nothing is lost or fought."""

import json
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import yaml
from tests.chaos.test_killed_between_calls import Killed, Mortal, Reaper
from tests.compat.test_bad_input import inside, quota, standing
from tests.memory_plane import CLUSTER, OneCluster, config_map, kustomization
from tests.real_plane import REAL, RealPlane, eventually, text, tidy

from penstock.core.messages import ReconcileDue
from penstock.core.records import Approval, approval_key
from penstock.wiring.run import run_message

pytestmark = REAL
PLANE = "system:serviceaccount:penstock-system:penstock-admin"
MERGE = {"Content_Type": "application/merge-patch+json"}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def plane(control_plane):
    yield RealPlane(control_plane)
    tidy(control_plane)


def maps(space, *names, **data):
    return {f"apps/{name}.yaml": config_map(name, space, **(data or {"k": "1"})) for name in names}


def apps(space, *names, **spec):
    return {"clusters/prod/apps.yaml": kustomization("apps", "apps", **spec), **maps(space, *names)}


def there(plane, space, name):
    return plane.found(f"/api/v1/namespaces/{space}/configmaps/{name}")


def test_a_quota_that_is_used_up_in_the_middle_loses_nothing(control_plane, real_namespace, plane):
    """Each of them alone would fit, so the dry-runs pass; what was made before the refusal is known, and can go."""
    space = real_namespace
    plane.push(apps(space, "a"))
    plane.until("apps", "True")
    with quota(control_plane, space):
        room = {"spec": {"hard": {"count/configmaps": "3"}}}  # its own, kube-root-ca.crt, and one more
        control_plane.call("PATCH", f"/api/v1/namespaces/{space}/resourcequotas/few", room, **MERGE)
        path = f"/api/v1/namespaces/{space}/configmaps?dryRun=All"
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
        eventually(lambda: control_plane.call("POST", path, probe)[0] == 201)
        plane.push(maps(space, "b", "c", "d"))
        ready = plane.until("apps", "False ReconciliationFailed")
        assert "exceeded quota: few" in ready
        made = [name for name in "bcd" if there(plane, space, name)]
        assert len(made) == 1, "the quota left room for one"
        ids = plane.status("apps").inventory
        assert {f"{space}_{name}__ConfigMap@v1" for name in "abcd"} <= set(ids)
        plane.push({f"apps/{name}.yaml": None for name in "bcd"})
        plane.until("apps", "True")
        assert [name for name in "bcd" if there(plane, space, name)] == []
    assert plane.status("apps").inventory == (f"{space}_a__ConfigMap@v1",)


@contextmanager
def mutating(control_plane, space):
    """An administrator's policy that sets a field of ours to another value, at each write."""
    if control_plane.call("GET", f"{ADMISSION}/mutatingadmissionpolicies")[0] != 200:
        pytest.skip("this API server has no MutatingAdmissionPolicy in v1")
    expression = 'Object{data: {"k": "theirs"}}'
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": space},
        "spec": {
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": inside(space)},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": space},
        "spec": {"policyName": space},
    }
    places = f"{ADMISSION}/mutatingadmissionpolicies", f"{ADMISSION}/mutatingadmissionpolicybindings"
    with standing(control_plane, (places[0], body), (places[1], binding)):
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
        path = f"/api/v1/namespaces/{space}/configmaps?dryRun=All"
        eventually(lambda: control_plane.call("POST", path, probe)[1].get("data") == {"k": "theirs"})
        yield


def test_a_policy_that_changes_what_is_applied_is_not_fought(control_plane, real_namespace, plane):
    space = real_namespace
    with mutating(control_plane, space):
        plane.push(apps(space, "a", "b"))
        plane.until("apps", "True")
        assert there(plane, space, "a")["data"] == {"k": "theirs"}
        version = there(plane, space, "a")["metadata"]["resourceVersion"]
        for _ in range(3):
            plane.reconcile("apps", why="interval")
        assert plane.ready("apps").startswith("True")
        assert there(plane, space, "a")["metadata"]["resourceVersion"] == version, "no write came through"
        told = [e.message for e in plane.events if e.name == "apps" and "ConfigMap" in e.message]
        assert len(told) == 1, told


def test_an_api_whose_server_is_away_stops_nobody_else(control_plane, real_namespace, plane):
    """Discovery of that group fails; everything of other groups is applied and pruned as ever."""
    group = f"{real_namespace}.example"
    body = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "nobody", "namespace": real_namespace, "port": 443},
        },
    }
    with standing(control_plane, ("/apis/apiregistration.k8s.io/v1/apiservices", body)):
        plane.push(apps(real_namespace, "a", "b"))
        plane.until("apps", "True")
        plane.forget_connections()
        plane.push({"apps/b.yaml": None, **maps(real_namespace, "a", k="2")})
        plane.until("apps", "True")
        assert there(plane, real_namespace, "a")["data"] == {"k": "2"}
        assert there(plane, real_namespace, "b") is None
        thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": real_namespace}}
        plane.push({"apps/thing.yaml": text(thing)})
        assert f"API group {group} does not answer (its APIService is down)" in plane.until("apps", "False")
        assert there(plane, real_namespace, "a")


@pytest.mark.parametrize("policy", ["Delete", "WaitForTermination"])
def test_a_finalizer_that_hangs_ends_with_the_timeout(control_plane, real_namespace, plane, policy):
    space = real_namespace
    held = yaml.safe_load(config_map("held", space, k="1"))
    held["metadata"]["finalizers"] = ["example.com/held"]
    files = apps(space, "a", deletionPolicy=policy, timeout="1m")
    plane.push({**files, "apps/held.yaml": text(held)})
    plane.until("apps", "True")
    plane.push(dict.fromkeys([*files, "apps/held.yaml"]) | {"clusters/prod/c.yaml": config_map("c", space)})
    eventually(lambda: plane.settle(seconds=5) or there(plane, space, "a") is None)
    assert there(plane, space, "held")["metadata"]["deletionTimestamp"]
    if policy == "WaitForTermination":
        assert plane.known("Kustomization", "apps")
        waits = f"Unknown Progressing: removal: waiting for ConfigMap/{space}/held to be gone"
        assert plane.ready("apps") == waits
        assert there(plane, "penstock-system", "kustomization.flux-system.apps"), "it is remembered"
    eventually(lambda: plane.settle(seconds=30) or not plane.known("Kustomization", "apps"))
    errors = [e.message for e in plane.events if e.severity == "error"]
    wanted = [f"failed to wait for resources termination: ConfigMap/{space}/held"]
    assert errors == (wanted if policy == "WaitForTermination" else [])
    control_plane.call(
        "PATCH", f"/api/v1/namespaces/{space}/configmaps/held", {"metadata": {"finalizers": None}}, **MERGE
    )


def test_an_approval_is_for_exactly_that_set(control_plane, real_namespace, plane):
    space, names = real_namespace, [f"c{n}" for n in range(14)]
    plane.push(apps(space, "stays", *names))
    plane.until("apps", "True")
    plane.push({f"apps/{name}.yaml": None for name in names[:12]})
    stopped = plane.until("apps", "False PruneStopped")
    digest = stopped.rpartition("--prune ")[2]
    approve(plane, digest)
    plane.push({f"apps/{names[12]}.yaml": None})
    again = plane.until("apps", "False PruneStopped")
    other = again.rpartition("--prune ")[2]
    assert other != digest, "a changed set needs a new approval"
    assert all(there(plane, space, name) for name in names)
    annotated = {"penstock.dev/allow-prune": other}
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "apps", annotations=annotated)})
    plane.until("apps", "True")
    assert [name for name in names if there(plane, space, name)] == [names[13]]
    assert there(plane, space, "stays")
    plane.push({f"apps/{name}.yaml": config_map(name, space, k="1") for name in names[:13]})
    plane.until("apps", "True")
    plane.push({f"apps/{name}.yaml": None for name in names[:12]})
    assert plane.until("apps", "False PruneStopped"), "the first approval is not left for a later set"
    assert all(there(plane, space, name) for name in names[:12])


def approve(plane, digest):
    found = Approval(digest=digest, who="ann", when=plane.clock.now().isoformat())
    plane.state.put(approval_key(CLUSTER, "flux-system", "apps"), found.to_value(), expected=None)


class MortalRealPlane(RealPlane):
    """A RealPlane that dies at the n-th write to the API server, after its effect."""

    def __init__(self, control_plane):
        self.reaper = Reaper()
        super().__init__(control_plane)

    def kill_after(self, writes):
        self.reaper.count, self.reaper.at, self.reaper.after = 0, writes, True

    def deliver(self, delivery):
        mortal = OneCluster(Mortal(self.deps.clusters.connect(CLUSTER), self.reaper))
        stage = self.pipeline.stage(delivery.stage)
        try:
            outcome = run_message(stage, delivery.envelope, replace(self.deps, clusters=mortal), self.bus)
        except Killed:
            self.reaper.dead, self.reaper.at = False, -1
            return  # nobody acknowledges it: it comes back
        if outcome.kind == "retry":
            self.bus.retry(delivery, delay=outcome.delay, error=outcome.error)
        else:
            self.bus.ack(delivery)


@pytest.mark.parametrize("first", ["old", "new"])
def test_git_mv_between_kustomizations_deletes_nothing_wherever_it_is_killed(
    control_plane, real_namespace, monkeypatch, first
):
    """To and fro, killed after each write in turn: no DELETE in the API server's own log."""
    monkeypatch.setattr("penstock.stages.reconcile.lease.SECONDS", 2)  # the API server's time is not simulated
    monkeypatch.setattr("penstock.stages.reconcile.lease.MARGIN", 0.5)
    space, plane = real_namespace, MortalRealPlane(control_plane)
    plane.push(
        {
            "clusters/prod/one.yaml": kustomization("one", "one"),
            "clusters/prod/two.yaml": kustomization("two", "two"),
            "one/stays.yaml": config_map("one", space),
            "two/stays.yaml": config_map("two", space),
            "one/moves.yaml": config_map("moves", space, k="1"),
        }
    )
    for name in ("one", "two"):
        plane.until(name, "True")
    uid = there(plane, space, "moves")["metadata"]["uid"]
    here, other = "one", "two"
    with control_plane.recorded(PLANE) as records:
        for number in range(1, 10):
            plane.push({f"{here}/moves.yaml": None, f"{other}/moves.yaml": config_map("moves", space, k=str(number))})
            while plane.step_stage("fetch"):
                pass
            plane.kill_after(number)
            name = here if first == "old" else other
            plane.publish(ReconcileDue(cluster=CLUSTER, namespace="flux-system", name=name, why="interval"))
            plane.run_only(name)
            for each in (here, other):
                plane.until(each, "True", seconds=60)
            plane.reaper.at = -1
            live = there(plane, space, "moves")
            assert live["metadata"]["uid"] == uid, number
            assert live["data"] == {"k": str(number)}
            assert live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == other
            eventually(lambda other=other: inventoried(plane, space) == [other])
            here, other = other, here
    deleted = [r["requestURI"] for r in records if r["verb"] == "delete" and space in r["requestURI"]]
    assert deleted == []
    tidy(control_plane)


def inventoried(plane, space):
    """Whose inventories list the object that moves."""
    plane.settle(seconds=20)
    found = {}
    for name in ("one", "two"):
        held = there(plane, "penstock-system", f"kustomization.flux-system.{name}")
        found[name] = f"{space}_moves__ConfigMap@v1" in json.loads(held["data"]["inventory"])
    return [name for name, listed in found.items() if listed]


@pytest.mark.slow
def test_ten_thousand_objects_are_applied_and_pruned(control_plane, real_namespace, plane):
    space, count = real_namespace, 10_000
    documents = [config_map(f"c{n}", space, k=str(n)) for n in range(count)]
    plane.push({**apps(space), "apps/all.yaml": "---\n".join(documents)})
    began = time.monotonic()
    plane.until("apps", "True", seconds=900)
    print(f"{count} objects in {time.monotonic() - began:.0f} s")
    documents[-1] = config_map("changed", space, k="1")
    plane.push({"apps/all.yaml": "---\n".join(documents)})
    plane.until("apps", "True", seconds=300)
    assert there(plane, space, f"c{count - 1}") is None
    assert len(plane.status("apps").inventory) == count
