"""What could delete or overwrite what it should not, leave an orphan, or never come to rest."""

from datetime import timedelta

import pytest
import yaml
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.cluster.memory import Grant
from penstock.core.errors import Transient
from penstock.core.messages import PLANE, SourceChanged
from penstock.core.reconcile.inventory import Inventory, Owner, Shown, to_config_map
from penstock.core.records import ObjectRecord, SourceStatus, object_key, status_key
from penstock.core.resources import ObjectRef
from penstock.ports.cluster import ApiRefused

APPS = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/b.yaml": config_map("b", key="1"),
}
INVENTORY = "kustomization.flux-system.apps"


def definition(group, kind, plural, scope="Namespaced"):
    """A CustomResourceDefinition as YAML."""
    names, versions = {"kind": kind, "plural": plural}, [{"name": "v1", "served": True, "storage": True}]
    return yaml.safe_dump(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": scope, "names": names, "versions": versions},
        }
    )


KUSTOMIZATIONS = definition("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations")
WIDGETS = definition("example.com", "Widget", "widgets")
API_SERVICES = definition("apiregistration.k8s.io", "APIService", "apiservices", "Cluster")


def started(files=APPS, **options):
    plane = MemoryPlane(**options)
    plane.push(files)
    plane.settle()
    plane.cluster.calls.clear()
    plane.events.clear()
    return plane


def touched(plane, text):
    """Writes to objects whose name holds ``text``."""
    return [call for call in plane.writes() if text in call[1] and "penstock-system" not in call[1]]


def meanwhile(plane, method, text, action):
    """Before the first request of this method to an object of that name: somebody else does something."""
    original = getattr(plane.cluster, method)
    done = []

    def interposed(manifest, *rest, **options):
        if not done and text in f"{manifest['kind']}/{manifest['metadata']['name']}":
            done.append(True)
            action()
        return original(manifest, *rest, **options)

    setattr(plane.cluster, method, interposed)
    return done


def replaced_record(plane, key, change):
    """Write a record of the plane as another stage would."""
    held = plane.state.get(key)
    plane.state.put(key, change(held.value), expected=None, due=held.due)


def suspend(plane, name="apps"):
    key = status_key(CLUSTER, "Kustomization", "flux-system", name)
    replaced_record(
        plane, key, lambda value: {**value, "suspension": {"who": "ops", "why": "", "until": "", "since": ""}}
    )


# --- the inventory and the plane's records


def test_an_inventory_that_somebody_deleted_is_restored_before_anything_is_pruned():
    plane = started()
    plane.cluster.delete(plane.live("v1", "ConfigMap", "penstock-system", INVENTORY))
    plane.push({"apps/b.yaml": None})
    plane.settle()
    assert plane.config_map("b") is None
    restored = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    assert restored["data"]["inventory"] == '["_apps__Namespace@v1","apps_a__ConfigMap@v1"]'


def test_an_inventory_that_was_deleted_before_its_kustomization_was_is_restored_too():
    plane = started({**APPS, "clusters/prod/c.yaml": kustomization("c", "c"), "c/c.yaml": config_map("c", key="1")})
    plane.cluster.delete(plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.c"))
    plane.push({"clusters/prod/c.yaml": None})
    plane.settle()
    assert plane.config_map("c") is None
    assert not plane.known("Kustomization", "c")
    assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.c") is None


def lose_records(plane):
    for record in plane.state.list(""):
        plane.state.delete(record.key, expected=None)


def test_a_plane_that_lost_all_its_records_goes_on_with_the_same_uid():
    plane = started()
    lose_records(plane)
    plane.cluster.calls.clear()
    plane.files.pop("apps/b.yaml")
    plane.apply_plane()
    plane.push({})
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert touched(plane, "/apps/a") == []
    assert plane.config_map("b") is None, "the inventory in the cluster still knew it"


def test_a_plane_that_comes_back_with_another_uid_writes_nothing():
    plane = started()
    lose_records(plane)
    plane.apply_plane(uid="e" * 32)
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=20)
    assert plane.ready("flux-system").startswith("False OwnedByOther"), plane.ready("flux-system")
    assert plane.config_map("a") == {"key": "1"}


