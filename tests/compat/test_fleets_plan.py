"""`penstock plan` on public fleets, with the kustomize binary, and beside Flux on a real control plane."""

import json
import os
import re
import shutil
import time
from itertools import chain
from pathlib import Path

import pytest
import yaml
from tests.controlplane import fixtures
from tests.controlplane.build import tool
from tests.fleets import Repository, unpack

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.git.server import GitServer
from penstock.cli import main
from penstock.core.reconcile.order import staged
from penstock.ports.cluster import ApplyOptions

FLEETS = [
    ("fluxcd__flux2-kustomize-helm-example", "clusters/staging"),
    ("fluxcd__flux2-kustomize-helm-example", "clusters/production"),
    ("fluxcd__flux2-multi-tenancy", "clusters/staging"),
    ("fluxcd__flux2-multi-tenancy", "clusters/production"),
    ("fluxcd__flux2-hub-spoke-example", "hub"),
    ("wahooli__gitops-repo", "clusters/nas"),
    ("wahooli__gitops-repo", "clusters/tpi-1"),
    ("wahooli__gitops-repo", "clusters/livingroom-pi"),
    ("onedr0p__home-ops", "kubernetes/flux/cluster"),
    ("sulibot__home-ops", "kubernetes/clusters/cluster-101"),
    ("sulibot__home-ops", "kubernetes/clusters/cluster-104"),
    ("xunholy__k8s-gitops", "kubernetes/clusters/cluster-00"),
]
LEAST = {"onedr0p__home-ops": 75, "kubernetes/clusters/cluster-101": 130, "wahooli__gitops-repo": 7}
NAMED = re.compile(
    r"is not served yet"  # a field of a Kustomization
    r"|gateway-api-crds-v1.4.1-experimental.yaml"  # the archive has no file of that size
    r"|SOPS encrypted: (set|configuring) spec.decryption"  # xunholy's root gets it from a FluxInstance
)
KUSTOMIZE = os.environ.get("PENSTOCK_KUSTOMIZE") or tool("kustomize") or shutil.which("kustomize")


def planned(capsys, *arguments):
    """Exit status and the plan as JSON."""
    capsys.readouterr()
    status = main(["plan", *arguments, "-o", "json"])
    captured = capsys.readouterr()
    assert captured.out, captured.err
    return status, json.loads(captured.out)


@pytest.mark.parametrize(("name", "path"), FLEETS)
def test_every_kustomization_renders_or_says_why_not(tmp_path, capsys, name, path):
    status, found = planned(capsys, "--source", str(unpack(name, tmp_path)), "--path", path, "--no-cluster")
    problems = {each["name"]: each["problem"] for each in found["kustomizations"] if "problem" in each}
    assert all(NAMED.search(problem) for problem in problems.values()), problems
    assert status == (2 if problems else 0)
    rendered = [each for each in found["kustomizations"] if "summary" in each]
    assert len(rendered) >= LEAST.get(path, LEAST.get(name, 0))
    assert all("outside" in each for each in found["kustomizations"] if each not in rendered and "problem" not in each)
    for each in rendered:
        reasons = [reason for _, reason in (*each["summary"]["leftOut"], *each["summary"]["unsupported"])]
        assert all(reasons)


@pytest.mark.skipif(KUSTOMIZE is None, reason="no kustomize: `make tools`, or PENSTOCK_KUSTOMIZE")
@pytest.mark.parametrize(
    ("name", "path"),
    [pytest.param(*each, marks=[pytest.mark.slow] if "onedr0p" in each[0] else []) for each in FLEETS[3:9]],
)
def test_builds_are_kustomizes_own(tmp_path, capsys, monkeypatch, name, path):
    monkeypatch.setenv("PATH", f"{Path(KUSTOMIZE).parent}:{os.environ['PATH']}")
    source = str(unpack(name, tmp_path))
    _, found = planned(capsys, "--source", source, "--path", path, "--no-cluster", "--compare-with", "kustomize")
    assert {each["name"]: each["kustomize"] for each in found["kustomizations"] if "kustomize" in each} == {}


