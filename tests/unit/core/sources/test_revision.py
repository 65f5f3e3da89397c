import pytest

from penstock.core.sources.revision import Revision, git_revision, parse_revision, short_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("refs/heads/main", "main"),
        ("refs/heads/a/b", "a/b"),
        ("refs/tags/v1", "v1"),
        ("refs/pull/1/head", "refs/pull/1/head"),
    ],
)
def test_short_names(ref, expected):
    assert short_name(ref) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"main@sha1:{COMMIT}", Revision(name="main", algorithm="sha1", hex=COMMIT)),
        (f"a@b@sha1:{COMMIT}", Revision(name="a@b", algorithm="sha1", hex=COMMIT)),
        (f"sha1:{COMMIT}", Revision(name="", algorithm="sha1", hex=COMMIT)),
        (f"main/{COMMIT}", None),
        ("main@sha1:xyz", None),
        ("", None),
    ],
)
def test_revisions_are_taken_apart_and_put_together(text, expected):
    parsed = parse_revision(text)
    assert parsed == expected
    assert parsed is None or (str(parsed) == text and git_revision(parsed.name, parsed.hex) == text)
