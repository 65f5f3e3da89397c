"""Submodules from their document to the cluster, on in-memory ports."""

import pytest
from tests.memory_plane import MemoryPlane
from tests.stages.test_fetch_sources import config_map, fleet, later
from tests.stages.test_fetch_verified import SITE, conditions, git, secret

from penstock.core.sources.commit import CommitTree
from penstock.core.tree import blob

LIB, ELSEWHERE = "https://git.example.com/lib", "https://elsewhere.example.com/inner"
LOGIN = {"username": b"flux", "password": b"canary"}


def modules(**urls):
    return blob(
        "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in urls.items()).encode()
    )


class Asked:
    def __init__(self, plane):
        self.remotes, original = {}, plane.git.checkout

        def watched(remote, head, limits):
            self.remotes[str(remote.url)] = remote
            return original(remote, head, limits)

        plane.git.checkout = watched


def pushed(plane, **spec):
    inner = plane.git.commit(ELSEWHERE, {"c.yaml": blob(config_map("inner").replace(b"name: a", b"name: c"))})
    lib = plane.git.commit(
        LIB,
        {".gitmodules": modules(inner=ELSEWHERE), "b.yaml": blob(config_map("lib").replace(b"name: a", b"name: b"))},
        submodules={"inner": inner},
    )
    files = {".gitmodules": modules(lib="../lib"), "a.yaml": blob(config_map("1"))}
    plane.git.commit(SITE, files, submodules={"lib": lib})
    document = git(ref={"branch": "main"}, secretRef={"name": "login"}, **spec)
    plane.push({**fleet("GitRepository", document), "clusters/prod/login.yaml": secret("login", **LOGIN)})
    plane.settle(seconds=60)


def test_submodules_and_theirs_are_part_of_the_artifact_where_they_are_asked_for():
    plane = MemoryPlane()
    asked = Asked(plane)
    pushed(plane, recurseSubmodules=True)
    assert [plane.config_map(name, "default") for name in "abc"] == [{"key": "1"}, {"key": "lib"}, {"key": "inner"}]
    assert asked.remotes[LIB].credentials == LOGIN
    assert asked.remotes[ELSEWHERE].credentials == {}, "another host gets no credentials"
    assert asked.remotes[ELSEWHERE].url.allowed_hosts == ()


def test_they_are_left_out_where_they_are_not_asked_for():
    plane = MemoryPlane()
    asked = Asked(plane)
    pushed(plane)
    assert plane.config_map("a", "default") == {"key": "1"}
    assert not {LIB, ELSEWHERE} & set(asked.remotes)


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({}, "submodule 'lib' has no url"),
        ({"lib": "file:///etc"}, "not http, https or ssh"),
        ({"lib": "../gone"}, "not found"),
    ],
)
def test_one_that_cannot_be_fetched_makes_no_artifact(described, told):
    plane = MemoryPlane()
    plane.git.commit(
        SITE, {".gitmodules": modules(**described), "a.yaml": blob(config_map("1"))}, submodules={"lib": "a" * 40}
    )
    plane.push(fleet("GitRepository", git(ref={"branch": "main"}, recurseSubmodules=True)))
    plane.settle(seconds=30)
    later(plane)
    assert told in conditions(plane)["Ready"]
    assert "ArtifactInStorage" not in conditions(plane)


def test_a_ring_of_submodules_ends():
    plane = MemoryPlane()
    plane.git.create(SITE)
    ring = CommitTree(
        {".gitmodules": modules(again="../site")}, subject="x", commit=b"x", submodules={"again": "b" * 40}
    )
    plane.git._commits["b" * 40] = ring
    plane.git.point(SITE, "refs/heads/main", "b" * 40)
    plane.push(fleet("GitRepository", git(ref={"branch": "main"}, recurseSubmodules=True)))
    plane.settle(seconds=30)
    assert "deeper than 10" in conditions(plane)["Ready"]