def test_a_restored_store_does_not_bring_an_old_revision_back():
    plane = started()
    backup = plane.state.list("")
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    lose_records(plane)
    for record in backup:
        plane.state.put(record.key, record.value, expected=None, due=record.due)
    plane.clock.advance(3600)
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "2"}
    assert touched(plane, "/apps/a") == []
    assert plane.ready("apps").startswith("True"), plane.ready("apps")


@pytest.mark.parametrize("ahead", [0, 300, -300], ids=lambda s: f"fetch's clock {s} s ahead")
def test_no_clock_says_whether_restored_records_are_new(ahead):
    """The head has to be resolved after the restore; the wake-up of a Kustomization comes before that."""
    plane = started()
    plane.clock.advance(ahead)
    plane.publish(SourceChanged(cluster=PLANE, namespace="flux-system", name="flux-system"))
    plane.settle(seconds=5)
    plane.clock.advance(-ahead)
    backup = plane.state.list("")
    plane.push({"apps/c.yaml": config_map("c", key="1")})
    plane.settle()
    lose_records(plane)
    for record in backup:
        plane.state.put(record.key, record.value, expected=None, due=record.due)
    plane.cluster.calls.clear()
    plane.reconcile("apps", why="dependency")
    plane.settle(seconds=60)
    assert plane.config_map("c") == {"key": "1"}
    assert touched(plane, "/apps/c") == []
    assert plane.ready("apps").startswith("True"), plane.ready("apps")


def test_restored_records_count_on_from_what_the_cluster_holds():
    """Also where another commit has come meanwhile; a run of the time before the restore writes nothing any more."""
    plane = started()
    backup = plane.state.list("")
    for key in "234":
        plane.push({"apps/a.yaml": config_map("a", key=key)})
        plane.settle()
    held = int(plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)["data"]["observation"])
    lose_records(plane)
    for record in backup:
        plane.state.put(record.key, record.value, expected=None, due=record.due)
    plane.push({"apps/a.yaml": config_map("a", key="5")})
    plane.settle(seconds=60)
    assert plane.config_map("a") == {"key": "5"}
    status = plane.state.get(status_key(PLANE, "GitRepository", "flux-system", "flux-system"))
    assert SourceStatus.from_value(status.value).observation > held
    assert plane.ready("apps").startswith("True"), plane.ready("apps")


@pytest.mark.parametrize("number", ["-5", str(1 << 60), "9" * 4000], ids=["negative", "large", "endless"])
def test_an_absurd_number_in_an_inventory_stops_nothing(number):
    plane = started()
    live = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    plane.cluster.replace(
        {**live, "data": {**live["data"], "observation": number, "revision": "main@sha1:" + "0" * 40}}
    )
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=60)
    assert plane.config_map("a") == {"key": "2"}
    plane.push({"apps/a.yaml": config_map("a", key="3")})
    plane.settle(seconds=60)
    assert plane.config_map("a") == {"key": "3"}


def test_a_source_that_is_declared_again_counts_from_one():
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "own", "namespace": "flux-system"},
        "spec": {"url": "https://git.example.com/fleet", "ref": {"branch": "main"}, "interval": "1m"},
    }
    own = kustomization("apps", "apps", sourceRef={"kind": "GitRepository", "name": "own"})
    plane = started({**APPS, "clusters/prod/own.yaml": yaml.safe_dump(source), "clusters/prod/apps.yaml": own})
    for key in "234":
        plane.push({"apps/a.yaml": config_map("a", key=key)})
        plane.publish(SourceChanged(cluster=CLUSTER, namespace="flux-system", name="own"))
        plane.settle()
    assert plane.config_map("a") == {"key": "4"}
    plane.push({"clusters/prod/own.yaml": None})
    plane.settle()
    plane.push({"clusters/prod/own.yaml": yaml.safe_dump(source), "apps/a.yaml": config_map("a", key="5")})
    plane.settle()
    assert plane.config_map("a") == {"key": "5"}
    assert plane.ready("apps").startswith("True"), plane.ready("apps")


# --- others on the same cluster


def owned_by(manifest, name, namespace):
    labels = {f"kustomize.toolkit.fluxcd.io/{key}": value for key, value in (("name", name), ("namespace", namespace))}
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


