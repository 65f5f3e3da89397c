"""Which token the store keeps beside the present one, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock.core.secrets.rotation import PREVIOUS, ended, ends, rotated

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "fresh", "kept"),
    [
        (None, {"token": b"1"}, {"token": b"1"}),
        ({"token": b"1"}, {"token": b"1"}, {"token": b"1"}),
        ({"token": b"1"}, {"token": b"2"}, {"token": b"2", PREVIOUS: b"1"}),
        ({"token": b"2", PREVIOUS: b"1"}, {"token": b"2"}, {"token": b"2", PREVIOUS: b"1"}),
        ({"token": b"2", PREVIOUS: b"1"}, {"token": b"3"}, {"token": b"3", PREVIOUS: b"2"}),
        ({"token": b"2", PREVIOUS: b"1"}, {"token": b"1"}, {"token": b"1", PREVIOUS: b"2"}),
        ({"token": b"1"}, {"other": b"2"}, {"other": b"2"}),
        ({"other": b"1"}, {"token": b"2"}, {"token": b"2"}),
    ],
)
def test_the_token_before_is_kept(stored, fresh, kept):
    assert rotated(stored, fresh) == kept


def test_a_grace_ends():
    until = ends(NOW, timedelta(minutes=10))
    assert until == "2026-01-01T00:10:00Z"
    assert not ended(until, NOW + timedelta(seconds=599))
    assert ended(until, NOW + timedelta(seconds=600))
    assert not ended("", NOW)
