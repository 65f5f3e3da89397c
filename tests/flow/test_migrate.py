"""`penstock migrate`, on ports in memory: a cluster that Flux keeps moves here and back, killed at every call."""

from dataclasses import replace

import pytest
import yaml
from tests.chaos.test_killed_between_calls import Killed, Mortal, Reaper
from tests.flux_world import KUSTOMIZATION, FluxWorld
from tests.memory_plane import CLUSTER, UID, URL, MemoryPlane, OneCluster, config_map, kustomization, namespace
from tests.stages.test_reconcile_remote import EKS

from penstock.cli.migrate.from_flux import move_from_flux
from penstock.cli.migrate.side import Side
from penstock.cli.migrate.survey import survey
from penstock.cli.migrate.survey_back import survey_back
from penstock.cli.migrate.text import after_from_flux, back_lines, plan_lines
from penstock.cli.migrate.to_flux import move_to_flux
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.flux.plane import Policy
from penstock.core.messages import PLANE
from penstock.core.reconcile.inventory import from_config_map
from penstock.core.reconcile.normalise import normalise
from penstock.core.records import SourceStatus, status_key
from penstock.core.resources import Gvk, ref_of
from penstock.ports.cluster import ApplyOptions

SOURCE = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "flux-system", "namespace": "flux-system"},
    "spec": {"url": URL, "ref": {"branch": "main"}, "interval": "1m"},
}
ROOT_SYNC = kustomization("flux-system", "clusters/prod")
RELEASE = {
    "apiVersion": "helm.toolkit.fluxcd.io/v1",
    "kind": "HelmRelease",
    "metadata": {"name": "redis", "namespace": "apps"},
    "spec": {"interval": "5m"},
}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {
        "name": "kustomize-controller",
        "namespace": "flux-system",
        "labels": {"app.kubernetes.io/part-of": "flux"},
    },
}
APPS = kustomization("apps", "apps")
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "apps"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    },
}
A, B = config_map("a", key="1", old="1"), config_map("b", key="1")
GIT = {
    "clusters/prod/sync.yaml": "---\n".join([yaml.safe_dump(SOURCE), ROOT_SYNC]),
    "clusters/prod/components.yaml": yaml.safe_dump(CONTROLLER),
    "clusters/prod/apps.yaml": APPS,
    "apps/namespace.yaml": namespace("apps"),
    "apps/web.yaml": yaml.safe_dump(DEPLOYMENT),
    "apps/a.yaml": A,
    "apps/b.yaml": B,
    "apps/redis.yaml": yaml.safe_dump(RELEASE),
}


