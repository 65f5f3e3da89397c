import pytest

from penstock.core.sources.ignore import apply_ignore, parse_patterns
from penstock.core.tree import memory_tree


def kept(files, ignore=None):
    tree = memory_tree(dict.fromkeys(files, "") if not isinstance(files, dict) else files)
    return [path for path, _ in apply_ignore(tree, ignore).items()]


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", ".gitignore", "a/.gitattributes", ".gitmodules", "a/b.png", "a.tar.gz", ".github/w.yml",
        ".travis.yml", "a/.sops.yaml", ".flux.yaml", "x/y/.goreleaser.yml", "codeship-steps.yml",
    ],
)  # fmt: skip
def test_default_excludes_apply_while_nobody_has_a_pattern(path):
    assert kept([path, "kept.yaml"]) == ["kept.yaml"]
    assert kept([path, "kept.yaml"], "# only a comment\n\n   \n") == ["kept.yaml"]


@pytest.mark.parametrize(
    ("files", "ignore"),
    [
        (["a.png", ".gitignore", "b.yaml"], "nothing"),
        ({"a.png": "", ".gitignore": "", "b.yaml": "", "deep/.sourceignore": "nothing"}, None),
    ],
)
def test_one_pattern_anywhere_switches_the_defaults_off_but_not_those_of_git(files, ignore):
    assert [path for path in kept(files, ignore) if not path.endswith(".sourceignore")] == ["a.png", "b.yaml"]


@pytest.mark.parametrize(
    ("ignore", "path", "excluded"),
    [
        ("*.md", "a/b.md", True),
        ("docs", "docs/a", True),
        ("docs", "x/docs/a", True),
        ("docs/", "docs", False),
        ("docs/", "x/docs/a", True),
        ("/docs", "docs/a", True),
        ("/docs", "x/docs/a", False),
        ("/docs/", "docs", False),
        ("/docs/", "docs/a", True),
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", True),
        ("a/b", "x/a/b", False),
        ("**/b", "x/y/b", True),
        ("**/b", "b/c", True),
        ("a/**", "a/x/y", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/x/y", False),
        ("a/**b/c", "a/xb/c", False),
        ("/*\n!/keep", "keep/a", False),
        ("/*\n!/keep", "other/a", True),
        ("dir/\n!dir/keep.yaml", "dir/keep.yaml", False),
        ("dir/\n!dir/keep.yaml", "dir/other.yaml", True),
        ("!.gitignore", ".gitignore", False),
        ("a.yaml   ", "a.yaml", True),
        ("a\\ ", "a ", True),
        (" a.yaml", "a.yaml", False),
        ("a.yaml\r\nb.yaml\r", "b.yaml", True),
        ("\\#a", "#a", True),
        ("[a", "[a", False),
    ],
)
def test_patterns_of_the_field(ignore, path, excluded):
    assert (path not in kept([path, "other"], ignore)) is excluded


def test_an_ignore_file_is_anchored_to_its_directory_and_the_field_wins():
    files = {
        ".sourceignore": "*.txt",
        "a/.sourceignore": "/b.yaml\n!keep.txt",
        **dict.fromkeys(("a.txt", "b.yaml", "a/b.yaml", "a/keep.txt", "keep.txt", "a/c/b.yaml"), ""),
    }
    own = [".sourceignore", "a/.sourceignore"]
    assert kept(files) == sorted([*own, "b.yaml", "a/keep.txt", "a/c/b.yaml"])
    assert kept(files, "!a.txt\na/c/") == sorted([*own, "a.txt", "b.yaml", "a/keep.txt"])


def test_an_overlong_line_ends_the_file():
    assert len(parse_patterns("a\n" + "b" * 70_000 + "\nc")) == 1
