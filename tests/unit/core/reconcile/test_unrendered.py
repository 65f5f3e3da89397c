"""What a failed attempt says, and how long a person's word about it holds."""

from dataclasses import replace

import pytest

from penstock.core.reconcile.unrendered import ANY, has_failed, is_excused, render_mark, tried
from penstock.core.records import KustomizationStatus

NEVER = KustomizationStatus()
RENDERED = KustomizationStatus(inputs_digest="sha256:1", observed_generation=2)


@pytest.mark.parametrize(
    ("failed_at", "holds"),
    [
        (tried(2, "sha256:a"), True),
        (tried(2, ANY), True),
        (tried(2, "sha256:b"), False),
        (tried(1, "sha256:a"), False),
        (tried(1, ANY), False),
        (tried(2, ""), False),
        ("", False),
    ],
)
def test_it_has_failed_only_where_it_tried_this_document_and_this_artifact(failed_at, holds):
    assert has_failed(KustomizationStatus(failed_at=failed_at), 2, "sha256:a") is holds


@pytest.mark.parametrize("before", [NEVER, RENDERED])
@pytest.mark.parametrize(
    "after",
    [
        {"inputs_digest": "sha256:2"},
        {"observed_generation": 3},
        {"summary": {"childrenDue": True}},
        {"resting": {"generation": 1, "digest": "sha256:3", "children_due": False, "inputs": {}, "rendered": {}}},
    ],
    ids=["another render", "of another document", "children", "at rest"],
)
def test_the_word_holds_until_something_else_is_written_down(before, after):
    assert not is_excused(before)
    excused = replace(before, excused=render_mark(before))
    assert is_excused(excused)
    assert is_excused(replace(excused, last_attempted_revision="main@sha1:2", failed_at=tried(2, "sha256:b")))
    if "resting" in after:
        none = {"more": [], "less": []}
        paths = dict.fromkeys(("files", "listings", "absences"), none)
        after = {"resting": {**after["resting"], "inputs": paths, "rendered": none, "interpreted": none}}
    assert not is_excused(replace(excused, **after))