@pytest.mark.parametrize("listed", [True, False])
def test_an_object_of_another_plane_is_not_taken(listed):
    plane = started({**APPS, "clusters/prod/web.yaml": kustomization("web", "web"), "web/w.yaml": config_map("w")})
    plane.cluster.create(owned_by(yaml.safe_load(config_map("x", key="theirs")), "theirs", "hub"))
    owner = Owner(plane="e" * 32, cluster="prod", namespace="hub", name="theirs")
    entries = {ObjectRef(kind="ConfigMap", namespace="apps", name="x" if listed else "y"): "v1"}
    plane.cluster.create(to_config_map(Inventory(owner=str(owner), entries=entries), owner, Shown()))
    plane.push({"web/x.yaml": config_map("x", key="ours")})
    plane.settle(seconds=20)
    assert plane.config_map("x") == {"key": "theirs" if listed else "ours"}
    expected = "False OwnedByOther: ConfigMap/apps/x belongs to eeee" if listed else "True"
    assert plane.ready("web").startswith(expected), plane.ready("web")


@pytest.mark.parametrize(
    ("suspend_there", "expected"), [(False, "False OwnedByFlux: ConfigMap/apps/x"), (True, "True")]
)
def test_an_object_that_flux_applies_is_not_taken(suspend_there, expected):
    plane = started({**APPS, "clusters/prod/web.yaml": kustomization("web", "web")})
    plane.cluster.create(yaml.safe_load(KUSTOMIZATIONS))
    theirs = yaml.safe_load(kustomization("live", "x", namespace="apps", suspend=suspend_there))
    plane.cluster.create(theirs)
    plane.cluster.create(owned_by(yaml.safe_load(config_map("x", key="flux")), "live", "apps"))
    plane.push({"web/x.yaml": config_map("x", key="ours")})
    plane.settle(seconds=20)
    assert plane.ready("web").startswith(expected), plane.ready("web")
    assert plane.config_map("x") == {"key": "ours" if suspend_there else "flux"}


def test_the_name_of_the_root_cannot_be_taken_by_another_kustomization():
    plane = started()
    plane.push({"apps/root.yaml": kustomization("flux-system", "elsewhere"), "elsewhere/x.yaml": config_map("x")})
    plane.settle(seconds=20)
    record = ObjectRecord.from_value(
        plane.state.get(object_key(CLUSTER, "Kustomization", "flux-system", "flux-system")).value
    )
    assert record.document["spec"]["path"].strip("./") == "clusters/prod"
    assert "give this one another name" in plane.ready("apps")
    assert plane.config_map("a") == {"key": "1"}


def test_an_object_made_by_kubectl_is_adopted():
    plane = started()
    plane.cluster.create(yaml.safe_load(config_map("c", key="kubectl", other="kept")))
    plane.push({"apps/c.yaml": config_map("c", key="1")})
    plane.settle()
    assert plane.config_map("c")["key"] == "1"
    plane.push({"apps/c.yaml": None})
    plane.settle()
    assert plane.config_map("c") is None


# --- while a run is at work


def test_a_spec_that_changes_between_plan_and_apply_is_not_overwritten():
    plane = started(
        {**APPS, "second/namespace.yaml": namespace("apps"), "second/a.yaml": config_map("a", key="second")}
    )
    done = meanwhile(
        plane,
        "replace",
        "Lease/",
        lambda: replaced_record(
            plane,
            object_key(CLUSTER, "Kustomization", "flux-system", "apps"),
            lambda value: {
                **value,
                "generation": value["generation"] + 1,
                "document": yaml.safe_load(kustomization("apps", "second", prune=False)),
            },
        ),
    )
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=30)
    assert done
    assert plane.config_map("a") == {"key": "second"}
    assert [call for call in touched(plane, "/apps/a") if call[0] == "patch"] == [("patch", "ConfigMap/apps/a")]


def test_what_is_suspended_between_plan_and_apply_is_left_alone():
    plane = started()
    assert meanwhile(plane, "replace", "Lease/", lambda: suspend(plane)) == []
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=30)
    assert plane.config_map("a") == {"key": "1"}


def test_a_kustomization_that_is_declared_again_during_its_removal_is_not_forgotten():
    files = {**APPS, "clusters/prod/c.yaml": kustomization("c", "c"), "c/c.yaml": config_map("c", key="1")}
    plane = started(files)
    key = object_key(CLUSTER, "Kustomization", "flux-system", "c")
    done = meanwhile(
        plane, "delete", "ConfigMap/c", lambda: replaced_record(plane, key, lambda v: {**v, "tombstone": False})
    )
    plane.push({"clusters/prod/c.yaml": None})
    plane.settle(seconds=5)
    assert done
    assert plane.known("Kustomization", "c")


