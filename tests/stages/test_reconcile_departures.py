"""What left the render of a parent: an accident there takes nothing along, until somebody approves exactly that."""

import re

import pytest
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.records import Approval, approval_key

ROOT = "flux-system"


def app(name, objects=3, *, folder="clusters/prod", **spec):
    """A Kustomization with so many ConfigMaps."""
    found = {f"{folder}/{name}.yaml": kustomization(name, name, interval="10m", **spec)}
    return found | {f"{name}/{n}.yaml": config_map(f"{name}-{n}", key="1") for n in range(objects)}


def apps(*names, objects=3):
    return {path: text for name in names for path, text in app(name, objects).items()}


def at(files):
    plane = MemoryPlane()
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
    plane.push({"clusters/prod/README.md": "a fleet", **files})
    plane.settle()
    return plane


def without(plane, *prefixes):
    """Push a commit without these paths."""
    plane.push(dict.fromkeys([path for path in plane.files if path.startswith(prefixes) and path.endswith(".yaml")]))
    plane.settle()


def there(plane, *names, objects=3):
    return [plane.config_map(f"{name}-{n}") is not None for name in names for n in range(objects)]


def approve(plane, name=ROOT):
    (digest,) = re.findall(r"--prune (sha256:[0-9a-f]{64})", plane.ready(name))
    approval = Approval(digest=digest, who="ann", when="2026-01-01T00:00:00Z")
    plane.state.put(approval_key(CLUSTER, "flux-system", name), approval.to_value(), expected=None)
    plane.reconcile(name)


def deleted(plane):
    return [call for call in plane.writes() if call[0] == "delete" and "penstock-system" not in call[1]]


def rest(plane, hours=2):
    for _ in range(hours * 6):
        plane.clock.advance(600)
        plane.tick()
        plane.settle()


def test_an_empty_render_of_the_root_removes_nobody():
    plane = at(apps("a", "b") | {"clusters/prod/hook.yaml": RECEIVER})
    without(plane, "clusters/prod/", "a/", "b/")
    rest(plane)
    assert all(there(plane, "a", "b"))
    assert plane.known("Kustomization", "a")
    assert plane.known("Receiver", "hook")
    assert plane.ready(ROOT).startswith("False PruneStopped: prune stopped: the render holds no object at all, and ")
    assert deleted(plane) == []
    approve(plane)
    assert not any(there(plane, "a", "b"))
    assert not plane.known("Kustomization", "a")
    assert not plane.known("Receiver", "hook")
    assert plane.state.get(approval_key(CLUSTER, "flux-system", ROOT)) is None


def test_what_comes_back_before_an_approval_was_never_gone():
    plane = at(apps("a", "b"))
    files = dict(plane.files)
    without(plane, "clusters/prod/")
    assert plane.ready(ROOT).startswith("False PruneStopped")
    plane.push(files)
    plane.settle()
    assert plane.ready(ROOT).startswith("True")
    assert all(there(plane, "a", "b"))
    assert deleted(plane) == []


RECEIVER = """apiVersion: notification.toolkit.fluxcd.io/v1
kind: Receiver
metadata: {name: hook, namespace: flux-system}
spec: {type: github, secretRef: {name: token}, resources: [{kind: GitRepository, name: flux-system}]}
"""


def test_many_small_ones_at_once_wait_for_an_approval():
    """Each of them alone would go without asking."""
    plane = at(apps("a", "b", "c", "d", "e"))
    without(plane, *(f"clusters/prod/{name}.yaml" for name in "abcd"))
    assert "12 of 15 objects" in plane.ready(ROOT)
    assert all(there(plane, *"abcde"))
    approve(plane)
    assert plane.ready(ROOT).startswith("True")
    assert not any(there(plane, *"abcd"))
    assert all(there(plane, "e"))


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_few_objects_go_without_asking(names):
    plane = at(apps("a", "b", "c", "d", "e"))
    without(plane, *(f"clusters/prod/{name}.yaml" for name in names))
    assert plane.ready(ROOT).startswith("True")
    assert not any(there(plane, *names))


def test_the_small_ones_below_one_that_leaves_count():
    below = {path: text for name in "abcd" for path, text in app(name, folder="team").items()}
    plane = at({"clusters/prod/team.yaml": kustomization("team", "team")} | app("kept", 1) | below)
    without(plane, "clusters/prod/team.yaml")
    assert "Kustomization/flux-system/team would be removed, and 12 of 13 objects with them" in plane.ready(ROOT)
    assert all(there(plane, *"abcd"))
    approve(plane)
    assert not any(there(plane, *"abcd"))


def test_what_others_render_now_is_not_counted():
    """Five become one, with all that they had."""
    plane = at(apps("a", "b", "c", "d", "e"))
    plane.push(
        dict.fromkeys([f"clusters/prod/{name}.yaml" for name in "abcde"])
        | {"clusters/prod/all.yaml": kustomization("all", "all")}
        | {"all/kustomization.yaml": "resources: [" + ", ".join(f"../{name}" for name in "abcde") + "]\n"}
        | {f"{name}/kustomization.yaml": "resources: [0.yaml, 1.yaml, 2.yaml]\n" for name in "abcde"}
    )
    plane.settle()
    assert plane.ready(ROOT).startswith("True")
    assert all(there(plane, *"abcde"))
    assert deleted(plane) == []
    assert not plane.known("Kustomization", "a")


def test_those_that_another_parent_renders_now_are_not_counted():
    plane = at(
        apps("a", "b", "c", "d")
        | {"clusters/prod/team.yaml": kustomization("team", "team"), "team/x.yaml": config_map("x")}
    )
    plane.push(
        dict.fromkeys([f"clusters/prod/{name}.yaml" for name in "abcd"])
        | {f"team/{name}.yaml": kustomization(name, name) for name in "abcd"}
    )
    plane.settle()
    assert plane.ready(ROOT).startswith("True")
    assert all(there(plane, *"abcd"))
    assert deleted(plane) == []


@pytest.mark.parametrize("spec", [{"deletionPolicy": "Orphan"}, {"prune": False}])
def test_what_deletes_nothing_is_not_counted(spec):
    plane = at({path: text for name in "abcde" for path, text in app(name, **spec).items()})
    without(plane, *(f"clusters/prod/{name}.yaml" for name in "abcd"))
    assert plane.ready(ROOT).startswith("True")
    assert all(there(plane, *"abcde"))
    assert not plane.known("Kustomization", "a")


def test_a_root_that_keeps_its_kustomizations_may_lose_its_own_last_object():
    """It still holds something."""
    plane = at(apps("a", "b") | {"clusters/prod/own.yaml": config_map("own", "default")})
    without(plane, "clusters/prod/own.yaml")
    assert plane.ready(ROOT).startswith("True")
    assert plane.config_map("own", "default") is None


def test_other_names_need_another_approval():
    plane = at(apps("a", "b", "c", "d", "e"))
    without(plane, *(f"clusters/prod/{name}.yaml" for name in "abcd"))
    before = plane.ready(ROOT)
    without(plane, "clusters/prod/e.yaml")
    assert plane.ready(ROOT).startswith("False PruneStopped")
    (old,) = re.findall(r"--prune (sha256:[0-9a-f]{64})", before)
    approval = Approval(digest=old, who="ann", when="2026-01-01T00:00:00Z")
    plane.state.put(approval_key(CLUSTER, "flux-system", ROOT), approval.to_value(), expected=None)
    plane.reconcile(ROOT)
    assert all(there(plane, *"abcde"))
