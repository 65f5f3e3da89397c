"""What repositories really hold, on the real API server: applied once, and then left alone, sweep after sweep.

Written as people and generators write it: nulls, other ways to write a quantity, defaults that are left out inside of
atomic lists, rules and CA bundles that a controller fills in, the status of an exported definition.
"""

import base64
import json
import secrets
from typing import Any

import pytest
import yaml
from tests.memory_plane import kustomization, namespace
from tests.real_plane import REAL, RealPlane, connections, eventually, tidy

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.core.resources import Gvk
from penstock.ports.cluster import ApplyOptions

pytestmark = REAL
WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS, creationTimestamp: null}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  strategy: {}
  template:
    metadata: {labels: {app: web}, creationTimestamp: null}
    spec:
      containers:
      - name: web
        image: web:1
        env:
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
        resources: {limits: {cpu: 0.5, memory: 1024Mi}}
        volumeMounts: [{name: token, mountPath: /token}]
      volumes: [{name: token, projected: {sources: [{serviceAccountToken: {path: t}}]}}]
status: {}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: NS}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: team, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: Group, name: team}]
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits, namespace: NS}
spec: {limits: [{type: Container, default: {cpu: 0.5}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part-of: NS}}]}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-pods, labels: {part-of: NS}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: routes.NS.example.com, creationTimestamp: null}
spec:
  group: NS.example.com
  scope: Namespaced
  names: {kind: Route, plural: routes}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {caBundle: Cg==, service: {name: webhook, namespace: NS, path: /convert}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              note: {type: string, nullable: true}
              backends:
                type: array
                items:
                  type: object
                  properties: {name: {type: string}, weight: {type: integer, default: 1}}
status: {acceptedNames: {kind: "", plural: ""}, conditions: [], storedVersions: []}
"""
ROUTE = """
apiVersion: NS.example.com/v1
kind: Route
metadata: {name: web, namespace: NS}
spec: {note: null, backends: [{name: web}]}
"""
CERTIFICATE = "-----BEGIN CERTIFICATE-----"


@pytest.fixture
def space() -> str:
    return f"everyday-{secrets.token_hex(3)}"


@pytest.fixture
def plane(control_plane, space):
    """Of a user whose requests the audit log tells from all others'."""
    config = control_plane.kubeconfig_for(space)
    made = RealPlane(control_plane, clusters=KubeClusters(lambda _: Kubeconfig(data=config)))
    made.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "apps"),
            "apps/namespace.yaml": namespace(space),
            "apps/workloads.yaml": WORKLOADS.replace("NS", space),
            "apps/definition.yaml": DEFINITION.replace("NS", space),
            "apps/route.yaml": ROUTE.replace("NS", space),
        }
    )
    yield made
    tidy(control_plane)
    control_plane.call("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/routes.{space}.example.com")


def swept(control_plane, plane, space) -> list[str]:
    """What a look at the interval asks of the API server, but for reads."""
    with control_plane.recorded(space) as records:
        plane.reconcile("apps", why="interval")
    asked = {r["auditID"]: f"{r['verb']} {r['requestURI']}" for r in records}
    return [each for each in asked.values() if not each.startswith(("get ", "list "))]


def inject_certificate(control_plane, space) -> None:
    """As cert-manager does it: the API server's own authorities will do."""
    given: Any = yaml.safe_load(control_plane.read_kubeconfig())["clusters"][0]["cluster"]
    bundle = given["certificate-authority-data"]
    assert CERTIFICATE in base64.b64decode(bundle).decode()
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/routes.{space}.example.com"
    patch = {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}}
    status, body = control_plane.call(
        "PATCH", f"{path}?fieldManager=cainjector", patch, Content_Type="application/merge-patch+json"
    )
    assert status == 200, json.dumps(body)


def test_they_are_applied_once_and_then_left_alone(control_plane, plane, space):
    assert plane.until("apps", "True")
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{space}-all"
    eventually(lambda: plane.found(role)["rules"])
    inject_certificate(control_plane, space)
    swept(control_plane, plane, space)  # what only a dry-run can tell is asked for, once
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert swept(control_plane, plane, space) == []
    assert plane.found(role)["rules"], "the control plane's"
    definition = plane.found(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/routes.{space}.example.com")
    bundle = definition["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"]
    assert CERTIFICATE in base64.b64decode(bundle).decode()


def test_what_was_the_same_is_asked_for_again_when_it_changes(control_plane, plane, space):
    assert plane.until("apps", "True")
    swept(control_plane, plane, space)
    route, cluster = Gvk(group=f"{space}.example.com", version="v1", kind="Route"), connections(control_plane)
    live = cluster.connect("real").get(route, space, "web")
    assert live["spec"]["backends"] == [{"name": "web", "weight": 1}]
    theirs = {"apiVersion": route.api_version, "kind": "Route", "metadata": {"name": "web", "namespace": space}}
    theirs["metadata"]["labels"] = {"x": "y"}
    cluster.connect("real").apply(theirs, ApplyOptions(field_manager="somebody"))
    asked = swept(control_plane, plane, space)
    assert any("/routes/web" in each and "dryRun=All" in each for each in asked), asked
    assert not any("/routes/web" in each and "dryRun" not in each for each in asked), asked
    assert swept(control_plane, plane, space) == []
