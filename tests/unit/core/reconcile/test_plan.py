"""The plan: what is created, configured, left alone, skipped and deleted, and why."""

import pytest

from penstock.core.reconcile.guard import Limits, deletions_digest, prune_stop, removal_stop
from penstock.core.reconcile.normalise import NAME_LABEL, NAMESPACE_LABEL
from penstock.core.reconcile.plan import Action, Ownership, kept_entries, owner_of, plan, switch
from penstock.core.resources import ObjectRef, ref_of

OURS = {NAME_LABEL: "apps", NAMESPACE_LABEL: "flux-system"}
THEIRS = {NAME_LABEL: "other", NAMESPACE_LABEL: "flux-system"}


def config_map(name, *, labels=None, annotations=None, data=None, kind="ConfigMap", uid=""):
    metadata = {
        "name": name,
        "namespace": "n",
        "labels": labels or dict(OURS),
        "uid": uid or name,
        "resourceVersion": "1",
    }
    if annotations:
        metadata["annotations"] = {f"kustomize.toolkit.fluxcd.io/{k}": v for k, v in annotations.items()}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data or {"k": "v"}}


def owned(manifest):
    labels = {f"f:{name}": {} for name in manifest["metadata"]["labels"]}
    fields = {"f:metadata": {"f:labels": labels}, "f:data": {f"f:{k}": {} for k in manifest["data"]}}
    entry = {"manager": "penstock", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}
    return {**manifest, "metadata": {**manifest["metadata"], "managedFields": [entry]}}


def make_plan(desired=(), live=(), inventory=(), claimed=(), *, prune=True):
    found = {ref_of(m): m for m in live}
    everything = {*(ref_of(m) for m in desired), *(ref_of(m) for m in inventory)}
    ownership = Ownership(
        namespace="flux-system",
        name="apps",
        manager="penstock",
        claimed={ref_of(m): "flux-system/other" for m in claimed},
    )
    entries = {ref_of(m): "v1" for m in inventory}
    return plan(tuple(desired), {ref: found.get(ref) for ref in everything}, entries, ownership, prune=prune)


def actions(changes):
    return {change.ref.name: change.action.value for change in changes.changes}


def test_create_configure_leave_alone_and_delete():
    same, differs, new, gone = (config_map(name) for name in ("same", "differs", "new", "gone"))
    live = [owned(same), owned(config_map("differs", data={"k": "other"})), owned(gone)]
    found = make_plan([same, differs, new], live, [same, differs, gone])
    assert actions(found) == {"same": "unchanged", "differs": "configured", "new": "created", "gone": "deleted"}
    assert [change.ref.name for change in found.writes] == ["differs", "new", "gone"]
    assert found.counts()["deleted"] == 1
    assert found.of(Action.CONFIGURED)[0].paths == ("data.k",)
    assert not found.without_deletions().deletions


@pytest.mark.parametrize(
    ("live", "claimed", "reason"),
    [
        (None, False, "it is gone already"),
        (config_map("x", labels=THEIRS), False, "it belongs to flux-system/other now"),
        (config_map("x", labels={"a": "b"}), False, "it belongs to nobody now"),
        (config_map("x"), True, "flux-system/other renders it now"),
        (config_map("x", annotations={"prune": "Disabled"}), False, "kustomize.toolkit.fluxcd.io/prune is disabled"),
        (
            config_map("x", annotations={"reconcile": "disabled"}),
            False,
            "kustomize.toolkit.fluxcd.io/reconcile is disabled",
        ),
        (config_map("x", annotations={"ssa": "Ignore"}), False, "kustomize.toolkit.fluxcd.io/ssa is Ignore"),
    ],
)
def test_what_is_not_certainly_ours_is_not_deleted(live, claimed, reason):
    x = config_map("x")
    found = make_plan([], [live] if live else [], [x], [x] if claimed else [])
    assert [(c.action, c.reason) for c in found.changes] == [(Action.SKIPPED, reason)]


def test_without_prune_the_entry_stays_in_the_inventory():
    x = config_map("x")
    found = make_plan([], [x], [x], prune=False)
    assert actions(found) == {"x": "skipped"}
    assert kept_entries(found.changes, {ref_of(x): "v1"}) == {ref_of(x): "v1"}


