import pytest

from penstock.core.sources.glob import is_malformed, match_name, match_path


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("*", "", True),
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "a.yml", False),
        ("a*c", "abbc", True),
        ("a*b*c", "axbxbc", True),
        ("a*b*c", "axxc", False),
        ("*a", "ba\na", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("[c-a]", "b", False),
        ("[^c-a]", "b", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        (r"[\]]", "]", True),
        ("a+b", "a+b", True),
        ("[!a]", "!", True),
        ("[]a]", "a", False),
        ("[-]", "-", False),
        ("[a", "a", False),
        ("a\\", "a", False),
    ],
)
def test_one_segment_matches_as_in_go(pattern, name, expected):
    assert match_name(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"), [("[a", True), ("a\\", True), ("[]a]", True), ("[a]", False), ("*", False)]
)
def test_a_malformed_pattern_is_told(pattern, expected):
    assert is_malformed(pattern) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**", "a/b", True),
        ("**/b", "b", True),
        ("**/b", "a/c/b", True),
        ("a/**", "a", True),
        ("a/**", "a/b/c", True),
        ("a/**", "b/a", False),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/b/c", False),
        ("a/**/c", "a/b/b/c", True),
        ("x/**/c", "a/c", False),
        ("*.{md,txt}", "a.txt", True),
        ("*.{md,txt}", "a.yaml", False),
    ],
)
def test_whole_paths(pattern, path, expected):
    assert match_path(pattern, path) is expected


def test_no_pattern_takes_long():
    assert not match_name("*a" * 60 + "b", "a" * 250)
    assert not match_path("**/a/" * 60 + "b", "a/" * 120 + "c")
    assert not match_path("{a,b}" * 40, "c")
