import pytest

from penstock.core.errors import BuildFailed
from penstock.core.flux.gitrepository import Include
from penstock.core.sources.include import overlay
from penstock.core.tree import memory_tree

BASE = memory_tree({"a": "base", "lib/x": "base"})
OTHER = memory_tree({"x": "other", "deploy/y": "other", "deployed": "other"})


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("", "lib"), {"a": "base", "lib/x": "other", "lib/deploy/y": "other", "lib/deployed": "other"}),
        (("deploy", "lib"), {"a": "base", "lib/x": "base", "lib/y": "other"}),
        (("./deploy/", "./new//dir/"), {"a": "base", "lib/x": "base", "new/dir/y": "other"}),
        (("deploy", "."), {"a": "base", "lib/x": "base", "y": "other"}),
    ],
)
def test_an_include_is_copied_over_the_tree(paths, expected):
    made = overlay(BASE, [(Include(repository="o", from_path=paths[0], to_path=paths[1]), OTHER)])
    assert {path: found.data.decode() for path, found in made.items()} == expected


def test_the_last_include_wins():
    includes = [(Include(repository="o", to_path="x"), memory_tree({"f": text})) for text in ("1", "2")]
    assert overlay(BASE, includes).read("x/f").data == b"2"


def test_an_include_of_nothing_fails():
    with pytest.raises(BuildFailed, match="include 'o' has nothing at 'gone'") as error:
        overlay(BASE, [(Include(repository="o", from_path="gone", to_path="o"), OTHER)])
    assert error.value.reason == "IncludeUnavailable"
