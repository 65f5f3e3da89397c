"""Moving and second owners on a real API server, which keeps the records: who wrote, and what was made anew."""

import json
import time
from dataclasses import replace

import pytest
import yaml
from tests.controlplane import fixtures
from tests.controlplane.build import tool
from tests.controlplane.identities import printed
from tests.flux_world import FluxWorld
from tests.memory_plane import CLUSTER, UID, URL, MemoryPlane, OneCluster, config_map, kustomization, namespace

from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.cli.migrate.from_flux import move_from_flux
from penstock.cli.migrate.side import Side
from penstock.cli.migrate.survey import survey
from penstock.cli.migrate.survey_back import survey_back
from penstock.cli.migrate.to_flux import move_to_flux
from penstock.cli.uninstall import survey as uninstallable
from penstock.cli.uninstall import uninstall
from penstock.core.records import Adoption, adoption_key
from penstock.core.resources import Gvk

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("fleets")]

SOURCE = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "flux-system", "namespace": "flux-system"},
    "spec": {"url": URL, "ref": {"branch": "main"}, "interval": "1m"},
}
ROOT, APPS = kustomization("flux-system", "clusters/prod"), kustomization("apps", "apps")
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "apps", "annotations": {"left-with-git": "yes"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    },
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "login", "namespace": "apps"},
    "data": {"password": "Y2FuYXJ5"},
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "apps"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
}
A = config_map("a", key="1", old="1")
APPLIED = [namespace("apps"), WEB, SERVICE, SECRET, A, config_map("b", key="1")]
FILES = {
    "clusters/prod/sync.yaml": yaml.safe_dump(SOURCE) + "---\n" + ROOT,
    "clusters/prod/apps.yaml": APPS,
    **{f"apps/{n}.yaml": d if isinstance(d, str) else yaml.safe_dump(d) for n, d in enumerate(APPLIED)},
}


@pytest.fixture
def api(tmp_path):
    """A control plane of its own: these tests use penstock-system and flux-system as a whole."""
    if tool("controlplane") is None:
        pytest.skip("no Kubernetes control plane is built here: run `make tools`")
    folder = tmp_path / "control-plane"
    folder.mkdir()
    fixtures._start(folder)
    yield fixtures.ControlPlane(kubeconfig=folder / "kubeconfig", folder=folder)
    fixtures._stop(int((folder / "pid").read_text()))


def connection(api, user=""):
    """The cluster as an administrator of that name, or as the one whom the audit log calls admin."""
    given = Kubeconfig(data=api.kubeconfig_for(user)) if user else Kubeconfig(paths=(str(api.kubeconfig),))
    return KubeClusters(lambda _: given).connect("it")


class Plane(MemoryPlane):
    """A plane whose cluster is real, and known to it as ``user``."""

    def __init__(self, api, user, uid=UID):
        super().__init__()
        self.cluster = connection(api, user)
        self.clock._ids = int.from_bytes(user.encode()[:3], "big")  # its own names for its own runs
        self.deps = replace(self.deps, clusters=OneCluster(self.cluster))
        self.uid = uid
        if uid != UID:
            for record in self.state.list(""):
                self.state.delete(record.key, expected=None)
            self.apply_plane(uid=uid)

    def side(self):
        return Side(
            clusters=OneCluster(self.cluster),
            clock=self.clock,
            uid=self.uid,
            name=CLUSTER,
            path="clusters/prod",
            say=lambda _: None,
        )


def seen(api):
    """uid, generation and content of all that is applied, the ReplicaSets and Pods that it made."""
    found = {}
    for path in ("/api/v1/namespaces/apps/configmaps", "/api/v1/namespaces/apps/secrets", "/api/v1/namespaces/apps/services",
                 "/apis/apps/v1/namespaces/apps/deployments", "/apis/apps/v1/namespaces/apps/replicasets",
                 "/api/v1/namespaces/apps/pods", "/api/v1/namespaces"):  # fmt: skip
        for item in api.call("GET", path)[1]["items"]:
            meta = item["metadata"]
            if meta["name"] in ("penstock-system", "kube-root-ca.crt"):
                continue
            kept = {k: item[k] for k in ("spec", "data") if k in item}
            found[path, meta["name"]] = (meta["uid"], meta.get("generation"), json.dumps(kept, sort_keys=True))
    return found


