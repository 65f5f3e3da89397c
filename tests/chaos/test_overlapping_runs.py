"""However runs overlap, die and repeat, and whatever messages are lost: the newest commit wins, and nothing else.

A model says what must be there in the end: every object of the newest commit, with its data and its owner's labels,
nothing beside it, inventories that say the same; and what every commit held has never been deleted.
"""

import random

import pytest
import yaml
from tests.chaos.schedules import ChaoticPlane
from tests.chaos.stories import OWNERS, expected, story, tree
from tests.memory_plane import CLUSTER

from penstock.core.records import ObjectRecord, object_key
from penstock.core.resources import Gvk
from penstock.core.sources.index import entries_of

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
SEEDS = 200
MORE_SEEDS = 1300


@pytest.fixture(autouse=True)
def one_request_at_a_time(monkeypatch):
    """A run's own requests in order: only runs overlap here."""
    for module in ("apply", "live"):
        monkeypatch.setattr(
            f"penstock.stages.reconcile.{module}.parallel", lambda items, work: [work(item) for item in items]
        )


def live(plane):
    items = plane.cluster.list(CONFIG_MAP, namespace="apps").items
    label = "kustomize.toolkit.fluxcd.io/name"
    return {i["metadata"]["name"]: (i["metadata"]["labels"].get(label), i["data"]) for i in items}


def check(seed):
    chance = random.Random(seed)
    plane = ChaoticPlane(seed)
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}})
    models = story(chance)
    trees = [tree(model, chance) for model in models]
    plane.chaos(trees, steps=400)
    plane.calm()
    wanted = expected(trees[-1])
    assert live(plane) == wanted, sorted(set(live(plane)) ^ set(wanted))
    always = set.intersection(*(set(expected(files)) for files in trees))
    deleted = {what.rpartition("/")[2] for verb, what in plane.cluster.calls if verb == "delete"}
    assert not always & deleted, "it stood in every commit"
    for owner in OWNERS:
        known = plane.state.get(object_key(CLUSTER, "Kustomization", "flux-system", owner)) is not None
        assert known is (f"clusters/prod/{owner}.yaml" in trees[-1])
        held = plane.live("v1", "ConfigMap", "penstock-system", f"kustomization.flux-system.{owner}")
        assert (held is not None) is known
        if held is not None:
            names = {name for name, (of, _) in wanted.items() if of == owner}
            assert set(yaml.safe_load(held["data"]["inventory"])) == {f"apps_{name}__ConfigMap@v1" for name in names}
            assert held["data"]["digest"] == plane.status(owner).inventory_digest
            assert plane.ready(owner).startswith("True"), plane.ready(owner)
    for name in ("flux-system", *OWNERS):
        found = plane.state.get(object_key(CLUSTER, "Kustomization", "flux-system", name))
        if found is not None:
            generation = ObjectRecord.from_value(found.value).generation
            for key in entries_of(CLUSTER, f"flux-system/{name}", plane.status(name), generation):
                assert plane.state.get(key) is not None, f"{key}: who is found by it would not be found any more"
    assert sum(len(queue) for queue in [plane.bus.waiting]) == 0, "nothing goes on for ever"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_newest_commit_wins(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS, MORE_SEEDS))
def test_the_newest_commit_wins_in_many_more_schedules(seed):
    check(seed)
