import subprocess

import pytest

from penstock.core.tree import Inputs, RecordingTree, blob, memory_tree

FILES = {"a.yaml": "a", "apps/web/k.yaml": "k", "apps/web/é.yaml": b"\xff", "apps/db.yaml": "", "Z": "z"}
TREE = memory_tree(FILES)


def test_blob_ids_are_gits():
    assert blob(b"hello\n").id == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert blob(b"").id == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize(
    ("path", "data"),
    [("a.yaml", b"a"), ("apps/web/é.yaml", b"\xff"), ("apps/db.yaml", b""), ("apps", None), ("x", None)],
)
def test_read(path, data):
    found = TREE.read(path)
    assert (found.data if found else None) == data


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ("Z", "a.yaml", "apps")),
        ("apps", ("db.yaml", "web")),
        ("apps/web", ("k.yaml", "é.yaml")),
        ("a.yaml", None),
        ("missing", None),
        ("app", None),
    ],
)
def test_list_and_is_dir(path, names):
    assert TREE.list(path) == names
    assert TREE.is_dir(path) == (names is not None)


def test_an_empty_tree_has_a_root():
    empty = memory_tree({})
    assert (empty.list(""), empty.is_dir(""), len(empty), list(empty.items())) == ((), True, 0, [])


def test_items_are_sorted_by_path():
    assert [path for path, _ in TREE.items()] == sorted(FILES)
    assert len(TREE) == 5


def test_a_blobs_bytes_are_not_in_its_repr():
    assert "canary" not in repr(blob(b"canary"))


def test_what_was_asked_is_recorded():
    tree = RecordingTree(TREE)
    tree.read("a.yaml")
    tree.read("a.yaml")
    tree.read("missing.yaml")
    tree.list("apps")
    tree.is_dir("apps/web")
    tree.is_dir("nowhere")
    assert tree.inputs() == Inputs(
        files=("a.yaml",), listings=("apps",), absences=("apps/web", "missing.yaml", "nowhere")
    )


INPUTS = Inputs(files=("a.yaml", "apps/db.yaml"), listings=("apps",), absences=("missing.yaml", "nowhere"))


@pytest.mark.parametrize(
    ("change", "touches"),
    [
        ({}, False),
        ({"Z": "changed"}, False),
        ({"apps/web/k.yaml": "changed"}, False),
        ({"a.yaml": "changed"}, True),
        ({"a.yaml": None}, True),
        ({"apps/new.yaml": ""}, True),
        ({"missing.yaml": ""}, True),
        ({"nowhere/x": ""}, True),
        ({"apps/web/new.yaml": ""}, False),
    ],
)
def test_a_digest_changes_exactly_with_what_was_read(change, touches):
    files = {path: data for path, data in {**FILES, **change}.items() if data is not None}
    assert (INPUTS.digest(memory_tree(files)) != INPUTS.digest(TREE)) == touches


def test_a_path_read_and_a_path_missed_are_not_the_same_digest():
    assert Inputs(files=("x",)).digest(TREE) != Inputs(absences=("x",)).digest(TREE)
    assert Inputs().digest(TREE).startswith("sha256:")


def test_union():
    assert INPUTS.union(Inputs(files=("b", "a.yaml"), absences=("x",))) == Inputs(
        files=("a.yaml", "apps/db.yaml", "b"), listings=("apps",), absences=("missing.yaml", "nowhere", "x")
    )
    assert INPUTS.union(INPUTS) == INPUTS


def test_ids_agree_with_git_itself(tmp_path):
    (tmp_path / "f").write_bytes(b"some\x00bytes")
    found = subprocess.run(["git", "hash-object", str(tmp_path / "f")], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == blob(b"some\x00bytes").id