class Moving(MemoryPlane):
    """A plane on a cluster that Flux has in sync with the same repository."""

    def __init__(self):
        super().__init__()
        self.flux = FluxWorld(self.cluster)
        self.flux.install(URL)
        self.flux_root()
        self.flux_apps()
        self.revision = self.push(GIT)
        self.settle(seconds=5)
        self.flux.at(self.revision)
        self.lines = []

    def flux_root(self):
        return self.flux.reconcile(
            "flux-system", [SOURCE, ROOT_SYNC, CONTROLLER, APPS], revision="main@sha1:" + "a" * 40
        )

    def flux_apps(self, *files):
        documents = files or [namespace("apps"), DEPLOYMENT, A, B, RELEASE]
        return self.flux.reconcile("apps", documents, revision="main@sha1:" + "a" * 40)

    def side(self, cluster=None):
        return Side(
            clusters=OneCluster(cluster or self.cluster),
            clock=self.clock,
            uid=UID,
            name=CLUSTER,
            path="clusters/prod",
            say=self.lines.append,
        )

    def move(self, cluster=None, state=None):
        side = self.side(cluster)
        deps = self.deps if state is None else replace(self.deps, state=state)
        return move_from_flux(side, survey(side), deps, timeout=60)

    def back(self, cluster=None, state=None):
        side = self.side(cluster)
        deps = self.deps if state is None else replace(self.deps, state=state)
        return move_to_flux(side, survey_back(side, deps), deps, timeout=60)

    def snapshot(self):
        """Everything that Flux applied, without what a migration may change."""
        found = {}
        for kind in ("v1 ConfigMap", "v1 Namespace", "apps/v1 Deployment", "helm.toolkit.fluxcd.io/v1 HelmRelease"):
            api_version, _, name = kind.partition(" ")
            group, _, version = api_version.rpartition("/")
            for item in self.cluster.list(Gvk(group=group, version=version, kind=name)).items:
                if "penstock-system" in (item["metadata"].get("namespace"), item["metadata"]["name"]):
                    continue
                metadata = {k: v for k, v in item["metadata"].items() if k not in ("managedFields", "resourceVersion")}
                found[str(ref_of(item))] = {**item, "metadata": metadata}
        return found

    def managers(self, kind="ConfigMap", name="a", api_version="v1"):
        live = self.live(api_version, kind, "apps", name)
        return {(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"] if not e.get("subresource")}

    def deletes(self):
        return [call for call in self.cluster.calls if call[0] == "delete" and "penstock-system" not in call[1]]


@pytest.fixture
def plane():
    return Moving()


def test_before_it_the_plane_writes_nothing(plane):
    assert plane.ready("flux-system").startswith("False OwnedByFlux")
    assert "penstock migrate from-flux" in plane.ready("flux-system")
    assert plane.live("v1", "Namespace", "", "penstock-system") is None


def test_the_plan_writes_nothing_and_tells_what_moves_and_what_stays(plane):
    plane.cluster.calls.clear()
    found = survey(plane.side())
    lines = "\n".join(plan_lines(found))
    assert plane.writes() == []
    assert [move.name for move in found.moves] == ["flux-system/flux-system", "flux-system/apps"]
    assert [len(move.entries) for move in found.moves] == [0, 4]
    assert "4 objects move (2 ConfigMap, 1 Deployment, 1 Namespace)" in lines
    assert "1 HelmRelease: stays with Flux" in lines
    assert "a component of Flux" in lines
    assert "helm" not in after_from_flux(found)[-1]
    assert "Keep Flux's other controllers: they still work on 1 HelmRelease" in "\n".join(after_from_flux(found))


def test_there_and_back_nothing_is_made_anew_and_fields_change_hands(plane):
    before = plane.snapshot()
    plane.cluster.calls.clear()
    assert plane.move() == []
    assert plane.snapshot() == before
    assert plane.deletes() == []
    assert plane.managers() == {("penstock", "Apply")}
    assert plane.managers("Deployment", "web", "apps/v1") == {("penstock", "Apply")}
    assert plane.flux.live("apps")["spec"]["suspend"] is True
    plane.cluster.calls.clear()
    plane.reconcile("flux-system")
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert [call for call in plane.writes() if "penstock-system" not in call[1]] == [], "not one object was written"

    plane.push({"apps/a.yaml": config_map("a", key="1"), "apps/b.yaml": None, "apps/c.yaml": config_map("c", key="1")})
    plane.settle()
    assert plane.config_map("a") == {"key": "1"}, "a field that left Git left the cluster"
    assert plane.config_map("b") is None
    uid = plane.live("apps/v1", "Deployment", "apps", "web")["metadata"]["uid"]
    assert uid == before["Deployment/apps/web"]["metadata"]["uid"]
    assert plane.live("helm.toolkit.fluxcd.io/v1", "HelmRelease", "apps", "redis") is not None

    plane.flux.at(plane.status("apps").last_applied_revision)
    after = plane.snapshot()
    plane.cluster.calls.clear()
    assert plane.back() == []
    assert plane.snapshot() == after
    assert plane.deletes() == []
    assert plane.managers() == {("kustomize-controller", "Apply")}
    assert "suspend" not in plane.flux.live("apps")["spec"]
    assert plane.flux.live("apps")["metadata"].get("annotations") in (None, {})
    assert plane.status("apps").suspension.who == "penstock migrate"
    inventory = plane.flux.inventory("apps")
    assert {"apps_c__ConfigMap", "apps_redis_helm.toolkit.fluxcd.io_HelmRelease"} <= set(inventory)
    assert "flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization" in plane.flux.inventory("flux-system")
    assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps") is None
    pruned = plane.flux_apps(namespace("apps"), DEPLOYMENT, config_map("a"), RELEASE)
    assert not plane.live("v1", "ConfigMap", "apps", "a").get("data"), "what leaves Git under Flux leaves the cluster"
    assert pruned == ["apps_c__ConfigMap"]
    plane.cluster.calls.clear()
    plane.reconcile("apps")
    assert plane.writes() == [], "the plane rests"


def kill(plane, action, *, at, after):
    """Kill the command at one of its calls that have an effect; whether it came so far."""
    reaper = Reaper()
    reaper.at, reaper.after = at, after
    try:
        action(Mortal(plane.cluster, reaper), Mortal(plane.state, reaper))
    except Killed:
        plane.clock.advance(200)  # its Lease has run out
        return True
    return False


def moved():
    plane = Moving()
    plane.move()
    plane.reconcile("flux-system")
    plane.push({"apps/b.yaml": None})
    plane.settle()
    assert plane.config_map("b") is None
    plane.flux.at(plane.status("apps").last_applied_revision)
    return plane


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_call_and_made_again_it_has_moved(after):
    killed = 0
    for at in range(1, 20):
        plane = Moving()
        before = plane.snapshot()
        killed += kill(plane, plane.move, at=at, after=after)
        plane.settle(seconds=90)  # the plane goes on meanwhile, with whatever it finds
        assert plane.deletes() == []
        plane.move()
        assert plane.snapshot() == before, at
        assert plane.managers() == {("penstock", "Apply")}, at
        assert plane.managers("Deployment", "web", "apps/v1") == {("penstock", "Apply")}
        plane.push({"apps/b.yaml": None})
        plane.settle()
        plane.reconcile("flux-system")
        assert plane.ready("apps").startswith("True"), plane.ready("apps")
        assert plane.deletes() == [("delete", "ConfigMap/apps/b")], at
    assert killed >= 13


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_call_and_made_again_it_has_gone_back(after):
    killed = 0
    for at in range(1, 21):
        plane = moved()
        before = plane.snapshot()
        plane.cluster.calls.clear()
        killed += kill(plane, plane.back, at=at, after=after)
        plane.settle(seconds=90)
        plane.back()
        assert plane.snapshot() == before, at
        assert plane.managers() == {("kustomize-controller", "Apply")}, at
        assert "suspend" not in plane.flux.live("apps")["spec"], at
        assert "suspend" not in plane.flux.live("flux-system")["spec"], at
        assert {"apps_a__ConfigMap"} <= set(plane.flux.inventory("apps")), at
        assert "apps_b__ConfigMap" not in plane.flux.inventory("apps"), at
        assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps") is None
        assert plane.deletes() == [], at
    assert killed >= 18


def test_what_left_git_during_the_move_is_pruned_by_the_plane(plane):
    plane.push({"apps/b.yaml": None})
    plane.settle(seconds=5)
    plane.move()
    plane.reconcile("flux-system")
    assert plane.config_map("b") is None
    assert plane.live("helm.toolkit.fluxcd.io/v1", "HelmRelease", "apps", "redis") is not None


def test_a_run_of_flux_that_goes_on_is_waited_for(plane):
    live = plane.flux.live("apps")
    busy = {"type": "Reconciling", "status": "True", "reason": "Progressing", "message": "Detecting drift"}
    plane.flux.set_status(KUSTOMIZATION, "apps", {**live["status"], "conditions": [busy]})
    with pytest.raises(Transient, match="Flux is still at work on flux-system/apps"):
        plane.move()
    assert plane.managers() == {("kustomize-controller", "Apply")}
    late = config_map("late", key="1")
    plane.cluster.apply(yaml.safe_load(late), ApplyOptions(field_manager="kustomize-controller"))
    entries = [*live["status"]["inventory"]["entries"], {"id": "apps_late__ConfigMap", "v": "v1"}]
    plane.flux.set_status(KUSTOMIZATION, "apps", {**live["status"], "inventory": {"entries": entries}})
    plane.move()
    held = plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps")
    assert "late" in {ref.name for ref in from_config_map(held).entries}


def test_one_that_was_suspended_in_flux_stays_suspended_here_and_back(plane):
    live = plane.flux.live("apps")
    plane.cluster.replace({**live, "spec": {**live["spec"], "suspend": True}})
    assert any("suspended in Flux" in line for line in plan_lines(survey(plane.side())))
    plane.move()
    assert plane.status("apps").suspension.why == "it was suspended in Flux"
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    plane.reconcile("flux-system")
    assert plane.config_map("a") == {"key": "1", "old": "1"}
    plane.flux.at(plane.status("flux-system").last_applied_revision)
    plane.back()
    assert plane.flux.live("apps")["spec"]["suspend"] is True
    assert "suspend" not in plane.flux.live("flux-system")["spec"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"sourceRef": {"kind": "HelmChart", "name": "c"}}, "sourceRef.kind"),
        ({"typo": 1}, "typo"),
        ({"kubeConfig": {"secretRef": {"name": "none"}}}, "kubeConfig Secret 'flux-system/none' not found"),
    ],
)
def test_what_cannot_move_stays_with_flux_and_so_does_what_it_renders(plane, spec, why):
    odd, below = kustomization("odd", "odd", **spec), kustomization("below", "below")
    plane.flux.reconcile("flux-system", [SOURCE, ROOT_SYNC, CONTROLLER, APPS, odd])
    plane.flux.reconcile("odd", [below])
    plane.flux.reconcile("below", [config_map("z")])
    found = survey(plane.side())
    assert why in found.stays["flux-system/odd"]
    assert "no Kustomization that moves renders it" in found.stays["flux-system/below"]
    plane.move()
    assert "suspend" not in plane.flux.live("odd")["spec"]
    assert plane.managers(name="z") == {("kustomize-controller", "Apply")}


