"""Which store has what, and which are asked."""

import pytest

from penstock.adapters.state.memory import MemoryState
from penstock.adapters.state.parted import PartedState
from penstock.core.errors import Terminal
from penstock.ports.state import ABSENT


class Asked(MemoryState):
    """``lists``: what it was asked to list; ``dues``: how often what is due."""

    def __init__(self):
        super().__init__()
        self.lists, self.dues = [], 0

    def list(self, prefix):
        self.lists.append(prefix)
        return super().list(prefix)

    def due(self, before, *, limit):
        self.dues += 1
        return super().due(before, limit=limit)


@pytest.fixture
def stores():
    return {name: Asked() for name in ("hooks", "index", "rest")}


@pytest.fixture
def state(stores):
    parts = {"delivery": stores["hooks"], "object": stores["index"], "plane": stores["index"]}
    return PartedState(parts, stores["rest"])


def test_each_family_is_in_its_store_alone(state, stores):
    for key in ("delivery/c/n/x", "object/c/K/n/x", "plane", "objects/x", "status/c/K/n/x"):
        state.put(key, {}, expected=ABSENT)
    held = {name: [record.key for record in store.list("")] for name, store in stores.items()}
    assert held == {
        "hooks": ["delivery/c/n/x"],
        "index": ["object/c/K/n/x", "plane"],
        "rest": ["objects/x", "status/c/K/n/x"],
    }


@pytest.mark.parametrize(
    ("prefix", "asked"),
    [
        ("object/", {"index"}),
        ("object/c/", {"index"}),
        ("delivery/c/n", {"hooks"}),
        ("status/", {"rest"}),
        ("objects/", {"rest"}),
        ("obj", {"index", "rest"}),
        ("", {"hooks", "index", "rest"}),
    ],
)
def test_a_list_asks_the_stores_that_may_have_some_and_each_once(state, stores, prefix, asked):
    state.list(prefix)
    assert {name: store.lists for name, store in stores.items() if store.lists} == {name: [prefix] for name in asked}


def test_what_is_due_is_asked_of_the_rest_and_nothing_else_has_a_time(state, stores):
    state.put("status/x", {}, expected=None, due=1.0)
    assert [record.key for record in state.due(2.0, limit=9)] == ["status/x"]
    assert [store.dues for store in stores.values()] == [0, 0, 1]
    with pytest.raises(Terminal, match="never asked what is due"):
        state.put("object/c/K/n/x", {}, expected=None, due=1.0)
    assert state.get("object/c/K/n/x") is None


def test_what_one_store_had_is_copied_once_and_stays_for_the_release_that_wrote_it(state, stores):
    old = {"delivery/c/n/x": 1, "object/c/K/n/x": 2, "plane": 3, "planes/x": 4, "status/c/K/n/x": 5}
    for key, number in old.items():
        stores["rest"].put(key, {"n": number}, expected=None)
    state.put("object/c/K/n/x", {"n": "newer"}, expected=None)
    assert state.bring_over() == 3
    assert {record.key for record in stores["rest"].list("")} >= old.keys()
    assert state.get("plane").value == {"n": 3}
    assert state.get("delivery/c/n/x").value == {"n": 1}
    assert state.get("object/c/K/n/x").value == {"n": "newer"}
    state.delete("plane", expected=None)
    assert state.bring_over() == 0
    assert state.get("plane") is None, "what is gone does not come back"


def test_killed_half_way_it_begins_again(state, stores, monkeypatch):
    for key in ("delivery/c/n/x", "plane"):
        stores["rest"].put(key, {"n": 1}, expected=None)
    put = stores["index"].put
    monkeypatch.setattr(stores["index"], "put", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        state.bring_over()
    monkeypatch.setattr(stores["index"], "put", put)
    assert state.bring_over() == 2
    assert state.get("plane").value == {"n": 1}
