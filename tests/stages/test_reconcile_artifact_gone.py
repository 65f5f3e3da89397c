"""An artifact that is not stored any more: its source is looked at again, whatever its interval."""

from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.stages.fetch.run import kept as fetched
from penstock.stages.reconcile.source import kept

FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps", interval="60m"),
    "apps/a.yaml": config_map("a", key="1"),
}


def test_who_finds_its_artifact_gone_has_the_source_looked_at_again():
    """A bucket's lifecycle took it, or a restore did not bring it back."""
    plane = MemoryPlane()
    plane.push(FILES)
    plane.settle()
    for digest in plane.storage.digests():
        plane.storage.delete(digest)
    for trees in (kept, fetched):
        trees.clear()
    plane.reconcile("apps", why="interval")
    assert plane.storage.digests()
    assert plane.ready("apps").startswith("True")
    assert plane.bus.dead_letters() == ()