@pytest.mark.parametrize("given", [{"serviceAccountName": "deployer"}, {}], ids=["account", "the plane's identity"])
def test_one_whose_config_map_leads_elsewhere_moves_and_goes_back(plane, given):
    far, policy = plane.clusters.remote, {"ownIdentityClusters": [EKS]}
    far.create(yaml.safe_load(namespace("apps")))
    plane.cluster.create(yaml.safe_load(config_map("remote", "flux-system", provider="aws", cluster=EKS, **given)))
    edge = kustomization("edge", "edge", kubeConfig={"configMapRef": {"name": "remote"}})
    plane.flux.reconcile("flux-system", [SOURCE, ROOT_SYNC, CONTROLLER, APPS, edge])
    applied = normalise(yaml.safe_load(config_map("e", key="1")), namespace="flux-system", name="edge")
    far.apply(applied, ApplyOptions(field_manager="kustomize-controller"))
    inventory = {"entries": [{"id": "apps_e__ConfigMap", "v": "v1"}]}
    plane.cluster.replace_status({**plane.flux.live("edge"), "status": {"inventory": inventory}})
    here = replace(plane.side(), clusters=plane.clusters)
    if not given:
        assert "policy.ownIdentityClusters does not allow" in survey(here).stays["flux-system/edge"]
        plane.apply_plane(policy=policy)
        here = replace(here, policy=Policy(own_identity_clusters=(EKS,)), targets={})
    found = survey(here)
    (move,) = [each for each in found.moves if each.name == "flux-system/edge"]
    assert "applies to the cluster of ConfigMap remote" in move.notes
    assert plane.clusters.remotes[-1].access.cluster == EKS
    assert move_from_flux(here, found, plane.deps, timeout=60) == []
    held, gvk = "kustomization.flux-system.edge", Gvk(version="v1", kind="ConfigMap")
    assert far.get(gvk, "penstock-system", held) is not None
    revision = plane.push({"clusters/prod/edge.yaml": edge, "edge/e.yaml": config_map("e", key="2")})
    plane.settle()
    plane.reconcile("flux-system")
    assert plane.ready("edge").startswith("True"), plane.ready("edge")
    assert far.get(gvk, "apps", "e")["data"] == {"key": "2"}
    assert far.get(gvk, "apps", "e")["metadata"]["uid"] == move.objects[next(iter(move.entries))]["metadata"]["uid"]
    assert plane.cluster.get(gvk, "penstock-system", held) is not None, "what names it at home"
    plane.flux.at(revision)
    assert move_to_flux(here, survey_back(here, plane.deps), plane.deps, timeout=60) == []
    assert far.get(gvk, "penstock-system", held) is None
    assert plane.cluster.get(gvk, "penstock-system", held) is None
    managers = {(e["manager"], e["operation"]) for e in far.get(gvk, "apps", "e")["metadata"]["managedFields"]}
    assert managers == {("kustomize-controller", "Apply")}


