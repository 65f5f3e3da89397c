import pytest

from penstock.core.errors import BuildFailed
from penstock.core.flux.artifactgenerator import Copy, OutputArtifact
from penstock.core.sources.generate import generate
from penstock.core.tree import memory_tree

REPO = memory_tree(
    dict.fromkeys(
        ("config.yaml", "apps/base/a.yaml", "apps/base/b/c.yaml", "apps/base/b/x.md", "apps/prod/a.yaml", "pic.png"), ""
    )
)
OTHER = memory_tree({"values.yaml": "other"})


def made(*copies):
    """``copies``: (from, to, *exclude); the source is ``repo`` unless the path begins with ``other:``."""
    operations = []
    for source, to, *exclude in copies:
        alias, _, path = source.rpartition(":")
        operations.append(Copy(alias=alias or "repo", source=path, to=to, exclude=tuple(exclude)))
    tree = generate(OutputArtifact(name="x", copies=tuple(operations)), {"repo": REPO, "other": OTHER})
    return [path for path, _ in tree.items()]


@pytest.mark.parametrize(
    ("copy", "expected"),
    [
        (("config.yaml", "apps/app.yaml"), ["apps/app.yaml"]),
        (("config.yaml", "apps/"), ["apps/config.yaml"]),
        (("config.yaml", ""), ["config.yaml"]),
        (("apps/base/", "dest/"), ["dest/base/a.yaml", "dest/base/b/c.yaml", "dest/base/b/x.md"]),
        (("apps/base", ""), ["base/a.yaml", "base/b/c.yaml", "base/b/x.md"]),
        (("apps/base/**", "base/"), ["base/a.yaml", "base/b/c.yaml", "base/b/x.md"]),
        (("apps/base/**", ""), ["a.yaml", "b/c.yaml", "b/x.md"]),
        (("apps/base/*.yaml", "d/"), ["d/apps/base/a.yaml"]),
        (("apps/*/a.yaml", ""), ["apps/base/a.yaml", "apps/prod/a.yaml"]),
        (("**", ""), ["apps/base/a.yaml", "apps/base/b/c.yaml", "apps/base/b/x.md", "apps/prod/a.yaml", "config.yaml"]),
        (("", ""), ["apps/base/a.yaml", "apps/base/b/c.yaml", "apps/base/b/x.md", "apps/prod/a.yaml", "config.yaml"]),
        (("apps/base/**", "", "*.md"), ["a.yaml", "b/c.yaml"]),
        (("apps/base/**", "", "b/**"), ["a.yaml"]),
        (("apps/base/**", "", "apps/base/b/*.md"), ["a.yaml", "b/c.yaml"]),
        (("apps/base", "", "a.yaml"), ["base/b/c.yaml", "base/b/x.md"]),
        (("apps/base", "", "b/*.md"), ["base/a.yaml", "base/b/c.yaml"]),
    ],
)
def test_copies_work_like_cp(copy, expected):
    assert made(copy) == expected


def test_a_destination_that_is_a_directory_already_is_copied_into():
    assert made(("apps/prod/**", "d"), ("config.yaml", "d")) == ["d/a.yaml", "d/config.yaml"]


def test_later_copies_overwrite():
    copies = (
        Copy(alias="repo", source="config.yaml", to="v.yaml"),
        Copy(alias="other", source="values.yaml", to="v.yaml"),
    )
    tree = generate(OutputArtifact(name="x", copies=copies), {"repo": REPO, "other": OTHER})
    assert tree.read("v.yaml").data == b"other"


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        (("gone.yaml", ""), "copy\\[0\\]: 'gone.yaml' does not exist in source 'repo'"),
        (("gone/**", ""), "no files match 'gone/\\*\\*' in source 'repo'"),
        (("apps/base/*.yaml", "", "*.yaml"), "excluded"),
    ],
)
def test_what_matches_nothing_fails(copy, message):
    with pytest.raises(BuildFailed, match=message):
        made(copy)


def test_only_the_default_excludes_apply_whatever_ignore_files_were_copied():
    tree = memory_tree(dict.fromkeys(("a.yaml", "a.png", ".gitignore"), "") | {".sourceignore": "a.yaml"})
    made_of = generate(OutputArtifact(name="x", copies=(Copy(alias="r", source="**", to=""),)), {"r": tree})
    assert [path for path, _ in made_of.items()] == [".sourceignore", "a.yaml"]
