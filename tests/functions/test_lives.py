"""`penstock serve` was killed in the middle of an apply: the next one need not wait for the Lease that it held."""

import json
import shutil
from dataclasses import replace

import pytest
from tests.chaos.interrupted import fetched, reconciles
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.ports.deps import Lives
from penstock.wiring import lock
from penstock.wiring.lock import MOST_LIVES, DirectoryLock

LEASE = "kustomization.flux-system.apps"
FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/a.yaml": config_map("a", key="1"),
}


def lived(directory):
    with DirectoryLock(directory) as held:
        return held.lives


def test_a_life_knows_those_before_it(tmp_path):
    first, second, third = (lived(tmp_path) for _ in range(3))
    assert first.past == frozenset()
    assert second.past == {first.own}
    assert third.past == {first.own, second.own}
    assert len({first.own, second.own, third.own}) == 3
    assert third.ended(first.sign("x"))
    assert not third.ended(third.sign("x"))
    assert not third.ended("x"), "of nobody, or of an older release"
    assert not third.ended("0123.x")


def test_a_copy_of_the_directory_knows_nobody(tmp_path):
    """The one that it was copied from may be at work."""
    lived(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert lived(tmp_path / "two").past == frozenset()


def test_after_a_boot_nobody_is_known(tmp_path, monkeypatch):
    """The disk may have come from another machine, which still runs."""
    lived(tmp_path)
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(lock, "BOOT_ID", boot)
    assert lived(tmp_path).past == frozenset()
    boot.unlink()
    assert lived(tmp_path) == Lives(), "where the boot is not known, nobody signs"


@pytest.mark.parametrize("held", [b"", b"{", b"[]", b"7", b'{"format": 2}', b'{"format": 1, "place": []}', b"\xff"])
def test_a_file_that_tells_nothing_is_no_obstacle(tmp_path, held):
    (tmp_path / "serve.lock").write_bytes(held)
    assert lived(tmp_path).past == frozenset()
    assert len(lived(tmp_path).past) == 1


def test_as_many_are_remembered_as_may_matter(tmp_path):
    lives = [lived(tmp_path) for _ in range(MOST_LIVES + 3)]
    assert lives[-1].past == {each.own for each in lives[2:-1]}
    assert len(json.loads((tmp_path / "serve.lock").read_text())["lives"]) == MOST_LIVES


def killed_while_it_held_the_lease(directory):
    """A plane of another life, which was killed after a commit was fetched; the Lease is held."""
    plane = MemoryPlane()
    plane.deps = replace(plane.deps, lives=lived(directory))
    plane.push(FILES)
    plane.settle()
    lease = plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", LEASE)
    now = plane.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {**lease["spec"], "holderIdentity": plane.deps.lives.sign("of-the-dead"), "renewTime": now}
    plane.cluster.replace({**lease, "spec": spec})
    fetched(plane, {**FILES, "apps/a.yaml": config_map("a", key="2")})
    return plane


def test_the_next_life_takes_the_lease_and_looks_again_later(tmp_path):
    plane = killed_while_it_held_the_lease(tmp_path)
    plane.deps = replace(plane.deps, lives=lived(tmp_path))
    reconciles("apps", "artifact")(plane)
    assert plane.config_map("a") == {"key": "2"}
    lease = plane.live("coordination.k8s.io/v1", "Lease", "penstock-system", LEASE)
    assert lease["spec"]["holderIdentity"] == ""
    assert plane.bus.depth()["reconcile"] == 1, "what the dead one had sent may still come to pass"


def test_the_lease_of_one_that_may_be_alive_is_waited_for(tmp_path):
    plane = killed_while_it_held_the_lease(tmp_path)
    plane.deps = replace(plane.deps, lives=lived(tmp_path / "elsewhere"))
    reconciles("apps", "artifact")(plane)
    assert plane.config_map("a") == {"key": "1"}