def test_another_planes_inventory_refuses_the_move(plane):
    plane.move()
    with pytest.raises(Refused, match=r"is owned by f+/prod/flux-system/flux-system, not by e+/"):
        survey(replace(plane.side(), uid="e" * 32))


def test_without_flux_there_is_nothing_to_move():
    plane = MemoryPlane()
    with pytest.raises(NotFound, match="Flux is not installed"):
        survey(Side(clusters=OneCluster(plane.cluster), clock=plane.clock, name=CLUSTER))


# --- back


def test_flux_is_not_resumed_before_its_sources_are_where_the_plane_is(plane):
    plane.move()
    plane.reconcile("flux-system")
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    with pytest.raises(
        Transient, match="Flux's sources are not where the plane is: GitRepository/flux-system/flux-system"
    ):
        plane.back()
    assert plane.flux.live("apps")["spec"]["suspend"] is True
    held = plane.state.get(status_key(PLANE, "GitRepository", "flux-system", "flux-system"))
    plane.flux.at(SourceStatus.from_value(held.value).revision)
    plane.back()
    assert "suspend" not in plane.flux.live("apps")["spec"]


def test_flux_wakes_to_the_specs_that_git_has_now(plane):
    plane.move()
    plane.reconcile("flux-system")
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "apps-2"),
            "clusters/prod/new.yaml": kustomization("new", "new"),
            "new/n.yaml": config_map("n", key="1"),
            **{path.replace("apps/", "apps-2/"): text for path, text in GIT.items() if path.startswith("apps/")},
        }
    )
    plane.settle()
    assert plane.config_map("n") == {"key": "1"}
    lines = back_lines(survey_back(plane.side(), plane.deps))
    assert any("is made in Flux" in line and "flux-system/new" in line for line in lines)
    plane.flux.at(plane.status("new").last_applied_revision)
    plane.back()
    assert plane.flux.live("apps")["spec"]["path"] == "apps-2"
    assert "suspend" not in plane.flux.live("new")["spec"]
    assert plane.flux.inventory("new") == ["apps_n__ConfigMap"]
    assert "flux-system_new_kustomize.toolkit.fluxcd.io_Kustomization" in plane.flux.inventory("flux-system")


