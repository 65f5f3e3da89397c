"""What a push reads of the plane's records: as much as it touches, however many Kustomizations there are."""

import json

import pytest
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization, namespace

from penstock.core.records import KustomizationStatus, ObjectRecord
from penstock.core.sources.index import ANY, any_key, entries_of, indexed_key

SOURCE = "GitRepository/flux-system/flux-system"
FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "clusters/prod/web.yaml": kustomization("web", "web", dependsOn=[{"name": "apps"}]),
    "clusters/prod/team.yaml": kustomization("team", "teams"),
    "teams/one.yaml": kustomization("one", "one"),
    "one/o.yaml": config_map("o", key="1"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "web/b.yaml": config_map("b", key="1"),
}


class CountingState:
    """A state port that counts its calls, and the bytes of what they give out."""

    def __init__(self, state):
        self.state, self.calls, self.bytes = state, [], 0

    def _told(self, call, records):
        self.calls.append(call)
        self.bytes += sum(len(json.dumps(record.value)) for record in records if record is not None)

    def get(self, key):
        found = self.state.get(key)
        self._told(f"get {key}", [found])
        return found

    def list(self, prefix):
        found = self.state.list(prefix)
        self._told(f"list {prefix}", found)
        return found

    def read(self, keys=(), prefixes=()):
        """One request for all records, and one for each list."""
        found = self.state.read(keys, prefixes)
        if keys:
            self._told(f"read {' '.join(keys)}", found.records.values())
        for prefix in prefixes:
            self._told(f"list {prefix}", found.lists[prefix])
        return found

    def due(self, before, *, limit):
        return self.state.due(before, limit=limit)

    def put(self, key, value, *, expected, due=None):
        self.calls.append(f"put {key}")
        return self.state.put(key, value, expected=expected, due=due)

    def delete(self, key, *, expected):
        self.calls.append(f"delete {key}")
        return self.state.delete(key, expected=expected)


def idle(plane, number):
    """Records of Kustomizations beside those of the test, as their own runs would have left them."""
    like = plane.status("apps").to_value()
    document = plane.state.get(f"object/{CLUSTER}/Kustomization/flux-system/apps").value
    for each in range(number):
        ref, directory = f"others/k{each:04}", f"others/{each:04}"
        read = {"files": [f"{directory}/a.yaml"], "listings": [directory], "absences": []}
        value = {**like, "inputs": read, "rendered": [f"apps_x{each}__ConfigMap@v1"], "inventory": []}
        status = KustomizationStatus.from_value(value)
        status = KustomizationStatus.from_value({**value, "inputs_digest": status.inputs.digest(plane.tree())})
        metadata = {**document["document"]["metadata"], "name": f"k{each:04}", "namespace": "others"}
        record = {**document, "document": {**document["document"], "metadata": metadata}, "parent": "others/parent"}
        plane.state.put(f"object/{CLUSTER}/Kustomization/{ref}", record, expected=None)
        plane.state.put(f"status/{CLUSTER}/Kustomization/{ref}", status.to_value(), expected=None)
        for key in entries_of(CLUSTER, ref, status, 1):
            plane.state.put(key, {"format": 1}, expected=None)


class CountedPlane(MemoryPlane):
    def __init__(self):
        super().__init__()
        self.push(FILES)
        self.settle()
        self.clock.advance(60)
        self.tick()  # the first look's announcement is confirmed
        self.settle()
        assert all(self.ready(name).startswith("True") for name in ("apps", "web", "team", "one"))

    def tree(self):
        from penstock.core.sources.artifact import decode

        found = self.state.get("status/-/GitRepository/flux-system/flux-system")
        return decode(self.storage.get(found.value["artifact"]))

    def counted(self, work):
        """What ``work`` asked of the state port: the calls, and the bytes that they gave."""
        from dataclasses import replace

        state, deps = CountingState(self.state), self.deps
        self.deps = replace(deps, state=state)
        work()
        self.deps = deps
        return state