def test_a_failure_of_an_overtaken_run_is_not_the_last_word():
    plane = started()

    def overtake():
        key = status_key(CLUSTER, "Kustomization", "flux-system", "apps")
        source = status_key(PLANE, "GitRepository", "flux-system", "flux-system")
        replaced_record(plane, source, lambda v: {**v, "observation": v["observation"] + 1})
        replaced_record(plane, key, lambda v: {**v, "observation": v["observation"] + 1})

    meanwhile(plane, "apply", "ConfigMap/bad", overtake)
    plane.push({"apps/bad.yaml": config_map("bad", "no-such-namespace")})
    while plane.step_stage("fetch"):
        pass
    plane.step_stage("reconcile")
    assert not any(event.severity == "error" for event in plane.events)
    assert not plane.ready("apps").startswith("False")


def test_who_depends_on_a_run_at_work_does_not_take_it_for_ready():
    files = {
        **APPS,
        "clusters/prod/web.yaml": kustomization("web", "web", dependsOn=[{"name": "apps"}]),
        "web/w.yaml": config_map("w", key="1"),
    }
    plane = started(files)
    seen = []

    def look():
        plane.run_only("web")
        seen.append(plane.config_map("w"))

    plane.push({"apps/a.yaml": config_map("a", key="2"), "web/w.yaml": config_map("w", key="2")})
    while plane.step_stage("fetch"):
        pass
    meanwhile(plane, "apply", "ConfigMap/a", look)
    plane.settle()
    assert seen == [{"key": "1"}]
    assert plane.config_map("w") == {"key": "2"}


# --- what the cluster does


def test_objects_whose_kind_vanished_do_not_block():
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: apps}\n"
    plane = started({**APPS, "apps/crd.yaml": WIDGETS, "apps/w.yaml": widget})
    plane.cluster.delete(plane.live("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.com"))
    plane.push({"apps/crd.yaml": None, "apps/w.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert not any("Widget" in text for text in plane.status("apps").inventory)
    assert "Widget/apps/w" in plane.ready("apps") or any("Widget/apps/w" in e.message for e in plane.events)


def test_an_api_that_is_away_for_a_while_leaves_no_orphan():
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: apps}\n"
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.example.com"},
        "spec": {"group": "example.com", "version": "v1"},
    }
    plane = MemoryPlane()
    plane.cluster.create(yaml.safe_load(WIDGETS))
    plane.cluster.create(yaml.safe_load(API_SERVICES))
    plane.cluster.create(service)
    plane.push({**APPS, "apps/w.yaml": widget})
    plane.settle()
    types, away = plane.cluster.api._types, {}
    away[("example.com", "Widget")] = types.pop(("example.com", "Widget"))
    plane.push({"apps/w.yaml": None})
    plane.settle(seconds=20)
    assert any("Widget" in text for text in plane.status("apps").inventory), "nobody else remembers it"
    assert "Widget/apps/w" in plane.ready("apps")
    types |= away
    plane.reconcile("apps")
    assert plane.live("example.com/v1", "Widget", "apps", "w") is None


def test_an_object_that_is_being_deleted_is_made_anew_when_it_is_gone():
    plane = started()
    live = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.replace({**live, "metadata": {**live["metadata"], "finalizers": ["example.com/slow"]}})
    plane.cluster.delete(plane.live("v1", "ConfigMap", "apps", "a"))
    plane.push({"apps/b.yaml": config_map("b", key="2")})
    plane.settle(seconds=20)
    assert plane.config_map("b") == {"key": "2"}, "the others go on"
    assert "ConfigMap/apps/a is being deleted" in plane.ready("apps"), plane.ready("apps")
    assert not plane.ready("apps").startswith("True")
    stuck = plane.live("v1", "ConfigMap", "apps", "a")
    plane.cluster.replace({**stuck, "metadata": {k: v for k, v in stuck["metadata"].items() if k != "finalizers"}})
    plane.settle(seconds=120)
    assert plane.config_map("a") == {"key": "1"}
    assert plane.ready("apps").startswith("True")