@pytest.mark.parametrize(
    ("desired", "live", "skipped"),
    [
        ({"reconcile": "Disabled"}, None, True),
        (None, {"reconcile": "disabled"}, True),
        ({"ssa": "ignore"}, None, True),
        ({"ssa": "IfNotPresent"}, {}, True),
        ({"ssa": "IfNotPresent"}, None, False),
        ({"ssa": "Merge"}, {}, False),
    ],
)
def test_switches_keep_an_object_from_being_applied(desired, live, skipped):
    wanted = config_map("x", annotations=desired)
    there = [] if live is None else [config_map("x", annotations=live)]
    found = make_plan([wanted], there)
    assert (found.changes[0].action is Action.SKIPPED) == skipped


def test_switches_may_be_labels_too():
    assert switch(config_map("x", labels={"kustomize.toolkit.fluxcd.io/prune": "Disabled"}), "prune") == "disabled"
    assert switch(None, "prune") == ""


def test_an_object_that_another_kustomization_renders_is_a_collision():
    x = config_map("x")
    found = make_plan([x], [config_map("x", labels=THEIRS)], [], [x])
    assert [(c.ref.name, c.owner) for c in found.collisions] == [("x", "flux-system/other")]
    assert found.changes == ()


def test_an_object_that_another_one_renders_no_more_is_taken_over():
    x = config_map("x")
    found = make_plan([x], [config_map("x", labels=THEIRS)])
    assert actions(found) == {"x": "configured"}
    assert owner_of(x) == "flux-system/apps"


def deletions(*manifests):
    return make_plan([], manifests, manifests).deletions


def refs(count):
    return tuple(ObjectRef(kind="ConfigMap", namespace="n", name=f"kept{i}") for i in range(count))


@pytest.mark.parametrize(
    ("gone", "rendered", "total", "why"),
    [
        ([config_map("a")], refs(1), 2, None),
        ([config_map("a")], (), 1, "no object at all"),
        ([config_map("pvc", kind="PersistentVolumeClaim")], refs(99), 100, "would be deleted with all contents"),
        ([config_map(f"m{i}") for i in range(11)], refs(3), 14, "11 of 14 objects"),
        ([config_map(f"m{i}") for i in range(11)], refs(30), 41, None),
        ([config_map(f"m{i}") for i in range(10)], refs(1), 11, None),
    ],
)
def test_the_guard_stops_prunes_that_are_too_large(gone, rendered, total, why):
    stop = prune_stop(deletions(*gone), rendered, refs(total), Limits())
    assert (stop is None) if why is None else (stop is not None and why in stop.why)


def test_a_changed_hash_suffix_is_no_loss():
    gone = [config_map(f"settings{i}-6h8tk2f9gd") for i in range(12)]
    there = tuple(ObjectRef(kind="ConfigMap", namespace="n", name=f"settings{i}-7m2c5kd4bf") for i in range(12))
    assert prune_stop(deletions(*gone), there, refs(12), Limits()) is None


def test_an_approval_names_exactly_one_set():
    one, two = config_map("a"), config_map("b")
    assert deletions_digest(deletions(one, two)) == deletions_digest(deletions(two, one))
    assert deletions_digest(deletions(one)) != deletions_digest(deletions(one, two))
    assert deletions_digest(deletions(one)) != deletions_digest(deletions(config_map("a", uid="v")))


def test_nothing_to_delete_needs_no_approval():
    assert prune_stop((), (), (), Limits()) is None
    assert removal_stop((), Limits()) is None


def test_the_removal_of_a_small_kustomization_needs_none_either():
    assert removal_stop(deletions(config_map("a")), Limits()) is None
    assert removal_stop(deletions(*(config_map(f"m{i}") for i in range(11))), Limits()) is not None


def test_an_object_that_two_groups_serve_is_not_deleted_when_it_changes_its_group():
    old, new = ({**config_map("x"), "apiVersion": version} for version in ("extensions/v1", "networking.k8s.io/v1"))
    found = make_plan([new], [owned(old), owned(new)], [old])
    assert [(c.ref.group, c.action) for c in found.changes] == [
        ("networking.k8s.io", Action.CONFIGURED),
        ("extensions", Action.SKIPPED),
    ]


@pytest.mark.parametrize("taken", [False, True])
def test_what_moved_stays_in_the_inventory_until_its_new_owner_has_it(taken):
    x = config_map("x")
    owner = Ownership(
        namespace="flux-system",
        name="apps",
        manager="penstock",
        claimed={ref_of(x): "flux-system/other"},
        taken=frozenset({ref_of(x)} if taken else ()),
    )
    found = plan((), {ref_of(x): owned(x)}, {ref_of(x): "v1"}, owner, prune=True)
    assert kept_entries(found.changes, {ref_of(x): "v1"}) == ({} if taken else {ref_of(x): "v1"})
