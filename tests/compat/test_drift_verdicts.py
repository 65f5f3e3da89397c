"""Is what the field-by-field comparison says of a live object what a server-side dry-run says?

Random edits on the real API server: by kubectl, by another applier, by an autoscaler's scale, by a webhook that injects
a container, and in the manifest itself (quantities, defaults, order). The comparison may be in doubt, never wrong.
"""

import copy
import json
import random
from collections import Counter

import pytest
import yaml

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.core.drift.compare import Verdict, same_after_dry_run
from penstock.core.errors import Conflict, Transient
from penstock.core.reconcile.managers import taken_over
from penstock.core.reconcile.normalise import normalise
from penstock.core.reconcile.plan import Action, Ownership, plan
from penstock.core.resources import gvk_of, ref_of
from penstock.ports.cluster import FIELD_MANAGER, ApiRefused, ApplyOptions

OWNER = Ownership(namespace="flux-system", name="apps", manager=FIELD_MANAGER, claimed={})
OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, annotations: {team: a}}
data: {a: "1", b: "2", c: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
data: {user: dXNlcg==}
stringData: {password: one, user: other}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  strategy: {}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]
        resources: {limits: {cpu: "1", memory: 1Gi}, requests: {cpu: 0.5, memory: 512Mi}}
        volumeMounts: [{name: data, mountPath: /data}]
      - name: helper
        image: helper:1
      volumes: [{name: data, emptyDir: {}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: other}
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods, services], verbs: [get, list]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: job, image: "job:1"}]}}}}
"""


class World:
    """One namespace of the real API server, and the objects as they are desired."""

    def __init__(self, control_plane, seed):
        self.random = random.Random(seed)
        config = Kubeconfig(paths=(str(control_plane.kubeconfig),))
        self.cluster = KubeClusters(lambda _: config).connect("real")
        self.call = control_plane.call
        self.namespace = f"drift-{seed}-{self.random.getrandbits(24):06x}"
        self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.desired = {}
        for manifest in yaml.safe_load_all(OBJECTS):
            manifest["metadata"]["namespace"] = self.namespace
            self.desired[manifest["kind"]] = manifest
        for kind in self.desired:
            self.apply(kind)

    def wanted(self, kind):
        return normalise(copy.deepcopy(self.desired[kind]), namespace="flux-system", name="apps")

    def live(self, kind):
        manifest = self.desired[kind]
        return self.cluster.get(gvk_of(manifest), self.namespace, manifest["metadata"]["name"])

    def apply(self, kind, **options):
        return self.cluster.apply(self.wanted(kind), ApplyOptions(**options))

    def settle(self, kind):
        """As a run would leave it: their fields are ours, and everything is applied."""
        live = self.live(kind)
        entries = taken_over(live, FIELD_MANAGER)
        while entries is not None:
            try:
                self.cluster.replace({**live, "metadata": {**live["metadata"], "managedFields": entries}})
                break
            except Conflict:  # a controller wrote in between
                live = self.live(kind)
                entries = taken_over(live, FIELD_MANAGER)
        try:
            self.apply(kind)
        except ApiRefused:  # what somebody added does not go with what is desired (two ports of one name)
            self.cluster.delete({**live, "metadata": {"name": live["metadata"]["name"], "namespace": self.namespace}})
            self.apply(kind)

    def verdict(self, kind):
        desired = self.wanted(kind)
        (change,) = plan([desired], {ref_of(desired): self.live(kind)}, {}, OWNER, prune=True).changes
        if change.doubt:
            return Verdict.DOUBT, change.paths
        return (Verdict.EQUAL if change.action is Action.UNCHANGED else Verdict.DIFFERS), change.paths

    def says_dry_run(self, kind):
        """Whether an apply would leave the object, and what is ours of it, as they are."""
        live, answer, now = self.live(kind), self.apply(kind, dry_run=True), self.live(kind)
        while version(live) != version(now):  # a controller wrote in between
            live, answer, now = now, self.apply(kind, dry_run=True), self.live(kind)
        same = same_after_dry_run(live, answer) and ours(live) == ours(answer)
        return same and taken_over(live, FIELD_MANAGER) is None

    def update(self, kind, manager, change):
        """A PUT of somebody else's, as `kubectl edit` or a controller makes one."""
        live = self.live(kind)
        del live["metadata"]["managedFields"]
        before = copy.deepcopy(live)
        change(live)
        if live == before:
            return
        gvk, name = gvk_of(live), live["metadata"]["name"]
        root = f"/apis/{gvk.api_version}" if gvk.group else f"/api/{gvk.version}"
        plural = self.cluster.resource_type(gvk.group, gvk.kind).plural
        path = f"{root}/namespaces/{self.namespace}/{plural}/{name}?fieldManager={manager}"
        status, body = self.call("PUT", path, live)
        assert status in (200, 400, 409, 422), body  # what the API server refuses changes nothing

    def applied_by(self, kind, manager, manifest):
        body = {**manifest, "apiVersion": self.desired[kind]["apiVersion"], "kind": kind}
        body["metadata"] = {**body.get("metadata", {}), "name": self.desired[kind]["metadata"]["name"]}
        body["metadata"]["namespace"] = self.namespace
        self.cluster.apply(body, ApplyOptions(field_manager=manager))

    def scale(self, replicas):
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/web/scale"
        patch = {"spec": {"replicas": replicas}}
        status, body = self.call("PATCH", path, patch, Content_Type="application/merge-patch+json")
        assert status == 200, body


def version(manifest):
    return manifest["metadata"]["resourceVersion"]