def audit(api, user):
    """(verb, path) of the requests of a user that may write, from the API server's own log."""
    api._flush(api.folder / "audit.log")
    lines = (api.folder / "audit.log").read_text().splitlines()
    mine = [r for r in map(json.loads, lines) if r["user"].get("username") == user]
    reads = ("get", "list", "watch")
    found = ((r["auditID"], r["verb"], r["requestURI"].partition("?")[0]) for r in mine if r["verb"] not in reads)
    return list(dict.fromkeys(found))  # in the order of the log


def managers(api, path):
    fields = api.call("GET", path)[1]["metadata"]["managedFields"]
    return {(e["manager"], e["operation"]) for e in fields if not e.get("subresource")}


def as_flux_left_it(api):
    world = FluxWorld(connection(api))
    world.install(URL)
    world.reconcile("flux-system", [SOURCE, ROOT, APPS], revision="main@sha1:" + "a" * 40)
    world.reconcile("apps", APPLIED, revision="main@sha1:" + "a" * 40)
    end = time.monotonic() + 30
    while not api.call("GET", "/api/v1/namespaces/apps/pods")[1]["items"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    return world


def test_there_and_back_on_the_real_thing(api):
    world = as_flux_left_it(api)
    plane = Plane(api, "plane")
    plane.push(FILES)
    plane.settle(seconds=20)
    assert plane.ready("flux-system").startswith("False OwnedByFlux")
    assert audit(api, "plane") == [], "beside Flux it writes nothing"

    before = seen(api)
    assert move_from_flux(plane.side(), survey(plane.side()), plane.deps, timeout=30) == []
    assert seen(api) == before
    for path in (
        "/api/v1/namespaces/apps/configmaps/a",
        "/apis/apps/v1/namespaces/apps/deployments/web",
        "/api/v1/namespaces/apps",
    ):
        assert managers(api, path) - {("kube-controller-manager", "Update")} == {("penstock", "Apply")}, path
    mark = len(audit(api, "plane"))
    plane.reconcile("flux-system")
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert [path for _, _, path in audit(api, "plane")[mark:] if "penstock-system" not in path] == []

    web = {**WEB, "metadata": {"name": "web", "namespace": "apps"}}
    plane.push({"apps/4.yaml": config_map("a", key="1"), "apps/1.yaml": yaml.safe_dump(web), "apps/5.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert plane.config_map("a") == {"key": "1"}, "a field that left Git left the cluster"
    assert "left-with-git" not in plane.live("apps/v1", "Deployment", "apps", "web")["metadata"]["annotations"]
    assert plane.config_map("b") is None

    world.at(plane.status("apps").last_applied_revision)
    between = seen(api)
    assert move_to_flux(plane.side(), survey_back(plane.side(), plane.deps), plane.deps, timeout=30) == []
    assert seen(api) == between
    again = [path for _, verb, path in audit(api, "plane") if verb == "delete"]
    assert [path for path in again if "penstock-system" not in path] == ["/api/v1/namespaces/apps/configmaps/b"]
    assert managers(api, "/api/v1/namespaces/apps/configmaps/a") == {("kustomize-controller", "Apply")}
    assert "suspend" not in world.live("apps")["spec"]
    assert set(world.inventory("apps")) == {
        "_apps__Namespace", "apps_a__ConfigMap", "apps_login__Secret", "apps_web__Service", "apps_web_apps_Deployment",
    }  # fmt: skip
    world.reconcile("apps", [namespace("apps"), web, SERVICE, SECRET, config_map("a")])
    assert not plane.live("v1", "ConfigMap", "apps", "a").get("data"), "Flux removes what leaves Git"
    web_key = ("/apis/apps/v1/namespaces/apps/deployments", "web")
    pods = {key: value for key, value in before.items() if "pods" in key[0] or "replicasets" in key[0]}
    assert pods
    assert seen(api).items() >= pods.items(), "no pod was restarted from the beginning to the end"
    (uid, _, content), (first_uid, _, first_content) = seen(api)[web_key], before[web_key]
    assert (uid, content) == (first_uid, first_content)


class Elsewhere(OneCluster):
    """A plane's own cluster is in memory; what a kubeConfig of a Kustomization leads to is real."""

    def __init__(self, home, remote):
        super().__init__(home)
        self.remote = remote

    def connect_kubeconfig(self, kubeconfig, *, name, impersonate="", allowed_hosts=()):
        return self.remote


def by_kubeconfig(api):
    """A plane of another cluster, one of whose Kustomizations reaches into this one, with the same objects."""
    other = MemoryPlane()
    other.clock._ids = 10**6
    for record in other.state.list(""):
        other.state.delete(record.key, expected=None)
    other.apply_plane(uid="e" * 32)
    other.deps = replace(other.deps, clusters=Elsewhere(other.cluster, connection(api, "second")))
    for name in ("flux-system", "apps"):
        other.cluster.create(yaml.safe_load(namespace(name)))
    secret = {"metadata": {"name": "edge", "namespace": "flux-system"}, "data": {"value": "eA=="}}
    other.cluster.create({"apiVersion": "v1", "kind": "Secret", **secret})
    files = {path: text for path, text in FILES.items() if path.startswith("apps/")}
    edge = kustomization("edge", "apps", kubeConfig={"secretRef": {"name": "edge"}})
    mine = {"clusters/prod/apps.yaml": kustomization("apps", "none"), "none/n.yaml": config_map("n")}
    return other, "edge", {**files, **mine, "clusters/prod/edge.yaml": edge}


@pytest.mark.parametrize("second", ["fork", "kubeconfig", "flux"])
def test_the_second_owner_of_a_cluster_writes_nothing(api, second):
    if second == "flux":
        as_flux_left_it(api)
    else:
        first = Plane(api, "first")
        first.push(FILES)
        first.settle(seconds=20)
        assert first.ready("apps").startswith("True"), first.ready("apps")
    if second == "kubeconfig":
        other, name, files = by_kubeconfig(api)
    else:
        other, name, files = Plane(api, "second", uid="e" * 32), "flux-system", FILES
    before = seen(api)
    other.push({**files, "apps/4.yaml": config_map("a", key="2")})
    other.settle(seconds=30)
    for _ in range(2):
        other.tick()
        other.reconcile(name)
    assert audit(api, "second") == [], "neither objects, nor Lease, Namespace, inventory or event"
    assert seen(api) == before
    reason, owner = {
        "fork": ("OwnedByOther", f"{UID}/prod/flux-system/flux-system"),
        "kubeconfig": ("OwnedByOther", f"belongs to {UID}/prod/flux-system/apps"),
        "flux": ("OwnedByFlux", "Flux reconciles Kustomization flux-system/flux-system"),
    }[second]
    assert other.ready(name).startswith(f"False {reason}"), other.ready(name)
    assert owner in other.ready(name)


def test_an_adopted_cluster_is_one_of_the_second_plane_alone(api):
    first, second = Plane(api, "first"), Plane(api, "second", uid="e" * 32)
    first.push(FILES)
    first.settle(seconds=20)
    second.push({**FILES, "apps/4.yaml": config_map("a", key="2")})
    second.settle(seconds=20)
    asked = Adoption(who="ann", when=second.clock.now().isoformat())
    second.state.put(adoption_key(CLUSTER), asked.to_value(), expected=None)
    second.reconcile("flux-system")
    second.settle(seconds=120)
    assert second.ready("apps").startswith("True"), second.ready("apps")
    assert second.config_map("a") == {"key": "2"}
    mark = len(audit(api, "first"))
    first.push({"apps/4.yaml": config_map("a", key="3")})
    first.settle(seconds=30)
    assert audit(api, "first")[mark:] == []
    assert first.ready("apps").startswith("False OwnedByOther")
    held = first.cluster.get(Gvk(version="v1", kind="ConfigMap"), "penstock-system", "kustomization.flux-system.apps")
    assert held["data"]["owner"].startswith("e" * 32)


def printed_rights(profile):
    """(apiGroup, resource, verb) of every rule that is printed."""
    for document in yaml.safe_load_all(printed(profile)):
        for rule in document.get("rules") or ():
            for group in rule["apiGroups"]:
                yield from ((group, resource, verb) for resource in rule["resources"] for verb in rule["verbs"])


def used_rights(api, name):
    """(apiGroup, resource with its subresource, verb) that an identity used, and those that were refused."""
    api._flush(api.folder / "audit.log")
    records = map(json.loads, (api.folder / "audit.log").read_text().splitlines())
    user = f"system:serviceaccount:penstock-system:penstock-{name}"
    mine = [r for r in records if r["user"].get("username") == user and "objectRef" in r]
    refused = [f"{r['verb']} {r['requestURI']}" for r in mine if r["responseStatus"].get("code") == 403]
    used = set()
    for record in mine:
        ref = record["objectRef"]
        resource = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
        used.add((ref.get("apiGroup", ""), resource, record["verb"]))
    return used, refused


def idle(profile, used):
    """Printed rights that nothing used."""

    def fits(right, wanted):
        return all(mine in ("*", theirs) for mine, theirs in zip(right, wanted, strict=True))

    return {right for right in printed_rights(profile) if not any(fits(right, each) for each in used)}


ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "all", "namespace": "apps"},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
}


def test_the_printed_rights_are_enough_to_move_there_and_back(api):
    world = as_flux_left_it(api)
    world.reconcile("apps", [*APPLIED, ROLE], revision="main@sha1:" + "a" * 40)
    plane = Plane(api, "plane")
    plane.push({**FILES, "apps/role.yaml": yaml.safe_dump(ROLE)})
    plane.settle(seconds=20)
    before = seen(api)
    mover = as_printed(api, "migrate")
    there = replace(plane.side(), clusters=OneCluster(mover))
    assert move_from_flux(there, survey(there), plane.deps, timeout=30) == []
    other = {**SOURCE, "metadata": {"name": "other", "namespace": "flux-system"}}
    new = {"clusters/prod/new.yaml": kustomization("new", "new"), "new/n.yaml": config_map("n")}
    plane.push({**new, "clusters/prod/other.yaml": yaml.safe_dump(other)})
    plane.settle()
    plane.reconcile("flux-system")
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    before = seen(api)
    world.at(plane.status("new").last_applied_revision)
    back = replace(there, targets={})
    assert move_to_flux(back, survey_back(back, plane.deps), plane.deps, timeout=30) == []
    assert seen(api) == before
    used, refused = used_rights(api, "migrate")
    assert refused == []
    flux = ("source.extensions.fluxcd.io", "notification.toolkit.fluxcd.io")
    unused = {right for right in idle("migrate", used) if right[0] not in flux}  # there are none in this story
    made_by_apply = {("source.toolkit.fluxcd.io", "*", "create"), ("kustomize.toolkit.fluxcd.io", "*", "create")}
    assert unused == made_by_apply, "the log calls it a patch; without the right to create it would be refused"


def test_the_printed_rights_are_enough_to_uninstall(api):
    plane = Plane(api, "plane")
    plane.push({path: text for path, text in FILES.items() if not path.endswith("sync.yaml")})
    plane.settle(seconds=20)
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    gone = replace(plane.side(), clusters=OneCluster(as_printed(api, "uninstall")))
    assert uninstall(gone, uninstallable(gone, plane.state, workloads=True)) == []
    assert api.call("GET", "/api/v1/namespaces/apps/configmaps/a")[0] == 404
    used, refused = used_rights(api, "uninstall")
    assert refused == []
    of_kube_configs = {("", "secrets", "get"), ("", "configmaps", "get")}
    assert idle("uninstall", used) - of_kube_configs == set()


def as_printed(api, profile):
    identity = api.with_identity(profile)
    return KubeClusters(lambda _: Kubeconfig(data=identity.read_kubeconfig())).connect("it")