def push_of(plane, files):
    def work():
        plane.push(files)
        plane.settle()

    return plane.counted(work)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"apps/a.yaml": config_map("a", key="2")}, "a"),
        ({"web/b.yaml": config_map("b", key="2")}, "b"),
        ({"one/o.yaml": config_map("o", key="2")}, "o"),
        ({"web/b.yaml": config_map("b", key="2"), "web/c.yaml": config_map("c", key="2")}, "c"),
    ],
)
def test_a_push_costs_the_same_beside_a_thousand_others(files, name):
    small, large = CountedPlane(), CountedPlane()
    idle(large, 1000)
    alone, beside = push_of(small, files), push_of(large, files)
    assert small.config_map(name) == large.config_map(name) == {"key": "2"}
    assert sorted(call.split()[0] for call in alone.calls) == sorted(call.split()[0] for call in beside.calls)
    assert beside.bytes < 1.2 * alone.bytes, (alone.bytes, beside.bytes)
    assert len(beside.calls) <= 50, beside.calls


def test_a_sweep_costs_the_same_beside_a_thousand_others():
    small, large = CountedPlane(), CountedPlane()
    idle(large, 1000)
    alone, beside = (plane.counted(lambda p=plane: p.reconcile("web", why="interval")) for plane in (small, large))
    assert len(alone.calls) == len(beside.calls) <= 20, alone.calls
    assert beside.bytes < 1.2 * alone.bytes


def test_a_push_that_removes_objects_reads_everybody_a_few_times():
    """Whoever else may render them now must be known, and be known to have rendered: that is worth it."""
    plane = CountedPlane()
    idle(plane, 1000)
    found = push_of(plane, {"web/b.yaml": None, "web/c.yaml": config_map("c", key="1")})
    assert plane.config_map("b") is None
    lists = [call for call in found.calls if call.startswith(("list object/", "list status/"))]
    assert len([call for call in lists if call.endswith("/Kustomization/")]) <= 8, lists


def entries(plane):
    return {record.key for family in ("reads/", "child/", "waits/") for record in plane.state.list(family)}


def test_entries_follow_the_records():
    plane = CountedPlane()
    source = f"reads/{CLUSTER}/{SOURCE}/"
    web = {key for key in entries(plane) if key.startswith(source) and key.endswith("/flux-system/web")}
    assert len(web) == 2
    assert f"child/{CLUSTER}/flux-system/team/Kustomization/flux-system/one" in entries(plane)
    plane.push({"clusters/prod/web.yaml": kustomization("web", "web2"), "web2/b.yaml": config_map("b", key="1")})
    plane.settle()
    assert not web & entries(plane), "it reads elsewhere now"
    plane.push({"web2/b.yaml": "kind: [", "teams/one.yaml": None, "teams/keep.yaml": config_map("keep")})
    plane.settle()
    assert any_key(CLUSTER, SOURCE, "flux-system/web") in entries(plane), "whatever comes next may be the repair"
    plane.push({"repaired.txt": "", "web2/b.yaml": config_map("b", key="3")})
    plane.settle()
    assert plane.config_map("b") == {"key": "3"}
    assert any_key(CLUSTER, SOURCE, "flux-system/web") not in entries(plane)
    assert not [key for key in entries(plane) if key.endswith("/flux-system/one")], "its removal waited for web"


def test_who_waits_stands_in_the_index_and_leaves_it():
    plane = CountedPlane()
    plane.push({"apps/a.yaml": "kind: [", "web/b.yaml": config_map("b", key="2")})
    plane.settle()
    waits = f"waits/{CLUSTER}/flux-system/apps/flux-system/web"
    assert waits in entries(plane)
    plane.push({"apps/a.yaml": config_map("a", key="3")})
    plane.settle()
    assert plane.config_map("b") == {"key": "2"}
    assert waits not in entries(plane)


def test_records_of_a_release_without_an_index_get_one():
    plane = CountedPlane()
    before = entries(plane)
    for key in (*before, indexed_key(CLUSTER)):
        plane.state.delete(key, expected=None)
    plane.push({"web/b.yaml": config_map("b", key="2")})
    plane.settle()
    assert plane.config_map("b") == {"key": "2"}
    assert entries(plane) == before
    assert not [key for key in before if f"/{ANY}/" in key]


def test_an_entry_that_was_lost_is_made_again_at_the_interval():
    plane = CountedPlane()
    before = entries(plane)
    for key in before:
        if key.startswith("reads/"):
            plane.state.delete(key, expected=None)
    for name in ("flux-system", "apps", "web", "team", "one"):
        plane.reconcile(name, why="interval")
    assert entries(plane) == before


def test_documents_are_stored_once():
    plane = CountedPlane()
    record = plane.state.get(f"object/{CLUSTER}/Kustomization/flux-system/web")
    plane.reconcile("flux-system", why="interval")
    assert plane.state.get(record.key) == record
    assert ObjectRecord.from_value(record.value).generation == 1