def test_a_url_is_planned_as_its_clone_is(tmp_path, capsys):
    if shutil.which("git") is None:
        pytest.skip("git is not installed here: install it, then try again")
    (tmp_path / "git").mkdir()
    with GitServer(tmp_path / "git", login=("someone", "pass word")) as server:
        work = unpack("fluxcd__flux2-kustomize-helm-example", tmp_path / "work")
        repository = Repository(server=server, name="fleet", work=work)
        server.logins = []
        commit = repository.push("release")
        server.logins = [("someone", "pass word")]
        url = repository.url.replace("http://", "http://someone:pass%20word@")
        arguments = ("--path", "clusters/staging", "--no-cluster")
        _, by_url = planned(capsys, "--source", url, "--branch", "release", *arguments)
        _, by_directory = planned(capsys, "--source", str(work), *arguments)
    assert by_url["revision"] == f"release@sha1:{commit}"
    assert "pass" not in json.dumps(by_url)
    assert by_url["kustomizations"] == by_directory["kustomizations"]


ROOT = "flux-system"
FLUX = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
GROUP = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations"


def kustomization(name, path, **spec):
    source = {"kind": "GitRepository", "name": ROOT}
    return {
        **FLUX,
        "metadata": {"name": name, "namespace": ROOT},
        "spec": {"interval": "10m", "path": path, "prune": True, "sourceRef": source, **spec},
    }


def plain(kind, name, **fields):
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "apps"}, **fields}


REPOSITORY = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": ROOT, "namespace": ROOT},
    "spec": {"interval": "1m", "url": "https://git.example.com/fleet", "ref": {"branch": "main"}},
}
POD = {
    "containers": [
        {"name": "web", "image": "web:1", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "0.5"}}}
    ]
}
DEPLOYMENT = {
    **plain("Deployment", "web"),
    "apiVersion": "apps/v1",
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD},
    },
}
BESIDE = {
    "clusters/prod/sync.yaml": [REPOSITORY, kustomization(ROOT, "./clusters/prod")],
    "clusters/prod/apps.yaml": [kustomization("apps", "./apps")],
    "apps/namespace.yaml": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}}],
    "apps/web.yaml": [
        DEPLOYMENT,
        plain("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}),
    ],
    "apps/settings.yaml": [
        plain("ConfigMap", "settings", data={"colour": "blue"}),
        plain("ConfigMap", "old", data={"a": "b"}),
    ],
    "apps/secret.yaml": [plain("Secret", "login", stringData={"password": "canary-one"})],
}


class Beside:
    """A cluster that Flux has brought in line with a directory: its API, its field manager, its inventories."""

    def __init__(self, folder, source):
        self.api = fixtures.ControlPlane(kubeconfig=folder / "kubeconfig", folder=folder)
        self.looking = self.api.with_identity()
        self.source = source
        self.cluster = KubeClusters(lambda _: Kubeconfig(paths=(str(self.api.kubeconfig),))).connect("it")

    def install(self, components):
        """Flux's own definitions, from a public repository's gotk-components."""
        for document in yaml.safe_load_all(components):
            if document and document["kind"] == "CustomResourceDefinition":
                self.apply(document)
        end = time.monotonic() + 20
        while self.api.call("GET", GROUP)[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.1)
        self.cluster.refresh_discovery()
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ROOT}})

    def apply(self, manifest, manager="kustomize-controller"):
        return self.cluster.apply(manifest, ApplyOptions(field_manager=manager, field_validation="Ignore"))

    def reconcile(self, name, documents):
        """What kustomize-controller does with a render: owner labels, its own types' defaults, an inventory."""
        entries = []
        for document in chain.from_iterable(staged(documents)):
            made = json.loads(json.dumps(document))
            metadata = made["metadata"]
            metadata["labels"] = {f"{GROUP.split('/')[2]}/name": name, f"{GROUP.split('/')[2]}/namespace": ROOT}
            if made["kind"] == "Service":
                made["spec"]["ports"][0]["protocol"] = "TCP"
            if made["kind"] == "Deployment":
                made["spec"]["strategy"] = {}
                made["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
            self.apply(made)
            group = made["apiVersion"].rpartition("/")[0]
            version = made["apiVersion"].rpartition("/")[2]
            entries.append(
                {"id": f"{metadata.get('namespace', '')}_{metadata['name']}_{group}_{made['kind']}", "v": version}
            )
        status = {"inventory": {"entries": entries}, "lastAppliedRevision": "main@sha1:" + "a" * 40}
        patch = {"Content_Type": "application/merge-patch+json"}
        code, answer = self.api.call("PATCH", f"{GROUP}/{name}/status", {"status": status}, **patch)
        assert code == 200, answer

    def plan(self, capsys, *more):
        where = ("--source", str(self.source), "--path", "clusters/prod", "--kubeconfig", str(self.looking.kubeconfig))
        return planned(capsys, *where, *more)

    def audit(self):
        """Records of requests by penstock, so far."""
        lines = (self.api.folder / "audit.log").read_text().splitlines()
        return [r for r in map(json.loads, lines) if r.get("userAgent", "").startswith("penstock")]


@pytest.fixture
def beside(tmp_path):
    if tool("controlplane") is None:
        pytest.skip("no Kubernetes control plane is built here: run `make tools`")
    folder, source = tmp_path / "control-plane", tmp_path / "fleet"
    folder.mkdir()
    lay(source, BESIDE)
    wahooli = unpack("wahooli__gitops-repo", tmp_path / "wahooli")
    fixtures._start(folder)
    try:
        made = Beside(folder, source)
        made.install((wahooli / "clusters/nas/flux-system/gotk-components.yaml").read_text())
        made.reconcile(ROOT, [*BESIDE["clusters/prod/sync.yaml"], *BESIDE["clusters/prod/apps.yaml"]])
        made.reconcile("apps", [each for path, found in BESIDE.items() if path.startswith("apps/") for each in found])
        yield made
    finally:
        fixtures._stop(int((folder / "pid").read_text()))


def lay(source, files):
    for path, documents in files.items():
        file = source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump_all(documents))


