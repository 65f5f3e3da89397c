import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.sources.semver import compare, newest, parse_version

TAGS = (
    "v0.1.0",
    "v0.1.5",
    "v0.2.0",
    "1.0.0",
    "1.2.3",
    "1.2.10",
    "1.3.0-rc.1",
    "2.0.0",
    "2.1.0+build",
    "latest",
    "1.9",
    "v3",
)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("*", "2.1.0+build"),
        (">=1.0.0", "2.1.0+build"),
        ("1.x", "1.2.10"),
        ("1", "1.2.10"),
        ("1.2.3", "1.2.3"),
        ("=1.2.3", "1.2.3"),
        ("~1.2.3", "1.2.10"),
        ("~1.2", "1.2.10"),
        ("~1", "1.2.10"),
        ("^1.2.3", "1.2.10"),
        ("^0.1.2", "v0.1.5"),
        ("^0.1", "v0.1.5"),
        ("^0", "v0.2.0"),
        ("^0.0.3", None),
        (">1.2", "2.1.0+build"),
        (">1.2 <2", None),
        (">=1.2 <2", "1.2.10"),
        (">=1.2, <2", "1.2.10"),
        ("<=1", "1.2.10"),
        ("<1", "v0.2.0"),
        ("1.0.0 - 1.2.5", "1.2.3"),
        ("1 - 1", "1.2.10"),
        (">=1.3.0-0 <2", "1.3.0-rc.1"),
        ("!=2.1.0 >1", "2.0.0"),
        ("!=2.x", "1.2.10"),
        ("<0.2.0 || 1.0.0", "1.0.0"),
        (">5", None),
    ],
)
def test_the_newest_tag_of_a_range(constraint, expected):
    assert newest(constraint, TAGS) == expected


@pytest.mark.parametrize("constraint", ["", "abc", ">=", "1.2.3.4", ">=1 ||", "1" * 300])
def test_what_is_no_range_is_named(constraint):
    with pytest.raises(InvalidDocument) as error:
        newest(constraint, TAGS)
    assert error.value.path == "spec.ref.semver"


def test_the_order_of_semantic_versioning():
    rising = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
    ]
    versions = [parse_version(text) for text in rising]
    for at, version in enumerate(versions):
        assert [compare(version, other) > 0 for other in versions] == [True] * at + [False] * (len(versions) - at)
        assert compare(version, version) == 0
