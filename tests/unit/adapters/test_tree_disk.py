"""Files where they stand: links within the root are followed, everything else outside is absent."""

import os

import pytest

from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import Refused
from penstock.core.tree import blob
from penstock.kustomize import BuildOptions, build


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    inside = tmp_path / "root"
    (inside / "a" / "b").mkdir(parents=True)
    (inside / "a" / "f").write_text("content")
    (inside / "a" / "run").write_text("#!")
    (inside / "a" / "run").chmod(0o755)
    (inside / "link").symlink_to("a/f")
    (inside / "dir").symlink_to("a")
    (inside / "out").symlink_to("../outside/secret")
    (inside / "loop").symlink_to("loop")
    os.mkfifo(inside / "pipe")
    return inside


@pytest.mark.parametrize("path", ["a/f", "link", "dir/f", "dir/../a/f"])
def test_files_and_links_to_them(root, path):
    assert DiskTree(root).read(path) == blob(b"content")


def test_executables(root):
    assert DiskTree(root).read("a/run").executable


@pytest.mark.parametrize("path", ["none", "out", "../outside/secret", "a", "", "pipe", "loop", "a\0b"])
def test_what_is_no_file_within_the_root(root, path):
    assert DiskTree(root).read(path) is None


@pytest.mark.parametrize(
    ("path", "found"), [("", True), ("a", True), ("dir", True), ("a/f", False), ("..", False), ("none", False)]
)
def test_directories(root, path, found):
    assert DiskTree(root).is_dir(path) is found


@pytest.mark.parametrize(
    ("path", "names"), [("a", ("b", "f", "run")), ("dir", ("b", "f", "run")), ("a/f", None), ("..", None)]
)
def test_listings(root, path, names):
    assert DiskTree(root).list(path) == names


@pytest.mark.parametrize(("path", "real"), [("dir/f", "a/f"), ("link", "a/f"), ("out", None), ("", ""), ("x", "x")])
def test_where_links_lead(root, path, real):
    assert DiskTree(root).real_path(path) == real


def test_the_machines_state_is_no_file():
    assert DiskTree("/").read("proc/self/environ") is None
    assert DiskTree("/").real_path("sys/kernel") is None


def test_a_file_read_once_stays_as_it_was(root):
    tree = DiskTree(root)
    tree.read("a/f")
    (root / "a" / "f").write_text("changed")
    assert tree.read("a/f") == blob(b"content")


def test_large_files_are_refused(root):
    with pytest.raises(Refused, match="larger than 3 bytes"):
        DiskTree(root, max_bytes=3).read("a/f")


def test_a_link_does_not_lead_out_of_a_kustomization(root):
    (root / "app").mkdir()
    (root / "cm.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n")
    (root / "app" / "cm.yaml").symlink_to("../cm.yaml")
    (root / "app" / "kustomization.yaml").write_text("resources: [cm.yaml]\n")
    with pytest.raises(Refused, match="not in or below 'app'"):
        build(DiskTree(root), "app")
    assert len(build(DiskTree(root), "app", BuildOptions(load_restrictions="none")).resources) == 1


@pytest.mark.parametrize(
    "path", ["a/b/f", "a/up/top", "a/up/a/b/f", "a/b/back/f", "none/f", "a/b/f/below", "loop/f", "a/up/../f"]
)
def test_links_lead_where_the_operating_system_says(tmp_path, path):
    root = tmp_path.resolve()
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "f").write_text("")
    (root / "top").write_text("")
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "b" / "back").symlink_to("../b")
    (root / "loop").symlink_to("loop")
    tree = DiskTree(root)
    real = os.path.realpath(root / path)
    within = real.removeprefix(f"{root}/") if real.startswith(f"{root}/") else None
    assert [tree.real_path(path), tree.real_path(path)] == [within, within]
