"""Index entries: whatever a push changes, whoever has read it stands in a directory that counts as changed."""

import random

import pytest

from penstock.core.records import Condition, KustomizationStatus
from penstock.core.sources.index import (
    ANY,
    any_key,
    changed_places,
    child_key,
    entries_of,
    named,
    places,
    reads_prefix,
    settled,
    waits_prefix,
)
from penstock.core.tree import Inputs, RecordingTree, memory_tree

SOURCE = "GitRepository/flux-system/flux-system"
NAMES = ("a", "b", "c")


def path(chance):
    return "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 4)))


def tree(chance):
    """A tree in which no file stands where a directory does."""
    files = {}
    for _ in range(chance.randint(0, 8)):
        wanted = path(chance)
        if not any(f"{wanted}/".startswith(f"{each}/") or f"{each}/".startswith(f"{wanted}/") for each in files):
            files[wanted] = chance.choice("12")
    return files


def nearly(files, chance):
    """The same tree but for one file that is gone, or another one."""
    if not files:
        return {"a": "1"}
    chosen = chance.choice(sorted(files))
    rest = {path: data for path, data in files.items() if path != chosen}
    return rest if chance.random() < 0.5 else {**rest, chosen: "3"}


@pytest.mark.parametrize("seed", range(400))
def test_a_reader_of_what_differs_is_always_found(seed):
    chance = random.Random(seed)
    files = tree(chance)
    before = memory_tree(files)
    recording = RecordingTree(before)
    for _ in range(3):
        chance.choice((recording.read, recording.is_dir, recording.list))(path(chance) if chance.random() < 0.9 else "")
    inputs = recording.inputs()
    after = memory_tree(tree(chance) if chance.random() < 0.5 else nearly(files, chance))
    if inputs.digest(before) != inputs.digest(after):
        assert places(inputs) & changed_places(before, after)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, set()),
        ({"a/x": "1", "b/x": "1"}, {"a/x": "2", "b/x": "1"}, {"a/"}),
        ({"x": "1"}, {"x": "2"}, {"/"}),
        ({"a/x": "1"}, {"a/x": "1", "a/y": "1"}, {"a/", "a/y"}),
        ({"z": "1"}, {"z": "1", "a/b/x": "1"}, {"a/b/x", "a/b/", "a/b", "a/", "a", "/"}),
        ({"z": "1", "a/b/x": "1", "a/y": "1"}, {"z": "1", "a/y": "1"}, {"a/b/x", "a/b/", "a/b", "a/"}),
        ({"a/x": "1"}, {"a": "1"}, {"a/x", "a/", "a", "/"}),
    ],
)
def test_changed_places(before, after, expected):
    assert changed_places(memory_tree(before), memory_tree(after)) == expected


def status(ready, **more):
    conditions = () if ready is None else (Condition(type="Ready", status=ready, reason="", message=""),)
    inputs = Inputs(
        files=("apps/a.yaml", "base/b.yaml"), listings=("apps",), absences=("apps", "apps/kustomization.yml")
    )
    given = {"observed_source": SOURCE, "inputs": inputs, "inputs_digest": "sha256:1", "observed_generation": 2}
    return KustomizationStatus(conditions=conditions, **{**given, **more})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (status("True"), True),
        (status("Unknown"), True),
        (status("False"), False),
        (status(None), False),
        (status("True", observed_generation=1), False),
        (status("True", inputs_digest=""), False),
    ],
)
def test_what_it_has_read_says_enough(found, expected):
    assert settled(found, 2) is expected
    keys = entries_of("prod", "apps/web", found, 2)
    assert (any_key("prod", SOURCE, "apps/web") in keys) is not expected
    assert {key for key in keys if f"/{ANY}/" not in key} == {
        f"{reads_prefix('prod', SOURCE, place)}apps/web" for place in ("apps", "apps/", "base/")
    }


def test_who_waits_and_whose_child():
    waiting = KustomizationStatus(waiting_for=("infra/db", "apps/api"))
    keys = entries_of("prod", "apps/web", waiting, 1)
    assert keys == {f"{waits_prefix('prod', 'infra/db')}apps/web", f"{waits_prefix('prod', 'apps/api')}apps/web"}
    assert {named(key) for key in keys} == {"apps/web"}
    assert child_key("prod", "flux-system/root", "Receiver", "apps/hook") == (
        "child/prod/flux-system/root/Receiver/apps/hook"
    )


def test_keys_fit_whatever_the_names_and_directories_are():
    long = "n" * 253
    key = f"{reads_prefix('c' * 63, f'GitRepository/{long[:63]}/{long}', 'é' * 3000)}{long[:63]}/{long}"
    assert len(key.encode()) <= 1024
