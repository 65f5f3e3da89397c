"""`penstock diff kustomization` against the real API server: what its dry-runs say, and nothing written."""

import copy
import json

import pytest
import yaml
from tests.memory_plane import CLUSTER
from tests.object_plane import RealPlane

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.cli.diff.compare import online
from penstock.cli.diff.local import open_local
from penstock.cli.diff.outcome import exit_status, value
from penstock.cli.diff.printed import lines
from penstock.cli.diff.subject import Subject
from penstock.core.http import HttpRequest
from penstock.stages import api

PLANE = "system:serviceaccount:penstock-system:penstock-admin"
READS = ("get", "list", "watch")
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("penstock-system")]
DEPLOYMENT = yaml.safe_load("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1", ports: [{containerPort: 80}], resources: {limits: {cpu: "1", memory: 1Gi}}}
""")


class Diff:
    """diff(manifest): what a directory with this object in it would change."""

    def __init__(self, plane: RealPlane, where):
        self.plane, self.where = plane, where
        (where / "apps").mkdir(parents=True)

    def __call__(self, manifest):
        made = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.plane.space}}
        (self.where / "apps/object.yaml").write_text(yaml.safe_dump(made))
        found = online(self.subject(), self.plane.deps.clusters, self.local, b"key")
        return exit_status(found), value(found), "\n".join(lines(found, colour=False))

    def local(self, attempt):
        return open_local(str(self.where), attempt.kustomization.directory, None)

    def subject(self):
        secrets = MemorySecrets({api.TOKEN_SECRET: {"token": b"t"}})
        deps = type(self.plane.deps)(**{**_fields(self.plane.deps), "secrets": secrets})
        request = HttpRequest(
            method="GET",
            path="/kustomization",
            query=f"cluster={CLUSTER}&name={self.plane.space}",
            headers={"authorization": "Bearer t"},
        )
        response, _ = api.run(request, deps)
        records = json.loads(response.body)["records"]
        return Subject(cluster=CLUSTER, namespace="flux-system", name=self.plane.space, records=records)


def _fields(deps):
    return {name: getattr(deps, name) for name in deps.__dataclass_fields__}


@pytest.fixture
def diff(real, tmp_path):
    assert real.apply(DEPLOYMENT).startswith("True")
    return Diff(real, tmp_path / "clone")


def test_what_the_api_server_would_change_is_shown_and_nothing_is_written(diff, control_plane):
    # Not by the resourceVersion: the deployment controller still writes annotations and status when this begins
    with control_plane.recorded(PLANE) as requests:
        assert diff(DEPLOYMENT)[0] == 0
        same = copy.deepcopy(DEPLOYMENT)
        same["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"cpu": "1000m", "memory": "1024Mi"}
        assert diff(same)[0] == 0, "equal quantities"
        other = copy.deepcopy(DEPLOYMENT)
        other["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
        status, found, text = diff(other)
    assert status == 1
    (change,) = found["changes"]
    assert change["fields"] == [{"path": "spec.template.spec.containers[web].image", "old": "web:1", "new": "web:2"}]
    assert "-      - image: web:1\n+      - image: web:2\n" in text
    asked = [(r["verb"], r["requestURI"]) for r in requests if diff.plane.space in r["requestURI"]]
    assert [uri for verb, uri in asked if verb == "patch" and "dryRun=All" in uri], asked
    assert [each for each in asked if each[0] not in READS and "dryRun=All" not in each[1]] == []
    live = diff.plane.found(DEPLOYMENT)
    assert live["metadata"]["generation"] == 1
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"


def test_a_typo_is_refused_with_its_path(diff):
    wrong = copy.deepcopy(DEPLOYMENT)
    wrong["spec"]["replcas"] = 3
    status, _, text = diff(wrong)
    assert status == 2
    assert ".spec.replcas: field not declared in schema" in text or 'unknown field "spec.replcas"' in text


def test_drift_names_who_scaled_it(diff, control_plane):
    path = f"/apis/apps/v1/namespaces/{diff.plane.space}/deployments/web/scale?fieldManager=kubectl"
    patch = {"spec": {"replicas": 3}}
    assert control_plane.call("PATCH", path, patch, Content_Type="application/merge-patch+json")[0] == 200
    status, found, text = diff(DEPLOYMENT)
    assert status == 1
    (change,) = found["changes"]
    assert change["fields"] == [{"path": "spec.replicas", "old": 3, "new": 0}]
    assert change["drift"][0]["manager"] == "kubectl by scale"
    assert "drift: spec.replicas (kubectl by scale" in text  # such entries have no time
