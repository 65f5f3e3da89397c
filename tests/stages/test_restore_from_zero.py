"""Everything of the plane is lost: records, artifacts, secrets, messages. Git and the clusters bring it back."""

from dataclasses import replace

from tests.formats import FIRST, start
from tests.memory_plane import MemoryPlane, OneCluster, config_map
from tests.stages.test_reconcile_adoption import OTHER, adopt, owners

from penstock.core.reconcile.inventory import from_config_map
from penstock.core.secrets.names import WEBHOOK, secret_name


def lost():
    """A new plane, of a uid of its own, on the same repository and cluster; the files of both."""
    before = MemoryPlane()
    start(before)
    before.push(FIRST)
    before.settle()
    after = MemoryPlane()
    after.clock._ids = 10**6
    after.cluster, after.git = before.cluster, before.git
    after.deps = replace(after.deps, clusters=OneCluster(before.cluster), git=before.git)
    for record in after.state.list(""):
        after.state.delete(record.key, expected=None)
    after.files = dict(before.files)
    after.cluster.calls.clear()
    return after


def test_until_somebody_gives_it_the_clusters_it_writes_nothing():
    plane = lost()
    plane.apply_plane(uid=OTHER)
    plane.settle()
    assert plane.ready("flux-system").startswith("False OwnedByOther")
    assert plane.writes() == []


def test_then_records_inventories_and_credentials_are_there_again_and_nothing_was_deleted():
    plane = lost()
    plane.apply_plane(uid=OTHER)
    plane.settle()
    adopt(plane)
    plane.settle()
    assert {plane.ready(name).partition(" ")[0] for name in ("flux-system", "apps", "web")} == {"True"}
    assert [what for verb, what in plane.writes() if verb == "delete" and "Lease" not in what] == []
    assert {each for each in plane.writes() if "ConfigMap/apps" in each[1]} == set()
    assert set(owners(plane).values()) == {OTHER}
    held = plane.live("v1", "ConfigMap", "penstock-system", "kustomization.flux-system.apps")
    assert {str(ref) for ref in from_config_map(held).entries} == {
        "Namespace/apps",
        "ConfigMap/apps/a",
        "ConfigMap/apps/b",
    }
    assert plane.secrets.get(secret_name(WEBHOOK, "prod", "flux-system", "hook")) == {"token": b"token"}
    assert len(plane.state.list("receiver/")) == 1


def test_what_left_git_meanwhile_goes_under_the_guard_and_the_rest_stays():
    plane = lost()
    del plane.files["apps/b.yaml"]
    plane.apply_plane(uid=OTHER)
    plane.push({"apps/a.yaml": config_map("a", x="2")})
    plane.settle()
    assert plane.config_map("b") == {"x": "1"}
    adopt(plane)
    plane.settle()
    assert (plane.config_map("a"), plane.config_map("b"), plane.config_map("c")) == ({"x": "2"}, None, {"x": "1"})


def test_artifacts_and_messages_alone_may_be_lost_at_any_time():
    plane = lost()
    plane.apply_plane(uid=OTHER)
    plane.settle()
    adopt(plane)
    plane.settle()
    for digest in plane.storage.digests():
        plane.storage.delete(digest)
    plane.push({"apps/a.yaml": config_map("a", x="2")})
    for stage in plane.pipeline.queues():  # what was told of the push is lost, too
        while (found := plane.bus.receive(stage.name, wait=0)) is not None:
            plane.bus.ack(found)
    plane.clock.advance(400)
    plane.tick()
    plane.settle()
    assert plane.config_map("a") == {"x": "2"}