def test_what_left_git_meanwhile_does_not_come_back(plane):
    plane.flux.reconcile("flux-system", [SOURCE, ROOT_SYNC, CONTROLLER, APPS, kustomization("old", "old")])
    plane.flux.reconcile("old", [config_map("o", key="1")])
    plane.push({"clusters/prod/old.yaml": kustomization("old", "old"), "old/o.yaml": config_map("o", key="1")})
    plane.settle(seconds=5)
    plane.move()
    plane.reconcile("flux-system")
    plane.push({"clusters/prod/old.yaml": None})
    plane.settle()
    assert plane.config_map("o") is None
    plane.flux.at(plane.status("flux-system").last_applied_revision)
    plane.back()
    assert plane.flux.live("old")["spec"]["suspend"] is True
    assert plane.flux.inventory("old") == []


def test_another_source_is_not_taken_for_the_planes(plane):
    plane.move()
    plane.reconcile("flux-system")
    gvk = Gvk(group="source.toolkit.fluxcd.io", version="v1", kind="GitRepository")
    live = plane.cluster.get(gvk, "flux-system", "flux-system")
    plane.cluster.replace({**live, "spec": {**live["spec"], "ref": {"branch": "old"}}})
    with pytest.raises(Refused, match=r"has spec\.ref"):
        survey_back(plane.side(), plane.deps)
