import json
from typing import Any

from penstock.core.flux.plane import parse_plane, root_kustomization
from penstock.core.flux.plane_records import PlaneChange, plane_records
from penstock.core.messages import ReconcileDue, SourceChanged
from penstock.core.records import ObjectRecord, PlaneRecord

UID = "0" * 32
SOURCE_KEY = "object/-/GitRepository/flux-system/flux-system"
ALIAS_KEY = "object/production/GitRepository/flux-system/flux-system"
ROOT_KEY = "object/production/Kustomization/flux-system/flux-system"


def document(*clusters: str, url: str = "https://git.example.com/a", path: str = "clusters/") -> dict[str, Any]:
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Plane",
        "metadata": {"name": "main"},
        "spec": {"source": {"url": url}, "clusters": [{"name": name, "path": path + name} for name in clusters]},
    }


def change(manifest: dict[str, Any], existing: dict[str, Any] | None = None) -> PlaneChange:
    return plane_records(parse_plane(manifest), manifest, UID, existing or {})


def stored(found: PlaneChange) -> dict[str, Any]:
    """As a store gives them back: through JSON."""
    return dict(json.loads(json.dumps(found.writes)))


def test_the_first_document_makes_source_alias_and_root() -> None:
    found = change(document("production"))
    assert set(found.writes) == {"plane", SOURCE_KEY, ALIAS_KEY, ROOT_KEY}
    assert PlaneRecord.from_value(found.writes["plane"]) == PlaneRecord(uid=UID, document=document("production"))
    implicit = [ObjectRecord.from_value(found.writes[key]).implicit for key in (SOURCE_KEY, ALIAS_KEY, ROOT_KEY)]
    assert implicit == [True, True, False]
    assert found.wake == (
        SourceChanged(cluster="-", namespace="flux-system", name="flux-system"),
        ReconcileDue(cluster="production", namespace="flux-system", name="flux-system", why="request"),
    )


def test_the_same_document_again_writes_nothing_and_looks_at_the_source() -> None:
    again = change(document("production"), stored(change(document("production"))))
    assert (dict(again.writes), again.deletes, again.orphaned) == ({}, (), ())
    assert [type(each) for each in again.wake] == [SourceChanged]


def test_a_changed_source_raises_the_generation() -> None:
    existing = stored(change(document("production")))
    found = change(document("production", url="https://git.example.com/b"), existing)
    assert set(found.writes) == {"plane", SOURCE_KEY, ALIAS_KEY}
    assert ObjectRecord.from_value(found.writes[SOURCE_KEY]).generation == 2


def test_a_new_cluster_wakes_its_root_alone() -> None:
    existing = stored(change(document("production")))
    found = change(document("production", "staging"), existing)
    assert [each for each in found.wake if isinstance(each, SourceChanged)] == []
    assert [each.cluster for each in found.wake] == ["staging"]


def test_a_removed_cluster_is_orphaned_with_all_its_records() -> None:
    existing = {
        **stored(change(document("production", "staging"))),
        "status/staging/Kustomization/flux-system/apps": {},
        "receiver/abc/staging/flux-system/github": {},
        "receiver/abc/production/flux-system/github": {},
        "delivery/staging/flux-system/github": {},
        "status/-/GitRepository/flux-system/flux-system": {},
        "request/1": {},
        "copies/production": {"format": 1, "names": ["webhook_production_a_b"]},
        "copies/staging": {"format": 1, "names": ["fetch_staging_a_b", "webhook_staging_a_b"]},
    }
    found = change(document("production"), existing)
    assert found.orphaned == ("staging",)
    assert found.copies == ("fetch_staging_a_b", "webhook_staging_a_b")
    assert found.deletes == (
        "copies/staging",
        "delivery/staging/flux-system/github",
        "object/staging/GitRepository/flux-system/flux-system",
        "object/staging/Kustomization/flux-system/flux-system",
        "receiver/abc/staging/flux-system/github",
        "status/staging/Kustomization/flux-system/apps",
    )


def test_a_repository_s_own_source_and_root_stay() -> None:
    plane = parse_plane(document("production"))
    root = root_kustomization(plane, plane.clusters[0])
    root["spec"]["decryption"] = {"provider": "sops"}
    del root["metadata"]["annotations"]
    own = ObjectRecord(document=root).to_value()
    existing = {**stored(change(document("production"))), ALIAS_KEY: own, ROOT_KEY: own}
    assert dict(change(document("production"), existing).writes) == {}


def test_a_moved_cluster_gets_its_new_root() -> None:
    plane = parse_plane(document("production"))
    root = root_kustomization(plane, plane.clusters[0])
    del root["metadata"]["annotations"]
    own = ObjectRecord(document=root, generation=4).to_value()
    existing = {**stored(change(document("production"))), ROOT_KEY: own}
    found = change(document("production", path="elsewhere/"), existing)
    moved = ObjectRecord.from_value(found.writes[ROOT_KEY])
    assert (moved.document["spec"]["path"], moved.generation) == ("./elsewhere/production", 5)


def test_a_changed_interval_reaches_the_root_that_the_plane_declared() -> None:
    existing = stored(change(document("production")))
    manifest = document("production")
    manifest["spec"]["source"]["interval"] = "1m"
    root = ObjectRecord.from_value(change(manifest, existing).writes[ROOT_KEY])
    assert (root.document["spec"]["interval"], root.generation) == ("1m", 2)


def test_a_cluster_that_is_reached_otherwise_is_looked_at_by_everybody_in_it() -> None:
    """It may be another one: a cluster that was built anew."""
    existing = stored(change(document("production", "staging")))
    for key in ("production/Kustomization/apps/web", "production/Kustomization/a/b", "staging/Kustomization/a/b"):
        existing[f"object/{key}"] = ObjectRecord(document={"kind": "Kustomization"}).to_value()
    moved = document("production", "staging")
    moved["spec"]["clusters"][0]["kubeConfig"] = {"context": "new"}
    found = change(moved, existing)
    assert found.wake == tuple(
        ReconcileDue(cluster="production", namespace=namespace, name=name, why="request")
        for namespace, name in (("flux-system", "flux-system"), ("a", "b"), ("apps", "web"))
    )