def test_a_pruned_object_that_its_finalizer_holds_blocks_nothing():
    plane = started()
    live = plane.live("v1", "ConfigMap", "apps", "b")
    plane.cluster.replace({**live, "metadata": {**live["metadata"], "finalizers": ["example.com/slow"]}})
    plane.push({"apps/b.yaml": None})
    plane.settle(seconds=20)
    assert plane.ready("apps").startswith("True")
    assert plane.live("v1", "ConfigMap", "apps", "b")["metadata"]["deletionTimestamp"]


@pytest.mark.parametrize(
    ("causes", "dry_run_of_new", "recreated"),
    [
        ((("data", "field is immutable"),), None, True),
        ((("data", "field is immutable"), ("data.key", "must be lower case")), None, False),
        ((("data", "field is immutable"),), "data.key: must be lower case", False),
    ],
)
def test_force_recreates_only_what_can_be_made_again(causes, dry_run_of_new, recreated):
    plane = started({**APPS, "clusters/prod/apps.yaml": kustomization("apps", "apps", force=True)})
    uid = plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"]
    original = plane.cluster.apply

    def refusing(manifest, options):
        name = manifest["metadata"]["name"]
        if name == "a" and plane.live("v1", "ConfigMap", "apps", "a") is not None:
            text = "; ".join(f"{where}: {what}" for where, what in causes)
            raise ApiRefused(f"ConfigMap a is invalid: {text}", code=422, causes=causes)
        if name != "a" and name.startswith("a") and options.dry_run and dry_run_of_new:
            raise ApiRefused(dry_run_of_new, code=422, causes=(("data.key", dry_run_of_new),))
        return original(manifest, options)

    plane.cluster.apply = refusing
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=20)
    live = plane.live("v1", "ConfigMap", "apps", "a")
    assert live is not None
    assert (live["metadata"]["uid"] != uid) is recreated
    assert plane.ready("apps").startswith("True" if recreated else "False ReconciliationFailed: ConfigMap/apps/a")


def test_without_force_an_immutable_field_is_an_error_and_nothing_is_lost():
    plane = started({**APPS, "apps/a.yaml": config_map("a", key="1").replace("kind:", "immutable: true\nkind:")})
    plane.push({"apps/a.yaml": config_map("a", key="2").replace("kind:", "immutable: true\nkind:")})
    plane.settle(seconds=20)
    assert "immutable" in plane.ready("apps")
    assert plane.config_map("a") == {"key": "1"}


def test_where_lists_are_forbidden_everything_is_read_by_name():
    account = "system:serviceaccount:flux-system:limited"
    plane = MemoryPlane()
    verbs = frozenset({"get", "patch", "delete", "create", "update"})
    plane.cluster.grants.append(Grant(user=account, verbs=verbs))
    plane.push({**APPS, "clusters/prod/apps.yaml": kustomization("apps", "apps", serviceAccountName="limited")})
    plane.settle()
    plane.push({"apps/b.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True"), plane.ready("apps")
    assert plane.config_map("b") is None


def test_a_lease_that_was_taken_without_an_answer_holds_up_nobody():
    """The API server took it, and the answer was lost: several times, and then not even the question arrived."""
    plane = started()
    original = plane.cluster.replace

    def unanswered(manifest):
        if (manifest["kind"], manifest["metadata"]["name"]) == ("Lease", INVENTORY) and lost:
            lost.pop()() or original(manifest)
            raise Transient("the connection is gone")
        return original(manifest)

    plane.cluster.replace = unanswered
    lost = [lambda: "not even the question", lambda: ""]
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=1)
    assert plane.ready("apps").startswith("False ReconciliationFailed")
    assert plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", INVENTORY)["spec"]["holderIdentity"]
    before = plane.clock.monotonic()
    plane.reconcile("apps")
    assert not lost
    assert plane.ready("apps").startswith("True")
    assert plane.config_map("a") == {"key": "2"}
    assert plane.clock.monotonic() - before < 140, "nobody waits for the end of the Lease"
    assert plane.state.get(f"lease/{CLUSTER}/flux-system/apps") is None


@pytest.mark.parametrize("spec", [{"holderIdentity": "x"}, {"holderIdentity": "x", "renewTime": "long ago"}])
def test_a_lease_that_nobody_understands_is_taken_over(spec):
    plane = started()
    lease = plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", INVENTORY)
    plane.cluster.replace({**lease, "spec": spec})
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=30)
    assert plane.config_map("a") == {"key": "2"}


# --- coming to rest