def ours(manifest):
    """What managedFields says is ours."""
    return [
        json.dumps(entry["fieldsV1"], sort_keys=True)
        for entry in manifest["metadata"]["managedFields"]
        if entry["manager"] == FIELD_MANAGER and entry["operation"] == "Apply"
    ]


def leaves(value, path=()):
    """Every place of a manifest that is neither type nor identity."""
    if isinstance(value, dict):
        for key, item in value.items():
            if path == () and key in ("apiVersion", "kind", "status"):
                continue
            if path == ("metadata",) and key not in ("labels", "annotations"):
                continue
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    if path and path != ("metadata",):
        yield path


def at(value, path):
    for step in path:
        value = value[step]
    return value


def somewhere(world, manifest):
    path = world.random.choice(list(leaves(manifest)))
    return at(manifest, path[:-1]), path[-1]


def edit_value(world, manifest):
    holder, key = somewhere(world, manifest)
    value = holder[key]
    if isinstance(value, bool) or value is None:
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = value + world.random.choice((0, 1))
    elif isinstance(value, str):
        holder[key] = world.random.choice((value, f"{value}1", "x", ""))
    elif isinstance(value, dict):
        value["extra"] = "x"
    else:
        world.random.shuffle(value)


def remove_value(world, manifest):
    holder, key = somewhere(world, manifest)
    del holder[key]


def label(_world, manifest):
    manifest["metadata"].setdefault("labels", {})["added"] = "x"


def sidecar(world, manifest):
    if manifest["kind"] == "Deployment":
        containers = manifest["spec"]["template"]["spec"]["containers"]
        containers.insert(world.random.choice((0, len(containers))), {"name": "proxy", "image": "proxy:1"})


def quantities(world, manifest):
    if manifest["kind"] == "Deployment":
        resources = manifest["spec"]["template"]["spec"]["containers"][0]["resources"]
        resources["requests"]["cpu"] = world.random.choice((0.5, "500m", "0.5", "600m"))
        resources["limits"] = {
            "cpu": world.random.choice((1, "1", "1000m")),
            "memory": world.random.choice(("1Gi", "1024Mi")),
        }


def defaults(world, manifest):
    if manifest["kind"] == "Deployment":
        manifest["spec"]["revisionHistoryLimit"] = world.random.choice((10, 3))
        manifest["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent"
    if manifest["kind"] == "Service":
        manifest["spec"]["type"] = "ClusterIP"


OURS = (edit_value, remove_value, label, quantities, defaults)
THEIRS = (edit_value, remove_value, label, sidecar)
MANAGERS = ("kubectl-edit", "kubectl-client-side-apply", "webhook", "argocd-controller")


def step(world, kind):
    """One random edit by somebody; its name."""
    choice = world.random.choice(("git", "put", "put", "there and back", "apply", "scale"))
    if choice == "git":
        before = copy.deepcopy(world.desired[kind])
        change = world.random.choice(OURS)
        change(world, world.desired[kind])
        try:
            world.apply(kind, dry_run=True)
        except (ApiRefused, Transient):  # it answers 500 to a quantity or a value that it cannot read
            world.desired[kind] = before  # nothing that the API server takes
        return f"git {change.__name__}"
    if choice == "scale":
        world.scale(world.random.choice((2, 5)))
        return choice
    manager, change = world.random.choice(MANAGERS), world.random.choice(THEIRS)
    if choice == "put":
        world.update(kind, manager, lambda live: change(world, live))
    elif choice == "there and back":
        before = world.live(kind)
        world.update(kind, manager, lambda live: change(world, live))
        world.update(kind, manager, lambda live: restore(live, before))
    else:
        part = {"ConfigMap": {"data": {"a": world.random.choice("19")}}, "Deployment": {"spec": {"replicas": 2}}}
        world.applied_by(kind, manager, part.get(kind, {"metadata": {"labels": {"theirs": "x"}}}))
    return f"{choice} {change.__name__} {manager}"


def restore(live, before):
    for key in ("spec", "data", "rules"):
        if key in before:
            live[key] = before[key]
    for key in ("labels", "annotations"):
        live["metadata"][key] = before["metadata"].get(key, {})


@pytest.mark.parametrize("seed", [0, 7, 11, 12])
def test_the_comparison_says_what_a_dry_run_says(control_plane, seed):
    world = World(control_plane, seed)
    found, wrong = Counter(), []
    for kind in world.desired:
        assert world.verdict(kind)[0] is Verdict.EQUAL, (kind, world.verdict(kind))
    for _ in range(60):
        kind = world.random.choice(list(world.desired))
        done = [step(world, kind) for _ in range(world.random.choice((1, 1, 2)))]
        verdict, paths = world.verdict(kind)
        try:
            same = world.says_dry_run(kind)
        except ApiRefused:
            same = False
        found[verdict, same] += 1
        told = (
            f"seed {seed}: {kind} after {done}: {verdict} {paths}, the dry-run says {'equal' if same else 'different'}"
        )
        if verdict is not Verdict.DOUBT and (verdict is Verdict.EQUAL) is not same:
            wrong.append(told)
        world.settle(kind)
        after = world.verdict(kind)
        if after[0] is Verdict.DIFFERS or not world.says_dry_run(kind):
            wrong.append(f"{told}; applied, and then {after}")
    assert not wrong, "\n".join(wrong)
    assert found[Verdict.DIFFERS, False] > 10, found
    assert sum(number for (verdict, _), number in found.items() if verdict is Verdict.DOUBT) < 10, found
