"""What is kept of values that expire stays within bounds, also of those that cannot be had."""

import pytest

from penstock.adapters.identity.kept import KEPT, Kept
from penstock.core.errors import Refused


def refuse():
    raise Refused("no")


def test_of_a_key_that_gives_nothing_nothing_stays():
    kept = Kept(lambda: 0.0)
    for number in range(100):
        with pytest.raises(Refused):
            kept.get(number, refuse)
    assert (kept._busy, kept._values) == ({}, {})
    assert kept.get("a", lambda: ("value", 1_000.0)) == "value"
    with pytest.raises(Refused):
        kept.get("a", refuse, fresh=True)
    assert kept.get("a", refuse) == "value", "the old one is still good"


def test_the_oldest_goes_first():
    kept = Kept(lambda: 0.0)
    for number in range(KEPT + 50):
        kept.get(number, lambda number=number: (number, 1_000.0))
    assert len(kept._values) == len(kept._busy) == KEPT
    assert kept.get(KEPT + 49, refuse) == KEPT + 49