def messages_within(plane, seconds):
    """How many messages of reconcile run in that time."""
    before = len(plane.telemetry.named("stage finished"))
    plane.settle(seconds=seconds, most=100_000)
    return sum(each["stage"] == "reconcile" for each in plane.telemetry.named("stage finished")[before:])


def test_a_parent_that_waits_for_a_failing_child_does_not_wake_it_all_the_time():
    plane = MemoryPlane()
    plane.push(
        {
            **APPS,
            "clusters/prod/parent.yaml": kustomization("parent", "parent", wait=True, timeout="5m"),
            "parent/child.yaml": kustomization("child", "child"),
            "child/bad.yaml": config_map("bad", "no-such-namespace"),
        }
    )
    assert messages_within(plane, 240) < 60


def test_two_failing_ones_that_once_waited_for_each_other_leave_each_other_alone():
    plane = started({**APPS, "clusters/prod/web.yaml": kustomization("web", "web"), "web/w.yaml": config_map("w")})
    for name, other in (("apps", "web"), ("web", "apps")):
        key = status_key(CLUSTER, "Kustomization", "flux-system", name)
        replaced_record(plane, key, lambda v, other=other: {**v, "waiting_for": [f"flux-system/{other}"]})
    plane.push({"apps/bad.yaml": config_map("bad", "nowhere"), "web/bad.yaml": config_map("bad-too", "nowhere")})
    assert messages_within(plane, 30) < 12


def test_a_settled_plane_sends_nothing():
    files = {
        **APPS,
        "clusters/prod/web.yaml": kustomization("web", "web", dependsOn=[{"name": "apps"}], wait=True),
        "web/w.yaml": config_map("w"),
        "web/child.yaml": kustomization("child", "child"),
        "child/c.yaml": config_map("c"),
    }
    plane = started(files)
    plane.settle(seconds=100)
    assert not any(plane.bus.depth().values())
    plane.tick()
    assert not any(plane.bus.depth().values()), "nothing is due yet"


def test_a_passing_trouble_is_tried_again_at_once_even_after_many_failures_before():
    plane = started()
    for _ in range(10):
        plane.push({"apps/bad.yaml": config_map("bad", "nowhere")})
        plane.settle(seconds=5)
        plane.push({"apps/bad.yaml": None})
        plane.settle(seconds=5)
    plane.cluster.fail(lambda: Transient("503"), verb="list")
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle(seconds=5)
    assert plane.config_map("a") == {"key": "2"}


def test_a_suspended_one_rests_and_says_so():
    plane = started()
    suspend(plane)
    plane.reconcile("apps", request="2" * 32)
    held = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    assert held["metadata"]["labels"]["penstock.dev/suspended"] == "True"
    answer = plane.state.get("request/" + "2" * 32).value
    assert (answer["ready"], answer["reason"], answer["message"]) == ("False", "Suspended", "suspended by ops")
    plane.clock.advance(120)
    plane.tick()
    assert not [r for r in plane.bus.depth().items() if r == ("reconcile", 1)], "not before its interval"
    key = status_key(CLUSTER, "Kustomization", "flux-system", "apps")
    replaced_record(plane, key, lambda value: {**value, "suspension": None})
    plane.reconcile("apps")
    held = plane.live("v1", "ConfigMap", "penstock-system", INVENTORY)
    assert held["metadata"]["labels"]["penstock.dev/suspended"] == "False"


def test_a_suspension_that_ends_by_itself_is_noticed():
    plane = started()
    until = (plane.clock.now() + timedelta(seconds=90)).isoformat()
    key = status_key(CLUSTER, "Kustomization", "flux-system", "apps")
    held = {"who": "ops", "why": "", "until": until, "since": ""}
    replaced_record(plane, key, lambda value: {**value, "suspension": held})
    plane.push({"apps/a.yaml": config_map("a", key="2")})
    plane.settle()
    plane.reconcile("apps", why="interval")
    assert plane.config_map("a") == {"key": "1"}
    plane.clock.advance(95)
    plane.tick()
    plane.settle()
    assert plane.config_map("a") == {"key": "2"}


OWN_NAMESPACE = {
    "clusters/prod/own.yaml": kustomization("own", "own"),
    "own/namespace.yaml": namespace("penstock-system"),
    "own/keep.yaml": config_map("keep", key="1"),
}