@pytest.mark.real
@pytest.mark.xdist_group("fleets")
def test_beside_flux_there_are_no_changes_until_git_has_some(beside, capsys):
    before = len(beside.audit())
    status, found = beside.plan(capsys)
    assert (status, found["totals"]["changes"]) == (0, 0), found
    assert "Flux keeps it in sync" in found["cluster"]
    assert "Flux reconciles it in this cluster, at main@sha1:" in found["kustomizations"][0]["notes"][0]
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "apps"}}
    beside.apply({**scaled, "spec": {"replicas": 3}}, manager="autoscaler")
    assert beside.plan(capsys)[0] == 0

    changed = json.loads(json.dumps(BESIDE))
    changed["apps/settings.yaml"] = [plain("ConfigMap", "settings", data={"colour": "red"})]
    changed["apps/secret.yaml"][0]["stringData"]["password"] = "canary-two"
    changed["apps/web.yaml"][0]["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
    changed["apps/more.yaml"] = [plain("ConfigMap", "more", data={"a": "b"})]
    changed["clusters/prod/apps.yaml"][0]["spec"]["interval"] = "5m"
    lay(beside.source, changed)
    status, found = beside.plan(capsys)
    shown = {c["object"]: c for each in found["kustomizations"] for c in each["changes"]}
    assert {name: change["action"] for name, change in shown.items()} == {
        "ConfigMap/apps/settings": "configured",
        "ConfigMap/apps/old": "deleted",
        "ConfigMap/apps/more": "created",
        "Secret/apps/login": "configured",
        "Deployment/apps/web": "configured",
        "Kustomization/flux-system/apps": "configured",
    }
    assert shown["ConfigMap/apps/settings"]["fields"] == [{"path": "data.colour", "old": "blue", "new": "red"}]
    assert shown["Secret/apps/login"]["fields"] == [{"path": "data.password", "old": "***", "new": "***"}]
    image = {"path": "spec.template.spec.containers[web].image", "old": "web:1", "new": "web:2"}
    assert shown["Deployment/apps/web"]["fields"] == [image]
    assert shown["Kustomization/flux-system/apps"]["fields"] == [{"path": "spec.interval", "old": "10m", "new": "5m"}]
    assert (status, "canary" in json.dumps(found)) == (1, False)

    (beside.source / "clusters/prod/apps.yaml").unlink()
    status, found = beside.plan(capsys)
    gone = {c["object"]: c.get("reason", "") for each in found["kustomizations"] for c in each["changes"]}
    assert "6 objects" in gone["Kustomization/flux-system/apps"]

    asked = beside.audit()[before:]
    writes = [r for r in asked if r["verb"] not in ("get", "list") and "dryRun=All" not in r["requestURI"]]
    assert [r["requestURI"] for r in writes if "fieldManager=autoscaler" not in r["requestURI"]] == []
    assert {r["verb"] for r in asked} == {"get", "list", "patch"}
    held = beside.api.call("GET", "/api/v1/namespaces/penstock-system/configmaps")[1]["items"]
    assert [each["metadata"]["name"] for each in held] == ["kube-root-ca.crt"]