@pytest.mark.parametrize("gone", ["own/namespace.yaml", "clusters/prod/own.yaml"])
def test_the_namespace_of_the_inventories_is_never_pruned(gone):
    """Somebody commits what --print-rbac printed, and takes it out again."""
    plane = started({**APPS, **OWN_NAMESPACE})
    plane.push({gone: None})
    plane.settle()
    assert plane.live("v1", "Namespace", "", "penstock-system") is not None
    assert ("delete", "Namespace/penstock-system") not in plane.cluster.calls
    if gone.startswith("own"):
        assert plane.ready("own").startswith("True"), plane.ready("own")
        assert "_penstock-system__Namespace@v1" not in plane.status("own").inventory
    else:
        assert not plane.known("Kustomization", "own")
        assert plane.config_map("keep") is None
    assert plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps") is not None


def test_a_manifest_cannot_write_what_the_plane_keeps():
    plane = started(APPS)
    name = "kustomization.flux-system.apps"
    before = plane.live("v1", "ConfigMap", "penstock-system", name)["data"]["inventory"]
    plane.push({"apps/evil.yaml": config_map(name, "penstock-system", inventory="[]")})
    plane.settle(seconds=5)
    ready = plane.ready("apps")
    assert ready.startswith(f"False ReconciliationFailed: ConfigMap/penstock-system/{name} is where a plane keeps"), (
        ready
    )
    assert plane.live("v1", "ConfigMap", "penstock-system", name)["data"]["inventory"] == before
    plane.push({"apps/evil.yaml": None})
    plane.settle()
    assert plane.ready("apps").startswith("True")
    assert plane.config_map("a") == {"key": "1"}


BROKEN = {
    "a document that is no Kustomization": {"clusters/prod/bad.yaml": kustomization("bad", "bad", interval="nope")},
    "YAML that does not parse": {"clusters/prod/bad.yaml": "a: [b\n"},
    "an object that is refused": {"clusters/prod/bad.yaml": config_map("bad", "nowhere", key="1")},
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_parent_that_fails_stops_nobody_below_and_nothing_is_deleted_meanwhile(why):
    """One typo in a cluster's directory must not freeze everything that it deploys, as it does not under Flux."""
    plane = started({**APPS, "apps/more.yaml": config_map("more", key="1")})
    broken = BROKEN[why]
    revision = plane.push({**broken, "apps/a.yaml": config_map("a", key="2"), "apps/more.yaml": None})
    plane.settle(seconds=5)
    assert plane.ready("flux-system").startswith("False"), plane.ready("flux-system")
    assert plane.config_map("a") == {"key": "2"}
    ready = plane.ready("apps")
    assert ready.startswith(f"True ReconciliationSucceeded: Applied revision: {revision}"), ready
    if "refused" not in why:  # there everybody's render is known: nothing can have moved
        assert "1 deletions wait until flux-system/flux-system rendered this revision" in ready
        assert plane.config_map("more") == {"key": "1"}
    plane.push({"apps/a.yaml": config_map("a", key="3")})
    plane.settle(seconds=5)
    assert plane.config_map("a") == {"key": "3"}, "nor does the next push wait"
    runs = [each for each in plane.telemetry.named("stage finished") if each.get("name") == "apps"]
    plane.push(dict.fromkeys(broken))
    plane.settle()
    for name in ("flux-system", "apps"):
        assert plane.ready(name).startswith("True"), plane.ready(name)
    assert plane.config_map("more") is None
    assert len(runs) < 12


def test_what_moves_to_a_child_that_a_broken_parent_did_not_store_is_not_deleted():
    plane = started(APPS)
    uid = plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"]
    plane.push(
        {
            "clusters/prod/new.yaml": kustomization("new", "new", dependsOn=[{"name": "apps"}]),
            "clusters/prod/bad.yaml": kustomization("bad", "bad", interval="nope"),
            "apps/a.yaml": None,
            "new/a.yaml": config_map("a", key="2"),
        }
    )
    plane.settle(seconds=90)
    assert plane.live("v1", "ConfigMap", "apps", "a")["metadata"]["uid"] == uid
    plane.push({"clusters/prod/bad.yaml": None})
    plane.settle()
    assert plane.ready("new").startswith("True"), plane.ready("new")
    live = plane.live("v1", "ConfigMap", "apps", "a")
    assert live["metadata"]["uid"] == uid
    assert live["data"] == {"key": "2"}
